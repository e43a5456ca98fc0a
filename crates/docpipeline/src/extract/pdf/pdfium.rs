//! PDF by pdfium: it gives glyphs with their places, and our lines and paragraphs are made of these as of our own.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use hayro_font::kurbo::{Point, Vec2};
use pdfium_render::prelude::{
    PdfDocumentMetadataTagType as Tag, PdfPage, PdfPageTextChar, Pdfium, PdfiumError, PdfiumInternalError,
};

use super::font::names_bold;
use super::lines::{Line, LineBuilder, Mark, Script};
use crate::draft::{Draft, Source};
use crate::error::{Error, Result};
use crate::format::Format;

/// The library, and the path that it was asked for by. A process has one, and it reads one document at a time.
static LIBRARY: Mutex<Option<(PathBuf, Pdfium)>> = Mutex::new(None);

/// The lines of all pages.
pub(super) fn pages(source: &Source<'_>, library: &Path, draft: &mut Draft<'_>) -> Result<Vec<Vec<Line>>> {
    let mut loaded = LIBRARY.lock().unwrap_or_else(PoisonError::into_inner);
    let (path, pdfium) = match loaded.take() {
        Some(known) => loaded.insert(known),
        None => loaded.insert((library.to_owned(), load(library)?)),
    };
    if path != library {
        let problem = format!("this process has loaded {} in its place", path.display());
        return Err(Error::NoLibrary { library: library.display().to_string(), problem });
    }
    let document = pdfium.load_pdf_from_byte_slice(&source.bytes, None).map_err(|error| match error {
        PdfiumError::PdfiumLibraryInternalError(PdfiumInternalError::PasswordError) => {
            Error::Encrypted { format: Format::Pdf }
        }
        error => Error::malformed(Format::Pdf, format!("pdfium does not open it: {error}")),
    })?;

    let tags = document.metadata();
    let tag = |tag| tags.get(tag).map(|tag| tag.value().to_owned()).unwrap_or_default();
    let metadata = draft.metadata();
    metadata.set_title(&tag(Tag::Title));
    metadata.set_author(&tag(Tag::Author));
    metadata.set_created(&date(&tag(Tag::CreationDate)));
    metadata.set_modified(&date(&tag(Tag::ModificationDate)));
    for (name, kind) in [
        ("subject", Tag::Subject),
        ("keywords", Tag::Keywords),
        ("creator", Tag::Creator),
        ("producer", Tag::Producer),
    ] {
        metadata.set_property(name, &tag(kind));
    }

    let mut pages = Vec::new();
    for (index, page) in document.pages().iter().enumerate() {
        draft.budget().check_time()?;
        let read = lines(&page, draft)?;
        if read.is_none() {
            draft.warn(format!("page {} cannot be read", index + 1));
        }
        pages.push(read.unwrap_or_default());
    }
    if pages.iter().all(Vec::is_empty) {
        let count = pages.len();
        draft.warn(format!(
            "no text: {count} pages of pictures or drawings; pdf.engine = \"native\" may use OCR"
        ));
    }
    Ok(pages)
}

fn load(library: &Path) -> Result<Pdfium> {
    let bindings = if library.as_os_str().is_empty() {
        Pdfium::bind_to_system_library()
    } else {
        Pdfium::bind_to_library(library)
    };
    bindings.map(Pdfium::new).map_err(|error| Error::NoLibrary {
        library: match library.to_str() {
            Some("") => "libpdfium in the system's search path (pdf.library may name its path)".to_owned(),
            _ => library.display().to_string(),
        },
        problem: match error {
            PdfiumError::LoadLibraryError(error) => error.to_string(),
            error => error.to_string(),
        },
    })
}

/// The lines of a page; `None` if pdfium does not read it.
fn lines(page: &PdfPage<'_>, draft: &Draft<'_>) -> Result<Option<Vec<Line>>> {
    let Ok(text) = page.text() else { return Ok(None) };
    let mut lines = LineBuilder::default();
    let mut last: Option<(String, Mark)> = None;
    for glyph in text.chars().iter() {
        draft.budget().tick()?;
        // Spaces and ends of lines that pdfium puts in are found anew by the distances.
        if glyph.is_generated().unwrap_or(false) {
            continue;
        }
        let (Some(text), Ok(mark)) = (glyph.unicode_string(), mark(&glyph)) else { continue };
        match &mut last {
            // The letters of a ligature come one by one, all in its place.
            Some((letters, place)) if place.origin == mark.origin => letters.push_str(&text),
            _ => {
                if let Some((text, mark)) = last.replace((text, mark)) {
                    lines.push(&text, Script::of(&text), mark);
                }
            }
        }
    }
    if let Some((text, mark)) = last {
        lines.push(&text, Script::of(&text), mark);
    }
    Ok(Some(lines.finish()))
}

fn mark(glyph: &PdfPageTextChar<'_>) -> Result<Mark, PdfiumError> {
    let (x, y) = glyph.origin()?;
    let (sin, cos) = f64::from(glyph.angle_radians().unwrap_or(0.0)).sin_cos();
    let bounds = glyph.loose_bounds()?;
    let (width, height) = (f64::from(bounds.width().value), f64::from(bounds.height().value));
    // The box around the glyph has its width along the line, as far as the line is level.
    let along = if cos.abs() >= sin.abs() { width } else { height };
    Ok(Mark {
        origin: Point::new(x.value.into(), y.value.into()),
        advance: Vec2::new(cos, sin) * along,
        size: glyph.scaled_font_size().value.into(),
        bold: names_bold(glyph.font_name().as_bytes()),
    })
}

/// A date of PDF (ISO 32000-1, 7.9.4), `D:20240314120000+01'00'`, as ISO 8601; what is no such date stays out.
fn date(date: &str) -> String {
    let digits = date.strip_prefix("D:").unwrap_or(date);
    let part =
        |from: usize| digits.get(from..from + 2).filter(|part| part.bytes().all(|c| c.is_ascii_digit()));
    let Some((century, year)) = part(0).zip(part(2)) else { return String::new() };
    let [month, day] = [4, 6].map(|at| part(at).unwrap_or("01"));
    let [hour, minute, second] = [8, 10, 12].map(|at| part(at).unwrap_or("00"));
    let offset = (part(15).unwrap_or("00"), part(18).unwrap_or("00"));
    let zone = match digits.get(14..15) {
        Some(sign @ ("+" | "-")) if offset != ("00", "00") => format!("{sign}{}:{}", offset.0, offset.1),
        _ => "Z".to_owned(),
    };
    format!("{century}{year}-{month}-{day}T{hour}:{minute}:{second}{zone}")
}
