//! Formats that are text, and what holds them: what people see comes out, what is damaged gives what it still holds.
//!
//! Inputs are built here, so that each test shows what it is about.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)] // A failed step is a failed test.
#![allow(clippy::format_collect)] // Small inputs, built once.

mod archives;
mod html;
mod ipynb;
mod json;
mod latex;
mod mail;
mod mbox;
mod org;
mod rst;
mod rtf;
mod tables;

use buttress_docpipeline::{Document, Error, Pipeline, PipelineConfig, Source};

fn process(name: &str, bytes: impl Into<Vec<u8>>) -> Result<Document, Error> {
    let pipeline = Pipeline::new(PipelineConfig::default());
    let source = Source { name: Some(name), bytes: bytes.into().into() };
    pipeline.process(&source).map(|processed| processed.document)
}

fn read(name: &str, bytes: impl Into<Vec<u8>>) -> Document {
    process(name, bytes).unwrap()
}

/// The headings with their levels.
fn headings(document: &Document) -> Vec<(u8, &str)> {
    document.headings.iter().map(|heading| (heading.level, document.slice(heading.span))).collect()
}

fn warned(document: &Document, of: &str) -> bool {
    document.warnings.iter().any(|warning| warning.contains(of))
}
