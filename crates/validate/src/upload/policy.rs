//! Which uploads are taken.

use buttress_core::{ByteSize, Validate, Violations};

use super::check::UploadCheck;
use super::kind::Kind;
use super::notes::Note;
use crate::error::Invalid;
use crate::file_name::SafeFileName;

/// What an upload may be.
///
/// | field | default | |
/// |---|---|---|
/// | `kinds` | images but SVG, PDF, new Office, OpenDocument, text | by content |
/// | `max_bytes` | 16 MiB | as sent |
/// | `max_inflated` | 512 MiB | what an archive inflates to |
/// | `max_ratio` | 100 | inflated to sent, once more than a MiB is inflated |
/// | `max_entries` | 10000 | of an archive; 48 bytes of memory each |
/// | `refuse` | `html`, `php` | what else may not be in it |
/// | `match_name` | yes | whether the extension has to be the content's |
/// | `match_type` | yes | whether the media type that was sent has to be the content's |
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct UploadPolicy {
    /// The kinds that are taken.
    pub kinds: Vec<Kind>,
    /// The most bytes as sent.
    pub max_bytes: ByteSize,
    /// The most bytes that an archive inflates to.
    pub max_inflated: ByteSize,
    /// The most bytes inflated for each byte sent.
    pub max_ratio: u64,
    /// The most entries of an archive.
    pub max_entries: usize,
    /// What refuses an upload that has it.
    pub refuse: Vec<Note>,
    /// Whether the name's extension has to be one of the kind's.
    pub match_name: bool,
    /// Whether the media type has to be one of the kind's.
    pub match_type: bool,
}

impl Default for UploadPolicy {
    fn default() -> Self {
        use Kind::{Avif, Bmp, Docx, Gif, Heic, Jpeg, Odp, Ods, Odt, Pdf, Png, Pptx, Text, Tiff, Webp, Xlsx};
        Self {
            kinds: vec![
                Png, Jpeg, Gif, Webp, Bmp, Tiff, Avif, Heic, Pdf, Docx, Xlsx, Pptx, Odt, Ods, Odp, Text,
            ],
            max_bytes: ByteSize::mib(16),
            max_inflated: ByteSize::mib(512),
            max_ratio: 100,
            max_entries: 10_000,
            refuse: vec![Note::Html, Note::Php],
            match_name: true,
            match_type: true,
        }
    }
}

impl UploadPolicy {
    /// Begins to judge one upload. `name` comes by [`SafeFileName::parse`] or [`SafeFileName::sanitize`]; `mime` is what the sender
    /// says of the content.
    ///
    /// # Errors
    ///
    /// The name or the media type is of no kind that is taken.
    pub fn begin(&self, name: SafeFileName, mime: Option<&str>) -> Result<UploadCheck, Invalid> {
        UploadCheck::begin(self.clone(), name, mime)
    }
}

impl Validate for UploadPolicy {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        wrong.require(!self.kinds.is_empty(), "kinds", "[]", "must name one kind at least, such as \"png\"");
        wrong.require(
            self.max_bytes.bytes() > 0,
            "max_bytes",
            self.max_bytes,
            "must be at least 1; 16MiB is usual",
        );
        wrong.require(self.max_ratio >= 2, "max_ratio", self.max_ratio, "must be at least 2; 100 is usual");
        let entries = "must be between 1 and 1000000; 10000 is usual";
        wrong.require((1..=1_000_000).contains(&self.max_entries), "max_entries", self.max_entries, entries);
        wrong.into_result()
    }
}
