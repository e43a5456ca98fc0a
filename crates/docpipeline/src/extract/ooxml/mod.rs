//! What the three Office formats (ECMA-376) share.

mod docx;
mod pptx;
mod xlsx;

use std::collections::HashMap;

pub(super) use docx::Docx;
pub(super) use pptx::Pptx;
pub(super) use xlsx::Xlsx;

use crate::draft::Draft;
use crate::error::Result;
use crate::extract::package::Package;
use crate::extract::xml::{Node, XmlReader};
use crate::format::Format;

/// A part that another part refers to.
struct Target {
    kind: String,
    path: String,
}

/// The relationships of `part` by their id.
fn relationships(
    package: &mut Package<'_>,
    part: &str,
    format: Format,
    draft: &Draft<'_>,
) -> Result<HashMap<String, Target>> {
    let (folder, file) = part.rsplit_once('/').unwrap_or(("", part));
    let path =
        if folder.is_empty() { format!("_rels/{file}.rels") } else { format!("{folder}/_rels/{file}.rels") };
    let mut targets = HashMap::new();
    let Some(xml) = package.xml(&path)? else { return Ok(targets) };
    let mut reader = XmlReader::new(&xml, format, &path, draft.budget());
    while let Some(node) = reader.next()? {
        if let Node::Start(element) = node
            && let (Some(id), Some(target)) = (element.attribute("Id"), element.attribute("Target"))
            && element.attribute("TargetMode").as_deref() != Some("External")
        {
            let kind = element.attribute("Type").unwrap_or_default();
            let kind = kind.rsplit('/').next().unwrap_or_default().to_owned();
            targets.insert(id, Target { kind, path: resolve(folder, &target) });
        }
    }
    Ok(targets)
}

/// `target` as seen from `folder`.
fn resolve(folder: &str, target: &str) -> String {
    if let Some(absolute) = target.strip_prefix('/') {
        return absolute.to_owned();
    }
    let mut steps: Vec<&str> = folder.split('/').filter(|step| !step.is_empty()).collect();
    for step in target.split('/') {
        match step {
            ".." => {
                steps.pop();
            }
            "" | "." => {}
            step => steps.push(step),
        }
    }
    steps.join("/")
}

/// Title, author, dates from `docProps`.
fn properties(package: &mut Package<'_>, format: Format, draft: &mut Draft<'_>) -> Result<()> {
    for part in ["docProps/core.xml", "docProps/app.xml"] {
        let Some(xml) = package.xml(part)? else { continue };
        let budget = draft.budget();
        let mut reader = XmlReader::new(&xml, format, part, budget);
        while let Some(node) = reader.next()? {
            let Node::Start(element) = node else { continue };
            let name = element.name().to_owned();
            // The root and lists of titles hold elements, not a value.
            if matches!(name.as_str(), "coreProperties" | "Properties") {
                continue;
            }
            let value = reader.text()?;
            let metadata = draft.metadata();
            match name.as_str() {
                "title" => metadata.set_title(&value),
                "creator" => metadata.set_author(&value),
                "created" => metadata.set_created(&value),
                "modified" => metadata.set_modified(&value),
                "subject" | "keywords" | "description" | "category" | "lastModifiedBy" => {
                    metadata.set_property(&name, &value);
                }
                "Application" => metadata.set_property("producer", &value),
                "Company" => metadata.set_property("company", &value),
                "Pages" if format == Format::Docx => metadata.pages = value.trim().parse().ok(),
                _ => {}
            }
        }
    }
    Ok(())
}
