//! PDF (ISO 32000), read with hayro: its interpreter runs each page's content, and a device of ours keeps the glyphs.
//!
//! The way of the text: content stream > glyphs with Unicode and place ([`device`]) > lines, by the distances between
//! glyphs ([`lines`]) > paragraphs and headings, by the distances between lines ([`layout`]).

mod device;
mod guard;
mod layout;
mod lines;
mod metadata;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use hayro_interpret::{Context, InterpreterCache, InterpreterSettings, interpret_page, kurbo};
use hayro_syntax::page::Page;
use hayro_syntax::{DecryptionError, LoadPdfError, Pdf as Parsed};

use crate::draft::{Draft, Source};
use crate::error::{Error, Result};
use crate::extract::Extractor;
use crate::format::Format;
use device::TextDevice;
use lines::Line;

/// PDF. Images, paths and shadings are passed over; invisible text, as OCR leaves it, is read.
pub(crate) struct Pdf;

impl Extractor for Pdf {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let budget = draft.budget();
        guard::refuse_bombs(&source.bytes, budget)?;
        let parsed = Parsed::new(Arc::new(source.bytes.clone())).map_err(|error| match error {
            LoadPdfError::Decryption(
                DecryptionError::PasswordProtected | DecryptionError::UnsupportedAlgorithm,
            ) => Error::Encrypted { format: Format::Pdf },
            LoadPdfError::Decryption(_) => {
                Error::malformed(Format::Pdf, "its encryption dictionary does not read")
            }
            LoadPdfError::Invalid => Error::malformed(
                Format::Pdf,
                "no page can be found, neither by its cross-reference table nor by searching",
            ),
        })?;
        metadata::read(parsed.metadata(), draft.metadata());

        let cache = InterpreterCache::new();
        let (mut pages, mut unmapped, mut glyphs) = (Vec::new(), 0, 0);
        for (index, page) in parsed.pages().iter().enumerate() {
            budget.check_time()?;
            // One page that cannot be read costs that page.
            let read = catch_unwind(AssertUnwindSafe(|| {
                let mut device = TextDevice::new(budget);
                run(page, &cache, &mut device);
                device.finish()
            }));
            let Ok(finished) = read else {
                draft.warn(format!("page {} cannot be read", index + 1));
                pages.push(Vec::new());
                continue;
            };
            let finished = finished?;
            unmapped += finished.unmapped;
            glyphs += finished.glyphs;
            pages.push(finished.lines);
        }
        if glyphs == 0 {
            draft.warn(format!("no text: {} pages of images or drawings; OCR is not built in", pages.len()));
        } else if unmapped * 10 > glyphs {
            draft.warn(format!("{unmapped} of {glyphs} glyphs stand for no character that the file tells"));
        }
        write(&pages, draft)
    }
}

fn run<'a>(page: &Page<'a>, cache: &InterpreterCache<'a>, device: &mut TextDevice<'_>) {
    // Distances matter, not where on a canvas they are; the page's own coordinates do.
    let everywhere = kurbo::Rect::new(-1e6, -1e6, 1e6, 1e6);
    let settings = InterpreterSettings::default();
    let mut context = Context::new(kurbo::Affine::IDENTITY, everywhere, cache, page.xref(), settings);
    interpret_page(page, &mut context, device);
}

fn write(pages: &[Vec<Line>], draft: &mut Draft<'_>) -> Result<()> {
    let body = layout::body_size(pages);
    for page in pages {
        draft.begin_page()?;
        for paragraph in layout::paragraphs(page, body) {
            match paragraph.level {
                Some(level) => draft.heading(level, &paragraph.text)?,
                None => draft.paragraph(&paragraph.text)?,
            }
        }
    }
    Ok(())
}
