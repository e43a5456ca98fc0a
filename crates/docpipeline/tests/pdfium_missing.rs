//! PDF by pdfium where there is none.
#![allow(clippy::unwrap_used, missing_docs)] // A failed unwrap is a failed test.

use buttress_docpipeline::{Error, PdfEngine, Pipeline, PipelineConfig, Source};

#[test]
fn the_error_says_what_is_missing() {
    let mut config = PipelineConfig::default();
    config.pdf.engine = PdfEngine::Pdfium;
    config.pdf.library = "/nowhere/libpdfium.so".into();
    let source = Source { name: Some("a.pdf"), bytes: "%PDF-1.7\n".into() };
    let error = Pipeline::new(config).process(&source).unwrap_err();
    if cfg!(feature = "pdfium") {
        assert!(
            matches!(&error, Error::NoLibrary { library, .. } if library == "/nowhere/libpdfium.so"),
            "{error}"
        );
    } else {
        let (backend, feature) = ("pdfium".to_owned(), "pdfium".to_owned());
        assert_eq!(error, Error::BackendNotCompiled { backend, feature });
    }
}
