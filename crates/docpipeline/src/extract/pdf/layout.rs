//! From lines to paragraphs and headings, by the distances between lines.

use super::lines::Line;

/// A step down of more than this many sizes is a gap between paragraphs, whatever the lines before it did.
const WIDEST_LEADING: f64 = 1.9;

/// A step down that exceeds the paragraph's own by this factor is a gap too.
const LARGER_STEP: f64 = 1.3;

/// A heading is set larger than the body by this factor.
const HEADING_SIZE: f64 = 1.13;

/// What a bold line that is no heading ends with: a sentence's end, or the page that a table of contents tells.
const NO_HEADING_END: [char; 14] = ['.', ',', ';', ':', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];

/// The dots from an entry of a table of contents to its page.
const LEADER: &str = ". . .";

/// The level of a heading that is no larger than the body, but bold.
const LEVEL_OF_BOLD: u8 = 4;

/// A heading has at most this many bytes, and lines.
const LONGEST_HEADING: (usize, usize) = (200, 3);

/// A paragraph of a page.
#[derive(Debug, PartialEq)]
pub(super) struct Paragraph {
    pub(super) text: String,
    /// The level, if it is a heading.
    pub(super) level: Option<u8>,
}

/// How most of a document's text is set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Body {
    size: f64,
    bold: bool,
}

impl Body {
    pub(super) fn of(pages: &[Vec<Line>]) -> Self {
        // A document of more sizes than this has no body.
        const MOST_SIZES: usize = 200;
        let mut sizes: Vec<(f64, usize)> = Vec::new();
        let (mut bold, mut all) = (0, 0);
        for line in pages.iter().flatten() {
            let length = line.text.len();
            all += length;
            bold += if line.bold { length } else { 0 };
            let full = sizes.len() >= MOST_SIZES;
            match sizes.iter_mut().find(|(size, _)| (size - line.size).abs() < 0.25) {
                Some((_, bytes)) => *bytes += length,
                None if full => {}
                None => sizes.push((line.size, length)),
            }
        }
        let size = sizes.into_iter().max_by_key(|(_, bytes)| *bytes).map_or(0.0, |(size, _)| size);
        Self { size, bold: bold * 2 > all }
    }
}

/// The lines of a page as paragraphs. Words that were divided at the end of a line are whole again.
pub(super) fn paragraphs(lines: &[Line], body: Body) -> Vec<Paragraph> {
    let mut paragraphs = Vec::new();
    let mut open: Vec<&Line> = Vec::new();
    for line in lines {
        if begins_paragraph(&open, line) {
            paragraphs.extend(finish(&open, body));
            open.clear();
        }
        open.push(line);
    }
    paragraphs.extend(finish(&open, body));
    // Where every other paragraph is a heading, size means something else.
    let headings = paragraphs.iter().filter(|paragraph| paragraph.level.is_some()).count();
    if headings > 8 && headings * 2 > paragraphs.len() {
        for paragraph in &mut paragraphs {
            paragraph.level = None;
        }
    }
    paragraphs
}

fn begins_paragraph(open: &[&Line], line: &Line) -> bool {
    let Some(last) = open.last() else { return false };
    let goes_on = goes_on(&last.text, &line.text);
    let set_otherwise = (line.size - last.size).abs() > 0.12 * last.size || line.bold != last.bold;
    if (set_otherwise && !goes_on) || line.direction.dot(last.direction) < 0.7 {
        return true;
    }
    let step = step_down(last, line);
    let usual = match open {
        [.., before, last] => step_down(before, last),
        _ => step,
    };
    // Upwards is the next column, and a sentence may go on in it; a long way down, the next block.
    if step < -0.5 * line.size {
        return !goes_on;
    }
    step > WIDEST_LEADING * line.size || (usual > 0.0 && step > LARGER_STEP * usual)
}

/// Whether a line ends within a sentence that the next one goes on with.
fn goes_on(last: &str, next: &str) -> bool {
    last.ends_with(|c: char| c.is_alphabetic() || matches!(c, ',' | '-' | '\u{ad}' | '\u{2010}'))
        && next.starts_with(char::is_lowercase)
}

/// How far the baseline of `line` is below that of `last`, as the reader holds the page.
fn step_down(last: &Line, line: &Line) -> f64 {
    (line.start - last.start).cross(last.direction)
}

fn finish(lines: &[&Line], body: Body) -> Option<Paragraph> {
    let first = lines.first()?;
    let mut text = String::new();
    for line in lines {
        append(&mut text, &line.text);
    }
    let short = text.len() <= LONGEST_HEADING.0 && lines.len() <= LONGEST_HEADING.1;
    let worded = text.chars().filter(|c| c.is_alphabetic()).take(3).count() == 3;
    let larger = first.size / body.size;
    let stands_out = !body.bold && larger > 0.95 && lines.iter().all(|line| line.bold);
    let level = level(larger).or((stands_out && !text.ends_with(NO_HEADING_END)).then_some(LEVEL_OF_BOLD));
    let leads_to_page = text.contains(LEADER);
    Some(Paragraph { text, level: level.filter(|_| short && worded && !leads_to_page) })
}

/// The level of a heading by how much larger than the body it is.
fn level(ratio: f64) -> Option<u8> {
    match ratio {
        ratio if !ratio.is_finite() => None,
        ratio if ratio >= 1.7 => Some(1),
        ratio if ratio >= 1.3 => Some(2),
        ratio if ratio >= HEADING_SIZE => Some(3),
        _ => None,
    }
}

/// Appends a line; a hyphen between two letters at its beginning was put there by the division, when what follows
/// is of the same case.
pub(super) fn append(text: &mut String, line: &str) {
    let before = text.strip_suffix(['-', '\u{2010}', '\u{ad}']).unwrap_or_default();
    let mut before = before.chars().rev();
    let divided = match before.next() {
        Some(c) if c.is_uppercase() => {
            let capitals = |mut chars: std::str::Chars<'_>| chars.by_ref().take(2).all(char::is_uppercase);
            before.next().is_some_and(char::is_uppercase) && line.len() > 1 && capitals(line.chars())
        }
        Some(c) => c.is_alphabetic() && line.starts_with(char::is_lowercase),
        None => false,
    };
    if divided {
        text.pop();
    } else if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
}

#[cfg(test)]
mod tests {
    use super::{Body, Line, Paragraph, paragraphs};
    use hayro_font::kurbo::{Point, Vec2};

    fn line(text: &str, y: f64, size: f64) -> Line {
        let direction = Vec2::new(1.0, 0.0);
        Line { text: text.to_owned(), start: Point::new(0.0, y), direction, size, bold: false }
    }

    const BODY: Body = Body { size: 10.0, bold: false };

    fn paragraph(text: &str, level: Option<u8>) -> Paragraph {
        Paragraph { text: text.to_owned(), level }
    }

    #[test]
    fn larger_lines_are_headings_and_gaps_part_paragraphs() {
        let page = vec![
            line("A Title", 700.0, 20.0),
            line("The first para-", 660.0, 10.0),
            line("graph goes on.", 648.0, 10.0),
            line("The second one", 620.0, 10.0),
            line("is short.", 608.0, 10.0),
            line("The next column.", 660.0, 10.0),
            line("It stops in a sen-", 648.0, 10.0),
            line("tence.", 660.0, 10.0),
        ];
        let body = Body::of(std::slice::from_ref(&page));
        let expected = [
            paragraph("A Title", Some(1)),
            paragraph("The first paragraph goes on.", None),
            paragraph("The second one\nis short.", None),
            paragraph("The next column.\nIt stops in a sentence.", None),
        ];
        assert_eq!(paragraphs(&page, body), expected);
    }

    #[test]
    fn a_hyphen_before_a_capital_or_after_a_number_stays() {
        let page = vec![line("Jean-", 100.0, 10.0), line("Luc, 1990-", 88.0, 10.0), line("ies", 76.0, 10.0)];
        assert_eq!(paragraphs(&page, BODY), [paragraph("Jean-\nLuc, 1990-\nies", None)]);
        let page = vec![
            line("RÉ-", 100.0, 10.0),
            line("MONIE", 88.0, 10.0),
            line("UTF-", 76.0, 10.0),
            line("8", 64.0, 10.0),
        ];
        assert_eq!(paragraphs(&page, BODY), [paragraph("RÉMONIE\nUTF-\n8", None)]);
    }

    #[test]
    fn a_bold_line_by_itself_is_a_heading() {
        let bold = |text: &str, y: f64| Line { bold: true, ..line(text, y, 10.0) };
        let page = vec![
            bold("3.1 Tides", 100.0),
            line("They come", 88.0, 10.0),
            bold("Note:", 76.0),
            line("and go.", 64.0, 10.0),
        ];
        let expected = [
            paragraph("3.1 Tides", Some(4)),
            paragraph("They come", None),
            paragraph("Note:", None),
            paragraph("and go.", None),
        ];
        assert_eq!(paragraphs(&page, BODY), expected);
        let all_bold = Body { bold: true, ..BODY };
        assert!(paragraphs(&page, all_bold).iter().all(|paragraph| paragraph.level.is_none()));
    }
}
