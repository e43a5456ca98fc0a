//! PDF by pdfium, beside our own reader.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)] // A failed step is a failed test.

use std::path::{Path, PathBuf};

use buttress_docpipeline::{Document, Error, PdfEngine, Pipeline, PipelineConfig, Result, Source};

fn library() -> PathBuf {
    let variable = "BUTTRESS_PDFIUM";
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_file()).unwrap_or_else(|| {
        panic!(
            "{variable} must name the library of pdfium: `pip download --no-deps pypdfium2` brings a wheel, a ZIP file \
             with pypdfium2_raw/libpdfium.so in it"
        )
    })
}

fn config(library: &Path) -> PipelineConfig {
    let mut config = PipelineConfig::default();
    config.pdf.engine = PdfEngine::Pdfium;
    library.clone_into(&mut config.pdf.library);
    config
}

fn sample(name: &str) -> Vec<u8> {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/docproc/samples/pdf");
    std::fs::read(samples.join(name)).unwrap()
}

fn read(bytes: Vec<u8>, config: PipelineConfig) -> Result<Document> {
    let source = Source { name: Some("a.pdf"), bytes: bytes.into() };
    Ok(Pipeline::new(config).process(&source)?.document)
}

fn words(document: &Document) -> Vec<&str> {
    document.text.split_whitespace().collect()
}

#[test]
fn both_engines_read_the_same() {
    let library = library();
    for name in ["harbour.pdf", "columns.pdf", "library.pdf", "pier.pdf", "manual.pdf"] {
        let (ours, theirs) = (
            read(sample(name), PipelineConfig::default()).unwrap(),
            read(sample(name), config(&library)).unwrap(),
        );
        assert_eq!(words(&ours), words(&theirs), "{name}");
        assert_eq!(ours.metadata, theirs.metadata, "{name}");
        assert_eq!(ours.headings.len(), theirs.headings.len(), "{name}");
    }
}

#[test]
fn a_damaged_file_is_refused() {
    let error = read(b"%PDF-1.7\nnothing".to_vec(), config(&library())).unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
}
