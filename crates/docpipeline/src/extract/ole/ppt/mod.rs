//! `PowerPoint` presentations before 2007 ([MS-PPT]).

mod persist;
mod records;
mod shapes;
mod text;

use std::collections::HashMap;

use crate::draft::{Draft, Source};
use crate::error::{Error, Result};
use crate::extract::Extractor;
use crate::format::Format;
use persist::Parts;
use records::{Record, kind};
use shapes::{shapes, write, write_text};
use text::{Text, TextRecords, string};

use super::numbers_at::u32_at;
use super::properties::read_properties;

/// The lists of slides of a document: their instances.
const SLIDES: u16 = 0;
const NOTES: u16 = 2;

/// `PowerPoint` 97 to 2003: each slide as a page with its title as heading, then its text and tables, speaker notes and
/// comments.
pub(in crate::extract) struct Ppt;

impl Extractor for Ppt {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let budget = draft.budget();
        let file = super::open(&source.bytes, Format::Ppt)?;
        let stream = super::required_stream(&file, "PowerPoint Document", Format::Ppt, draft)?;
        let current_user = super::read_stream(&file, "Current User", draft)?.unwrap_or_default();
        let parts = Parts::read(&stream, &current_user, budget)?;
        let Some(document) = parts.document() else {
            if file.has("Text_Content") {
                return Err(Error::Unsupported {
                    found: "a PowerPoint presentation from before 1997".to_owned(),
                });
            }
            return Err(Error::malformed(Format::Ppt, "the part that lists its slides is missing"));
        };
        let notes: HashMap<u32, u32> =
            listed(document, NOTES, draft)?.into_iter().map(|slide| (slide.id, slide.part)).collect();
        for (number, listed) in (1..).zip(listed(document, SLIDES, draft)?) {
            draft.begin_page()?;
            let outline = listed.outline.into_iter().map(|text| text.finish(budget));
            let outline = outline.collect::<Result<Vec<Text>>>()?;
            let Some(slide) = parts.part(listed.part).filter(|part| part.kind == kind::SLIDE) else {
                draft.warn(format!("slide {number} is missing but for its outline"));
                for text in &outline {
                    write_text(text, draft)?;
                }
                continue;
            };
            write(&shapes(slide, &outline, draft)?, None, draft)?;
            let notes_id = slide.child(kind::SLIDE_ATOM).and_then(|atom| u32_at(atom.data, 16));
            let of_slide = notes_id.and_then(|id| parts.part(*notes.get(&id)?));
            if let Some(of_slide) = of_slide.filter(|part| part.kind == kind::NOTES) {
                write(&shapes(of_slide, &[], draft)?, Some("Notes:"), draft)?;
            }
            write_comments(slide, draft)?;
        }
        read_properties(&file, Format::Ppt, draft)
    }
}

/// A slide as a list names it.
struct Listed<'s> {
    id: u32,
    part: u32,
    outline: Vec<TextRecords<'s>>,
}

/// The slides of a list of the document, with the text that stands there instead of in their shapes.
fn listed<'s>(document: Record<'s>, instance: u16, draft: &Draft<'_>) -> Result<Vec<Listed<'s>>> {
    let mut slides: Vec<Listed<'_>> = Vec::new();
    let mut text: Option<TextRecords<'_>> = None;
    let is_list = |record: &Record<'_>| record.kind == kind::SLIDE_LIST && record.instance == instance;
    let records = document.children().filter(is_list).flat_map(Record::children);
    for record in records {
        draft.budget().tick()?;
        let begins = matches!(record.kind, kind::SLIDE_PERSIST | kind::TEXT_HEADER);
        if begins && let (Some(slide), Some(text)) = (slides.last_mut(), text.take()) {
            slide.outline.push(text);
        }
        match record.kind {
            kind::SLIDE_PERSIST => slides.push(Listed {
                id: u32_at(record.data, 12).unwrap_or(0),
                part: u32_at(record.data, 0).unwrap_or(0),
                outline: Vec::new(),
            }),
            kind::TEXT_HEADER => text = Some(TextRecords::begin(record)),
            _ => {
                if let Some(text) = &mut text {
                    text.add(record);
                }
            }
        }
    }
    if let (Some(slide), Some(text)) = (slides.last_mut(), text) {
        slide.outline.push(text);
    }
    Ok(slides)
}

/// The comments on a slide.
fn write_comments(slide: Record<'_>, draft: &mut Draft<'_>) -> Result<()> {
    let tags = slide.children().filter(|record| record.kind == kind::TAGS).flat_map(Record::children);
    let data = tags.filter(|record| record.kind == kind::BINARY_TAG).flat_map(Record::children);
    let inside = data.filter(|record| record.kind == kind::BINARY_TAG_DATA).flat_map(Record::children);
    for comment in inside.filter(|record| record.kind == kind::COMMENT) {
        // Who wrote it has instance 0.
        let text = comment.children().find(|record| record.kind == kind::STRING && record.instance == 1);
        if let Some(text) = text {
            draft.paragraph(&format!("Comment: {}", string(text).trim()))?;
        }
    }
    Ok(())
}
