//! A page as few lines as a model needs to name its elements.
//!
//! Kept are links, buttons, fields, lists, headings, labels and frames, and elements whose id or class the command
//! mentions; of each its selector and what it shows, cut. Scripts, styles, drawings, comments, hidden elements and
//! `data:` addresses are dropped, and equal lines are counted. When the rest is over the limit, those lines are kept
//! that have most in common with the command.

use std::collections::HashMap;

use super::element::Element;
use super::relevance::Command;
use super::scan::{Part, Scanner, Tag};
use super::tokens::estimate_tokens;

/// Bytes of a page that are looked at.
const MOST_HTML: usize = 4 << 20;
/// Elements that are kept while a page is gone through; twice as many before the least of them go.
const MOST_LINES: usize = 4_096;
/// Elements inside of one another that collect text.
const MOST_OPEN: usize = 8;

/// Elements within a line of text.
const IN_LINE: [&str; 14] =
    ["a", "abbr", "b", "code", "em", "font", "i", "kbd", "mark", "small", "span", "strong", "u", "wbr"];

/// The elements of a page that a command may mean, one a line, in the page's order, of at most `most` tokens by
/// [`estimate_tokens`]. Of pages longer than 4 MiB, the first 4 MiB count.
///
/// The same input gives the same outline. Time grows with the page's length, whatever is in it, and memory is bounded.
///
/// ```
/// let html = "<script>var x</script><h1>Shop</h1><a href='/cart'>Cart</a><button id=pay>Pay now</button>";
/// let outline = browser::language::outline(html, "pay now", 100);
/// assert_eq!(outline, "h1 \"Shop\"\na \"Cart\" href=\"/cart\"\nbutton#pay \"Pay now\"\n");
/// assert_eq!(browser::language::outline(html, "pay now", 8), "button#pay \"Pay now\"\n");
/// ```
#[must_use]
pub fn outline(html: &str, command: &str, most: u64) -> String {
    let html = html.get(..html.floor_char_boundary(MOST_HTML)).unwrap_or(html);
    let command = Command::new(command);
    let mut page = Collector { command: &command, open: Vec::new(), lines: Lines::default() };
    for (place, part) in Scanner::new(html).enumerate() {
        page.take(place, part);
    }
    page.close(0);
    page.lines.within(most)
}

/// An element that is not closed yet.
struct Open {
    element: Element,
    /// Its place on the page.
    place: usize,
    /// Elements of the same name that are open inside of it.
    nested: usize,
}

/// The elements that are open, and the lines of those that are closed.
struct Collector<'c> {
    command: &'c Command,
    open: Vec<Open>,
    lines: Lines,
}

impl Collector<'_> {
    fn take(&mut self, place: usize, part: Part<'_>) {
        match part {
            Part::Text(text) => self.text(text),
            Part::Close(name) => {
                self.line_break(name);
                let Some(at) = self.innermost(name) else { return };
                match self.open.get_mut(at) {
                    Some(open) if open.nested > 0 => open.nested -= 1,
                    _ => self.close(at),
                }
            }
            Part::Open(tag) => self.tag(place, &tag),
        }
    }

    fn text(&mut self, text: &str) {
        for open in &mut self.open {
            open.element.push_text(text);
        }
    }

    /// What is no part of a line parts the words around it.
    fn line_break(&mut self, name: &str) {
        if !IN_LINE.iter().any(|inner| name.eq_ignore_ascii_case(inner)) {
            self.text(" ");
        }
    }

    fn tag(&mut self, place: usize, tag: &Tag<'_>) {
        self.line_break(tag.name);
        let is = |name: &str| tag.name.eq_ignore_ascii_case(name);
        if is("option") {
            self.open.iter_mut().map(|open| &mut open.element).for_each(Element::push_entry);
        }
        if is("img") {
            let alt = tag.attributes().find(|(name, _)| name.eq_ignore_ascii_case("alt"));
            self.text(alt.unwrap_or_default().1);
        }
        if (is("a") || is("button"))
            && let Some(at) = self.innermost(tag.name)
        {
            // They are never inside of their own kind: the first was left open.
            self.close(at);
        }
        let element = Element::of(tag, self.command);
        match element {
            Some(element) if element.is_void() => self.lines.add(&element, place, self.command),
            Some(element) if self.open.len() < MOST_OPEN => {
                self.open.push(Open { element, place, nested: 0 });
            }
            other => {
                if let Some(element) = other {
                    self.lines.add(&element, place, self.command);
                }
                // Its end is not that of the one around it.
                if let Some(at) = self.innermost(tag.name)
                    && let Some(open) = self.open.get_mut(at)
                {
                    open.nested += 1;
                }
            }
        }
    }

    fn innermost(&self, name: &str) -> Option<usize> {
        self.open.iter().rposition(|open| open.element.tag.eq_ignore_ascii_case(name))
    }

    /// Closes an element and all that was left open inside of it.
    fn close(&mut self, at: usize) {
        for open in self.open.drain(at..) {
            self.lines.add(&open.element, open.place, self.command);
        }
    }
}

struct Line {
    text: String,
    score: usize,
    /// Its place on the page.
    place: usize,
    times: usize,
}

impl Line {
    fn full(&self) -> String {
        if self.times > 1 { format!("{} x{}\n", self.text, self.times) } else { format!("{}\n", self.text) }
    }
}

#[derive(Default)]
struct Lines {
    /// By what makes lines the same.
    kept: HashMap<String, Line>,
}

impl Lines {
    fn add(&mut self, element: &Element, place: usize, command: &Command) {
        let Some((text, same)) = element.lines() else { return };
        if let Some(line) = self.kept.get_mut(&same) {
            line.times += 1;
            return;
        }
        let score = element.score(command);
        self.kept.insert(same, Line { text, score, place, times: 1 });
        if self.kept.len() >= 2 * MOST_LINES {
            let mut ranks: Vec<_> = self.kept.values().map(Line::rank).collect();
            let (_, least, _) = ranks.select_nth_unstable(MOST_LINES);
            let least = *least;
            self.kept.retain(|_, line| line.rank() < least);
        }
    }

    fn within(self, most: u64) -> String {
        let mut lines: Vec<Line> = self.kept.into_values().collect();
        lines.sort_unstable_by_key(Line::rank);
        let mut left = most;
        lines.retain(|line| {
            let tokens = estimate_tokens(&line.full());
            let fits = tokens <= left;
            left -= if fits { tokens } else { 0 };
            fits
        });
        lines.sort_unstable_by_key(|line| line.place);
        lines.iter().map(Line::full).collect()
    }
}

impl Line {
    /// Those the command speaks of first, then as on the page.
    fn rank(&self) -> (std::cmp::Reverse<usize>, usize) {
        (std::cmp::Reverse(self.score), self.place)
    }
}
