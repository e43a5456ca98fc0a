//! Plain text in any common encoding.

use crate::charset::decode;
use crate::draft::{Draft, Source};
use crate::error::Result;
use crate::extract::Extractor;

/// Plain text. Form feeds end pages, as printers had it.
pub(crate) struct Text;

impl Extractor for Text {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let (text, encoding) = decode(&source.bytes, None, draft.budget())?;
        draft.metadata().encoding = Some(encoding.to_owned());
        if !text.trim_end().contains('\u{c}') {
            return draft.push(&text);
        }
        for page in text.trim_end().split('\u{c}') {
            draft.begin_page()?;
            draft.push(page)?;
        }
        Ok(())
    }
}
