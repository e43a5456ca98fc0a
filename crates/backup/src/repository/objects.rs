//! The objects of an open repository, as threads that may wait see them.

use std::fmt::Display;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use buttress_core::Ctx;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;

use super::written::Written;
use crate::format::crypto::SealKey;
use crate::format::{Malformed, unpacked};
use crate::store::{DynStore, Existing, Listed, Store};
use crate::{Error, Id, Object, ObjectKind};

/// The store, the key, and whether to go on. Cheap to clone. Its calls block, so they are for threads of their own.
#[derive(Clone)]
pub(crate) struct Objects {
    store: DynStore,
    pub(crate) key: Arc<SealKey>,
    pub(crate) ctx: Ctx,
    pub(crate) runtime: Handle,
    /// How long locks of others are waited for.
    pub(crate) patience: Duration,
    given_up: Arc<AtomicBool>,
    pub(super) snapshots_written: Written,
}

/// Tells the work that nobody waits for it any more, when dropped.
pub(crate) struct GiveUp(Arc<AtomicBool>);

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Objects {
    pub(crate) fn new(store: DynStore, key: Arc<SealKey>, ctx: Ctx) -> Self {
        let (runtime, patience) = (Handle::current(), Duration::ZERO);
        Self {
            store,
            key,
            ctx,
            runtime,
            patience,
            given_up: Arc::default(),
            snapshots_written: Written::default(),
        }
    }

    /// The same objects under another key.
    pub(crate) fn with_key(&self, key: Arc<SealKey>) -> Self {
        Self { key, ..self.clone() }
    }

    /// What makes the work of this handle stop when dropped.
    pub(crate) fn give_up_on_drop(&self) -> GiveUp {
        GiveUp(Arc::clone(&self.given_up))
    }

    /// That it may go on.
    pub(crate) fn go_on(&self) -> Result<(), Error> {
        let stopped = self.given_up.load(Ordering::Relaxed) || self.ctx.shutdown.is_stopping();
        if stopped { Err(Error::Stopped) } else { Ok(()) }
    }

    pub(crate) fn place(&self) -> String {
        self.store.place()
    }

    /// The time of day.
    pub(crate) fn now(&self) -> Timestamp {
        // A clock beyond the year 9999 is treated as one that stands at its end.
        Timestamp::try_from(self.ctx.clock.wall()).unwrap_or(Timestamp::MAX)
    }

    pub(crate) fn get(&self, object: Object, range: Option<Range<u64>>) -> Result<Bytes, Error> {
        self.go_on()?;
        self.runtime.block_on(self.store.get(object, range))
    }

    /// All objects of a kind; of snapshots also those that were written here and that the store is late to list. What is not listed is
    /// not needed by anybody, for a prune.
    pub(crate) fn list(&self, kind: ObjectKind) -> Result<Vec<Listed>, Error> {
        self.go_on()?;
        let mut listed = self.runtime.block_on(self.store.list(kind))?;
        if kind == ObjectKind::Snapshot {
            for late in self.snapshots_written.missing_in(&listed) {
                match self.get(late.object, Some(0..1)) {
                    Ok(_) => listed.push(late),
                    Err(Error::Missing { .. }) => self.snapshots_written.remove(late.object),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(listed)
    }

    pub(crate) fn put(&self, object: Object, bytes: impl Into<Bytes>) -> Result<(), Error> {
        self.go_on()?;
        let bytes = bytes.into();
        let size = bytes.len() as u64;
        self.runtime.block_on(self.store.put(object, bytes, Existing::Replaced))?;
        if object.kind() == ObjectKind::Snapshot {
            self.snapshots_written.add(object, size);
        }
        Ok(())
    }

    /// Deletes also when it should stop: what was begun is tidied up.
    pub(crate) fn delete(&self, object: Object) -> Result<(), Error> {
        self.runtime.block_on(self.store.delete(object))?;
        self.snapshots_written.remove(object);
        Ok(())
    }

    pub(crate) fn store(&self) -> &DynStore {
        &self.store
    }

    /// An object whole, whose bytes are those of its name.
    pub(crate) fn get_whole(&self, object: Object) -> Result<Bytes, Error> {
        or_again(|| self.get_whole_once(object))
    }

    fn get_whole_once(&self, object: Object) -> Result<Bytes, Error> {
        let bytes = self.get(object, None)?;
        // The name of the config says nothing of its content.
        match object.kind() {
            ObjectKind::Config if bytes.is_empty() => Err(self.damaged(object, "it is empty")),
            ObjectKind::Config => Ok(bytes),
            _ if Id::of(&bytes) == object.id() => Ok(bytes),
            _ => Err(self.damaged(object, "its content is not that of its name")),
        }
    }

    /// The document that an object is.
    pub(crate) fn load<T: DeserializeOwned>(&self, object: Object) -> Result<T, Error> {
        let bytes = self.get_whole(object)?;
        unpacked::open(&self.key, &bytes).map_err(|malformed| self.malformed(object, &malformed))
    }

    /// Writes a document as an object.
    pub(crate) fn save(&self, kind: ObjectKind, document: &impl Serialize) -> Result<Id, Error> {
        let (id, bytes) = self.sealed(document)?;
        self.put(Object::new(kind, id), bytes)?;
        Ok(id)
    }

    /// A document as it would be written, and its name.
    pub(crate) fn sealed(&self, document: &impl Serialize) -> Result<(Id, Vec<u8>), Error> {
        let bytes = unpacked::seal(&self.key, document)?;
        Ok((Id::of(&bytes), bytes))
    }

    pub(crate) fn damaged(&self, object: impl Display, problem: impl Into<String>) -> Error {
        Error::Damaged { object: object.to_string(), place: self.place(), problem: problem.into() }
    }

    pub(crate) fn malformed(&self, object: impl Display, malformed: &Malformed) -> Error {
        self.damaged(object, malformed.to_string())
    }
}

/// Reads once more what is found damaged. Bytes may be spoiled on the way, and a server may answer 200 without any; what is really damaged costs
/// a second read, and says so then.
pub(crate) fn or_again<T>(mut read: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    match read() {
        Err(Error::Damaged { .. }) => read(),
        read => read,
    }
}
