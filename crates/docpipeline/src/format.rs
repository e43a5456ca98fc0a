//! The formats that can be read.

use serde::{Deserialize, Serialize};

/// A document format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// Text in any common encoding.
    Text,
    /// Markdown (`CommonMark` with tables).
    Markdown,
    /// reStructuredText, as Docutils and Sphinx have it.
    Rst,
    /// LaTeX.
    Latex,
    /// Org, of Emacs' Org mode.
    Org,
    /// Jupyter notebook (nbformat 3 and 4).
    Ipynb,
    /// HTML or XHTML.
    Html,
    /// PDF (ISO 32000).
    Pdf,
    /// Word document (ECMA-376).
    Docx,
    /// Excel workbook (ECMA-376).
    Xlsx,
    /// `PowerPoint` presentation (ECMA-376).
    Pptx,
    /// Word document before 2007 ([MS-DOC], Word 6 to 2003).
    Doc,
    /// Excel workbook before 2007 ([MS-XLS], Excel 5 to 2003).
    Xls,
    /// `PowerPoint` presentation before 2007 ([MS-PPT], `PowerPoint` 97 to 2003).
    Ppt,
    /// `OpenDocument` text (ISO/IEC 26300).
    Odt,
    /// `OpenDocument` spreadsheet.
    Ods,
    /// `OpenDocument` presentation.
    Odp,
    /// Rich Text Format 1.9.
    Rtf,
    /// EPUB 2 or 3.
    Epub,
    /// A mail message (RFC 5322, MIME).
    Eml,
    /// A mailbox: messages one after another (RFC 4155).
    Mbox,
    /// Comma-separated values (RFC 4180), also with semicolons.
    Csv,
    /// Tab-separated values.
    Tsv,
    /// JSON (RFC 8259) or JSON Lines.
    Json,
    /// XML 1.0.
    Xml,
    /// ZIP archive.
    Zip,
    /// TAR archive.
    Tar,
    /// gzip stream (RFC 1952).
    Gzip,
}

impl Format {
    /// Every format, in the order of the enum.
    pub const ALL: [Self; 28] = [
        Self::Text,
        Self::Markdown,
        Self::Rst,
        Self::Latex,
        Self::Org,
        Self::Ipynb,
        Self::Html,
        Self::Pdf,
        Self::Docx,
        Self::Xlsx,
        Self::Pptx,
        Self::Doc,
        Self::Xls,
        Self::Ppt,
        Self::Odt,
        Self::Ods,
        Self::Odp,
        Self::Rtf,
        Self::Epub,
        Self::Eml,
        Self::Mbox,
        Self::Csv,
        Self::Tsv,
        Self::Json,
        Self::Xml,
        Self::Zip,
        Self::Tar,
        Self::Gzip,
    ];

    /// The format's name: `"docx"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Markdown => "markdown",
            Self::Rst => "rst",
            Self::Latex => "latex",
            Self::Org => "org",
            Self::Ipynb => "ipynb",
            Self::Html => "html",
            Self::Pdf => "pdf",
            Self::Docx => "docx",
            Self::Xlsx => "xlsx",
            Self::Pptx => "pptx",
            Self::Doc => "doc",
            Self::Xls => "xls",
            Self::Ppt => "ppt",
            Self::Odt => "odt",
            Self::Ods => "ods",
            Self::Odp => "odp",
            Self::Rtf => "rtf",
            Self::Epub => "epub",
            Self::Eml => "eml",
            Self::Mbox => "mbox",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Json => "json",
            Self::Xml => "xml",
            Self::Zip => "zip",
            Self::Tar => "tar",
            Self::Gzip => "gzip",
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
