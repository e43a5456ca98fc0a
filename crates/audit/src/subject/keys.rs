//! The key file: a header and a [`Slot`] for each subject, each durable before it is used.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::slot::{SECRET, SLOT, Slot, State};
use crate::Error;

/// How the file begins; the rest of its first 128 bytes is a check of the master key, and zeros.
const MAGIC: &[u8; 32] = b"buttress audit subject keys, v1\n";

/// The slots of a file, and the file.
pub(super) struct Keys {
    file: File,
    path: PathBuf,
    slots: Vec<Slot>,
    by_tag: HashMap<[u8; 32], usize>,
    by_id: HashMap<[u8; 16], usize>,
    /// After a failed flush nobody knows what the disk has: only reading the file again tells.
    broken: bool,
    writable: bool,
}

impl Keys {
    /// Opens the file for the only writer it may have, or makes it.
    pub(super) fn open(path: &Path, check: &[u8; 32]) -> Result<Self, Error> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(Error::disk("make the folder of", path))?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path).map_err(Error::disk("open", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::SubjectsLocked { path: path.to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(Error::disk("lock", path)(error)),
        }
        let bytes = read(&file).map_err(Error::disk("read", path))?;
        if bytes.len() < SLOT && bytes.iter().zip(header(check)).all(|(found, made)| *found == made) {
            let made = file.write_all_at(&header(check), 0).and_then(|()| file.sync_all());
            made.and_then(|()| sync_folder(path)).map_err(Error::disk("make", path))?;
            return Ok(Self::of(file, path, Vec::new(), true));
        }
        let (slots, whole) = parse(&bytes, path, check)?;
        let mut keys = Self::of(file, path, slots, true);
        if whole != bytes.len() {
            keys.change(|file| file.set_len(whole as u64))?;
        }
        // An erasure that was cut short is finished: the key is gone, and the slot says so.
        for index in 0..keys.slots.len() {
            let cut = bytes
                .get((index + 1) * SLOT..)
                .and_then(|rest| rest.first_chunk())
                .is_none_or(|bytes| Slot::decode(bytes).is_none());
            if cut {
                keys.rewrite(index)?;
            }
        }
        Ok(keys)
    }

    /// Opens the file to read it, also while another writes it. Nothing is repaired.
    pub(super) fn open_to_read(path: &Path, check: &[u8; 32]) -> Result<Self, Error> {
        let file = File::open(path).map_err(Error::disk("open", path))?;
        let bytes = read(&file).map_err(Error::disk("read", path))?;
        let (slots, _) = parse(&bytes, path, check)?;
        Ok(Self::of(file, path, slots, false))
    }

    fn of(file: File, path: &Path, slots: Vec<Slot>, writable: bool) -> Self {
        let live = slots.iter().enumerate().filter(|(_, slot)| slot.state == State::Live);
        let by_tag = live.map(|(index, slot)| (slot.tag, index)).collect();
        let by_id = slots.iter().enumerate().map(|(index, slot)| (slot.id, index)).collect();
        let path = path.to_owned();
        Self { file, path, slots, by_tag, by_id, broken: false, writable }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn by_tag(&self, tag: &[u8; 32]) -> Option<&Slot> {
        self.by_tag.get(tag).and_then(|index| self.slots.get(*index))
    }

    pub(super) fn by_id(&self, id: &[u8; 16]) -> Option<&Slot> {
        self.by_id.get(id).and_then(|index| self.slots.get(*index))
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter()
    }

    /// Adds a subject; it is on the disk when this returns.
    pub(super) fn add(&mut self, slot: Slot) -> Result<(), Error> {
        let index = self.slots.len();
        let bytes = Zeroizing::new(slot.encode());
        self.change(|file| file.write_all_at(&bytes[..], at(index)))?;
        self.by_tag.insert(slot.tag, index);
        self.by_id.insert(slot.id, index);
        self.slots.push(slot);
        Ok(())
    }

    /// Overwrites a subject's key and name where they lie, then marks the slot; each step is on the disk before the
    /// next.
    pub(super) fn erase(&mut self, tag: &[u8; 32], now: u64) -> Result<Option<[u8; 16]>, Error> {
        let Some(index) = self.by_tag.get(tag).copied() else { return Ok(None) };
        let Some(slot) = self.slots.get(index) else { return Ok(None) };
        let (id, erased) = (slot.id, slot.erased(now));
        self.change(|file| {
            file.write_all_at(&[0; SECRET.end - SECRET.start], at(index) + SECRET.start as u64)
        })?;
        self.by_tag.remove(tag);
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = erased;
        }
        self.rewrite(index)?;
        Ok(Some(id))
    }

    /// Notes that the log says that this subject was erased.
    pub(super) fn told(&mut self, id: &[u8; 16]) -> Result<(), Error> {
        let Some(index) = self.by_id.get(id).copied() else { return Ok(()) };
        match self.slots.get_mut(index) {
            Some(slot) if slot.state == State::Erased => slot.state = State::Told,
            _ => return Ok(()),
        }
        self.rewrite(index)
    }

    fn rewrite(&mut self, index: usize) -> Result<(), Error> {
        let Some(bytes) = self.slots.get(index).map(|slot| Zeroizing::new(slot.encode())) else {
            return Ok(());
        };
        self.change(|file| file.write_all_at(&bytes[..], at(index)))
    }

    /// Writes, and flushes.
    fn change(&mut self, write: impl FnOnce(&File) -> io::Result<()>) -> Result<(), Error> {
        if self.broken || !self.writable {
            let problem =
                if self.broken { "a write failed before; open it again" } else { "it was opened to read" };
            return Err(Error::SubjectsClosed { path: self.path.clone(), problem });
        }
        let changed = write(&self.file).and_then(|()| self.file.sync_data());
        changed.map_err(|error| {
            self.broken = true;
            Error::disk("write", &self.path)(error)
        })
    }
}

/// Where a slot lies; the header takes the first place.
fn at(index: usize) -> u64 {
    ((index + 1) * SLOT) as u64
}

fn header(check: &[u8; 32]) -> [u8; SLOT] {
    let mut header = [0; SLOT];
    for (place, byte) in header.iter_mut().zip(MAGIC.iter().chain(check)) {
        *place = *byte;
    }
    header
}

/// The slots, and how many bytes of the file are whole. Pure: fuzzed.
pub(super) fn parse(bytes: &[u8], path: &Path, check: &[u8; 32]) -> Result<(Vec<Slot>, usize), Error> {
    let corrupt = |problem| Err(Error::Subjects { path: path.to_owned(), problem });
    let Some((first, rest)) = bytes.split_first_chunk::<SLOT>() else {
        return corrupt("it is shorter than its header".to_owned());
    };
    if *first != header(check) {
        let ours = first.starts_with(MAGIC);
        return corrupt(
            if ours { "it was made under another master key" } else { "it is no file of subject keys" }
                .to_owned(),
        );
    }
    let mut slots = Vec::with_capacity(rest.len() / SLOT);
    let mut left = rest;
    while let Some((bytes, after)) = left.split_first_chunk::<SLOT>() {
        match Slot::decode(bytes).or_else(|| Slot::cut_short(bytes)) {
            Some(slot) => slots.push(slot),
            // The last one was being added when the machine stopped: its end was not written, and nobody was told of it.
            None if after.len() < SLOT && bytes.ends_with(&[0; 8]) => break,
            None => return corrupt(format!("the slot of subject {} is not what was written", slots.len())),
        }
        left = after;
    }
    let whole = (slots.len() + 1) * SLOT;
    Ok((slots, whole))
}

fn read(file: &File) -> io::Result<Zeroizing<Vec<u8>>> {
    let length = usize::try_from(file.metadata()?.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut bytes = Zeroizing::new(vec![0; length]);
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// A new name is durable once its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
