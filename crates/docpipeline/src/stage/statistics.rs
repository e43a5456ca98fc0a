//! Counts over the text.

use crate::budget::Budget;
use crate::document::{Document, Statistics};
use crate::draft::Source;
use crate::error::Result;
use crate::pipeline::Stage;

/// Counts the characters, words and lines of [`Document::text`].
#[derive(Debug, Clone, Copy, Default)]
pub struct StatisticsStage;

impl Stage for StatisticsStage {
    fn name(&self) -> &'static str {
        "statistics"
    }

    fn apply(&self, document: &mut Document, _: &Source<'_>, _: &Budget) -> Result<()> {
        let text = &document.text;
        document.statistics = Statistics {
            characters: text.chars().count(),
            words: text.split_whitespace().count(),
            lines: text.lines().filter(|line| !line.is_empty()).count(),
        };
        Ok(())
    }
}
