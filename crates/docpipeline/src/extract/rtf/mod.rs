//! Rich Text Format 1.9.
//!
//! A document is groups in braces, control words, and text in the encoding of its font. Groups that hold no text of the
//! document (fonts, colours, pictures, …) are passed over, as the standard asks for every destination that a reader
//! does not know and that is marked with `\*`.

mod reader;

use crate::draft::{Draft, Source};
use crate::error::Result;
use crate::extract::Extractor;

/// RTF.
pub(crate) struct Rtf;

impl Extractor for Rtf {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        reader::read(&source.bytes, draft)
    }
}
