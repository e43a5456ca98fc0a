//! The one who adds to a log.

use super::reader::Log;
use super::segment::{Kind, Piece, Position, Segment, Tip, follows};
use crate::Error;
use crate::id::Id;

/// Adds segments to a log. What [`append`](LogWriter::append) has acknowledged is in the store.
///
/// An object is written only where none is. So of two writers at the same time one is refused, and neither overwrites the other.
#[derive(Debug)]
pub struct LogWriter {
    log: Log,
    kind: Kind,
    found: Option<Segment>,
    tip: Option<Tip>,
    /// A call failed, so that the store may have more than we know.
    lost: bool,
    bytes: u64,
}

impl LogWriter {
    pub(super) fn new(log: Log, kind: Kind, newest: Option<Segment>) -> Self {
        let tip = newest.as_ref().map(Segment::tip);
        Self { log, kind, found: newest, tip, lost: false, bytes: 0 }
    }

    /// The newest segment as this writer found it, once.
    pub(super) fn take_found(&mut self) -> Option<Segment> {
        self.found.take()
    }

    /// The newest segment in the store; `None` while the log is empty.
    #[must_use]
    pub fn tip(&self) -> Option<&Tip> {
        self.tip.as_ref()
    }

    /// How many bytes this writer has put into the store.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds a piece as the next segment.
    ///
    /// # Errors
    ///
    /// [`Error::Log`] for a piece that does not begin where the log ends, for the second of two writers, and for each call after one that
    /// failed: whether that one reached the store is not known, so a new writer has to look. [`Error::Store`].
    pub async fn append(&mut self, piece: Piece) -> Result<Tip, Error> {
        if self.lost {
            return Err(self.log.refused("a write failed before; open a new writer".to_owned()));
        }
        let first = Position { epoch: piece.epoch, offset: piece.first };
        let last = Position { epoch: piece.epoch, offset: piece.last };
        if let Some(tip) = &self.tip {
            follows(tip.position, first)
                .map_err(|problem| self.log.refused(format!("a piece: {problem}")))?;
        }
        if last < first {
            return Err(self.log.refused(format!("a piece ends at {last} before it begins at {first}")));
        }
        let sequence = self.tip.as_ref().map_or(0, |tip| tip.sequence).saturating_add(1);
        let previous = self.tip.as_ref().map_or(Id::new([0; 32]), |tip| tip.hash);
        let (log, kind, time) = (self.log.clone(), self.kind, piece.time);
        let sealed =
            tokio::task::spawn_blocking(move || log.key().seal(log.name(), sequence, previous, kind, &piece));
        let object = sealed.await.map_err(|_| Error::Stopped)??;
        let hash = Id::of(&object);
        let length = object.len() as u64;
        // Set before the call: the caller may drop it in the middle.
        self.lost = true;
        self.log.put(sequence, object).await?;
        self.lost = false;
        self.bytes = self.bytes.saturating_add(length);
        let tip = Tip { sequence, hash, position: last, time };
        self.tip = Some(tip);
        Ok(tip)
    }
}
