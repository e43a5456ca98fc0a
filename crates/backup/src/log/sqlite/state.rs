//! A copy of a database, and the part of a state as it stands in the log.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::id::Id;
use crate::log::segment::{Fields, from_nanos, to_nanos};

const FIRST: u8 = 1;
const LAST: u8 = 2;
const FULL: u8 = 4;
/// Of a part, before its pages.
const HEAD: usize = 49;
/// What the pages of a part take at most, and one page.
const MOST: usize = 8 << 20;

/// A part of a state: what all parts of it say, which one this is, and its pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part<P> {
    pub(super) first: bool,
    pub(super) last: bool,
    /// The state has all its pages, and needs no other.
    pub(super) full: bool,
    pub(super) shape: Shape,
    /// Everything that was committed before is in the state.
    pub(super) since: SystemTime,
    /// Number and content, one after the other.
    pub(super) pages: P,
}

/// What a state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) page: u32,
    pub(super) count: u32,
    pub(super) hash: Id,
}

impl Shape {
    pub(super) fn page_bytes(self) -> usize {
        self.page as usize
    }

    pub(super) fn length(self) -> u64 {
        u64::from(self.page).saturating_mul(u64::from(self.count))
    }
}

impl Part<Vec<u8>> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let flag = |set, flag| if set { flag } else { 0 };
        let mut bytes = Vec::with_capacity(HEAD.saturating_add(self.pages.len()));
        bytes.push(flag(self.first, FIRST) | flag(self.last, LAST) | flag(self.full, FULL));
        bytes.extend_from_slice(&self.shape.page.to_be_bytes());
        bytes.extend_from_slice(&self.shape.count.to_be_bytes());
        bytes.extend_from_slice(self.shape.hash.as_bytes());
        bytes.extend_from_slice(&to_nanos(self.since).to_be_bytes());
        bytes.extend_from_slice(&self.pages);
        bytes
    }
}

impl<'a> Part<&'a [u8]> {
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, &'static str> {
        let mut fields = Fields(bytes);
        let head = (|| {
            let [flags] = fields.take()?;
            let (page, count) = (u32::from_be_bytes(fields.take()?), u32::from_be_bytes(fields.take()?));
            let hash = Id::new(fields.take()?);
            Some((flags, Shape { page, count, hash }, from_nanos(i64::from_be_bytes(fields.take()?))))
        })();
        let (flags, shape, since) = head.ok_or("its payload is shorter than 49 bytes")?;
        if flags & !(FIRST | LAST | FULL) != 0 {
            return Err("it has flags that are not known");
        }
        if !shape.page.is_power_of_two() || !(512..=65_536).contains(&shape.page) {
            return Err("its page size is none of SQLite's");
        }
        let part = Self {
            first: flags & FIRST != 0,
            last: flags & LAST != 0,
            full: flags & FULL != 0,
            shape,
            since,
            pages: bytes.get(HEAD..).unwrap_or_default(),
        };
        if part.pages().any(|page| page.is_none()) {
            return Err("a page of it is cut short, or behind the database's end");
        }
        Ok(part)
    }

    /// Where each page belongs, and the page; `None` for one that is wrong.
    pub(super) fn pages(&self) -> impl Iterator<Item = Option<(u64, &'a [u8])>> + use<'a> {
        let shape = self.shape;
        self.pages.chunks(shape.page_bytes().saturating_add(4)).map(move |chunk| {
            let (number, page) = chunk.split_first_chunk()?;
            let number = u32::from_be_bytes(*number);
            let whole = page.len() == shape.page_bytes() && number < shape.count;
            whole.then(|| (u64::from(number).saturating_mul(u64::from(shape.page)), page))
        })
    }
}

/// A copy of the database in the shipper's folder, named after its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Copy {
    pub(super) path: PathBuf,
    pub(super) shape: Shape,
}

impl Copy {
    /// The copy at `path`, read once. `None` if it is no database.
    pub(super) fn read(path: &Path) -> io::Result<Option<Self>> {
        let file = File::open(path)?;
        let mut header = [0; 18];
        match file.read_exact_at(&mut header, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        let [.., high, low] = header;
        // The size 65536 does not fit, and is written as 1.
        let page = match u16::from_be_bytes([high, low]) {
            1 => 65_536,
            size => u32::from(size),
        };
        let length = file.metadata()?.len();
        let count = length.checked_div(u64::from(page)).and_then(|count| u32::try_from(count).ok());
        let whole = |count: &u32| u64::from(*count).saturating_mul(u64::from(page)) == length;
        let Some(count) = count.filter(whole) else { return Ok(None) };
        Ok(Some(Self { path: path.to_owned(), shape: Shape { page, count, hash: hash(&file)? } }))
    }

    /// The file's name in the folder.
    pub(super) fn name(hash: Id) -> String {
        format!("{hash}.db")
    }
}

/// The SHA-256 of a file's bytes.
pub(super) fn hash(mut file: &File) -> io::Result<Id> {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        context.update(buffer.get(..read).unwrap_or_default());
    }
    let mut hash = [0; 32];
    hash.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    Ok(Id::new(hash))
}

/// A state on its way into the log.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) new: Copy,
    /// What the pages are compared with; all of them are shipped without.
    old: Option<Copy>,
    pub(super) since: SystemTime,
    /// When the copy was done.
    pub(super) time: SystemTime,
    next: u32,
}

impl Parts {
    pub(super) fn new(new: Copy, old: Option<Copy>, since: SystemTime, time: SystemTime) -> Self {
        let old = old.filter(|old| old.shape.page == new.shape.page);
        Self { new, old, since, time, next: 0 }
    }

    pub(super) fn is_done(&self) -> bool {
        self.next >= self.new.shape.count
    }

    /// The next part.
    pub(super) fn part(&mut self) -> io::Result<Part<Vec<u8>>> {
        let shape = self.new.shape;
        let first = self.next == 0;
        let file = File::open(&self.new.path)?;
        let old = self.old.as_ref().map(|old| Ok::<_, io::Error>((File::open(&old.path)?, old.shape.count)));
        let old = old.transpose()?;
        let mut pages = Vec::new();
        let (mut page, mut former) = (vec![0; shape.page_bytes()], vec![0; shape.page_bytes()]);
        while !self.is_done() && pages.len() < MOST {
            let at = u64::from(self.next).saturating_mul(u64::from(shape.page));
            file.read_exact_at(&mut page, at)?;
            let same = match &old {
                Some((old, count)) if self.next < *count => {
                    old.read_exact_at(&mut former, at)?;
                    page == former
                }
                _ => false,
            };
            if !same {
                pages.extend_from_slice(&self.next.to_be_bytes());
                pages.extend_from_slice(&page);
            }
            self.next = self.next.saturating_add(1);
        }
        let (last, full) = (self.is_done(), old.is_none());
        Ok(Part { first, last, full, shape, since: self.since, pages })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_part_has_one_encoding(bytes in proptest::collection::vec(any::<u8>(), 0..2000), flags in 0_u8..16, page in 0_u32..12) {
            let _ = Part::decode(&bytes);
            let mut bytes = bytes;
            if let Some((head, _)) = bytes.split_first_chunk_mut::<5>() {
                let [a, b, c, d] = (128_u32 << page).to_be_bytes();
                *head = [flags, a, b, c, d];
            }
            if let Ok(part) = Part::decode(&bytes) {
                let owned = Part { pages: part.pages.to_vec(), first: part.first, last: part.last, full: part.full, shape: part.shape, since: part.since };
                prop_assert_eq!(owned.encode(), bytes);
            }
        }
    }
}
