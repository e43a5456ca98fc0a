//! Documents that are XML and of no vocabulary known here.

use bytes::Bytes;

use crate::budget::Budget;
use crate::charset::decode;
use crate::draft::{Draft, Source};
use crate::error::Result;
use crate::extract::Extractor;
use crate::extract::xml::{Element, Node, XmlReader, declared_encoding, push_collapsed};
use crate::format::Format;

/// Any XML: the text of its elements in order.
///
/// An element with text of its own is a line, with everything inside it; one that holds such elements is a block, and
/// so are paragraphs by their usual names. A `title` is a heading. Names of elements are no text; values of attributes
/// only are where they are labels for people, or where a document has nothing else.
pub(in crate::extract) struct Xml;

impl Extractor for Xml {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let declared = declared_encoding(&source.bytes);
        let (text, encoding) = decode(&source.bytes, declared.as_deref(), draft.budget())?;
        draft.metadata().encoding = Some(encoding.to_owned());
        let own_text = elements_with_text(&text, draft.budget())?;
        Writer { draft, open: Vec::new(), line: String::new() }.read(&text, &own_text)?;
        if draft.text().trim().is_empty() { attributes(&text, draft) } else { Ok(()) }
    }
}

/// Elements that are paragraphs in the vocabularies that people meet: `DocBook`, TEI, `FictionBook`, RSS.
const BLOCKS: [&str; 8] = ["p", "para", "simpara", "description", "summary", "subtitle", "v", "ab"];

/// Elements whose titles are headings one below those around them.
const SECTIONS: [&str; 22] = [
    "book",
    "part",
    "preface",
    "chapter",
    "appendix",
    "article",
    "section",
    "sect1",
    "sect2",
    "sect3",
    "sect4",
    "sect5",
    "refentry",
    "refsection",
    "refsect1",
    "refsect2",
    "channel",
    "item",
    "feed",
    "entry",
    "topic",
    "body",
];

/// Elements whose text keeps its lines.
const VERBATIM: [&str; 6] = ["programlisting", "screen", "literallayout", "synopsis", "pre", "codeblock"];

/// Elements whose text often is HTML: of RSS and Atom.
const MARKED_UP: [&str; 4] = ["description", "encoded", "content", "summary"];

/// Attributes that are written for people.
const LABELS: [&str; 4] = ["text", "title", "label", "alt"];

/// Elements that hold programs and pictures.
fn is_opaque(name: &str) -> bool {
    matches!(name, "script" | "style" | "binary" | "binary-data")
}

/// For each element in order, whether text stands in it directly.
fn elements_with_text(text: &str, budget: &Budget) -> Result<Vec<bool>> {
    let mut reader = XmlReader::new(text, "the document", budget);
    let mut found = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    while let Some(node) = reader.next()? {
        match node {
            Node::Start(element) if is_opaque(element.name()) => reader.skip()?,
            Node::Start(_) => {
                open.push(found.len());
                found.push(false);
            }
            Node::End(_) => {
                open.pop();
            }
            Node::Text(text) => {
                if let Some(own) = open.last().and_then(|index| found.get_mut(*index))
                    && !*own
                {
                    *own = !text.trim().is_empty();
                }
            }
        }
    }
    Ok(found)
}

struct Open<'t> {
    name: &'t str,
    /// Whether what stands in it is of one line with it.
    inline: bool,
    /// Whether it stands itself in the line of another.
    within_line: bool,
    has_elements: bool,
}

struct Writer<'d, 'b, 't> {
    draft: &'d mut Draft<'b>,
    open: Vec<Open<'t>>,
    line: String,
}

impl<'t> Writer<'_, '_, 't> {
    fn read(mut self, text: &'t str, own_text: &[bool]) -> Result<()> {
        let mut own_text = own_text.iter().copied();
        let mut reader = XmlReader::new(text, "the document", self.draft.budget());
        while let Some(node) = reader.next()? {
            match node {
                Node::Start(element) if is_opaque(element.name()) => reader.skip()?,
                Node::Start(element) => self.start(element, own_text.next().unwrap_or(false))?,
                Node::End(_) => self.end()?,
                Node::Text(text) => {
                    if self.open.iter().any(|open| VERBATIM.contains(&open.name)) {
                        self.line.push_str(&text);
                    } else if self.open.last().is_some_and(|open| open.inline) {
                        push_collapsed(&mut self.line, &text);
                    }
                }
            }
        }
        self.flush()?;
        reader.finish_main(Format::Xml, self.draft)?;
        self.draft.end_block()
    }

    fn start(&mut self, element: Element<'t>, own_text: bool) -> Result<()> {
        let name = element.name();
        let within_line = self.open.last().is_some_and(|open| open.inline);
        if let Some(outer) = self.open.last_mut() {
            outer.has_elements = true;
        }
        if !within_line {
            self.flush()?;
            if name == "title" {
                let sections = self.open.iter().filter(|open| SECTIONS.contains(&open.name)).count();
                self.draft.begin_heading(u8::try_from(sections).unwrap_or(6))?;
            }
        }
        if !own_text && !within_line {
            for label in LABELS {
                if let Some(value) = element.attributes().find(|(name, _)| *name == label) {
                    push_collapsed(&mut self.line, &value.1);
                    self.flush()?;
                    break;
                }
            }
        }
        let inline = within_line || own_text;
        self.open.push(Open { name, inline, within_line, has_elements: false });
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let Some(ended) = self.open.pop() else { return Ok(()) };
        if ended.within_line {
            return Ok(());
        }
        if MARKED_UP.contains(&ended.name) && looks_like_html(&self.line) {
            let bytes = Bytes::from(std::mem::take(&mut self.line));
            self.draft.end_block()?;
            let source = Source { name: None, bytes };
            return match self.draft.extractors().extract(Format::Html, &source, self.draft) {
                Err(error) if error.concerns_only_this_part() => {
                    self.draft.warn(format!("{}: {error}", ended.name));
                    Ok(())
                }
                read => read,
            };
        }
        let title = ended.name == "title";
        if title && self.draft.metadata().title.is_none() {
            self.draft.metadata().set_title(&self.line);
        } else if ended.name == "creator" {
            self.draft.metadata().set_author(&self.line);
        }
        if title && self.open.iter().all(|open| open.name != "title") {
            self.draft.push(&self.line)?;
            self.line.clear();
            return self.draft.end_heading();
        }
        self.flush()?;
        let block = BLOCKS.contains(&ended.name) || VERBATIM.contains(&ended.name) || ended.has_elements;
        if block && self.open.iter().all(|open| open.name != "title") {
            self.draft.end_block()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<()> {
        if self.line.trim().is_empty() {
            self.line.clear();
            return Ok(());
        }
        self.draft.push(&self.line)?;
        self.line.clear();
        self.draft.end_line()
    }
}

fn looks_like_html(text: &str) -> bool {
    text.contains("</") || text.contains("<br") || text.contains("<p>") || text.contains("<img")
}

/// The values of all attributes, for documents that have no other text.
fn attributes(text: &str, draft: &mut Draft<'_>) -> Result<()> {
    let mut reader = XmlReader::new(text, "the document", draft.budget());
    while let Some(node) = reader.next()? {
        let Node::Start(element) = node else { continue };
        draft.end_line()?;
        for (name, value) in element.attributes() {
            if !name.starts_with("xmlns") && !name.starts_with("xsi:") {
                draft.space()?;
                draft.push(&value)?;
            }
        }
    }
    draft.end_block()
}
