//! Stores in memory: one that can be copied, one that can be exchanged under an open repository.
#![allow(clippy::disallowed_methods, reason = "it has a clock of its own, as stores have")]

use std::collections::HashMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use buttress_backup::store::{DynStore, Existing, Listed, Store};
use buttress_backup::{Error, Object, ObjectKind};
use bytes::Bytes;

/// Objects in memory. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<HashMap<Object, (Bytes, SystemTime)>>>);

impl Memory {
    /// The same objects, from now on on their own.
    pub(crate) fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.0.lock().expect("whole").clone())))
    }

    /// Makes it what another one is now.
    pub(crate) fn set_back(&self, to: &Self) {
        let objects = to.0.lock().expect("whole").clone();
        *self.0.lock().expect("whole") = objects;
    }

    /// All objects of a kind, in order.
    pub(crate) fn all(&self, kind: ObjectKind) -> Vec<Object> {
        let mut all: Vec<_> =
            self.0.lock().expect("whole").keys().filter(|object| object.kind() == kind).copied().collect();
        all.sort_by_key(Object::path);
        all
    }

    pub(crate) fn bytes(&self, object: Object) -> Bytes {
        self.0.lock().expect("whole")[&object].0.clone()
    }

    /// Puts other bytes in the place of an object's; none remove it.
    pub(crate) fn set(&self, object: Object, bytes: Option<Bytes>) {
        let mut objects = self.0.lock().expect("whole");
        match bytes {
            None => drop(objects.remove(&object)),
            Some(bytes) => drop(objects.insert(object, (bytes, SystemTime::now()))),
        }
    }

    /// What is other than in `before`: which objects are gone, and how many of each kind have come. Locks do not count.
    pub(crate) fn changes(&self, before: &Self) -> (Vec<Object>, Vec<usize>) {
        let kinds = ObjectKind::ALL.into_iter().filter(|kind| *kind != ObjectKind::Lock);
        let (mut gone, mut come) = (Vec::new(), Vec::new());
        for kind in kinds {
            let (old, new) = (before.all(kind), self.all(kind));
            gone.extend(old.iter().filter(|object| !new.contains(object)));
            come.push(new.iter().filter(|object| !old.contains(object)).count());
        }
        (gone, come)
    }

    /// Says that an object was written so long ago.
    pub(crate) fn age(&self, object: Object, by: std::time::Duration) {
        let mut objects = self.0.lock().expect("whole");
        let (_, modified) = objects.get_mut(&object).expect("it is there");
        *modified -= by;
    }

    /// Writes it all into a folder, as restic has it.
    pub(crate) fn write_to(&self, folder: &Path) {
        for (object, (bytes, _)) in &*self.0.lock().expect("whole") {
            let path = folder.join(object.path());
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, bytes).expect("a file");
        }
        for kind in ["data", "index", "keys", "locks", "snapshots"] {
            fs::create_dir_all(folder.join(kind)).expect("a folder");
        }
    }
}

impl Store for Memory {
    async fn put(&self, object: Object, bytes: Bytes, existing: Existing) -> Result<bool, Error> {
        let mut objects = self.0.lock().expect("whole");
        if existing == Existing::Kept && objects.contains_key(&object) {
            return Ok(false);
        }
        objects.insert(object, (bytes, SystemTime::now()));
        Ok(true)
    }

    async fn get(&self, object: Object, range: Option<Range<u64>>) -> Result<Bytes, Error> {
        let objects = self.0.lock().expect("whole");
        let missing = || Error::Missing { object, place: "memory".to_owned() };
        let (bytes, _) = objects.get(&object).ok_or_else(missing)?;
        let Some(range) = range else { return Ok(bytes.clone()) };
        if range.end > bytes.len() as u64 {
            let problem = format!("it ends before byte {}", range.end);
            return Err(Error::Damaged { object: object.path(), place: "memory".to_owned(), problem });
        }
        let at = |at: u64| usize::try_from(at).expect("it is in memory");
        Ok(bytes.slice(at(range.start)..at(range.end)))
    }

    async fn list(&self, kind: ObjectKind) -> Result<Vec<Listed>, Error> {
        let objects = self.0.lock().expect("whole");
        let of_kind = objects.iter().filter(|(object, _)| object.kind() == kind);
        let listed = of_kind.map(|(object, (bytes, modified))| Listed {
            object: *object,
            size: bytes.len() as u64,
            modified: Some(*modified),
        });
        Ok(listed.collect())
    }

    async fn delete(&self, object: Object) -> Result<(), Error> {
        self.0.lock().expect("whole").remove(&object);
        Ok(())
    }

    fn place(&self) -> String {
        "memory".to_owned()
    }
}

/// Another store under the same open repository, so that its password is not tried each time.
#[derive(Clone)]
pub(crate) struct Exchange(Arc<Mutex<DynStore>>);

impl Exchange {
    pub(crate) fn new(store: impl Store) -> Self {
        Self(Arc::new(Mutex::new(DynStore::new(store))))
    }

    pub(crate) fn set(&self, store: impl Store) {
        *self.0.lock().expect("whole") = DynStore::new(store);
    }

    fn now(&self) -> DynStore {
        self.0.lock().expect("whole").clone()
    }
}

impl Store for Exchange {
    async fn put(&self, object: Object, bytes: Bytes, existing: Existing) -> Result<bool, Error> {
        self.now().put(object, bytes, existing).await
    }

    async fn get(&self, object: Object, range: Option<Range<u64>>) -> Result<Bytes, Error> {
        self.now().get(object, range).await
    }

    async fn list(&self, kind: ObjectKind) -> Result<Vec<Listed>, Error> {
        self.now().list(kind).await
    }

    async fn delete(&self, object: Object) -> Result<(), Error> {
        self.now().delete(object).await
    }

    fn place(&self) -> String {
        "memory".to_owned()
    }
}
