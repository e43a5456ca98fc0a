//! The log as an application has it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use buttress_core::{Ctx, chain};
use tokio::sync::{oneshot, watch};

use crate::entry::PREFIX;
use crate::layout::{Layout, Meta};
use crate::merkle::{Hash, consistency, inclusion, root_at};
use crate::metrics::Metrics;
use crate::note::{NoteVerifier, SignedCheckpoint};
use crate::proof::{ConsistencyProof, InclusionProof};
use crate::queue::Queue;
use crate::reader::LogReader;
use crate::spill::Spill;
use crate::tree::Tree;
use crate::{AuditConfig, Entry, Error, FssSeed, LogOptions};

/// Where an entry is in the log: told once it is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Receipt {
    /// Its number, from 0.
    pub sequence: u64,
    /// Its hash: who keeps it can ask for a proof that the entry is there, and unchanged.
    pub leaf_hash: Hash,
}

/// A tamper-evident log in a folder, open for writing. Cheap to clone; when the last clone is gone, or
/// [`Shutdown`](buttress_core::Shutdown) asks for it, what waits is written and the log is sealed, signed and closed.
#[derive(Debug, Clone)]
pub struct Log(Arc<Handle>);

#[derive(Debug)]
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.queue.close();
    }
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) ctx: Ctx,
    pub(crate) config: AuditConfig,
    pub(crate) layout: Layout,
    pub(crate) meta: Meta,
    pub(crate) queue: Queue,
    pub(crate) spill: Spill,
    pub(crate) group: usize,
    pub(crate) checkpoint_entries: u64,
    pub(crate) tree: Arc<Mutex<Tree>>,
    pub(crate) committed: watch::Sender<u64>,
    pub(crate) signed: watch::Sender<Option<SignedCheckpoint>>,
    pub(crate) done: watch::Sender<bool>,
    pub(crate) metrics: Metrics,
    pub(crate) status: Mutex<Status>,
}

/// What is wrong, for the probe.
#[derive(Debug, Default, Clone)]
pub(crate) struct Status {
    pub(crate) disk: Option<String>,
    pub(crate) sealing: Option<String>,
    /// By the place of the witness.
    pub(crate) witnesses: BTreeMap<usize, String>,
    pub(crate) lost: u64,
    pub(crate) lost_why: String,
}

impl Shared {
    pub(crate) fn status<T>(&self, change: impl FnOnce(&mut Status) -> T) -> T {
        change(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn healthy(&self) {
        self.status(|status| status.disk = None);
    }

    pub(crate) fn failing(&self, error: &Error) {
        self.status(|status| status.disk = Some(chain(error)));
    }

    pub(crate) fn sealing(&self, error: Option<&Error>) {
        self.status(|status| status.sealing = error.map(|error| chain(error)));
    }

    pub(crate) fn lost(&self, why: &str) {
        self.status(|status| {
            status.lost += 1;
            why.clone_into(&mut status.lost_why);
        });
    }

    /// The canonical bytes but for their prefix.
    pub(crate) fn encode(&self, entry: &Entry) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::with_capacity(256);
        bytes.resize(PREFIX, 0);
        entry.encode_body(&mut bytes)?;
        let limit = self.config.entry.as_usize();
        if bytes.len() > limit { Err(Error::TooLong { bytes: bytes.len(), limit }) } else { Ok(bytes) }
    }

    fn nodes<T>(&self, read: impl FnOnce(&Tree) -> Result<T, Error>) -> Result<T, Error> {
        read(&self.tree.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Log {
    /// Makes a log in the folder of the configuration, and opens it. The seed is for the offline keeping: it is nowhere else.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn create(config: &AuditConfig, ctx: &Ctx) -> Result<(Self, FssSeed), Error> {
        LogOptions::new(config).create(ctx).await
    }

    /// Opens the log in the folder of the configuration: cuts what a crash has torn, and refuses what no crash does.
    ///
    /// It reads the last segment. [`verify`](crate::verify::verify) reads all.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn open(config: &AuditConfig, ctx: &Ctx) -> Result<Self, Error> {
        LogOptions::new(config).open(ctx).await
    }

    pub(crate) fn of(shared: Arc<Shared>) -> Self {
        Self(Arc::new(Handle(shared)))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }

    /// Logs an entry, and answers once it is on the disk. Waits for room in the queue.
    ///
    /// Many who wait share one fsync. Dropped after it found room, the entry may be logged all the same. After [`Error::Disk`] it may
    /// be there when the log is opened again, and is not before.
    pub async fn append(&self, entry: &Entry) -> Result<Receipt, Error> {
        let shared = self.shared();
        let bytes = shared.encode(entry)?;
        let (reply, answer) = oneshot::channel();
        shared.queue.push(bytes, reply).await?;
        answer.await.map_err(|_| Error::Closed)?
    }

    /// How many entries are on the disk.
    #[must_use]
    pub fn size(&self) -> u64 {
        *self.shared().committed.borrow()
    }

    /// Completes with the size once it is over `size`, or once the log is closed.
    pub async fn grown_past(&self, size: u64) -> u64 {
        let (mut committed, mut done) = (self.shared().committed.subscribe(), self.shared().done.subscribe());
        tokio::select! {
            grown = committed.wait_for(|now| *now > size) => grown.map_or(size, |now| *now),
            _ = done.wait_for(|done| *done) => self.size(),
        }
    }

    /// The root of the tree of the first `size` entries.
    pub fn root_at(&self, size: u64) -> Result<Hash, Error> {
        self.in_size(size)?;
        self.shared().nodes(|tree| root_at(tree, size))
    }

    /// Proves that an entry is in the tree of the first `size` entries. Costs about twice as many reads of 32 bytes as the size has
    /// binary digits.
    pub fn prove_inclusion(&self, sequence: u64, size: u64) -> Result<InclusionProof, Error> {
        self.in_size(size)?;
        if sequence >= size {
            return Err(Error::NotThere { sequence, size });
        }
        self.shared().nodes(|tree| InclusionProof::of(tree, sequence, size, inclusion(tree, sequence, size)?))
    }

    /// Proves that the first `old` entries are how the first `size` entries begin.
    pub fn prove_consistency(&self, old: u64, size: u64) -> Result<ConsistencyProof, Error> {
        self.in_size(size)?;
        if old > size {
            return Err(Error::NotThere { sequence: old, size });
        }
        self.shared().nodes(|tree| ConsistencyProof::of(tree, old, size, consistency(tree, old, size)?))
    }

    fn in_size(&self, size: u64) -> Result<(), Error> {
        let have = self.size();
        if size > have { Err(Error::NotThere { sequence: size, size: have }) } else { Ok(()) }
    }

    /// Seals and signs how the log stands, and answers the checkpoint; the last one if nothing came since.
    ///
    /// # Errors
    ///
    /// [`Error::Disk`], [`Error::Closed`].
    pub async fn checkpoint(&self) -> Result<SignedCheckpoint, Error> {
        let (reply, answer) = oneshot::channel();
        self.shared().queue.ask_checkpoint(reply);
        answer.await.map_err(|_| Error::Closed)?
    }

    /// The last checkpoint, without making one.
    #[must_use]
    pub fn latest_checkpoint(&self) -> Option<SignedCheckpoint> {
        self.shared().signed.borrow().clone()
    }

    /// What checks its checkpoints. To be kept elsewhere as well: whoever changes the log can change its own copy.
    #[must_use]
    pub fn verifier(&self) -> &NoteVerifier {
        &self.shared().meta.verifier
    }

    /// Reads what is on the disk now.
    pub fn reader(&self) -> Result<LogReader, Error> {
        let size = self.size();
        LogReader::at(self.shared().layout.clone(), Some(size))
    }

    /// Writes what waits, seals, signs and closes. Entries of others that come now are refused with [`Error::Closed`].
    ///
    /// # Errors
    ///
    /// [`Error::Disk`] or the like when it could not be sealed and signed; what was acknowledged is on the disk all the same.
    pub async fn close(&self) -> Result<(), Error> {
        let shared = self.shared();
        shared.queue.close();
        let mut done = shared.done.subscribe();
        // Fails only when the sender is gone, and `self` holds it.
        let _ = done.wait_for(|done| *done).await;
        let problem = shared.status(|status| status.sealing.clone());
        problem.map_or(Ok(()), |problem| Err(Error::damaged(&shared.layout.seals(), problem)))
    }
}
