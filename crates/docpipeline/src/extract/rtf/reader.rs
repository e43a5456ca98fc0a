//! From control words to text.

use std::collections::HashMap;

use encoding_rs::{Encoding, WINDOWS_1252};

use crate::budget::Budget;
use crate::draft::{Draft, Table};
use crate::error::{Error, Result};
use crate::extract::code_pages::{of_charset, of_code_page};
use crate::format::Format;

/// Where the text of a group goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Destination {
    Body,
    /// Not read.
    Nowhere,
    FontTable,
    StyleSheet,
    Info,
    /// A field of the information group, by its name.
    Property(&'static str),
    /// A date of the information group.
    Date(&'static str),
}

/// What a group inherits from the one around it, and leaves behind at its end.
#[derive(Debug, Clone)]
struct Group {
    destination: Destination,
    encoding: &'static Encoding,
    /// Characters that follow `\u` for readers that do not know it.
    fallback: usize,
    hidden: bool,
}

/// The paragraph in the making.
#[derive(Debug, Default)]
struct Paragraph {
    text: String,
    level: Option<u8>,
    in_table: bool,
}

struct Reader<'d, 'b> {
    draft: &'d mut Draft<'b>,
    budget: &'b Budget,
    groups: Vec<Group>,
    group: Group,
    /// Bytes of text not yet decoded: a character may be two of them.
    bytes: Vec<u8>,
    /// Half a character of UTF-16.
    surrogate: Option<u16>,
    /// Characters still to be left out after `\u`.
    to_skip: usize,
    paragraph: Paragraph,
    table: Table,
    row: Vec<String>,
    document_encoding: &'static Encoding,
    fonts: HashMap<i32, &'static Encoding>,
    font: i32,
    styles: HashMap<i32, u8>,
    style: i32,
    /// The text of what is no body: a style's name, a title.
    aside: String,
    /// Year, month, day, hour and minute.
    date: [i32; 5],
}

/// Reads the document into the draft.
pub(super) fn read(bytes: &[u8], draft: &mut Draft<'_>) -> Result<()> {
    let group = Group { destination: Destination::Body, encoding: WINDOWS_1252, fallback: 1, hidden: false };
    let mut reader = Reader {
        budget: draft.budget(),
        draft,
        groups: Vec::new(),
        group,
        bytes: Vec::new(),
        surrogate: None,
        to_skip: 0,
        paragraph: Paragraph::default(),
        table: Table::new(),
        row: Vec::new(),
        document_encoding: WINDOWS_1252,
        fonts: HashMap::new(),
        font: 0,
        styles: HashMap::new(),
        style: 0,
        aside: String::new(),
        date: [0; 5],
    };
    reader.run(bytes)
}

impl Reader<'_, '_> {
    fn run(&mut self, bytes: &[u8]) -> Result<()> {
        let mut rest = bytes;
        while let Some((first, tail)) = rest.split_first() {
            self.budget.tick()?;
            rest = match first {
                b'{' => {
                    self.open_group()?;
                    tail
                }
                b'}' => {
                    self.close_group();
                    if self.groups.is_empty() {
                        // What stands behind the document is not part of it.
                        break;
                    }
                    tail
                }
                b'\\' => self.control(tail)?,
                b'\r' | b'\n' | 0 => tail,
                _ => {
                    let is_special = |b: &u8| matches!(b, b'{' | b'}' | b'\\' | b'\r' | b'\n' | 0);
                    let (text, tail) = rest.split_at(rest.iter().position(is_special).unwrap_or(rest.len()));
                    self.text(text);
                    tail
                }
            };
        }
        let complete = self.groups.is_empty();
        self.groups.clear();
        self.end_paragraph()?;
        if !self.paragraph.text.trim().is_empty() {
            // A cell that nothing ended.
            self.end_cell();
        }
        self.end_table()?;
        if complete {
            return Ok(());
        }
        if self.draft.text().is_empty() {
            return Err(Error::malformed(Format::Rtf, "it ends before its text begins"));
        }
        self.draft.warn("the document ends in the middle of a group");
        Ok(())
    }

    fn open_group(&mut self) -> Result<()> {
        self.flush();
        self.budget.nesting(self.groups.len() + 1)?;
        self.groups.push(self.group.clone());
        Ok(())
    }

    fn close_group(&mut self) {
        self.flush();
        self.to_skip = 0;
        let Some(outer) = self.groups.pop() else { return };
        let inner = std::mem::replace(&mut self.group, outer);
        match inner.destination {
            Destination::StyleSheet => self.end_style(),
            Destination::Property(name) if self.group.destination == Destination::Info => {
                let value = std::mem::take(&mut self.aside);
                let metadata = self.draft.metadata();
                match name {
                    "title" => metadata.set_title(&value),
                    "author" => metadata.set_author(&value),
                    name => metadata.set_property(name, &value),
                }
            }
            Destination::Date(name) => {
                let [year, month, day, hour, minute] = std::mem::take(&mut self.date);
                if year > 0 {
                    let date = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:00");
                    let metadata = self.draft.metadata();
                    if name == "creatim" { metadata.set_created(&date) } else { metadata.set_modified(&date) }
                }
            }
            _ => {}
        }
    }

    /// A style's name ends with a semicolon; only headings matter.
    fn end_style(&mut self) {
        let name = std::mem::take(&mut self.aside).to_lowercase();
        let name = name.trim().trim_end_matches(';');
        let level = name.strip_prefix("heading").and_then(|level| level.trim().parse::<u8>().ok());
        if let Some(level) = level.or((name == "title").then_some(1)).filter(|level| (1..=9).contains(level))
        {
            self.styles.insert(self.style, level);
        }
    }

    /// Reads a control word or symbol, and gives what stands behind it.
    fn control<'t>(&mut self, rest: &'t [u8]) -> Result<&'t [u8]> {
        let Some((first, tail)) = rest.split_first() else { return Ok(rest) };
        if !first.is_ascii_alphabetic() {
            return self.symbol(*first, tail);
        }
        let longest = rest.len().min(64);
        let length = rest.iter().take(longest).position(|b| !b.is_ascii_alphabetic()).unwrap_or(longest);
        let (word, rest) = rest.split_at(length);
        let sign = usize::from(rest.first() == Some(&b'-'));
        let digits = rest.iter().skip(sign).take(10).take_while(|b| b.is_ascii_digit()).count();
        let (number, rest) = rest.split_at(if digits > 0 { sign + digits } else { 0 });
        let number = std::str::from_utf8(number).ok().and_then(|number| number.parse::<i32>().ok());
        let rest = rest.strip_prefix(b" ").unwrap_or(rest);
        let word = std::str::from_utf8(word).unwrap_or_default();
        if word == "bin" {
            // So many bytes of anything, braces among them.
            let length = usize::try_from(number.unwrap_or(0)).unwrap_or(0);
            return Ok(rest.get(length..).unwrap_or_default());
        }
        self.word(word, number)?;
        Ok(rest)
    }

    fn symbol<'t>(&mut self, symbol: u8, rest: &'t [u8]) -> Result<&'t [u8]> {
        match symbol {
            b'\'' => {
                let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
                if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                    self.text(&[byte]);
                }
                return Ok(rest.get(2..).unwrap_or_default());
            }
            b'\\' | b'{' | b'}' => self.text(&[symbol]),
            b'~' => self.character(' '),
            b'_' => self.character('-'),
            // The destination that follows may be passed over by whoever does not know it.
            b'*' => self.group.destination = Destination::Nowhere,
            b'\r' | b'\n' => self.end_paragraph()?,
            b'\t' => self.character('\t'),
            _ => {}
        }
        Ok(rest)
    }

    fn word(&mut self, word: &str, number: Option<i32>) -> Result<()> {
        // Though they may be passed over, these are read, and go where what is around them goes: text in Unicode, to which
        // `\\upr` and its first group are the alternative, and formulas.
        let around = match word {
            "ud" => Some(1),
            "moMath" | "moMathPara" => Some(0),
            _ => None,
        };
        if let Some(around) = around {
            self.flush();
            let group = self.groups.iter().rev().nth(around);
            self.group.destination = group.map_or(Destination::Body, |group| group.destination);
            return Ok(());
        }
        if let Some(destination) = destination(word) {
            self.flush();
            // A property is one only in the information group: `\title` elsewhere is something else.
            let is_info = matches!(destination, Destination::Property(_) | Destination::Date(_));
            if !is_info || self.group.destination == Destination::Info {
                self.group.destination = destination;
            }
            return Ok(());
        }
        match word {
            "u" => self.unicode(number.unwrap_or(0)),
            "uc" => self.group.fallback = usize::try_from(number.unwrap_or(1)).unwrap_or(1).min(16),
            "ansicpg" | "f" | "fcharset" | "mac" => self.encoding(word, number),
            "s" => {
                self.style = number.unwrap_or(0);
                if self.group.destination == Destination::Body {
                    self.paragraph.level = self.styles.get(&self.style).copied();
                }
            }
            "outlinelevel" if self.group.destination == Destination::Body => {
                let level = number.and_then(|level| u8::try_from(level).ok()).filter(|level| *level < 9);
                self.paragraph.level = level.map(|level| level + 1);
            }
            "v" | "deleted" => {
                self.flush();
                self.group.hidden = number != Some(0);
            }
            "plain" => {
                self.flush();
                self.group.hidden = false;
            }
            "pard" => {
                self.flush();
                self.paragraph.level = None;
                self.paragraph.in_table = false;
            }
            "intbl" => self.paragraph.in_table = true,
            "par" | "sect" | "page" => self.end_paragraph()?,
            "cell" | "nestcell" => self.end_cell(),
            "row" | "nestrow" => self.end_row()?,
            "yr" | "mo" | "dy" | "hr" | "min" => self.date_field(word, number.unwrap_or(0)),
            _ => {
                if let Some(c) = character(word) {
                    self.character(c);
                }
            }
        }
        Ok(())
    }

    fn encoding(&mut self, word: &str, number: Option<i32>) {
        self.flush();
        match word {
            "ansicpg" => self.document_encoding = of_code_page(number.unwrap_or(1252)),
            "mac" => self.document_encoding = encoding_rs::MACINTOSH,
            "fcharset" => {
                if let Some(encoding) = number.and_then(of_charset) {
                    self.fonts.insert(self.font, encoding);
                }
            }
            _ => self.font = number.unwrap_or(0),
        }
        self.group.encoding = self.fonts.get(&self.font).copied().unwrap_or(self.document_encoding);
    }

    fn date_field(&mut self, word: &str, number: i32) {
        let index = ["yr", "mo", "dy", "hr", "min"].iter().position(|name| *name == word);
        if let Some(slot) = index.and_then(|index| self.date.get_mut(index)) {
            *slot = number.clamp(0, 9999);
        }
    }

    /// `\uN`: a unit of UTF-16, negative above 32767; readers that know it leave out what follows for the others.
    fn unicode(&mut self, number: i32) {
        self.flush();
        self.to_skip = self.group.fallback;
        // The low sixteen bits are the unit, whatever the sign.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let unit = number as u16;
        if self.surrogate.is_none() && (0xd800..0xdc00).contains(&unit) {
            self.surrogate = Some(unit);
            return;
        }
        for c in char::decode_utf16(self.surrogate.take().into_iter().chain([unit])) {
            self.put(c.unwrap_or(char::REPLACEMENT_CHARACTER).encode_utf8(&mut [0; 4]));
        }
    }

    /// A character that a control word stands for.
    fn character(&mut self, c: char) {
        if self.to_skip > 0 {
            self.to_skip -= 1;
            return;
        }
        self.flush();
        self.put(c.encode_utf8(&mut [0; 4]));
    }

    /// Bytes in the encoding of the font.
    fn text(&mut self, bytes: &[u8]) {
        let skipped = self.to_skip.min(bytes.len());
        self.to_skip -= skipped;
        if self.group.destination != Destination::Nowhere {
            self.bytes.extend_from_slice(bytes.get(skipped..).unwrap_or_default());
        }
    }

    /// Decodes the bytes read so far.
    fn flush(&mut self) {
        if self.bytes.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.bytes);
        let (text, _) = self.group.encoding.decode_without_bom_handling(&bytes);
        self.put(&text);
    }

    fn put(&mut self, text: &str) {
        match self.group.destination {
            Destination::Body if !self.group.hidden => self.paragraph.text.push_str(text),
            Destination::StyleSheet | Destination::Property(_) => self.aside.push_str(text),
            _ => {}
        }
    }

    fn end_paragraph(&mut self) -> Result<()> {
        self.flush();
        if self.paragraph.in_table {
            self.paragraph.text.push(' ');
            return self.budget.tick();
        }
        let text = std::mem::take(&mut self.paragraph.text);
        if text.trim().is_empty() {
            return Ok(());
        }
        self.end_table()?;
        match self.paragraph.level {
            Some(level) => self.draft.heading(level, &text),
            None => self.draft.paragraph(&text),
        }
    }

    fn end_cell(&mut self) {
        self.flush();
        self.row.push(std::mem::take(&mut self.paragraph.text));
    }

    fn end_row(&mut self) -> Result<()> {
        self.flush();
        if self.row.is_empty() {
            return Ok(());
        }
        self.table.row(std::mem::take(&mut self.row), self.budget)
    }

    fn end_table(&mut self) -> Result<()> {
        self.end_row()?;
        let table = std::mem::take(&mut self.table);
        self.draft.table(&table)
    }
}

/// The destinations that matter, and those that hold no text of the document.
fn destination(word: &str) -> Option<Destination> {
    Some(match word {
        "fonttbl" => Destination::FontTable,
        "stylesheet" => Destination::StyleSheet,
        "info" => Destination::Info,
        "title" => Destination::Property("title"),
        "author" => Destination::Property("author"),
        "subject" => Destination::Property("subject"),
        "keywords" => Destination::Property("keywords"),
        "company" => Destination::Property("company"),
        "creatim" => Destination::Date("creatim"),
        "revtim" => Destination::Date("revtim"),
        // What stands in them is read, though they may be passed over.
        "shptxt" | "object" | "result" => Destination::Body,
        "colortbl" | "pict" | "objdata" | "themedata" | "colorschememapping" | "datastore"
        | "latentstyles" | "listtable" | "listoverridetable" | "rsidtbl" | "generator" | "xmlnstbl"
        | "fldinst" | "header" | "headerl" | "headerr" | "headerf" | "footer" | "footerl" | "footerr"
        | "footerf" | "upr" | "nonshppict" | "bkmkstart" | "bkmkend" | "filetbl" | "revtbl" | "operator"
        | "doccomm" | "hlinkbase" | "printim" | "buptim" | "xe" | "tc" | "pgdsctbl" | "private"
        | "template" | "sp" | "mmathPict" => Destination::Nowhere,
        // Properties of parts of formulas: `\mfPr`, `\mradPr`…
        _ if word.starts_with('m') && word.ends_with("Pr") => Destination::Nowhere,
        _ => return None,
    })
}

/// Characters that have a word of their own.
fn character(word: &str) -> Option<char> {
    Some(match word {
        "tab" => '\t',
        "line" => '\n',
        "bullet" => '•',
        "endash" => '–',
        "emdash" => '—',
        "lquote" => '‘',
        "rquote" => '’',
        "ldblquote" => '“',
        "rdblquote" => '”',
        "emspace" | "enspace" | "qmspace" => ' ',
        _ => return None,
    })
}
