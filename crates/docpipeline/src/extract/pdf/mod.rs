//! PDF (ISO 32000). hayro reads the objects; the content is walked for its text alone: no outline, image or colour is
//! ever decoded, and most font programs are never opened.
//!
//! The way of the text: streams undone, every byte counted ([`filters`]) > tokens ([`tokens`]) > strings and where they
//! are set ([`walk`], [`state`]) > glyphs with Unicode and place ([`font`]) > lines, by the distances between glyphs
//! ([`lines`]) > paragraphs and headings, by the distances between lines ([`layout`]).
//!
//! Pages of pictures instead of text are read after all others, by OCR if it is on ([`scans`]).

mod filters;
mod font;
mod guard;
mod layers;
mod layout;
mod lines;
mod metadata;
#[cfg(feature = "pdfium")]
mod pdfium;
mod picture;
mod scans;
mod state;
mod tiff;
mod tokens;
mod walk;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use hayro_syntax::{DecryptionError, LoadPdfError, Pdf as Parsed};

use crate::config::{OcrConfig, PdfConfig, PdfEngine};
use crate::draft::{Draft, Source};
use crate::error::{Error, Result};
use crate::extract::Extractor;
use crate::format::Format;
use layers::Layers;
use lines::Line;
use scans::Scan;
use walk::{Finished, Shared};

/// PDF. Invisible text, as OCR leaves it, is read.
pub(crate) struct Pdf {
    /// What reads it.
    pub(crate) config: PdfConfig,
    /// How pages of pictures are read.
    pub(crate) ocr: OcrConfig,
}

impl Extractor for Pdf {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        if self.config.engine == PdfEngine::Pdfium {
            let pages = pdfium::pages(source, &self.config.library, draft)?;
            return write(&pages, &HashMap::new(), draft);
        }
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

        let mut shared = Shared::new(budget, Layers::read(parsed.xref()));
        let (mut pages, mut scans, mut unmapped, mut glyphs) = (Vec::new(), Vec::new(), 0, 0);
        for (index, page) in parsed.pages().iter().enumerate() {
            budget.check_time()?;
            // One page that cannot be read costs that page.
            let Ok(finished) = catch_unwind(AssertUnwindSafe(|| shared.page(page))) else {
                draft.warn(format!("page {} cannot be read", index + 1));
                pages.push(Vec::new());
                continue;
            };
            let Finished { lines, pictures, glyphs: shown, unmapped: unknown } = finished?;
            if lines.is_empty() && !pictures.is_empty() {
                scans.push(Scan { page: index, rotation: page.rotation(), pictures });
            }
            unmapped += unknown;
            glyphs += shown;
            pages.push(lines);
        }
        if glyphs == 0 && scans.is_empty() {
            draft.warn(format!("no text: {} pages of drawings", pages.len()));
        } else if unmapped * 10 > glyphs {
            draft.warn(format!("{unmapped} of {glyphs} glyphs stand for no character that the file tells"));
        }
        let recognised = scans::read(&scans, &self.ocr, draft)?;
        write(&pages, &recognised, draft)
    }
}

#[cfg(not(feature = "pdfium"))]
mod pdfium {
    use std::path::Path;

    use super::{Draft, Error, Line, Result, Source};

    pub(super) fn pages(_: &Source<'_>, _: &Path, _: &mut Draft<'_>) -> Result<Vec<Vec<Line>>> {
        let (backend, feature) = ("pdfium".to_owned(), "pdfium".to_owned());
        Err(Error::BackendNotCompiled { backend, feature })
    }
}

/// Writes the pages: the lines of each, and the paragraphs that OCR made of its pictures.
fn write(pages: &[Vec<Line>], recognised: &HashMap<usize, Vec<String>>, draft: &mut Draft<'_>) -> Result<()> {
    let body = layout::Body::of(pages);
    for (index, page) in pages.iter().enumerate() {
        draft.begin_page()?;
        for paragraph in layout::paragraphs(page, body) {
            match paragraph.level {
                Some(level) => draft.heading(level, &paragraph.text)?,
                None => draft.paragraph(&paragraph.text)?,
            }
        }
        for paragraph in recognised.get(&index).into_iter().flatten() {
            draft.paragraph(paragraph)?;
        }
    }
    Ok(())
}
