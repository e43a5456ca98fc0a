//! What comes out of a document.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::format::Format;

/// A document as text, with all that was found out about it.
///
/// Everything that lies inside the text is a [`Span`] into [`text`](Document::text); nothing is stored twice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Document {
    /// The format, found from the content.
    pub format: Format,
    /// What the document says about itself.
    pub metadata: Metadata,
    /// The text: paragraphs separated by an empty line, headings as `# …`, tables as Markdown tables.
    pub text: String,
    /// The headings, in order.
    pub headings: Vec<Heading>,
    /// The tables, in order.
    pub tables: Vec<Span>,
    /// Where each page, slide or sheet begins and ends; empty where the format has none.
    pub pages: Vec<Span>,
    /// The documents inside this one: archive entries, attachments.
    pub parts: Vec<Part>,
    /// The text cut for search and models.
    pub chunks: Vec<Chunk>,
    /// Counts over the text.
    pub statistics: Statistics,
    /// What the document is and resembles; all zero until the fingerprint stage has run.
    pub fingerprint: Fingerprint,
    /// What could not be read, and why, where the rest could.
    pub warnings: Vec<String>,
}

impl Document {
    /// The text of a span; empty when the span does not lie inside the text on character boundaries.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.range()).unwrap_or_default()
    }
}

/// A half-open range of bytes in [`Document::text`], on character boundaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

impl Span {
    /// The span as a range, for slicing.
    #[must_use]
    pub fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

/// A heading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heading {
    /// 1 (highest) to 6.
    pub level: u8,
    /// The heading's text, without the `#` marks.
    pub span: Span,
}

/// A document inside the document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Its name in the container.
    pub name: String,
    /// Its format.
    pub format: Format,
    /// Where its text lies.
    pub span: Span,
    /// What it says about itself.
    pub metadata: Metadata,
}

/// What a document says about itself. Dates are ISO 8601, with the zone where the document gives one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Metadata {
    /// The title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The author or authors, separated by `"; "`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// When it was made, or sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// When it was last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified: Option<String>,
    /// The number of pages, slides or sheets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<u32>,
    /// The language of the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// The character encoding that the bytes were decoded from, where the format leaves it open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// Further properties under their own names: `subject`, `keywords`, `producer`, `to`, …
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
}

impl Metadata {
    /// The most bytes kept of one value.
    const MAX_VALUE_BYTES: usize = 4096;
    /// The most further properties kept.
    const MAX_PROPERTIES: usize = 64;

    /// Sets the title, unless `value` is blank or there is one already.
    pub fn set_title(&mut self, value: &str) {
        set(&mut self.title, value);
    }

    /// Sets the author, unless `value` is blank or there is one already.
    pub fn set_author(&mut self, value: &str) {
        set(&mut self.author, value);
    }

    /// Sets the date of creation (ISO 8601), unless `value` is blank or there is one already.
    pub fn set_created(&mut self, value: &str) {
        set(&mut self.created, value);
    }

    /// Sets the date of the last change (ISO 8601), unless `value` is blank or there is one already.
    pub fn set_modified(&mut self, value: &str) {
        set(&mut self.modified, value);
    }

    /// Sets a further property, unless `value` is blank, it is set already, or there are 64 of them.
    pub fn set_property(&mut self, name: &str, value: &str) {
        if self.properties.len() < Self::MAX_PROPERTIES && !self.properties.contains_key(name) {
            let mut slot = None;
            set(&mut slot, value);
            if let Some(value) = slot {
                self.properties.insert(name.to_owned(), value);
            }
        }
    }
}

fn set(slot: &mut Option<String>, value: &str) {
    if slot.is_some() {
        return;
    }
    let mut clean = String::new();
    for word in value.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if clean.len() + word.len() >= Metadata::MAX_VALUE_BYTES {
            break;
        }
        if !clean.is_empty() {
            clean.push(' ');
        }
        clean.push_str(word);
    }
    if !clean.is_empty() {
        *slot = Some(clean);
    }
}

/// The language of a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Language {
    /// ISO 639-3: `"eng"`.
    pub code: String,
    /// How sure the detection is, 0 to 1.
    pub confidence: f64,
}

/// A piece of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Where it lies.
    pub span: Span,
    /// How many tokens it holds, by [`count_tokens`](crate::count_tokens).
    pub tokens: usize,
}

/// Counts over the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Statistics {
    /// Unicode scalar values.
    pub characters: usize,
    /// Runs of characters between white space.
    pub words: usize,
    /// Lines with at least one character.
    pub lines: usize,
}

/// What a document is, exactly and roughly.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Fingerprint {
    /// BLAKE3 of the document's bytes, in hex.
    pub content: String,
    /// BLAKE3 of the extracted text, in hex: equal for the same text in two formats.
    pub text: String,
    /// `MinHash` of the text's word shingles; compare by [`Fingerprint::similarity`]. Empty for a text with no words.
    pub min_hash: Vec<u32>,
}
