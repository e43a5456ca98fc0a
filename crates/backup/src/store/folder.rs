//! A repository in a folder, laid out as restic lays it out.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::{Existing, Listed, Store};
use crate::Error;
use crate::error::class_of_io;
use crate::id::{Object, ObjectKind};

/// A folder of this machine or of a network's file system.
///
/// An object is written under another name in `tmp`, synced, renamed, and its folder synced.
#[derive(Debug, Clone)]
pub struct Folder {
    root: Arc<Path>,
}

impl Folder {
    /// The folder at `path`. It is made when something is written to it.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { root: path.into().into() }
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
        self.run("write", object.path(), move |root| {
            put(root, object, &bytes, existing).map_err(|error| failed(root, "write", object.path(), error))
        })
        .await
    }

    async fn get(&self, object: Object, range: Option<Range<u64>>) -> Result<Bytes, Error> {
        self.run("read", object.path(), move |root| get(root, object, range)).await
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

/// A file that nobody knows of yet. Gone when dropped, unless renamed.
struct Unfinished(PathBuf);

impl Unfinished {
    fn write(root: &Path, bytes: &[u8]) -> io::Result<Self> {
        let folder = root.join("tmp");
        make_folder(&folder)?;
        let name = format!("{}-{:016x}", std::process::id(), buttress_core::unique_number());
        let unfinished = Self(folder.join(name));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o400).open(&unfinished.0)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(unfinished)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After a rename there is nothing, and what cannot be removed is removed with the leftovers of the dead.
        let _ = fs::remove_file(&self.0);
    }
}

fn get(root: &Path, object: Object, range: Option<Range<u64>>) -> Result<Bytes, Error> {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(root.join(object.path()))?;
        let mut bytes = Vec::new();
        if let Some(range) = &range {
            let length = range.end.saturating_sub(range.start);
            file.seek(SeekFrom::Start(range.start))?;
            bytes.reserve_exact(usize::try_from(length).unwrap_or_default().min(LARGEST_RESERVE));
            file.take(length).read_to_end(&mut bytes)?;
        } else {
            bytes.reserve_exact(
                usize::try_from(file.metadata()?.len()).unwrap_or_default().min(LARGEST_RESERVE),
            );
            file.read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    };
    let bytes = read().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::Missing { object, place: root.display().to_string() },
        _ => failed(root, "read", object.path(), error),
    })?;
    if let Some(range) = range
        && bytes.len() as u64 != range.end.saturating_sub(range.start)
    {
        return Err(Error::Damaged {
            object: object.path(),
            place: root.display().to_string(),
            problem: format!(
                "it ends before byte {}, at {}",
                range.end,
                range.start.saturating_add(bytes.len() as u64)
            ),
        });
    }
    Ok(bytes.into())
}

/// A range that a damaged index asks for is not believed before the bytes are there.
const LARGEST_RESERVE: usize = 64 << 20;

fn list(root: &Path, kind: ObjectKind) -> io::Result<Vec<Listed>> {
    let mut found = Vec::new();
    match kind {
        ObjectKind::Config => match fs::metadata(root.join(kind.folder())) {
            Ok(about) => found.push(Listed {
                object: Object::CONFIG,
                size: about.len(),
                modified: about.modified().ok(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        },
        ObjectKind::Pack => {
            for folder in entries(&root.join(kind.folder()))? {
                let folder = folder?;
                if folder.file_type()?.is_dir() {
                    list_folder(&folder.path(), kind, &mut found)?;
                }
            }
        }
        _ => list_folder(&root.join(kind.folder()), kind, &mut found)?,
    }
    Ok(found)
}

fn list_folder(folder: &Path, kind: ObjectKind, found: &mut Vec<Listed>) -> io::Result<()> {
    for entry in entries(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(id) = name.to_str().and_then(crate::Id::parse) else { continue };
        // Gone between the listing and the look: it was deleted, and is not there.
        let about = match entry.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            about => about?,
        };
        found.push(Listed {
            object: Object::new(kind, id),
            size: about.len(),
            modified: about.modified().ok(),
        });
    }
    Ok(())
}

/// The entries of a folder; of one that is not there, none.
fn entries(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<fs::DirEntry>>> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(Some(entries).into_iter().flatten()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None.into_iter().flatten()),
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
    match fs::create_dir(folder) {
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
