//! The language of the text.

use whatlang::Detector;

use crate::budget::Budget;
use crate::document::{Document, Language};
use crate::draft::Source;
use crate::error::Result;
use crate::pipeline::Stage;

/// How much text is looked at: a trigram profile changes little past this, and costs 50 ms for each megabyte.
const SAMPLE_BYTES: usize = 8 << 10;

/// Fewer letters than this tell a language only by luck.
const FEWEST_LETTERS: usize = 20;

/// Below this, the answer is a guess between relatives.
const LEAST_CONFIDENCE: f64 = 0.3;

/// Detects the language from a sample out of the middle of the text, unless the text is too short to tell.
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
        let sample = middle(&document.text, SAMPLE_BYTES);
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

/// At most `bytes` of the text: titles, addresses and tables of contents stand at its beginning and tell less.
fn middle(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let start = text.ceil_char_boundary((text.len() - bytes) / 2);
    let end = text.floor_char_boundary(start + bytes);
    text.get(start..end).unwrap_or(text)
}
