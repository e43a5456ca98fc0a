//! Any tree, after any edits, comes back from every snapshot; restic agrees.
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
#![allow(clippy::disallowed_methods, reason = "a test looks at the time of files")]

mod support;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use buttress_backup::store::DynStore;
use buttress_backup::{BackupJob, CheckDepth, Repository, RestoreJob};
use buttress_core::Ctx;
use buttress_testkit::Random;
use proptest::prelude::*;
use support::memory::{Exchange, Memory};
use support::{noise, password, picture, restic};

/// restic takes seconds, so it looks at one case of so many.
const RESTIC_EACH: u64 = 12;

const NAMES: [&[u8]; 10] = [
    b"a",
    b"b",
    b"notes.txt",
    b"with space",
    b"new\nline",
    b"\xff\xfe not text",
    "grün <&> \u{2028}".as_bytes(),
    b"quote\"back\\slash",
    b"\x01\x7f",
    b"-rf",
];

/// What happens to a tree. Numbers choose among what is there.
#[derive(Debug, Clone, Copy)]
struct Edit {
    what: What,
    at: usize,
    name: usize,
    amount: u64,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Create,
    Folder,
    Append,
    Overwrite,
    Truncate,
    Delete,
    Rename,
    Chmod,
    Chown,
    Attribute,
    Symlink,
    HardLink,
    Fifo,
    Sparse,
    /// A file becomes a folder, a folder a file.
    Swap,
    Touch,
}

fn edit() -> impl Strategy<Value = Edit> {
    use What::*;
    let what = prop_oneof![
        6 => Just(Create), 3 => Just(Folder), 2 => Just(Append), 3 => Just(Overwrite), 2 => Just(Truncate), 2 => Just(Delete),
        2 => Just(Rename), 1 => Just(Chmod), 1 => Just(Chown), 1 => Just(Attribute), 1 => Just(Symlink), 2 => Just(HardLink),
        1 => Just(Fifo), 1 => Just(Sparse), 2 => Just(Swap), 1 => Just(Touch),
    ];
    (what, any::<usize>(), 0..NAMES.len(), any::<u64>()).prop_map(|(what, at, name, amount)| Edit {
        what,
        at,
        name,
        amount,
    })
}

fn entries(root: &Path) -> (Vec<PathBuf>, Vec<PathBuf>, Vec<PathBuf>) {
    let (mut folders, mut files, mut all) = (vec![root.to_owned()], Vec::new(), Vec::new());
    let mut next = 0;
    while let Some(folder) = folders.get(next).cloned() {
        next += 1;
        let mut inside: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        inside.sort();
        for path in inside {
            let about = fs::symlink_metadata(&path).unwrap();
            if about.is_dir() {
                folders.push(path.clone());
            } else if about.is_file() {
                files.push(path.clone());
            }
            all.push(path);
        }
    }
    (folders, files, all)
}

fn remove(path: &Path) {
    match fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => fs::remove_dir_all(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
}

/// Mostly small, at times more than one chunk.
fn content(amount: u64) -> Vec<u8> {
    let mut random = Random::new(amount);
    let length = match random.below(10) {
        0 => 0,
        1..7 => random.below(5_000),
        7 | 8 => 400_000 + random.below(400_000),
        _ => 1_500_000 + random.below(1_500_000),
    };
    let length = usize::try_from(length).unwrap();
    match random.below(3) {
        0 => b"the same again ".iter().copied().cycle().take(length).collect(),
        1 => vec![0; length],
        _ => noise(&mut random, length),
    }
}

fn apply(root: &Path, edit: Edit) {
    let (folders, files, all) = entries(root);
    let of = |paths: &[PathBuf]| (!paths.is_empty()).then(|| paths[edit.at % paths.len()].clone());
    let folder = of(&folders).unwrap();
    let new = folder.join(OsStr::from_bytes(NAMES[edit.name]));
    let free = fs::symlink_metadata(&new).is_err();
    let open = |path: &Path| OpenOptions::new().write(true).open(path).unwrap();
    let small = edit.amount % 2_000_000;
    match edit.what {
        What::Create if free => fs::write(new, content(edit.amount)).unwrap(),
        What::Folder if free => fs::create_dir(new).unwrap(),
        What::Symlink if free => {
            std::os::unix::fs::symlink(OsStr::from_bytes(NAMES[edit.at % 10]), new).unwrap();
        }
        What::Fifo if free => {
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            rustix::fs::mknodat(rustix::fs::CWD, new, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        }
        What::Sparse if free => {
            let file = fs::File::create(new).unwrap();
            file.write_all_at(b"somewhere", small).unwrap();
            file.set_len(3_000_000).unwrap();
        }
        What::HardLink if free => {
            if let Some(file) = of(&files) {
                fs::hard_link(file, new).unwrap();
            }
        }
        What::Append => {
            if let Some(file) = of(&files) {
                let end = fs::metadata(&file).unwrap().len();
                open(&file).write_all_at(&content(edit.amount), end).unwrap();
            }
        }
        What::Overwrite => {
            if let Some(file) = of(&files) {
                let length = fs::metadata(&file).unwrap().len().max(1);
                open(&file).write_all_at(b"something else", edit.amount % length).unwrap();
            }
        }
        What::Truncate => {
            if let Some(file) = of(&files) {
                let length = fs::metadata(&file).unwrap().len() + 1;
                open(&file).set_len(edit.amount % length).unwrap();
            }
        }
        What::Delete => of(&all).iter().for_each(|path| remove(path)),
        What::Rename => {
            if let Some(from) = of(&all)
                && free
                && !new.starts_with(&from)
            {
                fs::rename(from, new).unwrap();
            }
        }
        What::Chmod => {
            if let Some(path) = of(&[folders, files].concat()) {
                let mode = 0o400 | (edit.amount % 0o10000) as u32;
                fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            }
        }
        What::Chown => {
            // Only root can.
            if let Some(path) = of(&all)
                && rustix::process::geteuid().is_root()
            {
                std::os::unix::fs::lchown(path, Some(edit.amount as u32 % 70_000), Some(7)).unwrap();
            }
        }
        What::Attribute => {
            if let Some(path) = of(&[folders, files].concat()) {
                let name = format!("user.{}", edit.amount % 3);
                let value = &content(edit.amount)[..].get(..40).unwrap_or(b"short").to_vec();
                rustix::fs::setxattr(path, name, value, rustix::fs::XattrFlags::empty()).unwrap();
            }
        }
        What::Swap => {
            if let Some(path) = of(&all) {
                let was_folder = fs::symlink_metadata(&path).unwrap().is_dir();
                remove(&path);
                if was_folder {
                    fs::write(path, content(edit.amount)).unwrap();
                } else {
                    fs::create_dir(&path).unwrap();
                    fs::write(path.join("inside"), content(edit.amount)).unwrap();
                }
            }
        }
        What::Touch => {
            if let Some(path) = of(&all) {
                let time = rustix::fs::Timespec {
                    tv_sec: (edit.amount % 4_000_000_000).cast_signed() - 1_000_000_000,
                    tv_nsec: (edit.amount % 1_000_000_000).cast_signed(),
                };
                let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
                let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
                rustix::fs::utimensat(rustix::fs::CWD, path, &times, flags).unwrap();
            }
        }
        _ => {}
    }
}

/// An open repository whose store is exchanged for each case.
struct Setting {
    runtime: tokio::runtime::Runtime,
    empty: Memory,
    exchange: Exchange,
    repository: Repository,
    cases: AtomicU64,
}

impl Setting {
    fn new() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let empty = Memory::default();
        let exchange = Exchange::new(empty.clone());
        let store = DynStore::new(exchange.clone());
        let repository = runtime.block_on(Repository::init(store, &password(), &Ctx::default())).unwrap();
        Self { runtime, empty, exchange, repository, cases: AtomicU64::new(0) }
    }

    fn case(&self, steps: &[Vec<Edit>], forgotten: u8) {
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join("files");
        fs::create_dir(&files).unwrap();
        let store = self.empty.copy();
        self.exchange.set(store.clone());
        let mut pictures: Vec<(_, BTreeMap<PathBuf, String>)> = Vec::new();
        for edits in steps {
            for edit in edits {
                apply(&files, *edit);
            }
            let job = BackupJob::new().root(&files, "/files");
            let report = self.runtime.block_on(self.repository.backup(job)).unwrap();
            pictures.push((report.snapshot, picture(&files)));
        }
        self.compare(&pictures, folder.path());
        let mut at = 0;
        let mut gone = Vec::new();
        pictures.retain(|(snapshot, _)| {
            at += 1;
            let stays = forgotten >> at & 1 == 0;
            gone.extend((!stays).then_some(snapshot.id));
            stays
        });
        self.runtime.block_on(self.repository.forget(&gone)).unwrap();
        self.runtime.block_on(self.repository.prune()).unwrap();
        self.compare(&pictures, folder.path());
        if self.cases.fetch_add(1, Ordering::Relaxed).is_multiple_of(RESTIC_EACH)
            && let Some((snapshot, expected)) = pictures.last()
        {
            let place = folder.path().join("repository");
            store.write_to(&place);
            let said = restic(&place, &["check", "--read-data"]);
            assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
            let target = folder.path().join("by restic");
            let said =
                restic(&place, &["restore", &snapshot.id.to_string(), "--target", target.to_str().unwrap()]);
            assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
            let by_restic = picture(&target.join("files"));
            // restic 0.14 makes hard links files of their own at times, and says nothing of how many names there are.
            assert_eq!(&by_restic, expected);
        }
    }

    fn compare(&self, pictures: &[(buttress_backup::Snapshot, BTreeMap<PathBuf, String>)], folder: &Path) {
        let report = self.runtime.block_on(self.repository.check(CheckDepth::Data)).unwrap();
        assert_eq!((report.snapshots, report.remarks.len()), (pictures.len() as u64, 0), "{report:?}");
        for (snapshot, expected) in pictures {
            let target = folder.join("restored");
            self.runtime.block_on(self.repository.restore(snapshot, RestoreJob::new(&target))).unwrap();
            assert_eq!(&picture(&target.join("files")), expected);
            fs::remove_dir_all(target).unwrap();
        }
    }
}

#[test]
fn any_tree_and_any_edits_come_back_from_every_snapshot() {
    let setting = Setting::new();
    let steps = prop::collection::vec(prop::collection::vec(edit(), 1..12), 1..5);
    let config = ProptestConfig {
        cases: 40,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(steps in steps, forgotten: u8)| setting.case(&steps, forgotten));
}
