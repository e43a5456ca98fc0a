//! Word documents.

mod numbering;
mod story;
mod styles;

use std::collections::HashSet;

use crate::draft::{Draft, Source};
use crate::error::Result;
use crate::extract::Extractor;
use crate::extract::ooxml::{Relations, main_part, properties, read_graphics, text_of};
use crate::extract::package::Package;
use crate::format::Format;
use numbering::read_numbering;
use story::Story;
use styles::Styles;

/// `WordprocessingML`: headers, the body, footnotes, endnotes, comments, footers. Deleted text and field codes are
/// left out; a header that stands on many pages is read once.
pub(in crate::extract) struct Docx;

impl Extractor for Docx {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let budget = draft.budget();
        let mut package = Package::open(source.bytes.clone(), Format::Docx, budget)?;
        let main = main_part(&mut package, "word/document.xml", draft)?;
        let parts = Relations::of(&main, &mut package, draft)?;
        let mut optional = |kind: &str, draft: &mut Draft<'_>| -> Result<String> {
            let Some(path) = parts.of_kind(kind) else { return Ok(String::new()) };
            Ok(package.xml(path, draft)?.unwrap_or_default())
        };
        let styles = Styles::read(&optional("styles", draft)?, budget)?;
        let numbering = read_numbering(&optional("numbering", draft)?, budget)?;
        let body = package.required_xml(&main, draft)?;

        let mut story = Story::new(&styles, numbering);
        repeated("header", &parts, &mut package, &mut story, draft)?;
        story.read(&body, &main, draft)?.finish_main(Format::Docx, draft)?;
        read_graphics(&parts, &mut package, draft)?;
        for kind in ["footnotes", "endnotes", "comments"] {
            if let Some(path) = parts.of_kind(kind)
                && let Some(xml) = package.xml(path, draft)?
            {
                story.read(&xml, path, draft)?.finish(draft);
            }
        }
        repeated("footer", &parts, &mut package, &mut story, draft)?;
        properties(&mut package, Format::Docx, draft)
    }
}

/// Reads all headers or all footers, each text once.
fn repeated(
    kind: &str,
    parts: &Relations,
    package: &mut Package<'_>,
    story: &mut Story<'_>,
    draft: &mut Draft<'_>,
) -> Result<()> {
    let mut seen = HashSet::new();
    for path in parts.all_of_kind(kind) {
        let Some(xml) = package.xml(path, draft)? else { continue };
        let text = text_of(&xml, path, draft.budget())?;
        // A page number alone is no text.
        if text.chars().any(char::is_alphabetic) && seen.insert(text) {
            story.read(&xml, path, draft)?.finish(draft);
        }
    }
    Ok(())
}
