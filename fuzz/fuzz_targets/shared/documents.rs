//! Documents through the whole pipeline, within limits that keep a run short.

use std::sync::LazyLock;
use std::time::Duration;

use buttress_core::ByteSize;
use buttress_docpipeline::{Pipeline, PipelineConfig, Source};

static PIPELINE: LazyLock<Pipeline> = LazyLock::new(|| {
    let mut config = PipelineConfig::default();
    config.limits.output_bytes = ByteSize::mib(4);
    config.limits.expanded_bytes = ByteSize::mib(16);
    config.limits.entries = 1000;
    config.limits.cells = 20_000;
    config.limits.time = Duration::from_secs(5);
    Pipeline::new(config)
});

/// Reads a document: text or an error, never a panic, and marks that lie inside the text on character boundaries.
///
/// The name is asked only where the content leaves the format open.
pub fn process<'n>(name: impl Into<Option<&'n str>>, bytes: Vec<u8>) {
    let source = Source { name: name.into(), bytes: bytes.into() };
    match PIPELINE.process(&source) {
        Ok(processed) => {
            let document = processed.document;
            let headings = document.headings.iter().map(|heading| heading.span);
            let parts = document.parts.iter().map(|part| part.span);
            let chunks = document.chunks.iter().map(|chunk| chunk.span);
            let others = document.tables.iter().chain(&document.pages).copied();
            for span in headings.chain(parts).chain(chunks).chain(others) {
                assert!(document.text.get(span.range()).is_some(), "{span:?} is not inside the text");
            }
        }
        // The pipeline turns a panic into an error, which must not hide it here.
        Err(error) => assert_ne!(error.cause(), "panicked", "{error}"),
    }
}
