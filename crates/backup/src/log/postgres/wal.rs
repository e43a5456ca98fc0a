//! Files of PostgreSQL's write-ahead log: what they are called, and how far one that is being written goes.
//!
//! Facts from PostgreSQL's documentation (chapter "WAL Internals") and its header `access/xlog_internal.h`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The log is written in pages, each with a header; in all builds that are distributed, of this size.
const PAGE: usize = 8 << 10;
const PAGE_BYTES: u64 = 8 << 10;
/// What one segment of our log holds at most.
const MOST: u64 = 16 << 20;
/// Of a page's header, where its own place in the log stands.
const ADDRESS: std::ops::Range<usize> = 8..16;

/// A file of the log in the folder of `pg_receivewal`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WalFile {
    pub(super) timeline: u32,
    /// The two numbers of its name.
    high: u32,
    low: u32,
    /// It is being written.
    pub(super) partial: bool,
    pub(super) path: PathBuf,
}

impl WalFile {
    fn of(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let (digits, partial) = match name.strip_suffix(".partial") {
            Some(digits) => (digits, true),
            None => (name, false),
        };
        let number = |range| digits.get(range).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let upper = digits.bytes().all(|digit| digit.is_ascii_digit() || (b'A'..=b'F').contains(&digit));
        if digits.len() != 24 || !upper {
            return None;
        }
        let (timeline, high, low) = (number(0..8)?, number(8..16)?, number(16..24)?);
        Some(Self { timeline, high, low, partial, path })
    }

    /// Where it begins.
    pub(super) fn start(&self, shape: Shape) -> u64 {
        (u64::from(self.high) << 32).saturating_add(u64::from(self.low).saturating_mul(shape.size()))
    }
}

/// All files of the log in a folder, by timeline and then by place.
pub(super) fn files(folder: &Path) -> io::Result<Vec<WalFile>> {
    let mut files = Vec::new();
    for entry in folder.read_dir()? {
        files.extend(WalFile::of(entry?.path()));
    }
    files.sort();
    Ok(files)
}

/// The name of the file that has what is at `offset`.
pub(super) fn name(timeline: u32, offset: u64, shape: Shape) -> String {
    // Files divide 4 GiB, which the two numbers do too.
    let (high, low) = (offset >> 32, offset & 0xFFFF_FFFF);
    let low = low.checked_div(shape.size()).unwrap_or_default();
    format!("{timeline:08X}{high:08X}{low:08X}")
}

/// The name of the file that says from where a timeline comes.
pub(super) fn history_name(timeline: u32) -> String {
    format!("{timeline:08X}.history")
}

/// What all files of a cluster have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// The cluster's identifier.
    pub(super) system: u64,
    /// The length of a file in bytes: a power of two from 1 MiB to 1 GiB.
    pub(super) segment: u32,
}

impl Shape {
    pub(super) fn new(system: u64, segment: u32) -> Option<Self> {
        let allowed = segment.is_power_of_two() && (1 << 20..=1 << 30).contains(&segment);
        allowed.then_some(Self { system, segment })
    }

    pub(super) fn size(self) -> u64 {
        u64::from(self.segment)
    }

    /// What the first page of a file says; `None` while nothing was written to it.
    pub(super) fn read(path: &Path) -> io::Result<Option<Self>> {
        let mut header = [0; 40];
        match File::open(path)?.read_exact_at(&mut header, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        let number = |at: usize| header.get(at..).and_then(|bytes| bytes.first_chunk().copied());
        let system = header.get(24..).and_then(|bytes| bytes.first_chunk().copied()).map(u64::from_ne_bytes);
        let (segment, page) = (number(32).map(u32::from_ne_bytes), number(36).map(u32::from_ne_bytes));
        if header.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let shape = system.zip(segment).and_then(|(system, segment)| Self::new(system, segment));
        if shape.is_none() || page != u32::try_from(PAGE).ok() {
            let problem = "it does not begin as a file of the write-ahead log with pages of 8 KiB does";
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        Ok(shape)
    }
}

/// Bytes of the log, and where they end; bytes at the end that are zeros are left out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bytes {
    pub(super) bytes: Vec<u8>,
    pub(super) last: u64,
}

/// What is in `file` from `first` on; `received` is a place up to which the log has been received, if one is known.
///
/// `pg_receivewal` makes a file of zeros and fills it from the front, so what was written ends before a page of zeros. The end is found first and the
/// bytes are read after that: in one pass, a page could be read before it is full and the next one after.
pub(super) fn read(file: &WalFile, first: u64, received: Option<u64>, shape: Shape) -> io::Result<Bytes> {
    let start = file.start(shape);
    let end = start.saturating_add(shape.size());
    let source = File::open(&file.path)?;
    let written =
        if file.partial { written(&source, first.saturating_sub(start))?.saturating_add(start) } else { end };
    // What was received may end in zeros, which cannot be seen.
    let known = received.filter(|received| file.partial && (start..=end).contains(received)).unwrap_or(start);
    let last = written.max(known).min(end).min(first.saturating_add(MOST)).max(first);
    let mut bytes = vec![0; usize::try_from(last.saturating_sub(first)).unwrap_or_default()];
    source.read_exact_at(&mut bytes, first.saturating_sub(start))?;
    check_pages(&bytes, first)?;
    let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at.saturating_add(1));
    bytes.truncate(length);
    Ok(Bytes { bytes, last })
}

/// Behind the last byte that was written, as an offset in the file; everything before `from` was.
fn written(file: &File, from: u64) -> io::Result<u64> {
    let mut page = vec![0; PAGE];
    let mut at = from.checked_div(PAGE_BYTES).unwrap_or_default().saturating_mul(PAGE_BYTES);
    let mut written = from;
    loop {
        match file.read_exact_at(&mut page, at) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(written),
            read => read?,
        }
        let Some(last) = page.iter().rposition(|byte| *byte != 0) else { return Ok(written) };
        written = written.max(at.saturating_add(last as u64).saturating_add(1));
        at = at.saturating_add(PAGE_BYTES);
    }
}

/// Every page says where in the log it belongs. After the log was switched to a new file, the rest of the old one may be zeros.
fn check_pages(bytes: &[u8], first: u64) -> io::Result<()> {
    let before =
        usize::try_from(first.next_multiple_of(PAGE_BYTES).saturating_sub(first)).unwrap_or(usize::MAX);
    let pages = bytes.get(before..).unwrap_or_default().chunks(PAGE);
    for (address, page) in (first.next_multiple_of(PAGE_BYTES)..).step_by(PAGE).zip(pages) {
        let Some(field) = page.get(ADDRESS).and_then(|bytes| bytes.first_chunk().copied()) else { continue };
        let told = u64::from_ne_bytes(field);
        if told != address && told != 0 {
            let problem = format!("its page for {address:#x} of the log says that it is for {told:#x}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    const SHAPE: Shape = Shape { system: 7, segment: 1 << 20 };

    /// A file of the log, written up to some byte, with the pages' headers.
    fn file(folder: &Path, written: usize) -> WalFile {
        let path = folder.join("000000020000000100000003.partial");
        let file = WalFile::of(path.clone()).unwrap();
        let mut bytes = vec![1; written];
        for (number, page) in (0..).zip(bytes.chunks_mut(PAGE)) {
            let address = file.start(SHAPE) + number * PAGE_BYTES;
            let room = page.len().min(16).saturating_sub(8);
            page.iter_mut().skip(8).zip(&address.to_ne_bytes()[..room]).for_each(|(to, from)| *to = *from);
        }
        bytes.resize(1 << 20, 0);
        std::fs::write(path, bytes).unwrap();
        file
    }

    #[test]
    fn names_say_where_a_file_begins() {
        let file = WalFile::of("x/000000020000000100000003".into()).unwrap();
        assert_eq!((file.timeline, file.start(SHAPE), file.partial), (2, (1 << 32) + (3 << 20), false));
        assert_eq!(name(2, (1 << 32) + (3 << 20) + 5, SHAPE), "000000020000000100000003");
        for other in
            ["00000002.history", "00000002000000010000000", "00000002000000010000000g", "archive_status"]
        {
            assert_eq!(WalFile::of(other.into()), None, "{other}");
        }
    }

    #[test]
    fn a_file_that_is_being_written_ends_where_zeros_begin() {
        let folder = tempfile::tempdir().unwrap();
        for written in [1, 20, PAGE - 1, PAGE, PAGE + 1, 5 * PAGE + 77, (1 << 20) - 1, 1 << 20] {
            let file = file(folder.path(), written);
            let start = file.start(SHAPE);
            for first in [0, 1, written / 2, written] {
                let read = read(&file, start + first as u64, None, SHAPE).unwrap();
                assert_eq!(read.last, start + written as u64, "{written} from {first}");
                assert_eq!(read.bytes.len(), written - first);
            }
            let received = start + (written as u64).next_multiple_of(8);
            let read = read(&file, start, Some(received), SHAPE).unwrap();
            assert_eq!((read.last, read.bytes.len()), (received, written), "zeros that were received count");
        }
    }

    #[test]
    fn a_page_in_anothers_place_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path(), 4 * PAGE);
        let mut bytes = std::fs::read(&file.path).unwrap();
        bytes[2 * PAGE + 8] ^= 1;
        std::fs::write(&file.path, bytes).unwrap();
        let start = file.start(SHAPE);
        assert!(read(&file, start + 5, None, SHAPE).is_err());
        assert!(read(&file, start + 2 * PAGE_BYTES + 1, None, SHAPE).is_ok(), "it was shipped before");
    }
}
