//! The log as objects: each batch a blob that is never changed, named by the sequences in it.

use std::error::Error as StdError;
use std::sync::{Arc, Mutex, PoisonError};

use buttress_connect::blobs::Blobs;
use buttress_core::BoxFuture;
use bytes::Bytes;
use serde_json::{Value as Json, json};

use super::{Committed, Replica};
use crate::{Error, SignedCheckpoint, Witness, json};

/// Blobs `PREFIX/FIRST-END.jsonl`, each with the entries from sequence `FIRST` up to `END`, without it. A line is as that of
/// [`LineSink`](super::LineSink), with `bytes` beside: the canonical bytes in base64, so that a copy of the log can be
/// verified from its blobs alone.
///
/// Give the bucket a retention lock, and what is there cannot be taken back even by who owns this program.
#[derive(Debug, Clone)]
pub struct BlobSink {
    blobs: Blobs,
    prefix: String,
    /// What was found or put last, so that each batch does not list all blobs.
    next: Arc<Mutex<Option<u64>>>,
}

impl BlobSink {
    /// A sink that keeps its blobs under `prefix/`, which is the log's own.
    #[must_use]
    pub fn new(blobs: Blobs, prefix: impl Into<String>) -> Self {
        Self { blobs, prefix: prefix.into(), next: Arc::default() }
    }

    /// Reads entries from `first` on: those of the blob that has it. Empty when none has.
    ///
    /// # Errors
    ///
    /// [`Error::Backend`]; [`Error::Malformed`] when the blob is not what was put.
    pub async fn read(&self, first: u64) -> Result<Vec<Committed>, Error> {
        let all = self.names().await?;
        let Some(name) = all.iter().find(|name| name.first <= first && first < name.end) else {
            return Ok(Vec::new());
        };
        let found = self.entries(name).await?;
        Ok(found.into_iter().filter(|committed| committed.sequence() >= first).collect())
    }

    async fn names(&self) -> Result<Vec<Name>, Error> {
        let mut names: Vec<Name> = self
            .blobs
            .list(&self.prefix)
            .await?
            .iter()
            .filter_map(|name| Name::parse(&self.prefix, name))
            .collect();
        names.sort_unstable_by_key(|name| (name.first, name.end));
        Ok(names)
    }

    async fn entries(&self, name: &Name) -> Result<Vec<Committed>, Error> {
        let bytes = self.blobs.get(&name.path(&self.prefix)).await?;
        let wrong = || Error::malformed("a line of a blob is no entry");
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines
            .map(|line| {
                let fields: Json = serde_json::from_slice(line).map_err(|_| wrong())?;
                let bytes = fields.get("bytes").and_then(Json::as_str).ok_or_else(wrong)?;
                Committed::decode(crate::wire::from_base64(bytes).ok_or_else(wrong)?)
            })
            .collect()
    }

    /// Whether what is there under the same numbers is the same.
    async fn compare(&self, known: &[Committed]) -> Result<(), Error> {
        let (Some(first), Some(last)) = (known.first(), known.last()) else { return Ok(()) };
        let names = self.names().await?;
        for name in names.iter().filter(|name| name.first <= last.sequence() && name.end > first.sequence()) {
            for there in self.entries(name).await? {
                let ours = known.iter().find(|ours| ours.sequence() == there.sequence());
                if ours.is_some_and(|ours| ours.leaf != there.leaf) {
                    return Err(Error::Diverged { sequence: there.sequence() });
                }
            }
        }
        Ok(())
    }

    fn note(&self, next: Option<u64>) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }
}

impl Replica for BlobSink {
    async fn next(&self) -> Result<u64, Error> {
        let known = *self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(next) = known {
            return Ok(next);
        }
        let next = self.names().await?.iter().map(|name| name.end).max().unwrap_or(0);
        self.note(Some(next));
        Ok(next)
    }

    async fn put(&self, batch: &[Committed]) -> Result<(), Error> {
        let next = self.next().await?;
        let (known, new) = batch.split_at(batch.partition_point(|committed| committed.sequence() < next));
        self.compare(known).await?;
        let (Some(first), Some(last)) = (new.first(), new.last()) else { return Ok(()) };
        let name = Name { first: first.sequence(), end: last.sequence() + 1 };
        let mut text = Vec::new();
        for committed in new {
            line(committed, &mut text);
        }
        // Until it is known how this ended, the blobs themselves say where the sink stands.
        self.note(None);
        if !self.blobs.put_new(&name.path(&self.prefix), Bytes::from(text)).await? {
            self.compare(new).await?;
        }
        self.note(Some(name.end));
        Ok(())
    }
}

/// Checkpoints beside the entries, each a blob `PREFIX/checkpoint-SIZE.note` that is never changed: with both, whoever can read the
/// place can verify the log without its machine.
impl Witness for BlobSink {
    fn publish<'a>(
        &'a self,
        checkpoint: &'a SignedCheckpoint,
    ) -> BoxFuture<'a, Result<(), Box<dyn StdError + Send + Sync>>> {
        Box::pin(async move {
            let size = checkpoint.checkpoint().size;
            let name = format!("{}/checkpoint-{size:020}.note", self.prefix);
            if self.blobs.put_new(&name, Bytes::from(checkpoint.to_string())).await? {
                return Ok(());
            }
            let there = self.blobs.get(&name).await?;
            let there: SignedCheckpoint = std::str::from_utf8(&there)?.parse()?;
            if there.checkpoint() == checkpoint.checkpoint() {
                return Ok(());
            }
            Err(Error::Diverged { sequence: size.saturating_sub(1) }.into())
        })
    }
}

fn line(committed: &Committed, to: &mut Vec<u8>) {
    let mut fields = json::record(&committed.record);
    fields.insert("leaf".to_owned(), json!(data_encoding::HEXLOWER.encode(&committed.leaf.0)));
    fields.insert("bytes".to_owned(), json!(data_encoding::BASE64.encode(&committed.bytes)));
    to.extend_from_slice(Json::Object(fields).to_string().as_bytes());
    to.push(b'\n');
}

/// Which entries a blob has.
struct Name {
    first: u64,
    end: u64,
}

impl Name {
    /// Numbers of one length, so that names sort as numbers do.
    fn path(&self, prefix: &str) -> String {
        format!("{prefix}/{:020}-{:020}.jsonl", self.first, self.end)
    }

    fn parse(prefix: &str, path: &str) -> Option<Self> {
        let name = path.strip_prefix(prefix)?.strip_prefix('/')?.strip_suffix(".jsonl")?;
        let (first, end) = name.split_once('-')?;
        let name = Self { first: first.parse().ok()?, end: end.parse().ok()? };
        (name.path(prefix) == path && name.first < name.end).then_some(name)
    }
}
