//! Single files out of a snapshot.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

mod support;

use std::fs::{self, File};
use std::path::Path;

use buttress_backup::{Error, ObjectKind, Progress};
use support::{Bench, fill, objects};

#[tokio::test]
async fn a_file_reads_as_it_was() {
    let bench = Bench::new().await;
    fill(&bench.files());
    let snapshot = bench.repository.backup(bench.job()).await.expect("a backup").snapshot;
    for name in ["empty", "small.txt", "text.txt", "noise.bin", "sparse", "a/b/c/deep", "a/the same noise"] {
        let to = bench.target("read");
        let (path, progress) = (Path::new("/files").join(name), Progress::new());
        let file = File::create(&to).expect("a file");
        let bytes = bench.repository.read_file(&snapshot, &path, file, &progress).await.expect(name);
        assert!(fs::read(&to).expect("read") == fs::read(bench.files().join(name)).expect("read"), "{name}");
        assert_eq!((bytes, progress.bytes()), (fs::metadata(&to).expect("a file").len(), bytes), "{name}");
    }
    for folder in ["/", "/files/a", "/files/a/link", "/files/pipe"] {
        let read =
            bench.repository.read_file(&snapshot, Path::new(folder), Vec::new(), &Progress::new()).await;
        assert!(matches!(read, Err(Error::Unsupported { .. })), "{folder}: {read:?}");
    }
    let read =
        bench.repository.read_file(&snapshot, Path::new("/files/no"), Vec::new(), &Progress::new()).await;
    assert!(matches!(read, Err(Error::NoEntry { .. })), "{read:?}");

    // What is lost is named.
    let packs = objects(&bench.place(), ObjectKind::Pack);
    let largest = packs.iter().max_by_key(|pack| fs::metadata(pack).expect("a pack").len()).expect("a pack");
    fs::remove_file(largest).expect("removed");
    let path = Path::new("/files/noise.bin");
    let read = bench.repository.read_file(&snapshot, path, Vec::new(), &Progress::new()).await;
    let Err(Error::Missing { object, .. }) = read else { panic!("{read:?}") };
    assert!(largest.ends_with(object.id().to_string()), "{object}");
}

#[tokio::test]
async fn entries_are_found_by_pattern() {
    let bench = Bench::new().await;
    fill(&bench.files());
    bench.repository.backup(bench.job()).await.expect("a backup");
    fs::write(bench.files().join("a/more.txt"), "more").expect("a file");
    bench.repository.backup(bench.job()).await.expect("a backup");
    let snapshots = bench.repository.snapshots().await.expect("snapshots");
    let found = bench.repository.find("*.txt", &snapshots).await.expect("found");
    let found: Vec<_> = found
        .iter()
        .map(|found| (found.snapshot == snapshots[0].id, found.entry.path.to_str().expect("text")))
        .collect();
    assert_eq!(
        found,
        [
            (true, "/files/small.txt"),
            (true, "/files/text.txt"),
            (false, "/files/a/more.txt"),
            (false, "/files/small.txt"),
            (false, "/files/text.txt"),
        ]
    );
    assert_eq!(bench.repository.find("/files/**/deep", &snapshots).await.expect("found").len(), 2);
    assert!(bench.repository.find("/deep", &snapshots).await.expect("found").is_empty());
}
