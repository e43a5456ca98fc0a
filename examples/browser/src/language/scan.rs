//! HTML cut into tags and text, in one pass. It is not a parser: it knows no tree and repairs nothing.
//!
//! Every byte is looked at a bounded number of times whatever the text is: a construct without an end goes on to the
//! end of the text, as in browsers.

/// A part of a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part<'h> {
    /// A tag that opens an element.
    Open(Tag<'h>),
    /// A tag that closes one, by its name as written.
    Close(&'h str),
    /// Text as written, entities and all.
    Text(&'h str),
}

/// A tag that opens an element.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tag<'h> {
    /// Its name as written.
    pub(crate) name: &'h str,
    /// What stands between the name and `>`.
    inside: &'h str,
}

/// The most attributes of a tag that are looked at.
const MOST_ATTRIBUTES: usize = 64;
/// Elements whose contents are no part of what a page shows.
const DROPPED: [&str; 7] = ["script", "style", "svg", "template", "noscript", "math", "object"];

/// Goes through a page.
pub(crate) struct Scanner<'h> {
    html: &'h str,
    at: usize,
}

impl<'h> Scanner<'h> {
    pub(crate) fn new(html: &'h str) -> Self {
        Self { html, at: 0 }
    }

    fn rest(&self) -> &'h str {
        self.html.get(self.at..).unwrap_or_default()
    }

    /// Takes `bytes` of the rest, which end at a boundary.
    fn take(&mut self, bytes: usize) -> &'h str {
        let rest = self.rest();
        let taken = rest.get(..bytes).unwrap_or(rest);
        self.at += taken.len();
        taken
    }

    /// Goes past the next `end`, or to the end of the text.
    fn skip_past(&mut self, end: &str) {
        let rest = self.rest();
        let bytes = rest.find(end).map_or(rest.len(), |at| at + end.len());
        self.take(bytes);
    }

    /// Goes to the tag that closes the element `name`, or to the end of the text.
    fn skip_contents(&mut self, name: &str) {
        loop {
            let rest = self.rest();
            let Some(at) = rest.find("</") else {
                self.at = self.html.len();
                return;
            };
            let after = rest.get(at + 2..).unwrap_or_default();
            if name_of(after).eq_ignore_ascii_case(name) {
                self.at += at;
                return;
            }
            self.at += at + 2;
        }
    }

    fn tag(&mut self) -> Tag<'h> {
        self.take(1);
        let name = name_of(self.rest());
        self.take(name.len());
        let inside = self.take(end_of_tag(self.rest()));
        self.take(1);
        if DROPPED.iter().any(|dropped| name.eq_ignore_ascii_case(dropped)) && !inside.ends_with('/') {
            self.skip_contents(name);
        }
        Tag { name, inside }
    }
}

impl<'h> Iterator for Scanner<'h> {
    type Item = Part<'h>;

    fn next(&mut self) -> Option<Part<'h>> {
        loop {
            let rest = self.rest();
            let mut first = rest.bytes();
            match (first.next()?, first.next()) {
                (b'<', Some(b'!')) if rest.starts_with("<!--") => {
                    self.take(4);
                    self.skip_past("-->");
                }
                (b'<', Some(b'!' | b'?')) => self.skip_past(">"),
                (b'<', Some(b'/')) => {
                    self.take(2);
                    let name = name_of(self.rest());
                    self.take(name.len());
                    self.skip_past(">");
                    return Some(Part::Close(name));
                }
                (b'<', Some(letter)) if letter.is_ascii_alphabetic() => return Some(Part::Open(self.tag())),
                _ => {
                    // A `<` of its own is text.
                    let bytes = rest.bytes().skip(1).position(|b| b == b'<').map_or(rest.len(), |at| at + 1);
                    return Some(Part::Text(self.take(bytes)));
                }
            }
        }
    }
}

impl<'h> Tag<'h> {
    /// Its first 64 attributes: names and values as written; one without a value has an empty one.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&'h str, &'h str)> {
        let mut rest = self.inside;
        std::iter::from_fn(move || {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
            let sign = rest.bytes().next()?;
            // An equals sign with no name before it is a part of the name.
            let from = usize::from(sign == b'=');
            let name_end = rest
                .bytes()
                .skip(from)
                .position(|b| b.is_ascii_whitespace() || matches!(b, b'=' | b'/'))
                .map_or(rest.len(), |at| at + from);
            let (name, after) = rest.split_at_checked(name_end)?;
            rest = after;
            let Some(value) = after.trim_start().strip_prefix('=') else { return Some((name, "")) };
            let value = value.trim_start();
            let (value, after) = match value.bytes().next() {
                Some(quote @ (b'"' | b'\'')) => {
                    let inner = value.get(1..).unwrap_or_default();
                    inner.split_once(char::from(quote)).unwrap_or((inner, ""))
                }
                _ => value.split_at(value.find(|c: char| c.is_ascii_whitespace()).unwrap_or(value.len())),
            };
            rest = after;
            Some((name, value))
        })
        .take(MOST_ATTRIBUTES)
    }
}

/// The name that a text begins with.
fn name_of(text: &str) -> &str {
    let end = text.bytes().position(|b| b.is_ascii_whitespace() || matches!(b, b'>' | b'/' | b'<'));
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

/// Where the `>` of a tag is that is not in quotes, or the end of the text.
fn end_of_tag(text: &str) -> usize {
    let mut quote = None;
    // Quotes count only where a value begins.
    let mut before = b' ';
    for (at, b) in text.bytes().enumerate() {
        match quote {
            Some(begun) if b == begun => quote = None,
            None if b == b'>' => return at,
            None if matches!(b, b'"' | b'\'') && before == b'=' => quote = Some(b),
            _ => {}
        }
        if !b.is_ascii_whitespace() {
            before = b;
        }
    }
    text.len()
}

/// A text with common entities as what they stand for, on one line, of at most `most` characters.
pub(crate) fn plain(text: &str, most: usize) -> String {
    let mut plain = String::new();
    push_plain(&mut plain, text, most);
    plain.truncate(plain.trim_end().len());
    plain
}

/// Adds a text to one that is already plain, until that has `most` characters. A space at its end stays, as the next
/// text may go on in the same line.
pub(crate) fn push_plain(to: &mut String, text: &str, most: usize) {
    let mut have = to.chars().count();
    let mut rest = text;
    let mut space = rest.starts_with(|c: char| c.is_whitespace() || c.is_control());
    while have < most {
        let Some(first) = rest.chars().next() else { break };
        let (c, bytes) = if first == '&' { entity(rest) } else { (first, first.len_utf8()) };
        rest = rest.get(bytes..).unwrap_or_default();
        if c.is_whitespace() || is_unseen(c) {
            space = true;
            continue;
        }
        if space && !to.is_empty() && !to.ends_with(' ') {
            to.push(' ');
            have += 1;
        }
        space = false;
        if have < most {
            to.push(c);
            have += 1;
        }
    }
    if space && have < most && !to.is_empty() && !to.ends_with(' ') {
        to.push(' ');
    }
}

/// Characters that show nothing, or that turn the direction of what follows.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
            | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// What an entity stands for, and its bytes; the sign itself if it is none.
fn entity(text: &str) -> (char, usize) {
    // The longest number has 8 digits and signs.
    let head = text.get(..text.floor_char_boundary(12)).unwrap_or(text);
    let Some(end) = head.find(';') else { return ('&', 1) };
    let name = head.get(1..end).unwrap_or_default();
    let c = match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some(' '),
        _ => name.strip_prefix('#').and_then(|number| {
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }),
    };
    c.map_or(('&', 1), |c| (c, end + 1))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::{Part, Scanner, plain};

    fn shown(html: &str) -> String {
        let part = |part| match part {
            Part::Open(tag) => format!("<{} {:?}>", tag.name, tag.attributes().collect::<Vec<_>>()),
            Part::Close(name) => format!("</{name}>"),
            Part::Text(text) => text.to_owned(),
        };
        Scanner::new(html).map(part).collect()
    }

    #[test]
    fn tags_attributes_and_text_are_told_apart() {
        for (html, parts) in [
            (
                "<a href='x>y' id=go disabled>Go</a>",
                r#"<a [("href", "x>y"), ("id", "go"), ("disabled", "")]>Go</a>"#,
            ),
            ("a < b <!-- <b> --> c", "a < b  c"),
            ("<script>if (a</b>) '<p>'</SCRIPT >x", "<script []></SCRIPT>x"),
            ("<style>p{}", "<style []>"),
            ("<svg><path d='1'/></svg><p>x", "<svg []></svg><p []>x"),
            (
                "<!doctype html><br/><input\nname = q value=\"a b\"/>",
                r#"<br []><input [("name", "q"), ("value", "a b")]>"#,
            ),
            ("<a b='c", r#"<a [("b", "c")]>"#),
            ("<a =b c==d>", r#"<a [("=b", ""), ("c", "=d")]>"#),
            ("<", "<"),
            ("</", "</>"),
        ] {
            assert_eq!(shown(html), parts, "{html}");
        }
    }

    #[test]
    fn text_is_made_plain() {
        assert_eq!(plain("  Save\n &amp; \u{200b}close&nbsp;&#x21;&bogus; ", 80), "Save & close !&bogus;");
        assert_eq!(plain("one two three", 7), "one two");
        assert_eq!(plain("one two three", 4), "one");
    }

    proptest! {
        #[test]
        fn any_text_is_gone_through(html in "(<|>|/|!--|-->|[a-c ='\"]|script|&#x?[0-9]{1,9};|é|.){0,60}") {
            let parts = Scanner::new(&html).count();
            prop_assert!(parts <= html.len());
            let plain = plain(&html, 20);
            prop_assert!(plain.chars().count() <= 20);
        }
    }
}
