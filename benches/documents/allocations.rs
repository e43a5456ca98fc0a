//! What the pipeline asks of the allocator: `documents_allocations LIST` reads each file of the list once and tells,
//! a line of JSON a document, how often it allocated and how much it held at once.
#![allow(clippy::print_stdout, reason = "its answers go to standard output")]

use allocation_counter::measure;
use anyhow::Context;
use buttress_docpipeline::{Pipeline, PipelineConfig, Source};
use serde_json::json;

fn main() -> anyhow::Result<()> {
    let pipeline = Pipeline::new(PipelineConfig::default());
    let list = std::env::args().nth(1).context("name a list of files")?;
    for path in std::fs::read_to_string(list)?.lines() {
        let source = Source { name: Some(path), bytes: std::fs::read(path)?.into() };
        let mut read = None;
        // What is allocated once for all documents is no document's.
        let _ = pipeline.process(&source);
        let counted = measure(|| read = pipeline.process(&source).ok());
        let Some(processed) = read else { continue };
        let answer = json!({
            "format": processed.document.format,
            "text": processed.document.text.len(),
            "allocations": counted.count_total,
            "allocated": counted.bytes_total,
            "held": counted.bytes_max,
        });
        println!("{answer}");
    }
    Ok(())
}
