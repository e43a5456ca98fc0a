//! Cutting text for search and models.

use crate::budget::Budget;
use crate::config::ChunkConfig;
use crate::document::{Chunk, Document, Span};
use crate::draft::Source;
use crate::error::Result;
use crate::pipeline::Stage;
use crate::stage::tokens::{Piece, pieces};

/// Fills [`Document::chunks`] with [`chunk`].
#[derive(Debug, Clone)]
pub struct ChunkStage(pub ChunkConfig);

impl Stage for ChunkStage {
    fn name(&self) -> &'static str {
        "chunk"
    }

    fn apply(&self, document: &mut Document, _: &Source<'_>, budget: &Budget) -> Result<()> {
        document.chunks = chunk(&document.text, &self.0);
        budget.check_time()
    }
}

/// How good a place is to cut before; a better one is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cut {
    Word,
    Sentence,
    Line,
    Paragraph,
    Heading,
}

/// A place where a chunk may end and the next one begin.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: usize,
    cut: Cut,
    /// Tokens of the text before it.
    tokens_before: usize,
}

/// The smallest chunk: a piece that is never cut counts up to 8 tokens, and half a chunk may be overlap.
pub(crate) const LEAST_TOKENS: usize = 16;

/// Cuts a text into chunks of at most `config.max_tokens` (at least 16), at the best place in the second half of each: before a
/// heading, else between paragraphs, lines, sentences, words.
///
/// The chunks are in order and cover the text: each begins where the one before ends, or earlier by at most
/// `config.overlap_tokens`, at a word. White space at a cut belongs to the chunk before it. Offsets are on character
/// boundaries. An empty text has no chunks. Cost: linear.
///
/// ```
/// use buttress_docpipeline::{ChunkConfig, chunk};
///
/// let text = "It rained for nine days and nine nights. Then it stopped, and the river went on rising for a week.";
/// let chunks = chunk(text, &ChunkConfig::new(16, 0));
/// let texts: Vec<_> = chunks.iter().map(|chunk| &text[chunk.span.range()]).collect();
/// assert_eq!(texts.len(), 2);
/// assert_eq!(texts[0], "It rained for nine days and nine nights. ");
/// ```
#[must_use]
pub fn chunk(text: &str, config: &ChunkConfig) -> Vec<Chunk> {
    let max = config.max_tokens.max(LEAST_TOKENS);
    let overlap = config.overlap_tokens.min(max / 2);
    let (places, total) = places(text);
    let mut chunks = Vec::new();
    // The chunk begins at `start`; `next` is the first place that it has not reached.
    let (mut start, mut start_tokens, mut next) = (0, 0, 0);
    while start < text.len() {
        if total - start_tokens <= max {
            chunks.push(Chunk { span: Span { start, end: text.len() }, tokens: total - start_tokens });
            break;
        }
        let reach = |place: &&Place| place.tokens_before - start_tokens <= max;
        let within = places.get(next..).unwrap_or_default().iter().take_while(reach).count();
        let candidates = places.get(next..next + within).unwrap_or_default();
        let half_full = |place: &&Place| (place.tokens_before - start_tokens) * 2 >= max;
        // The best kind of cut in the second half, the latest of that kind; else the latest of all.
        let best = candidates.iter().filter(half_full).max_by_key(|place| (place.cut, place.at));
        let Some(end) = best.or(candidates.last()).or(places.get(next)).copied() else { break };
        chunks.push(Chunk { span: Span { start, end: end.at }, tokens: end.tokens_before - start_tokens });
        next = places.partition_point(|place| place.at <= end.at);
        let repeats = |place: &&Place| end.tokens_before - place.tokens_before <= overlap && place.at > start;
        let first_repeated =
            places.get(..next).unwrap_or_default().iter().rev().take_while(repeats).last().unwrap_or(&end);
        (start, start_tokens) = (first_repeated.at, first_repeated.tokens_before);
    }
    chunks
}

/// Every place where the text may be cut, in order, and the number of its tokens.
fn places(text: &str) -> (Vec<Place>, usize) {
    let mut places = Vec::new();
    let mut tokens_before = 0;
    let mut before = Before::default();
    for piece in pieces(text) {
        if piece.tokens > 0 && piece.start > 0 {
            let cut = before.cut(text, piece);
            places.push(Place { at: piece.start, cut, tokens_before });
        }
        before.read(text, piece);
        tokens_before += piece.tokens;
    }
    (places, tokens_before)
}

/// What stands before a piece.
#[derive(Debug, Default)]
struct Before {
    line_ends: usize,
    space: bool,
    sentence_end: bool,
}

impl Before {
    fn cut(&self, text: &str, piece: Piece) -> Cut {
        match self.line_ends {
            2.. if text.get(piece.start..).is_some_and(|rest| rest.starts_with('#')) => Cut::Heading,
            2.. => Cut::Paragraph,
            1 => Cut::Line,
            _ if self.sentence_end && self.space => Cut::Sentence,
            _ => Cut::Word,
        }
    }

    fn read(&mut self, text: &str, piece: Piece) {
        let read = text.get(piece.start..piece.end).unwrap_or_default();
        if piece.tokens == 0 {
            self.line_ends = read.matches('\n').count();
            self.space = true;
            return;
        }
        self.line_ends = 0;
        self.space = false;
        // A closing quote or bracket after the end of a sentence still ends it; a full-width mark needs no space.
        self.sentence_end = match read {
            "." | "!" | "?" | "…" => true,
            "。" | "！" | "？" => {
                self.space = true;
                true
            }
            "\"" | "'" | ")" | "]" | "”" | "’" | "»" => self.sentence_end,
            _ => false,
        };
    }
}
