//! No copy after decoding: what a document costs the allocator, counted.
//!
//! The claim: a document's bytes are never copied as such, its text is written once, and whatever is found in the text
//! afterwards is a span into it.
#![allow(clippy::unwrap_used, missing_docs)] // Failing is what a test is for.

use allocation_counter::{AllocationInfo, measure};
use buttress_docpipeline::{Document, Pipeline, PipelineConfig, Source};

/// Enough that what every document costs does not count.
const MIB: usize = 1 << 20;

/// English of about `bytes`, in lines and paragraphs.
fn prose(bytes: usize) -> String {
    let paragraph = "The harbour lay quiet that morning, and the boats had gone out before the light.\n\
                     Nobody had seen them leave; the keeper's lamp, he said later, had burned all night.\n\n";
    paragraph.repeat(bytes / paragraph.len())
}

fn read(pipeline: &Pipeline, name: &str, bytes: Vec<u8>) -> (Document, AllocationInfo) {
    let source = Source { name: Some(name), bytes: bytes.into() };
    // What is allocated once, for all documents.
    pipeline.process(&source).unwrap();
    let mut read = None;
    let counted = measure(|| read = Some(pipeline.process(&source).unwrap().document));
    (read.unwrap(), counted)
}

/// How many bytes were asked for, for each byte of text.
fn per_byte(counted: &AllocationInfo, document: &Document) -> f64 {
    counted.bytes_total as f64 / document.text.len() as f64
}

#[test]
fn a_text_is_copied_once_and_never_again() {
    let (document, counted) = read(&Pipeline::new(PipelineConfig::default()), "a.txt", prose(8 * MIB).into());
    assert!(document.chunks.len() > 1000 && document.statistics.words > 1_000_000, "all stages have run");
    let copies = per_byte(&counted, &document);
    assert!(copies < 1.1, "the text, its chunks and nothing else: {copies:.2} times the text");
    assert!(counted.count_total < 100, "{} allocations, whatever the size", counted.count_total);
}

#[test]
fn what_comes_after_decoding_copies_no_text() {
    let whole = Pipeline::new(PipelineConfig::default());
    let decoding = Pipeline::new(PipelineConfig::default()).without_stages();
    let html = format!("<html><body><p>{}</p></body></html>", prose(MIB).replace("\n\n", "</p><p>"));
    let rtf = format!("{{\\rtf1 {}}}", prose(MIB).replace("\n\n", "\\par "));
    let json = serde_json::to_string(&prose(MIB).lines().collect::<Vec<_>>()).unwrap();
    for (name, bytes) in
        [("a.html", html), ("a.rtf", rtf), ("a.json", json), ("a.md", prose(MIB)), ("a.csv", prose(MIB))]
    {
        let (_, before) = read(&decoding, name, bytes.clone().into());
        let (document, counted) = read(&whole, name, bytes.into());
        let after = (counted.bytes_total - before.bytes_total) as f64 / document.text.len() as f64;
        assert!(after < 0.2, "{name}: {after:.2} times the text after it was decoded");
    }
}
