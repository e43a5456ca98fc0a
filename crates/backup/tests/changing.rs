//! Files that change while they are read, that cannot be read, that are very many or very deep; and places to restore to that lead elsewhere.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a test"
)]
#![allow(clippy::disallowed_methods, reason = "files change in real time")]

mod support;

use std::env;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use buttress_backup::store::{DynStore, Folder};
use buttress_backup::{BackupJob, CheckDepth, Error, Repository, RestoreJob};
use buttress_core::Ctx;
use buttress_testkit::Random;
use rustix::fs::{CWD, Mode, OFlags, RenameFlags};
use support::memory::Memory;
use support::{Bench, noise, password, picture};

async fn in_memory() -> (tempfile::TempDir, Repository) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("files")).unwrap();
    let store = DynStore::new(Memory::default());
    (folder, Repository::init(store, &password(), &Ctx::default()).await.unwrap())
}

/// Changes files for as long as it lives.
struct Storm(Arc<AtomicBool>, Option<std::thread::JoinHandle<u64>>);

impl Storm {
    fn over(mut blow: impl FnMut(u64) + Send + 'static) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let mut rounds = 0;
            while !seen.load(Ordering::Relaxed) {
                blow(rounds);
                rounds += 1;
            }
            rounds
        });
        Self(over, Some(thread))
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        drop(self.1.take().map(std::thread::JoinHandle::join));
    }
}

/// Attributes of an unchanged file are not read; a change of them is a change of it, though not of its content.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attributes_of_a_file_are_kept_and_a_change_of_them_is_seen() {
    let (folder, repository) = in_memory().await;
    let (files, target) = (folder.path().join("files"), folder.path().join("restored"));
    let file = files.join("file");
    fs::write(&file, "content").unwrap();
    for (value, unmodified) in [("first", 0), ("second", 0), ("second", 1)] {
        if unmodified == 0 {
            rustix::fs::setxattr(&file, "user.kind", value.as_bytes(), rustix::fs::XattrFlags::empty())
                .unwrap();
        }
        // So long after a change that it cannot be one of the same tick.
        std::thread::sleep(Duration::from_millis(60));
        let made = repository.backup(BackupJob::new().root(&files, "/files")).await.unwrap();
        assert_eq!(made.summary.files_unmodified, unmodified);
        repository.restore(&made.snapshot, RestoreJob::new(&target)).await.unwrap();
        let mut restored = [0; 16];
        let length = rustix::fs::getxattr(target.join("files/file"), "user.kind", &mut restored[..]).unwrap();
        assert_eq!(&restored[..length], value.as_bytes());
        fs::remove_dir_all(&target).unwrap();
    }
}

/// One name is now a file, now a folder, a link, a pipe; others grow, shrink, are written anew and moved into place, come and go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_while_it_is_read_is_there_whole_or_named() {
    let (folder, repository) = in_memory().await;
    let files = folder.path().join("files");
    let aside = folder.path().join("aside");
    fs::create_dir_all(aside.join("folder")).unwrap();
    fs::write(aside.join("folder/inside"), "inside").unwrap();
    std::os::unix::fs::symlink("/etc/hostname", aside.join("link")).unwrap();
    rustix::fs::mknodat(CWD, aside.join("pipe"), rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600), 0)
        .unwrap();
    fs::write(files.join("many"), "a file").unwrap();
    // Something to read first, so that it is a while from a look at the others to their turn.
    let still = noise(&mut Random::new(1), 30_000);
    for number in 0..150 {
        fs::write(files.join(format!("a still one {number}")), &still).unwrap();
    }
    let (storm_files, storm_aside) = (files.clone(), aside.clone());
    let storm_of_kinds = Storm::over(move |_| {
        for other in ["folder", "link", "pipe"] {
            let (one, another) = (storm_aside.join(other), storm_files.join("many"));
            for _ in 0..2 {
                rustix::fs::renameat_with(CWD, &one, CWD, &another, RenameFlags::EXCHANGE).unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    });
    let (storm_files, storm_aside) = (files.clone(), aside.clone());
    let storm = Storm::over(move |round| {
        let (files, aside) = (&storm_files, &storm_aside);
        let mut grows = OpenOptions::new().append(true).create(true).open(files.join("grows")).unwrap();
        grows.write_all(&(round as u32).to_be_bytes()).unwrap();
        let shrinks = fs::File::create(files.join("shrinks")).unwrap();
        shrinks.set_len(300_000).unwrap();
        shrinks.set_len(7).unwrap();
        fs::write(aside.join("new"), vec![b'0' + (round % 10) as u8; 50_000]).unwrap();
        fs::rename(aside.join("new"), files.join("replaced")).unwrap();
        fs::write(files.join("comes and goes"), "here").unwrap();
        std::thread::sleep(Duration::from_millis(1));
        fs::remove_file(files.join("comes and goes")).unwrap();
    });
    let mut named = 0;
    for round in 0..12 {
        match repository.backup(BackupJob::new().root(&files, "/files").reread()).await {
            Ok(_) => {}
            Err(Error::Incomplete { done, failures }) => {
                assert!(done.contains("was made"), "{done}");
                for failure in failures {
                    assert!(Path::new(&failure.of).starts_with(files.join("many")), "{failure:?}");
                    named += 1;
                }
            }
            Err(error) => panic!("{error}"),
        }
        let snapshot = repository.snapshot("latest").await.unwrap();
        let target = folder.path().join("restored");
        repository.restore(&snapshot, RestoreJob::new(&target)).await.unwrap();
        let restored = target.join("files");
        let replaced = fs::read(restored.join("replaced")).unwrap_or_default();
        assert!(replaced.windows(2).all(|pair| pair[0] == pair[1]), "a file of two halves");
        assert!(round == 0 || replaced.len() == 50_000, "{}", replaced.len());
        let grown = fs::read(restored.join("grows")).unwrap_or_default();
        let numbers = grown.as_chunks::<4>().0.iter().map(|number| u32::from_be_bytes(*number));
        assert!(
            numbers.enumerate().all(|(at, number)| at as u32 == number),
            "not a beginning of what it became"
        );
        for number in 0..150 {
            assert!(fs::read(restored.join(format!("a still one {number}"))).unwrap() == still);
        }
        fs::remove_dir_all(target).unwrap();
    }
    drop((storm, storm_of_kinds));
    println!("{named} changes were named");
    repository.check(CheckDepth::Data).await.unwrap();
}

const NOBODY: u32 = 65_534;
const UNREADABLE: &str = "BUTTRESS_BACKUP_UNREADABLE";

/// A process of somebody who is not root.
#[test]
fn reader() {
    let Ok(folder) = env::var(UNREADABLE) else { return };
    let folder = PathBuf::from(folder);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = DynStore::new(Folder::new(folder.join("repository")));
        let repository = Repository::init(store, &password(), &Ctx::default()).await.unwrap();
        let files = folder.join("files");
        let refused = repository.backup(BackupJob::new().root(&files, "/files")).await.unwrap_err();
        let Error::Incomplete { done, failures } = refused else { panic!("{refused}") };
        let mut named: Vec<_> = failures.iter().map(|failure| failure.of.clone()).collect();
        named.sort();
        let expected = ["closed", "secret"].map(|name| files.join(name).display().to_string());
        assert_eq!(named, expected, "{done}");
        let snapshot = repository.snapshot("latest").await.unwrap();
        repository.restore(&snapshot, RestoreJob::new(folder.join("restored"))).await.unwrap();
        assert_eq!(fs::read(folder.join("restored/files/open")).unwrap(), b"open");
        assert!(!folder.join("restored/files/secret").exists());
    });
}

#[test]
fn what_may_not_be_read_is_named_and_the_rest_is_there() {
    assert!(
        rustix::process::geteuid().is_root(),
        "run the tests as root: another user is needed who may not read a file"
    );
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("files");
    fs::create_dir_all(files.join("closed")).unwrap();
    for name in ["open", "secret", "closed/inside"] {
        fs::write(files.join(name), "open").unwrap();
    }
    let program = folder.path().join("program");
    fs::copy(env::current_exe().unwrap(), &program).unwrap();
    for path in [folder.path().to_owned(), program.clone(), files.clone()] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    for name in ["secret", "closed"] {
        fs::set_permissions(files.join(name), fs::Permissions::from_mode(0o0)).unwrap();
    }
    let done = Command::new(program)
        .args(["--exact", "reader", "--nocapture"])
        .env(UNREADABLE, folder.path())
        .current_dir(folder.path())
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(folder.path().join("restored/files/open").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_of_a_hundred_thousand_files_comes_back() {
    let (folder, repository) = in_memory().await;
    let files = folder.path().join("files");
    for number in 0..100_000 {
        fs::File::create(files.join(format!("{number}"))).unwrap();
    }
    let job = BackupJob::new().root(&files, "/files");
    let report = repository.backup(job.clone()).await.unwrap();
    assert_eq!(report.summary.files_new, 100_000);
    fs::remove_file(files.join("77777")).unwrap();
    let report = repository.backup(job).await.unwrap();
    assert_eq!(report.summary.files_new, 0);
    let target = folder.path().join("restored");
    repository.restore(&report.snapshot, RestoreJob::new(&target)).await.unwrap();
    assert_eq!(fs::read_dir(target.join("files")).unwrap().count(), 99_999);
}

/// Makes folders in each other, by steps, so that the path may become longer than the system takes.
fn dig(from: &Path, depth: usize) {
    let mut at = rustix::fs::open(from, OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..depth {
        rustix::fs::mkdirat(&at, "d", Mode::from_raw_mode(0o700)).unwrap();
        at = rustix::fs::openat(&at, "d", OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    let file =
        rustix::fs::openat(&at, "deep", OFlags::CREATE | OFlags::WRONLY, Mode::from_raw_mode(0o600)).unwrap();
    fs::File::from(file).write_all(b"down here").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folders_may_be_as_deep_as_paths_go_and_what_is_deeper_is_named() {
    let (folder, repository) = in_memory().await;
    let files = folder.path().join("files");
    fs::create_dir(files.join("fits")).unwrap();
    let room = 4_000 - files.as_os_str().len();
    dig(&files.join("fits"), room / 2);
    let report = repository.backup(BackupJob::new().root(&files, "/f")).await.unwrap();
    let target = folder.path().join("t");
    repository.restore(&report.snapshot, RestoreJob::new(&target)).await.unwrap();
    assert_eq!(picture(&target.join("f")), picture(&files));
    repository.check(CheckDepth::Data).await.unwrap();

    fs::create_dir(files.join("does not")).unwrap();
    dig(&files.join("does not"), 3_000);
    let refused = repository.backup(BackupJob::new().root(&files, "/f")).await.unwrap_err();
    let Error::Incomplete { failures, .. } = refused else { panic!("{refused}") };
    assert!(
        failures.len() == 1 && Path::new(&failures[0].of).starts_with(files.join("does not")),
        "{failures:?}"
    );
    // The library that removes the temporary folder goes by paths, too.
    let removed = Command::new("rm").arg("-rf").arg(files.join("does not")).status();
    assert!(removed.unwrap().success());
}

/// What is restored over what is there never goes through a link that stands there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_through_links_in_the_target() {
    let bench = Bench::new().await;
    fs::create_dir_all(bench.files().join("folder/inner")).unwrap();
    fs::write(bench.files().join("folder/inner/file"), "from the snapshot").unwrap();
    fs::write(bench.files().join("file"), "from the snapshot").unwrap();
    let snapshot = bench.repository.backup(bench.job()).await.unwrap().snapshot;
    let outside = bench.target("outside");
    fs::create_dir_all(outside.join("inner")).unwrap();
    fs::write(outside.join("inner/file"), "not to be touched").unwrap();
    let before = picture(&outside);
    let target = bench.target("target");
    fs::create_dir_all(target.join("files")).unwrap();
    std::os::unix::fs::symlink(&outside, target.join("files/folder")).unwrap();
    std::os::unix::fs::symlink(outside.join("inner/file"), target.join("files/file")).unwrap();
    let refused = bench.repository.restore(&snapshot, RestoreJob::new(&target)).await.unwrap_err();
    assert!(matches!(refused, Error::File { doing: "restore into", .. }), "{refused}");
    assert_eq!(picture(&outside), before);
    bench.repository.restore(&snapshot, RestoreJob::new(&target).overwrite()).await.unwrap();
    assert_eq!(picture(&outside), before);
    assert_eq!(picture(&target.join("files")), picture(&bench.files()));

    // A link that cannot be removed: what should come below it is named, and comes nowhere.
    fs::remove_dir_all(target.join("files/folder")).unwrap();
    std::os::unix::fs::symlink(&outside, target.join("files/folder")).unwrap();
    let immutable =
        |flag: &str| Command::new("chattr").arg(flag).arg(target.join("files")).status().unwrap().success();
    assert!(immutable("+i"), "`chattr` works on the file system of the temporary folder, as root");
    let done = bench.repository.restore(&snapshot, RestoreJob::new(&target).overwrite()).await;
    assert!(immutable("-i"));
    let Err(Error::Incomplete { failures, .. }) = done else { panic!("{done:?}") };
    assert_eq!(picture(&outside), before);
    for name in ["folder", "folder/inner", "folder/inner/file"] {
        let of = target.join("files").join(name);
        assert!(failures.iter().any(|failure| Path::new(&failure.of) == of), "{name}: {failures:?}");
    }
}
