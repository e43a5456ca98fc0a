//! Compound files: a file system of sectors in one file ([MS-CFB]).
//!
//! A table (FAT) gives each sector the number of the one after it. Streams of less than 4 KiB share the sectors of one
//! stream, with a table of their own. Every number is taken as a claim: a chain ends where the file ends, and one that
//! is longer than there are sectors runs in a circle and ends too. So nothing here is ever larger than the file.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::numbers_at::{u16_at, u32_at, u64_at};
use crate::budget::Budget;
use crate::error::Result;

/// What every compound file begins with.
pub(crate) const MAGIC: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

/// Numbers from here on mark ends of chains and sectors without one.
const NO_SECTOR: u32 = 0xffff_fffa;

/// Stands for no entry of the directory.
const NO_ENTRY: u32 = 0xffff_ffff;

/// The end of a chain.
const END_OF_CHAIN: u32 = 0xffff_fffe;

/// The size of an entry of the directory, and of the sectors that small streams share.
const ENTRY_SIZE: usize = 128;
const SMALL_SECTOR: usize = 64;

/// How many sectors of the FAT are listed in the header.
const LISTED_IN_HEADER: usize = 109;

/// A compound file in memory.
pub(crate) struct CompoundFile<'a> {
    /// Everything behind the header, which fills the place of one sector.
    sectors: &'a [u8],
    sector_size: usize,
    next: Vec<u32>,
    directory: Cow<'a, [u8]>,
    first_of_small_table: u32,
    /// Streams of this size and more have sectors of their own.
    cutoff: u64,
    small: OnceCell<Small>,
}

/// The sectors that small streams share.
struct Small {
    sectors: Vec<u8>,
    next: Vec<u32>,
}

/// A stream or a storage.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'f> {
    raw: &'f [u8; ENTRY_SIZE],
}

impl<'a> CompoundFile<'a> {
    /// Opens the file; `None` when it is no compound file, or when nothing of its directory is there.
    ///
    /// Reads its tables alone, which are a small part of a sound file and never more than all of it.
    pub(crate) fn open(bytes: &'a [u8]) -> Option<Self> {
        if !bytes.starts_with(MAGIC) {
            return None;
        }
        let sector_size = match u16_at(bytes, 30)? {
            12 => 4096,
            // The only other size there is; one that says otherwise is damaged.
            _ => 512,
        };
        let sectors = bytes.get(sector_size..)?;
        let next = table(bytes, sectors, sector_size)?;
        let directory = chain(sectors, sector_size, &next, u32_at(bytes, 48)?, usize::MAX);
        let cutoff = u64::from(u32_at(bytes, 56)?);
        let first_of_small_table = u32_at(bytes, 60)?;
        let file = Self {
            sectors,
            sector_size,
            next,
            directory,
            first_of_small_table,
            cutoff,
            small: OnceCell::new(),
        };
        file.entry(0).is_some().then_some(file)
    }

    /// The entry of the file itself.
    pub(crate) fn root(&self) -> Option<Entry<'_>> {
        self.entry(0)
    }

    fn entry(&self, id: u32) -> Option<Entry<'_>> {
        let at = usize::try_from(id).ok()?.checked_mul(ENTRY_SIZE)?;
        self.directory.get(at..)?.first_chunk().map(|raw| Entry { raw })
    }

    /// What stands in a storage, in no order of meaning.
    fn children(&self, storage: Entry<'_>) -> Children<'_> {
        // The entries of a storage are a binary tree.
        let seen = vec![false; self.directory.len() / ENTRY_SIZE];
        Children { file: self, seen, waiting: vec![storage.child()], is_damaged: false }
    }

    /// The first entry of the file itself that is wanted; of all there are where their tree is damaged.
    fn find(&self, wanted: impl Fn(Entry<'_>) -> bool) -> Option<Entry<'_>> {
        let mut children = self.children(self.root()?);
        let found = children.find(|entry| wanted(*entry));
        if found.is_some() || !children.is_damaged {
            return found;
        }
        (0..).map_while(|id| self.entry(id)).find(|entry| wanted(*entry))
    }

    /// Whether the file itself holds a stream or a storage of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.find(|entry| entry.is_named(name)).is_some()
    }

    /// The stream of this name in the file itself; names have no case.
    pub(crate) fn stream(&self, name: &str) -> Option<Entry<'_>> {
        self.find(|entry| entry.is_stream() && entry.is_named(name))
    }

    /// The bytes of a stream as far as they are there, charged where they must be put together.
    pub(crate) fn read(&self, stream: Entry<'_>, budget: &Budget) -> Result<Cow<'_, [u8]>> {
        budget.check_time()?;
        let size = self.size(stream);
        let most = usize::try_from(size).unwrap_or(usize::MAX);
        let bytes = if size < self.cutoff {
            let small = if let Some(small) = self.small.get() {
                small
            } else {
                let small = self.open_small();
                budget.expanded(small.sectors.len())?;
                self.small.get_or_init(|| small)
            };
            chain(&small.sectors, SMALL_SECTOR, &small.next, stream.first_sector(), most)
        } else {
            chain(self.sectors, self.sector_size, &self.next, stream.first_sector(), most)
        };
        if let Cow::Owned(bytes) = &bytes {
            budget.expanded(bytes.len())?;
        }
        Ok(bytes)
    }

    /// The size that a stream says it has.
    pub(crate) fn size(&self, stream: Entry<'_>) -> u64 {
        let size = stream.size();
        // With sectors of 512 bytes, writers leave anything in the upper half.
        if self.sector_size == 512 { size & 0xffff_ffff } else { size }
    }

    fn open_small(&self) -> Small {
        let of_file = |first| chain(self.sectors, self.sector_size, &self.next, first, usize::MAX);
        let sectors = self.root().map(|root| of_file(root.first_sector()).into_owned()).unwrap_or_default();
        Small { sectors, next: numbers(&of_file(self.first_of_small_table)).collect() }
    }
}

/// The entries of a storage.
struct Children<'f> {
    file: &'f CompoundFile<'f>,
    seen: Vec<bool>,
    waiting: Vec<u32>,
    /// Whether the tree leads out of the directory, or in a circle.
    is_damaged: bool,
}

impl<'f> Iterator for Children<'f> {
    type Item = Entry<'f>;

    fn next(&mut self) -> Option<Entry<'f>> {
        while let Some(id) = self.waiting.pop() {
            if id == NO_ENTRY {
                continue;
            }
            let seen = usize::try_from(id).ok().and_then(|id| self.seen.get_mut(id));
            if seen.is_none_or(|seen| std::mem::replace(seen, true)) {
                self.is_damaged = true;
                continue;
            }
            let Some(entry) = self.file.entry(id) else { continue };
            self.waiting.extend([entry.left(), entry.right()]);
            return Some(entry);
        }
        None
    }
}

impl<'f> Entry<'f> {
    fn name_bytes(self) -> &'f [u8] {
        // The length counts the NUL at the end.
        let length = u16_at(self.raw, 64).map_or(0, usize::from).saturating_sub(2);
        self.raw.get(..length.min(62)).unwrap_or_default()
    }

    fn is_named(self, name: &str) -> bool {
        let (units, _cut) = self.name_bytes().as_chunks::<2>();
        let folded = |unit: u16| u8::try_from(unit).map_or(unit, |byte| u16::from(byte.to_ascii_uppercase()));
        units.iter().map(|raw| folded(u16::from_le_bytes(*raw))).eq(name.encode_utf16().map(folded))
    }

    fn is_stream(self) -> bool {
        self.raw.get(66) == Some(&2)
    }

    /// Says what program the file is for, if it says so.
    pub(crate) fn class(self) -> &'f [u8] {
        self.raw.get(80..96).unwrap_or_default()
    }

    fn left(self) -> u32 {
        u32_at(self.raw, 68).unwrap_or(NO_ENTRY)
    }

    fn right(self) -> u32 {
        u32_at(self.raw, 72).unwrap_or(NO_ENTRY)
    }

    fn child(self) -> u32 {
        u32_at(self.raw, 76).unwrap_or(NO_ENTRY)
    }

    fn first_sector(self) -> u32 {
        u32_at(self.raw, 116).unwrap_or(NO_SECTOR)
    }

    fn size(self) -> u64 {
        u64_at(self.raw, 120).unwrap_or(0)
    }
}

/// The FAT: for each sector, the one after it. Its own sectors are listed in the header, and further ones in sectors
/// that end with the number of the next.
fn table(header: &[u8], sectors: &[u8], sector_size: usize) -> Option<Vec<u32>> {
    let count = sectors.len().div_ceil(sector_size);
    let mut next: Vec<u32> = Vec::new();
    let mut add = |list: &[u8]| {
        for sector in numbers(list) {
            // One that lists a sector twice would have no end.
            if sector < NO_SECTOR && next.len() < count {
                next.extend(numbers(sector_at(sectors, sector_size, sector)));
            }
        }
    };
    add(header.get(76..76 + 4 * LISTED_IN_HEADER)?);
    let mut list = u32_at(header, 68)?;
    for _ in 0..count {
        if list >= NO_SECTOR {
            break;
        }
        let raw = sector_at(sectors, sector_size, list);
        let Some((entries, last)) = raw.split_last_chunk::<4>() else { break };
        add(entries);
        list = u32::from_le_bytes(*last);
    }
    Some(next)
}

fn sector_at(sectors: &[u8], size: usize, number: u32) -> &[u8] {
    let at = usize::try_from(number).unwrap_or(usize::MAX).saturating_mul(size);
    let rest = sectors.get(at..).unwrap_or_default();
    rest.get(..size).unwrap_or(rest)
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.as_chunks::<4>().0.iter().map(|raw| u32::from_le_bytes(*raw))
}

/// At most `most` bytes of the chain that begins with the sector `first`: borrowed where the sectors lie one behind
/// the other, as they mostly do.
fn chain<'s>(sectors: &'s [u8], size: usize, next: &[u32], first: u32, most: usize) -> Cow<'s, [u8]> {
    let mut gathered = Vec::new();
    let mut run = 0..0;
    let mut sector = first;
    for _ in 0..sectors.len().div_ceil(size) {
        let part = sector_at(sectors, size, sector);
        if sector >= NO_SECTOR || part.is_empty() || gathered.len() + run.len() >= most {
            break;
        }
        let at = usize::try_from(sector).unwrap_or(usize::MAX).saturating_mul(size);
        if run.end != at {
            gathered.extend_from_slice(sectors.get(run.clone()).unwrap_or_default());
            run.start = at;
        }
        run.end = at + part.len();
        let index = usize::try_from(sector).unwrap_or(usize::MAX);
        sector = next.get(index).copied().unwrap_or(END_OF_CHAIN);
    }
    let last = sectors.get(run).unwrap_or_default();
    if gathered.is_empty() {
        return Cow::Borrowed(last.get(..most).unwrap_or(last));
    }
    gathered.extend_from_slice(last);
    gathered.truncate(most);
    Cow::Owned(gathered)
}
