//! Folders to back up, and restic beside us.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a helper of tests fails the test"
)]

pub(crate) mod meddled;
pub(crate) mod memory;

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use buttress_backup::store::{DynStore, Existing, Folder, Listed, Store};
use buttress_backup::{BackupJob, Error, Object, ObjectKind, Repository};
use buttress_core::Ctx;
use buttress_testkit::{Program, Random};
use bytes::Bytes;
use secrecy::SecretString;

pub(crate) fn password() -> SecretString {
    SecretString::from("correct horse")
}

/// A repository in a folder of its own, and a folder to back up.
pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) repository: Repository,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("files")).expect("a folder");
        let store = DynStore::new(Folder::new(folder.path().join("repository")));
        let repository = Repository::init(store, &password(), &Ctx::default()).await.expect("a repository");
        Self { folder, repository }
    }

    /// What is backed up.
    pub(crate) fn files(&self) -> PathBuf {
        self.folder.path().join("files")
    }

    pub(crate) fn place(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    pub(crate) fn job(&self) -> BackupJob {
        BackupJob::new().root(self.files(), "/files")
    }

    /// A path that nothing has been restored to yet.
    pub(crate) fn target(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn restic(&self, arguments: &[&str]) -> Output {
        restic(&self.place(), arguments)
    }

    /// What restic says; it has to succeed.
    pub(crate) fn restic_ok(&self, arguments: &[&str]) -> String {
        let output = self.restic(arguments);
        assert!(
            output.status.success(),
            "restic {arguments:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("text")
    }
}

pub(crate) fn restic(repository: &Path, arguments: &[&str]) -> Output {
    restic_command(repository, arguments).output().expect("restic runs")
}

/// restic, which backs up what it is given, and holds a shared lock for as long as it is given more.
pub(crate) fn restic_that_reads(repository: &Path) -> Child {
    let mut restic = restic_command(repository, &["backup", "--stdin", "--stdin-filename", "slow"]);
    restic.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("restic runs")
}

pub(crate) fn restic_command(repository: &Path, arguments: &[&str]) -> Command {
    let mut restic = Command::new(Program::RESTIC.path());
    restic.args(["--no-cache", "--repo"]).arg(repository).args(arguments);
    restic.env("RESTIC_PASSWORD", "correct horse");
    restic
}

/// A store that counts what is read, and takes so many more packs before it fails.
#[derive(Clone)]
pub(crate) struct Watched {
    pub(crate) inner: DynStore,
    pub(crate) packs_read: Arc<AtomicUsize>,
    pub(crate) packs_left: Arc<AtomicUsize>,
}

impl Watched {
    pub(crate) fn new(place: &Path, packs: usize) -> Self {
        Self {
            inner: DynStore::new(Folder::new(place)),
            packs_read: Arc::default(),
            packs_left: Arc::new(AtomicUsize::new(packs)),
        }
    }
}

impl Store for Watched {
    async fn put(&self, object: Object, bytes: Bytes, existing: Existing) -> Result<bool, Error> {
        let less = |left: usize| left.checked_sub(1);
        if object.kind() == ObjectKind::Pack
            && self.packs_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_err()
        {
            return Err(Error::Internal { problem: "the plug was pulled".to_owned() });
        }
        self.inner.put(object, bytes, existing).await
    }

    async fn get(&self, object: Object, range: Option<Range<u64>>) -> Result<Bytes, Error> {
        if object.kind() == ObjectKind::Pack {
            self.packs_read.fetch_add(1, Ordering::Relaxed);
        }
        self.inner.get(object, range).await
    }

    async fn list(&self, kind: ObjectKind) -> Result<Vec<Listed>, Error> {
        self.inner.list(kind).await
    }

    async fn delete(&self, object: Object) -> Result<(), Error> {
        self.inner.delete(object).await
    }

    fn place(&self) -> String {
        self.inner.place()
    }
}

/// A store that does not tell when it took an object, which it knows by the machine's clock and not by a test's.
#[derive(Clone)]
pub(crate) struct Timeless<S>(pub(crate) S);

impl<S: Store> Store for Timeless<S> {
    async fn put(&self, object: Object, bytes: Bytes, existing: Existing) -> Result<bool, Error> {
        self.0.put(object, bytes, existing).await
    }

    async fn get(&self, object: Object, range: Option<Range<u64>>) -> Result<Bytes, Error> {
        self.0.get(object, range).await
    }

    async fn list(&self, kind: ObjectKind) -> Result<Vec<Listed>, Error> {
        let listed = self.0.list(kind).await?;
        Ok(listed.into_iter().map(|listed| Listed { modified: None, ..listed }).collect())
    }

    async fn delete(&self, object: Object) -> Result<(), Error> {
        self.0.delete(object).await
    }

    fn place(&self) -> String {
        self.0.place()
    }
}

/// The objects of a kind in a repository of a folder, as files. (restic writes them beside under a longer name.)
pub(crate) fn objects(place: &Path, kind: ObjectKind) -> Vec<PathBuf> {
    let mut found: Vec<_> = files(&place.join(kind.folder()));
    found.retain(|path| path.file_name().is_some_and(|name| name.len() == 64));
    found.sort();
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Everything of a folder that a backup has to bring back: by path, what it is, its metadata and its content.
pub(crate) fn picture(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut entries = BTreeMap::new();
    // Not by recursion: folders may be deeper than the stack of a test.
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let about = fs::symlink_metadata(&path).expect("metadata");
            entries.insert(path.strip_prefix(root).expect("inside").to_owned(), looks(&path, &about));
            if about.is_dir() {
                open.push(path);
            }
        }
    }
    entries
}

fn looks(path: &Path, about: &fs::Metadata) -> String {
    let kind = about.file_type();
    let content = if kind.is_symlink() {
        format!("to {}", fs::read_link(path).expect("a link").display())
    } else if kind.is_file() {
        let bytes = fs::read(path).expect("a file");
        format!("{} bytes {}, {} names", bytes.len(), buttress_backup::Id::of(&bytes), about.nlink())
    } else if kind.is_fifo() {
        "fifo".to_owned()
    } else {
        "folder".to_owned()
    };
    // The permissions of a link say nothing.
    let mode = if kind.is_symlink() { 0 } else { about.permissions().mode() };
    format!(
        "{content}, {mode:o}, {}:{}, {}.{:09}, {:?}",
        about.uid(),
        about.gid(),
        about.mtime(),
        about.mtime_nsec(),
        attributes(path)
    )
}

fn attributes(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut names = vec![0; 4096];
    let length = rustix::fs::llistxattr(path, names.as_mut_slice()).unwrap_or(0);
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names
        .map(|name| {
            let mut value = vec![0; 4096];
            let name = std::ffi::OsStr::from_bytes(name);
            let length = rustix::fs::lgetxattr(path, name, value.as_mut_slice()).expect("a value");
            (name.to_string_lossy().into_owned(), value[..length].to_vec())
        })
        .collect()
}

/// Bytes that do not compress.
pub(crate) fn noise(random: &mut Random, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&random.number().to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// One of each kind of thing that a folder can hold.
pub(crate) fn fill(folder: &Path) {
    let mut random = Random::new(7);
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).expect("a file");
    write("empty", b"");
    write("small.txt", b"a few words\n");
    write("text.txt", "all the same words, again and again. ".repeat(40_000).as_bytes());
    write("noise.bin", &noise(&mut random, 3_000_000));
    write("special <&> \u{2028} \u{a0}\n", b"named badly");
    fs::write(folder.join(std::ffi::OsStr::from_bytes(b"not \xff text")), b"named worse").expect("a file");
    fs::create_dir_all(folder.join("a/b/c")).expect("folders");
    fs::create_dir(folder.join("nothing in it")).expect("a folder");
    write("a/b/c/deep", b"deep down");
    write("a/secret", b"for one only");
    fs::set_permissions(folder.join("a/secret"), fs::Permissions::from_mode(0o600)).expect("permissions");
    fs::set_permissions(folder.join("small.txt"), fs::Permissions::from_mode(0o4755)).expect("permissions");
    fs::hard_link(folder.join("noise.bin"), folder.join("a/the same noise")).expect("a hard link");
    std::os::unix::fs::symlink("../small.txt", folder.join("a/link")).expect("a link");
    std::os::unix::fs::symlink("nowhere/at/all", folder.join("broken link")).expect("a link");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        folder.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o640),
        0,
    )
    .expect("a pipe");
    rustix::fs::setxattr(
        folder.join("small.txt"),
        "user.comment",
        b"with a note",
        rustix::fs::XattrFlags::empty(),
    )
    .expect("an attribute");
    // A hole of 5 MB between two bytes.
    let sparse = fs::File::create(folder.join("sparse")).expect("a file");
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"x", 0).expect("written");
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"y", 5_000_000).expect("written");
    let old = rustix::fs::Timestamps {
        last_access: rustix::fs::Timespec { tv_sec: -2, tv_nsec: 250_000_000 },
        last_modification: rustix::fs::Timespec { tv_sec: -2, tv_nsec: 250_000_000 },
    };
    rustix::fs::utimensat(rustix::fs::CWD, folder.join("empty"), &old, rustix::fs::AtFlags::empty())
        .expect("times");
}
