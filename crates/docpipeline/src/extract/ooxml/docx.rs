//! Word documents.

use std::collections::HashMap;

use crate::budget::Budget;
use crate::draft::{Draft, Source, Table};
use crate::error::Result;
use crate::extract::Extractor;
use crate::extract::ooxml::{properties, relationships};
use crate::extract::package::Package;
use crate::extract::xml::{Element, Node, XmlReader};
use crate::format::Format;

/// `WordprocessingML`: the body, then footnotes, endnotes and comments. Deleted text and field codes are left out.
pub(in crate::extract) struct Docx;

impl Extractor for Docx {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let budget = draft.budget();
        let mut package = Package::open(source.bytes.clone(), Format::Docx, budget)?;
        let main = main_part(&mut package, draft)?;
        let targets = relationships(&mut package, &main, Format::Docx, draft)?;
        let part = |kind: &str| {
            targets.values().find(|target| target.kind == kind).map(|target| target.path.clone())
        };

        let styles = match part("styles") {
            Some(path) => Styles::read(package.xml(&path)?.as_deref().unwrap_or_default(), budget)?,
            None => Styles::default(),
        };
        let bulleted = match part("numbering") {
            Some(path) => bulleted_lists(package.xml(&path)?.as_deref().unwrap_or_default(), budget)?,
            None => HashMap::new(),
        };
        let body = package.required_xml(&main)?;
        let mut story = Story::new(&styles, &bulleted);
        for (kind, in_front) in [("header", true), ("footer", false)] {
            if in_front && let Some(path) = part(kind) {
                story.read(package.xml(&path)?.as_deref().unwrap_or_default(), &path, draft)?;
            }
        }
        story.read(&body, &main, draft)?;
        for kind in ["footnotes", "endnotes", "comments", "footer"] {
            if let Some(path) = part(kind) {
                story.read(package.xml(&path)?.as_deref().unwrap_or_default(), &path, draft)?;
            }
        }
        properties(&mut package, Format::Docx, draft)
    }
}

/// Where the document is, as the package says; usually `word/document.xml`.
fn main_part(package: &mut Package<'_>, draft: &Draft<'_>) -> Result<String> {
    let targets = relationships(package, "", Format::Docx, draft)?;
    let main = targets.into_values().find(|target| target.kind == "officeDocument");
    Ok(main.map_or_else(|| "word/document.xml".to_owned(), |target| target.path))
}

/// The heading level of each paragraph style.
#[derive(Default)]
struct Styles(HashMap<String, u8>);

impl Styles {
    fn read(xml: &str, budget: &Budget) -> Result<Self> {
        let mut levels = HashMap::new();
        let mut parents: HashMap<String, String> = HashMap::new();
        let mut current = String::new();
        let mut reader = XmlReader::new(xml, Format::Docx, "the styles", budget);
        while let Some(node) = reader.next()? {
            let Node::Start(element) = node else { continue };
            match element.name() {
                "style" => current = element.attribute("styleId").unwrap_or_default(),
                "name" => {
                    let name = element.attribute("val").unwrap_or_default().to_lowercase();
                    if let Some(level) = heading_of_name(&name) {
                        levels.insert(current.clone(), level);
                    }
                }
                "outlineLvl" => {
                    // 9 means body text.
                    if let Some(level) = element.number::<u8>("val").filter(|level| *level < 9) {
                        levels.entry(current.clone()).or_insert(level + 1);
                    }
                }
                "basedOn" => {
                    parents.insert(current.clone(), element.attribute("val").unwrap_or_default());
                }
                _ => {}
            }
        }
        for style in parents.keys() {
            let mut ancestor = style;
            // A chain of styles is short; a loop of them is cut here.
            for _ in 0..16 {
                if let Some(level) = levels.get(ancestor).copied() {
                    levels.entry(style.clone()).or_insert(level);
                    break;
                }
                let Some(parent) = parents.get(ancestor) else { break };
                ancestor = parent;
            }
        }
        Ok(Self(levels))
    }

    fn level(&self, style: &str) -> Option<u8> {
        self.0.get(style).copied().or_else(|| heading_of_name(&style.to_lowercase()))
    }
}

/// Built-in styles keep their English names in the file, whatever the user sees.
fn heading_of_name(name: &str) -> Option<u8> {
    if name == "title" {
        return Some(1);
    }
    let level = name.strip_prefix("heading")?.trim().parse::<u8>().ok()?;
    (1..=9).contains(&level).then_some(level)
}

/// For each list and level, whether it has bullets instead of numbers.
fn bulleted_lists(xml: &str, budget: &Budget) -> Result<HashMap<(String, usize), bool>> {
    let mut formats: HashMap<(String, usize), bool> = HashMap::new();
    let mut lists = HashMap::new();
    let (mut definition, mut level, mut list) = (String::new(), 0, String::new());
    let mut reader = XmlReader::new(xml, Format::Docx, "the numbering", budget);
    while let Some(node) = reader.next()? {
        let Node::Start(element) = node else { continue };
        match element.name() {
            "abstractNum" => definition = element.attribute("abstractNumId").unwrap_or_default(),
            "lvl" => level = element.number("ilvl").unwrap_or(0),
            "numFmt" => {
                let bullet = matches!(element.attribute("val").as_deref(), Some("bullet" | "none"));
                formats.insert((definition.clone(), level), bullet);
            }
            "num" => list = element.attribute("numId").unwrap_or_default(),
            "abstractNumId" => {
                lists.insert(list.clone(), element.attribute("val").unwrap_or_default());
            }
            _ => {}
        }
    }
    let mut bulleted = HashMap::new();
    for (list, definition) in lists {
        for level in 0..9 {
            budget.tick()?;
            let bullet = formats.get(&(definition.clone(), level)).copied().unwrap_or(true);
            bulleted.insert((list.clone(), level), bullet);
        }
    }
    Ok(bulleted)
}

/// Reads the paragraphs and tables of one part after another.
struct Story<'s> {
    styles: &'s Styles,
    bulleted: &'s HashMap<(String, usize), bool>,
    counters: HashMap<(String, usize), u64>,
}

/// A paragraph in the making.
#[derive(Default)]
struct Paragraph {
    text: String,
    level: Option<u8>,
    list: Option<(String, usize)>,
}

/// A table in the making; tables stand in cells of tables.
#[derive(Default)]
struct OpenTable {
    table: Table,
    row: Vec<String>,
    cell: String,
    span: usize,
}

impl<'s> Story<'s> {
    fn new(styles: &'s Styles, bulleted: &'s HashMap<(String, usize), bool>) -> Self {
        Self { styles, bulleted, counters: HashMap::new() }
    }

    fn read(&mut self, xml: &str, part: &str, draft: &mut Draft<'_>) -> Result<()> {
        let mut reader = XmlReader::new(xml, Format::Docx, part, draft.budget());
        // Text boxes stand inside paragraphs, so paragraphs nest.
        let mut paragraphs: Vec<Paragraph> = Vec::new();
        let mut tables: Vec<OpenTable> = Vec::new();
        while let Some(node) = reader.next()? {
            match node {
                Node::Start(element) => match element.name() {
                    // The second form of what stands in `Choice` already; deleted text; field codes; the marks
                    // that separate notes from the page.
                    "Fallback" | "del" | "moveFrom" | "instrText" | "delText" => reader.skip()?,
                    "footnote" | "endnote"
                        if element.attribute("type").is_some_and(|kind| kind != "normal") =>
                    {
                        reader.skip()?;
                    }
                    "tbl" => tables.push(OpenTable::default()),
                    "gridSpan" => {
                        if let Some(table) = tables.last_mut() {
                            table.span = element.number("val").unwrap_or(1).min(64);
                        }
                    }
                    "p" => paragraphs.push(Paragraph::default()),
                    _ => {
                        if let Some(paragraph) = paragraphs.last_mut() {
                            self.inside(&element, paragraph);
                            if element.name() == "t" {
                                let text = reader.text()?;
                                draft.budget().tick()?;
                                paragraph.text.push_str(&text);
                            }
                        }
                    }
                },
                Node::End(name) => match name.as_str() {
                    "p" => {
                        if let Some(paragraph) = paragraphs.pop() {
                            self.paragraph(paragraph, tables.last_mut(), draft)?;
                        }
                    }
                    "tc" => {
                        if let Some(table) = tables.last_mut() {
                            table.row.push(std::mem::take(&mut table.cell));
                            let more = std::mem::take(&mut table.span).saturating_sub(1);
                            table.row.extend(std::iter::repeat_n(String::new(), more));
                        }
                    }
                    "tr" => {
                        if let Some(table) = tables.last_mut() {
                            table.table.row(std::mem::take(&mut table.row), draft.budget())?;
                        }
                    }
                    "tbl" => {
                        if let Some(done) = tables.pop() {
                            match tables.last_mut() {
                                // A table cannot stand in a Markdown table: its text goes into the cell.
                                Some(outer) => done.table.flatten_into(&mut outer.cell),
                                None => draft.table(&done.table)?,
                            }
                        }
                    }
                    _ => {}
                },
                Node::Text(_) => {}
            }
        }
        draft.end_block()
    }

    /// An element inside a paragraph that is not text.
    fn inside(&self, element: &Element<'_>, paragraph: &mut Paragraph) {
        match element.name() {
            "pStyle" => {
                let style = element.attribute("val").unwrap_or_default();
                paragraph.level = paragraph.level.or(self.styles.level(&style));
            }
            "outlineLvl" => {
                if let Some(level) = element.number::<u8>("val").filter(|level| *level < 9) {
                    paragraph.level = Some(level + 1);
                }
            }
            "ilvl" => {
                paragraph.list.get_or_insert_default().1 = element.number("val").unwrap_or(0).min(8);
            }
            "numId" => {
                paragraph.list.get_or_insert_default().0 = element.attribute("val").unwrap_or_default();
            }
            "tab" => paragraph.text.push('\t'),
            "br" | "cr" => paragraph.text.push('\n'),
            "noBreakHyphen" => paragraph.text.push('-'),
            _ => {}
        }
    }

    fn paragraph(
        &mut self,
        paragraph: Paragraph,
        table: Option<&mut OpenTable>,
        draft: &mut Draft<'_>,
    ) -> Result<()> {
        if paragraph.text.trim().is_empty() {
            return Ok(());
        }
        if let Some(table) = table {
            if !table.cell.is_empty() {
                table.cell.push(' ');
            }
            table.cell.push_str(&paragraph.text);
            return draft.budget().tick();
        }
        if let Some(level) = paragraph.level {
            return draft.heading(level, &paragraph.text);
        }
        // List "0" means that the paragraph is taken out of its style's list.
        if let Some((list, level)) = paragraph.list.filter(|(list, _)| list != "0") {
            let bulleted = self.bulleted.get(&(list.clone(), level)).copied().unwrap_or(true);
            let marker = if bulleted { "-".to_owned() } else { format!("{}.", self.count(list, level)) };
            draft.begin_list_item(level, &marker)?;
            draft.push(&paragraph.text)?;
            return draft.end_line();
        }
        draft.paragraph(&paragraph.text)
    }

    /// The number of the next item; the levels below begin afresh.
    fn count(&mut self, list: String, level: usize) -> u64 {
        for deeper in level + 1..9 {
            self.counters.remove(&(list.clone(), deeper));
        }
        let number = self.counters.entry((list, level)).or_insert(0);
        *number += 1;
        *number
    }
}
