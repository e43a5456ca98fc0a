//! What else is in a content.

use super::kind::Kind;

/// What a content holds besides what its kind says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Note {
    /// Tags of a web page in an image, a film or a sound: a browser that guesses may run it.
    Html,
    /// `<?php` in such a content: a server that runs what it finds may run it.
    Php,
    /// The beginning of a ZIP archive in another kind. Four bytes, which may be there by chance.
    Archive,
    /// A PDF that does not begin at the beginning.
    Pdf,
    /// A PDF that runs something: `/JavaScript`, `/JS`, `/Launch`; or a drawing or page with a script.
    Script,
    /// A document with macros.
    Macros,
}

/// The longest needle less one.
const OVERLAP: usize = 10;

const PAGE: &[&[u8]] = &[b"<script", b"<html", b"<!doctype h", b"<svg", b"<iframe", b"<body"];
const ACTIVE_PDF: &[&[u8]] = &[b"/javascript", b"/js ", b"/js(", b"/js<", b"/launch"];
const ACTIVE_TEXT: &[&[u8]] = &[b"<script", b"onload=", b"onerror=", b"javascript:"];

/// Looks for needles in a stream.
#[derive(Debug, Default)]
pub(super) struct Finder {
    last: Vec<u8>,
    read: u64,
}

impl Finder {
    /// Reads on; `note` is told of each needle that is found.
    pub(super) fn push(&mut self, kind: Kind, bytes: &[u8], mut note: impl FnMut(Note)) {
        if kind.is_zip() || matches!(kind, Kind::Gzip | Kind::OtherArchive | Kind::Text | Kind::Program) {
            return;
        }
        // A needle across the border of two pieces.
        let kept = self.last.len();
        self.last.extend_from_slice(bytes.get(..OVERLAP.min(bytes.len())).unwrap_or_default());
        search(kind, &self.last, self.read, &mut note);
        search(kind, bytes, self.read + kept as u64, &mut note);
        self.last.truncate(kept);
        self.last.extend_from_slice(bytes.get(bytes.len().saturating_sub(OVERLAP)..).unwrap_or_default());
        let surplus = self.last.len().saturating_sub(OVERLAP);
        self.last.drain(..surplus);
        self.read = (self.read + (kept + bytes.len()) as u64).saturating_sub(self.last.len() as u64);
    }
}

fn search(kind: Kind, bytes: &[u8], start: u64, note: &mut impl FnMut(Note)) {
    let mut rest = bytes;
    while let Some(at) =
        rest.iter().position(|byte| matches!(byte, b'<' | b'/' | b'P' | b'%' | b'o' | b'O' | b'j' | b'J'))
    {
        let here = rest.get(at..).unwrap_or_default();
        let begins =
            |needle: &&[u8]| here.get(..needle.len()).is_some_and(|text| text.eq_ignore_ascii_case(needle));
        let place = start + (bytes.len() - here.len()) as u64;
        if kind.is_text() {
            if ACTIVE_TEXT.iter().any(begins) {
                note(Note::Script);
            }
        } else {
            match here.first() {
                Some(b'<') if kind != Kind::Pdf && PAGE.iter().any(begins) => note(Note::Html),
                Some(b'<') if begins(&b"<?php".as_slice()) => note(Note::Php),
                Some(b'/') if kind == Kind::Pdf && ACTIVE_PDF.iter().any(begins) => note(Note::Script),
                Some(b'P') if here.starts_with(b"PK\x03\x04") => note(Note::Archive),
                Some(b'%') if kind != Kind::Pdf && place < 1024 && here.starts_with(b"%PDF-") => {
                    note(Note::Pdf);
                }
                _ => {}
            }
        }
        rest = here.get(1..).unwrap_or_default();
    }
}
