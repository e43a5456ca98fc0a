//! What a keeper knows beside what its store shows: a small file that may be lost at the price of doing things once more.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::drill::DrillReport;
use crate::id::Id;
use crate::zone::timestamp;

/// So many snapshots are remembered as verified.
const VERIFIED: usize = 1_000;

/// What was done when, and what it showed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Memory {
    /// By the names of tasks.
    done: BTreeMap<String, Timestamp>,
    /// How many parts of the data were read.
    pub(crate) parts_read: u8,
    /// Snapshots that were restored and found good, the last at the end.
    verified: Vec<Id>,
    /// The last drill.
    pub(crate) drill: Option<DrillReport>,
}

impl Memory {
    /// Reads a file. One that is not there, or that a crash or a newer version left unreadable, is an empty memory.
    pub(crate) fn load(path: &Path) -> Self {
        let read = fs::read(path).and_then(|bytes| serde_json::from_slice(&bytes).map_err(io::Error::other));
        read.unwrap_or_else(|error: io::Error| {
            if error.kind() != io::ErrorKind::NotFound {
                let path = path.display();
                tracing::warn!(%path, %error, "what was checked and drilled is not remembered; it is done anew");
            }
            Self::default()
        })
    }

    /// Writes a file, whole or not at all.
    pub(crate) fn store(&self, path: &Path) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::Internal { problem: error.to_string() })?;
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        let written = fs::File::create(&beside).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&beside, path)
        });
        written.map_err(|error| Error::file("write", path, error))
    }

    pub(crate) fn done(&self, task: &str) -> Option<SystemTime> {
        self.done.get(task).map(|at| SystemTime::from(*at))
    }

    pub(crate) fn note(&mut self, task: String, at: SystemTime) {
        self.done.insert(task, timestamp(at));
    }

    pub(crate) fn is_verified(&self, id: Id) -> bool {
        self.verified.contains(&id)
    }

    pub(crate) fn verified(&mut self, id: Id) {
        self.verified.retain(|one| *one != id);
        self.verified.push(id);
        let surplus = self.verified.len().saturating_sub(VERIFIED);
        self.verified.drain(..surplus);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn it_remembers_and_bears_a_broken_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("memory.json");
        assert_eq!(Memory::load(&path), Memory::default());
        let mut memory = Memory::default();
        memory.note("drill".to_owned(), SystemTime::UNIX_EPOCH);
        (0..1_100_u32).for_each(|number| memory.verified(Id::of(&number.to_be_bytes())));
        assert_eq!(memory.verified.len(), VERIFIED);
        assert!(memory.is_verified(Id::of(&1_099_u32.to_be_bytes())));
        memory.store(&path).unwrap();
        assert_eq!(Memory::load(&path), memory);
        fs::write(&path, "{\"done\": 7").unwrap();
        assert_eq!(Memory::load(&path), Memory::default());
        assert!(memory.store(&folder.path().join("missing/memory.json")).is_err());
    }
}
