//! Cutting text for search and models.

use crate::budget::Budget;
use crate::config::ChunkConfig;
use crate::document::{Chunk, Document, Span};
use crate::draft::Source;
use crate::error::Result;
use crate::kernel::{Kernel, Level, Simd};
use crate::pipeline::Stage;
use crate::stage::tokens::{Kind, Piece, Pieces};

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
    Level::best().run(Cutting { text, config })
}

/// [`chunk`].
pub(crate) struct Cutting<'a> {
    pub(crate) text: &'a str,
    pub(crate) config: &'a ChunkConfig,
}

impl Kernel for Cutting<'_> {
    type Output = Vec<Chunk>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Vec<Chunk> {
        let Self { text, config } = self;
        let max = config.max_tokens.max(LEAST_TOKENS);
        let overlap = config.overlap_tokens.min(max / 2);
        let mut chunks = Vec::new();
        let mut read = Read::new(simd, text);
        // The chunk begins at `start`; `next` is the first of the places read that it has not reached.
        let (mut start, mut start_tokens, mut next) = (0, 0, 0);
        while start < text.len() {
            read.up_to(start_tokens + max);
            if read.is_done && read.tokens - start_tokens <= max {
                chunks.push(Chunk {
                    span: Span { start, end: text.len() },
                    tokens: read.tokens - start_tokens,
                });
                break;
            }
            let candidates = read.places.get(next..).unwrap_or_default();
            let within = candidates.partition_point(|place| place.tokens_before - start_tokens <= max);
            let candidates = candidates.get(..within).unwrap_or_default();
            let half_full =
                candidates.partition_point(|place| (place.tokens_before - start_tokens) * 2 < max);
            // The best kind of cut in the second half, the latest of that kind; else the latest of all.
            let second_half = candidates.get(half_full..).unwrap_or_default();
            let best = second_half.iter().max_by_key(|place| (place.cut, place.at));
            let Some(end) = best.or(candidates.last()).or(read.places.get(next)).copied() else { break };
            chunks
                .push(Chunk { span: Span { start, end: end.at }, tokens: end.tokens_before - start_tokens });
            let passed = read.places.partition_point(|place| place.at <= end.at);
            let repeats =
                |place: &&Place| end.tokens_before - place.tokens_before <= overlap && place.at > start;
            let repeated = read.places.get(..passed).unwrap_or_default().iter().rev().take_while(repeats);
            let (first_repeated, repeated) = repeated.fold((end, 0), |(_, count), place| (*place, count + 1));
            (start, start_tokens) = (first_repeated.at, first_repeated.tokens_before);
            // What is before the new chunk is not looked at again.
            read.places.drain(..passed - repeated);
            next = repeated;
        }
        chunks
    }
}

/// The places where a text may be cut, in order, read as far as they are needed.
struct Read<'t, S> {
    text: &'t str,
    pieces: Pieces<'t, S>,
    places: Vec<Place>,
    before: Before,
    /// The tokens of all that was read.
    tokens: usize,
    is_done: bool,
}

impl<'t, S: Simd> Read<'t, S> {
    #[inline(always)]
    fn new(simd: S, text: &'t str) -> Self {
        let pieces = Pieces::new(simd, text);
        Self { text, pieces, places: Vec::new(), before: Before::default(), tokens: 0, is_done: false }
    }

    /// Reads until more than `tokens` are read, or all.
    #[inline(always)]
    fn up_to(&mut self, tokens: usize) {
        while self.tokens <= tokens {
            let Some(piece) = self.pieces.next() else {
                self.is_done = true;
                return;
            };
            if piece.tokens > 0 && piece.start > 0 {
                let cut = self.before.cut(self.text, piece);
                self.places.push(Place { at: piece.start, cut, tokens_before: self.tokens });
            }
            self.before.read(self.text, piece);
            self.tokens += piece.tokens;
        }
    }
}

/// What stands before a piece.
#[derive(Debug, Default)]
struct Before {
    line_ends: usize,
    space: bool,
    sentence_end: bool,
}

impl Before {
    #[inline(always)]
    fn cut(&self, text: &str, piece: Piece) -> Cut {
        match self.line_ends {
            2.. if text.as_bytes().get(piece.start) == Some(&b'#') => Cut::Heading,
            2.. => Cut::Paragraph,
            1 => Cut::Line,
            _ if self.sentence_end && self.space => Cut::Sentence,
            _ => Cut::Word,
        }
    }

    #[inline(always)]
    fn read(&mut self, text: &str, piece: Piece) {
        let read = text.get(piece.start..piece.end).unwrap_or_default();
        if piece.kind == Kind::Space {
            self.line_ends = read.bytes().filter(|byte| *byte == b'\n').count();
            self.space = true;
            return;
        }
        self.line_ends = 0;
        self.space = false;
        // A closing quote or bracket after the end of a sentence still ends it; a full-width mark needs no space.
        self.sentence_end = piece.kind == Kind::Single
            && match read {
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
