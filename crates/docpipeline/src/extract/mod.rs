//! From bytes of one format to text.

mod archive;
mod code_pages;
mod delimited;
mod eml;
mod epub;
mod grid;
mod html;
mod ipynb;
mod json;
mod latex;
mod markdown;
pub(crate) mod mbox;
mod numbering;
mod numbers;
mod odf;
pub(crate) mod ole;
mod ooxml;
mod ordinals;
mod org;
mod package;
mod pdf;
mod pictures;
mod rst;
mod rtf;
mod text;
mod xml;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::PipelineConfig;
use crate::detect;
use crate::draft::{Draft, Source};
use crate::error::{Error, Result};
use crate::format::Format;

/// Reads documents of one format.
///
/// An extractor reads from [`Source::bytes`], writes into the [`Draft`], and charges the draft's
/// [`Budget`](crate::Budget) for whatever the input can make large or long. It may fail at any point; it should not
/// panic, and where it does, the document fails and the pipeline goes on.
pub trait Extractor: Send + Sync + 'static {
    /// Reads `source` into `draft`.
    ///
    /// # Errors
    ///
    /// Why the document cannot be read. What could not be read where the rest could is a
    /// [`Draft::warn`] instead.
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()>;
}

/// The extractor of each format.
///
/// Users put their own in place of, or beside, those that come with the crate.
#[derive(Clone)]
pub struct Extractors(BTreeMap<Format, Arc<dyn Extractor>>);

impl std::fmt::Debug for Extractors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Extractors {
    /// No extractors at all.
    #[must_use]
    pub fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// An extractor for every format, each told by `config` how to read.
    #[must_use]
    pub fn all(config: &PipelineConfig) -> Self {
        Self::none()
            .with(Format::Text, text::Text)
            .with(Format::Markdown, markdown::Markdown)
            .with(Format::Ipynb, ipynb::Ipynb)
            .with(Format::Rst, rst::Rst)
            .with(Format::Latex, latex::Latex)
            .with(Format::Org, org::Org)
            .with(Format::Html, html::Html { main_text_only: config.main_text_only })
            .with(Format::Pdf, pdf::Pdf { config: config.pdf.clone(), ocr: config.ocr.clone() })
            .with(Format::Docx, ooxml::Docx)
            .with(Format::Xlsx, ooxml::Xlsx)
            .with(Format::Pptx, ooxml::Pptx)
            .with(Format::Odt, odf::Odf(Format::Odt))
            .with(Format::Ods, odf::Odf(Format::Ods))
            .with(Format::Odp, odf::Odf(Format::Odp))
            .with(Format::Doc, ole::Doc)
            .with(Format::Xls, ole::Xls)
            .with(Format::Ppt, ole::Ppt)
            .with(Format::Epub, epub::Epub)
            .with(Format::Rtf, rtf::Rtf)
            .with(Format::Eml, eml::Eml)
            .with(Format::Mbox, mbox::Mbox)
            .with(Format::Zip, archive::Zip)
            .with(Format::Tar, archive::Tar)
            .with(Format::Gzip, archive::Gzip)
            .with(Format::Csv, delimited::Delimited(Format::Csv))
            .with(Format::Tsv, delimited::Delimited(Format::Tsv))
            .with(Format::Json, json::Json)
            .with(Format::Xml, xml::Xml)
    }

    /// The same, with `extractor` for `format`.
    #[must_use]
    pub fn with(mut self, format: Format, extractor: impl Extractor) -> Self {
        self.0.insert(format, Arc::new(extractor));
        self
    }

    /// Finds out the format of `source` from its content.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] for content of any other kind.
    pub fn detect(&self, source: &Source<'_>) -> Result<Format> {
        detect::detect(source)
    }

    /// Reads `source` as `format` into `draft`.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] when there is no extractor for the format, or the extractor's own.
    pub fn extract(&self, format: Format, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let extractor =
            self.0.get(&format).ok_or_else(|| Error::Unsupported { found: format!("{format}") })?;
        extractor.extract(source, draft)?;
        draft.end_heading()
    }
}
