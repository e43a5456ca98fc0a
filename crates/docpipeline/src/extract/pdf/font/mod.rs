//! Fonts, as far as text needs them: what a code says and how far it moves, never how it looks.
//!
//! Nearly all of that stands in the font's dictionary, so the embedded program, which is most of the bytes of many
//! files, is left alone. Only a code that neither the `ToUnicode` map nor the encoding explains is asked of hayro-font,
//! which reads the program.

mod composite;
mod simple;

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use hayro_cmap::{BfString, CMap, CMapName};
use hayro_font::{CMapResolverFn, FontCache, FontGlyph, FontQuery, FontResolverFn};
use hayro_syntax::object::dict::keys::{
    BASE_FONT, FONT_DESC, FONT_FILE, FONT_FILE2, FONT_FILE3, SUBTYPE, TO_UNICODE, TYPE0,
};
use hayro_syntax::object::{Dict, Name, Stream};

use super::filters;
use super::lines::Script;
use crate::budget::Budget;
use crate::error::{Error, Result};
use composite::Composite;
use simple::Simple;

/// Glyph space units that make one unit of text space, but for Type 3.
const UNITS_PER_EM: f64 = 1000.0;

/// How many fonts of one document are remembered.
const MOST_FONTS: usize = 4096;

/// What a code of a font stands for.
#[derive(Debug, Clone)]
pub(super) struct Glyph {
    /// Its text; empty for a code that stands for nothing known.
    pub(super) text: Box<str>,
    pub(super) script: Script,
    /// How far the next glyph is, in units of the font's size: to the right, or upwards in vertical writing.
    pub(super) advance: f64,
    /// From where the glyph is set to where it stands: not nothing in vertical writing only.
    pub(super) shift: (f64, f64),
}

/// A font of the document.
pub(super) struct Font<'a, 'b> {
    kind: Kind,
    to_unicode: Option<CMap>,
    program: Program<'a, 'b>,
    is_bold: bool,
    /// The glyphs met so far, and where to find them by code.
    glyphs: RefCell<Known>,
}

enum Kind {
    Simple(Simple),
    Composite(Box<Composite>),
}

/// All fonts of a document.
pub(super) struct Fonts<'a, 'b> {
    budget: &'b Budget,
    /// By where the dictionary stands in the file.
    known: RefCell<HashMap<usize, Rc<Font<'a, 'b>>>>,
    programs: Rc<Programs<'a, 'b>>,
}

/// What hayro-font needs to read a font with its program.
struct Programs<'a, 'b> {
    budget: &'b Budget,
    /// The limit that a program broke, until it is asked for.
    refusal: RefCell<Option<Error>>,
    cache: FontCache<'a>,
    fonts: FontResolverFn,
    maps: CMapResolverFn,
}

/// A font with its program, read when first asked for.
struct Program<'a, 'b> {
    dict: Dict<'a>,
    programs: Rc<Programs<'a, 'b>>,
    font: OnceCell<Option<hayro_font::Font<'a>>>,
}

impl<'a, 'b> Fonts<'a, 'b> {
    pub(super) fn new(budget: &'b Budget) -> Self {
        let programs = Programs {
            budget,
            refusal: RefCell::default(),
            cache: FontCache::new(),
            fonts: Arc::new(|query| {
                let font = match query {
                    FontQuery::Standard(font) => *font,
                    FontQuery::Fallback(query) => query.pick_standard_font(),
                };
                Some(font.get_font_data())
            }),
            maps: Arc::new(hayro_cmap::load_embedded),
        };
        Self { budget, known: RefCell::default(), programs: Rc::new(programs) }
    }

    /// The font of a dictionary.
    pub(super) fn get(&self, dict: &Dict<'a>) -> Result<Rc<Font<'a, 'b>>> {
        let key = dict.data().as_ptr().addr();
        if let Some(font) = self.known.borrow().get(&key) {
            return Ok(Rc::clone(font));
        }
        let font = Rc::new(self.read(dict)?);
        let mut known = self.known.borrow_mut();
        if known.len() >= MOST_FONTS {
            known.clear();
        }
        known.insert(key, Rc::clone(&font));
        Ok(font)
    }

    /// The limit that a font's program broke, if one did.
    pub(super) fn refusal(&self) -> Result<()> {
        self.programs.refusal.take().map_or(Ok(()), Err)
    }

    fn read(&self, dict: &Dict<'a>) -> Result<Font<'a, 'b>> {
        let is_composite = dict.get::<Name<'_>>(SUBTYPE).is_some_and(|subtype| *subtype == *TYPE0);
        let kind = if is_composite {
            Kind::Composite(Box::new(Composite::read(dict, self.budget)?))
        } else {
            Kind::Simple(Simple::read(dict))
        };
        let program =
            Program { dict: dict.clone(), programs: Rc::clone(&self.programs), font: OnceCell::new() };
        let is_bold = dict.get::<Name<'_>>(BASE_FONT).is_some_and(|name| names_bold(&name));
        let to_unicode = to_unicode(dict, self.budget)?;
        Ok(Font { kind, to_unicode, program, is_bold, glyphs: RefCell::default() })
    }
}

/// Whether a font's name says that it is bold: the words in use, and the bold series of Computer Modern.
pub(super) fn names_bold(name: &[u8]) -> bool {
    const MARKS: [&[u8]; 8] = [b"Bold", b"bold", b"BOLD", b"Black", b"Heavy", b"Demi", b"CMBX", b"SFBX"];
    MARKS.iter().any(|mark| memchr::memmem::find(name, mark).is_some())
}

/// The map from codes to Unicode (9.10.3).
fn to_unicode(dict: &Dict<'_>, budget: &Budget) -> Result<Option<CMap>> {
    if let Some(stream) = dict.get::<Stream<'_>>(TO_UNICODE) {
        let data = filters::decode(&stream, budget)?;
        return Ok(CMap::parse(&data, hayro_cmap::load_embedded));
    }
    // Not what the standard says, but met: the name of a predefined map.
    let name = dict.get::<Name<'_>>(TO_UNICODE);
    let named = name.and_then(|name| hayro_cmap::load_embedded(CMapName::from_bytes(&name)));
    Ok(named.and_then(|data| CMap::parse(data, hayro_cmap::load_embedded)))
}

impl Font<'_, '_> {
    /// Whether its letters are bold.
    pub(super) fn is_bold(&self) -> bool {
        self.is_bold
    }

    /// Whether lines run from top to bottom.
    pub(super) fn is_vertical(&self) -> bool {
        matches!(&self.kind, Kind::Composite(font) if font.is_vertical())
    }

    /// The next code of a string, and how many bytes it has: at least one.
    pub(super) fn next_code(&self, string: &[u8]) -> Option<(u32, usize)> {
        match &self.kind {
            Kind::Simple(_) => string.first().map(|byte| (u32::from(*byte), 1)),
            Kind::Composite(font) => font.next_code(string),
        }
    }

    /// Hands the glyph of a code to `use_it`.
    pub(super) fn with_glyph<T>(&self, code: u32, use_it: impl FnOnce(&Glyph) -> T) -> T {
        let mut known = self.glyphs.borrow_mut();
        match known.slot(code) {
            Some(0) => {
                let glyph = self.glyph(code);
                let used = use_it(&glyph);
                known.insert(code, glyph);
                used
            }
            Some(slot) => match known.glyphs.get(usize::from(slot) - 1) {
                Some(glyph) => use_it(glyph),
                None => use_it(&self.glyph(code)),
            },
            None => use_it(&self.glyph(code)),
        }
    }

    fn glyph(&self, code: u32) -> Glyph {
        let text = self.text(code).unwrap_or_default();
        let script = Script::of(&text);
        match &self.kind {
            Kind::Simple(font) => {
                let advance = font.advance(code).unwrap_or_else(|| self.program.advance(code));
                Glyph { text, script, advance, shift: (0.0, 0.0) }
            }
            Kind::Composite(font) => {
                let (advance, shift) = font.metrics(code);
                Glyph { text, script, advance, shift }
            }
        }
    }

    /// What a code says, by the first that knows it: the map, the encoding, the program, and what such codes mostly say.
    fn text(&self, code: u32) -> Option<Box<str>> {
        let mapped = self.to_unicode.as_ref().and_then(|map| map.lookup_bf_string(code)).and_then(said);
        match &self.kind {
            Kind::Composite(font) => mapped.or_else(|| font.text(code)),
            Kind::Simple(font) => mapped
                .or_else(|| font.text(code))
                .or_else(|| self.program.text(code))
                .or_else(|| font.likely_text(code)),
        }
    }
}

/// Some maps say NUL where they know nothing.
fn said(text: BfString) -> Option<Box<str>> {
    match text {
        BfString::Char('\0') => None,
        BfString::Char(c) => Some(boxed(c)),
        BfString::String(text) => Some(text.into_boxed_str()),
    }
}

fn boxed(c: char) -> Box<str> {
    Box::from(&*c.encode_utf8(&mut [0; 4]))
}

impl Program<'_, '_> {
    fn font(&self) -> Option<&hayro_font::Font<'_>> {
        let read = || {
            let Programs { budget, refusal, cache, fonts, maps } = &*self.programs;
            // hayro-font decodes without a bound: what the program comes to is found out before.
            let descriptor = self.dict.get::<Dict<'_>>(FONT_DESC).unwrap_or_default();
            for stream in
                [FONT_FILE, FONT_FILE2, FONT_FILE3].into_iter().filter_map(|key| descriptor.get(key))
            {
                if let Err(broken) = filters::decode(&stream, budget) {
                    refusal.replace(Some(broken));
                    return None;
                }
            }
            cache.font(&self.dict, fonts, maps)
        };
        self.font.get_or_init(read).as_ref()
    }

    fn text(&self, code: u32) -> Option<Box<str>> {
        let font = self.font()?;
        let text = match font.glyph(font.map_code(code), code) {
            FontGlyph::Outline(glyph) => glyph.as_unicode(),
            FontGlyph::Type3(glyph) => glyph.as_unicode(),
        };
        text.and_then(said)
    }

    fn advance(&self, code: u32) -> f64 {
        // Half an em, if nothing is known.
        self.font().map_or(0.5, |font| font.code_advance(code).x / UNITS_PER_EM)
    }
}

/// Glyphs by code, in pages of 256 codes: simple fonts have one.
#[derive(Default)]
struct Known {
    /// Places in `glyphs`, counted from one; 0 where there is none yet.
    pages: Vec<Option<Box<[u16; 256]>>>,
    glyphs: Vec<Glyph>,
}

impl Known {
    /// The place of a code's glyph; nothing for a code that has no place.
    fn slot(&self, code: u32) -> Option<u16> {
        let [0, 0, page, place] = code.to_be_bytes() else { return None };
        let page = self.pages.get(usize::from(page)).and_then(Option::as_ref);
        Some(page.and_then(|page| page.get(usize::from(place))).copied().unwrap_or(0))
    }

    fn insert(&mut self, code: u32, glyph: Glyph) {
        let [_, _, page, place] = code.to_be_bytes();
        let page = usize::from(page);
        if self.pages.len() <= page {
            self.pages.resize_with(page + 1, || None);
        }
        let Ok(number) = u16::try_from(self.glyphs.len() + 1) else { return };
        self.glyphs.push(glyph);
        if let Some(page) = self.pages.get_mut(page) {
            let page = page.get_or_insert_with(|| Box::new([0; 256]));
            if let Some(slot) = page.get_mut(usize::from(place)) {
                *slot = number;
            }
        }
    }
}
