//! Commands behind a value that a shell would run.

use super::Best;
use super::command_words::{SHORT, STRONG, TELLING, WITH, tells};
use super::text::{Cursor, find, is_one_of, is_space, is_word, starts_with};

pub(super) fn read(text: &[u8], best: &mut Best) {
    // All of them have one of these.
    let telling = text.iter().any(|byte| matches!(byte, b'$' | b'{' | b'<' | b'-') || *byte == b'/');
    for (needle, score, reason) in STRONG.iter().filter(|_| telling) {
        if let Some(at) = find(text, needle) {
            // In a long text it is likely written about.
            let score = if text.len() > 400 { score.saturating_sub(26) } else { *score };
            best.note(score, at..at + needle.len(), reason);
        }
    }
    separators(text, best);
    substitutions(text, best);
}

/// `; id`, `| cat /etc/passwd`, `x && whoami`.
fn separators(text: &[u8], best: &mut Best) {
    let first = text.iter().position(|byte| !is_space(*byte)).unwrap_or_default();
    for (at, byte) in text.iter().enumerate().take(160) {
        if !matches!(byte, b';' | b'|' | b'&' | b'\n' | b'\r') {
            continue;
        }
        let Some(before) = value_before(text.get(first..at).unwrap_or_default()) else { return };
        if matches!(byte, b'\n' | b'\r') && before == Before::Words {
            return;
        }
        let mut cursor = Cursor::new(text, at);
        cursor.take(|byte| matches!(byte, b';' | b'|' | b'&' | b'\n' | b'\r') || is_space(byte));
        cursor.take(|byte| matches!(byte, b'{' | b'(' | b'!' | b'@') || is_space(byte));
        if let Some(score) = command(cursor, before, *byte) {
            best.note(score, at..text.len().min(cursor.at + 24), "a command after a separator");
        }
    }
}

/// What stands before a separator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    /// A number, an address, a path, a quote: what a form's field holds.
    Value,
    /// Another single word.
    Word,
    /// Some words.
    Words,
}

/// `None` where the text before is itself a command line, or prose.
fn value_before(before: &[u8]) -> Option<Before> {
    let before = before.trim_ascii();
    if before.is_empty() || before.iter().all(|byte| matches!(byte, b'"' | b'\'' | b')' | b'`')) {
        return Some(Before::Nothing);
    }
    let first = Cursor::new(before, 0).take(|byte| is_word(byte) || matches!(byte, b'.' | b'-'));
    // Behind an operator or a bracket of a program it is an operand.
    if before.len() > 1 && before.ends_with(b"(")
        || before.last().is_some_and(|byte| b"[{,:=<>!+*?&|".contains(byte))
    {
        return None;
    }
    let words = before.split(|byte| is_space(*byte)).filter(|word| !word.is_empty()).count();
    if words > 4
        || before.starts_with(b"$ ")
        || before.starts_with(b"#")
        || (words > 1 && is_one_of(first, WITH))
    {
        return None;
    }
    if words > 1 {
        return Some(Before::Words);
    }
    let value = before
        .iter()
        .any(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'/' | b'@' | b'=' | b'"' | b'\'' | b')'));
    Some(if value { Before::Value } else { Before::Word })
}

/// The score of a command at the cursor.
fn command(cursor: Cursor<'_>, before: Before, separator: u8) -> Option<u8> {
    // `/bin/cat`, `c'a't`, `w\hoami`: what a shell makes one word of.
    let mut name = [0_u8; 16];
    let mut length = 0;
    let mut broken = false;
    let mut cursor = cursor;
    let rooted = matches!(cursor.peek(), Some(b'/' | b'.'));
    if rooted {
        let word = Cursor::new(cursor.text, cursor.at).take(|byte| !is_space(byte));
        let last = word.iter().rposition(|byte| *byte == b'/').unwrap_or_default();
        if !(starts_with(word, "/bin/")
            || starts_with(word, "/usr/bin/")
            || starts_with(word, "/sbin/")
            || starts_with(word, "/usr/sbin/")
            || starts_with(word, "/???/"))
        {
            return None;
        }
        cursor.at += last + 1;
    }
    while let Some(byte) = cursor.peek() {
        match byte {
            b'\'' | b'"' | b'\\' | b'^' if length > 0 => broken = true,
            b'$' if cursor.peek_at(1) == Some(b'@') => {
                broken = true;
                cursor.at += 1;
            }
            _ if is_word(byte) || matches!(byte, b'.' | b'?' | b'-') => {
                *name.get_mut(length)? = byte.to_ascii_lowercase();
                length += 1;
            }
            _ => break,
        }
        cursor.at += 1;
    }
    let name = name.get(..length)?;
    let next = cursor.peek();
    let closure = separator == b'|' && next == Some(b'|') && cursor.peek_at(1) != Some(b'|');
    if closure || next.is_some_and(|byte| byte == b'=' || byte == b'(' || byte == b':') {
        return None;
    }
    let mut rest = cursor;
    rest.take(|byte| byte == b' ' || byte == b'\t');
    let arguments = rest.rest();
    // Closed by the attack: a comment, another separator, a quote.
    let ends = arguments.trim_ascii_end().is_empty()
        || matches!(
            arguments.first(),
            Some(b'#' | b';' | b'&' | b'\n' | b'\r' | b'"' | b'\'' | b')' | b'}' | b'`')
        )
        || (arguments.first() == Some(&b'|') && arguments.get(1) == Some(&b'|'));
    let known = is_one_of(name, TELLING) || is_one_of(name, WITH) || is_one_of(name, SHORT);
    if !known {
        return (rooted && starts_with(name, "?")).then_some(70);
    }
    let field = matches!(before, Before::Nothing | Before::Value);
    let base: u8 = match before {
        Before::Nothing => 8,
        Before::Value => 6,
        Before::Word => 0,
        Before::Words => {
            return (is_one_of(name, TELLING) && ends && separator != b'\n')
                .then_some(46)
                .or_else(|| (tells(name, arguments) && arguments.len() < 40).then_some(64));
        }
    };
    if broken && ends {
        return Some(70);
    }
    if is_one_of(name, TELLING)
        && (ends || arguments.first() == Some(&b'-') || arguments.first() == Some(&b'/'))
    {
        return Some(68 + base);
    }
    if tells(name, arguments) {
        return Some(72 + base);
    }
    if is_one_of(name, SHORT) && ends {
        return field.then_some(60 + base).or(Some(45));
    }
    if is_one_of(name, SHORT) && (arguments.first() == Some(&b'-') || arguments.first() == Some(&b'/')) {
        return Some(if field { 62 } else { 40 });
    }
    None
}

/// `$(id)`, `` `whoami` ``.
fn substitutions(text: &[u8], best: &mut Best) {
    let mut at = 0;
    // Each opening is looked at, and none of the text behind it twice.
    for _ in 0..64 {
        let Some(found) = text
            .get(at..)
            .and_then(|rest| rest.iter().position(|byte| matches!(byte, b'$' | b'`' | b'<' | b'>')))
        else {
            return;
        };
        let start = at + found;
        at = start + 1;
        let opening = text.get(start..start + 2).unwrap_or_default();
        let back = opening.first() == Some(&b'`');
        if opening == b"``" {
            at = start + 3; // A fence of Markdown.
            continue;
        }
        if !back && !matches!(opening, b"$(" | b"<(" | b">(") {
            continue;
        }
        let mut cursor = Cursor::new(text, start + if back { 1 } else { 2 });
        cursor.skip_space();
        let close = if back { b'`' } else { b')' };
        let Some(length) = cursor.rest().iter().take(200).position(|byte| *byte == close) else { continue };
        let inside = cursor.rest().get(..length).unwrap_or_default();
        let before = text.get(..start).unwrap_or_default().trim_ascii();
        let after = text.get(cursor.at + length + 1..).unwrap_or_default().trim_ascii();
        // A field holds a value and the substitution; a script or a page of documentation holds more.
        let alone = before.len() <= 24 && !before.iter().any(|byte| is_space(*byte)) && after.len() <= 8;
        let name = Cursor::new(inside, 0).take(|byte| is_word(byte) || byte == b'.');
        let arguments = inside.get(name.len()..).unwrap_or_default().trim_ascii();
        let told = is_one_of(name, WITH) && tells(name, arguments);
        let telling = is_one_of(name, TELLING) && (arguments.is_empty() || arguments.starts_with(b"-"));
        let field =
            if before.is_empty() { Before::Nothing } else { value_before(before).unwrap_or(Before::Words) };
        let score = match (alone, told || telling) {
            (true, true) => 74,
            // A name of a field is written like this.
            (true, false) if back && before.is_empty() && is_one_of(inside, SHORT) => 56,
            (true, false) => command(Cursor::new(inside, 0), field, b';').unwrap_or(15),
            (false, true) if !back && text.len() < 100 && told => 60,
            _ => 15,
        };
        best.note(score, start..cursor.at + length + 1, "a command in place of a value");
        at = cursor.at;
    }
}
