//! Repositories and logs of former versions, and of restic, are read and gone on with.
//!
//! They lie in `tests/golden`, whose README says how they are made.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unnecessary_debug_formatting,
    missing_docs
)]

mod support;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use buttress_backup::log::{Kind, Log, LogConfig, Piece};
use buttress_backup::store::{DynStore, Folder};
use buttress_backup::{BackupJob, CheckDepth, Error, Repository, RestoreJob, Snapshot};
use buttress_core::Ctx;
use buttress_testkit::Random;
use secrecy::SecretString;
use support::{fill, noise, password, picture, restic};

const OURS: &str = concat!("buttress-backup-", env!("CARGO_PKG_VERSION"));
const RESTIC: &str = "restic-0.14.0";
/// Tags of the snapshots. The first was forgotten, and pruned.
const TAGS: [&str; 3] = ["gone", "edited", "last"];
const PIECES: u64 = 5;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn second_password() -> SecretString {
    SecretString::from("battery staple")
}

async fn open(place: &Path, password: &SecretString) -> Result<Repository, Error> {
    Repository::open(DynStore::new(Folder::new(place)), password, &Ctx::default()).await
}

/// What a restore has to bring, a line for each entry. Without owners, as only root can give a file away.
fn manifest(root: &Path) -> String {
    let mut lines = String::new();
    for (path, looks) in picture(root) {
        let parts: Vec<_> = looks.split(", ").collect();
        let owner = parts
            .iter()
            .position(|part| part.split_once(':').is_some_and(|(user, _)| user.parse::<u32>().is_ok()));
        let owner = owner.expect("an owner");
        let looks = [&parts[..owner], &parts[owner + 1..]].concat().join(", ");
        writeln!(lines, "{path:?}: {looks}").unwrap();
    }
    lines
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

async fn tagged(repository: &Repository, tag: &str) -> Snapshot {
    let snapshots = repository.snapshots().await.unwrap();
    snapshots.into_iter().find(|snapshot| snapshot.has_tag(tag)).unwrap_or_else(|| panic!("no {tag}"))
}

/// Restores a snapshot and compares it with its manifest; where it is.
async fn restore(repository: &Repository, of: &Path, tag: &str, target: PathBuf) -> PathBuf {
    let snapshot = tagged(repository, tag).await;
    repository.restore(&snapshot, RestoreJob::new(&target)).await.unwrap();
    let expected = fs::read_to_string(of.join(format!("{tag}.txt"))).unwrap();
    assert_eq!(manifest(&target.join("files")), expected, "{tag} of {}", of.display());
    target.join("files")
}

#[tokio::test]
async fn former_repositories_are_read_and_gone_on_with() {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(golden()).unwrap().map(Result::unwrap) {
        let (of, name) = (entry.path(), entry.file_name().into_string().unwrap());
        if !of.is_dir() {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("repository");
        copy(&of.join("repository"), &place);
        let repository = open(&place, &password()).await.unwrap();
        assert_eq!(open(&place, &second_password()).await.unwrap().id(), repository.id());
        let refused = open(&place, &SecretString::from("no password of it")).await.unwrap_err();
        assert!(matches!(refused, Error::WrongPassword { keys: 2, .. }), "{name}: {refused}");
        let report = repository.check(CheckDepth::Data).await.unwrap();
        assert_eq!(
            (report.snapshots, report.packs_read, report.remarks),
            (2, report.packs, vec![]),
            "{name}"
        );
        restore(&repository, &of, "edited", folder.path().join("edited")).await;
        let files = restore(&repository, &of, "last", folder.path().join("last")).await;

        // It is gone on with, and what was written in our way is not written again.
        let job = || BackupJob::new().root(&files, "/files");
        let again = repository.backup(job().tag("again")).await.unwrap();
        if name.starts_with("buttress-backup-") {
            assert_eq!(again.summary.data_blobs, 0, "{name}: {:?}", again.summary);
        }
        fs::write(files.join("new"), "one more").unwrap();
        repository.backup(job().tag("new")).await.unwrap();
        let edited = tagged(&repository, "edited").await.id;
        repository.forget(&[edited, again.id]).await.unwrap();
        let pruned = repository.prune().await.unwrap();
        assert!(pruned.blobs_removed > 0, "{name}: {pruned:?}");
        let report = repository.check(CheckDepth::Data).await.unwrap();
        assert_eq!((report.snapshots, report.remarks), (2, vec![]), "{name}");
        restore(&repository, &of, "last", folder.path().join("after")).await;
        let target = folder.path().join("new");
        let new = tagged(&repository, "new").await;
        repository.restore(&new, RestoreJob::new(&target)).await.unwrap();
        assert_eq!(manifest(&target.join("files")), manifest(&files), "{name}");
        found.insert(name);
    }
    // A release without one: `make_those_of_this_version` makes it.
    assert!(found.contains(OURS) && found.contains(RESTIC), "{found:?}");
}

fn log_config(place: &Path) -> LogConfig {
    let mut config = LogConfig::default();
    config.blobs.url = place.display().to_string();
    config
}

fn piece(number: u64) -> Piece {
    Piece {
        epoch: 1,
        first: number * 10,
        last: (number + 1) * 10,
        time: SystemTime::UNIX_EPOCH + Duration::from_secs(number),
        payload: format!("number {number}, {}", "again and ".repeat(20)).into(),
    }
}

#[tokio::test]
async fn former_logs_are_read_and_gone_on_with() {
    for entry in fs::read_dir(golden()).unwrap().map(Result::unwrap) {
        let folder = tempfile::tempdir().unwrap();
        let from = entry.path().join("log");
        if !from.is_dir() {
            assert!(!entry.file_name().to_str().unwrap().starts_with("buttress-backup-"));
            continue;
        }
        copy(&from, folder.path());
        let log = Log::open(&log_config(folder.path()), &password(), &Ctx::default()).await.unwrap();
        let mut writer = log.writer(Kind(1000), None).await.unwrap();
        writer.append(piece(PIECES)).await.unwrap();
        let mut segments = log.segments(1, None).await.unwrap();
        for number in 0..=PIECES {
            let segment = segments.next().await.unwrap().expect("a segment");
            let piece = piece(number);
            assert_eq!(segment.payload, piece.payload);
            assert_eq!((segment.sequence, segment.kind, segment.time), (number + 1, Kind(1000), piece.time));
            assert_eq!((segment.first.offset, segment.last.offset), (piece.first, piece.last));
        }
        assert!(segments.next().await.unwrap().is_none());
    }
}

/// What is backed up the first, the second and the third time.
fn edit(files: &Path, time: usize) {
    match time {
        0 => {
            fill(files);
            // Under its two names, and small enough to be kept for ever.
            fs::write(files.join("noise.bin"), noise(&mut Random::new(7), 9_000)).unwrap();
            fs::write(files.join("gone"), noise(&mut Random::new(8), 9_000)).unwrap();
        }
        1 => {
            fs::remove_file(files.join("gone")).unwrap();
            fs::write(files.join("edited"), noise(&mut Random::new(9), 9_000)).unwrap();
        }
        _ => {
            fs::remove_file(files.join("edited")).unwrap();
            fs::write(files.join("text.txt"), "other words, again and again. ".repeat(40_000)).unwrap();
        }
    }
}

#[tokio::test]
#[ignore = "makes what the others read, once for each release"]
async fn make_those_of_this_version() {
    for name in [OURS, RESTIC] {
        let of = golden().join(name);
        if of.exists() {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let (files, place) = (folder.path().join("files"), folder.path().join("repository"));
        fs::create_dir(&files).unwrap();
        fs::create_dir_all(&of).unwrap();
        if name == OURS {
            make_ours(&files, &place, &of).await;
        } else {
            make_restics(&files, &place, &of);
        }
        copy(&place, &of.join("repository"));
    }
}

async fn make_ours(files: &Path, place: &Path, of: &Path) {
    let store = DynStore::new(Folder::new(place));
    let repository = Repository::init(store, &password(), &Ctx::default()).await.unwrap();
    repository.add_key(&second_password()).await.unwrap();
    for (time, tag) in TAGS.into_iter().enumerate() {
        edit(files, time);
        repository.backup(BackupJob::new().root(files, "/files").tag(tag)).await.unwrap();
        if time > 0 {
            fs::write(of.join(format!("{tag}.txt")), manifest(files)).unwrap();
        }
    }
    repository.forget(&[tagged(&repository, "gone").await.id]).await.unwrap();
    assert!(repository.prune().await.unwrap().blobs_removed > 0);

    let log = Log::create(&log_config(&of.join("log")), &password(), &Ctx::default()).await.unwrap();
    let mut writer = log.writer(Kind(1000), None).await.unwrap();
    for number in 0..PIECES {
        writer.append(piece(number)).await.unwrap();
    }
}

fn make_restics(files: &Path, place: &Path, of: &Path) {
    let folder = files.parent().unwrap();
    let run = |arguments: &[&str]| {
        let output = support::restic_command(place, arguments).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(run(&["version"]).starts_with(&RESTIC.replace('-', " ")));
    run(&["init", "--repository-version", "2"]);
    fs::write(folder.join("second"), "battery staple").unwrap();
    run(&["key", "add", "--new-password-file", "second"]);
    for (time, tag) in TAGS.into_iter().enumerate() {
        edit(files, time);
        run(&["backup", "--tag", tag, "files"]);
        if time > 0 {
            fs::write(of.join(format!("{tag}.txt")), manifest(files)).unwrap();
        }
    }
    run(&["forget", "--keep-tag", "edited", "--keep-tag", "last"]);
    run(&["prune", "--max-unused", "0"]);
    assert!(restic(place, &["check", "--read-data"]).status.success());
}
