//! Markup and scripts that a browser would run.

use std::ops::Range;

use super::Best;
use super::text::{Cursor, contains, find, is_one_of, is_space, starts_with};
use super::xss_words::{ADDRESSES, CALLS, EVENTS, STYLES};

pub(super) fn read(text: &[u8], best: &mut Best) {
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr(b'<', rest)) {
        at += found + 1;
        tag(text, at - 1, best);
        if best.0.as_ref().is_some_and(|best| best.score >= 88) {
            break; // Nothing says more.
        }
    }
    address(text, best);
    out_of_attribute(text, best);
    out_of_string(text, best);
}

/// Reads one tag that begins at `start`, and of a script what follows.
fn tag(text: &[u8], start: usize, best: &mut Best) {
    let mut cursor = Cursor::new(text, start + 1);
    let closing = cursor.eat("/");
    // `<svg:script>`, `<x:y>`: what stands before the colon is a name, too.
    let name = cursor.take(|byte| byte.is_ascii_alphanumeric() || byte == b':' || byte == b'-');
    if name.is_empty() || closing {
        return;
    }
    let name = name.iter().rposition(|byte| *byte == b':').and_then(|at| name.get(at + 1..)).unwrap_or(name);
    let after_name = cursor.at;
    let mut handler = false;
    let mut loads = false;
    // A tag has few attributes before something tells.
    for _ in 0..32 {
        cursor.take(|byte| {
            is_space(byte) || matches!(byte, b'/' | b'"' | b'\'' | b'`' | b',' | b';') || byte < b' '
        });
        let Some(first) = cursor.peek() else { break };
        if first == b'>' {
            cursor.at += 1;
            break;
        }
        if first == b'<' {
            break;
        }
        let attribute =
            cursor.take(|byte| !is_space(byte) && !matches!(byte, b'=' | b'>' | b'/' | b'"' | b'\''));
        cursor.skip_space();
        if cursor.peek() != Some(b'=') {
            if attribute.is_empty() {
                cursor.at += 1;
            }
            continue;
        }
        cursor.at += 1;
        cursor.skip_space();
        let value = value(&mut cursor);
        let end = cursor.at;
        if is_handler(attribute) && !value.is_empty() {
            // `onClick={save}` is how a language with markup in it writes.
            let template = matches!(value.first(), Some(b'{')) || starts_with(value, "{{");
            handler |= !template;
            best.note(if template { 30 } else { 88 }, start..end, "a handler in a tag");
        }
        loads |= is_one_of(attribute, ADDRESSES);
        attribute_value(attribute, value, start..end, best);
    }
    let tag = Tag { text, name, after_name, start, end: cursor.at.max(after_name), handler, loads };
    if let Some(score) = tag.score() {
        best.note(score, tag.start..tag.end, "an element that runs or loads");
    }
}

/// What an attribute that is no handler may run.
fn attribute_value(attribute: &[u8], value: &[u8], span: Range<usize>, best: &mut Best) {
    if is_one_of(attribute, ADDRESSES)
        && let Some(score) = script_address(value)
    {
        best.note(score, span.clone(), "a script as an address");
    }
    if is_one_of(attribute, &["srcdoc"]) {
        best.note(72, span.clone(), "a document in an attribute");
    }
    if is_one_of(attribute, &["style"]) && STYLES.iter().any(|bad| contains(value, bad)) {
        best.note(78, span, "a script in a style");
    }
}

/// A tag that was read.
struct Tag<'t> {
    text: &'t [u8],
    name: &'t [u8],
    after_name: usize,
    start: usize,
    end: usize,
    handler: bool,
    loads: bool,
}

impl Tag<'_> {
    fn score(&self) -> Option<u8> {
        let body = self.text.get(self.end..).unwrap_or_default();
        let body = body.get(..400).unwrap_or(body);
        let tag = self.text.get(self.start..self.end).unwrap_or_default();
        let is = |name: &str| self.name.eq_ignore_ascii_case(name.as_bytes());
        if is("script") {
            let ends = self.text.get(self.after_name).is_none_or(|byte| {
                is_space(*byte) || matches!(byte, b'>' | b'/' | b'<' | b'"' | b'\'') || *byte < b' '
            });
            let code = body.get(..find(body, "</").unwrap_or(body.len())).unwrap_or(body);
            let calls = CALLS.iter().any(|call| contains(code, call));
            let long = code.iter().filter(|byte| !is_space(**byte)).count() > 3;
            let score = match (self.loads, calls, long) {
                (true, _, _) => 84,
                (_, true, _) => 90,
                // It is there, and does nothing that is known to hurt.
                (_, _, true) => 62,
                _ => 52,
            };
            return ends.then_some(score);
        }
        let (runs, score) = if is("svg") {
            (self.handler || contains(body, "<script"), 70)
        } else if is("style") {
            (STYLES.iter().any(|bad| contains(body, bad)), 66)
        } else if is("iframe") || is("object") || is("applet") {
            (self.loads, 66)
        } else if is("base") || is("embed") {
            (self.loads, 64)
        } else if is("link") {
            (self.loads && contains(tag, "import"), 64)
        } else if is("meta") {
            (contains(tag, "refresh") && contains(tag, "url"), 64)
        } else {
            (false, 0)
        };
        runs.then_some(score)
    }
}

/// The value of an attribute, or as much of it as is looked at.
fn value<'t>(cursor: &mut Cursor<'t>) -> &'t [u8] {
    let text = cursor.text;
    let seen = Cursor { text: text.get(..text.len().min(cursor.at + 1_024)).unwrap_or(text), at: cursor.at };
    let mut inner = seen;
    let value = whole_value(&mut inner);
    cursor.at = inner.at;
    value
}

fn whole_value<'t>(cursor: &mut Cursor<'t>) -> &'t [u8] {
    match cursor.peek() {
        Some(quote @ (b'"' | b'\'' | b'`')) => {
            cursor.at += 1;
            let value = cursor.take(|byte| byte != quote);
            cursor.at += usize::from(cursor.peek().is_some());
            value
        }
        _ => cursor.take(|byte| !is_space(byte) && byte != b'>'),
    }
}

fn is_handler(attribute: &[u8]) -> bool {
    let name = attribute
        .iter()
        .rposition(|byte| *byte == b':')
        .and_then(|at| attribute.get(at + 1..))
        .unwrap_or(attribute);
    starts_with(name, "on") && name.get(2..).is_some_and(|event| is_one_of(event, EVENTS))
}

/// The score of an address that runs something.
fn script_address(value: &[u8]) -> Option<u8> {
    let mut scheme = [0_u8; 24];
    let mut length = 0;
    let mut rest: &[u8] = &[];
    for (at, byte) in value.iter().enumerate() {
        if *byte <= b' ' || *byte == b'"' || *byte == b'\'' {
            continue; // Browsers leave them out.
        }
        let slot = scheme.get_mut(length)?;
        *slot = byte.to_ascii_lowercase();
        length += 1;
        if *byte == b':' {
            rest = value.get(at + 1..).unwrap_or_default();
            break;
        }
    }
    match scheme.get(..length)? {
        b"javascript:" => Some(if nothing(rest) { 20 } else { 88 }),
        b"vbscript:" | b"livescript:" | b"mocha:" | b"jscript:" => Some(84),
        b"data:" => {
            let html = [
                "text/html",
                "image/svg",
                "text/xml",
                "application/xhtml",
                "text/javascript",
                "application/javascript",
            ];
            html.iter().any(|kind| starts_with(rest, kind)).then_some(78)
        }
        _ => None,
    }
}

/// `void(0)` and its like, which pages have in links that scripts take over.
fn nothing(code: &[u8]) -> bool {
    let mut code = Cursor::new(code, 0);
    code.skip_space();
    let void = code.eat("void(0)") || code.eat("void 0") || code.eat("return false") || code.eat("false");
    code.take(|byte| matches!(byte, b';' | b' '));
    (void || code.at == 0) && code.rest().is_empty()
}

/// A text that is an address by itself.
fn address(text: &[u8], best: &mut Best) {
    let mut cursor = Cursor::new(text, 0);
    cursor.take(|byte| byte <= b' ' || matches!(byte, b'"' | b'\''));
    let start = cursor.at;
    let Some(score) = script_address(cursor.rest().get(..64).unwrap_or(cursor.rest())) else { return };
    let colon = cursor.rest().iter().position(|byte| *byte == b':').unwrap_or_default();
    let code = cursor.rest().get(colon + 1..).unwrap_or_default();
    // Prose has a space behind the colon, and scripts call something.
    let runs = code.first().is_some_and(|byte| !is_space(*byte))
        && code.iter().any(|byte| matches!(byte, b'(' | b'`' | b'=' | b'<'));
    best.note(if runs { score.min(80) } else { 25 }, start..text.len(), "a script as an address");
}

/// `" onfocus=alert(1) x="`: a quote, and behind it a handler.
fn out_of_attribute(text: &[u8], best: &mut Best) {
    let Some(quote) = text.iter().position(|byte| matches!(byte, b'"' | b'\'' | b'`')) else { return };
    if !text.contains(&b'=') {
        return;
    }
    let mut at = quote;
    while let Some(found) = text.get(at..).and_then(|rest| find(rest, "on")) {
        let start = at + found;
        at = start + 2;
        let before = start.checked_sub(1).and_then(|before| text.get(before)).copied().unwrap_or(b' ');
        if !(is_space(before) || matches!(before, b'/' | b'"' | b'\'' | b'`') || before < b' ') {
            continue;
        }
        let mut cursor = Cursor::new(text, start);
        let name = cursor.take(|byte| byte.is_ascii_alphabetic());
        if !is_handler(name) {
            continue;
        }
        cursor.skip_space();
        if cursor.peek() != Some(b'=') || cursor.peek_at(1) == Some(b'=') {
            continue;
        }
        cursor.at += 1;
        cursor.skip_space();
        let value = value(&mut cursor);
        let calls = CALLS.iter().any(|call| starts_with(value, call)) || starts_with(value, "javascript:");
        // Between the quote and the handler stand at most other attributes.
        let between = text.get(quote + 1..start).unwrap_or_default();
        let near = between.len() < 80 && !between.contains(&b'\n');
        if near && calls {
            best.note(78, quote..cursor.at, "a handler after a quote");
        } else if calls && value.contains(&b'(') {
            best.note(60, start..cursor.at, "a handler");
        }
    }
}

/// `';alert(1)//`, `"-alert(1)-"`, `${alert(1)}`: a call after the end of a script's string.
fn out_of_string(text: &[u8], best: &mut Best) {
    for (at, byte) in text.iter().enumerate().take(256) {
        let opens = match byte {
            b'"' | b'\'' | b'`' => true,
            b'$' | b'{' => text.get(at + 1) == Some(&b'{'),
            _ => false,
        };
        if !opens {
            continue;
        }
        let mut cursor = Cursor::new(text, at + 1);
        let between = cursor.take(|byte| {
            is_space(byte)
                || matches!(
                    byte,
                    b';' | b')'
                        | b'}'
                        | b'-'
                        | b'+'
                        | b'*'
                        | b'/'
                        | b'{'
                        | b'|'
                        | b'&'
                        | b','
                        | b'^'
                        | b'%'
                        | b'('
                        | b'"'
                        | b'\''
                        | b'\\'
                        | b'!'
                )
        });
        let breaks = *byte == b'$'
            || between.iter().any(|byte| {
                matches!(byte, b';' | b'-' | b'+' | b'*' | b'/' | b'|' | b'&' | b'^' | b'{' | b'%')
            });
        if !breaks {
            continue;
        }
        let rest = cursor.rest();
        let shows = ["alert", "prompt", "confirm"].iter().any(|call| {
            let mut after = cursor;
            after.eat(call) && {
                after.take(|byte| is_space(byte) || matches!(byte, b')' | b'?' | b'.'));
                matches!(after.peek(), Some(b'(' | b'`' | b'['))
                    || after.eat("call")
                    || after.eat("apply")
                    || text.get(after.at.saturating_sub(1)) == Some(&b')')
            }
        });
        let reaches = [
            "document.cookie",
            "document.location",
            "document.write",
            "document.domain",
            "eval(",
            "location=",
            "window.location=",
            "string.fromcharcode",
            "fetch('",
            "fetch(\"",
            "fetch(`",
            "fetch(/",
            "import('",
            "constructor.constructor",
        ]
        .iter()
        .any(|call| starts_with(rest, call));
        if shows || reaches {
            let score = if shows { 74 } else { 62 };
            best.note(score, at..text.len().min(cursor.at + 24), "a call after a string");
            return;
        }
    }
}
