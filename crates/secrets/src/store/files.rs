//! Secrets from the files of a folder that somebody else keeps: Kubernetes, systemd, an operator.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use buttress_core::BoxFuture;

use super::{Expect, SecretStore, Step, versions_of, without_newline};
use crate::lifecycle::{Lifecycle, Versions};
use crate::{Error, Name, Secret};

/// Secrets from the files of a folder.
///
/// The secret `db/password` is the content of `db/password`, without one newline at its end; what may still be used is in
/// `db/password.previous`, what will be in `db/password.next`. In a folder without folders, as a Kubernetes mount and systemd credentials
/// are, a secret has a name without `/`.
///
/// The files are read when they are asked for, through whatever links there are: so a mount that Kubernetes swaps (`..data`) is seen as
/// it is now, and the versions of one secret all come from one side of the swap.
#[derive(Clone)]
pub struct FileStore {
    folder: PathBuf,
    kind: &'static str,
}

impl FileStore {
    /// The files of `folder`, which need not be there yet.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), kind: "files" }
    }

    /// The credentials that systemd gave this service (`LoadCredential=`, `LoadCredentialEncrypted=`): the files of
    /// `$CREDENTIALS_DIRECTORY`.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the variable is not set.
    pub fn credentials() -> Result<Self, Error> {
        let folder = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
            let missing = "$CREDENTIALS_DIRECTORY is not set: add LoadCredential= to the unit";
            let missing = io::Error::new(ErrorKind::NotFound, missing);
            Error::file("credentials", "find its folder".to_owned(), missing)
        })?;
        Ok(Self { folder: folder.into(), kind: "credentials" })
    }

    /// The folder as it is now: a mount of Kubernetes has its files behind a link that is swapped in one step.
    fn root(&self) -> PathBuf {
        fs::canonicalize(self.folder.join("..data")).unwrap_or_else(|_| self.folder.clone())
    }

    fn read(&self, name: &str) -> Result<Option<Versions>, Error> {
        // A swap meanwhile removes the former files: then the next look is at the new ones.
        for _ in 0..3 {
            let root = self.root();
            let versions = versions_of(name, |name| self.file(&root.join(name)))?;
            if self.root() == root {
                return Ok(versions);
            }
        }
        Err(self.failed(&self.folder)(io::Error::other("it was swapped again and again while it was read")))
    }

    fn failed(&self, path: &Path) -> impl Fn(io::Error) -> Error {
        let (kind, doing) = (self.kind, format!("read {}", path.display()));
        move |error| Error::file(kind, doing.clone(), error)
    }

    fn file(&self, path: &Path) -> Result<Option<(Secret, Option<SystemTime>)>, Error> {
        match bounded(path) {
            Ok(Some((secret, _))) if secret.expose().len() > Secret::MAX_BYTES => {
                Err(Error::TooLarge { what: "the file", limit: format!("{} bytes", Secret::MAX_BYTES) })
            }
            Ok(found) => Ok(found),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(self.failed(path)(error)),
        }
    }

    fn names(&self, most: usize) -> Result<Vec<Name>, Error> {
        let root = self.root();
        let mut names = Vec::new();
        // Deeper than the parts of the longest name there is nothing that has one, whatever the links lead to.
        let mut folders = vec![(root.clone(), 0_usize)];
        while let Some((folder, depth)) = folders.pop() {
            let failed = self.failed(&folder);
            for entry in fs::read_dir(&folder).map_err(&failed)? {
                let path = entry.map_err(&failed)?.path();
                let below = path.strip_prefix(&root).unwrap_or(&path).to_str();
                let Some(name) = below.and_then(|below| Name::new(below).ok()) else { continue };
                if path.is_dir() {
                    if depth < Name::MAX_BYTES / 2 {
                        folders.push((path, depth + 1));
                    }
                } else if ![".previous", ".next"].iter().any(|ending| name.as_str().ends_with(ending)) {
                    names.push(name);
                    if names.len() > most {
                        return super::at_most(names, most);
                    }
                }
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let files = self.clone();
        super::blocking(self.kind, move || work(&files)).await
    }
}

/// The content, at most one byte over what is allowed with its newline; `None` for a folder.
fn bounded(path: &Path) -> io::Result<Option<(Secret, Option<SystemTime>)>> {
    // A pipe or a device would let the reader wait for ever.
    let data = fs::metadata(path)?;
    if !data.is_file() {
        return Ok(None);
    }
    let file = File::open(path)?;
    let most = Secret::MAX_BYTES + 2;
    // With room to spare, so that reading does not move what it has read.
    let mut bytes = Vec::with_capacity(usize::try_from(data.len()).unwrap_or(most).min(most) + 64);
    file.take(most as u64).read_to_end(&mut bytes)?;
    Ok(Some((without_newline(&Secret::new(bytes)), data.modified().ok())))
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileStore({})", self.folder.display())
    }
}

impl SecretStore for FileStore {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn load<'a>(&'a self, name: &'a Name) -> BoxFuture<'a, Result<Option<Versions>, Error>> {
        let name = name.clone();
        Box::pin(self.blocking(move |files| files.read(name.as_str())))
    }

    fn list(&self, most: usize) -> BoxFuture<'_, Result<Vec<Name>, Error>> {
        Box::pin(self.blocking(move |files| files.names(most)))
    }

    fn put<'a>(&'a self, _: &'a Name, _: &'a Secret, _: Expect) -> BoxFuture<'a, Result<Lifecycle, Error>> {
        super::read_only(self.kind)
    }

    fn rotate<'a>(
        &'a self,
        _: &'a Name,
        _: &'a Lifecycle,
        _: Step,
    ) -> BoxFuture<'a, Result<Lifecycle, Error>> {
        super::read_only(self.kind)
    }

    fn remove<'a>(&'a self, _: &'a Name) -> BoxFuture<'a, Result<bool, Error>> {
        super::read_only(self.kind)
    }
}
