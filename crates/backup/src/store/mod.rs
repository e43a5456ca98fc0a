//! Where the objects of a repository are kept.

mod append_only;
mod blobs;
mod config;
#[cfg(feature = "test-util")]
pub mod contract;
#[cfg(feature = "test-util")]
pub mod faulty;
mod folder;
mod retrying;

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use buttress_core::BoxFuture;
use bytes::Bytes;

pub use append_only::AppendOnly;
pub use blobs::BlobStore;
pub use config::StoreConfig;
pub use folder::Folder;
pub use retrying::{RetryConfig, Retrying};

use crate::Error;
use crate::id::{Object, ObjectKind};

/// A place for the objects of a repository: a folder, a bucket, one of your own.
///
/// An object is seen whole or not at all, and what [`put`](Store::put) has acknowledged survives the loss of power. Several processes may use one
/// place at the same time. The suite `store::contract` (feature `test-util`) tells whether a place keeps that.
pub trait Store: Send + Sync + 'static {
    /// Writes an object; whether it was written, which with [`Existing::Kept`] only the first of several writers is told.
    /// (Of writers of the same bytes another may be told so too, if what it was told at first got lost.)
    fn put(
        &self,
        object: Object,
        bytes: Bytes,
        existing: Existing,
    ) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Reads an object, or the given bytes of it. Bytes behind its end are [`Error::Damaged`], an object that is not there is
    /// [`Error::Missing`].
    fn get(
        &self,
        object: Object,
        range: Option<Range<u64>>,
    ) -> impl Future<Output = Result<Bytes, Error>> + Send;

    /// All objects of a kind that were acknowledged before, in no order. What is not an object is left out.
    ///
    /// A prune takes what no listed snapshot needs. A place that lists late is safe from it only where one handle writes all snapshots and prunes.
    fn list(&self, kind: ObjectKind) -> impl Future<Output = Result<Vec<Listed>, Error>> + Send;

    /// Removes an object; one that is not there is removed already.
    fn delete(&self, object: Object) -> impl Future<Output = Result<(), Error>> + Send;

    /// The place, for people: a path, `s3://bucket/prefix`. No credentials.
    fn place(&self) -> String;
}

/// Refuses fewer bytes than a range asked for.
fn check_range(object: Object, place: &str, range: Option<&Range<u64>>, bytes: &Bytes) -> Result<(), Error> {
    let Some(range) = range else { return Ok(()) };
    let read = bytes.len() as u64;
    if read == range.end.saturating_sub(range.start) {
        return Ok(());
    }
    let problem = if read == 0 {
        format!("it ends before byte {}", range.start)
    } else {
        format!("it ends before byte {}, at {}", range.end, range.start.saturating_add(read))
    };
    Err(Error::Damaged { object: object.path(), place: place.to_owned(), problem })
}

/// What becomes of an object that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It is replaced, at one moment. Under the name of a hash that is the same content, and may heal a damaged one.
    Replaced,
    /// It stays, and the writer is told.
    Kept,
}

/// An object as a listing shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Which.
    pub object: Object,
    /// Its length in bytes.
    pub size: u64,
    /// When the store took it, by the store's clock, which no writer can forge.
    pub modified: Option<SystemTime>,
}

/// Any [`Store`] behind a pointer: what configuration has chosen. Cheap to clone.
#[derive(Clone)]
pub struct DynStore(Arc<dyn ErasedStore>);

impl DynStore {
    /// Wraps a store.
    pub fn new(store: impl Store) -> Self {
        Self(Arc::new(store))
    }
}

impl std::fmt::Debug for DynStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DynStore({})", Store::place(self))
    }
}

impl Store for DynStore {
    async fn put(&self, object: Object, bytes: Bytes, existing: Existing) -> Result<bool, Error> {
        self.0.put(object, bytes, existing).await
    }

    async fn get(&self, object: Object, range: Option<Range<u64>>) -> Result<Bytes, Error> {
        self.0.get(object, range).await
    }

    async fn list(&self, kind: ObjectKind) -> Result<Vec<Listed>, Error> {
        self.0.list(kind).await
    }

    async fn delete(&self, object: Object) -> Result<(), Error> {
        self.0.delete(object).await
    }

    fn place(&self) -> String {
        self.0.place()
    }
}

trait ErasedStore: Send + Sync {
    fn put(&self, object: Object, bytes: Bytes, existing: Existing) -> BoxFuture<'_, Result<bool, Error>>;
    fn get(&self, object: Object, range: Option<Range<u64>>) -> BoxFuture<'_, Result<Bytes, Error>>;
    fn list(&self, kind: ObjectKind) -> BoxFuture<'_, Result<Vec<Listed>, Error>>;
    fn delete(&self, object: Object) -> BoxFuture<'_, Result<(), Error>>;
    fn place(&self) -> String;
}

impl<S: Store> ErasedStore for S {
    fn put(&self, object: Object, bytes: Bytes, existing: Existing) -> BoxFuture<'_, Result<bool, Error>> {
        Box::pin(Store::put(self, object, bytes, existing))
    }

    fn get(&self, object: Object, range: Option<Range<u64>>) -> BoxFuture<'_, Result<Bytes, Error>> {
        Box::pin(Store::get(self, object, range))
    }

    fn list(&self, kind: ObjectKind) -> BoxFuture<'_, Result<Vec<Listed>, Error>> {
        Box::pin(Store::list(self, kind))
    }

    fn delete(&self, object: Object) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(Store::delete(self, object))
    }

    fn place(&self) -> String {
        Store::place(self)
    }
}
