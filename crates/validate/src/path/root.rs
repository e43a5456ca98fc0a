//! A folder that its paths cannot leave.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, fsync, mkdirat, open, renameat, unlinkat};

use super::safe::SafePath;
use super::walk::{STEP, Walk};
use crate::error::{Error, Result};

/// A folder, held by its handle. What is opened, made, moved and removed through it is below it, whoever puts links
/// into it or moves its folders meanwhile.
///
/// No link is followed, not even one that stays inside: its path answers an error. Only plain files are opened; a pipe would wait,
/// and a device is no file. On Linux 5.6 and newer the kernel resolves a path in one call (`openat2` with `RESOLVE_BENEATH`);
/// elsewhere it is resolved part by part with `O_NOFOLLOW`, with the same outcome.
///
/// Hard links and mounts below the folder are part of it. Calls wait for the disk: from async code, on a thread for blocking work.
#[derive(Debug)]
pub struct Root {
    folder: OwnedFd,
    walk: Walk,
}

/// What a folder holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its name, as the file system has it: it may be one that [`SafePath`] does not take.
    pub name: std::ffi::OsString,
    /// What it is.
    pub kind: EntryKind,
}

/// What an [`Entry`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EntryKind {
    /// A plain file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link, which is not followed.
    Link,
    /// A pipe, a socket, a device; or the file system does not say.
    Other,
}

impl Root {
    /// Holds the folder at `path`. This path is the program's own: links in it are followed.
    ///
    /// # Errors
    ///
    /// [`Error::File`]: there is no such folder, or it may not be entered.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let folder = open(path.as_ref(), STEP, Mode::empty()).map_err(file("open the root"))?;
        let walk = Walk::of(folder.as_fd());
        Ok(Self { folder, walk })
    }

    /// The same, resolving paths part by part, as on systems without `openat2`. For tests.
    #[doc(hidden)]
    pub fn open_without_openat2(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self { walk: Walk::Parts, ..Self::open(path)? })
    }

    /// Opens a file to read it.
    ///
    /// # Errors
    ///
    /// [`Error::File`]: there is no such file, it is no plain file, or there is a link on the way.
    pub fn read(&self, path: &SafePath) -> Result<File> {
        // A pipe without a writer would keep us waiting before we could see that it is one.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened =
            self.walk.open(self.folder(), path, flags, Mode::empty()).map_err(file("open a file"))?;
        plain(opened).map_err(file("open a file"))
    }

    /// Makes a file that was not there before, and opens it to write. Its mode is 0600.
    ///
    /// # Errors
    ///
    /// [`Error::File`]: something is there already, or its folder is not.
    pub fn create(&self, path: &SafePath) -> Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let made = self.walk.open(self.folder(), path, flags, Mode::RUSR | Mode::WUSR);
        Ok(made.map_err(file("create a file"))?.into())
    }

    /// Opens a file to write it, from its beginning or (`append`) its end. It has to be there.
    ///
    /// # Errors
    ///
    /// As [`Root::read`].
    pub fn write(&self, path: &SafePath, append: bool) -> Result<File> {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let flags = if append { flags | OFlags::APPEND } else { flags };
        let opened =
            self.walk.open(self.folder(), path, flags, Mode::empty()).map_err(file("write a file"))?;
        plain(opened).map_err(file("write a file"))
    }

    /// Makes a folder in one that is there. Its mode is 0700.
    ///
    /// # Errors
    ///
    /// [`Error::File`]: something is there already.
    pub fn create_folder(&self, path: &SafePath) -> Result<()> {
        let parent = self.parent(path).map_err(file("create a folder"))?;
        mkdirat(self.at(parent.as_ref()), path.name(), Mode::RWXU).map_err(file("create a folder"))
    }

    /// What is in a folder, or (`None`) in the root: at most `most` entries, in no order. `true` where there are more.
    ///
    /// # Errors
    ///
    /// [`Error::File`]: it is no folder.
    pub fn list(&self, path: Option<&SafePath>, most: usize) -> Result<(Vec<Entry>, bool)> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = match path {
            Some(path) => self.walk.open(self.folder(), path, flags, Mode::empty()),
            None => rustix::fs::openat(self.folder(), ".", flags, Mode::empty()),
        };
        let folder = folder.map_err(file("list a folder"))?;
        let mut entries = Vec::new();
        for entry in Dir::new(folder).map_err(file("list a folder"))? {
            let entry = entry.map_err(file("list a folder"))?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            if entries.len() == most {
                return Ok((entries, true));
            }
            let kind = match entry.file_type() {
                FileType::RegularFile => EntryKind::File,
                FileType::Directory => EntryKind::Folder,
                FileType::Symlink => EntryKind::Link,
                _ => EntryKind::Other,
            };
            let name = std::os::unix::ffi::OsStrExt::from_bytes(name);
            entries.push(Entry { name: std::ffi::OsStr::to_owned(name), kind });
        }
        Ok((entries, false))
    }

    /// Gives a file or folder another name, in the same folder or another one below the root. A file that is there is replaced
    /// in one step.
    ///
    /// # Errors
    ///
    /// [`Error::File`]: there is no such file, or one of the folders is not.
    pub fn rename(&self, from: &SafePath, to: &SafePath) -> Result<()> {
        let (source, target) = (self.parent(from), self.parent(to));
        let (source, target) =
            (source.map_err(file("rename a file"))?, target.map_err(file("rename a file"))?);
        renameat(self.at(source.as_ref()), from.name(), self.at(target.as_ref()), to.name())
            .map_err(file("rename a file"))
    }

    /// Removes a file; of a link the link itself.
    ///
    /// # Errors
    ///
    /// [`Error::File`]: there is no such file, or it is a folder.
    pub fn remove(&self, path: &SafePath) -> Result<()> {
        let parent = self.parent(path).map_err(file("remove a file"))?;
        unlinkat(self.at(parent.as_ref()), path.name(), AtFlags::empty()).map_err(file("remove a file"))
    }

    /// Removes a folder that is empty.
    ///
    /// # Errors
    ///
    /// [`Error::File`]: there is no such folder, or something is in it.
    pub fn remove_folder(&self, path: &SafePath) -> Result<()> {
        let parent = self.parent(path).map_err(file("remove a folder"))?;
        unlinkat(self.at(parent.as_ref()), path.name(), AtFlags::REMOVEDIR).map_err(file("remove a folder"))
    }

    /// Has the disk keep the names in a folder: after [`create`](Root::create) or [`rename`](Root::rename), where these must survive a crash.
    ///
    /// # Errors
    ///
    /// [`Error::File`]: it is no folder, or the disk failed.
    pub fn sync(&self, path: Option<&SafePath>) -> Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = match path {
            Some(path) => self.walk.open(self.folder(), path, flags, Mode::empty()),
            None => rustix::fs::openat(self.folder(), ".", flags, Mode::empty()),
        };
        fsync(folder.map_err(file("sync a folder"))?).map_err(file("sync a folder"))
    }

    fn folder(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// The handle of the folder that `path` is in; `None` for the root. Names are taken relative to it, so what is moved
    /// after this does not matter.
    fn parent(&self, path: &SafePath) -> rustix::io::Result<Option<OwnedFd>> {
        path.parent().map(|parent| self.walk.open(self.folder(), &parent, STEP, Mode::empty())).transpose()
    }

    fn at<'a>(&'a self, parent: Option<&'a OwnedFd>) -> BorrowedFd<'a> {
        parent.map_or(self.folder(), AsFd::as_fd)
    }
}

/// A handle of a plain file. It was opened without waiting; a plain file does not care.
fn plain(opened: OwnedFd) -> io::Result<File> {
    let kind = FileType::from_raw_mode(fstat(&opened)?.st_mode);
    if kind != FileType::RegularFile {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no plain file"));
    }
    Ok(opened.into())
}

fn file<E: Into<io::Error>>(action: &'static str) -> impl FnOnce(E) -> Error {
    move |source| Error::File { action, source: source.into() }
}
