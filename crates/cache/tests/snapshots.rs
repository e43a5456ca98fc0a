//! Starting warm: snapshots, and keys that are loaded beforehand.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use buttress_cache::codec::{Codec, Keyring};
use buttress_cache::{Error, Lifetime, Restored, Terms};
use buttress_core::{Classify, ErrorClass, Key};
use common::{Broken, World, seconds, settle};

fn codec() -> Codec<String> {
    Codec::json("text", 1)
}

#[tokio::test]
async fn what_was_saved_lives_on_for_what_is_left_of_its_life() {
    let (world, folder) = (World::default(), tempfile::tempdir().unwrap());
    let path = folder.path().join("users.cache");
    let cache = world.cache(|builder| builder.ttl(seconds(100)));
    for key in 0..500 {
        cache.insert(key, format!("value {key}"));
    }
    cache.insert_with(1000, "unlimited".to_owned(), Lifetime::unlimited()).unwrap();
    cache.insert_with(1001, "short".to_owned(), Lifetime::of(seconds(10))).unwrap();
    cache.insert_with(1002, "tagged".to_owned(), Terms::default().tag(Key::new("t").unwrap())).unwrap();
    assert_eq!(cache.restore(&path, &codec()).await.unwrap(), Restored::Nothing);
    assert_eq!(cache.save(&path, &codec()).await.unwrap(), 502);
    world.pass(seconds(40));
    let later = world.cache(|builder| builder.ttl(seconds(100)));
    later.insert(7, "newer".to_owned());
    assert_eq!(later.restore(&path, &codec()).await.unwrap(), Restored::Entries(500));
    assert_eq!((later.get(&3).as_deref(), later.get(&7).as_deref()), (Some("value 3"), Some("newer")));
    assert_eq!(
        (later.get(&1000).as_deref(), later.get(&1001), later.get(&1002)),
        (Some("unlimited"), None, None)
    );
    world.pass(seconds(61));
    assert_eq!((later.get(&3), later.get(&1000).is_some()), (None, true));
    // Saving again replaces the file, and leaves nothing else behind.
    later.save(&path, &codec()).await.unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_damaged_snapshot_is_a_cold_start() {
    let (world, folder) = (World::default(), tempfile::tempdir().unwrap());
    let path = folder.path().join("users.cache");
    let cache = world.cache(|builder| builder);
    (0..20).for_each(|key| cache.insert(key, format!("value {key}")));
    cache.save(&path, &codec()).await.unwrap();
    let whole = std::fs::read(&path).unwrap();
    let cold = world.cache(|builder| builder);
    for at in (0..whole.len()).step_by(7) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        for bytes in [&damaged[..], &whole[..at]] {
            std::fs::write(&path, bytes).unwrap();
            let restored = cold.restore(&path, &codec()).await.unwrap();
            assert!(matches!(restored, Restored::Damaged(_)), "byte {at}: {restored:?}");
        }
    }
    assert!(cold.is_empty());
    // In order, but of another schema, or sealed with another key: nothing to take.
    std::fs::write(&path, &whole).unwrap();
    let other = Codec::json("text", 2);
    assert_eq!(cold.restore(&path, &other).await.unwrap(), Restored::Entries(0));
    let sealed = codec().sealed(Keyring::new(1, &[0; 32]));
    assert_eq!(cold.restore(&path, &sealed).await.unwrap(), Restored::Entries(0));
    let error = cold.save(folder.path().join("no/folder"), &codec()).await.unwrap_err();
    assert!(matches!(error, Error::Snapshot { .. }) && error.class() == ErrorClass::Unavailable, "{error}");
}

#[tokio::test]
async fn warming_is_bounded_and_loads_what_is_not_there() {
    let world = World::default();
    let cache = world.cache(|builder| builder);
    cache.insert(3, "there".to_owned());
    let (now, most, loads) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&loads));
    let load = move |key: &u64| {
        let (key, (now, most, loads)) = (*key, counts.clone());
        async move {
            loads.fetch_add(1, Ordering::SeqCst);
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            settle().await;
            now.fetch_sub(1, Ordering::SeqCst);
            if key == 5 { Err(Broken("no")) } else { Ok(key.to_string()) }
        }
    };
    let warmed = cache.warm(0..40, 4, load).await;
    assert_eq!((warmed.loaded, warmed.failed), (39, 1));
    assert_eq!((most.load(Ordering::SeqCst), loads.load(Ordering::SeqCst)), (4, 39));
    assert_eq!((cache.get(&3).as_deref(), cache.get(&39).as_deref()), (Some("there"), Some("39")));
}
