//! XML, read within the budget: by the formats that are made of it, and for its own sake.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::attributes::Attribute;
use quick_xml::events::{BytesStart, Event};

use crate::budget::Budget;
use crate::charset::decode;
use crate::draft::{Draft, Source};
use crate::error::{Error, Result};
use crate::extract::Extractor;
use crate::format::Format;

/// A piece of an XML document. Names are without their prefix.
pub(crate) enum Node<'t> {
    /// An element begins. An empty element begins and ends.
    Start(Element<'t>),
    /// The element begun last ends.
    End(String),
    /// Text, with character references and the entities of XML itself resolved.
    Text(Cow<'t, str>),
}

/// The beginning of an element.
pub(crate) struct Element<'t>(BytesStart<'t>);

impl Element<'_> {
    /// The name without its prefix.
    pub(crate) fn name(&self) -> &str {
        self.0.local_name().into_inner()
    }

    /// The value of the attribute of this name, whatever its prefix.
    pub(crate) fn attribute(&self, name: &str) -> Option<String> {
        let mut attributes = self.0.attributes();
        let named = |attribute: &Attribute<'_>| attribute.key.local_name().into_inner() == name;
        let value = attributes.with_checks(false).flatten().find(named)?.value;
        Some(unescape(&value).into_owned())
    }

    /// The value of the attribute of this full name, prefix and all.
    pub(crate) fn qualified(&self, name: &str) -> Option<String> {
        let mut attributes = self.0.attributes();
        let named = |attribute: &Attribute<'_>| attribute.key.into_inner() == name;
        Some(attributes.with_checks(false).flatten().find(named)?.value.into_owned())
    }

    /// The attribute as a number.
    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.attribute(name)?.trim().parse().ok()
    }
}

/// Reads XML one [`Node`] at a time, and charges nesting, attributes and time.
///
/// Entities that a document defines for itself are not expanded, so nothing multiplies; external ones are never read.
/// Small damage (a missing end, a stray `&`) is read over.
pub(crate) struct XmlReader<'t, 'b> {
    reader: Reader<&'t [u8]>,
    budget: &'b Budget,
    depth: usize,
    format: Format,
    part: &'t str,
}

impl<'t, 'b> XmlReader<'t, 'b> {
    /// Reads `text`, which is the part called `part` of a document of `format`.
    pub(crate) fn new(text: &'t str, format: Format, part: &'t str, budget: &'b Budget) -> Self {
        let mut reader = Reader::from_str(text);
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.check_end_names = false;
        config.allow_unmatched_ends = true;
        config.allow_dangling_amp = true;
        Self { reader, budget, depth: 0, format, part }
    }

    /// The next node; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Node<'t>>> {
        loop {
            self.budget.tick()?;
            let event = self.reader.read_event().map_err(|error| {
                let at = self.reader.buffer_position();
                Error::malformed(self.format, format!("{} at byte {at}: {error}", self.part))
            })?;
            match event {
                Event::Start(start) | Event::Empty(start) => {
                    self.depth += 1;
                    self.budget.nesting(self.depth)?;
                    // Each attribute has an equals sign, so a short element need not be counted.
                    let raw = start.attributes_raw();
                    if raw.len() as u64 > self.budget.limits().attributes {
                        self.budget.attributes(memchr::memchr_iter(b'=', raw.as_bytes()).count())?;
                    }
                    return Ok(Some(Node::Start(Element(start))));
                }
                Event::End(end) => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(Some(Node::End(end.local_name().into_inner().to_owned())));
                }
                Event::Text(text) => return Ok(Some(Node::Text(text.into_inner()))),
                Event::CData(text) => return Ok(Some(Node::Text(text.into_inner()))),
                Event::GeneralRef(reference) => {
                    if let Ok(Some(character)) = reference.resolve_char_ref() {
                        return Ok(Some(Node::Text(character.to_string().into())));
                    }
                    let name = reference.into_inner();
                    if let Some(text) = quick_xml::escape::resolve_predefined_entity(&name) {
                        return Ok(Some(Node::Text(text.into())));
                    }
                }
                Event::Eof => return Ok(None),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
    }

    /// Passes over everything up to the end of the element begun last.
    pub(crate) fn skip(&mut self) -> Result<()> {
        let inside = self.depth;
        while self.depth >= inside {
            if self.next()?.is_none() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The text of the element begun last, up to its end.
    pub(crate) fn text(&mut self) -> Result<String> {
        let inside = self.depth;
        let mut text = String::new();
        while self.depth >= inside {
            match self.next()? {
                Some(Node::Text(piece)) => text.push_str(&piece),
                Some(_) => {}
                None => break,
            }
        }
        Ok(text)
    }
}

/// The encoding that an XML declaration names.
pub(crate) fn declared_encoding(bytes: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(bytes.get(..200.min(bytes.len())).unwrap_or_default());
    let declaration =
        head.trim_start_matches('\u{feff}').strip_prefix("<?xml")?.split("?>").next()?.to_owned();
    let value = declaration.split("encoding").nth(1)?.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    value.get(1..)?.split(quote).next().map(str::to_owned)
}

/// Any XML: the text of its elements in order.
///
/// An element that holds text beside elements is a line; one that holds only elements is not. Names of elements are no
/// text, and values of attributes only where a document has nothing else.
pub(crate) struct Xml;

impl Extractor for Xml {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let declared = declared_encoding(&source.bytes);
        let (text, encoding) = decode(&source.bytes, declared.as_deref(), draft.budget())?;
        draft.metadata().encoding = Some(encoding.to_owned());
        let read = elements(&text, draft);
        let read = if draft.text().is_empty() && read.is_ok() { attributes(&text, draft) } else { read };
        match read {
            // What came before the damage is worth having.
            Err(error @ Error::Malformed { .. }) if !draft.text().is_empty() => draft.warn(error.to_string()),
            read => read?,
        }
        draft.end_block()
    }
}

/// Elements that are paragraphs in the vocabularies that people meet: XHTML, DocBook, RSS and Atom, TEI.
const BLOCKS: [&str; 10] =
    ["p", "para", "title", "item", "entry", "section", "chapter", "record", "row", "description"];

fn elements(text: &str, draft: &mut Draft<'_>) -> Result<()> {
    let mut reader = XmlReader::new(text, Format::Xml, "the document", draft.budget());
    // Whether each open element has had text of its own.
    let mut open: Vec<bool> = Vec::new();
    while let Some(node) = reader.next()? {
        let inline = open.last().copied().unwrap_or(false);
        match node {
            Node::Start(element) if matches!(element.name(), "script" | "style") => reader.skip()?,
            Node::Start(_) => {
                open.push(false);
                if !inline {
                    draft.end_line()?;
                }
            }
            Node::End(name) => {
                open.pop();
                if BLOCKS.contains(&name.as_str()) {
                    draft.end_block()?;
                } else if !open.last().copied().unwrap_or(false) {
                    draft.end_line()?;
                }
            }
            Node::Text(text) if text.trim().is_empty() => {
                if inline {
                    draft.space()?;
                }
            }
            Node::Text(text) => {
                if let Some(last) = open.last_mut() {
                    *last = true;
                }
                draft.push(&text)?;
            }
        }
    }
    Ok(())
}

fn attributes(text: &str, draft: &mut Draft<'_>) -> Result<()> {
    let mut reader = XmlReader::new(text, Format::Xml, "the document", draft.budget());
    while let Some(node) = reader.next()? {
        let Node::Start(element) = node else { continue };
        draft.end_line()?;
        for attribute in element.0.attributes().with_checks(false).flatten() {
            let name = attribute.key.into_inner();
            if name != "xmlns" && !name.starts_with("xmlns:") && !name.starts_with("xsi:") {
                draft.space()?;
                draft.push(&unescape(&attribute.value))?;
            }
        }
    }
    Ok(())
}

/// A value with its references resolved, as far as they can be.
fn unescape(value: &str) -> Cow<'_, str> {
    quick_xml::escape::unescape(value).unwrap_or(Cow::Borrowed(value))
}
