//! The language of the text.

use std::borrow::Cow;

use whatlang::Detector;

use crate::budget::Budget;
use crate::document::{Document, Language};
use crate::draft::Source;
use crate::error::Result;
use crate::pipeline::Stage;

/// How much text is looked at: comparing trigrams costs 50 ms for each megabyte, and tells little more past this.
const SAMPLE_BYTES: usize = 3 << 10;

/// In how many places: one passage may be a quotation, a table, or code. Sixteen short ones tell as much as one of
/// more than twice the length of them all.
const PLACES: usize = 16;

/// Fewer letters than this tell a language only by luck.
const FEWEST_LETTERS: usize = 20;

/// Below this, the answer is a guess between relatives.
const LEAST_CONFIDENCE: f64 = 0.3;

/// Detects the language from a sample out of the whole text, unless the text is too short to tell.
///
/// A language that the document declares for itself is often a template's, so it is only believed where detection
/// is unsure: then an extractor's [`Metadata::language`](crate::Metadata) stays.
#[derive(Debug, Clone, Copy, Default)]
pub struct LanguageStage;

impl Stage for LanguageStage {
    fn name(&self) -> &'static str {
        "language"
    }

    fn apply(&self, document: &mut Document, _: &Source<'_>, _: &Budget) -> Result<()> {
        let sample = &*sample(&document.text);
        if sample.chars().filter(|c| c.is_alphabetic()).take(FEWEST_LETTERS).count() < FEWEST_LETTERS {
            return Ok(());
        }
        if let Some(info) = Detector::new().detect(sample)
            && info.confidence() >= LEAST_CONFIDENCE
        {
            document.metadata.language =
                Some(Language { code: info.lang().code().to_owned(), confidence: info.confidence() });
        }
        Ok(())
    }
}

/// A short text, or passages of a long one at equal distances.
fn sample(text: &str) -> Cow<'_, str> {
    if text.len() <= SAMPLE_BYTES {
        return text.into();
    }
    let passage = |place: usize| {
        let start = (text.len() - SAMPLE_BYTES / PLACES) / (PLACES - 1) * place;
        let end = text.floor_char_boundary(start + SAMPLE_BYTES / PLACES);
        text.get(text.ceil_char_boundary(start)..end).unwrap_or_default()
    };
    (0..PLACES).map(passage).collect::<Vec<_>>().join(" ").into()
}
