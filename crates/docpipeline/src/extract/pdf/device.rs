//! Keeps the glyphs that a page draws, and nothing else.

use hayro_interpret::font::{Glyph, GlyphRun, PositionedGlyph};
use hayro_interpret::hayro_cmap::{BfString, WritingMode};
use hayro_interpret::kurbo::{Affine, BezPath, Point, Rect, Vec2};
use hayro_interpret::{BlendMode, ClipPath, Device, DrawMode, DrawProps, Image, ImageDrawProps, SoftMask};

use super::lines::{Line, LineBuilder, Mark};
use crate::budget::Budget;
use crate::error::{Error, Result};

/// Glyph space of all fonts that the interpreter gives.
const UNITS_PER_EM: f64 = 1000.0;

/// What a page came to.
pub(super) struct Finished {
    pub(super) lines: Vec<Line>,
    pub(super) glyphs: usize,
    /// Glyphs whose character is not known.
    pub(super) unmapped: usize,
}

/// A device that reads.
pub(super) struct TextDevice<'b> {
    budget: &'b Budget,
    lines: LineBuilder,
    glyphs: usize,
    unmapped: usize,
    /// Where the last run began and how many glyphs it had: text that is filled and then stroked comes twice.
    last_run: (Point, usize),
    /// Drawing cannot fail, so a refusal waits here, and nothing more is read.
    refusal: Option<Error>,
}

impl<'b> TextDevice<'b> {
    pub(super) fn new(budget: &'b Budget) -> Self {
        Self {
            budget,
            lines: LineBuilder::default(),
            glyphs: 0,
            unmapped: 0,
            last_run: (Point::ZERO, 0),
            refusal: None,
        }
    }

    pub(super) fn finish(self) -> Result<Finished> {
        match self.refusal {
            Some(refusal) => Err(refusal),
            None => Ok(Finished { lines: self.lines.finish(), glyphs: self.glyphs, unmapped: self.unmapped }),
        }
    }

    fn glyph(&mut self, glyph: &PositionedGlyph<'_>, transform: Affine, vertical: bool) {
        self.glyphs += 1;
        let placed = transform * glyph.transform();
        let origin = placed * Point::ZERO;
        let upright = vector(placed, Vec2::new(0.0, UNITS_PER_EM));
        let baseline = vector(placed, Vec2::new(UNITS_PER_EM, 0.0));
        // Sheared or mirrored text has no use for a sign.
        let size = if vertical { baseline.hypot() } else { upright.hypot() };
        if !(size.is_finite() && size > 0.0 && origin.is_finite()) {
            return;
        }
        let advance = match &**glyph {
            Glyph::Outline(outline) => outline.advance_width(),
            Glyph::Type3(type3) => type3.advance_width(),
        };
        let along = if vertical { -upright } else { baseline };
        let advance = if vertical { 1.0 } else { f64::from(advance.unwrap_or(500.0)) / UNITS_PER_EM };
        let mark = Mark { origin, advance: along * advance, size };
        match glyph.as_unicode() {
            Some(BfString::Char(c)) => self.lines.push(c.encode_utf8(&mut [0; 4]), mark),
            Some(BfString::String(text)) => self.lines.push(&text, mark),
            None => {
                // The codes of simple fonts without any mapping are ASCII more often than not.
                let code = char::from_u32(glyph.char_code()).filter(char::is_ascii_graphic);
                self.unmapped += usize::from(code.is_none());
                if let Some(code) = code {
                    self.lines.push(code.encode_utf8(&mut [0; 4]), mark);
                }
            }
        }
    }
}

/// What a transform makes of a vector: its translation does not count.
fn vector(transform: Affine, v: Vec2) -> Vec2 {
    transform * v.to_point() - transform * Point::ZERO
}

impl<'a> Device<'a> for TextDevice<'_> {
    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, mode: &DrawMode) {
        if self.refusal.is_some() {
            return;
        }
        if let Err(refusal) = self.budget.tick() {
            self.refusal = Some(refusal);
            return;
        }
        let glyphs = run.glyphs();
        let Some(first) = glyphs.first() else { return };
        let start = props.transform * first.transform() * Point::ZERO;
        let again = (start, glyphs.len());
        if matches!(mode, DrawMode::Stroke(_)) && self.last_run == again {
            return;
        }
        self.last_run = again;
        let vertical = run.writing_mode() == WritingMode::Vertical;
        for glyph in glyphs {
            self.glyph(glyph, props.transform, vertical);
        }
    }

    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'a>, _: &DrawMode) {}
    fn draw_rect(&mut self, _: &Rect, _: DrawProps<'a>, _: &DrawMode) {}
    fn draw_image(&mut self, _: Image<'a, '_>, _: ImageDrawProps<'a>) {}
    fn push_clip_path(&mut self, _: &ClipPath) {}
    fn push_clip_rect(&mut self, _: &Rect) {}
    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {}
    fn pop_clip(&mut self) {}
    fn pop_transparency_group(&mut self) {}
}
