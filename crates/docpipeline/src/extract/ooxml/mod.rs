//! The Office formats (ECMA-376), and what they share: parts that refer to one another, and properties.

mod chart;
mod docx;
mod pptx;
mod xlsx;

pub(super) use docx::Docx;
pub(super) use pptx::Pptx;
pub(super) use xlsx::Xlsx;

use std::collections::HashMap;

use crate::budget::Budget;
use crate::draft::Draft;
use crate::error::Result;
use crate::extract::package::{Package, resolve};
use crate::extract::xml::{Node, XmlReader};
use crate::format::Format;

/// A part that another part refers to.
struct Relation {
    /// The last step of the relation's type: `styles`, `header`. The rest differs between editions of the standard.
    kind: String,
    path: String,
}

/// The parts that a part refers to, in the order of the file.
#[derive(Default)]
struct Relations {
    all: Vec<Relation>,
    by_id: HashMap<String, usize>,
}

impl Relations {
    /// The relations of `part`; of the package itself for `""`.
    fn of(part: &str, package: &mut Package<'_>, draft: &mut Draft<'_>) -> Result<Self> {
        let (folder, file) = part.rsplit_once('/').unwrap_or(("", part));
        let path = resolve(folder, &format!("_rels/{file}.rels"));
        let mut relations = Self::default();
        let Some(xml) = package.xml(&path, draft)? else { return Ok(relations) };
        let mut reader = XmlReader::new(&xml, &path, draft.budget());
        while let Some(node) = reader.next()? {
            if let Node::Start(element) = node
                && let (Some(id), Some(target)) = (element.attribute("Id"), element.attribute("Target"))
                && element.attribute("TargetMode").as_deref() != Some("External")
            {
                let kind = element.attribute("Type").unwrap_or_default();
                relations.by_id.insert(id.into_owned(), relations.all.len());
                relations.all.push(Relation {
                    kind: kind.rsplit('/').next().unwrap_or_default().to_owned(),
                    path: resolve(folder, &target),
                });
            }
        }
        reader.finish(draft);
        Ok(relations)
    }

    fn by_id(&self, id: &str) -> Option<&Relation> {
        self.all.get(*self.by_id.get(id)?)
    }

    fn all_of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        self.all.iter().filter(move |relation| relation.kind == kind).map(|relation| relation.path.as_str())
    }

    fn of_kind(&self, kind: &str) -> Option<&str> {
        self.all.iter().find(|relation| relation.kind == kind).map(|relation| relation.path.as_str())
    }
}

/// The part that the document begins with: as the package says, or where it usually is.
fn main_part(package: &mut Package<'_>, usual: &str, draft: &mut Draft<'_>) -> Result<String> {
    let roots = Relations::of("", package, draft)?;
    Ok(roots.of_kind("officeDocument").unwrap_or(usual).to_owned())
}

/// Reads the diagrams and charts that a part refers to.
fn read_graphics(relations: &Relations, package: &mut Package<'_>, draft: &mut Draft<'_>) -> Result<()> {
    for diagram in relations.all_of_kind("diagramData") {
        if let Some(xml) = package.xml(diagram, draft)? {
            draft.paragraph(&text_of(&xml, diagram, draft.budget())?)?;
        }
    }
    for path in relations.all_of_kind("chart") {
        if let Some(xml) = package.xml(path, draft)? {
            chart::read_chart(&xml, path, draft)?;
        }
    }
    Ok(())
}

/// Title, author, dates from `docProps`.
fn properties(package: &mut Package<'_>, format: Format, draft: &mut Draft<'_>) -> Result<()> {
    for part in ["docProps/core.xml", "docProps/app.xml"] {
        let Some(xml) = package.xml(part, draft)? else { continue };
        let mut reader = XmlReader::new(&xml, part, draft.budget());
        while let Some(node) = reader.next()? {
            let Node::Start(element) = node else { continue };
            let name = element.name();
            // The root holds elements, not a value.
            if matches!(name, "coreProperties" | "Properties") {
                continue;
            }
            let value = reader.text()?;
            let metadata = draft.metadata();
            match name {
                "title" => metadata.set_title(&value),
                "creator" => metadata.set_author(&value),
                "created" => metadata.set_created(&value),
                "modified" => metadata.set_modified(&value),
                "subject" | "keywords" | "description" | "category" | "lastModifiedBy" => {
                    metadata.set_property(name, &value);
                }
                "Application" => metadata.set_property("producer", &value),
                "Company" => metadata.set_property("company", &value),
                "Pages" if format == Format::Docx => metadata.pages = value.trim().parse().ok(),
                _ => {}
            }
        }
        reader.finish(draft);
    }
    Ok(())
}

/// All text of a part, paragraphs as lines.
fn text_of(xml: &str, part: &str, budget: &Budget) -> Result<String> {
    let mut text = String::new();
    let mut reader = XmlReader::new(xml, part, budget);
    while let Some(node) = reader.next()? {
        match node {
            // `dgm:t` is what holds the paragraphs of a diagram.
            Node::Start(element) if element.name() == "t" && element.qualified() != "dgm:t" => {
                reader.text_into(&mut text)?;
            }
            Node::End("p") if !text.is_empty() && !text.ends_with('\n') => text.push('\n'),
            _ => {}
        }
    }
    Ok(text)
}
