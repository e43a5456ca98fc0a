//! Any bytes through the whole pipeline, as a worker would take them: what they are is for the detector to find out.
//!
//! Besides not panicking, chunks must lie within the text and end where characters end.

#![no_main]

use std::sync::LazyLock;

use buttress_docpipeline::{Error, Pipeline, PipelineConfig, Source};
use libfuzzer_sys::fuzz_target;

static PIPELINE: LazyLock<Pipeline> = LazyLock::new(|| Pipeline::new(PipelineConfig::default()));

fuzz_target!(|bytes: &[u8]| {
    let source = Source { name: None, bytes: bytes.to_vec().into() };
    match PIPELINE.process(&source) {
        Ok(processed) => {
            let document = processed.document;
            for chunk in &document.chunks {
                let text = document.text.get(chunk.span.range());
                assert!(text.is_some(), "{:?} is no part of the text", chunk.span);
            }
        }
        // The pipeline turns a panic into an error, which must not hide it here.
        Err(error) => assert!(!matches!(error, Error::Panicked { .. }), "{error}"),
    }
});
