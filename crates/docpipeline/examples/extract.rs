//! Prints the text of documents: `cargo run -p buttress-docpipeline --example extract -- FILE…`
#![allow(clippy::print_stdout, clippy::print_stderr)] // A program, not a library.

use std::path::Path;

use buttress_docpipeline::{Pipeline, PipelineConfig, Source};

fn main() -> std::io::Result<()> {
    let pipeline = Pipeline::new(PipelineConfig::default());
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path)?.into();
        let name = Path::new(&path).file_name().and_then(|name| name.to_str());
        match pipeline.process(&Source { name, bytes }) {
            Ok(processed) => {
                let document = processed.document;
                eprintln!("{path}: {} {:?} {:?}", document.format, document.metadata, document.warnings);
                println!("{}", document.text);
            }
            Err(error) => eprintln!("{path}: {error}"),
        }
    }
    Ok(())
}
