//! Word documents before 2007 ([MS-DOC]).

mod changes;
mod header;
mod lists;
mod notes;
mod pieces;
mod rows;
mod runs;
mod story;
mod styles;

use std::collections::HashSet;
use std::ops::Range;

use crate::draft::{Draft, Source};
use crate::error::Result;
use crate::extract::Extractor;
use crate::extract::numbering::Numbering;
use crate::format::Format;
use header::{Header, Part};
use lists::read_lists;
use notes::{Labels, comments, header_stories};
use pieces::Pieces;
use runs::{Paragraphs, omissions};
use story::Stories;
use styles::Styles;

use super::properties::read_properties;

/// Word 6 to 2003: headers, the body, text boxes, footnotes, endnotes, comments, footers. Deleted text and field
/// instructions are left out; a header that stands on many pages is read once.
pub(in crate::extract) struct Doc;

impl Extractor for Doc {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let budget = draft.budget();
        let file = super::open(&source.bytes, Format::Doc)?;
        let stream = super::required_stream(&file, "WordDocument", Format::Doc, draft)?;
        let header = Header::read(&stream)?;
        let tables = match header.table_stream() {
            Some(name) => super::required_stream(&file, name, Format::Doc, draft)?,
            None => stream.clone(),
        };
        let data = super::read_stream(&file, "Data", draft)?.unwrap_or_default();

        let stories = Stories {
            pieces: Pieces::read(&header, &stream, &tables),
            omitted: omissions(&header, &stream, &tables, budget)?,
            paragraphs: Paragraphs::read(&header, &stream, &tables, &data, budget)?,
            styles: Styles::read(&header, &tables),
            labels: Labels::read(&header, &tables, budget)?,
        };
        let mut numbering = read_lists(&header, &tables, budget)?;
        let (headers, footers) = header_stories(&header, &tables);
        repeated(&headers, &stories, &mut numbering, draft)?;
        for part in [Part::Body, Part::TextBoxes, Part::Footnotes, Part::Endnotes] {
            stories.read(header.part(part), "", &mut numbering, draft)?;
        }
        for (comment, label) in comments(&header, &tables) {
            stories.read(comment, &label, &mut numbering, draft)?;
        }
        repeated(&footers, &stories, &mut numbering, draft)?;
        stories.read(header.part(Part::HeaderTextBoxes), "", &mut numbering, draft)?;
        read_properties(&file, Format::Doc, draft)
    }
}

/// Reads all headers or all footers, each text once.
fn repeated(
    parts: &[Range<u32>],
    stories: &Stories<'_>,
    numbering: &mut Numbering,
    draft: &mut Draft<'_>,
) -> Result<()> {
    let mut seen = HashSet::new();
    for part in parts {
        let (all, outside) = stories.letters(part.clone(), draft.budget())?;
        let has_letters = |text: &str| text.chars().any(char::is_alphabetic);
        // A page number alone is no text, and one that differs makes no other text.
        if has_letters(&all) && seen.insert(if has_letters(&outside) { outside } else { all }) {
            stories.read(part.clone(), "", numbering, draft)?;
        }
    }
    Ok(())
}
