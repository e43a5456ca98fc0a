//! Reading a log: with or without the writer, in this process or another.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::SystemTime;

use crate::entry::time_of;
use crate::layout::Layout;
use crate::merkle::{Hash, leaf_hash};
use crate::segment::{Header, Next, Scanner, entries};
use crate::{Error, Record};

/// A log as it was when this was made. Segments that come later are not seen: make another.
#[derive(Debug)]
pub struct LogReader {
    layout: Layout,
    segments: Vec<Part>,
    /// Entries from here on are not on the disk yet.
    size: Option<u64>,
}

#[derive(Debug, Clone)]
struct Part {
    number: u64,
    header: Header,
    /// Bytes that count; the last segment is read as far as it holds.
    end: Option<u64>,
}

/// What is known of a segment without reading it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct SegmentInfo {
    /// From 1.
    pub number: u64,
    /// The sequence of its first entry.
    pub first: u64,
    /// The sequence after its last entry; of the last segment it is not known.
    pub next: Option<u64>,
    /// The log's wall clock when it was begun.
    pub opened: SystemTime,
    /// When its entries happened, the earliest and the latest; of the last segment it is not known.
    pub times: Option<(SystemTime, SystemTime)>,
    /// How often the log was opened until then.
    pub session: u64,
    /// Bytes that count, with the header; of the last segment they are not known.
    pub bytes: Option<u64>,
}

impl LogReader {
    /// Reads the log in a folder, of this process or another. Entries that the writer has written and not yet acknowledged may be seen.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, Error> {
        let layout = Layout::new(folder.as_ref());
        layout.read_meta()?;
        Self::at(layout, None)
    }

    pub(crate) fn at(layout: Layout, size: Option<u64>) -> Result<Self, Error> {
        let mut segments: Vec<Part> = Vec::new();
        let numbers = layout.segments()?;
        for (place, number) in numbers.iter().copied().enumerate() {
            let path = layout.segment(number);
            let mut file = match File::open(&path) {
                Ok(file) => file,
                // Dropped by retention since the folder was listed.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && segments.is_empty() => continue,
                Err(error) => return Err(Error::disk("open", &path)(error)),
            };
            let header = match Header::read(&mut file) {
                Ok(header) => header,
                // It is being made.
                Err(_) if place + 1 == numbers.len() => break,
                Err(error) => return Err(Error::damaged(&path, error.to_string())),
            };
            if let Some(before) = segments.last_mut() {
                if before.number + 1 != number {
                    return Err(Error::damaged(&path, "the segment before it is not there"));
                }
                before.end = Some(header.previous_length);
            }
            segments.push(Part { number, header, end: None });
        }
        Ok(Self { layout, segments, size })
    }

    /// The segments that are there, in order. Reads no entries.
    pub fn segments(&self) -> Result<Vec<SegmentInfo>, Error> {
        let after = self.segments.iter().skip(1).map(Some).chain([None]);
        let told = self.segments.iter().zip(after).map(|(part, after)| {
            let time = |nanos| time_of(nanos);
            let times = after.map(|after| after.header.previous_times);
            Ok(SegmentInfo {
                number: part.number,
                first: part.header.first,
                next: after.map(|after| after.header.first),
                opened: time(part.header.opened)?,
                times: times.map(|(from, to)| Ok::<_, Error>((time(from)?, time(to)?))).transpose()?,
                session: part.header.session,
                bytes: part.end,
            })
        });
        told.collect()
    }

    /// The sequence of the first entry that is there.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.segments.first().map_or(0, |part| part.header.first)
    }

    /// Reads entries from `sequence` on, in order, each checked against the chain of its segment.
    ///
    /// # Errors
    ///
    /// [`Error::Dropped`] when retention dropped it. What is damaged is told where it is reached.
    pub fn read(&self, sequence: u64) -> Result<Entries<'_>, Error> {
        let first = self.first();
        if sequence < first {
            return Err(Error::Dropped { sequence, first });
        }
        let place = self.segments.partition_point(|part| part.header.first <= sequence).saturating_sub(1);
        Ok(Entries { reader: self, from: sequence, place, open: None, ready: Vec::new().into_iter() })
    }

    /// Reads one entry.
    pub fn get(&self, sequence: u64) -> Result<Record, Error> {
        match self.read(sequence)?.next() {
            Some(found) => found.map(|(record, _)| record),
            None => Err(Error::NotThere { sequence, size: self.size.unwrap_or(sequence) }),
        }
    }
}

/// Entries in their order, each with its hash. Ends after the first error.
pub struct Entries<'a> {
    reader: &'a LogReader,
    from: u64,
    place: usize,
    open: Option<Scanner<BufReader<File>>>,
    ready: std::vec::IntoIter<(Record, Hash)>,
}

impl std::fmt::Debug for Entries<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entries").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<(Record, Hash), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((record, leaf)) = self.ready.next() {
                if self.reader.size.is_some_and(|size| record.sequence >= size) {
                    self.place = usize::MAX;
                    return None;
                }
                if record.sequence >= self.from {
                    return Some(Ok((record, leaf)));
                }
                continue;
            }
            match self.next_frame() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.place = usize::MAX;
                    return Some(Err(error));
                }
            }
        }
    }
}

impl Entries<'_> {
    /// Whether there was one.
    fn next_frame(&mut self) -> Result<bool, Error> {
        let Some(part) = self.reader.segments.get(self.place) else { return Ok(false) };
        let path = self.reader.layout.segment(part.number);
        let scanner = match &mut self.open {
            Some(scanner) => scanner,
            none => none.insert(open_part(&path, part)?),
        };
        match scanner.next().map_err(|error| Error::damaged(&path, error.to_string()))? {
            Next::Frame(frame) => {
                let mut ready = Vec::with_capacity(frame.leaves.len());
                for (sequence, bytes) in (frame.first..).zip(entries(&frame.payload)) {
                    let bytes = bytes.map_err(|error| Error::damaged(&path, error.to_string()))?;
                    let record = Record::decode(bytes)
                        .map_err(|error| Error::damaged(&path, format!("entry {sequence}: {error}")))?;
                    if record.sequence != sequence {
                        return Err(Error::damaged(&path, format!("entry {sequence} has another number")));
                    }
                    ready.push((record, leaf_hash(bytes)));
                }
                self.ready = ready.into_iter();
                Ok(true)
            }
            // The last segment ends where it no longer holds: it is being written to, or a crash has torn it.
            Next::Broken(problem) if part.end.is_some() => {
                let (offset, sequence) = (scanner.offset(), scanner.sequence());
                let problem = format!("{problem} at byte {offset} (entry {sequence})");
                Err(Error::damaged(&path, problem))
            }
            Next::End | Next::Broken(_) => {
                self.open = None;
                self.place += 1;
                Ok(self.reader.segments.get(self.place).is_some())
            }
        }
    }
}

fn open_part(path: &Path, part: &Part) -> Result<Scanner<BufReader<File>>, Error> {
    let file = File::open(path).map_err(Error::disk("open", path))?;
    let length = file.metadata().map_err(Error::disk("read", path))?.len();
    let end = part.end.unwrap_or(length);
    if end > length {
        return Err(Error::damaged(path, format!("{end} bytes of it count, and {length} are there")));
    }
    let mut from = BufReader::with_capacity(256 << 10, file);
    let header = Header::read(&mut from).map_err(|error| Error::damaged(path, error.to_string()))?;
    let start = header.chain_start();
    Ok(Scanner::new(from, &header, start, end))
}
