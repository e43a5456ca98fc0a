//! JSON and JSON Lines: one line for each leaf, with the path to it.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::charset::decode;
use crate::draft::{Draft, Source};
use crate::error::{Error, Result};
use crate::extract::Extractor;
use crate::format::Format;

/// JSON, as `order.items[2].name: Walnut` lines, which is how people and search find a value again.
///
/// The document is streamed, never held as a tree. Broken JSON (commas and quotes that are missing or too many, words
/// without quotes, comments, an end that never came) gives every value that can be told apart, and a warning.
pub(crate) struct Json;

impl Extractor for Json {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let (text, encoding) = decode(&source.bytes, None, draft.budget())?;
        draft.metadata().encoding = Some(encoding.to_owned());
        let mut reader = Reader {
            text: &text,
            at: 0,
            draft,
            path: String::new(),
            open: Vec::new(),
            faults: Faults::default(),
        };
        reader.read()?;
        let faults = reader.faults;
        let Some((at, problem)) = faults.first else { return Ok(()) };
        let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
        if draft.text().is_empty() {
            return Err(Error::malformed(Format::Json, format!("line {line}: {problem}")));
        }
        let count = faults.count;
        draft.warn(format!("the JSON is broken in {count} places, first in line {line}: {problem}"));
        Ok(())
    }
}

/// What is wrong: how often, and the first of it with its place.
#[derive(Default)]
struct Faults {
    count: usize,
    first: Option<(usize, &'static str)>,
}

/// An object or array whose end has not come.
struct Open {
    /// How long the path to it is.
    path: usize,
    kind: Kind,
}

enum Kind {
    Object(Slot),
    /// The index of the value that comes next.
    Array(usize),
}

/// What an object waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    Key,
    Colon,
    Value,
}

struct Reader<'t, 'd, 'b> {
    text: &'t str,
    at: usize,
    draft: &'d mut Draft<'b>,
    /// The path to the value that comes next.
    path: String,
    open: Vec<Open>,
    faults: Faults,
}

impl<'t> Reader<'t, '_, '_> {
    fn read(&mut self) -> Result<()> {
        while let Some(byte) = self.text.as_bytes().get(self.at).copied() {
            self.draft.budget().tick()?;
            match byte {
                _ if byte.is_ascii_whitespace() => self.at += 1,
                b'{' => self.open(Kind::Object(Slot::Key))?,
                b'[' => self.open(Kind::Array(0))?,
                b'}' | b']' => self.close(byte)?,
                b',' => self.comma()?,
                b':' => self.colon(),
                b'"' | b'\'' => {
                    let string = self.string(byte);
                    self.value(&string)?;
                }
                b'/' if self.comment() => {}
                _ => {
                    let word = self.word();
                    self.bare(word)?;
                }
            }
        }
        self.lone_key()?;
        if !self.open.is_empty() {
            self.fault("its end is missing");
        }
        self.draft.end_block()
    }

    fn fault(&mut self, problem: &'static str) {
        self.faults.count += 1;
        self.faults.first.get_or_insert((self.at, problem));
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn open(&mut self, kind: Kind) -> Result<()> {
        self.step();
        self.open.push(Open { path: self.path.len(), kind });
        self.draft.budget().nesting(self.open.len())?;
        self.at += 1;
        Ok(())
    }

    /// Puts the place of the value that begins here at the end of the path.
    fn step(&mut self) {
        let strays = match self.open.last() {
            Some(Open { kind: Kind::Array(index), .. }) => {
                // Writing to a string does not fail.
                let _ = write!(self.path, "[{index}]");
                false
            }
            Some(Open { kind: Kind::Object(slot), .. }) => *slot != Slot::Value,
            None => false,
        };
        if strays {
            self.fault("a value without a key");
        }
    }

    /// Goes back from a value to what holds it.
    fn step_back(&mut self) -> Result<()> {
        let Some(open) = self.open.last_mut() else {
            self.path.clear();
            // Values of JSON Lines are set apart like paragraphs.
            return self.draft.end_block();
        };
        self.path.truncate(open.path);
        match &mut open.kind {
            Kind::Object(slot) => *slot = Slot::Key,
            Kind::Array(index) => *index += 1,
        }
        Ok(())
    }

    fn close(&mut self, byte: u8) -> Result<()> {
        self.lone_key()?;
        let closes = |open: &Open| matches!(open.kind, Kind::Object(_)) == (byte == b'}');
        match self.open.last() {
            Some(last) if closes(last) => {
                self.open.pop();
                self.step_back()?;
            }
            _ if self.open.iter().any(closes) => {
                self.fault("a bracket is missing");
                while self.open.pop().is_some_and(|open| !closes(&open)) {}
                self.step_back()?;
            }
            _ => self.fault("a bracket too many"),
        }
        self.at += 1;
        Ok(())
    }

    fn comma(&mut self) -> Result<()> {
        if self.open.is_empty() {
            self.fault("a comma outside of any list");
        }
        // A comma too many before the end is forgiven, as all that write JSON by hand know.
        self.at += 1;
        self.lone_key()
    }

    /// Keeps a key whose value did not come.
    fn lone_key(&mut self) -> Result<()> {
        let Some(Open { path, kind: Kind::Object(slot) }) = self.open.last_mut() else { return Ok(()) };
        let (path, lone) = (*path, *slot != Slot::Key);
        *slot = Slot::Key;
        if lone {
            self.fault("a key without a value");
            self.draft.push(&self.path)?;
            self.draft.push("\n")?;
            self.path.truncate(path);
        }
        Ok(())
    }

    fn colon(&mut self) {
        match self.open.last_mut() {
            Some(Open { kind: Kind::Object(slot @ Slot::Colon), .. }) => *slot = Slot::Value,
            _ => self.fault("a colon without a key"),
        }
        self.at += 1;
    }

    /// A string or a word: a key where one is due, and a leaf elsewhere.
    fn value(&mut self, text: &str) -> Result<()> {
        if let Some(Open { kind: Kind::Object(slot), .. }) = self.open.last_mut() {
            match slot {
                Slot::Key => {
                    *slot = Slot::Colon;
                    if !self.path.is_empty() {
                        self.path.push('.');
                    }
                    self.path.push_str(text);
                    return Ok(());
                }
                Slot::Colon => self.fault("a colon is missing"),
                Slot::Value => {}
            }
        }
        self.leaf(text)
    }

    fn leaf(&mut self, text: &str) -> Result<()> {
        self.step();
        if !self.path.is_empty() {
            self.draft.push(&self.path)?;
            self.draft.push(": ")?;
        }
        self.draft.push(text)?;
        self.draft.push("\n")?;
        self.step_back()
    }

    /// Takes a word without quotes: a number or a constant, if all is well.
    fn word(&mut self) -> &'t str {
        let rest = self.rest();
        let ends = |c: char| c.is_ascii_whitespace() || matches!(c, ',' | ':' | '{' | '}' | '[' | ']' | '"');
        let length = rest.find(ends).unwrap_or(rest.len());
        let word = rest.get(..length).unwrap_or_default();
        let is_number = word.starts_with(|c: char| c == '-' || c.is_ascii_digit())
            && word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
        if !is_number && !matches!(word, "true" | "false" | "null") {
            self.fault("a word without quotes");
        }
        self.at += length;
        word
    }

    fn bare(&mut self, word: &str) -> Result<()> {
        let is_key = matches!(self.open.last(), Some(Open { kind: Kind::Object(Slot::Key), .. }));
        if word == "null" && !is_key {
            self.step();
            return self.step_back();
        }
        self.value(word)
    }

    /// Skips `//` to the end of the line and `/*` to `*/`; not JSON, but there is nothing wrong with what follows.
    fn comment(&mut self) -> bool {
        let rest = self.rest();
        let end = match rest.get(..2) {
            Some("//") => rest.find('\n'),
            Some("/*") => rest.find("*/").map(|at| at + 2),
            _ => return false,
        };
        self.fault("a comment");
        self.at += end.unwrap_or(rest.len());
        true
    }

    /// Takes a string with its quotes.
    fn string(&mut self, quote: u8) -> Cow<'t, str> {
        if quote == b'\'' {
            self.fault("a string in single quotes");
        }
        self.at += 1;
        let rest = self.rest();
        let special = |from: usize| {
            let after = rest.as_bytes().get(from..).unwrap_or_default();
            memchr::memchr2(quote, b'\\', after).map(|at| from + at)
        };
        let mut text = Cow::Borrowed("");
        let mut from = 0;
        loop {
            let end = special(from);
            let plain = rest.get(from..end.unwrap_or(rest.len())).unwrap_or_default();
            if text.is_empty() {
                text = Cow::Borrowed(plain);
            } else {
                text.to_mut().push_str(plain);
            }
            let Some(end) = end else {
                self.fault("a string without an end");
                self.at += rest.len();
                return text;
            };
            if rest.as_bytes().get(end) == Some(&quote) {
                self.at += end + 1;
                return text;
            }
            let escape = rest.get(end + 1..).unwrap_or_default();
            if let Some((c, length)) = unescaped(escape) {
                text.to_mut().push(c);
                from = end + 1 + length;
            } else {
                self.fault("an escape that means nothing");
                text.to_mut().push('\\');
                from = end + 1;
            }
        }
    }
}

/// The character that an escape means, and the length of the escape behind its backslash (RFC 8259, section 7).
fn unescaped(escape: &str) -> Option<(char, usize)> {
    let simple = |c| Some((c, 1));
    match escape.bytes().next()? {
        b @ (b'"' | b'\\' | b'/' | b'\'') => simple(char::from(b)),
        b'b' => simple('\u{8}'),
        b'f' => simple('\u{c}'),
        b'n' => simple('\n'),
        b'r' => simple('\r'),
        b't' => simple('\t'),
        b'u' => {
            let unit = |at: usize| u16::from_str_radix(escape.get(at..at + 4)?, 16).ok();
            let first = unit(1)?;
            if let Some(c) = char::from_u32(u32::from(first)) {
                return Some((c, 5));
            }
            let second = escape.get(5..7).filter(|mark| *mark == "\\u").and_then(|_| unit(7));
            let pair = second.and_then(|second| char::decode_utf16([first, second]).next()?.ok());
            Some(pair.map_or((char::REPLACEMENT_CHARACTER, 5), |c| (c, 11)))
        }
        _ => None,
    }
}
