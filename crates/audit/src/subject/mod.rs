//! People have a right to be forgotten, and a log has none to be changed. Both hold when what is personal is
//! encrypted before it is hashed, under a key of the person's own: destroying that key forgets the person, and no hash
//! changes.
//!
//! ```
//! use buttress_audit::subject::{MasterKey, Opened, Subjects, SubjectsConfig};
//! # let folder = tempfile::tempdir()?;
//! let mut config = SubjectsConfig::default();
//! config.path = folder.path().join("subjects");
//! let subjects = Subjects::open(&config, &MasterKey::random()?)?;
//!
//! let ada = subjects.make("ada@example.org")?; // durable before it returns
//! let sealed = subjects.seal(ada, "actor", "ada@example.org")?;
//! assert!(sealed.starts_with("~sealed:1:") && !sealed.contains("ada"));
//! assert_eq!(subjects.read("actor", &sealed), Opened::Text("ada@example.org".to_owned()));
//!
//! subjects.erase("ada@example.org", std::time::SystemTime::UNIX_EPOCH)?;
//! assert_eq!(subjects.read("actor", &sealed), Opened::Erased(ada));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What the key file keeps
//!
//! For each subject: a random id, the name as an HMAC, and a random AES-256 key wrapped by the master key. Nothing in
//! it can be read, and no name tried, without the master key. The file is for one writing process at a time, which
//! holds a lock on it; others may read.
//!
//! # What erasing reaches
//!
//! Name and key are overwritten with zeros in their place in the file, and flushed, before [`erase`](Subjects::erase)
//! returns; the id stays, so that readers are told `erased`. What it does not reach: backups and snapshots of the key
//! file, and old blocks that a copy-on-write file system (btrfs, ZFS) or the wear levelling of a flash disk keeps until it
//! reuses them. All of them are wrapped by the master key: keep the file out of long backups, and change the master key
//! where such blocks count as copies. Sealed values name the id, so that the entries of one person can still be told to
//! belong together after the erasure, without saying to whom.

mod cipher;
mod keys;
mod master;
mod protect;
mod slot;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use buttress_core::{Validate, Violations};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use self::cipher::Secret;
use self::keys::Keys;
pub use self::master::MasterKey;
pub use self::protect::{ERASED, Field, FieldError, Policy, SEALED};
use self::slot::{Slot, State};
use crate::Error;

/// Where the keys of subjects are kept.
///
/// | field | default | |
/// |---|---|---|
/// | `path` | `"audit/subjects"` | the key file; made with mode 0600, as is its folder |
/// | `max` | 1000000 | subjects at most, erased ones among them; each takes 128 bytes of the file and about 250 of memory |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SubjectsConfig {
    /// The key file.
    pub path: PathBuf,
    /// Subjects at most.
    pub max: usize,
}

impl Default for SubjectsConfig {
    fn default() -> Self {
        Self { path: PathBuf::from("audit/subjects"), max: 1_000_000 }
    }
}

impl Validate for SubjectsConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        wrong.require(self.max >= 1, "max", self.max, "must be at least 1; 1000000 is usual");
        let named = self.path.file_name().is_some();
        wrong.require(named, "path", self.path.display(), "must name a file, such as `audit/subjects`");
        wrong.into_result()
    }
}

/// Which key a subject has: random, and all that an entry tells of a subject. Shown as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubjectId([u8; 16]);

impl SubjectId {
    /// The id of 32 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        cipher::parse_id(text).map(Self)
    }

    /// The id that a sealed value names; `None` when the value is not sealed.
    pub fn of(value: &str) -> Option<Self> {
        cipher::parse(value).map(|(id, _)| Self(id))
    }

    /// How every value begins that is sealed for this subject.
    #[must_use]
    pub fn prefix(&self) -> String {
        format!("{}{self}:", cipher::PREFIX)
    }
}

impl fmt::Display for SubjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for SubjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectId({self})")
    }
}

/// What a value of the log turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Opened {
    /// It was not sealed.
    Plain,
    /// What was sealed.
    Text(String),
    /// The subject was erased: nobody reads this any more.
    Erased(SubjectId),
    /// Sealed under a key that this file does not have, or not by us for this field.
    Unknown(SubjectId),
}

/// The keys of subjects. Cheap to clone; clones share the file.
///
/// Sealing and reading cost two AES-256-GCM operations and no I/O; the keys stay wrapped in memory. What changes the
/// file blocks the thread for one or two flushes.
#[derive(Clone)]
pub struct Subjects(Arc<Inner>);

struct Inner {
    wrapping: Secret,
    tagging: Secret,
    max: usize,
    keys: Mutex<Keys>,
}

impl fmt::Debug for Subjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subjects({} subjects)", self.keys().len())
    }
}

impl Subjects {
    /// Opens the key file for the one process that may write it, or makes it.
    ///
    /// # Errors
    ///
    /// [`Error::Config`]; [`Error::SubjectsLocked`] when another process has it; [`Error::Subjects`] when it was changed, or
    /// made under another master key; [`Error::Disk`] when it cannot be read or made.
    pub fn open(config: &SubjectsConfig, master: &MasterKey) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        let check = derive(master, b"check")?;
        Self::over(Keys::open(&config.path, &check)?, config, master)
    }

    /// Opens the key file to read, also while another process writes it: what that one does later is not seen.
    ///
    /// # Errors
    ///
    /// As [`open`](Subjects::open).
    pub fn open_to_read(config: &SubjectsConfig, master: &MasterKey) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        let check = derive(master, b"check")?;
        Self::over(Keys::open_to_read(&config.path, &check)?, config, master)
    }

    fn over(keys: Keys, config: &SubjectsConfig, master: &MasterKey) -> Result<Self, Error> {
        let (wrapping, tagging) = (derive(master, b"wrap")?, derive(master, b"tag")?);
        Ok(Self(Arc::new(Inner { wrapping, tagging, max: config.max, keys: Mutex::new(keys) })))
    }

    /// The subject of this name; made, with a new key, when there is none. A subject that comes back after its erasure
    /// is a new one.
    ///
    /// # Errors
    ///
    /// [`Error::TooManySubjects`]; [`Error::Disk`] when the file cannot be written.
    pub fn make(&self, name: &str) -> Result<SubjectId, Error> {
        let tag = cipher::tag(&self.0.tagging, name);
        let mut keys = self.keys();
        if let Some(slot) = keys.by_tag(&tag) {
            return Ok(SubjectId(slot.id));
        }
        if keys.len() >= self.0.max {
            return Err(Error::TooManySubjects { max: self.0.max });
        }
        let key = Secret::new(cipher::random().map_err(refused)?);
        let id = cipher::random().map_err(refused)?;
        let mut slot = Slot { state: State::Live, id, tag, nonce: [0; 12], wrapped: [0; 48], at: 0 };
        cipher::wrap(&self.0.wrapping, &mut slot, &key).map_err(refused)?;
        keys.add(slot)?;
        Ok(SubjectId(id))
    }

    /// The subject of this name, if there is one that was not erased.
    pub fn find(&self, name: &str) -> Option<SubjectId> {
        let tag = cipher::tag(&self.0.tagging, name);
        self.keys().by_tag(&tag).map(|slot| SubjectId(slot.id))
    }

    /// Encrypts a value of `field` for a subject.
    ///
    /// # Errors
    ///
    /// [`Error::NoSubject`] when it was erased, or is of another file.
    pub fn seal(&self, subject: SubjectId, field: &str, text: &str) -> Result<String, Error> {
        let keys = self.keys();
        let slot = keys.by_id(&subject.0).filter(|slot| slot.state == State::Live);
        let slot = slot.ok_or_else(|| Error::NoSubject { id: subject.to_string() })?.clone();
        drop(keys);
        let key = cipher::unwrap(&self.0.wrapping, &slot).map_err(refused)?;
        cipher::seal(&key, &subject.0, field, text).map_err(refused)
    }

    /// Reads a value of `field`, sealed or not.
    pub fn read(&self, field: &str, value: &str) -> Opened {
        let Some((id, sealed)) = cipher::parse(value) else { return Opened::Plain };
        let subject = SubjectId(id);
        let slot = match self.keys().by_id(&id) {
            None => return Opened::Unknown(subject),
            Some(slot) if slot.state != State::Live => return Opened::Erased(subject),
            Some(slot) => slot.clone(),
        };
        let key = cipher::unwrap(&self.0.wrapping, &slot).ok();
        let text = key.and_then(|key| cipher::open(&key, &id, field, sealed));
        text.map_or(Opened::Unknown(subject), Opened::Text)
    }

    /// Destroys a subject's key and name; durably, when this returns. `None` when there is no such subject, or it was
    /// erased before.
    ///
    /// # Errors
    ///
    /// [`Error::Disk`] when the file cannot be written: try again after opening it anew.
    pub fn erase(&self, name: &str, now: SystemTime) -> Result<Option<SubjectId>, Error> {
        let tag = cipher::tag(&self.0.tagging, name);
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let erased = self.keys().erase(&tag, u64::try_from(now).unwrap_or(u64::MAX))?;
        Ok(erased.map(SubjectId))
    }

    /// The subjects that were erased and of whose erasure the log does not tell yet, since the program stopped between
    /// the two. Whoever appends the entry says so with [`told`](Subjects::told).
    pub fn untold(&self) -> Vec<SubjectId> {
        let keys = self.keys();
        keys.slots().filter(|slot| slot.state == State::Erased).map(|slot| SubjectId(slot.id)).collect()
    }

    /// Notes that the log tells of this subject's erasure.
    ///
    /// # Errors
    ///
    /// [`Error::Disk`] when the file cannot be written.
    pub fn told(&self, subject: SubjectId) -> Result<(), Error> {
        self.keys().told(&subject.0)
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        // A panic under this lock leaves the slots as they were, or as the file has them.
        self.0.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn derive(master: &MasterKey, purpose: &'static [u8]) -> Result<Secret, Error> {
    cipher::derive(master.expose(), purpose).map_err(refused)
}

fn refused(_: cipher::Refused) -> Error {
    Error::Cipher
}
