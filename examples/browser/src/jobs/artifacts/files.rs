//! The files themselves: `ab/cdef…` for the hash `abcdef…`.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::error::{Error, Result};
use super::super::time::{millis, moment};

/// Where files are while they are written. Nothing in it is of use after a crash.
const INCOMING: &str = "incoming";

pub(super) struct Files {
    folder: PathBuf,
    written: AtomicU64,
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.folder.fmt(f)
    }
}

impl Files {
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let incoming = folder.join(INCOMING);
        fs::create_dir_all(&incoming).map_err(Error::file("make the folder", &incoming))?;
        for path in list(&incoming)? {
            fs::remove_file(&path).map_err(Error::file("remove", &path))?;
        }
        Ok(Self { folder: folder.to_owned(), written: AtomicU64::new(0) })
    }

    /// Tells of each file: its hash, its size, and when it was used. Other files are left alone.
    pub(super) fn each(&self, mut tell: impl FnMut(blake3::Hash, u64, i64)) -> Result<()> {
        let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        for folder in list(&self.folder)? {
            let Some(first) = name(&folder).filter(|name| name.len() == 2) else { continue };
            if !folder.is_dir() {
                continue;
            }
            for path in list(&folder)? {
                let Some(hash) =
                    name(&path).and_then(|rest| blake3::Hash::from_hex(first.clone() + &rest).ok())
                else {
                    continue;
                };
                let metadata = fs::metadata(&path).map_err(Error::file("look at", &path))?;
                let used = metadata.modified().map_err(Error::file("look at", &path))?;
                tell(hash, metadata.len(), millis(used));
            }
        }
        Ok(())
    }

    /// Writes a file so that it is there whole or not at all.
    pub(super) fn write(&self, hash: &blake3::Hash, content: &[u8], now: i64) -> Result<()> {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let incoming = self.folder.join(INCOMING).join(number.to_string());
        let path = self.path(hash);
        let written = write_synced(&incoming, content, now)
            .map_err(Error::file("write", &incoming))
            .and_then(|()| self.settle(&incoming, &path).map_err(Error::file("keep", &path)));
        if written.is_err() {
            // It may be gone already. The next start removes it if this cannot.
            let _left = fs::remove_file(&incoming);
        }
        written
    }

    fn settle(&self, incoming: &Path, path: &Path) -> io::Result<()> {
        let Some(parent) = path.parent() else { return Err(io::ErrorKind::InvalidInput.into()) };
        if !parent.exists() {
            fs::create_dir_all(parent)?;
            File::open(&self.folder)?.sync_all()?;
        }
        fs::rename(incoming, path)?;
        File::open(parent)?.sync_all()
    }

    /// What a file holds; `None` if it is not there.
    pub(super) fn read(&self, hash: &blake3::Hash) -> Result<Option<Vec<u8>>> {
        let path = self.path(hash);
        match fs::read(&path) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file("read", &path)(error)),
        }
    }

    /// Removes a file, if it is there.
    pub(super) fn remove(&self, hash: &blake3::Hash) -> Result<()> {
        let path = self.path(hash);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file("remove", &path)(error)),
            _ => Ok(()),
        }
    }

    /// Notes with the file when it was used. If that fails it only goes too early.
    pub(super) fn touch(&self, hash: &blake3::Hash, used: i64) {
        let file = File::options().append(true).open(self.path(hash));
        let _noted = file.and_then(|file| file.set_modified(moment(used)));
    }

    /// Whether the file is there, in the size it should have.
    pub(super) fn has(&self, hash: &blake3::Hash, bytes: u64) -> bool {
        fs::metadata(self.path(hash)).is_ok_and(|metadata| metadata.len() == bytes)
    }

    pub(super) fn exists(&self, hash: &blake3::Hash) -> bool {
        self.path(hash).exists()
    }

    fn path(&self, hash: &blake3::Hash) -> PathBuf {
        let hex = hash.to_hex();
        let (first, rest) = hex.split_at(2);
        self.folder.join(first).join(rest)
    }
}

fn write_synced(path: &Path, content: &[u8], now: i64) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.set_modified(moment(now))?;
    file.sync_all()
}

fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(Error::file("list", folder))?;
    entries.map(|entry| Ok(entry.map_err(Error::file("list", folder))?.path())).collect()
}
