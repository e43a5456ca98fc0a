//! Counts over the text.

use crate::budget::Budget;
use crate::document::{Document, Statistics};
use crate::draft::Source;
use crate::error::Result;
use crate::kernel::{Count, Level};
use crate::pipeline::Stage;

/// Counts the characters, words and lines of [`Document::text`].
#[derive(Debug, Clone, Copy, Default)]
pub struct StatisticsStage;

impl Stage for StatisticsStage {
    fn name(&self) -> &'static str {
        "statistics"
    }

    fn apply(&self, document: &mut Document, _: &Source<'_>, _: &Budget) -> Result<()> {
        document.statistics = Statistics::of(&document.text);
        Ok(())
    }
}

impl Statistics {
    /// Counts the characters, words and lines of a text. Cost: linear, some gigabytes a second.
    ///
    /// ```
    /// let counts = buttress_docpipeline::Statistics::of("The sea comes,\n\nand goes.\n");
    /// assert_eq!((counts.characters, counts.words, counts.lines), (26, 5, 2));
    /// ```
    #[must_use]
    pub fn of(text: &str) -> Self {
        Level::best().run(Count(text))
    }
}
