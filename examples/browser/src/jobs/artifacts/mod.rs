//! What jobs leave behind: screenshots, printed pages, downloads.
//!
//! An artifact is a file named by the BLAKE3 hash of its content, so the same bytes are kept once and a damaged file is
//! noticed when it is read. It is written under another name, synced and renamed: after a crash it is whole or not
//! there. When its file was last asked for is the file's time of modification, so the order of removal outlives the
//! process too.

mod files;
mod index;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use buttress_core::{ByteSize, Ctx, Rejection, RejectionReason, SharedClock};
use bytes::Bytes;
use serde::Serialize;
use tokio::sync::Semaphore;

use self::files::Files;
use self::index::{Index, Room};
use super::error::{Error, Result};
use super::time::millis;

/// Artifacts that are written or read at once, each by a thread; others wait in line.
const AT_ONCE: usize = 4;

/// An artifact put so recently, in milliseconds, is not removed: its job may be running.
const NEW: i64 = 60_000;

/// An artifact put so recently, in milliseconds, is not removed when the last job that names it is forgotten: another
/// that runs may be about to name it.
const MAYBE_WANTED: i64 = 3_600_000;

/// A folder of artifacts. Cheap to clone.
///
/// Past its quota the artifacts asked for longest ago are removed, but none that was put within the last minute.
#[derive(Clone)]
pub struct Artifacts(Arc<Inner>);

struct Inner {
    files: Files,
    index: Mutex<Index>,
    quota: ByteSize,
    clock: SharedClock,
    at_once: Arc<Semaphore>,
}

/// How much the artifacts take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Usage {
    /// How many there are.
    pub files: u64,
    /// What they take on the disk, in blocks of 4 KiB, those being written included.
    pub bytes: u64,
    /// What they may take.
    pub quota: u64,
    /// How many were removed for lack of room since the folder was opened.
    pub evicted: u64,
    /// How many were removed because no job names them any more.
    pub released: u64,
}

impl std::fmt::Debug for Artifacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Artifacts({:?})", self.0.files)
    }
}

impl Artifacts {
    /// Opens the artifacts in `folder`, makes it if it is not there, removes what a crash left half written, and
    /// evicts what is over `quota`. Waits for the disk. One process at a time may use a folder; that of a
    /// [`Store`](super::Store) sees to it.
    ///
    /// # Errors
    ///
    /// When the folder cannot be used.
    pub fn open(folder: &Path, quota: ByteSize, ctx: &Ctx) -> Result<Self> {
        let files = Files::open(folder)?;
        let mut index = Index::default();
        files.each(|hash, bytes, used| index.insert(hash, bytes, used, None))?;
        let clock = ctx.clock.clone();
        let over = index.make_room(0, quota.bytes(), i64::MAX);
        if let Room::Evict(hashes) = over {
            for hash in hashes {
                files.remove(&hash)?;
            }
        }
        let at_once = Arc::new(Semaphore::new(AT_ONCE));
        Ok(Self(Arc::new(Inner { files, index: Mutex::new(index), quota, clock, at_once })))
    }

    /// Keeps `content`, and gives its hash: 64 hexadecimal digits. It is on the disk when this returns.
    ///
    /// # Errors
    ///
    /// [`Error::ArtifactTooLarge`] when it is over the quota by itself, [`Error::NoRoom`] when what would have to
    /// give way is too new; when the disk refuses.
    pub async fn put(&self, content: Bytes) -> Result<String> {
        self.run(move |inner| inner.put(&content)).await
    }

    /// An artifact by its hash; `None` if it is not there, or has been removed.
    ///
    /// # Errors
    ///
    /// [`Error::CorruptArtifact`] when the file does not hold what was put; when the disk refuses.
    pub async fn get(&self, hash: &str) -> Result<Option<Bytes>> {
        let Ok(hash) = blake3::Hash::from_hex(hash) else { return Ok(None) };
        self.run(move |inner| inner.get(hash)).await
    }

    /// The hashes of all artifacts, in no order. See [`Store::unnamed`](super::Store::unnamed).
    #[must_use]
    pub fn hashes(&self) -> Vec<String> {
        self.0.index().hashes()
    }

    /// Lets go of artifacts that no job names any more, as [`Store::prune`](super::Store::prune) and
    /// [`Store::unnamed`](super::Store::unnamed) tell. They are
    /// removed; one that was put within the last hour only goes before all others when room is needed, since a job
    /// that runs may have put it again.
    ///
    /// # Errors
    ///
    /// When the disk refuses.
    pub async fn release(&self, hashes: Vec<String>) -> Result<()> {
        self.run(move |inner| {
            hashes
                .iter()
                .filter_map(|hash| blake3::Hash::from_hex(hash).ok())
                .try_for_each(|hash| inner.release(hash))
        })
        .await
    }

    /// How much the artifacts take.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let index = self.0.index();
        Usage { quota: self.0.quota.bytes(), ..index.usage() }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let turn = Arc::clone(&self.0.at_once).acquire_owned().await.map_err(|_| Error::Stopped)?;
        let inner = Arc::clone(&self.0);
        let task = move || {
            let _turn = turn;
            work(&inner)
        };
        tokio::task::spawn_blocking(task).await.map_err(|_| Error::Stopped)?
    }
}

impl Inner {
    fn index(&self) -> MutexGuard<'_, Index> {
        // Nothing that holds the lock can panic half-way.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, content: &[u8]) -> Result<String> {
        let (hash, bytes) = (blake3::hash(content), content.len() as u64);
        let now = millis(self.clock.wall());
        {
            let mut index = self.index();
            if self.files.has(&hash, bytes) && index.touch(&hash, now, true) {
                drop(index);
                self.files.touch(&hash, now);
                return Ok(hash.to_hex().to_string());
            }
            if Index::on_disk(bytes) > self.quota.bytes() {
                return Err(Error::ArtifactTooLarge { bytes, quota: self.quota });
            }
            // Its file is damaged or gone.
            index.remove(&hash);
            match index.make_room(bytes, self.quota.bytes(), now - NEW) {
                Room::Evict(hashes) => {
                    // Under the lock: a file put anew meanwhile would be removed with them.
                    hashes.iter().try_for_each(|hash| self.files.remove(hash))?;
                }
                Room::None => {
                    let wait = std::time::Duration::from_millis(NEW.unsigned_abs());
                    let source = Rejection::new(RejectionReason::Full).after(wait);
                    return Err(Error::NoRoom { bytes, quota: self.quota, source });
                }
            }
            index.reserve(bytes);
        }
        let written = self.files.write(&hash, content, now);
        let mut index = self.index();
        index.unreserve(bytes);
        written?;
        index.insert(hash, bytes, now, Some(now));
        Ok(hash.to_hex().to_string())
    }

    fn get(&self, hash: blake3::Hash) -> Result<Option<Bytes>> {
        let now = millis(self.clock.wall());
        if !self.index().touch(&hash, now, false) {
            return Ok(None);
        }
        let Some(content) = self.files.read(&hash)? else {
            // Evicted this moment, or removed by somebody else.
            let mut index = self.index();
            if !self.files.exists(&hash) {
                index.remove(&hash);
            }
            return Ok(None);
        };
        if blake3::hash(&content) != hash {
            self.index().doubt(&hash);
            return Err(Error::CorruptArtifact { hash: hash.to_hex().to_string() });
        }
        self.files.touch(&hash, now);
        Ok(Some(content.into()))
    }

    fn release(&self, hash: blake3::Hash) -> Result<()> {
        let now = millis(self.clock.wall());
        let mut index = self.index();
        if index.put_after(&hash, now - MAYBE_WANTED) {
            index.touch(&hash, 0, false);
            self.files.touch(&hash, 0);
        } else if index.remove(&hash) {
            self.files.remove(&hash)?;
            index.count_release();
        }
        Ok(())
    }
}
