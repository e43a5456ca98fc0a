//! The part of the graphics state that places text (ISO 32000-1, 9.3 and 9.4).

use std::rc::Rc;

use hayro_font::kurbo::{Affine, Point, Vec2};

use super::font::{Font, Glyph};
use super::lines::Mark;

/// Where text is shown, and in what.
#[derive(Clone)]
pub(super) struct State<'a, 'b> {
    /// From user space to the page.
    ctm: Affine,
    /// From text space to user space.
    text: Affine,
    /// The matrix at the beginning of the line.
    line: Affine,
    font: Option<Rc<Font<'a, 'b>>>,
    size: f64,
    character_spacing: f64,
    word_spacing: f64,
    /// Horizontally, as a factor.
    scale: f64,
    leading: f64,
    rise: f64,
}

impl<'a, 'b> State<'a, 'b> {
    pub(super) fn new(ctm: Affine) -> Self {
        Self {
            ctm,
            text: Affine::IDENTITY,
            line: Affine::IDENTITY,
            font: None,
            size: 0.0,
            character_spacing: 0.0,
            word_spacing: 0.0,
            scale: 1.0,
            leading: 0.0,
            rise: 0.0,
        }
    }

    /// Back to a saved state; where the text stands is not part of it.
    pub(super) fn restore(&mut self, saved: Self) {
        let (text, line) = (self.text, self.line);
        *self = Self { text, line, ..saved };
    }

    /// From user space to the page.
    pub(super) fn to_page(&self) -> Affine {
        self.ctm
    }

    pub(super) fn transform(&mut self, matrix: Affine) {
        self.ctm *= matrix;
    }

    pub(super) fn begin_text(&mut self) {
        self.set_matrix(Affine::IDENTITY);
    }

    pub(super) fn set_matrix(&mut self, matrix: Affine) {
        (self.text, self.line) = (matrix, matrix);
    }

    pub(super) fn next_line(&mut self, by: (f64, f64)) {
        self.set_matrix(self.line * Affine::translate(by));
    }

    pub(super) fn line_feed(&mut self) {
        self.next_line((0.0, -self.leading));
    }

    pub(super) fn set_font(&mut self, font: Rc<Font<'a, 'b>>, size: f64) {
        self.font = Some(font);
        self.size = size;
    }

    pub(super) fn set_leading(&mut self, leading: f64) {
        self.leading = leading;
    }

    pub(super) fn set_character_spacing(&mut self, spacing: f64) {
        self.character_spacing = spacing;
    }

    pub(super) fn set_word_spacing(&mut self, spacing: f64) {
        self.word_spacing = spacing;
    }

    pub(super) fn set_scale(&mut self, scale: f64) {
        self.scale = scale;
    }

    pub(super) fn set_rise(&mut self, rise: f64) {
        self.rise = rise;
    }

    fn is_vertical(&self) -> bool {
        self.font.as_ref().is_some_and(|font| font.is_vertical())
    }

    /// Moves back by thousandths of the size, as numbers between strings do.
    pub(super) fn adjust(&mut self, back: f64) {
        let by = -back / 1000.0 * self.size;
        let by = if self.is_vertical() { (0.0, by) } else { (by * self.scale, 0.0) };
        self.text *= Affine::translate(by);
    }

    /// Shows a string: hands over each glyph and where it stands.
    pub(super) fn show(&mut self, string: &[u8], mut take: impl FnMut(&Glyph, Mark)) {
        // Without a font nothing is known of the codes.
        let Some(font) = self.font.clone() else { return };
        let to_page = self.ctm * self.text;
        let on_page = |x: f64, y: f64| vector(to_page, Vec2::new(x, y));
        let vertical = font.is_vertical();
        let (right, up) = (on_page(self.size * self.scale, 0.0), on_page(0.0, self.size));
        // The size is how high the letters are, or how wide in vertical writing.
        let size = if vertical { right.hypot() } else { up.hypot() };
        let bold = font.is_bold();
        let visible = size.is_finite() && size > 0.0;
        let start = to_page * Point::new(0.0, self.rise);
        // How far the string has come, in text space.
        let mut along = 0.0;
        let mut rest = string;
        while let Some((code, length)) = font.next_code(rest) {
            let is_space = length == 1 && rest.first() == Some(&b' ');
            rest = rest.get(length..).unwrap_or_default();
            let spacing = self.character_spacing + if is_space { self.word_spacing } else { 0.0 };
            font.with_glyph(code, |glyph| {
                let set = if vertical { on_page(0.0, along) } else { on_page(along, 0.0) };
                let origin = start + set + right * glyph.shift.0 + up * glyph.shift.1;
                let advance = if vertical { up * glyph.advance } else { right * glyph.advance };
                if visible && origin.is_finite() {
                    take(glyph, Mark { origin, advance, size, bold });
                }
                let step = glyph.advance * self.size + spacing;
                along += if vertical { step } else { step * self.scale };
            });
        }
        self.text *= Affine::translate(if vertical { (0.0, along) } else { (along, 0.0) });
    }
}

/// What a transform makes of a vector: its translation does not count.
fn vector(transform: Affine, Vec2 { x, y }: Vec2) -> Vec2 {
    let [right_x, right_y, up_x, up_y, ..] = transform.as_coeffs();
    Vec2::new(right_x * x + up_x * y, right_y * x + up_y * y)
}
