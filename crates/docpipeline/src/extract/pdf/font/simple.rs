//! Simple fonts: a byte is a code (ISO 32000-1, 9.6).

use std::collections::HashMap;

use encoding_rs::{Encoding, MACINTOSH, WINDOWS_1252};
use hayro_syntax::object::dict::keys::{
    BASE_ENCODING, BASE_FONT, DIFFERENCES, ENCODING, FIRST_CHAR, FONT_DESC, FONT_MATRIX, MISSING_WIDTH,
    SUBTYPE, TYPE3, WIDTHS,
};
use hayro_syntax::object::{Array, Dict, Name, Object};
use read_fonts::ps::agl;

use super::{UNITS_PER_EM, boxed};

pub(super) struct Simple {
    /// The characters of the base encoding, where it is one whose every code is known without the font.
    base: Option<&'static Encoding>,
    /// The names of the glyphs of single codes.
    differences: HashMap<u8, Box<str>>,
    first: u32,
    widths: Vec<f64>,
    /// Of codes without a width, if the font says so.
    missing_width: Option<f64>,
    /// Whether the glyphs are drawn by the document itself.
    is_type3: bool,
    /// Whether `a1` to `a206` are dingbats, and not numbers of glyphs.
    has_dingbats: bool,
}

impl Simple {
    pub(super) fn read(dict: &Dict<'_>) -> Self {
        let descriptor = dict.get::<Dict<'_>>(FONT_DESC);
        let (base, differences) = encoding(dict);
        let is_type3 = dict.get::<Name<'_>>(SUBTYPE).is_some_and(|subtype| *subtype == *TYPE3);
        let scale = if is_type3 {
            dict.get::<[f64; 6]>(FONT_MATRIX).map_or(0.001, |matrix| matrix[0])
        } else {
            1.0 / UNITS_PER_EM
        };
        let widths = dict.get::<Array<'_>>(WIDTHS);
        let widths = widths.map(|all| all.iter::<f64>().take(256).map(|width| width * scale).collect());
        let name = dict.get::<Name<'_>>(BASE_FONT);
        Self {
            base,
            differences,
            first: dict.get(FIRST_CHAR).unwrap_or_default(),
            widths: widths.unwrap_or_default(),
            missing_width: descriptor
                .and_then(|dict| dict.get::<f64>(MISSING_WIDTH))
                .map(|width| width * scale),
            is_type3,
            has_dingbats: name.is_some_and(|name| memchr::memmem::find(&name, b"Dingbats").is_some()),
        }
    }

    /// What the encoding says of a code.
    pub(super) fn text(&self, code: u32) -> Option<Box<str>> {
        let code = u8::try_from(code).ok()?;
        match self.differences.get(&code) {
            Some(name) => self.named(name),
            None => base_character(self.base?, code).map(boxed),
        }
    }

    /// What a code says that nothing tells of: ASCII more often than not. The bitmap fonts of TeX, Type 3 without names,
    /// have ligatures where all its text fonts of seven bits have them.
    pub(super) fn likely_text(&self, code: u32) -> Option<Box<str>> {
        const FIRST_LIGATURE: u32 = 11;
        const LIGATURES: [&str; 5] = ["ff", "fi", "fl", "ffi", "ffl"];
        let place = code.checked_sub(FIRST_LIGATURE).and_then(|place| usize::try_from(place).ok());
        let ligature = place.filter(|_| self.is_type3).and_then(|place| LIGATURES.get(place));
        match ligature {
            Some(ligature) => Some(Box::from(*ligature)),
            None => char::from_u32(code).filter(char::is_ascii_graphic).map(boxed),
        }
    }

    /// The text of a glyph's name, by the rules of the Adobe Glyph List.
    fn named(&self, name: &str) -> Option<Box<str>> {
        let is_number =
            name.strip_prefix('a').is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
        if is_number && !self.has_dingbats && name.len() > 1 {
            return None;
        }
        let text: String = agl::name_to_chars(name).collect();
        (!text.is_empty()).then(|| text.into_boxed_str())
    }

    pub(super) fn advance(&self, code: u32) -> Option<f64> {
        let place = code.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
        place
            .and_then(|place| self.widths.get(place))
            .copied()
            .or(self.missing_width.filter(|width| *width > 0.0))
    }
}

fn encoding(dict: &Dict<'_>) -> (Option<&'static Encoding>, HashMap<u8, Box<str>>) {
    match dict.get::<Object<'_>>(ENCODING) {
        Some(Object::Name(name)) => (base(&name), HashMap::new()),
        Some(Object::Dict(encoding)) => {
            let base = encoding.get::<Name<'_>>(BASE_ENCODING).and_then(|name| base(&name));
            (base, differences(&encoding))
        }
        _ => (None, HashMap::new()),
    }
}

fn base(name: &[u8]) -> Option<&'static Encoding> {
    match name {
        b"WinAnsiEncoding" => Some(WINDOWS_1252),
        b"MacRomanEncoding" => Some(MACINTOSH),
        _ => None,
    }
}

/// Each number begins a run of names for the codes from it on.
fn differences(encoding: &Dict<'_>) -> HashMap<u8, Box<str>> {
    let mut names = HashMap::new();
    let mut code = 0_u32;
    for object in encoding.get::<Array<'_>>(DIFFERENCES).iter().flat_map(Array::iter::<Object<'_>>) {
        match object {
            Object::Name(name) => {
                if let Ok(code) = u8::try_from(code) {
                    names.insert(code, Box::from(&*String::from_utf8_lossy(&name)));
                }
                code = code.saturating_add(1);
            }
            other => code = other.into_i32().and_then(|code| u32::try_from(code).ok()).unwrap_or(code),
        }
    }
    names
}

fn base_character(encoding: &'static Encoding, code: u8) -> Option<char> {
    let byte = [code];
    let text = encoding.decode_without_bom_handling(&byte).0;
    text.chars().next().filter(|c| !c.is_control())
}

#[cfg(test)]
mod tests {
    use super::base_character;
    use encoding_rs::{MACINTOSH, WINDOWS_1252};

    #[test]
    fn base_encodings_are_code_pages() {
        assert_eq!(base_character(WINDOWS_1252, 0x93), Some('“'));
        assert_eq!(base_character(MACINTOSH, 0xde), Some('ﬁ'));
        assert_eq!(base_character(WINDOWS_1252, 1), None);
    }
}
