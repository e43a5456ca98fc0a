//! A store for a writer that may add and nothing else.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use buttress_core::ErrorClass;
use bytes::Bytes;

use super::{Existing, Listed, Store};
use crate::Error;
use crate::id::{Object, ObjectKind};

/// A store to which objects are added. None is replaced, and none removed but the locks that were written through this handle.
///
/// This keeps a program from what it should not do by mistake. It does not stop a thief of its credentials, who asks the store himself: give those
/// credentials no right to delete (in S3: no `s3:DeleteObject` but under `locks/`, and a bucket with versions or a retention, since a
/// put over an object is a delete too). Forgetting and pruning are then for another machine with other credentials.
#[derive(Debug, Clone)]
pub struct AppendOnly<S> {
    inner: S,
    /// At most [`MOST_LOCKS`].
    own_locks: Arc<Mutex<HashSet<Object>>>,
}

/// Work on a repository holds one lock, and a second while it refreshes it.
const MOST_LOCKS: usize = 1024;

impl<S: Store> AppendOnly<S> {
    /// Adds to `inner`.
    #[must_use]
    pub fn new(inner: S) -> Self {
        Self { inner, own_locks: Arc::default() }
    }

    fn refused(&self, doing: &'static str, object: Object, problem: &'static str) -> Error {
        let source = problem.into();
        Error::Store {
            doing,
            object: object.path(),
            place: self.place(),
            class: ErrorClass::Forbidden,
            source,
        }
    }

    fn own_locks(&self) -> std::sync::MutexGuard<'_, HashSet<Object>> {
        self.own_locks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Store> Store for AppendOnly<S> {
    /// What is there stays, also with [`Existing::Replaced`], which fails unless it holds the same bytes.
    async fn put(&self, object: Object, bytes: Bytes, existing: Existing) -> Result<bool, Error> {
        if object.kind() == ObjectKind::Lock {
            let mut own = self.own_locks();
            if own.len() >= MOST_LOCKS && !own.contains(&object) {
                return Err(self.refused(
                    "write",
                    object,
                    "too many locks of this process have not been removed",
                ));
            }
            // Before it is written: if that fails, it may be there all the same, and has to be removed.
            own.insert(object);
        }
        let written = self.inner.put(object, bytes.clone(), Existing::Kept).await?;
        if !written && existing == Existing::Replaced && self.inner.get(object, None).await? != bytes {
            return Err(self.refused(
                "replace",
                object,
                "the store is append-only: what is there stays, and it holds something else",
            ));
        }
        Ok(written)
    }

    async fn get(&self, object: Object, range: Option<Range<u64>>) -> Result<Bytes, Error> {
        self.inner.get(object, range).await
    }

    async fn list(&self, kind: ObjectKind) -> Result<Vec<Listed>, Error> {
        self.inner.list(kind).await
    }

    async fn delete(&self, object: Object) -> Result<(), Error> {
        if !self.own_locks().contains(&object) {
            return Err(self.refused(
                "delete",
                object,
                "the store is append-only: forget, prune and unlock where it may be changed",
            ));
        }
        self.inner.delete(object).await?;
        self.own_locks().remove(&object);
        Ok(())
    }

    fn place(&self) -> String {
        self.inner.place()
    }
}
