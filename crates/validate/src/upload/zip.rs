//! A ZIP archive as it streams: every entry is inflated and counted, and the directory has to say what was there.
//!
//! What a header says of sizes is believed nowhere. An archive whose directory names other entries than those that stream by (entries
//! in one another, hidden entries) is refused: readers that go by the directory would find what was not judged.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use super::gzip::{Count, Inflater, wrong};
use super::kind::Kind;
use super::zip_record::{
    CENTRAL, DESCRIPTOR, END, END64, Entry, Fixed, LOCAL, LOCATOR64, field64, leads_out, u16_at, u32_at,
    u64_at,
};
use crate::error::{Code, Invalid};

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

#[derive(Debug)]
pub(super) struct Zip {
    state: State,
    /// Bytes of the record that is gathered.
    buffer: Vec<u8>,
    /// Where the next byte is in the archive.
    at: u64,
    entries: HashMap<u64, Entry>,
    max_entries: usize,
    hasher: RandomState,
    marks: Marks,
}

/// What tells the kinds apart.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is the presence of one name")]
struct Marks {
    types: bool,
    word: bool,
    excel: bool,
    powerpoint: bool,
    program: bool,
    macros: bool,
    /// The content of an entry `mimetype` that comes first.
    mimetype: Vec<u8>,
}

#[derive(Debug)]
enum State {
    Gather(Record, usize),
    Stored { left: u64, entry: Entry, is_mimetype: bool },
    Deflated { inflater: Inflater, entry: Entry, wide: Option<bool> },
    Skip(u64, After),
    Done,
}

#[derive(Debug, Clone, Copy)]
enum Record {
    Signature,
    Local,
    LocalRest(Fixed, u64),
    Descriptor(Entry, bool),
    Central,
    CentralRest(Fixed),
    End,
    End64,
}

#[derive(Debug, Clone, Copy)]
enum After {
    Record,
    End,
}

const SIGNATURE: State = State::Gather(Record::Signature, 4);

impl Zip {
    pub(super) fn new(max_entries: usize) -> Self {
        Self {
            state: SIGNATURE,
            buffer: Vec::new(),
            at: 0,
            entries: HashMap::new(),
            max_entries,
            hasher: RandomState::new(),
            marks: Marks::default(),
        }
    }

    pub(super) fn push(&mut self, mut rest: &[u8], count: &mut Count) -> Result<(), Invalid> {
        while !rest.is_empty() {
            let before = rest.len();
            let step = self.step(&mut rest, count);
            self.at += (before - rest.len()) as u64;
            if let Some(next) = step? {
                self.state = next;
            }
        }
        Ok(())
    }

    /// Whether the archive has come to its end.
    pub(super) fn finish(&self) -> Result<(), Invalid> {
        match self.state {
            State::Done => Ok(()),
            _ => Err(wrong(Code::Syntax, "ends too early", "send the file whole")),
        }
    }

    /// What kind of archive it is.
    pub(super) fn kind(&self) -> Kind {
        let Marks { types, word, excel, powerpoint, program, mimetype, .. } = &self.marks;
        let by_type = [Kind::Odt, Kind::Ods, Kind::Odp, Kind::Epub].into_iter();
        let mut by_type =
            by_type.filter(|kind| kind.mimes().iter().any(|mime| mime.as_bytes() == mimetype.trim_ascii()));
        match by_type.next() {
            Some(kind) => kind,
            None if *program => Kind::Jar,
            None if *types && *word => Kind::Docx,
            None if *types && *excel => Kind::Xlsx,
            None if *types && *powerpoint => Kind::Pptx,
            None => Kind::Zip,
        }
    }

    pub(super) fn has_macros(&self) -> bool {
        self.marks.macros
    }

    fn step(&mut self, rest: &mut &[u8], count: &mut Count) -> Result<Option<State>, Invalid> {
        match &mut self.state {
            State::Gather(record, needed) => {
                let (record, needed) = (*record, *needed);
                let take = (needed - self.buffer.len()).min(rest.len());
                let (piece, tail) = rest.split_at_checked(take).unwrap_or((rest, &[]));
                self.buffer.extend_from_slice(piece);
                *rest = tail;
                if self.buffer.len() < needed {
                    return Ok(None);
                }
                let whole = std::mem::take(&mut self.buffer);
                // What comes next begins after what was just taken.
                let next = self.gathered(record, &whole, self.at + take as u64)?;
                if matches!(
                    next,
                    State::Gather(Record::Local | Record::Central | Record::End | Record::End64, _)
                ) {
                    self.buffer = whole;
                }
                Ok(Some(next))
            }
            State::Stored { left, entry, is_mimetype } => {
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                let (piece, tail) = rest.split_at_checked(take).unwrap_or((rest, &[]));
                count.stored(piece.len())?;
                if *is_mimetype && self.marks.mimetype.len() + piece.len() <= 128 {
                    self.marks.mimetype.extend_from_slice(piece);
                }
                *rest = tail;
                *left -= take as u64;
                if *left > 0 {
                    return Ok(None);
                }
                let entry = *entry;
                self.seen(entry).map(|()| Some(SIGNATURE))
            }
            State::Deflated { inflater, entry, wide } => {
                if !inflater.push(rest, count)? {
                    return Ok(None);
                }
                let found = Entry { compressed: inflater.taken(), inflated: inflater.inflated(), ..*entry };
                if let Some(wide) = wide {
                    let needed = if *wide { 20 } else { 12 };
                    return Ok(Some(State::Gather(Record::Descriptor(found, *wide), needed)));
                }
                if found != *entry {
                    return Err(lies());
                }
                self.seen(found).map(|()| Some(SIGNATURE))
            }
            State::Skip(left, after) => {
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                *rest = rest.get(take..).unwrap_or_default();
                *left -= take as u64;
                Ok((*left == 0).then(|| match after {
                    After::Record => SIGNATURE,
                    After::End => State::Done,
                }))
            }
            State::Done => Err(wrong(Code::Polyglot, "has something after its end", "send the file alone")),
        }
    }

    fn gathered(&mut self, record: Record, bytes: &[u8], at: u64) -> Result<State, Invalid> {
        match record {
            Record::Signature => {
                let next = |record, needed| Ok(State::Gather(record, needed));
                match bytes.first_chunk() {
                    Some(&LOCAL) => next(Record::Local, Fixed::LOCAL),
                    Some(&CENTRAL) => next(Record::Central, Fixed::CENTRAL),
                    Some(&END) => next(Record::End, 22),
                    Some(&END64) => next(Record::End64, 12),
                    Some(&LOCATOR64) => Ok(State::Skip(16, After::Record)),
                    _ => Err(wrong(
                        Code::Syntax,
                        "is an archive with something between its entries",
                        "write it anew",
                    )),
                }
            }
            Record::Local => {
                let fixed = Fixed::local(bytes);
                if fixed.is_encrypted() {
                    return Err(wrong(Code::Kind, "is an encrypted archive", "send it without a password"));
                }
                if !matches!(fixed.method, STORED | DEFLATED)
                    || fixed.method == STORED && fixed.has_descriptor()
                {
                    let problem = "is an archive compressed in a way that cannot be counted";
                    return Err(wrong(Code::Kind, problem, "write it with deflate"));
                }
                if self.entries.len() >= self.max_entries {
                    return Err(wrong(Code::TooMany, "has more entries than the limit", "send fewer files"));
                }
                if fixed.name == 0 {
                    return Err(wrong(
                        Code::Syntax,
                        "is an archive with an entry without a name",
                        "write it anew",
                    ));
                }
                Ok(State::Gather(Record::LocalRest(fixed, at - Fixed::LOCAL as u64), fixed.following()))
            }
            Record::LocalRest(fixed, offset) => self.content(fixed, offset, bytes),
            Record::Descriptor(entry, wide) => {
                // Its signature may be missing; then the first four bytes are the checksum.
                let skip = if bytes.starts_with(&DESCRIPTOR) { 8 } else { 4 };
                let needed = skip + if wide { 16 } else { 8 };
                if bytes.len() < needed {
                    self.buffer.clear();
                    self.buffer.extend_from_slice(bytes);
                    return Ok(State::Gather(record, needed));
                }
                let (compressed, inflated) = if wide {
                    (u64_at(bytes, skip), u64_at(bytes, skip + 8))
                } else {
                    (u32_at(bytes, skip).into(), u32_at(bytes, skip + 4).into())
                };
                if (compressed, inflated) != (entry.compressed, entry.inflated) {
                    return Err(lies());
                }
                self.seen(entry).map(|()| SIGNATURE)
            }
            Record::Central => {
                let fixed = Fixed::central(bytes);
                if fixed.name == 0 {
                    return Err(lies());
                }
                Ok(State::Gather(Record::CentralRest(fixed), fixed.following()))
            }
            Record::CentralRest(fixed) => {
                let (name, extra) = fixed.split(bytes);
                let (compressed, inflated, offset) = fixed.sizes(extra)?;
                let told = Entry {
                    offset,
                    method: fixed.method,
                    compressed,
                    inflated,
                    name: self.hasher.hash_one(name),
                };
                // Taken out, so that no two of the directory are one.
                if self.entries.remove(&offset) != Some(told) {
                    return Err(lies());
                }
                Ok(SIGNATURE)
            }
            Record::End64 => Ok(match u64_at(bytes, 4) {
                0 => SIGNATURE,
                left => State::Skip(left, After::Record),
            }),
            Record::End => {
                if !self.entries.is_empty() {
                    return Err(lies());
                }
                Ok(match u16_at(bytes, 20) {
                    0 => State::Done,
                    comment => State::Skip(comment.into(), After::End),
                })
            }
        }
    }

    /// After the whole header of an entry.
    fn content(&mut self, fixed: Fixed, offset: u64, following: &[u8]) -> Result<State, Invalid> {
        let (name, extra) = fixed.split(following);
        if leads_out(name) {
            let problem = "is an archive with a name that leads out of its folder";
            return Err(wrong(Code::Traversal, problem, "name files in it, without `..`"));
        }
        let is_mimetype = offset == 0 && name == b"mimetype";
        self.mark(name);
        let (compressed, inflated, _) = fixed.sizes(extra)?;
        let entry =
            Entry { offset, method: fixed.method, compressed, inflated, name: self.hasher.hash_one(name) };
        if fixed.method == DEFLATED {
            let wide = fixed.has_descriptor().then(|| field64(extra).is_some());
            return Ok(State::Deflated { inflater: Inflater::raw(), entry, wide });
        }
        if compressed != inflated {
            return Err(lies());
        }
        if compressed == 0 {
            return self.seen(entry).map(|()| SIGNATURE);
        }
        Ok(State::Stored { left: compressed, entry, is_mimetype })
    }

    fn seen(&mut self, entry: Entry) -> Result<(), Invalid> {
        // Offsets differ, since each is where a header was.
        self.entries.insert(entry.offset, entry).map_or(Ok(()), |_| Err(lies()))
    }

    fn mark(&mut self, name: &[u8]) {
        let marks = &mut self.marks;
        marks.types |= name == b"[Content_Types].xml";
        marks.word |= name.starts_with(b"word/");
        marks.excel |= name.starts_with(b"xl/");
        marks.powerpoint |= name.starts_with(b"ppt/");
        marks.program |= matches!(name, b"META-INF/MANIFEST.MF" | b"AndroidManifest.xml" | b"classes.dex");
        marks.macros |= name.ends_with(b"vbaProject.bin") || name.starts_with(b"Basic/");
    }
}

fn lies() -> Invalid {
    wrong(Code::Mismatch, "is an archive whose directory does not tell what is in it", "write it anew")
}
