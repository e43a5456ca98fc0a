//! What a pipeline is allowed to do, and how it cuts text.

use std::path::PathBuf;
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
/// | `pdf` | see [`PdfConfig`] | what reads PDF |
/// | `ocr` | see [`OcrConfig`] | whether pictures of text are read; then the result depends on that program too |
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
    /// What reads PDF.
    pub pdf: PdfConfig,
    /// How pictures of text are read.
    pub ocr: OcrConfig,
}

/// Goes up with every change to what comes out of the same bytes and the same configuration.
const OUTPUT_VERSION: u32 = 3;

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
        wrong.nest("pdf", &self.pdf);
        wrong.nest("ocr", &self.ocr);
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
/// | `cells` | 2000000 | table cells, and lines of PDF pages |
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
    /// Table cells, and lines of PDF pages.
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

/// What reads PDF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PdfEngine {
    /// The reader of this crate: pure Rust, every step under the limits.
    #[default]
    Native,
    /// Chromium's pdfium, for what the native reader does not read well. It is C++: the limits hold between its pages
    /// and not within them, so it belongs into worker processes; in threads of one process it reads one document at a
    /// time. It reads no pictures.
    Pdfium,
}

/// How PDF is read.
///
/// | field | default | |
/// |---|---|---|
/// | `engine` | `"native"` | `"pdfium"` needs the feature `pdfium` and the library |
/// | `library` | `""` | path of pdfium's library; empty means the system's search path |
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PdfConfig {
    /// What reads it.
    pub engine: PdfEngine,
    /// The path of pdfium's library.
    pub library: PathBuf,
}

impl Validate for PdfConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        wrong.require(
            self.engine == PdfEngine::Native || cfg!(feature = "pdfium"),
            "engine",
            "pdfium",
            "must be \"native\" unless the program is built with the feature `pdfium` of buttress-docpipeline",
        );
        wrong.into_result()
    }
}

/// Whether pages of pictures are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OcrMode {
    /// They are not; a warning names them.
    #[default]
    Off,
    /// They are, where the program is there; where it is not, a warning says so.
    Auto,
}

/// How pages of a PDF that hold pictures and no text are read, by `tesseract` or a program that is called like it.
///
/// The pictures are handed to it as they are in the document: what decodes them is a process of its own, killed when it
/// takes too long, writes too much, or takes too much memory. What it cannot read costs a warning, never the
/// document.
///
/// | field | default | |
/// |---|---|---|
/// | `mode` | `"off"` | `"auto"` reads such pages where the program is there |
/// | `program` | `"tesseract"` | looked for in `PATH`, or a path |
/// | `languages` | `"eng"` | what it reads, joined by `+`: `"eng+deu"` |
/// | `max_pages` | 100 | such pages of one PDF that are read |
/// | `page_time` | 20s | wall time of one page; a fifth of `limits.time` is kept for what comes after all of them |
/// | `memory` | 1GiB | address space of the program (on Linux) |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct OcrConfig {
    /// Whether pages of pictures are read.
    pub mode: OcrMode,
    /// The program's name or path.
    pub program: String,
    /// The languages that it reads, joined by `+`.
    pub languages: String,
    /// The most pages of one PDF that are read.
    pub max_pages: usize,
    /// The most wall time of one page.
    #[serde(with = "buttress_core::units::duration")]
    pub page_time: Duration,
    /// The most address space of the program.
    pub memory: ByteSize,
}

impl Default for OcrConfig {
    fn default() -> Self {
        Self {
            mode: OcrMode::default(),
            program: "tesseract".to_owned(),
            languages: "eng".to_owned(),
            max_pages: 100,
            page_time: Duration::from_secs(20),
            memory: ByteSize::gib(1),
        }
    }
}

impl Validate for OcrConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        wrong.require(
            !self.program.is_empty(),
            "program",
            "\"\"",
            "must name a program; \"tesseract\" is usual",
        );
        let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '-');
        let name =
            |name: &str| name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(letters);
        wrong.require(
            self.languages.split('+').all(name),
            "languages",
            &self.languages,
            "must be names of languages as `tesseract --list-langs` has them, joined by +: \"eng+deu\"",
        );
        wrong.require(
            (1..=10_000).contains(&self.max_pages),
            "max_pages",
            self.max_pages,
            "must be 1 to 10000; `mode = \"off\"` reads none",
        );
        let time = buttress_core::units::format_duration(self.page_time);
        let shortest = Duration::from_millis(10);
        wrong.require(
            self.page_time >= shortest,
            "page_time",
            time,
            "must be at least \"10ms\"; \"20s\" is usual",
        );
        let least = ByteSize::mib(256);
        wrong.require(self.memory >= least, "memory", self.memory, "must be at least \"256MiB\"");
        wrong.into_result()
    }
}
