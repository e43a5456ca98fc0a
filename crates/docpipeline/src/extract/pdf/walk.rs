//! The walk through a page's content for its text: of all operators (ISO 32000-1, annex A), those that show text, place
//! it, or lead to content elsewhere.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use hayro_font::kurbo::{Affine, Rect};
use hayro_syntax::object::dict::keys::{
    ACTUAL_TEXT, ANNOTS, AP, AS, BBOX, CONTENTS, F, FONT, FORM, IMAGE, MATRIX, N, OC, RECT, RESOURCES,
    SUBTYPE,
};
use hayro_syntax::object::{Array, Dict, Name, ObjectIdentifier, Stream, String as PdfString};
use hayro_syntax::page::{Page, Resources};

use super::filters;
use super::font::{Font, Fonts, Glyph};
use super::layers::Layers;
use super::lines::{Line, LineBuilder, Script};
use super::metadata::text_string;
use super::picture::Picture;
use super::state::State;
use super::tokens::{Token, Tokens};
use crate::budget::Budget;
use crate::error::Result;

/// Operands beyond this are of no operator that there is.
const MOST_OPERANDS: usize = 1 << 16;

/// Graphics states saved inside one another; files that forget to restore have many.
const MOST_STATES: usize = 4096;

/// Forms inside one another.
const DEEPEST_FORM: usize = 24;

/// Decoded forms that are kept, in bytes: a letterhead is on every page.
const KEPT_FORM_BYTES: usize = 4 << 20;

/// Pictures of a page that are looked at.
const MOST_PICTURES: usize = 16;

/// Annotations that nobody sees: hidden, or not on a screen.
const UNSEEN: i32 = 1 << 1 | 1 << 5;

/// What a page came to.
pub(super) struct Finished<'a> {
    pub(super) lines: Vec<Line>,
    pub(super) pictures: Vec<Picture<'a>>,
    pub(super) glyphs: usize,
    /// Glyphs whose character is not known.
    pub(super) unmapped: usize,
}

/// What all pages of a document share.
pub(super) struct Shared<'a, 'b> {
    pub(super) budget: &'b Budget,
    pub(super) fonts: Fonts<'a, 'b>,
    pub(super) layers: Layers,
    forms: HashMap<ObjectIdentifier, Form>,
    form_bytes: usize,
    /// Bytes of text of the pages before this one.
    text_bytes: usize,
}

/// What is known of a form after its first reading.
enum Form {
    Content(Rc<[u8]>),
    /// It shows no text and leads nowhere: symbols on maps are so, and are drawn by the thousand.
    Silent,
}

impl<'a, 'b> Shared<'a, 'b> {
    pub(super) fn new(budget: &'b Budget, layers: Layers) -> Self {
        Self {
            budget,
            fonts: Fonts::new(budget),
            layers,
            forms: HashMap::new(),
            form_bytes: 0,
            text_bytes: 0,
        }
    }

    /// Reads a page.
    pub(super) fn page(&mut self, page: &Page<'a>) -> Result<Finished<'a>> {
        let mut walk = Walk {
            shared: self,
            lines: LineBuilder::default(),
            pictures: Vec::new(),
            glyphs: 0,
            unmapped: 0,
            marked: Vec::new(),
            open: Vec::new(),
            lines_charged: 0,
        };
        let content = walk.page_content(page.raw())?;
        walk.content(&content, page.resources(), State::new(Affine::IDENTITY))?;
        walk.annotations(page)?;
        let Walk { lines, pictures, glyphs, unmapped, .. } = walk;
        self.fonts.refusal()?;
        self.text_bytes += lines.text_bytes();
        Ok(Finished { lines: lines.finish(), pictures, glyphs, unmapped })
    }

    /// The decoded content of a form; `None` if there is no text in it.
    fn form(&mut self, stream: &Stream<'a>) -> Result<Option<Rc<[u8]>>> {
        match self.forms.get(&stream.obj_id()) {
            Some(Form::Content(content)) => return Ok(Some(Rc::clone(content))),
            Some(Form::Silent) => return Ok(None),
            None => {}
        }
        let content: Rc<[u8]> = filters::decode(stream, self.budget)?.as_ref().into();
        if self.form_bytes + content.len() <= KEPT_FORM_BYTES {
            self.form_bytes += content.len();
            self.forms.insert(stream.obj_id(), Form::Content(Rc::clone(&content)));
        }
        Ok(Some(content))
    }
}

/// The walk through one page.
struct Walk<'w, 'a, 'b> {
    shared: &'w mut Shared<'a, 'b>,
    lines: LineBuilder,
    pictures: Vec<Picture<'a>>,
    glyphs: usize,
    unmapped: usize,
    /// The open marked content.
    marked: Vec<Marked>,
    /// The forms that are being read, each inside the one before it.
    open: Vec<ObjectIdentifier>,
    /// Lines that the budget knows of.
    lines_charged: usize,
}

/// Marked content (14.6).
#[derive(Default)]
struct Marked {
    /// Not to be seen, by itself or by what is around it.
    hidden: bool,
    /// Text that stands for its glyphs, until a glyph has brought it.
    actual: Option<String>,
    /// Whether there is or was such text.
    replaced: bool,
}

/// One content stream being walked.
struct Run<'r, 'a, 'b> {
    resources: &'r Resources<'a>,
    state: State<'a, 'b>,
    saved: Vec<State<'a, 'b>>,
    /// States that were not saved because there were too many.
    unsaved: usize,
    fonts: HashMap<Vec<u8>, Rc<Font<'a, 'b>>>,
    /// Whether an operator came that shows text or something that may have text in it.
    shows: bool,
    /// The marked content that was open when the stream began, which only its own stream ends.
    outer: usize,
}

impl<'a, 'b> Walk<'_, 'a, 'b> {
    /// The page's content streams as one.
    fn page_content(&self, page: &Dict<'a>) -> Result<Cow<'a, [u8]>> {
        if let Some(stream) = page.get::<Stream<'_>>(CONTENTS) {
            return filters::decode(&stream, self.shared.budget);
        }
        let mut content = Vec::new();
        for stream in page.get::<Array<'_>>(CONTENTS).iter().flat_map(Array::iter::<Stream<'_>>) {
            content.extend_from_slice(&filters::decode(&stream, self.shared.budget)?);
            // A token does not go on in the next stream.
            content.push(b'\n');
        }
        Ok(content.into())
    }

    /// Reads the appearances of annotations (12.5.5): what was filled into a form, notes on the page.
    fn annotations(&mut self, page: &Page<'a>) -> Result<()> {
        for annotation in page.raw().get::<Array<'a>>(ANNOTS).iter().flat_map(Array::iter::<Dict<'a>>) {
            self.shared.budget.tick()?;
            let unseen = annotation.get::<i32>(F).unwrap_or(0) & UNSEEN != 0;
            if unseen || !self.shared.layers.shows(&annotation, OC) {
                continue;
            }
            let Some(form) = appearance(&annotation) else { continue };
            let placed = annotation.get::<[f64; 4]>(RECT).zip(form.dict().get::<[f64; 4]>(BBOX));
            let Some((place, own)) = placed.map(|(place, own)| (rect(place), rect(own))) else { continue };
            let shown = matrix(form.dict()).transform_rect_bbox(own);
            let fit = Affine::translate((place.x0, place.y0))
                * Affine::scale_non_uniform(
                    stretch(shown.width(), place.width()),
                    stretch(shown.height(), place.height()),
                )
                * Affine::translate((-shown.x0, -shown.y0));
            self.form(&form, page.resources(), State::new(fit))?;
        }
        Ok(())
    }

    /// Reads a form (8.10), unless it is inside itself.
    fn form(&mut self, form: &Stream<'a>, outer: &Resources<'a>, mut state: State<'a, 'b>) -> Result<()> {
        let id = form.obj_id();
        if self.open.len() >= DEEPEST_FORM
            || self.open.contains(&id)
            || !self.shared.layers.shows(form.dict(), OC)
        {
            return Ok(());
        }
        let Some(bytes) = self.shared.form(form)? else { return Ok(()) };
        state.transform(matrix(form.dict()));
        self.open.push(id);
        let shows = match form.dict().get::<Dict<'a>>(RESOURCES) {
            Some(own) => self.content(&bytes, &Resources::new(own), state)?,
            None => self.content(&bytes, outer, state)?,
        };
        self.open.pop();
        if !shows && let Some(Form::Content(content)) = self.shared.forms.insert(id, Form::Silent) {
            self.shared.form_bytes -= content.len();
        }
        Ok(())
    }

    /// Reads a content stream. Says whether there is anything in it that may show text.
    fn content(&mut self, bytes: &[u8], resources: &Resources<'a>, state: State<'a, 'b>) -> Result<bool> {
        let outer = self.marked.len();
        let mut run = Run {
            resources,
            state,
            saved: Vec::new(),
            unsaved: 0,
            fonts: HashMap::new(),
            shows: false,
            outer,
        };
        let mut tokens = Tokens::new(bytes);
        let mut operands = Vec::new();
        while let Some(token) = tokens.next() {
            let Token::Operator(operator) = token else {
                if operands.len() < MOST_OPERANDS {
                    operands.push(token);
                }
                continue;
            };
            self.shared.budget.tick()?;
            match operator {
                b"ID" => tokens.skip_image(),
                b"q" => run.save(),
                b"Q" => run.restore(),
                b"Do" => {
                    run.shows = true;
                    self.object(&operands, &run)?;
                }
                b"BMC" | b"BDC" => self.begin_marked(operator, &operands, &run),
                b"EMC" => {
                    if self.marked.len() > run.outer {
                        self.marked.pop();
                    }
                }
                b"Tf" => self.select_font(&operands, &mut run)?,
                b"gs" => self.graphics_state(&operands, &mut run)?,
                b"Tj" | b"TJ" => self.show(&operands, &mut run)?,
                b"'" | b"\"" => {
                    if operator == b"\"" {
                        let [word_spacing, character_spacing] = numbers(&operands);
                        run.state.set_word_spacing(word_spacing);
                        run.state.set_character_spacing(character_spacing);
                    }
                    run.state.line_feed();
                    self.show(&operands, &mut run)?;
                }
                _ => place(operator, &operands, &mut run.state),
            }
            operands.clear();
        }
        self.marked.truncate(outer);
        Ok(run.shows)
    }

    /// `Do`: reads the content of a form, and notes a picture.
    fn object(&mut self, operands: &[Token<'_>], run: &Run<'_, 'a, 'b>) -> Result<()> {
        let Some(name) = name(operands) else { return Ok(()) };
        let Some(object) = run.resources.x_objects.get::<Stream<'a>>(name) else { return Ok(()) };
        match object.dict().get::<Name<'_>>(SUBTYPE).as_deref() {
            Some(FORM) => self.form(&object, run.resources, run.state.clone())?,
            Some(IMAGE) if self.pictures.len() < MOST_PICTURES => {
                let hidden = self.marked.last().is_some_and(|marked| marked.hidden);
                if !hidden && self.shared.layers.shows(object.dict(), OC) {
                    self.pictures.extend(Picture::new(object, run.state.to_page()));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn select_font(&mut self, operands: &[Token<'_>], run: &mut Run<'_, 'a, 'b>) -> Result<()> {
        let Some(name) = name(operands) else { return Ok(()) };
        let font = if let Some(font) = run.fonts.get(name) {
            Rc::clone(font)
        } else {
            // Of a font that is missing at least the codes are there, and most are ASCII.
            let dict = run.resources.fonts.get::<Dict<'a>>(name).unwrap_or_default();
            let font = self.shared.fonts.get(&dict)?;
            run.fonts.insert(name.to_vec(), Rc::clone(&font));
            font
        };
        let [size] = numbers(operands);
        run.state.set_font(font, size);
        Ok(())
    }

    /// `gs`: of its many parameters, the font.
    fn graphics_state(&mut self, operands: &[Token<'_>], run: &mut Run<'_, 'a, 'b>) -> Result<()> {
        let parameters = name(operands).and_then(|name| run.resources.ext_g_states.get::<Dict<'a>>(name));
        let Some(font) = parameters.and_then(|parameters| parameters.get::<Array<'a>>(FONT)) else {
            return Ok(());
        };
        let mut font = font.flex_iter();
        if let (Some(dict), Some(size)) = (font.next::<Dict<'a>>(), font.next::<f64>()) {
            run.state.set_font(self.shared.fonts.get(&dict)?, size);
        }
        Ok(())
    }

    fn begin_marked(&mut self, operator: &[u8], operands: &[Token<'_>], run: &Run<'_, 'a, 'b>) {
        let around = self.marked.last();
        let mut marked = Marked {
            hidden: around.is_some_and(|around| around.hidden),
            replaced: around.is_some_and(|around| around.replaced),
            actual: None,
        };
        if operator == b"BDC" {
            let actual = match operands {
                [Token::Name(tag), Token::Name(properties)] => {
                    if **tag == *OC {
                        marked.hidden |= !self.shared.layers.shows(&run.resources.properties, properties);
                    }
                    let properties = run.resources.properties.get::<Dict<'_>>(properties);
                    properties
                        .and_then(|dict| dict.get::<PdfString<'_>>(ACTUAL_TEXT))
                        .map(|text| text_string(&text))
                }
                _ => inline_actual_text(operands).map(text_string),
            };
            // The outer text stands for the inner glyphs too.
            if let Some(actual) = actual.filter(|_| !marked.replaced) {
                marked.actual = Some(actual);
                marked.replaced = true;
            }
        }
        if self.marked.len() < MOST_STATES {
            self.marked.push(marked);
        }
    }

    /// Shows the strings among the operands; the numbers between them move.
    fn show(&mut self, operands: &[Token<'_>], run: &mut Run<'_, 'a, 'b>) -> Result<()> {
        run.shows = true;
        let hidden = self.marked.last().is_some_and(|marked| marked.hidden);
        for operand in operands {
            match operand {
                Token::Number(back) => run.state.adjust(*back),
                Token::String(string) => {
                    let Self { lines, glyphs, unmapped, marked, .. } = self;
                    run.state.show(string, |glyph, mark| {
                        if hidden {
                            return;
                        }
                        *glyphs += 1;
                        match marked.last_mut() {
                            Some(marked) if marked.replaced => match marked.actual.take() {
                                Some(text) => lines.push(&text, Script::of(&text), mark),
                                None => lines.extend(mark),
                            },
                            _ => {
                                let Glyph { text, script, .. } = glyph;
                                *unmapped += usize::from(text.is_empty());
                                if !text.is_empty() {
                                    lines.push(text, *script, mark);
                                }
                            }
                        }
                    });
                }
                _ => {}
            }
        }
        self.charge()
    }

    /// Holds the text that was gathered to the limits: forms can show the same text many times over.
    fn charge(&mut self) -> Result<()> {
        let lines = self.lines.count();
        self.shared.budget.cells(lines - self.lines_charged)?;
        self.lines_charged = lines;
        self.shared.budget.room(self.shared.text_bytes + self.lines.text_bytes())
    }
}

impl Run<'_, '_, '_> {
    fn save(&mut self) {
        if self.saved.len() < MOST_STATES {
            self.saved.push(self.state.clone());
        } else {
            self.unsaved += 1;
        }
    }

    fn restore(&mut self) {
        if self.unsaved > 0 {
            self.unsaved -= 1;
        } else if let Some(state) = self.saved.pop() {
            self.state.restore(state);
        }
    }
}

/// The operators that only place what is shown after them.
fn place(operator: &[u8], operands: &[Token<'_>], state: &mut State<'_, '_>) {
    let [value] = numbers(operands);
    match operator {
        b"cm" => state.transform(Affine::new(numbers(operands))),
        b"BT" => state.begin_text(),
        b"Tm" => state.set_matrix(Affine::new(numbers(operands))),
        b"Td" => state.next_line(numbers::<2>(operands).into()),
        b"TD" => {
            let [x, y] = numbers(operands);
            state.set_leading(-y);
            state.next_line((x, y));
        }
        b"T*" => state.line_feed(),
        b"TL" => state.set_leading(value),
        b"Tc" => state.set_character_spacing(value),
        b"Tw" => state.set_word_spacing(value),
        b"Tz" => state.set_scale(value / 100.0),
        b"Ts" => state.set_rise(value),
        _ => {}
    }
}

/// The last `N` numbers of the operands; what is not there is zero.
fn numbers<const N: usize>(operands: &[Token<'_>]) -> [f64; N] {
    let mut numbers = [0.0; N];
    let given = operands
        .iter()
        .rev()
        .filter_map(|operand| if let Token::Number(value) = operand { Some(*value) } else { None });
    for (slot, value) in numbers.iter_mut().rev().zip(given) {
        *slot = value;
    }
    numbers
}

fn name<'o>(operands: &'o [Token<'_>]) -> Option<&'o [u8]> {
    operands.iter().find_map(|operand| if let Token::Name(name) = operand { Some(&**name) } else { None })
}

/// The text in a property list that stands in the content itself.
fn inline_actual_text<'o>(operands: &'o [Token<'_>]) -> Option<&'o [u8]> {
    operands.windows(2).find_map(|pair| match pair {
        [Token::Name(key), Token::String(text)] if **key == *ACTUAL_TEXT => Some(&**text),
        _ => None,
    })
}

/// The normal appearance of an annotation, in its present state.
fn appearance<'a>(annotation: &Dict<'a>) -> Option<Stream<'a>> {
    let appearances = annotation.get::<Dict<'a>>(AP)?;
    appearances.get::<Stream<'a>>(N).or_else(|| {
        let states = appearances.get::<Dict<'a>>(N)?;
        states.get::<Stream<'a>>(&*annotation.get::<Name<'a>>(AS)?)
    })
}

fn matrix(form: &Dict<'_>) -> Affine {
    form.get::<[f64; 6]>(MATRIX).map_or(Affine::IDENTITY, Affine::new)
}

fn rect([x0, y0, x1, y1]: [f64; 4]) -> Rect {
    Rect::new(x0, y0, x1, y1).abs()
}

/// By how much what is `own` long must be stretched to be `wanted` long.
fn stretch(own: f64, wanted: f64) -> f64 {
    if own > 0.0 { wanted / own } else { 1.0 }
}
