//! Through all segments, from the first entry to the last.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::files::Promise;
use super::{FindingKind, Report};
use crate::layout::{Layout, Meta};
use crate::merkle::{CompactRange, Hash, nodes_below};
use crate::retain::kept_from;
use crate::segment::{HEADER, Header, Next, Scanner, entries, file_name, later_frame};
use crate::store::{NEVER, spanning, time_in};
use crate::tree::StoredTree;
use crate::{Error, Record};

pub(super) fn walk(
    layout: &Layout,
    meta: &Meta,
    promises: Vec<Promise>,
    report: &mut Report,
    progress: &mut dyn FnMut(u64),
) -> Result<(), Error> {
    let parts = parts(layout, meta, report)?;
    let complete = parts.last().map_or(0, |part| part.header.first);
    // A tree that is not there is found to be empty.
    let stored: Box<dyn Read> = match File::open(layout.tree()) {
        Ok(file) => Box::new(file),
        Err(_) => Box::new(std::io::empty()),
    };
    let mut walk = Walk {
        report,
        range: CompactRange::default(),
        chain: Hash::default(),
        promises: promises.into_iter().peekable(),
        chains: Vec::new(),
        stored: BufReader::new(stored),
        stored_left: nodes_below(complete),
        dropped_to: 0,
        progress,
    };
    let first = parts.first().map_or((1, 0), |part| (part.header.number, part.header.first));
    // A log signs that it has no entries yet, too.
    walk.kept_promises();
    walk.report.first = first.1;
    walk.report.segments = parts.len() as u64;
    if first.1 > 0 {
        // What is gone is in the tree alone; the root in the header tells whether it is what was there.
        if let Err(error) = walk.fill(layout, first.1) {
            walk.report.find(FindingKind::Tree, "tree", None, error.to_string());
        }
    }
    let nexts = parts.iter().skip(1).map(Some).chain([None]);
    let mut before: Option<(u64, (i64, i64))> = None;
    for (part, next) in parts.iter().zip(nexts) {
        let hole = before.is_some() && part.header.first > walk.range.size();
        if hole && walk.fill(layout, part.header.first).is_ok() {
            walk.chain = part.header.chain;
            before = None;
        }
        walk.begin(part, before.take());
        let next = next.map(|next| &next.header).filter(|next| next.number == part.header.number + 1);
        before = Some(walk.segment(layout, part, next)?);
    }
    if first.0 > 1 && walk.dropped_to < first.0 {
        let problem = "segments before it are not there, and no entry says that retention dropped them";
        walk.report.find(FindingKind::MissingSegment, &file_name(first.0), None, problem);
    }
    walk.finish();
    Ok(())
}

struct Part {
    header: Header,
    length: u64,
}

/// The segments whose headers read. What is missing between them is told.
fn parts(layout: &Layout, meta: &Meta, report: &mut Report) -> Result<Vec<Part>, Error> {
    let numbers = layout.segments()?;
    let mut parts: Vec<Part> = Vec::new();
    for number in &numbers {
        let (path, name) = (layout.segment(*number), file_name(*number));
        let mut file = File::open(&path).map_err(Error::disk("open", &path))?;
        let length = file.metadata().map_err(Error::disk("read", &path))?.len();
        match Header::read(&mut file) {
            Ok(header) if header.log != meta.id || header.number != *number => {
                report.find(FindingKind::Link, &name, None, "it is of another log, or has another number");
            }
            Ok(header) => {
                if let Some(before) = parts.last().map(|part| part.header.number)
                    && before + 1 != *number
                {
                    let problem = format!("segments {} to {} are not there", before + 1, number - 1);
                    report.find(FindingKind::MissingSegment, &name, None, problem);
                }
                parts.push(Part { header, length });
            }
            // A crash came while it was made, or it is being made.
            Err(_) if Some(number) == numbers.last() && length <= HEADER as u64 => report.torn += length,
            Err(error) => report.find(FindingKind::Malformed, &name, None, error.to_string()),
        }
    }
    Ok(parts)
}

struct Walk<'a> {
    report: &'a mut Report,
    range: CompactRange,
    chain: Hash,
    promises: std::iter::Peekable<std::vec::IntoIter<Promise>>,
    /// Chains of seals of the present size, which one of those to come may be.
    chains: Vec<(Hash, String)>,
    stored: BufReader<Box<dyn Read>>,
    /// How many stored hashes there should be yet.
    stored_left: u64,
    /// Up to which segment retention said that it drops.
    dropped_to: u64,
    progress: &'a mut dyn FnMut(u64),
}

impl Walk<'_> {
    fn push(&mut self, leaf: Hash) {
        self.unmatched_chains();
        let (mut same, mut stored) = (true, Hash::default());
        let (left, from) = (&mut self.stored_left, &mut self.stored);
        self.range.push_into(leaf, |node| {
            if *left > 0 {
                *left -= 1;
                same &= from.read_exact(&mut stored.0).is_ok() && stored == *node;
            }
        });
        if !same {
            let sequence = self.range.size() - 1;
            self.report.find(
                FindingKind::Tree,
                "tree",
                Some(sequence),
                "stored hashes are not those of the entries",
            );
            // One is enough: all above it follow.
            self.stored_left = 0;
        }
        self.kept_promises();
    }

    /// Takes hashes up to `size` from the tree, where there are no entries. Their chain is not known.
    fn fill(&mut self, layout: &Layout, size: u64) -> Result<(), Error> {
        let tree = StoredTree::open(&layout.tree(), size)?;
        for number in self.range.size()..size {
            self.push(tree.leaf(number)?);
            self.chains.clear();
        }
        Ok(())
    }

    /// Those of the present size.
    fn kept_promises(&mut self) {
        let size = self.range.size();
        while let Some(promise) = self.promises.next_if(|promise| promise.size <= size) {
            let file = if promise.kind == FindingKind::Seal { "seals" } else { "checkpoints" };
            if promise.root != self.range.root() {
                let problem = format!("{} has another root than the first {size} entries", promise.who);
                self.report.find(promise.kind, file, Some(size), problem);
            }
            self.chains.extend(promise.chain.map(|chain| (chain, promise.who)));
        }
    }

    /// The chain is this at the present size.
    fn chain_is(&mut self, chain: Hash) {
        self.chain = chain;
        self.chains.retain(|(promised, _)| *promised != chain);
    }

    fn unmatched_chains(&mut self) {
        let size = self.range.size();
        for (_, who) in self.chains.drain(..) {
            let problem = format!("{who} has another chain than the first {size} entries");
            self.report.find(FindingKind::Seal, "seals", Some(size), problem);
        }
    }

    /// The header of a segment fits what came before it: the length that counted there, and its times.
    fn begin(&mut self, part: &Part, before: Option<(u64, (i64, i64))>) {
        let header = &part.header;
        let name = file_name(header.number);
        let mut wrong =
            |problem: &str| self.report.find(FindingKind::Link, &name, Some(header.first), problem);
        if header.first != self.range.size() {
            wrong("it does not begin with the entry that comes next");
        } else if header.root != self.range.root() {
            wrong("it has another root than the entries before it");
        }
        match before {
            Some(before) => {
                if header.chain != self.chain {
                    wrong("it has another chain than the segment before it");
                }
                if (header.previous_length, header.previous_times) != before {
                    wrong("it tells another length or other times of the segment before it");
                }
            }
            None if header.number == 1 && header.chain != Hash::default() => wrong("it follows on nothing"),
            // What was before it is gone, and with it its chain.
            None => self.chains.clear(),
        }
        self.chain_is(header.chain_start());
    }

    /// Reads a segment, and answers the length that counts and the times of its entries.
    fn segment(
        &mut self,
        layout: &Layout,
        part: &Part,
        next: Option<&Header>,
    ) -> Result<(u64, (i64, i64)), Error> {
        let (path, name) = (layout.segment(part.header.number), file_name(part.header.number));
        let end = next.map_or(part.length, |next| next.previous_length);
        let mut from = open(&path)?;
        let (header, marker) = (&part.header, part.header.marker);
        let mut scanner = Scanner::new(&mut from, header, self.chain, end.min(part.length));
        let mut times = NEVER;
        let broken = loop {
            match scanner.next()? {
                Next::Frame(frame) => {
                    for ((sequence, entry), leaf) in
                        (frame.first..).zip(entries(&frame.payload).flatten()).zip(&frame.leaves)
                    {
                        times = spanning(times, time_in(entry));
                        self.entry(&name, sequence, entry);
                        self.push(*leaf);
                    }
                    self.chain_is(scanner.chain());
                    (self.progress)(self.range.size());
                }
                Next::End => break None,
                Next::Broken(problem) => break Some(problem),
            }
        };
        let (offset, sequence) = (scanner.offset(), scanner.sequence());
        let times = if times == NEVER { (0, 0) } else { times };
        let Some(next) = next else {
            if let Some(problem) = broken {
                from.seek(SeekFrom::Start(offset)).map_err(Error::disk("read", &path))?;
                if later_frame(&mut from, marker, sequence)? {
                    let problem = format!("{problem} at byte {offset}, and more follows");
                    self.report.find(FindingKind::Frame, &name, Some(sequence), problem);
                } else {
                    self.report.torn += part.length - offset;
                }
            }
            return Ok((offset, times));
        };
        if let Some(problem) = broken {
            let problem = format!("{problem} at byte {offset}");
            self.report.find(FindingKind::Frame, &name, Some(sequence), problem);
        } else if end > part.length || sequence != next.first {
            let problem = format!("it ends before entry {}, with which the next begins", next.first);
            self.report.find(FindingKind::Truncated, &name, Some(sequence), problem);
        }
        if part.length > end && !next.previous_failed {
            let problem = format!("{} bytes follow its end", part.length - end);
            self.report.find(FindingKind::Appended, &name, Some(next.first), problem);
        }
        if sequence < next.first {
            // So that what is found further on is of its own: the hashes that are missing may be in the tree.
            let _ = self.fill(layout, next.first);
            self.chain_is(next.chain);
            return Ok((next.previous_length, next.previous_times));
        }
        Ok((offset, times))
    }

    /// Its frame holds; does it?
    fn entry(&mut self, name: &str, sequence: u64, bytes: &[u8]) {
        match Record::decode(bytes) {
            Ok(record) if record.sequence != sequence => {
                self.report.find(FindingKind::Frame, name, Some(sequence), "the entry has another number");
            }
            Ok(record) => self.dropped_to = self.dropped_to.max(kept_from(&record.entry).unwrap_or(0)),
            Err(error) => self.report.find(FindingKind::Frame, name, Some(sequence), error.to_string()),
        }
    }

    fn finish(&mut self) {
        self.unmatched_chains();
        self.report.size = self.range.size();
        self.report.root = self.range.root();
        let size = self.range.size();
        for promise in self.promises.by_ref() {
            let file = if promise.kind == FindingKind::Seal { "seals" } else { "checkpoints" };
            let problem = format!("{} has {} entries, and {size} are there", promise.who, promise.size);
            self.report.find(promise.kind, file, Some(size), problem);
        }
    }
}

fn open(path: &Path) -> Result<BufReader<File>, Error> {
    let file = File::open(path).map_err(Error::disk("open", path))?;
    let mut from = BufReader::with_capacity(256 << 10, file);
    from.seek(SeekFrom::Start(HEADER as u64)).map_err(Error::disk("read", path))?;
    Ok(from)
}
