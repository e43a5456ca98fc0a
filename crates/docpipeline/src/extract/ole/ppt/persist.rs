//! Where the parts of a presentation stand. Each time it is saved, what changed is put at the end of the stream, and a
//! directory of the parts that it replaces.

use std::collections::{HashMap, HashSet};

use super::super::numbers_at::{u32_at, usize_at};
use super::records::{Record, Records, kind};
use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::format::Format;

/// What the file of the present user begins with if the presentation is encrypted.
const ENCRYPTED: u32 = 0xf3d1_c4df;

/// The newest edition of each part.
pub(super) struct Parts<'s> {
    stream: &'s [u8],
    places: HashMap<u32, usize>,
    document: Option<u32>,
}

impl<'s> Parts<'s> {
    /// Follows the editions from the newest on, which `current_user` tells.
    pub(super) fn read(stream: &'s [u8], current_user: &[u8], budget: &Budget) -> Result<Self> {
        let encrypted = || Error::Encrypted { format: Format::Ppt };
        if u32_at(current_user, 12) == Some(ENCRYPTED) {
            return Err(encrypted());
        }
        let mut parts = Self { stream, places: HashMap::new(), document: None };
        let mut next = usize_at(current_user, 16).filter(|at| parts.edit_at(*at).is_some());
        if next.is_none() {
            next = last_edit(stream, budget)?;
        }
        let mut seen = HashSet::new();
        while let Some(edit) = next.filter(|at| seen.insert(*at)).and_then(|at| parts.edit_at(at)) {
            budget.tick()?;
            if u32_at(edit.data, 28).is_some_and(|session| session != 0) {
                return Err(encrypted());
            }
            parts.document = parts.document.or(u32_at(edit.data, 16));
            if let Some(directory) = usize_at(edit.data, 12) {
                parts.add(directory, budget)?;
            }
            next = usize_at(edit.data, 8).filter(|at| *at > 0);
        }
        Ok(parts)
    }

    fn edit_at(&self, at: usize) -> Option<Record<'s>> {
        self.record_at(at).filter(|record| record.kind == kind::USER_EDIT)
    }

    fn record_at(&self, at: usize) -> Option<Record<'s>> {
        Record::first(self.stream.get(at..)?)
    }

    /// Adds the parts of a directory that no newer one has.
    fn add(&mut self, directory: usize, budget: &Budget) -> Result<()> {
        let Some(directory) =
            self.record_at(directory).filter(|record| record.kind == kind::PERSIST_DIRECTORY)
        else {
            return Ok(());
        };
        let mut rest = directory.data;
        while let Some(head) = u32_at(rest, 0) {
            let (first, count) = (head & 0x000f_ffff, head >> 20);
            rest = rest.get(4..).unwrap_or_default();
            for id in first..first + count {
                budget.tick()?;
                let Some(place) = usize_at(rest, 0) else { return Ok(()) };
                self.places.entry(id).or_insert(place);
                rest = rest.get(4..).unwrap_or_default();
            }
        }
        Ok(())
    }

    /// The part with this number.
    pub(super) fn part(&self, id: u32) -> Option<Record<'s>> {
        self.record_at(*self.places.get(&id)?)
    }

    /// The part that tells of all others, wherever it is to be found.
    pub(super) fn document(&self) -> Option<Record<'s>> {
        let listed = self.document.and_then(|id| self.part(id)).filter(|part| part.kind == kind::DOCUMENT);
        listed.or_else(|| self.of_kind(kind::DOCUMENT).last())
    }

    /// All parts of a kind, in the order of the stream, old editions among them.
    pub(super) fn of_kind(&self, kind: u16) -> impl Iterator<Item = Record<'s>> {
        Records(self.stream).filter(move |record| record.kind == kind)
    }
}

/// Where the last edition stands in the stream.
fn last_edit(stream: &[u8], budget: &Budget) -> Result<Option<usize>> {
    let mut records = Records(stream);
    let mut found = None;
    loop {
        budget.tick()?;
        let at = stream.len() - records.0.len();
        match records.next() {
            Some(record) if record.kind == kind::USER_EDIT => found = Some(at),
            Some(_) => {}
            None => return Ok(found),
        }
    }
}
