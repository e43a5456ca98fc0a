//! Pictures of text, read by a program of its own: no decoder of pictures runs in this process.

#[cfg(unix)]
mod program;

use std::borrow::Cow;
use std::time::Duration;

use buttress_core::units::format_duration;

use crate::budget::Budget;
use crate::config::OcrConfig;
use crate::error::{Error, Result};

/// The part of a document's time that is kept for what comes after OCR: it must not cost the document.
const KEPT_TIME: u32 = 5;

/// The most text that a picture may be read as.
const MOST_TEXT_BYTES: usize = 1 << 20;

/// A file with a picture of text.
pub(crate) struct Picture<'a> {
    /// The file, of a kind that [`Picture::is_known`] knows.
    pub(crate) file: Cow<'a, [u8]>,
    /// How many of its pixels are an inch.
    pub(crate) pixels_per_inch: u32,
    /// Whether it is seen as it stands in the file, not turned.
    pub(crate) upright: bool,
}

impl Picture<'_> {
    /// Whether the file begins as a JPEG, JPEG 2000 or TIFF file does.
    ///
    /// Nothing else may reach tesseract: it takes what is no picture for a list of files to read.
    fn is_known(&self) -> bool {
        let beginnings: [&[u8]; 3] = [b"\xff\xd8\xff", b"\0\0\0\x0cjP  \r\n\x87\n", b"II*\0"];
        beginnings.iter().any(|beginning| self.file.starts_with(beginning))
    }
}

/// Why a picture was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unread {
    #[error("OCR is off; set ocr.mode = \"auto\" and install tesseract to have such pages read")]
    Off,
    #[error("the program `{0}` was not found; install tesseract, or name its path in ocr.program")]
    Missing(String),
    #[error("{0}")]
    Unsuited(String),
    #[error("`{program}` {problem}")]
    Failed { program: String, problem: String },
    #[error("it took longer than {}; raise ocr.page_time if such pictures are expected", format_duration(*.0))]
    Slow(Duration),
    #[error("the time for OCR is used up; raise limits.time if such documents are expected")]
    NoTime,
    #[error("only {0} pages of a document are read so; raise ocr.max_pages if there may be more")]
    TooMany(usize),
    /// The document ends here.
    #[error(transparent)]
    Ended(#[from] Error),
}

impl Unread {
    /// Whether no other picture of the document can be read either.
    pub(crate) fn concerns_all(&self) -> bool {
        matches!(self, Self::Off | Self::Missing(_) | Self::NoTime | Self::TooMany(_))
    }
}

/// The text of a picture, as lines; an empty one between paragraphs.
pub(crate) fn read(picture: &Picture<'_>, config: &OcrConfig, budget: &Budget) -> Result<String, Unread> {
    if !picture.is_known() {
        return Err(Unread::Unsuited(
            "the picture is damaged: it does not begin as its kind does".to_owned(),
        ));
    }
    let kept = budget.limits().time / KEPT_TIME;
    let time = budget.remaining().saturating_sub(kept).min(config.page_time);
    if time.is_zero() {
        return Err(Unread::NoTime);
    }
    let text = run(picture, config, time, budget)?;
    String::from_utf8(text).map_err(|_| failed(config, "wrote text that is not UTF-8"))
}

fn failed(config: &OcrConfig, problem: impl Into<String>) -> Unread {
    Unread::Failed { program: config.program.clone(), problem: problem.into() }
}

#[cfg(unix)]
use program::run;

#[cfg(not(unix))]
fn run(_: &Picture<'_>, config: &OcrConfig, _: Duration, _: &Budget) -> Result<Vec<u8>, Unread> {
    Err(failed(config, "is run on Unix only"))
}
