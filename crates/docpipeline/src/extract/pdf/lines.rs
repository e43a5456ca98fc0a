//! From glyphs to lines, by the distances between them.
//!
//! Glyphs come in the order in which the page draws them, which nearly every producer makes the order of reading. So
//! each glyph is compared with the one before it only: it goes on the word, begins a word, or begins a line.

use hayro_font::kurbo::{Point, Vec2};

/// A gap of this share of the smaller size is a space. Letters are kerned by up to a tenth; the narrowest spaces that are set
/// have a sixth.
const SPACE: f64 = 0.16;

/// How far a glyph may stand off the line and still be on it: superscripts do by a third to a half.
const OFF_LINE: f64 = 0.55;

/// How far a glyph may go back and still go on the word: kerning, accents set over letters.
const BACK: f64 = 0.6;

/// How far the middle of an accent may be from the middle of its letter.
const OVER: f64 = 0.25;

/// Where a glyph stands, in the units of the page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    /// Where its baseline begins.
    pub(super) origin: Point,
    /// From there to where the next glyph would begin.
    pub(super) advance: Vec2,
    /// The size of its font.
    pub(super) size: f64,
    /// Whether the font is bold.
    pub(super) bold: bool,
}

impl Mark {
    fn end(&self) -> Point {
        self.origin + self.advance
    }

    fn middle(&self) -> Point {
        self.origin + self.advance / 2.0
    }
}

/// Glyphs on one baseline.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Line {
    pub(super) text: String,
    /// Where the line begins.
    pub(super) start: Point,
    /// The direction of reading: a unit vector.
    pub(super) direction: Vec2,
    /// The size of most of its glyphs.
    pub(super) size: f64,
    /// Whether all its glyphs are bold.
    pub(super) bold: bool,
}

/// What a glyph's text is to the line that it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    Blank,
    LeftToRight,
    RightToLeft,
}

impl Script {
    pub(super) fn of(text: &str) -> Self {
        if text.chars().all(char::is_whitespace) {
            Self::Blank
        } else if is_right_to_left(text) {
            Self::RightToLeft
        } else {
            Self::LeftToRight
        }
    }
}

/// Takes glyphs, gives lines.
#[derive(Default)]
pub(super) struct LineBuilder {
    lines: Vec<Line>,
    /// Bytes of text in them and in the line that is not finished.
    text_bytes: usize,
    line: Line,
    last: Option<Mark>,
    /// The byte at which the last glyph's text begins.
    last_at: usize,
    /// Glyphs of the line by size, in tenths: few lines have more than two.
    sizes: Vec<(f64, usize)>,
    /// Whether the line has letters of right-to-left scripts.
    right_to_left: bool,
    /// Neighbouring letters of right-to-left scripts that were drawn from left to right, less those that were not.
    visual_order: i32,
}

/// How a glyph follows the one before it.
enum Step {
    /// On the word.
    Join,
    /// A new word.
    Space,
    /// A new line.
    Line,
    /// The same glyph in the same place, to make it look bold.
    Again,
}

impl LineBuilder {
    /// Takes the next glyph, which stands for `text`.
    pub(super) fn push(&mut self, text: &str, script: Script, mark: Mark) {
        if self.compose(text, &mark) {
            return;
        }
        match self.step(text, script, &mark) {
            Step::Again => return,
            Step::Join => {}
            Step::Space => self.space(),
            Step::Line => self.end_line(),
        }
        let blank = script == Script::Blank;
        if self.line.text.is_empty() {
            if blank {
                return;
            }
            let length = mark.advance.hypot();
            self.line.start = mark.origin;
            self.line.bold = true;
            self.line.direction = if length > 0.0 { mark.advance / length } else { Vec2::new(1.0, 0.0) };
        }
        self.last_at = self.line.text.len();
        if blank {
            self.space();
        } else {
            self.line.text.push_str(text);
            self.text_bytes += text.len();
            self.right_to_left |= script == Script::RightToLeft;
            self.line.bold &= mark.bold;
            self.count_size(mark.size);
        }
        self.last = Some(mark);
    }

    /// Takes a glyph that the text of the last one stands for too.
    pub(super) fn extend(&mut self, mark: Mark) {
        if let Some(last) = &mut self.last {
            last.advance = mark.end() - last.origin;
        }
    }

    /// Lines that are finished.
    pub(super) fn count(&self) -> usize {
        self.lines.len()
    }

    /// Bytes of text that were taken.
    pub(super) fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// All lines.
    pub(super) fn finish(mut self) -> Vec<Line> {
        self.end_line();
        self.lines
    }

    /// Sets an accent that was drawn over a letter, before or after it, on the letter. Fonts without letters that have
    /// accents (those of TeX with seven bits) leave them to be put together so.
    fn compose(&mut self, text: &str, mark: &Mark) -> bool {
        let Some(last) = &self.last else { return false };
        let Some(before) = self.line.text.get(self.last_at..) else { return false };
        let (Some(under), Some(over)) = (single(before), single(text)) else { return false };
        let (letter, accent) = match (combining(under), combining(over)) {
            (Some(accent), None) => (over, accent),
            (None, Some(accent)) => (under, accent),
            _ => return false,
        };
        let apart = mark.middle() - last.middle();
        if !letter.is_alphabetic() || apart.dot(self.line.direction).abs() > OVER * mark.size {
            return false;
        }
        if apart.cross(self.line.direction).abs() > OFF_LINE * mark.size {
            return false;
        }
        let dotted = match letter {
            'ı' => 'i',
            'ȷ' => 'j',
            letter => letter,
        };
        self.line.text.truncate(self.last_at);
        self.line.text.extend([dotted, accent]);
        // The wider of the two is the letter, which says where the next one is.
        if mark.advance.hypot2() > last.advance.hypot2() || letter == over {
            self.last = Some(*mark);
        }
        true
    }

    fn step(&mut self, text: &str, script: Script, mark: &Mark) -> Step {
        let Some(last) = &self.last else { return Step::Join };
        let direction = self.line.direction;
        let size = mark.size.max(last.size);
        let space = SPACE * mark.size.min(last.size);
        let from_last = mark.origin - last.origin;
        let along = mark.advance.dot(direction);
        let turned = along < 0.7 * mark.advance.hypot() && mark.advance != Vec2::ZERO;
        if turned || from_last.cross(direction).abs() > OFF_LINE * size {
            return Step::Line;
        }
        if from_last.hypot2() < (0.1 * size).powi(2) && self.line.text.get(self.last_at..) == Some(text) {
            return Step::Again;
        }
        let gap = (from_last - last.advance).dot(direction);
        if self.right_to_left || script == Script::RightToLeft {
            // Drawn in the order of reading, each letter stands to the left of the one before.
            let gap_leftwards = (last.origin - mark.end()).dot(direction);
            if gap_leftwards > -BACK * size && gap < 0.0 {
                self.visual_order -= 1;
                return if gap_leftwards > space { Step::Space } else { Step::Join };
            }
            self.visual_order += 1;
        }
        if gap > space {
            Step::Space
        } else if gap >= -BACK * size || gap >= -BACK * last.advance.hypot() {
            Step::Join
        } else {
            Step::Line
        }
    }

    fn space(&mut self) {
        if !self.line.text.is_empty() && !self.line.text.ends_with(' ') {
            self.line.text.push(' ');
        }
    }

    fn count_size(&mut self, size: f64) {
        match self.sizes.iter_mut().find(|(known, _)| (known - size).abs() < 0.1) {
            Some((_, count)) => *count += 1,
            None => self.sizes.push((size, 1)),
        }
    }

    fn end_line(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        let sizes = std::mem::take(&mut self.sizes);
        let visual_order = std::mem::take(&mut self.visual_order) > 0;
        let right_to_left = std::mem::take(&mut self.right_to_left);
        self.last = None;
        self.last_at = 0;
        line.text.truncate(line.text.trim_end().len());
        if line.text.is_empty() {
            return;
        }
        if visual_order && right_to_left {
            line.text = in_reading_order(&line.text);
        }
        line.size = sizes.into_iter().max_by_key(|(_, count)| *count).map_or(0.0, |(size, _)| size);
        self.lines.push(line);
    }
}

fn single(text: &str) -> Option<char> {
    let mut characters = text.chars();
    characters.next().filter(|_| characters.next().is_none())
}

/// The combining character of an accent that stands by itself.
fn combining(accent: char) -> Option<char> {
    Some(match accent {
        '`' => '\u{300}',
        '´' => '\u{301}',
        'ˆ' => '\u{302}',
        '˜' => '\u{303}',
        '¯' => '\u{304}',
        '˘' => '\u{306}',
        '˙' => '\u{307}',
        '¨' => '\u{308}',
        '˚' => '\u{30a}',
        '˝' => '\u{30b}',
        'ˇ' => '\u{30c}',
        '¸' => '\u{327}',
        '˛' => '\u{328}',
        _ => return None,
    })
}

/// Whether a text holds Hebrew, Arabic, Syriac, Thaana or their presentation forms.
fn is_right_to_left(text: &str) -> bool {
    text.chars().any(is_right_to_left_char)
}

fn is_right_to_left_char(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}')
}

/// A line drawn from left to right whose script is read from right to left: the whole is turned round, and the runs of
/// Latin letters and digits in it are turned back (the reverse of Unicode Standard Annex 9 for a line of one level).
fn in_reading_order(text: &str) -> String {
    let turned: Vec<char> = text.chars().rev().collect();
    let mut logical = String::with_capacity(text.len());
    let is_latin = |c: &char| c.is_alphanumeric() && !is_right_to_left_char(*c);
    let mut rest = turned.as_slice();
    while let Some(c) = rest.first() {
        if !is_latin(c) {
            logical.push(*c);
            rest = rest.get(1..).unwrap_or_default();
            continue;
        }
        // A run of Latin words with what stands between them.
        let until = rest.iter().position(|c| is_right_to_left_char(*c)).unwrap_or(rest.len());
        let run = rest.get(..until).unwrap_or_default();
        let length = run.iter().rposition(is_latin).map_or(until, |last| last + 1);
        logical.extend(run.get(..length).unwrap_or_default().iter().rev());
        rest = rest.get(length..).unwrap_or_default();
    }
    logical
}

#[cfg(test)]
mod tests {
    use super::{Line, LineBuilder, Mark, Script, in_reading_order};
    use hayro_font::kurbo::{Point, Vec2};
    use proptest::prelude::*;

    /// Sets `text` in a font of size 10 whose letters are all half as wide, without any space glyphs.
    fn set(builder: &mut LineBuilder, text: &str, mut x: f64, y: f64) {
        for c in text.chars() {
            if c != ' ' {
                let mark =
                    Mark { origin: Point::new(x, y), advance: Vec2::new(5.0, 0.0), size: 10.0, bold: false };
                builder.push(&c.to_string(), Script::of(&c.to_string()), mark);
            }
            x += if c == ' ' { 3.0 } else { 5.0 };
        }
    }

    fn texts(lines: &[Line]) -> Vec<&str> {
        lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn gaps_are_spaces_and_steps_down_are_lines() {
        let mut builder = LineBuilder::default();
        set(&mut builder, "two words", 0.0, 100.0);
        set(&mut builder, "below", 0.0, 88.0);
        set(&mut builder, "beside", 200.0, 88.0);
        assert_eq!(texts(&builder.finish()), ["two words", "below beside"]);
    }

    #[test]
    fn a_glyph_drawn_twice_is_one() {
        let mut builder = LineBuilder::default();
        let mark =
            Mark { origin: Point::new(0.0, 0.0), advance: Vec2::new(5.0, 0.0), size: 10.0, bold: false };
        builder.push("a", Script::LeftToRight, mark);
        builder.push("a", Script::LeftToRight, Mark { origin: Point::new(0.3, 0.0), ..mark });
        assert_eq!(texts(&builder.finish()), ["a"]);
    }

    #[test]
    fn an_accent_drawn_over_a_letter_is_on_it() {
        let mut builder = LineBuilder::default();
        let mut draw = |text: &str, x: f64, y: f64, width: f64| {
            let mark =
                Mark { origin: Point::new(x, y), advance: Vec2::new(width, 0.0), size: 10.0, bold: false };
            builder.push(text, Script::LeftToRight, mark);
        };
        for (text, x, y, width) in
            [("M", 0.0, 0.0, 9.0), ("¨", 9.0, 0.0, 5.0), ("u", 9.0, 0.0, 5.5), ("l", 14.5, 0.0, 3.0)]
        {
            draw(text, x, y, width);
        }
        for (text, x, y, width) in [("c", 20.0, 0.0, 4.5), ("¸", 20.2, 0.0, 4.5), ("´", 24.6, 2.0, 5.0)] {
            draw(text, x, y, width);
        }
        draw("E", 24.4, 0.0, 6.0);
        draw("´", 40.0, 0.0, 5.0);
        draw("a", 45.0, 0.0, 5.0);
        assert_eq!(texts(&builder.finish()), ["Mu\u{308}l c\u{327}E\u{301} ´a"]);
    }

    #[test]
    fn letters_set_leftwards_are_read_as_they_come() {
        let mut builder = LineBuilder::default();
        for (i, c) in "שלום".chars().enumerate() {
            let origin = Point::new(100.0 - 5.0 * i as f64, 0.0);
            let mark = Mark { origin, advance: Vec2::new(5.0, 0.0), size: 10.0, bold: false };
            builder.push(&c.to_string(), Script::RightToLeft, mark);
        }
        assert_eq!(texts(&builder.finish()), ["שלום"]);
    }

    #[test]
    fn letters_set_rightwards_are_turned_round_and_numbers_are_not() {
        let drawn: String = "עלה 42 שקל".chars().rev().collect::<String>().replace("24", "42");
        let mut builder = LineBuilder::default();
        set(&mut builder, &drawn, 0.0, 0.0);
        assert_eq!(texts(&builder.finish()), ["עלה 42 שקל"]);
        assert_eq!(in_reading_order("abc"), "abc");
    }

    proptest! {
        #[test]
        fn words_survive_being_set(words in prop::collection::vec("[a-z]{1,8}", 1..20)) {
            let text = words.join(" ");
            let mut builder = LineBuilder::default();
            set(&mut builder, &text, 0.0, 0.0);
            let lines = builder.finish();
            // Two equal letters beside one another are not one drawn twice.
            prop_assert_eq!(texts(&lines), [text.as_str()]);
        }

        #[test]
        fn no_placement_breaks_it(
            glyphs in prop::collection::vec(("\\PC", any::<(f32, f32, f32, f32)>(), 0.1_f64..100.0), 0..30),
        ) {
            let mut builder = LineBuilder::default();
            for (text, (x, y, dx, dy), size) in &glyphs {
                let origin = Point::new((*x).into(), (*y).into());
                builder.push(text, Script::of(text), Mark { origin, advance: Vec2::new((*dx).into(), (*dy).into()), size: *size, bold: false });
            }
            builder.finish();
        }
    }
}
