#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
//! What jobs leave behind is kept once, whole, and within its quota.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use browser::jobs::{Artifacts, Error};
use buttress_core::{ByteSize, Classify, Ctx, ErrorClass, TestClock};
use bytes::Bytes;

const KIB: usize = 1 << 10;

struct Kept {
    artifacts: Artifacts,
    clock: TestClock,
    folder: tempfile::TempDir,
}

impl Kept {
    fn new(quota: usize) -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), TestClock::new());
        let artifacts = open(folder.path(), quota, &clock);
        Self { artifacts, clock, folder }
    }

    fn reopen(self, quota: usize) -> Self {
        let Self { artifacts, clock, folder } = self;
        drop(artifacts);
        Self { artifacts: open(folder.path(), quota, &clock), clock, folder }
    }

    async fn put(&self, name: u8, bytes: usize) -> String {
        let hash = self.artifacts.put(content(name, bytes)).await.unwrap();
        self.pass(1);
        hash
    }

    async fn has(&self, hash: &str) -> bool {
        let content = self.artifacts.get(hash).await.unwrap();
        self.pass(1);
        assert_eq!(content.is_some(), self.file(hash).exists());
        content.is_some()
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    fn file(&self, hash: &str) -> PathBuf {
        self.folder.path().join(&hash[..2]).join(&hash[2..])
    }
}

fn open(folder: &Path, quota: usize, clock: &TestClock) -> Artifacts {
    let ctx = Ctx { clock: clock.shared(), ..Ctx::default() };
    Artifacts::open(folder, ByteSize::b(quota as u64), &ctx).unwrap()
}

fn content(name: u8, bytes: usize) -> Bytes {
    vec![name; bytes].into()
}

#[tokio::test]
async fn the_same_bytes_are_kept_once() {
    let kept = Kept::new(64 * KIB);
    let hash = kept.put(1, 5 * KIB).await;
    assert_eq!(hash, blake3::hash(&content(1, 5 * KIB)).to_hex().as_str());
    assert_eq!(kept.put(1, 5 * KIB).await, hash);
    let empty = kept.put(1, 0).await;
    assert_eq!(kept.artifacts.get(&empty).await.unwrap(), Some(Bytes::new()));
    let usage = kept.artifacts.usage();
    assert_eq!((usage.files, usage.bytes, usage.quota), (2, 12 << 10, 64 << 10));
    assert_eq!(kept.artifacts.get(&hash).await.unwrap(), Some(content(1, 5 * KIB)));
    // All at once, too.
    let puts = (0..8).map(|_| kept.artifacts.put(content(2, 4 * KIB)));
    let hashes = futures_util::future::join_all(puts).await;
    assert!(
        hashes.into_iter().all(|hash| hash.unwrap() == blake3::hash(&content(2, 4 * KIB)).to_hex().as_str())
    );
    assert_eq!((kept.artifacts.usage().files, kept.artifacts.usage().bytes), (3, 16 << 10));
    for other in ["", "../../etc/passwd", &hash[1..], &"0".repeat(64)] {
        assert_eq!(kept.artifacts.get(other).await.unwrap(), None);
    }
}

#[tokio::test]
async fn past_the_quota_the_longest_unused_go_first() {
    let kept = Kept::new(40 * KIB);
    let mut hashes = Vec::new();
    for name in 0..4 {
        hashes.push(kept.put(name, 10 * KIB).await); // Three blocks each: 12 KiB.
        kept.pass(100);
    }
    // The fourth took the place of the first.
    let usage = kept.artifacts.usage();
    assert_eq!((usage.files, usage.bytes, usage.evicted), (3, 36 << 10, 1));
    assert!(!kept.has(&hashes[0]).await);
    assert!(kept.has(&hashes[1]).await, "and this makes it the last one used");
    kept.pass(100);
    hashes.push(kept.put(4, 10 * KIB).await);
    assert!(!kept.has(&hashes[2]).await);
    for hash in [1, 3, 4] {
        assert!(kept.has(&hashes[hash]).await);
    }
}

#[tokio::test]
async fn what_is_new_does_not_give_way() {
    let kept = Kept::new(16 * KIB);
    let old = kept.put(1, 8 * KIB).await;
    kept.pass(60);
    let new = kept.put(2, 4 * KIB).await;
    let error = kept.artifacts.put(content(3, 16 * KIB)).await.unwrap_err();
    assert!(matches!(error, Error::NoRoom { .. }), "{error}");
    assert_eq!(error.class(), ErrorClass::Overloaded);
    assert!(kept.has(&old).await && kept.has(&new).await, "nothing was removed in vain");
    kept.put(4, 8 * KIB).await;
    assert!(kept.has(&new).await && !kept.has(&old).await);

    let error = kept.artifacts.put(content(3, 16 * KIB + 1)).await.unwrap_err();
    assert!(matches!(error, Error::ArtifactTooLarge { .. }), "{error}");
    assert_eq!(error.class(), ErrorClass::TooLarge);
    // What was refused keeps no room.
    assert_eq!(kept.artifacts.usage().bytes, 12 << 10);
}

#[tokio::test]
async fn a_folder_that_is_opened_again_is_as_it_was() {
    let mut kept = Kept::new(64 * KIB);
    let mut hashes = Vec::new();
    for name in 0..3 {
        hashes.push(kept.put(name, 4 * KIB).await);
    }
    assert!(kept.has(&hashes[0]).await);
    fs::write(kept.folder.path().join("incoming/17"), "half").unwrap();
    fs::write(kept.folder.path().join("README"), "not ours").unwrap();
    fs::write(kept.folder.path().join("ab"), "nor this").unwrap();
    kept = kept.reopen(64 * KIB);
    assert_eq!((kept.artifacts.usage().files, kept.artifacts.usage().bytes), (3, 12 << 10));
    assert!(!kept.folder.path().join("incoming/17").exists());
    assert!(kept.folder.path().join("README").exists());
    // A smaller quota: who was used last stays.
    kept = kept.reopen(4 * KIB);
    assert_eq!(kept.artifacts.usage().files, 1);
    assert!(kept.has(&hashes[0]).await && !kept.has(&hashes[1]).await && !kept.has(&hashes[2]).await);
}

#[tokio::test]
async fn a_damaged_file_is_told_of_and_written_anew() {
    let kept = Kept::new(64 * KIB);
    let hash = kept.put(1, 100).await;
    // Gone before anybody asked.
    fs::remove_file(kept.file(&hash)).unwrap();
    assert_eq!(kept.put(1, 100).await, hash);
    assert!(kept.has(&hash).await);
    // Same size, other content; then cut short; then gone.
    for damage in [Some(content(2, 100)), Some(content(1, 99)), None] {
        match &damage {
            Some(bytes) => fs::write(kept.file(&hash), bytes).unwrap(),
            None => fs::remove_file(kept.file(&hash)).unwrap(),
        }
        let got = kept.artifacts.get(&hash).await;
        match damage {
            Some(_) => assert_eq!(got.unwrap_err().class(), ErrorClass::Corrupt),
            None => assert_eq!(got.unwrap(), None),
        }
        assert_eq!(kept.put(1, 100).await, hash);
        assert_eq!(kept.artifacts.get(&hash).await.unwrap(), Some(content(1, 100)));
        assert_eq!((kept.artifacts.usage().files, kept.artifacts.usage().bytes), (1, 4 << 10));
    }
}

#[tokio::test]
async fn what_no_job_names_is_removed() {
    let kept = Kept::new(12 * KIB);
    let old = kept.put(1, KIB).await;
    kept.pass(3_600);
    let [used, young] = [kept.put(2, KIB).await, kept.put(3, KIB).await];
    kept.pass(100);
    kept.artifacts.release(vec![old.clone(), young.clone(), "none".into()]).await.unwrap();
    assert!(!kept.file(&old).exists());
    assert_eq!((kept.artifacts.usage().files, kept.artifacts.usage().released), (2, 1));
    // The young one may be wanted still, but goes before those that were used before it.
    assert!(kept.file(&young).exists());
    let kept = kept.reopen(12 * KIB);
    for name in 4..6 {
        kept.put(name, KIB).await;
    }
    assert!(!kept.file(&young).exists() && kept.file(&used).exists());
}
