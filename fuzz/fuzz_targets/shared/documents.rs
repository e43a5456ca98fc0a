//! Documents through the whole pipeline, within limits that keep a run short.

use std::sync::LazyLock;
use std::time::Duration;

use buttress_core::ByteSize;
use buttress_docpipeline::{Pipeline, PipelineConfig, Source};

static PIPELINE: LazyLock<Pipeline> = LazyLock::new(|| {
    let mut config = PipelineConfig::default();
    config.limits.output_bytes = ByteSize::mib(1);
    config.limits.expanded_bytes = ByteSize::mib(4);
    config.limits.cells = 20_000;
    config.limits.time = Duration::from_secs(10);
    Pipeline::new(config)
});

/// Reads a document: text or an error, never a panic, and marks that lie inside the text.
pub fn process(name: &str, bytes: Vec<u8>) {
    let source = Source { name: Some(name), bytes: bytes.into() };
    match PIPELINE.process(&source) {
        Ok(processed) => {
            let document = processed.document;
            let spans = document.headings.iter().map(|heading| heading.span);
            for span in spans.chain(document.tables.iter().copied()).chain(document.pages.iter().copied()) {
                assert!(document.text.get(span.range()).is_some(), "{span:?} is not inside the text");
            }
        }
        Err(error) => assert_ne!(error.cause(), "panicked", "{error}"),
    }
}
