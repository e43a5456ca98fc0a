//! Formats that are packages of XML, and XML itself: what people see comes out, what hurts is refused.
//!
//! Inputs are built here, so that each test shows what it is about.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)] // A failed step is a failed test.

mod docx;
mod epub;
mod hostile;
mod opendocument;
mod pptx;
mod xlsx;
mod xml;

use std::io::{Cursor, Write};

use buttress_docpipeline::{Document, Error, Pipeline, PipelineConfig, Source};
use zip::write::SimpleFileOptions;

/// A ZIP file of these members.
fn zipped(members: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// The relations of an Office part: id, kind, target.
fn relations(of: &[(&str, &str, &str)]) -> String {
    let kinds = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let entries = of.iter().map(|(id, kind, target)| {
        format!(r#"<Relationship Id="{id}" Type="{kinds}/{kind}" Target="{target}"/>"#)
    });
    format!("<Relationships>{}</Relationships>", entries.collect::<String>())
}

fn process(name: &str, bytes: Vec<u8>) -> Result<Document, Error> {
    let pipeline = Pipeline::new(PipelineConfig::default());
    pipeline.process(&Source { name: Some(name), bytes: bytes.into() }).map(|processed| processed.document)
}

fn read(name: &str, bytes: Vec<u8>) -> Document {
    process(name, bytes).unwrap()
}
