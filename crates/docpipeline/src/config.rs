//! What a pipeline is allowed to do, and how it cuts text.

use std::time::Duration;

use buttress_core::{ByteSize, Validate, Violations};
use serde::{Deserialize, Serialize};

use crate::stage::LEAST_TOKENS;

/// Everything that decides what comes out of a document. Two runs with equal configuration and equal bytes give
/// equal documents, so a hash of both is the key of a stored result.
///
/// | field | default | |
/// |---|---|---|
/// | `limits` | see [`Limits`] | what a document may cost |
/// | `chunks` | see [`ChunkConfig`] | how text is cut |
/// | `main_text_only` | `false` | HTML without navigation, banners and footers |
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PipelineConfig {
    /// What a document may cost.
    pub limits: Limits,
    /// How text is cut.
    pub chunks: ChunkConfig,
    /// Whether HTML is reduced to its main text.
    pub main_text_only: bool,
}

/// Goes up with every change to what comes out of the same bytes and the same configuration.
const OUTPUT_VERSION: u32 = 2;

impl PipelineConfig {
    /// Sixteen hex digits that differ when anything differs that decides what comes out of a document: this
    /// configuration, or the version of the pipeline's output.
    #[must_use]
    pub fn digest(&self) -> String {
        // Plain data with string keys: it always serialises.
        let text = serde_json::to_string(&(OUTPUT_VERSION, self)).unwrap_or_default();
        blake3::hash(text.as_bytes()).to_hex().chars().take(16).collect()
    }
}

impl Validate for PipelineConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        wrong.nest("limits", &self.limits);
        wrong.nest("chunks", &self.chunks);
        wrong.into_result()
    }
}

/// What one document may cost. Every limit is held on what is really read or produced, never on a size that the
/// document declares.
///
/// | field | default | counts |
/// |---|---|---|
/// | `input_bytes` | 256MiB | the document as it comes in |
/// | `output_bytes` | 64MiB | extracted text |
/// | `expanded_bytes` | 512MiB | all decompressed bytes together |
/// | `expansion_ratio` | 200 | decompressed to compressed, once past 4 MiB |
/// | `entries` | 10000 | entries of archives and packages, attachments |
/// | `depth` | 8 | documents inside documents |
/// | `nesting` | 256 | elements, arrays, groups inside one another |
/// | `attributes` | 1024 | attributes of one element |
/// | `pages` | 10000 | pages, slides, sheets |
/// | `cells` | 2000000 | table cells |
/// | `time` | 60s | wall time |
/// | `memory` | 1GiB | address space that a worker process may add while it runs (isolated workers only) |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of the document as it comes in.
    pub input_bytes: ByteSize,
    /// Bytes of extracted text.
    pub output_bytes: ByteSize,
    /// Bytes out of all decompression together.
    pub expanded_bytes: ByteSize,
    /// Decompressed bytes for each compressed one, once past 4 MiB.
    pub expansion_ratio: u64,
    /// Entries of archives and packages, and attachments.
    pub entries: u64,
    /// Documents inside documents.
    pub depth: u64,
    /// Elements, arrays or groups inside one another.
    pub nesting: u64,
    /// Attributes of one element.
    pub attributes: u64,
    /// Pages, slides or sheets.
    pub pages: u64,
    /// Table cells.
    pub cells: u64,
    /// Wall time.
    #[serde(with = "buttress_core::units::duration")]
    pub time: Duration,
    /// Address space that an isolated worker may add.
    pub memory: ByteSize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            input_bytes: ByteSize::mib(256),
            output_bytes: ByteSize::mib(64),
            expanded_bytes: ByteSize::mib(512),
            expansion_ratio: 200,
            entries: 10_000,
            depth: 8,
            nesting: 256,
            attributes: 1024,
            pages: 10_000,
            cells: 2_000_000,
            time: Duration::from_mins(1),
            memory: ByteSize::gib(1),
        }
    }
}

impl Validate for Limits {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        for (field, value) in [
            ("input_bytes", self.input_bytes.bytes()),
            ("output_bytes", self.output_bytes.bytes()),
            ("expanded_bytes", self.expanded_bytes.bytes()),
            ("expansion_ratio", self.expansion_ratio),
            ("entries", self.entries),
            ("depth", self.depth),
            ("attributes", self.attributes),
            ("pages", self.pages),
            ("cells", self.cells),
        ] {
            wrong.require(value >= 1, field, value, "must be at least 1");
        }
        // Readers recurse by level; 2 MiB of stack is known to hold 1,000 levels with room to spare.
        wrong.require((1..=1000).contains(&self.nesting), "nesting", self.nesting, "must be 1 to 1000");
        let shortest = Duration::from_millis(1);
        let time = buttress_core::units::format_duration(self.time);
        wrong.require(self.time >= shortest, "time", time, "must be at least \"1ms\"; \"60s\" is usual");
        let least = ByteSize::mib(64);
        wrong.require(self.memory >= least, "memory", self.memory, "must be at least \"64MiB\"");
        wrong.into_result()
    }
}

/// How text is cut into chunks.
///
/// | field | default | |
/// |---|---|---|
/// | `max_tokens` | 512 | the most that a chunk holds |
/// | `overlap_tokens` | 64 | how much of a chunk's end the next one repeats, at most |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ChunkConfig {
    /// The most tokens in a chunk.
    pub max_tokens: usize,
    /// The most tokens that a chunk repeats of the one before it.
    pub overlap_tokens: usize,
}

impl ChunkConfig {
    /// Chunks of at most `max_tokens`, each repeating at most `overlap_tokens` of the one before.
    #[must_use]
    pub fn new(max_tokens: usize, overlap_tokens: usize) -> Self {
        Self { max_tokens, overlap_tokens }
    }
}

impl Default for ChunkConfig {
    fn default() -> Self {
        Self { max_tokens: 512, overlap_tokens: 64 }
    }
}

impl Validate for ChunkConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        wrong.require(
            (LEAST_TOKENS..=1_000_000).contains(&self.max_tokens),
            "max_tokens",
            self.max_tokens,
            "must be 16 to 1000000; 512 is usual",
        );
        wrong.require(
            self.overlap_tokens <= self.max_tokens / 2,
            "overlap_tokens",
            self.overlap_tokens,
            "must be at most half of max_tokens",
        );
        wrong.into_result()
    }
}
