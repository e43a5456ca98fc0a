//! From blobs to packs in the store.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
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

/// How large a pack is at least, but for the last ones of a run. One of each kind is filled, and some are under way: with 16 MiB, as restic has it,
/// the packs alone would take more memory than restic does.
pub(crate) const PACK_SIZE: usize = 8 << 20;
/// How many packs are on their way to the store at a time: as much memory.
const IN_FLIGHT: usize = 2;
/// Compresses and seals blobs. One for each thread.
pub(crate) struct Packer {
    compressor: Compressor,
    sealed: Vec<u8>,
}

impl Packer {
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(Self { compressor: Compressor::new()?, sealed: Vec::new() })
    }

    /// Stores a blob unless the repository has it. Its name, and whether it was new.
    pub(super) fn store(
        &mut self,
        shared: &Shared<'_>,
        kind: BlobKind,
        bytes: &[u8],
    ) -> Result<(Id, bool), Error> {
        let id = Id::of(bytes);
        if !shared.take_on(kind, &id) {
            return Ok((id, false));
        }
        self.add(&shared.uploads, kind, id, bytes)?;
        Ok((id, true))
    }

    /// Stores a blob of this name, which nobody has stored.
    pub(crate) fn add(
        &mut self,
        uploads: &Uploads,
        kind: BlobKind,
        id: Id,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let (content, uncompressed) = match (self.compressor.compress(bytes)?, u32::try_from(bytes.len())) {
            (Some(small), Ok(length)) => (small, Some(length)),
            _ => (bytes, None),
        };
        self.sealed.clear();
        uploads.objects.key.seal_onto(content, &mut self.sealed)?;
        uploads.add(kind, id, &self.sealed, uncompressed)
    }
}

/// Packs that are filled, those on their way to the store, and the index of those that have arrived.
pub(crate) struct Uploads {
    objects: Objects,
    /// Of data and of trees. All threads fill the same two, so that memory does not grow with them, and what was read together lies together.
    filling: [Mutex<PackBuilder>; 2],
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
            filling: Default::default(),
            permits: Arc::new(Semaphore::new(IN_FLIGHT)),
            state: Mutex::default(),
        }
    }

    /// Puts a sealed blob into the pack of its kind, and sends that if it is full.
    fn add(&self, kind: BlobKind, id: Id, sealed: &[u8], uncompressed: Option<u32>) -> Result<(), Error> {
        let [data, trees] = &self.filling;
        let filling = match kind {
            BlobKind::Data => data,
            BlobKind::Tree => trees,
        };
        let mut filling = filling.lock().unwrap_or_else(PoisonError::into_inner);
        filling.add_sealed(kind, id, sealed, uncompressed)?;
        if filling.len() < PACK_SIZE {
            return Ok(());
        }
        // Before the next pack is begun, so that no more than one is filled however many threads wait.
        let permit = self.permit()?;
        let full = std::mem::take(&mut *filling);
        drop(filling);
        self.send_with(permit, full.finish(&self.objects.key)?)
    }

    /// Sends a pack, and waits while too many are under way.
    pub(crate) fn send(&self, pack: Pack) -> Result<(), Error> {
        self.send_with(self.permit()?, pack)
    }

    /// What allows for a pack on its way, when there are not too many.
    fn permit(&self) -> Result<OwnedSemaphorePermit, Error> {
        self.objects.go_on()?;
        // Nobody closes it.
        let permit = self.objects.runtime.block_on(Arc::clone(&self.permits).acquire_owned());
        permit.map_err(|_| Error::Stopped)
    }

    fn send_with(&self, permit: OwnedSemaphorePermit, pack: Pack) -> Result<(), Error> {
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

    /// Sends what is left, waits until all has arrived, and writes the index of it. How many bytes of packs were sent.
    pub(crate) fn finish(&self) -> Result<u64, Error> {
        for filling in &self.filling {
            let last = std::mem::take(&mut *filling.lock().unwrap_or_else(PoisonError::into_inner));
            if !last.is_empty() {
                self.send(last.finish(&self.objects.key)?)?;
            }
        }
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
