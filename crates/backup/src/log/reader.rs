//! A log that is open, and its segments in order.

use std::sync::Arc;

use buttress_connect::blobs::Blobs;
use buttress_core::{Classify, Ctx, Validate};
use bytes::Bytes;
use secrecy::SecretString;

use super::config::LogConfig;
use super::key::{LogKey, key_name};
use super::segment::{Kind, Position, Segment, Tip, follows};
use super::writer::LogWriter;
use crate::Error;
use crate::id::Id;

/// A log in its store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Log(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: LogConfig,
    blobs: Blobs,
    key: LogKey,
    ctx: Ctx,
}

impl Log {
    /// Makes a log with a new key, sealed with `password`, and opens it.
    ///
    /// # Errors
    ///
    /// [`Error::Log`] if there is one of that name; [`Error::Config`]; [`Error::Store`].
    pub async fn create(config: &LogConfig, password: &SecretString, ctx: &Ctx) -> Result<Self, Error> {
        let blobs = blobs(config).await?;
        let key = LogKey::generate()?;
        let name = key_name(&config.name);
        let sealed = key.escrow(&config.name, password)?;
        let written = blobs.put_new(&name, sealed).await.map_err(store("write", &name, config))?;
        if !written {
            let problem = "there is one of that name already; open it, or choose another name".to_owned();
            return Err(Error::Log { log: config.name.clone(), place: config.blobs.url.clone(), problem });
        }
        Ok(Self(Arc::new(Inner { config: config.clone(), blobs, key, ctx: ctx.clone() })))
    }

    /// Opens a log with the key that is in the store.
    ///
    /// # Errors
    ///
    /// [`Error::NoRepository`] if there is none, [`Error::WrongPassword`], [`Error::Damaged`], [`Error::Config`], [`Error::Store`].
    pub async fn open(config: &LogConfig, password: &SecretString, ctx: &Ctx) -> Result<Self, Error> {
        let blobs = blobs(config).await?;
        let name = key_name(&config.name);
        let sealed = match blobs.get(&name).await {
            Ok(sealed) => sealed,
            Err(buttress_connect::Error::NoBlob { .. }) => {
                return Err(Error::NoRepository {
                    place: format!("{}/log/{}", config.blobs.url, config.name),
                });
            }
            Err(error) => return Err(store("read", &name, config)(error)),
        };
        let key = LogKey::unseal(&sealed, &config.name, password, &config.blobs.url)?;
        Self::with_key(config, key, ctx).await
    }

    /// Opens a log with a key from elsewhere: of an escrow file, when the object in the store is lost.
    ///
    /// # Errors
    ///
    /// [`Error::Config`]; [`Error::Store`].
    pub async fn with_key(config: &LogConfig, key: LogKey, ctx: &Ctx) -> Result<Self, Error> {
        let blobs = blobs(config).await?;
        Ok(Self(Arc::new(Inner { config: config.clone(), blobs, key, ctx: ctx.clone() })))
    }

    /// The log's key.
    #[must_use]
    pub fn key(&self) -> &LogKey {
        &self.0.key
    }

    /// The log's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.config.name
    }

    /// Continues the log after its newest segment in the store, which is read. `known` is how far it went when it was last seen.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] where segments are lost or changed, `known` among them; [`Error::Log`] if another kind of source wrote it;
    /// [`Error::Store`].
    pub async fn writer(&self, kind: Kind, known: Option<&Tip>) -> Result<LogWriter, Error> {
        self.check_known(known).await?;
        let newest = self.newest().await?;
        if let Some(found) = newest.as_ref().map(|newest| newest.kind)
            && found != kind
        {
            return Err(self.refused(format!("it is a log of {found}, and this would write {kind}")));
        }
        Ok(LogWriter::new(self.clone(), kind, newest))
    }

    /// The newest segment that is in the store, asked from the store: one listing, and one segment read.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] where a segment is missing between others, or the newest does not open; [`Error::Store`].
    pub async fn tip(&self) -> Result<Option<Tip>, Error> {
        Ok(self.newest().await?.map(|newest| newest.tip()))
    }

    pub(super) async fn newest(&self) -> Result<Option<Segment>, Error> {
        let Some(newest) = self.sequences().await?.last().copied() else { return Ok(None) };
        Ok(Some(self.read(newest).await?.0))
    }

    /// The segments from number `from` to the newest; from the first that is kept, if `from` was let go by retention, which the caller sees by
    /// its number. What `known` says was in the log must be there.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] where one is missing between others, and as [`Segments::next`].
    pub async fn segments(&self, from: u64, known: Option<&Tip>) -> Result<Segments, Error> {
        self.check_known(known).await?;
        let sequences = self.sequences().await?;
        let next = sequences.first().copied().unwrap_or(1).max(from);
        let end = sequences.last().map_or(0, |last| *last);
        Ok(Segments { log: self.clone(), next, end, last: None })
    }

    /// The number of the segment that holds what came at `position`, or of the first behind it; `None` if the log ends before.
    /// Reads as many segments as the logarithm of their number.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`]; [`Error::Store`].
    pub async fn locate(&self, position: Position) -> Result<Option<u64>, Error> {
        let sequences = self.sequences().await?;
        let (mut low, mut high) = (0, sequences.len());
        // Ends only ever grow, so those at or before the position are a front part.
        while low < high {
            let middle = low.midpoint(high);
            let Some(sequence) = sequences.get(middle) else { break };
            if self.read(*sequence).await?.0.last <= position {
                low = middle.saturating_add(1);
            } else {
                high = middle;
            }
        }
        Ok(sequences.get(low).copied())
    }

    /// Removes segments that end at or before `position`, the begin of the oldest base backup that is kept, from the oldest on; how many. The newest
    /// segment always stays. When it is stopped halfway, the rest has no gap.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`]; [`Error::Store`].
    pub async fn retain(&self, position: Position) -> Result<u64, Error> {
        let sequences = self.sequences().await?;
        let kept = self.locate(position).await?;
        let newest = sequences.last().copied();
        let mut removed: u64 = 0;
        for sequence in sequences {
            if kept.is_some_and(|kept| sequence >= kept) || Some(sequence) == newest {
                break;
            }
            let name = self.object(sequence);
            self.0.blobs.delete(&name).await.map_err(store("delete", &name, &self.0.config))?;
            removed = removed.saturating_add(1);
        }
        Ok(removed)
    }

    /// What was acknowledged once must still be there, unless retention let it go. One read, where all is well.
    pub(super) async fn check_known(&self, known: Option<&Tip>) -> Result<(), Error> {
        let Some(known) = known else { return Ok(()) };
        let name = self.object(known.sequence);
        let bytes = match self.0.blobs.get(&name).await {
            Err(buttress_connect::Error::NoBlob { .. }) => None,
            other => Some(other.map_err(store("read", &name, &self.0.config))?),
        };
        if let Some(bytes) = bytes {
            let same = Id::of(&bytes) == known.hash;
            let problem = "it is another than the one that was written: the log was replaced";
            return if same { Ok(()) } else { Err(self.damaged(&name, problem.to_owned())) };
        }
        let sequences = self.sequences().await?;
        let newest = sequences.last().copied().unwrap_or(0);
        if newest > known.sequence {
            return Ok(());
        }
        let lost = newest.saturating_add(1);
        let problem = format!(
            "the log was written up to number {}, and now it ends at {newest}: its end from number {lost} is lost",
            known.sequence
        );
        Err(self.damaged(&self.object(lost), problem))
    }

    /// All numbers in the store, in order and without a gap.
    async fn sequences(&self) -> Result<Vec<u64>, Error> {
        let folder = format!("log/{}", self.name());
        let names = self.0.blobs.list(&folder).await.map_err(store("list", &folder, &self.0.config))?;
        let parse = |name: &String| {
            let digits = name.strip_prefix(&folder)?.strip_prefix('/')?;
            let number = digits.len() == 20 && digits.bytes().all(|digit| digit.is_ascii_digit());
            number.then(|| digits.parse().ok()).flatten()
        };
        let sequences: Vec<u64> = names.iter().filter_map(parse).collect();
        for pair in sequences.array_windows() {
            let &[before, after] = pair;
            if after != before.saturating_add(1) {
                let missing = before.saturating_add(1);
                let problem = format!("it is missing, and number {after} behind it is there");
                return Err(self.damaged(&self.object(missing), problem));
            }
        }
        Ok(sequences)
    }

    async fn get(&self, sequence: u64) -> Result<Bytes, Error> {
        let name = self.object(sequence);
        match self.0.blobs.get(&name).await {
            Err(buttress_connect::Error::NoBlob { .. }) => {
                Err(self.damaged(&name, "it is missing".to_owned()))
            }
            other => other.map_err(store("read", &name, &self.0.config)),
        }
    }

    /// A segment, and the hash of the object before it.
    async fn read(&self, sequence: u64) -> Result<(Segment, Id), Error> {
        let bytes = self.get(sequence).await?;
        let damaged = |problem| self.damaged(&self.object(sequence), problem);
        let (segment, previous) = self.0.key.open_linked(self.name(), &bytes).map_err(damaged)?;
        if segment.sequence != sequence {
            return Err(damaged(format!(
                "it is number {} of this log in the place of {sequence}",
                segment.sequence
            )));
        }
        Ok((segment, previous))
    }

    /// Writes an object that must be new; one that is there with the same bytes was written by a call whose answer got lost.
    pub(super) async fn put(&self, sequence: u64, bytes: Bytes) -> Result<(), Error> {
        let name = self.object(sequence);
        let written = self.0.blobs.put_new(&name, bytes.clone()).await;
        if written.map_err(store("write", &name, &self.0.config))? || self.get(sequence).await? == bytes {
            return Ok(());
        }
        Err(self.refused(format!("somebody else wrote number {sequence}; another process ships this log")))
    }

    pub(super) fn object(&self, sequence: u64) -> String {
        format!("log/{}/{sequence:020}", self.name())
    }

    pub(super) fn config(&self) -> &LogConfig {
        &self.0.config
    }

    pub(super) fn ctx(&self) -> &Ctx {
        &self.0.ctx
    }

    pub(super) fn damaged(&self, object: &str, problem: String) -> Error {
        Error::Damaged { object: object.to_owned(), place: self.0.config.blobs.url.clone(), problem }
    }

    pub(super) fn refused(&self, problem: String) -> Error {
        Error::Log { log: self.name().to_owned(), place: self.0.config.blobs.url.clone(), problem }
    }
}

/// The segments of a log in order, each checked against the one before it.
#[derive(Debug)]
pub struct Segments {
    log: Log,
    next: u64,
    end: u64,
    last: Option<Tip>,
}

impl Segments {
    /// The next segment; `None` after the newest that was there when this was made.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`], which names the object, for one that is missing, does not open, stands in another's place, or does not follow the
    /// one before it; [`Error::Store`]. The same call may be tried again.
    pub async fn next(&mut self) -> Result<Option<Segment>, Error> {
        if self.next > self.end {
            return Ok(None);
        }
        let (segment, previous) = self.log.read(self.next).await?;
        let damaged = |problem| self.log.damaged(&self.log.object(segment.sequence), problem);
        if let Some(last) = &self.last {
            if previous != last.hash {
                return Err(damaged(
                    "it does not follow the one before it: one of the two was replaced".to_owned(),
                ));
            }
            follows(last.position, segment.first).map_err(damaged)?;
        } else if segment.sequence == 1 && previous != Id::new([0; 32]) {
            return Err(damaged("it is the first, and says that one was before it".to_owned()));
        }
        self.last = Some(segment.tip());
        self.next = self.next.saturating_add(1);
        Ok(Some(segment))
    }
}

async fn blobs(config: &LogConfig) -> Result<Blobs, Error> {
    config.validate().map_err(Error::Config)?;
    let opened = Blobs::open(&config.blobs, &config.connection).await;
    opened.map_err(store("open", &format!("log/{}", config.name), config))
}

fn store(
    doing: &'static str,
    object: &str,
    config: &LogConfig,
) -> impl FnOnce(buttress_connect::Error) -> Error {
    let (object, place) = (object.to_owned(), config.blobs.url.clone());
    move |error| Error::Store { doing, object, place, class: error.class(), source: error.into() }
}
