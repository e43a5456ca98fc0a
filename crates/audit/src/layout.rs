//! The files of a log.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;

use crate::note::NoteVerifier;
use crate::segment::{file_name, number_of};
use crate::{Error, random};

const FIRST_LINE: &str = "buttress-audit log 1";

/// Where the files of a log are.
#[derive(Debug, Clone)]
pub(crate) struct Layout(PathBuf);

impl Layout {
    pub(crate) fn new(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    /// What log it is: see [`Meta`].
    pub(crate) fn meta(&self) -> PathBuf {
        self.0.join("log")
    }

    /// Locked by the one writer.
    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    pub(crate) fn segment(&self, number: u64) -> PathBuf {
        self.0.join(file_name(number))
    }

    /// The hashes of the Merkle tree.
    pub(crate) fn tree(&self) -> PathBuf {
        self.0.join("tree")
    }

    pub(crate) fn seals(&self) -> PathBuf {
        self.0.join("seals")
    }

    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.0.join("checkpoints")
    }

    /// The sealing key of the present epoch, and none of before.
    pub(crate) fn seal_key(&self) -> PathBuf {
        self.0.join("seal.key")
    }

    /// The private key of checkpoints, unless it is kept elsewhere.
    pub(crate) fn checkpoint_key(&self) -> PathBuf {
        self.0.join("checkpoint.key")
    }

    /// Events that had no room.
    pub(crate) fn spill(&self) -> PathBuf {
        self.0.join("spill")
    }

    /// The numbers of the segments that are there, in order.
    pub(crate) fn segments(&self) -> Result<Vec<u64>, Error> {
        let told = |error| Error::disk("list", &self.0)(error);
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(told)? {
            let name = entry.map_err(|error| Error::disk("list", &self.0)(error))?.file_name();
            numbers.extend(name.to_str().and_then(number_of));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    pub(crate) fn read_meta(&self) -> Result<Meta, Error> {
        let path = self.meta();
        match fs::read_to_string(&path) {
            Ok(text) => {
                Meta::decode(&text).ok_or_else(|| Error::damaged(&path, "it does not say what log it is"))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Error::Missing { path: self.0.clone() })
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(Error::damaged(&path, "it does not say what log it is"))
            }
            Err(error) => Err(Error::disk("read", &path)(error)),
        }
    }

    /// A text file; one that is not there is empty.
    pub(crate) fn read_text(path: &Path) -> Result<String, Error> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(Error::damaged(path, "it is not text"))
            }
            Err(error) => Err(Error::disk("read", path)(error)),
        }
    }
}

/// What log it is, told once when it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) id: [u8; 16],
    /// Whose name is the log's origin.
    pub(crate) verifier: NoteVerifier,
}

impl Meta {
    pub(crate) fn fresh_id() -> Result<[u8; 16], Error> {
        let mut id = [0; 16];
        random(&mut id)?;
        Ok(id)
    }

    pub(crate) fn encode(&self) -> String {
        format!("{FIRST_LINE}\nid {}\nkey {}\n", HEXLOWER.encode(&self.id), self.verifier)
    }

    fn decode(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let known = lines.next()? == FIRST_LINE;
        let id = HEXLOWER.decode(lines.next()?.strip_prefix("id ")?.as_bytes()).ok()?;
        let verifier = lines.next()?.strip_prefix("key ")?.parse().ok()?;
        let meta = Self { id: id.try_into().ok()?, verifier };
        (known && meta.encode() == text).then_some(meta)
    }
}
