//! What stands on every page: headers and footers.

use std::collections::HashSet;

use crate::draft::Draft;
use crate::error::Result;
use crate::extract::xml::{Node, XmlReader, push_collapsed};

/// Reads the headers of all page styles, or the footers, each text once: `part` is the beginning of the names of
/// their elements.
pub(super) fn read_repeated(xml: &str, part: &str, draft: &mut Draft<'_>) -> Result<()> {
    let mut reader = XmlReader::new(xml, "styles.xml", draft.budget());
    let mut seen = HashSet::new();
    let (mut in_master_styles, mut inside) = (false, false);
    while let Some(node) = reader.next()? {
        match node {
            Node::Start(element) => match element.name() {
                "master-styles" => in_master_styles = true,
                "p" | "h" if inside => {
                    let mut text = String::new();
                    read_line(&mut reader, &mut text)?;
                    // A page number alone is no text.
                    if text.chars().any(char::is_alphabetic) && !seen.contains(&text) {
                        draft.paragraph(&text)?;
                        seen.insert(text);
                    }
                }
                name if in_master_styles && name.starts_with(part) => inside = true,
                _ => {}
            },
            Node::End("master-styles") => break,
            Node::End(name) if name.starts_with(part) => inside = false,
            _ => {}
        }
    }
    Ok(())
}

/// The text of a paragraph that holds nothing but text.
fn read_line(reader: &mut XmlReader<'_, '_>, line: &mut String) -> Result<()> {
    let inside = reader.depth();
    while reader.depth() >= inside {
        match reader.next()? {
            Some(Node::Text(text)) => push_collapsed(line, &text),
            Some(Node::Start(element)) if matches!(element.name(), "tab" | "s" | "line-break") => {
                line.push(' ');
            }
            Some(_) => {}
            None => break,
        }
    }
    Ok(())
}
