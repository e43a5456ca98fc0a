//! Cutting text for search and models.

use std::collections::VecDeque;

use crate::budget::Budget;
use crate::config::ChunkConfig;
use crate::document::{Chunk, Document, Span};
use crate::draft::Source;
use crate::error::Result;
use crate::kernel::{BLOCK, Kernel, Level, Simd, below, bits};
use crate::pipeline::Stage;
use crate::stage::pieces::{Marks, Pieces};

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
        let mut window = Window { pieces: Pieces::new(simd, text), blocks: VecDeque::new(), tokens: 0 };
        // Where the chunk begins, and where the one before ended.
        let (mut start, mut last_end) = (Place::default(), Place::default());
        while start.at < text.len() {
            let most = start.tokens_before.saturating_add(max);
            if window.read_past(most).is_none() {
                let tokens = window.tokens - start.tokens_before;
                chunks.push(Chunk { span: Span { start: start.at, end: text.len() }, tokens });
                break;
            }
            let half = start.tokens_before + max.div_ceil(2);
            let Some(end) = window.best(last_end.at, half, most) else { break };
            let tokens = end.tokens_before - start.tokens_before;
            chunks.push(Chunk { span: Span { start: start.at, end: end.at }, tokens });
            let repeated = end.tokens_before.saturating_sub(overlap);
            (start, last_end) = (window.first(start.at, repeated).unwrap_or(end), end);
            window.forget(start.at);
        }
        chunks
    }
}

/// A place where a chunk may end and the next one begin.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    at: usize,
    /// Tokens of the text before it.
    tokens_before: usize,
}

/// The blocks with places that a chunk may end at, read as far as they are needed.
struct Window<'t, S> {
    pieces: Pieces<'t, S>,
    blocks: VecDeque<Block>,
    /// The tokens of all that was read.
    tokens: usize,
}

/// A block and what stands in it.
struct Block {
    start: Place,
    marks: Marks,
}

impl<S: Simd> Window<'_, S> {
    /// Reads until there are more than so many tokens; `None` if the text has no more.
    #[inline(always)]
    fn read_past(&mut self, tokens: usize) -> Option<()> {
        while self.tokens <= tokens {
            let start = Place { at: self.pieces.at(), tokens_before: self.tokens };
            let mut marks = self.pieces.next_block()?;
            // Nothing stands before the text that could be cut off.
            marks.places &= if start.at == 0 { !1 } else { u64::MAX };
            self.tokens += marks.tokens.count_ones() as usize;
            // So that white space without end takes no memory.
            if marks.places != 0 {
                self.blocks.push_back(Block { start, marks });
            }
        }
        Some(())
    }

    /// The best place after `after` with at most so many tokens before it: of the best kind of those with at least
    /// `half`, the last; else the last of all.
    #[inline(always)]
    fn best(&self, after: usize, half: usize, most: usize) -> Option<Place> {
        let mut last = None;
        // How many kinds are better, and the place.
        let mut best: Option<(usize, Place)> = None;
        for block in &self.blocks {
            let places = block.places_after(after) & block.within(most);
            if places == 0 {
                continue;
            }
            last = Some(block.last(places));
            let places = places & !block.within(half - 1);
            let Marks { headings, paragraphs, lines, sentences, .. } = block.marks;
            let kinds = [headings, paragraphs, lines, sentences, u64::MAX];
            let found = kinds.into_iter().map(|kind| kind & places).enumerate().find(|(_, kind)| *kind != 0);
            if let Some((better_kinds, places)) = found
                && best.is_none_or(|(least, _)| better_kinds <= least)
            {
                best = Some((better_kinds, block.last(places)));
            }
        }
        best.map(|(_, place)| place).or(last)
    }

    /// The first place after `after` with at least so many tokens before it.
    #[inline(always)]
    fn first(&self, after: usize, tokens: usize) -> Option<Place> {
        self.blocks.iter().find_map(|block| {
            let short = if tokens == 0 { 0 } else { block.within(tokens - 1) };
            let places = block.places_after(after) & !short;
            (places != 0).then(|| block.place(places.trailing_zeros()))
        })
    }

    /// Drops the blocks before `start`.
    #[inline(always)]
    fn forget(&mut self, start: usize) {
        while self.blocks.front().is_some_and(|block| block.start.at + BLOCK <= start) {
            self.blocks.pop_front();
        }
    }
}

impl Block {
    #[inline(always)]
    fn places_after(&self, after: usize) -> u64 {
        let passed = (after + 1).saturating_sub(self.start.at);
        self.marks.places & !below(u32::try_from(passed).unwrap_or(u64::BITS))
    }

    /// The bytes before which there are at most so many tokens.
    #[inline(always)]
    fn within(&self, tokens: usize) -> u64 {
        let Some(here) = tokens.checked_sub(self.start.tokens_before) else { return 0 };
        if here >= self.marks.tokens.count_ones() as usize {
            return u64::MAX;
        }
        // Up to the token that is one too many, which has the others before it.
        bits(self.marks.tokens).nth(here).map_or(u64::MAX, |first| below(first + 1))
    }

    #[inline(always)]
    fn last(&self, places: u64) -> Place {
        self.place(u64::BITS - 1 - places.leading_zeros())
    }

    #[inline(always)]
    fn place(&self, bit: u32) -> Place {
        let here = (self.marks.tokens & below(bit)).count_ones() as usize;
        Place { at: self.start.at + bit as usize, tokens_before: self.start.tokens_before + here }
    }
}
