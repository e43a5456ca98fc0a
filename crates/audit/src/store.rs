//! What the one writer does to the disk: frames, segments, seals, checkpoints. Each either happened or can be tried again.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Disk, DiskFile};
use crate::layout::{Layout, Meta};
use crate::merkle::{CompactRange, Hash};
use crate::metrics::Metrics;
use crate::note::{Checkpoint, NoteSigner, SignedCheckpoint};
use crate::seal::{EpochKey, SLOT, Stand};
use crate::segment::{FRAME_HEADER, HEADER, Header, build};
use crate::tree::Tree;
use crate::{Error, random};

/// The log on the disk, as the writer has it.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) layout: Layout,
    pub(crate) meta: Meta,
    pub(crate) segment_bytes: u64,
    pub(crate) session: u64,
    pub(crate) range: CompactRange,
    pub(crate) chain: Hash,
    pub(crate) open: Option<Open>,
    /// The segment before the next one.
    pub(crate) last: Last,
    pub(crate) tree: Arc<Mutex<Tree>>,
    pub(crate) seals: Appended,
    pub(crate) checkpoints: Appended,
    pub(crate) key: KeyFile,
    pub(crate) signer: NoteSigner,
    pub(crate) latest: Option<SignedCheckpoint>,
    pub(crate) sealed: u64,
    pub(crate) metrics: Metrics,
}

/// The segment that is written to.
#[derive(Debug)]
pub(crate) struct Open {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    marker: [u8; 8],
    number: u64,
    /// Up to where it is durable.
    offset: u64,
    times: (i64, i64),
    /// How it was before, should it come to nothing.
    before: (Last, Hash),
}

/// What the header of a segment tells of the one before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Last {
    pub(crate) number: u64,
    pub(crate) length: u64,
    pub(crate) times: (i64, i64),
    pub(crate) failed: bool,
}

/// A group of entries with their hashes, as a frame that lacks its header and its chain.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) bytes: Vec<u8>,
    pub(crate) leaves: Vec<Hash>,
    pub(crate) times: (i64, i64),
}

impl Group {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; FRAME_HEADER], leaves: Vec::new(), times: NEVER }
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.truncate(FRAME_HEADER);
        self.leaves.clear();
        self.times = NEVER;
    }

    pub(crate) fn push(&mut self, entry: &[u8]) {
        self.bytes.extend_from_slice(&u32::try_from(entry.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.bytes.extend_from_slice(entry);
        self.leaves.push(crate::merkle::leaf_hash(entry));
        self.times = spanning(self.times, time_in(entry));
    }
}

/// The span of no times.
pub(crate) const NEVER: (i64, i64) = (i64::MAX, i64::MIN);

/// When an entry happened, from its canonical bytes.
pub(crate) fn time_in(entry: &[u8]) -> i64 {
    let at = entry.get(crate::entry::PREFIX..).and_then(<[u8]>::first_chunk);
    at.copied().map_or(0, i64::from_be_bytes)
}

pub(crate) fn spanning(times: (i64, i64), at: i64) -> (i64, i64) {
    (times.0.min(at), times.1.max(at))
}

impl Store {
    pub(crate) fn size(&self) -> u64 {
        self.range.size()
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a group durable: when it returns, its entries are in the log. A segment in which that failed is given up and a new one
    /// tried once: what a failed fsync has lost, a second one does not bring back.
    pub(crate) fn commit(&mut self, group: &mut Group, now: i64) -> Result<(), Error> {
        if self.open.as_ref().is_some_and(|open| {
            open.offset > HEADER as u64
                && open.offset.saturating_add(group.bytes.len() as u64) > self.segment_bytes
        }) {
            self.close_segment(false);
        }
        let first = self.try_commit(group, now);
        let Err(error) = first else { return Ok(()) };
        tracing::warn!(target: "buttress::audit", error = %buttress_core::chain(&error), "a segment is given up");
        self.metrics.disk_failures.increment(1);
        self.close_segment(true);
        self.try_commit(group, now).inspect_err(|_| self.close_segment(true))
    }

    fn try_commit(&mut self, group: &mut Group, now: i64) -> Result<(), Error> {
        if self.open.is_none() {
            self.open = Some(self.new_segment(now)?);
        }
        let (size, chain) = (self.size(), self.chain);
        let Some(open) = &mut self.open else { return Err(Error::Closed) };
        let entries = group.bytes.len();
        let after = build(&mut group.bytes, size, &group.leaves, open.marker, &chain);
        let written = open
            .file
            .write_at(&group.bytes, open.offset)
            .map_err(Error::disk("write", &open.path))
            .and_then(|()| open.file.sync().map_err(Error::disk("sync", &open.path)));
        let length = group.bytes.len() as u64;
        group.bytes.truncate(entries);
        written?;
        open.offset += length;
        open.times = (open.times.0.min(group.times.0), open.times.1.max(group.times.1));
        self.chain = after;
        let tree = Arc::clone(&self.tree);
        let mut tree = tree.lock().unwrap_or_else(PoisonError::into_inner);
        for leaf in &group.leaves {
            self.range.push_into(*leaf, |node| tree.push(node));
        }
        Ok(())
    }

    fn new_segment(&mut self, now: i64) -> Result<Open, Error> {
        // What the header says of the tree can be read back before it is said.
        self.tree().sync()?;
        let mut marker = [0; 8];
        random(&mut marker)?;
        let number = self.last.number + 1;
        let header = Header {
            log: self.meta.id,
            number,
            first: self.size(),
            opened: now,
            session: self.session,
            marker,
            root: self.range.root(),
            chain: self.chain,
            previous_length: self.last.length,
            previous_times: self.last.times,
            previous_failed: self.last.failed,
        };
        let path = self.layout.segment(number);
        let file = self.disk.create(&path).map_err(Error::disk("create", &path))?;
        // The header is durable before any frame, so a frame is never there without it.
        let made = file
            .write_at(&header.encode(), 0)
            .and_then(|()| file.sync())
            .and_then(|()| self.disk.sync_folder(self.layout.folder()));
        if let Err(error) = made {
            let _ = self.disk.remove(&path);
            return Err(Error::disk("begin", &path)(error));
        }
        let before = (self.last, std::mem::replace(&mut self.chain, header.chain_start()));
        self.metrics.segments.increment(1);
        Ok(Open { file, path, marker, number, offset: HEADER as u64, times: NEVER, before })
    }

    /// Writes no more to the segment. What follows its durable part does not count.
    pub(crate) fn close_segment(&mut self, failed: bool) {
        let Some(open) = self.open.take() else { return };
        if open.offset == HEADER as u64 && self.disk.remove(&open.path).is_ok() {
            // Nothing was acknowledged in it: its number is free again.
            (self.last, self.chain) = open.before;
            return;
        }
        if failed {
            // So that a crash before the next header does not bring back what was refused. The header says it too.
            let _ = open.file.truncate(open.offset).and_then(|()| open.file.sync());
        }
        let times = if open.times == NEVER { (0, 0) } else { open.times };
        self.last = Last { number: open.number, length: open.offset, times, failed };
    }

    /// Seals and signs how the log stands, if it has grown since the last time. After a failure it can be called again.
    pub(crate) fn milestone(&mut self, now: i64) -> Result<Option<SignedCheckpoint>, Error> {
        self.key.advance_if_used()?;
        let (size, root) = (self.size(), self.range.root());
        if size > self.sealed {
            let stand = Stand { size, root, chain: self.chain, time: now };
            let seal = self.key.key.seal(&self.meta.id, &stand);
            self.seals.append(&format!("{seal}\n"))?;
            self.sealed = size;
            self.key.used = true;
            self.key.advance_if_used()?;
        }
        if self.latest.as_ref().is_none_or(|latest| latest.checkpoint().size < size) {
            let origin = self.signer.verifier().name().to_owned();
            let signed = self.signer.sign(Checkpoint { origin, size, root });
            self.checkpoints.append(&format!("{signed}\n"))?;
            self.latest = Some(signed.clone());
            self.metrics.checkpoints.increment(1);
            return Ok(Some(signed));
        }
        Ok(None)
    }

    /// Before it is given up for good: nothing of the tree is only in memory.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        self.close_segment(false);
        self.tree().sync()
    }
}

/// A text file that grows. What comes after a write that failed overwrites it.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) file: Box<dyn DiskFile>,
    pub(crate) path: PathBuf,
    pub(crate) length: u64,
}

impl Appended {
    fn append(&mut self, text: &str) -> Result<(), Error> {
        let told = |doing| Error::disk(doing, &self.path);
        self.file.truncate(self.length).map_err(told("cut"))?;
        self.file.write_at(text.as_bytes(), self.length).map_err(told("write"))?;
        self.file.sync().map_err(told("sync"))?;
        self.length += text.len() as u64;
        Ok(())
    }
}

/// The sealing key in its file, which has two places: the next is written to the one before that of now is overwritten in the other.
#[derive(Debug)]
pub(crate) struct KeyFile {
    pub(crate) file: Box<dyn DiskFile>,
    pub(crate) path: PathBuf,
    pub(crate) key: EpochKey,
    /// In which place it is: 0 or 1.
    pub(crate) slot: u64,
    /// Whether it has sealed.
    pub(crate) used: bool,
    /// Whether the other place may still have the key before it.
    pub(crate) stale: bool,
}

impl KeyFile {
    pub(crate) fn advance_if_used(&mut self) -> Result<(), Error> {
        if self.used {
            self.advance()?;
        }
        if self.stale {
            self.erase(1 - self.slot)?;
            self.stale = false;
        }
        Ok(())
    }

    /// Once the next key is durable it is the key, and its place is written to no more: a write that fails there could take it.
    fn advance(&mut self) -> Result<(), Error> {
        let told = |doing| Error::disk(doing, &self.path);
        let (next, other, size) = (self.key.next(), 1 - self.slot, SLOT as u64);
        self.file.write_at(&*next.slot(), other * size).map_err(told("write"))?;
        self.file.sync().map_err(told("sync"))?;
        (self.key, self.slot, self.used, self.stale) = (next, other, false, true);
        Ok(())
    }

    /// Overwrites a place.
    fn erase(&self, slot: u64) -> Result<(), Error> {
        let told = |doing| Error::disk(doing, &self.path);
        self.file.write_at(&[0; SLOT], slot * SLOT as u64).map_err(told("overwrite"))?;
        self.file.sync().map_err(told("sync"))
    }
}
