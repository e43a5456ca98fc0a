//! What every store promises, as tests: for the stores here, and for one of your own.
//!
//! ```no_run
//! # async fn test() {
//! use buttress_backup::store::{Folder, contract};
//!
//! contract::holds(async || Folder::new("/mnt/backup-of-tests")).await;
//! # }
//! ```
//!
//! A case that fails panics and says what was expected. No case asserts how long something takes.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a broken promise fails the test, and panicking is how a test fails"
)]

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::{Existing, Listed, Store};
use crate::id::{Object, ObjectKind};
use crate::{Error, Id};

/// Runs every case on handles that `open` opens: each call gives another one to the same place, which is empty at first. Leaves some MB there.
pub async fn holds<S: Store>(open: impl AsyncFn() -> S) {
    nothing_is_there_at_first(&open().await).await;
    what_is_put_is_read(&open().await).await;
    ranges_are_exact(&open().await).await;
    a_replaced_object_is_the_new_one(&open().await).await;
    a_kept_object_stays(&open().await).await;
    a_deleted_object_is_gone(&open().await).await;
    listings_tell_each_kind_and_size(&open().await).await;
    a_large_object_comes_back(&open().await).await;
    another_handle_sees_it_all(&open().await, &open().await).await;
    one_of_many_writers_is_told_that_it_wrote(&open).await;
    many_may_put_the_same(&open).await;
    readers_see_objects_whole(&open).await;
}

/// Listings leave out what is no object. `put` places bytes at a path of the store, past this crate.
pub async fn leaves_out_junk(store: &impl Store, put: impl AsyncFn(&str, &[u8])) {
    let (object, bytes) = pack("beside junk");
    written(store, object, &bytes).await;
    let id = Id::of(b"junk").to_string();
    let wrong_folder = if id.starts_with("00") { "01" } else { "00" };
    for path in [
        "README".to_owned(),
        "data/README".to_owned(),
        format!("data/{id}"),
        format!("data/{wrong_folder}/{id}"),
        format!("{}.tmp", object.path()),
        format!("{}-tmp-123", object.path()),
        format!("keys/{}", id.to_uppercase()),
        format!("snapshots/{id}/{id}"),
        format!("index/{}", id.get(1..).unwrap_or_default()),
    ] {
        put(&path, b"junk").await;
    }
    assert_eq!(names(&listed(store, ObjectKind::Pack).await), [object]);
    for kind in [ObjectKind::Config, ObjectKind::Key, ObjectKind::Snapshot, ObjectKind::Index] {
        assert_eq!(names(&listed(store, kind).await), [], "{kind:?}");
    }
}

fn object(kind: ObjectKind, content: &str) -> (Object, Bytes) {
    let bytes = Bytes::from(content.to_owned());
    (Object::new(kind, Id::of(&bytes)), bytes)
}

fn pack(content: &str) -> (Object, Bytes) {
    object(ObjectKind::Pack, content)
}

async fn written(store: &impl Store, object: Object, bytes: &Bytes) {
    let written = store.put(object, bytes.clone(), Existing::Kept).await.expect("it is written");
    assert!(written, "{object} was new");
}

async fn read(store: &impl Store, object: Object) -> Bytes {
    store.get(object, None).await.expect("it is read")
}

async fn listed(store: &impl Store, kind: ObjectKind) -> Vec<Listed> {
    let mut listed = store.list(kind).await.expect("it is listed");
    listed.sort_by_key(|one| one.object);
    listed
}

fn names(listed: &[Listed]) -> Vec<Object> {
    listed.iter().map(|one| one.object).collect()
}

async fn is_missing(store: &impl Store, object: Object) {
    for range in [None, Some(0..1)] {
        let missing = store.get(object, range).await.expect_err("it is not there");
        let names_it = matches!(missing, Error::Missing { object: named, .. } if named == object);
        assert!(names_it, "{missing:?}");
    }
}

async fn nothing_is_there_at_first(store: &impl Store) {
    assert!(!store.place().is_empty());
    for kind in ObjectKind::ALL {
        assert_eq!(names(&listed(store, kind).await), [], "{kind:?}");
        is_missing(store, Object::new(kind, Id::of(b"nothing"))).await;
    }
}

async fn what_is_put_is_read(store: &impl Store) {
    for kind in ObjectKind::ALL {
        let (object, bytes) = object(kind, &format!("of {kind:?}"));
        written(store, object, &bytes).await;
        assert_eq!(read(store, object).await, bytes);
        store.delete(object).await.expect("it is deleted");
    }
    let (empty, nothing) = pack("");
    written(store, empty, &nothing).await;
    assert_eq!(read(store, empty).await, nothing);
    store.delete(empty).await.expect("it is deleted");
}

async fn ranges_are_exact(store: &impl Store) {
    let (object, bytes) = pack("0123456789");
    written(store, object, &bytes).await;
    for (range, expected) in [(0..10, "0123456789"), (0..1, "0"), (9..10, "9"), (3..7, "3456"), (4..4, "")] {
        let read = store.get(object, Some(range.clone())).await.expect("it is read");
        assert_eq!(read, expected, "{range:?}");
    }
    for range in [0..11, 9..11, 10..11, 20..30, 0..u64::from(u32::MAX) / 64] {
        let short = store.get(object, Some(range.clone())).await.expect_err("it ends before");
        assert!(matches!(short, Error::Damaged { .. }), "{range:?}: {short:?}");
    }
}

async fn a_replaced_object_is_the_new_one(store: &impl Store) {
    for content in ["first", "second, and longer", "3rd"] {
        let bytes = Bytes::from(content);
        assert!(store.put(Object::CONFIG, bytes.clone(), Existing::Replaced).await.expect("it is written"));
        assert_eq!(read(store, Object::CONFIG).await, bytes);
        let listed = listed(store, ObjectKind::Config).await;
        assert_eq!(listed.iter().map(|one| one.size).collect::<Vec<_>>(), [bytes.len() as u64]);
    }
    store.delete(Object::CONFIG).await.expect("it is deleted");
}

async fn a_kept_object_stays(store: &impl Store) {
    let first = Bytes::from("the first");
    written(store, Object::CONFIG, &first).await;
    for bytes in ["another", ""] {
        let wrote = store.put(Object::CONFIG, bytes.into(), Existing::Kept).await.expect("it answers");
        assert!(!wrote, "there is one already");
    }
    assert_eq!(read(store, Object::CONFIG).await, first);
    store.delete(Object::CONFIG).await.expect("it is deleted");
}

async fn a_deleted_object_is_gone(store: &impl Store) {
    let (object, bytes) = pack("deleted");
    written(store, object, &bytes).await;
    for _ in 0..2 {
        store.delete(object).await.expect("it is gone, now or before");
        is_missing(store, object).await;
    }
    assert!(!names(&listed(store, ObjectKind::Pack).await).contains(&object));
    written(store, object, &bytes).await;
}

async fn listings_tell_each_kind_and_size(store: &impl Store) {
    let mut expected = BTreeSet::new();
    for size in 0..20_usize {
        let (object, bytes) = object(ObjectKind::Snapshot, &"s".repeat(size * size));
        written(store, object, &bytes).await;
        expected.insert((object, bytes.len() as u64));
    }
    let listed = listed(store, ObjectKind::Snapshot).await;
    assert_eq!(listed.iter().map(|one| (one.object, one.size)).collect::<BTreeSet<_>>(), expected);
    assert_eq!(listed.len(), expected.len(), "each once");
    for one in listed {
        store.delete(one.object).await.expect("it is deleted");
    }
}

/// Larger than a pack, in bytes that tell when a part is at another's place.
async fn a_large_object_comes_back(store: &impl Store) {
    const NUMBERS: u64 = (17 << 20) / 8;
    let bytes: Bytes = (0..NUMBERS).flat_map(u64::to_le_bytes).collect();
    let object = Object::new(ObjectKind::Pack, Id::of(&bytes));
    store.put(object, bytes.clone(), Existing::Replaced).await.expect("it is written");
    assert!(read(store, object).await == bytes, "it comes back as it was");
    let end = bytes.len() as u64;
    let tail = store.get(object, Some(end - 8..end)).await.expect("it is read");
    assert_eq!(tail.as_ref(), (NUMBERS - 1).to_le_bytes());
    let again = store.put(object, bytes.slice(8..), Existing::Kept).await.expect("it answers");
    assert!(!again, "there is one already");
    assert_eq!(read(store, object).await.len(), bytes.len());
}

async fn another_handle_sees_it_all(store: &impl Store, another: &impl Store) {
    let (object, bytes) = pack("seen by all");
    written(store, object, &bytes).await;
    assert_eq!(read(another, object).await, bytes);
    assert_eq!(listed(store, ObjectKind::Pack).await.len(), listed(another, ObjectKind::Pack).await.len());
    another.delete(object).await.expect("it is deleted");
    is_missing(store, object).await;
}

const WRITERS: usize = 8;

async fn one_of_many_writers_is_told_that_it_wrote<S: Store>(open: &impl AsyncFn() -> S) {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = open().await;
        writers.spawn(async move {
            let bytes = Bytes::from(format!("writer {writer}"));
            let wrote = store.put(Object::CONFIG, bytes.clone(), Existing::Kept).await.expect("it answers");
            wrote.then_some(bytes)
        });
    }
    let wrote: Vec<Bytes> = writers.join_all().await.into_iter().flatten().collect();
    assert_eq!(wrote, [read(&open().await, Object::CONFIG).await], "one wrote, and what it wrote is there");
    open().await.delete(Object::CONFIG).await.expect("it is deleted");
}

async fn many_may_put_the_same<S: Store>(open: &impl AsyncFn() -> S) {
    let (object, bytes) = pack(&"the same ".repeat(10_000));
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (store, bytes) = (open().await, bytes.clone());
        writers.spawn(async move { store.put(object, bytes, Existing::Replaced).await });
    }
    for wrote in writers.join_all().await {
        wrote.expect("each succeeds");
    }
    assert!(read(&open().await, object).await == bytes);
}

async fn readers_see_objects_whole<S: Store>(open: &impl AsyncFn() -> S) {
    let versions: Arc<[Bytes; 2]> = Arc::new([vec![b'a'; 300_000].into(), vec![b'b'; 200_000].into()]);
    let [first, _] = &*versions;
    written(&open().await, Object::CONFIG, first).await;
    let mut tasks = JoinSet::new();
    let (writer, contents) = (open().await, Arc::clone(&versions));
    tasks.spawn(async move {
        for _ in 0..10 {
            for bytes in &*contents {
                writer.put(Object::CONFIG, bytes.clone(), Existing::Replaced).await.expect("it is written");
            }
        }
    });
    let (reader, contents) = (open().await, Arc::clone(&versions));
    tasks.spawn(async move {
        for _ in 0..20 {
            let read = reader.get(Object::CONFIG, None).await.expect("one of them is there at any time");
            assert!(contents.contains(&read), "{} bytes that nobody wrote", read.len());
        }
    });
    tasks.join_all().await;
    open().await.delete(Object::CONFIG).await.expect("it is deleted");
}
