//! Writing what is planned, pack by pack.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{Gid, Uid};

use super::plan::{Piece, Plan, PlannedFile};
use super::{RestoreJob, metadata};
use crate::error::Failure;
use crate::format::BlobKind;
use crate::format::tree::{Node, NodeKind};
use crate::repository::blobs::{Opener, reads};
use crate::repository::index::Index;
use crate::repository::lock::ReadLock;
use crate::repository::objects::Objects;
use crate::{Error, threads};

/// Writes everything; what could not be, and why.
pub(super) fn write(
    objects: &Objects,
    index: &Index,
    lock: &ReadLock,
    plan: Plan,
    job: &RestoreJob,
) -> Result<Vec<Failure>, Error> {
    let Plan { folders, files, hard_links, others, pieces, failures } = plan;
    let (not_made, failures) = (HashSet::new(), Mutex::new(failures));
    let own = (rustix::process::geteuid(), rustix::process::getegid());
    let mut writer = Writer { objects, index, lock, job, files: &files, not_made, failures, own };
    for (path, _) in &folders {
        objects.go_on()?;
        if !writer.attempt(path, "make", || make_folder(path, job.overwrite)) {
            writer.not_made.insert(path);
        }
    }
    if job.overwrite {
        for file in &files {
            writer.attempt(&file.path, "replace", || make_room(&file.path, true));
        }
    }
    for file in files.iter().filter(|file| file.pieces == 0) {
        objects.go_on()?;
        writer.attempt(&file.path, "make", || {
            let made = writer.create(file, metadata::mode_at_first(own, &file.metadata))?;
            metadata::apply_to_file(&made, &file.metadata)
        });
        job.progress.done_file();
    }
    writer.files_from_packs(&pieces)?;
    for (path, first) in &hard_links {
        objects.go_on()?;
        let Some(first) = files.get(*first) else { continue };
        writer.attempt(path, "make", || {
            make_room(path, job.overwrite)?;
            fs::hard_link(&first.path, path)
        });
    }
    // Links come last of all that has content, so that nothing is ever written through one.
    for (path, node) in &others {
        objects.go_on()?;
        writer.attempt(path, "make", || {
            make_room(path, job.overwrite)?;
            make_other(path, node)?;
            metadata::apply(path, &node.clone().into())
        });
    }
    // The times of a folder change by what is put into it, so the inner ones are first.
    for (path, metadata) in folders.iter().rev() {
        writer.attempt(path, "set the metadata of", || metadata::apply(path, metadata));
    }
    Ok(writer.failures.into_inner().unwrap_or_else(PoisonError::into_inner))
}

struct Writer<'a> {
    objects: &'a Objects,
    index: &'a Index,
    lock: &'a ReadLock,
    job: &'a RestoreJob,
    files: &'a [PlannedFile],
    /// Folders in whose place something else may stand, a link to elsewhere for one.
    not_made: HashSet<&'a Path>,
    failures: Mutex<Vec<Failure>>,
    /// The numbers of this process, which what it makes has too.
    own: (Uid, Gid),
}

impl Writer<'_> {
    fn fail(&self, path: &Path, error: &Error) {
        let failure = Failure::new(path.display().to_string(), error);
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
    }

    /// Whether it was done. What was not is told in the end.
    fn attempt(&self, path: &Path, doing: &'static str, work: impl FnOnce() -> io::Result<()>) -> bool {
        let done = self.require_folder(path).and_then(|()| work());
        done.map_err(|error| self.fail(path, &Error::file(doing, path, error))).is_ok()
    }

    /// That nothing is written through what stands in the place of a folder.
    fn require_folder(&self, path: &Path) -> io::Result<()> {
        if path.parent().is_some_and(|above| self.not_made.contains(above)) {
            return Err(io::Error::other("the folder that it is in could not be made"));
        }
        Ok(())
    }

    /// Writes the content of files, with as many threads as there are processors.
    fn files_from_packs(&self, pieces: &[Piece]) -> Result<(), Error> {
        threads::share(
            &reads(pieces, |piece| piece.location),
            || Opener::new(self.objects, self.index),
            |opener, pieces| {
                self.lock.keep()?;
                self.read(opener, pieces)
            },
        )
    }

    /// Reads a part of a pack, and writes what is in it.
    fn read(&self, opener: &mut Opener<'_>, pieces: &[Piece]) -> Result<(), Error> {
        let part = opener.read_part(pieces.iter().map(|piece| &piece.location))?;
        for same in pieces.chunk_by(|a, b| a.location == b.location) {
            let Some(piece) = same.first() else { continue };
            let opened = opener.open_in(&part, BlobKind::Data, &piece.id, &piece.location);
            match opened {
                Ok(bytes) => same.iter().for_each(|piece| self.piece(piece, bytes)),
                Err(Error::Stopped) => return Err(Error::Stopped),
                Err(error) => same.iter().for_each(|piece| self.lost(piece, &error)),
            }
        }
        Ok(())
    }

    fn piece(&self, piece: &Piece, bytes: &[u8]) {
        let Some(file) = self.files.get(piece.file) else { return };
        if file.pieces == 1 {
            return self.whole_file(file, bytes);
        }
        if is_zero(bytes) {
            file.has_holes.store(true, Ordering::Relaxed);
        } else if let Err(error) = self.open(file).and_then(|to| to.write_all_at(bytes, piece.offset)) {
            return self.lost(piece, &Error::file("write", &file.path, error));
        }
        self.job.progress.done_bytes(bytes.len() as u64);
        self.finish(file);
    }

    /// Writes a file of one piece, as most are: nobody else has to do with it, so it is opened once.
    fn whole_file(&self, file: &PlannedFile, bytes: &[u8]) {
        self.attempt(&file.path, "write", || {
            let mut made = self.create(file, metadata::mode_at_first(self.own, &file.metadata))?;
            let written = if is_zero(bytes) { made.set_len(file.length) } else { made.write_all(bytes) };
            if let Err(error) = written {
                // What keeps it there is what keeps it from being written, and that is told.
                let _ = set_aside(&file.path);
                return Err(error);
            }
            metadata::apply_to_file(&made, &file.metadata)
        });
        self.job.progress.done_bytes(bytes.len() as u64);
        self.job.progress.done_file();
    }

    fn lost(&self, piece: &Piece, error: &Error) {
        let Some(file) = self.files.get(piece.file) else { return };
        if !file.damaged.swap(true, Ordering::Relaxed) {
            self.fail(&file.path, error);
        }
        self.finish(file);
    }

    /// One piece less. After the last one the file gets its length and its metadata.
    fn finish(&self, file: &PlannedFile) {
        if file.left.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        self.attempt(&file.path, "finish", || {
            if file.damaged.load(Ordering::Relaxed) {
                return match set_aside(&file.path) {
                    // None of it could be read.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                    renamed => renamed,
                };
            }
            let whole = self.open(file)?;
            if file.has_holes.load(Ordering::Relaxed) {
                whole.set_len(file.length)?;
            }
            metadata::apply_to_file(&whole, &file.metadata)
        });
        self.job.progress.done_file();
    }

    /// The file, which is not there yet.
    fn create(&self, file: &PlannedFile, mode: u32) -> io::Result<File> {
        self.require_folder(&file.path)?;
        to_write().create_new(true).mode(mode).open(&file.path)
    }

    /// The file, which is made by whoever needs it first.
    fn open(&self, file: &PlannedFile) -> io::Result<File> {
        self.require_folder(&file.path)?;
        loop {
            match to_write().open(&file.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                opened => return opened,
            }
            match self.create(file, metadata::FOR_US) {
                // Another thread was first.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made,
            }
        }
    }
}

/// Gives a file that is not whole a name that says so.
fn set_aside(path: &Path) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".damaged");
    fs::rename(path, name)
}

fn to_write() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    options
}

fn is_zero(bytes: &[u8]) -> bool {
    let (chunks, rest) = bytes.as_chunks::<64>();
    chunks.iter().all(|chunk| *chunk == [0; 64]) && rest.iter().all(|byte| *byte == 0)
}

fn make_folder(path: &Path, overwrite: bool) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => return made,
    }
    // Not a link to one: what comes into it would be written elsewhere.
    if fs::symlink_metadata(path)?.is_dir() {
        return Ok(());
    }
    make_room(path, overwrite)?;
    fs::create_dir(path)
}

/// Removes what is there and is not a folder, if it may be replaced.
fn make_room(path: &Path, overwrite: bool) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(about) if about.is_dir() => {
            Err(io::Error::new(io::ErrorKind::IsADirectory, "a folder is in its place"))
        }
        Ok(_) if overwrite => fs::remove_file(path),
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) => Err(error),
    }
}

fn make_other(path: &Path, node: &Node) -> io::Result<()> {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let special = |kind| Ok(mknodat(CWD, path, kind, Mode::RUSR | Mode::WUSR, node.device)?);
    match node.kind {
        NodeKind::Symlink => std::os::unix::fs::symlink(node.link_target(), path),
        NodeKind::Fifo => special(FileType::Fifo),
        NodeKind::Dev => special(FileType::BlockDevice),
        NodeKind::Chardev => special(FileType::CharacterDevice),
        NodeKind::Socket | NodeKind::Irregular => {
            Err(io::Error::new(io::ErrorKind::Unsupported, "things of its kind cannot be made anew"))
        }
        // A folder without a tree; a file is never here.
        NodeKind::Dir | NodeKind::File => {
            Err(io::Error::new(io::ErrorKind::InvalidData, "the snapshot has no tree for it"))
        }
    }
}
