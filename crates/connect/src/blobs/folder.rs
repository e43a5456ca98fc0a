//! Blobs in a folder: each a file, written aside, flushed, and given its name in one step.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use buttress_core::ErrorClass;
use bytes::Bytes;

use super::{BlobInfo, Existing, Read};
use crate::Error;

/// Where files are written before they have a name. No blob's name can begin with a dot.
const ASIDE: &str = ".aside";

#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(super) async fn open(root: PathBuf) -> Result<Self, Error> {
        let folder = Self { root };
        folder.run(|root| fs::create_dir_all(root.join(ASIDE))).await?;
        Ok(folder)
    }

    pub(super) fn shown(&self) -> String {
        self.root.display().to_string()
    }

    /// Whether the blob was written: it is not if it was there and is to be kept.
    pub(super) async fn write(&self, name: &str, bytes: Bytes, existing: Existing) -> Result<bool, Error> {
        let name = name.to_owned();
        self.run(move |root| write(root, &root.join(name), &bytes, existing)).await
    }

    pub(super) async fn read(&self, name: &str, range: Option<Range<u64>>, max: u64) -> Result<Read, Error> {
        let name = name.to_owned();
        self.run(move |root| read(&root.join(name), range, max)).await
    }

    pub(super) async fn about(&self, name: &str) -> Result<Option<BlobInfo>, Error> {
        let name = name.to_owned();
        self.run(move |root| {
            let data = there(fs::metadata(root.join(&name)))?;
            Ok(data.filter(fs::Metadata::is_file).map(|data| about(name, &data)))
        })
        .await
    }

    pub(super) async fn delete(&self, name: &str) -> Result<(), Error> {
        let name = name.to_owned();
        self.run(move |root| there(fs::remove_file(root.join(name))).map(drop)).await
    }

    pub(super) async fn list(&self, part: &str) -> Result<Vec<BlobInfo>, Error> {
        let part = part.to_owned();
        self.run(move |root| {
            let mut blobs = Vec::new();
            let mut folders = vec![root.join(part)];
            while let Some(folder) = folders.pop() {
                for entry in there(fs::read_dir(folder))?.into_iter().flatten() {
                    let entry = entry?;
                    if entry.file_type()?.is_dir() {
                        folders.push(entry.path());
                    } else if let Ok(path) = entry.path().strip_prefix(root)
                        // Deleted since its folder was read, it is not there.
                        && let Some(data) = there(entry.metadata())?
                    {
                        blobs.push(about(path.to_string_lossy().into_owned(), &data));
                    }
                }
            }
            Ok(blobs)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let root = self.root.clone();
        let failed =
            |class, source| Error::Failed { backend: "the folder", place: self.shown(), class, source };
        match tokio::task::spawn_blocking(move || work(&root)).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => {
                let class = match error.kind() {
                    ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => ErrorClass::Forbidden,
                    _ => ErrorClass::Unavailable,
                };
                Err(failed(class, error.into()))
            }
            Err(gone) => Err(failed(ErrorClass::Cancelled, gone.into())),
        }
    }
}

fn write(root: &Path, path: &Path, bytes: &[u8], existing: Existing) -> io::Result<bool> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    if existing == Existing::Kept && path.exists() {
        return Ok(false);
    }
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let aside = Aside(root.join(ASIDE).join(format!("{}-{number}", std::process::id())));
    let mut file = File::create(&aside.0)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    let folder = path.parent().unwrap_or(root);
    make_folders(root, folder)?;
    match existing {
        Existing::Replaced => fs::rename(&aside.0, path)?,
        // A link is made only if nothing has the name; of several writers one succeeds.
        Existing::Kept => match fs::hard_link(&aside.0, path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
            linked => linked?,
        },
    }
    File::open(folder)?.sync_all()?;
    Ok(true)
}

fn read(path: &Path, range: Option<Range<u64>>, max: u64) -> io::Result<Read> {
    let Some(mut file) = there(File::open(path))? else { return Ok(Read::Missing) };
    let size = file.metadata()?.len();
    let range = range.unwrap_or(0..size);
    let length = range.end.min(size).saturating_sub(range.start);
    if length > max {
        return Ok(Read::TooLarge(length));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    file.seek(SeekFrom::Start(range.start))?;
    file.take(length).read_to_end(&mut bytes)?;
    Ok(Read::Bytes(bytes.into()))
}

fn about(name: String, data: &fs::Metadata) -> BlobInfo {
    BlobInfo { name, size: data.len(), modified: data.modified().ok() }
}

/// Makes `folder` and those between it and `root`, each of them on the disk.
fn make_folders(root: &Path, folder: &Path) -> io::Result<()> {
    if folder.is_dir() || folder == root {
        return Ok(());
    }
    let above = folder.parent().unwrap_or(root);
    make_folders(root, above)?;
    match fs::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => File::open(above)?.sync_all(),
    }
}

/// A file without a name yet; what is left of it goes.
struct Aside(PathBuf);

impl Drop for Aside {
    fn drop(&mut self) {
        // Renamed, it is no longer there.
        let _ = fs::remove_file(&self.0);
    }
}

/// `None` for what is not there.
fn there<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
