//! `PowerPoint` presentations.

use crate::budget::Budget;
use crate::draft::{Draft, Source, Table};
use crate::error::Result;
use crate::extract::Extractor;
use crate::extract::ooxml::{Relations, main_part, properties, read_graphics};
use crate::extract::ordinals::Counting;
use crate::extract::package::Package;
use crate::extract::pictures::described;
use crate::extract::xml::{Element, Node, XmlReader};
use crate::format::Format;

/// `PresentationML`: each slide as a page with its title as heading, then its text and tables, diagrams, speaker notes
/// and comments.
pub(in crate::extract) struct Pptx;

impl Extractor for Pptx {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let mut package = Package::open(source.bytes.clone(), Format::Pptx, draft.budget())?;
        let main = main_part(&mut package, "ppt/presentation.xml", draft)?;
        let parts = Relations::of(&main, &mut package, draft)?;
        let presentation = package.required_xml(&main, draft)?;
        for id in slide_ids(&presentation, draft)? {
            let Some(slide) = parts.by_id(&id) else {
                draft.warn(format!("slide {id} is missing"));
                continue;
            };
            draft.begin_page()?;
            match package.xml(&slide.path, draft)? {
                Some(xml) => read_slide(&xml, &slide.path, &mut package, draft)?,
                None => draft.warn(format!("{} is missing", slide.path)),
            }
        }
        properties(&mut package, Format::Pptx, draft)
    }
}

/// The relation ids of the slides, in the order in which they are shown.
fn slide_ids(xml: &str, draft: &mut Draft<'_>) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    let mut reader = XmlReader::new(xml, "the presentation", draft.budget());
    while let Some(node) = reader.next()? {
        if let Node::Start(element) = node
            && element.name() == "sldId"
        {
            // It has an id of its own, and that of the relation.
            ids.extend(element.prefixed("id").map(String::from));
        }
    }
    reader.finish(draft);
    Ok(ids)
}

fn read_slide(xml: &str, path: &str, package: &mut Package<'_>, draft: &mut Draft<'_>) -> Result<()> {
    let budget = draft.budget();
    if let Some((level, title)) = title(xml, path, budget)? {
        draft.heading(level, &title)?;
    }
    Shapes::default().read(xml, path, draft)?;
    let related = Relations::of(path, package, draft)?;
    read_graphics(&related, package, draft)?;
    if let Some(notes) = related.of_kind("notesSlide")
        && let Some(xml) = package.xml(notes, draft)?
    {
        Shapes { announcement: Some("Notes:"), in_notes: true, ..Shapes::default() }
            .read(&xml, notes, draft)?;
    }
    for comments in related.all_of_kind("comments") {
        let Some(xml) = package.xml(comments, draft)? else { continue };
        let mut reader = XmlReader::new(&xml, comments, budget);
        while let Some(node) = reader.next()? {
            if let Node::Start(element) = node
                && matches!(element.name(), "text" | "txBody")
            {
                let comment = reader.text()?;
                draft.paragraph(&format!("Comment: {}", comment.trim()))?;
            }
        }
    }
    Ok(())
}

/// What a shape is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Role {
    /// The title of the slide, with its level as heading.
    Title(u8),
    /// The main text, with bullets unless it says otherwise.
    Body,
    #[default]
    Text,
    /// The number, the date, the footer; the picture of the slide on its notes.
    Furniture,
}

fn role(placeholder: &Element<'_>) -> Role {
    match placeholder.attribute("type").as_deref() {
        Some("ctrTitle") => Role::Title(1),
        Some("title") => Role::Title(2),
        Some("sldNum" | "dt" | "ftr" | "hdr" | "sldImg") => Role::Furniture,
        Some("body" | "obj") | None => Role::Body,
        Some(_) => Role::Text,
    }
}

/// The title of a slide, wherever among the shapes it stands.
fn title(xml: &str, part: &str, budget: &Budget) -> Result<Option<(u8, String)>> {
    let mut reader = XmlReader::new(xml, part, budget);
    let mut found = None;
    let mut title = String::new();
    while let Some(node) = reader.next()? {
        match node {
            Node::Start(element) => match element.name() {
                "ph" => {
                    if let Role::Title(level) = role(&element) {
                        found = Some(level);
                    }
                }
                "t" if found.is_some() => reader.text_into(&mut title)?,
                "br" if found.is_some() => title.push(' '),
                _ => {}
            },
            Node::End("p") if found.is_some() => title.push(' '),
            Node::End("sp") => {
                if let Some(level) = found.take().filter(|_| !title.trim().is_empty()) {
                    return Ok(Some((level, title)));
                }
            }
            _ => {}
        }
    }
    Ok(None)
}

/// Reads the text of the shapes of a slide, or of its notes.
#[derive(Default)]
struct Shapes {
    role: Role,
    in_notes: bool,
    in_picture: bool,
    /// What stands before the first text.
    announcement: Option<&'static str>,
    title_seen: bool,
    paragraph: Paragraph,
    /// The counts of numbered paragraphs by level.
    counts: [u32; 9],
    table: Option<OpenTable>,
}

#[derive(Default)]
struct Paragraph {
    text: String,
    level: usize,
    /// What the paragraph itself says about its bullet.
    counting: Option<Counting>,
}

#[derive(Default)]
struct OpenTable {
    table: Table,
    row: Vec<String>,
    cell: String,
}

impl Shapes {
    fn read(mut self, xml: &str, part: &str, draft: &mut Draft<'_>) -> Result<()> {
        let mut reader = XmlReader::new(xml, part, draft.budget());
        while let Some(node) = reader.next()? {
            match node {
                Node::Start(element) => self.start(&element, &mut reader)?,
                Node::End(name) => self.end(name, draft)?,
                Node::Text(_) => {}
            }
        }
        reader.finish(draft);
        draft.end_block()
    }

    fn start(&mut self, element: &Element<'_>, reader: &mut XmlReader<'_, '_>) -> Result<()> {
        match element.name() {
            // The second form of what stands in `Choice` already.
            "Fallback" => reader.skip()?,
            "fld" if element.attribute("type").as_deref() == Some("slidenum") => reader.skip()?,
            "sp" | "pic" => {
                self.role = Role::Text;
                self.in_picture = element.name() == "pic";
            }
            "cNvPr" if self.in_picture && !self.in_notes => {
                let description = element.attribute("descr").and_then(|text| described(&text));
                self.paragraph.text.extend(description);
            }
            "ph" => self.role = role(element),
            "p" => self.paragraph = Paragraph::default(),
            "pPr" => self.paragraph.level = element.number::<usize>("lvl").unwrap_or(0).min(8),
            "buNone" => self.paragraph.counting = Some(Counting::None),
            "buChar" | "buBlip" => self.paragraph.counting = Some(Counting::Bullet),
            "buAutoNum" => {
                let kind = element.attribute("type").unwrap_or_default();
                self.paragraph.counting = Some(match kind.get(..6).unwrap_or_default() {
                    "alphaL" => Counting::LowerLetter,
                    "alphaU" => Counting::UpperLetter,
                    "romanL" => Counting::LowerRoman,
                    "romanU" => Counting::UpperRoman,
                    _ => Counting::Decimal,
                });
            }
            "t" => reader.text_into(&mut self.paragraph.text)?,
            "br" => self.paragraph.text.push('\n'),
            "tab" => self.paragraph.text.push('\t'),
            "tbl" => self.table = Some(OpenTable::default()),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: &str, draft: &mut Draft<'_>) -> Result<()> {
        match name {
            "p" => self.end_paragraph(draft)?,
            "tc" => {
                if let Some(table) = &mut self.table {
                    table.row.push(std::mem::take(&mut table.cell));
                }
            }
            "tr" => {
                if let Some(table) = &mut self.table {
                    table.table.row(std::mem::take(&mut table.row), draft.budget())?;
                }
            }
            "tbl" => {
                if let Some(table) = self.table.take() {
                    draft.table(&table.table)?;
                }
            }
            "pic" => {
                self.end_paragraph(draft)?;
                self.in_picture = false;
            }
            "sp" => {
                self.title_seen |= matches!(self.role, Role::Title(_));
                self.counts = [0; 9];
                draft.end_block()?;
            }
            _ => {}
        }
        Ok(())
    }

    fn end_paragraph(&mut self, draft: &mut Draft<'_>) -> Result<()> {
        let Paragraph { text, level, counting } = std::mem::take(&mut self.paragraph);
        let text = text.trim();
        let is_title = matches!(self.role, Role::Title(_)) && !self.in_notes && !self.title_seen;
        if text.is_empty() || is_title || self.role == Role::Furniture {
            return Ok(());
        }
        if let Some(table) = &mut self.table {
            if !table.cell.is_empty() {
                table.cell.push(' ');
            }
            table.cell.push_str(text);
            return draft.budget().tick();
        }
        if let Some(announcement) = self.announcement.take() {
            draft.paragraph(announcement)?;
        }
        let by_role =
            if self.role == Role::Body && !self.in_notes { Counting::Bullet } else { Counting::None };
        let counting = counting.unwrap_or(if level > 0 { Counting::Bullet } else { by_role });
        for (i, count) in self.counts.iter_mut().enumerate().skip(level) {
            let goes_on = i == level && !matches!(counting, Counting::Bullet | Counting::None);
            *count = if goes_on { count.saturating_add(1) } else { 0 };
        }
        match counting {
            Counting::None => draft.end_line()?,
            Counting::Bullet => draft.begin_list_item(level, "-")?,
            counting => {
                let number = counting.print(self.counts.get(level).copied().unwrap_or(1));
                draft.begin_list_item(level, &format!("{number}."))?;
            }
        }
        draft.push(text)?;
        draft.end_line()
    }
}
