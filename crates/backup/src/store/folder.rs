//! A repository in a folder, laid out as restic lays it out.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::{Existing, Listed, Store};
use crate::error::class_of_io;
use crate::id::{Object, ObjectKind};
use crate::{Error, buffer};

/// A folder of this machine or of a network's file system.
///
/// An object is written under another name in `tmp`, synced, renamed, and its folder synced. Its file can be read by its owner alone, and
/// written by nobody. With the first write, what killed writers have left in `tmp` is removed, where a living one holds a lock on its file, and
/// what names they gave or took is synced: what is written now may rely on it.
///
/// Names are digits and small letters, so that a file system that does not tell letters apart by case will do. Folders and objects may be
/// symbolic links to other disks.
#[derive(Debug, Clone)]
pub struct Folder {
    root: Arc<Path>,
    /// Whether this process has looked for what others left. Whoever comes meanwhile waits.
    tidied: Arc<Mutex<bool>>,
}

impl Folder {
    /// The folder at `path`. It is made when something is written to it.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { root: path.into().into(), tidied: Arc::default() }
    }

    /// Runs `work` on a thread that may wait for a disk.
    async fn run<T: Send + 'static>(
        &self,
        doing: &'static str,
        object: String,
        work: impl FnOnce(&Path) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let root = Arc::clone(&self.root);
        let done = tokio::task::spawn_blocking(move || work(&root)).await;
        done.unwrap_or_else(|gone| {
            let class = buttress_core::ErrorClass::Cancelled;
            Err(Error::Store { doing, object, place: self.place(), class, source: gone.into() })
        })
    }
}

impl Store for Folder {
    async fn put(&self, object: Object, bytes: Bytes, existing: Existing) -> Result<bool, Error> {
        let tidied = Arc::clone(&self.tidied);
        self.run("write", object.path(), move |root| {
            tidy(root, &tidied)
                .and_then(|()| put(root, object, &bytes, existing))
                .map_err(|error| failed(root, "write", object.path(), error))
        })
        .await
    }

    async fn get(&self, object: Object, range: Option<Range<u64>>) -> Result<Bytes, Error> {
        self.run("read", object.path(), move |root| get(root, object, range.as_ref())).await
    }

    async fn list(&self, kind: ObjectKind) -> Result<Vec<Listed>, Error> {
        self.run("list", kind.folder().to_owned(), move |root| {
            list(root, kind).map_err(|error| failed(root, "list", kind.folder().to_owned(), error))
        })
        .await
    }

    async fn delete(&self, object: Object) -> Result<(), Error> {
        self.run("delete", object.path(), move |root| {
            delete(&root.join(object.path())).map_err(|error| failed(root, "delete", object.path(), error))
        })
        .await
    }

    fn place(&self) -> String {
        self.root.display().to_string()
    }
}

fn put(root: &Path, object: Object, bytes: &[u8], existing: Existing) -> io::Result<bool> {
    let path = root.join(object.path());
    let folder = path.parent().unwrap_or(root);
    let unfinished = Unfinished::write(root, bytes)?;
    make_folder(folder)?;
    let written = match existing {
        Existing::Replaced => fs::rename(&unfinished.0, &path).map(|()| true),
        // A link, unlike a rename, does not go over what is there.
        Existing::Kept => match fs::hard_link(&unfinished.0, &path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            linked => linked.map(|()| true),
        },
    }?;
    sync_folder(folder)?;
    Ok(written)
}

/// How much is written at a time. For a whole pack at once the kernel takes large stretches of memory that nobody has touched for long, and in a virtual
/// machine the host has to provide them first: that took a twelfth of a backup's processor time.
const PIECE: usize = 256 << 10;

/// A file that nobody knows of yet, locked for as long as it is written. Gone when dropped, unless renamed.
struct Unfinished(PathBuf, File);

impl Unfinished {
    fn write(root: &Path, bytes: &[u8]) -> io::Result<Self> {
        let folder = root.join("tmp");
        make_folder(&folder)?;
        let mut unfinished = Self::begin(&folder)?;
        for piece in bytes.chunks(PIECE) {
            unfinished.1.write_all(piece)?;
        }
        unfinished.1.sync_all()?;
        Ok(unfinished)
    }

    fn begin(folder: &Path) -> io::Result<Self> {
        loop {
            let name = format!("{}-{:016x}", std::process::id(), buttress_core::unique_number());
            let path = folder.join(name);
            let file = OpenOptions::new().write(true).create_new(true).mode(0o400).open(&path)?;
            let unfinished = Self(path, file);
            match unfinished.1.try_lock() {
                // Between making and locking it, it looked like a dead writer's, and may have been removed as such.
                Ok(()) if unfinished.1.metadata()?.nlink() > 0 => return Ok(unfinished),
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                // A file system without locks; nobody else will hold one either.
                Err(TryLockError::Error(_)) => return Ok(unfinished),
            }
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After a rename there is nothing, and what cannot be removed is removed with the leftovers of the dead.
        let _ = fs::remove_file(&self.0);
    }
}

/// Makes good, once, what writers that were killed did not come to.
fn tidy(root: &Path, tidied: &Mutex<bool>) -> io::Result<()> {
    let mut tidied = tidied.lock().unwrap_or_else(PoisonError::into_inner);
    if !*tidied {
        remove_leftovers(root);
        sync_names(root)?;
        *tidied = true;
    }
    Ok(())
}

/// Syncs the names that others have given and taken. One that was killed before it could has made a folder that a loss of power takes away, with all
/// that was put into it since; or has removed a snapshot that comes back when what it needs is gone. Of packs alone none is relied on before an
/// index, which comes after their sync, names it.
fn sync_names(root: &Path) -> io::Result<()> {
    if let Some(above) = root.parent() {
        // It may be somebody else's, who does not let us.
        let _ = sync_folder(above);
    }
    let kinds = ObjectKind::ALL.into_iter().filter(|kind| *kind != ObjectKind::Config);
    for folder in kinds.map(|kind| root.join(kind.folder())).chain([root.to_owned()]) {
        match sync_folder(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            synced => synced?,
        }
    }
    Ok(())
}

/// Removes the files of writers that were killed. Where that fails nothing is lost but room.
fn remove_leftovers(root: &Path) {
    for entry in entries(&root.join("tmp")).into_iter().flatten().flatten() {
        // A lock is let go when its process ends, however that ends. Where there are no locks, nothing is removed.
        if let Ok(file) = File::open(entry.path())
            && file.try_lock().is_ok()
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn get(root: &Path, object: Object, range: Option<&Range<u64>>) -> Result<Bytes, Error> {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(root.join(object.path()))?;
        let room =
            |length| buffer::with_room(usize::try_from(length).unwrap_or_default().min(LARGEST_RESERVE));
        let mut bytes;
        if let Some(range) = range {
            let length = range.end.saturating_sub(range.start);
            file.seek(SeekFrom::Start(range.start))?;
            bytes = room(length);
            file.take(length).read_to_end(&mut bytes)?;
        } else {
            bytes = room(file.metadata()?.len());
            file.read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    };
    let bytes = read().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::Missing { object, place: root.display().to_string() },
        _ => failed(root, "read", object.path(), error),
    })?;
    let bytes = Bytes::from(bytes);
    super::check_range(object, &root.display().to_string(), range, &bytes)?;
    Ok(bytes)
}

/// A range that a damaged index asks for is not believed before the bytes are there.
const LARGEST_RESERVE: usize = 64 << 20;

fn list(root: &Path, kind: ObjectKind) -> io::Result<Vec<Listed>> {
    let mut found = Vec::new();
    let top = root.join(kind.folder());
    match kind {
        ObjectKind::Config => found.extend(look(&top, Object::CONFIG)?),
        ObjectKind::Pack => {
            for folder in entries(&top)? {
                let folder = folder?;
                list_folder(&folder.path(), kind, &mut found)?;
            }
        }
        _ => list_folder(&top, kind, &mut found)?,
    }
    // What bears the name of an object and lies where that object would not be found is none.
    found.retain(|(path, listed)| *path == root.join(listed.object.path()));
    Ok(found.into_iter().map(|(_, listed)| listed).collect())
}

type Found = (PathBuf, Listed);

fn list_folder(folder: &Path, kind: ObjectKind, found: &mut Vec<Found>) -> io::Result<()> {
    for entry in entries(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(id) = name.to_str().and_then(crate::Id::parse) else { continue };
        found.extend(look(&entry.path(), Object::new(kind, id))?);
    }
    Ok(())
}

fn look(path: &Path, object: Object) -> io::Result<Option<Found>> {
    match fs::metadata(path) {
        Ok(about) if about.is_file() => {
            let listed = Listed { object, size: about.len(), modified: about.modified().ok() };
            Ok(Some((path.to_owned(), listed)))
        }
        Ok(_) => Ok(None),
        // Deleted since its folder was read, it is not there.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The entries of a folder; of one that is not there, or that is none, none.
fn entries(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<fs::DirEntry>>> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(Some(entries).into_iter().flatten()),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None.into_iter().flatten())
        }
        Err(error) => Err(error),
    }
}

fn delete(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        removed => removed?,
    }
    path.parent().map_or(Ok(()), sync_folder)
}

/// Makes a folder and those above it, so that they outlive a loss of power.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
    above.map_or(Ok(()), make_folder)?;
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    sync_folder(above.unwrap_or(Path::new(".")))
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn failed(root: &Path, doing: &'static str, object: String, error: io::Error) -> Error {
    let (place, class) = (root.display().to_string(), class_of_io(&error));
    Error::Store { doing, object, place, class, source: error.into() }
}
