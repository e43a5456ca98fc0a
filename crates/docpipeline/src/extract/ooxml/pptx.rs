//! `PowerPoint` presentations.

use crate::draft::{Draft, Source, Table};
use crate::error::Result;
use crate::extract::Extractor;
use crate::extract::ooxml::{properties, relationships};
use crate::extract::package::Package;
use crate::extract::xml::{Node, XmlReader};
use crate::format::Format;

/// `PresentationML`: each slide as a page, its title as heading, then its text and tables, then its speaker notes.
pub(in crate::extract) struct Pptx;

impl Extractor for Pptx {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let mut package = Package::open(source.bytes.clone(), Format::Pptx, draft.budget())?;
        let roots = relationships(&mut package, "", Format::Pptx, draft)?;
        let main = roots.into_values().find(|target| target.kind == "officeDocument");
        let main = main.map_or_else(|| "ppt/presentation.xml".to_owned(), |target| target.path);
        let targets = relationships(&mut package, &main, Format::Pptx, draft)?;
        for id in slide_ids(&package.required_xml(&main)?, draft)? {
            let Some(target) = targets.get(&id) else { continue };
            draft.begin_page()?;
            let Some(xml) = package.xml(&target.path)? else {
                draft.warn(format!("slide {} is missing", target.path));
                continue;
            };
            shapes(&xml, &target.path, false, draft)?;
            let related = relationships(&mut package, &target.path, Format::Pptx, draft)?;
            if let Some(notes) = related.values().find(|target| target.kind == "notesSlide")
                && let Some(xml) = package.xml(&notes.path)?
            {
                shapes(&xml, &notes.path, true, draft)?;
            }
            for diagram in related.values().filter(|target| target.kind == "diagramData") {
                if let Some(xml) = package.xml(&diagram.path)? {
                    shapes(&xml, &diagram.path, false, draft)?;
                }
            }
        }
        properties(&mut package, Format::Pptx, draft)
    }
}

/// The relationship ids of the slides, in the order in which they are shown.
fn slide_ids(xml: &str, draft: &Draft<'_>) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    let mut reader = XmlReader::new(xml, Format::Pptx, "the presentation", draft.budget());
    while let Some(node) = reader.next()? {
        if let Node::Start(element) = node
            && element.name() == "sldId"
        {
            ids.extend(element.qualified("r:id"));
        }
    }
    Ok(ids)
}

/// What a shape is there for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Title,
    Text,
    /// The number, the date, the footer, the picture of the slide on its notes.
    Furniture,
}

/// Writes the text of the shapes of a slide, or of its notes.
fn shapes(xml: &str, part: &str, notes: bool, draft: &mut Draft<'_>) -> Result<()> {
    let budget = draft.budget();
    let mut reader = XmlReader::new(xml, Format::Pptx, part, budget);
    let mut role = Role::Text;
    let mut table: Option<(Table, Vec<String>, String)> = None;
    let mut paragraph = String::new();
    let mut level = 0;
    let mut announced = !notes;
    while let Some(node) = reader.next()? {
        match node {
            Node::Start(element) => match element.name() {
                "Fallback" => reader.skip()?,
                "sp" => role = Role::Text,
                "ph" => {
                    role = match element.attribute("type").as_deref() {
                        Some("title" | "ctrTitle") => Role::Title,
                        Some("sldNum" | "dt" | "ftr" | "hdr" | "sldImg") => Role::Furniture,
                        _ => Role::Text,
                    }
                }
                "pPr" => level = element.number("lvl").unwrap_or(0),
                "tbl" => table = Some((Table::new(), Vec::new(), String::new())),
                "t" => paragraph.push_str(&reader.text()?),
                "br" => paragraph.push('\n'),
                "tab" => paragraph.push('\t'),
                _ => {}
            },
            Node::End(name) => match name.as_str() {
                "p" => {
                    let text = std::mem::take(&mut paragraph);
                    let level = std::mem::take(&mut level);
                    if text.trim().is_empty() || role == Role::Furniture {
                        continue;
                    }
                    if let Some((_, _, cell)) = &mut table {
                        cell.push(' ');
                        cell.push_str(&text);
                        continue;
                    }
                    if !std::mem::replace(&mut announced, true) {
                        draft.paragraph("Notes:")?;
                    }
                    match role {
                        Role::Title if !notes => draft.heading(2, &text)?,
                        _ if level > 0 => {
                            draft.begin_list_item(level, "-")?;
                            draft.push(&text)?;
                        }
                        _ => {
                            draft.end_line()?;
                            draft.push(&text)?;
                        }
                    }
                }
                "tc" => {
                    if let Some((_, row, cell)) = &mut table {
                        row.push(std::mem::take(cell));
                    }
                }
                "tr" => {
                    if let Some((table, row, _)) = &mut table {
                        table.row(std::mem::take(row), budget)?;
                    }
                }
                "tbl" => {
                    if let Some((table, ..)) = table.take() {
                        draft.table(&table)?;
                    }
                }
                "sp" | "pt" => draft.end_block()?,
                _ => {}
            },
            Node::Text(_) => {}
        }
    }
    draft.end_block()
}
