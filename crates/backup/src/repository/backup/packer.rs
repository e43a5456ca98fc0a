//! From blobs to packs in the store.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Shared;
use crate::format::BlobKind;
use crate::format::index::IndexedPack;
use crate::format::pack::{Pack, PackBuilder};
use crate::format::zstandard::Compressor;
use crate::repository::index::IndexWriter;
use crate::repository::objects::Objects;
use crate::store::{Existing, Store};
use crate::{Error, Id, Object, ObjectKind};

/// How large a pack is at least, but for the last ones of a run. Each thread fills one, and some are under way: with 16 MiB, as restic has it, the
/// packs alone would take more memory than restic does.
pub(crate) const PACK_SIZE: usize = 8 << 20;
/// How many packs are on their way to the store at a time: as much memory.
const IN_FLIGHT: usize = 2;
/// The level of compression, whose speed that of the whole backup is.
pub(crate) const LEVEL: i32 = 3;

/// Fills packs with blobs of one kind. One for each thread.
pub(crate) struct Packer {
    kind: BlobKind,
    compressor: Compressor,
    pack: PackBuilder,
}

impl Packer {
    pub(crate) fn new(kind: BlobKind) -> Result<Self, Error> {
        Ok(Self { kind, compressor: Compressor::new(LEVEL)?, pack: PackBuilder::default() })
    }

    /// Stores a blob unless the repository has it. Its name, and whether it was new.
    pub(super) fn store(&mut self, shared: &Shared<'_>, bytes: &[u8]) -> Result<(Id, bool), Error> {
        let id = Id::of(bytes);
        if !shared.take_on(self.kind, &id) {
            return Ok((id, false));
        }
        self.add(&shared.uploads, id, bytes)?;
        Ok((id, true))
    }

    /// Stores a blob of this name, which nobody has stored.
    pub(crate) fn add(&mut self, uploads: &Uploads, id: Id, bytes: &[u8]) -> Result<(), Error> {
        let key = &uploads.objects.key;
        match (self.compressor.compress(bytes)?, u32::try_from(bytes.len())) {
            (Some(small), Ok(length)) => self.pack.add(key, self.kind, id, &small, Some(length))?,
            _ => self.pack.add(key, self.kind, id, bytes, None)?,
        }
        if self.pack.len() >= PACK_SIZE { self.send(uploads) } else { Ok(()) }
    }

    /// Puts together what packers of one kind have not sent yet, and sends it.
    pub(crate) fn finish(packers: impl IntoIterator<Item = Self>, uploads: &Uploads) -> Result<(), Error> {
        let mut packers = packers.into_iter();
        let Some(mut last) = packers.next() else { return Ok(()) };
        for other in packers {
            last.pack.append(other.pack)?;
            if last.pack.len() >= PACK_SIZE {
                last.send(uploads)?;
            }
        }
        last.send(uploads)
    }

    fn send(&mut self, uploads: &Uploads) -> Result<(), Error> {
        let pack = std::mem::take(&mut self.pack);
        if pack.is_empty() { Ok(()) } else { uploads.send(pack.finish(&uploads.objects.key)?) }
    }
}

/// Packs on their way to the store, and the index of those that have arrived.
pub(crate) struct Uploads {
    objects: Objects,
    permits: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    under_way: JoinSet<Result<IndexedPack, Error>>,
    index: IndexWriter,
    bytes: u64,
}

impl Uploads {
    pub(crate) fn new(objects: &Objects) -> Self {
        Self {
            objects: objects.clone(),
            permits: Arc::new(Semaphore::new(IN_FLIGHT)),
            state: Mutex::default(),
        }
    }

    /// Sends a pack, and waits while too many are under way.
    pub(crate) fn send(&self, pack: Pack) -> Result<(), Error> {
        self.objects.go_on()?;
        let permit = self.objects.runtime.block_on(Arc::clone(&self.permits).acquire_owned());
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.bytes += pack.bytes.len() as u64;
        let store = self.objects.store().clone();
        let upload = async move {
            let _permit = permit;
            let object = Object::new(ObjectKind::Pack, pack.about.id);
            store.put(object, pack.bytes.into(), Existing::Replaced).await?;
            Ok(pack.about)
        };
        state.under_way.spawn_on(upload, &self.objects.runtime);
        while let Some(done) = state.under_way.try_join_next() {
            let pack = arrived(done)?;
            state.index.add(&self.objects, pack)?;
        }
        Ok(())
    }

    /// Waits until all has arrived, and writes the index of it. How many bytes of packs were sent.
    pub(crate) fn finish(&self) -> Result<u64, Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(done) = self.objects.runtime.block_on(state.under_way.join_next()) {
            let pack = arrived(done)?;
            state.index.add(&self.objects, pack)?;
        }
        state.index.flush(&self.objects)?;
        Ok(state.bytes)
    }
}

fn arrived(done: Result<Result<IndexedPack, Error>, tokio::task::JoinError>) -> Result<IndexedPack, Error> {
    done.unwrap_or_else(|gone| {
        let problem = format!("the upload of a pack ended early: {gone}");
        Err(if gone.is_cancelled() { Error::Stopped } else { Error::Internal { problem } })
    })
}
