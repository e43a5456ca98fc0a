//! A vault on the disk. Writing: aside, flushed, read back, named in one step, the folder flushed, read back again.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::format::{HEADER, MAX_FILE};
use super::key::KeySource;
use super::vault::Vault;
use crate::Error;

const KIND: &str = "vault";

/// By which a file that was replaced is told from the one that was read: the header, which has 32 bytes of chance for each write.
/// The times of a file are too coarse for that, and the number of its inode is used again.
type Stamp = Vec<u8>;

/// A vault file. All of it blocks.
pub(super) struct VaultFile {
    path: PathBuf,
    place: String,
    key: Mutex<KeySource>,
    /// What was read last.
    opened: Mutex<Option<(Stamp, Arc<Vault>)>>,
}

/// The right to write, until it is dropped.
pub(super) struct Writing(#[expect(dead_code, reason = "closing the file gives the lock back")] File);

/// A vault, and whether it is the former one, since the file itself is gone or damaged.
pub(super) struct Found {
    pub(super) vault: Arc<Vault>,
    pub(super) former: bool,
}

impl VaultFile {
    pub(super) fn new(path: &Path, key: KeySource) -> Self {
        // Replacing a link would leave the file it leads to as it was.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let place = path.display().to_string();
        Self { path, place, key: Mutex::new(key), opened: Mutex::default() }
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(ending);
        path.into()
    }

    fn failed(&self, doing: &str) -> impl Fn(io::Error) -> Error {
        let doing = format!("{doing} {}", self.place);
        move |error| Error::file(KIND, doing.clone(), error)
    }

    pub(super) fn key(&self) -> KeySource {
        self.key.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_key(&self, key: KeySource) {
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = key;
    }

    /// The lock against a second writer, in this process or another; `None` while there is one.
    pub(super) fn try_lock(&self) -> Result<Option<Writing>, Error> {
        let failed = self.failed("lock");
        let file = private().open(self.beside(".lock")).map_err(&failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Writing(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// The vault as it is now.
    pub(super) fn read(&self) -> Result<Found, Error> {
        match self.read_at(&self.path) {
            Ok(vault) => Ok(Found { vault, former: false }),
            Err(error) if replaceable(&error) => match self.read_at(&self.beside(".previous")) {
                Ok(vault) => Ok(Found { vault, former: true }),
                // What is wrong with the file itself says more.
                Err(_) => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    fn read_at(&self, path: &Path) -> Result<Arc<Vault>, Error> {
        let failed = self.failed("read");
        let mut file = File::open(path).map_err(&failed)?;
        let mut stamp = Stamp::with_capacity(HEADER);
        (&mut file).take(HEADER as u64).read_to_end(&mut stamp).map_err(&failed)?;
        let known = self.opened.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, vault)) = known.as_ref().filter(|(read, _)| *read == stamp) {
            return Ok(Arc::clone(vault));
        }
        let bytes = rest(&mut file, &stamp).map_err(&failed)?;
        // Deriving the key again takes a tenth of a second and 64 MiB, and a source to ask; without a new key it is not needed.
        let reopened =
            known.and_then(|(_, vault)| vault.reopen(&bytes, &self.place).transpose()).transpose()?;
        let vault = match reopened {
            Some(vault) => vault,
            None => Vault::open(&bytes, &self.place, || self.key().fetch(&self.place))?,
        };
        let vault = Arc::new(vault);
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = Some((stamp, Arc::clone(&vault)));
        Ok(vault)
    }

    /// The file as it is.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, Error> {
        let failed = self.failed("read");
        let mut file = File::open(&self.path).map_err(&failed)?;
        rest(&mut file, &[]).map_err(&failed)
    }

    pub(super) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Replaces the file by the next state of `vault`. Whoever calls holds the lock, and has changed what [`read`](Self::read) found.
    pub(super) fn write(
        &self,
        _lock: &Writing,
        vault: &mut Vault,
        former: bool,
        now: SystemTime,
    ) -> Result<(), Error> {
        let bytes = vault.write(now)?;
        let (aside, previous) = (self.beside(".new"), self.beside(".previous"));
        let failed = self.failed("write");
        let written = write_aside(&aside, &bytes).and_then(|()| fs::read(&aside));
        let whole = written.map_err(&failed).and_then(|read| self.check(vault, &read));
        if let Err(error) = whole {
            let _ = fs::remove_file(&aside);
            return Err(error);
        }
        // What was read instead of a damaged file stays until there is a good one.
        if self.path.exists() && !former {
            there(fs::remove_file(&previous)).map_err(&failed)?;
            // A file system without links gets a copy.
            fs::hard_link(&self.path, &previous)
                .or_else(|_| fs::copy(&self.path, &previous).and_then(|_| File::open(&previous)?.sync_all()))
                .map_err(&failed)?;
        }
        fs::rename(&aside, &self.path).map_err(&failed)?;
        self.flush_folder().map_err(&failed)?;
        let read = fs::read(&self.path).map_err(&failed)?;
        self.check(vault, &read)?;
        there(fs::remove_file(&previous)).map_err(&failed)
    }

    /// Whether `bytes` open as the vault that was written.
    fn check(&self, vault: &Vault, bytes: &[u8]) -> Result<(), Error> {
        let same = vault
            .reopen(bytes, &self.place)?
            .is_some_and(|read| read.generation == vault.generation && read.secrets == vault.secrets);
        let problem = "it reads back otherwise than it was written";
        if same { Ok(()) } else { Err(Error::Damaged { place: self.place.clone(), problem }) }
    }

    /// So that the file's new name outlives a loss of power.
    fn flush_folder(&self) -> io::Result<()> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

/// For its owner only.
fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options
}

fn write_aside(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // What an interrupted write left may be under the eyes of others.
    there(fs::remove_file(path))?;
    let mut file = private().create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// All of the file, of which the header is read already. One that is longer than a vault can be is read one byte over, so that it is
/// refused.
fn rest(file: &mut File, header: &[u8]) -> io::Result<Vec<u8>> {
    let most = MAX_FILE as u64 + 1;
    let length = file.metadata()?.len().min(most);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    bytes.extend_from_slice(header);
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether the former file may be read instead.
fn replaceable(error: &Error) -> bool {
    use buttress_core::{Classify, ErrorClass};
    matches!(error.class(), ErrorClass::Corrupt | ErrorClass::NotFound)
}

/// Nothing to do for what is not there.
fn there(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
