//! What was done to a log is found.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use buttress_audit::verify::{FindingKind, Report, VerifyOptions, verify};
use buttress_audit::{AuditConfig, Entry, FssSeed, Log, LogReader, SignedCheckpoint};
use buttress_core::{ByteSize, Clock, Ctx, Outcome, TestClock};
use tempfile::TempDir;

fn entry(n: u64) -> Entry {
    Entry::new(SystemTime::UNIX_EPOCH + Duration::from_secs(n), "test.run", Outcome::Success).actor("someone")
}

fn config(folder: &Path) -> AuditConfig {
    let mut config = AuditConfig::new(folder);
    config.segment = ByteSize::kib(4);
    config
}

/// A closed log of `count` entries, `each` of them before each checkpoint.
async fn made(folder: &Path, count: u64, each: u64) -> (FssSeed, SignedCheckpoint) {
    let (log, seed) = Log::create(&config(folder), &Ctx::default()).await.unwrap();
    let mut last = None;
    for n in 0..count {
        log.append(&entry(n)).await.unwrap();
        if (n + 1) % each == 0 {
            last = Some(log.checkpoint().await.unwrap());
        }
    }
    log.close().await.unwrap();
    (seed, last.unwrap())
}

fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.path().join(file.file_name())).unwrap();
    }
    to
}

fn with(seed: &FssSeed) -> VerifyOptions {
    VerifyOptions::new().seed(seed.clone())
}

fn kinds(report: &Report) -> Vec<FindingKind> {
    report.findings.iter().map(|finding| finding.kind).collect()
}

#[tokio::test]
async fn a_log_that_nobody_touched_is_clean() {
    let folder = tempfile::tempdir().unwrap();
    let (seed, last) = made(folder.path(), 100, 10).await;
    let report = verify(folder.path(), &with(&seed).checkpoint(last)).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!((report.size, report.first, report.torn), (100, 0, 0));
    assert_eq!((report.sealed, report.signed, report.witnessed), (Some(100), 100, Some(100)));
    assert_eq!(report.end_of_seals, Some(true));
    assert!(report.segments > 2);
}

#[tokio::test]
async fn every_flipped_bit_of_every_file_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (seed, _) = made(folder.path(), 40, 20).await;
    let names =
        ["0000000001.segment", "0000000002.segment", "tree", "seals", "checkpoints", "log", "seal.key"];
    for name in names {
        let path = folder.path().join(name);
        let bytes = fs::read(&path).unwrap();
        // Of the longer ones some, which in turn are each bit of a byte.
        let step = if bytes.len() > 1_000 { 101 } else { 9 };
        for bit in (0..bytes.len() * 8).step_by(step) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &flipped).unwrap();
            if name == "checkpoints" && bit / 8 >= bytes.len() - 2 {
                continue;
            }
            let report = verify(folder.path(), &with(&seed)).unwrap();
            // The hashes after those of the second segment's beginning count for nothing; nor does the place of an erased key. A
            // checkpoint that does not end is one that a crash has torn.
            let spare = match name {
                "tree" => bit / 8 >= 32 * spare_from(folder.path()),
                "seal.key" => bytes[bit / 8 / 48 * 48..][..48].iter().all(|byte| *byte == 0),
                _ => false,
            };
            assert_eq!(report.is_clean(), spare, "{name}, bit {bit}: {:?}", report.findings);
        }
        fs::write(&path, &bytes).unwrap();
    }
    assert!(verify(folder.path(), &with(&seed)).unwrap().is_clean());
}

fn spare_from(folder: &Path) -> usize {
    let reader = LogReader::open(folder).unwrap();
    let first = reader.segments().unwrap().last().unwrap().first;
    usize::try_from(2 * first - u64::from(first.count_ones())).unwrap()
}

/// A change to the folder of a log, and what may be found of it.
type Change = (&'static str, fn(&Path), &'static [FindingKind]);

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// The frames of a segment, as offsets.
fn frames(bytes: &[u8]) -> Vec<(usize, usize)> {
    let (mut frames, mut at) = (Vec::new(), 172);
    while at < bytes.len() {
        let length = u32::from_be_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize;
        frames.push((at, at + 32 + length + 32));
        at += 32 + length + 32;
    }
    frames
}

const CHANGES: &[Change] = &[
    (
        "an entry is edited",
        |folder| {
            edit(&folder.join("0000000002.segment"), |bytes| {
                let at = bytes.windows(7).position(|part| part == b"someone").unwrap();
                bytes[at] = b'S';
            });
        },
        &[FindingKind::Frame],
    ),
    (
        "a frame is taken out",
        |folder| {
            edit(&folder.join("0000000002.segment"), |bytes| {
                let (from, to) = frames(bytes)[3];
                bytes.drain(from..to);
            });
        },
        &[FindingKind::Frame],
    ),
    (
        "a frame is put in twice",
        |folder| {
            edit(&folder.join("0000000002.segment"), |bytes| {
                let (from, to) = frames(bytes)[3];
                let copy = bytes[from..to].to_vec();
                bytes.splice(to..to, copy);
            });
        },
        &[FindingKind::Frame, FindingKind::Appended],
    ),
    (
        "two frames change places",
        |folder| {
            edit(&folder.join("0000000002.segment"), |bytes| {
                let (first, second) = (frames(bytes)[3], frames(bytes)[4]);
                let moved = [&bytes[second.0..second.1], &bytes[first.0..first.1]].concat();
                bytes.splice(first.0..second.1, moved);
            });
        },
        &[FindingKind::Frame],
    ),
    (
        "the end of a segment is cut off",
        |folder| {
            edit(&folder.join("0000000002.segment"), |bytes| {
                let (from, _) = *frames(bytes).last().unwrap();
                bytes.truncate(from);
            });
        },
        &[FindingKind::Truncated],
    ),
    (
        "something is put behind the end of a segment",
        |folder| edit(&folder.join("0000000002.segment"), |bytes| bytes.extend(b"more")),
        &[FindingKind::Appended],
    ),
    (
        "a segment is gone",
        |folder| fs::remove_file(folder.join("0000000002.segment")).unwrap(),
        &[FindingKind::MissingSegment],
    ),
    (
        "the first segment is gone",
        |folder| fs::remove_file(folder.join("0000000001.segment")).unwrap(),
        &[FindingKind::MissingSegment],
    ),
    (
        "two segments change places",
        |folder| {
            let (first, second) = (folder.join("0000000001.segment"), folder.join("0000000002.segment"));
            let other = fs::read(&first).unwrap();
            fs::rename(&second, &first).unwrap();
            fs::write(&second, other).unwrap();
        },
        &[FindingKind::Link, FindingKind::MissingSegment],
    ),
    (
        "the last segments are gone",
        |folder| {
            let last = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
            let last =
                last.filter(|path| path.extension().is_some_and(|ext| ext == "segment")).max().unwrap();
            fs::remove_file(last).unwrap();
        },
        &[FindingKind::Seal, FindingKind::Checkpoint],
    ),
    (
        "a seal is gone",
        |folder| {
            let seals = fs::read_to_string(folder.join("seals")).unwrap();
            let kept: String = seals
                .split_inclusive('\n')
                .enumerate()
                .filter(|(n, _)| *n != 2)
                .map(|(_, line)| line)
                .collect();
            fs::write(folder.join("seals"), kept).unwrap();
        },
        &[FindingKind::Seal],
    ),
    (
        "the last seal is gone",
        |folder| {
            let mut seals = fs::read_to_string(folder.join("seals")).unwrap();
            seals.pop();
            seals.truncate(seals.rfind('\n').unwrap() + 1);
            fs::write(folder.join("seals"), seals.clone()).unwrap();
            // Not so that a crash may have come between seal and key.
            seals.pop();
            seals.truncate(seals.rfind('\n').unwrap() + 1);
            fs::write(folder.join("seals"), seals).unwrap();
        },
        &[FindingKind::Seal],
    ),
    ("the tree is gone", |folder| fs::remove_file(folder.join("tree")).unwrap(), &[FindingKind::Tree]),
];

#[tokio::test]
async fn every_change_is_found_for_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (seed, _) = made(folder.path(), 100, 10).await;
    for (what, change, expected) in CHANGES {
        let changed = copy(folder.path());
        change(changed.path());
        let report = verify(changed.path(), &with(&seed)).unwrap();
        let found = kinds(&report);
        assert!(
            !found.is_empty() && found.iter().all(|kind| expected.contains(kind)),
            "{what}: {:?}",
            report.findings
        );
        for kind in *expected {
            assert!(found.contains(kind), "{what}: no {kind:?} in {:?}", report.findings);
        }
    }
}

/// The intruder has every key of now and writes history anew, in the same number of epochs, with the same library.
#[tokio::test]
async fn who_holds_the_keys_of_now_cannot_rewrite_what_was_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let (seed, outside) = made(folder.path(), 60, 10).await;
    let forged = tempfile::tempdir().unwrap();
    let _ = made(forged.path(), 1, 1).await;
    for name in ["log", "checkpoint.key"] {
        fs::copy(folder.path().join(name), forged.path().join(name)).unwrap();
    }
    for name in ["0000000001.segment", "seals", "checkpoints", "tree", "seal.key"] {
        fs::remove_file(forged.path().join(name)).unwrap();
    }
    // A key of epoch 0 of their own, in the form of the file.
    let own = tempfile::tempdir().unwrap();
    let (_log, _) = Log::create(&config(own.path()), &Ctx::default()).await.unwrap();
    fs::copy(own.path().join("seal.key"), forged.path().join("seal.key")).unwrap();
    let log = Log::open(&config(forged.path()), &Ctx::default()).await.unwrap();
    for n in 0..60 {
        log.append(&entry(n).detail("this is how it was")).await.unwrap();
        if (n + 1) % 10 == 0 {
            log.checkpoint().await.unwrap();
        }
    }
    log.close().await.unwrap();
    // And the stolen one for what comes.
    fs::copy(folder.path().join("seal.key"), forged.path().join("seal.key")).unwrap();

    // In itself it is as good as the other; this is why the seed is kept elsewhere.
    assert!(verify(forged.path(), &VerifyOptions::new()).unwrap().is_clean());
    let report = verify(forged.path(), &with(&seed)).unwrap();
    assert_eq!(kinds(&report), [FindingKind::Seal; 6], "{:?}", report.findings);
    let report = verify(forged.path(), &VerifyOptions::new().checkpoint(outside)).unwrap();
    assert_eq!(kinds(&report), [FindingKind::Witness]);
}

/// Seals cannot be cut off either, since the key of an earlier epoch cannot be made from a later one.
#[tokio::test]
async fn a_log_cut_back_to_an_earlier_seal_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let ctx = Ctx::default();
    let (log, seed) = Log::create(&config(folder.path()), &ctx).await.unwrap();
    let grow = async |from: u64| {
        for n in from..from + 10 {
            log.append(&entry(n)).await.unwrap();
        }
        log.checkpoint().await.unwrap()
    };
    grow(0).await;
    let earlier = copy(folder.path());
    grow(10).await;
    let outside = grow(20).await;
    log.close().await.unwrap();
    let earlier_key = fs::read(earlier.path().join("seal.key")).unwrap();
    // The key of then is gone from the disk.
    let now = fs::read(folder.path().join("seal.key")).unwrap();
    let kept = |key: &[u8]| key.iter().any(|byte| *byte != 0) && now.chunks(48).any(|slot| slot == key);
    assert!(!earlier_key.chunks(48).any(kept));
    assert!(now.chunks(48).any(|slot| slot.iter().all(|byte| *byte == 0)));
    // As an intruder would: everything of then, and the key of now.
    fs::write(earlier.path().join("seal.key"), now).unwrap();
    let report = verify(earlier.path(), &with(&seed)).unwrap();
    assert_eq!((kinds(&report), report.end_of_seals), (vec![FindingKind::Seal], Some(false)));
    assert_eq!(kinds(&verify(earlier.path(), &VerifyOptions::new()).unwrap()), [FindingKind::Seal]);
    // With a copy of the whole folder from then, only who was told in between knows better.
    fs::write(earlier.path().join("seal.key"), earlier_key).unwrap();
    assert!(verify(earlier.path(), &with(&seed)).unwrap().is_clean());
    let report = verify(earlier.path(), &with(&seed).checkpoint(outside)).unwrap();
    assert_eq!(kinds(&report), [FindingKind::Witness]);
}

#[tokio::test]
async fn retention_drops_segments_and_every_proof_still_holds() {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let ctx = Ctx { clock: clock.shared(), ..Ctx::default() };
    let mut config = config(folder.path());
    config.keep = Some(Duration::from_hours(1));
    let (log, seed) = Log::create(&config, &ctx).await.unwrap();
    let start = clock.wall();
    let mut receipts = Vec::new();
    let mut old = None;
    for n in 0..120 {
        let at = start + Duration::from_mins(1) * u32::try_from(n).unwrap();
        receipts
            .push(log.append(&Entry::new(at, "test.run", Outcome::Success).actor("someone")).await.unwrap());
        if n == 9 {
            old = Some(log.checkpoint().await.unwrap());
        }
    }
    assert_eq!(log.retain().await.unwrap().segments, 0);
    clock.advance(Duration::from_hours(2));
    let retained = log.retain().await.unwrap();
    assert!(retained.segments > 1 && retained.first > 10, "{retained:?}");
    assert!(log.reader().unwrap().read(0).is_err());
    assert_eq!(log.reader().unwrap().first(), retained.first);
    let now = log.checkpoint().await.unwrap();
    for receipt in &receipts {
        let proof = log.prove_inclusion(receipt.sequence, now.checkpoint().size).unwrap();
        proof.verify(&receipt.leaf_hash, now.checkpoint()).unwrap();
    }
    let old = old.unwrap();
    log.prove_consistency(10, log.size()).unwrap().verify(old.checkpoint(), now.checkpoint()).unwrap();
    log.close().await.unwrap();
    let report = verify(folder.path(), &with(&seed).checkpoint(old)).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!((report.first, report.size), (retained.first, 121));
    // Opened again it goes on; one more segment gone is more than the entry says.
    let log = Log::open(&config, &ctx).await.unwrap();
    assert_eq!(log.append(&entry(1)).await.unwrap().sequence, 121);
    log.close().await.unwrap();
    let first = log.reader().unwrap().segments().unwrap()[0].number;
    fs::remove_file(folder.path().join(format!("{first:010}.segment"))).unwrap();
    let report = verify(folder.path(), &with(&seed)).unwrap();
    assert_eq!(kinds(&report), [FindingKind::MissingSegment], "{:?}", report.findings);
}
