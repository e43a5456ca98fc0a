//! Marks inside a paragraph: emphasis, literals, roles, links, references, substitutions.

use std::collections::HashMap;

use super::Line;
use crate::budget::Budget;
use crate::error::Result;

/// What ends a mark, each found in time linear in the paragraph: where no end stands behind one place, none does
/// behind a later one.
const ENDS: [&str; 5] = ["**", "*", "``", "`", "|"];

/// The text of paragraphs without their marks.
pub(super) struct Inline<'b> {
    budget: &'b Budget,
    /// What `|name|` stands for.
    substitutions: HashMap<String, String>,
}

impl<'b> Inline<'b> {
    /// Gathers the substitutions, which may be used before they are defined.
    pub(super) fn new(lines: &[Line<'_>], budget: &'b Budget) -> Result<Self> {
        // Each is read by itself: substitutions inside substitutions could double with every line.
        let inline = Self { budget, substitutions: HashMap::new() };
        let mut substitutions = HashMap::new();
        for (at, line) in lines.iter().enumerate() {
            budget.tick()?;
            let Some((name, directive)) =
                line.text.strip_prefix(".. |").and_then(|rest| rest.split_once('|'))
            else {
                continue;
            };
            let Some((kind, value)) = directive.split_once("::") else { continue };
            let further = lines.get(at + 1..).unwrap_or_default();
            let mut further = further.iter().take_while(|next| next.indent > line.indent && !next.is_blank());
            let value = match kind.trim() {
                "replace" => {
                    let more: Vec<&str> = further.map(|line| line.text).collect();
                    inline.text(&[&[value.trim()], more.as_slice()].concat().join(" "))?
                }
                "unicode" => characters(value),
                "image" => {
                    let alt = further.find_map(|line| line.text.strip_prefix(":alt:"));
                    alt.unwrap_or_default().trim().to_owned()
                }
                _ => continue,
            };
            substitutions.insert(name.trim().to_owned(), value);
        }
        Ok(Self { budget, substitutions })
    }

    /// The text of a paragraph.
    pub(super) fn text(&self, marked: &str) -> Result<String> {
        let mut scanner =
            Scanner { text: marked, at: 0, plain: String::with_capacity(marked.len()), endless: [false; 5] };
        while let Some(offset) = scanner.rest().find(['*', '`', '|', '\\', '_', ':']) {
            self.budget.tick()?;
            scanner.copy(offset);
            self.mark(&mut scanner)?;
        }
        scanner.copy(scanner.rest().len());
        Ok(scanner.plain)
    }

    fn mark(&self, scanner: &mut Scanner<'_>) -> Result<()> {
        let rest = scanner.rest();
        match rest.as_bytes().first() {
            Some(b'\\') => {
                // An escaped space joins what stands beside it.
                let escaped = rest.chars().nth(1);
                scanner.plain.extend(escaped.filter(|c| !c.is_whitespace()));
                scanner.at += 1 + escaped.map_or(0, char::len_utf8);
            }
            Some(b'_') => scanner.underscore(),
            Some(b':') => {
                if let Some((role, length)) = role(rest).filter(|_| scanner.may_begin(rest.len())) {
                    scanner.at += length;
                    match scanner.enclosed(3) {
                        Some(content) => scanner.plain.push_str(&interpreted(content, role)),
                        None => scanner.plain.push_str(rest.get(..length).unwrap_or_default()),
                    }
                } else {
                    scanner.copy(1);
                }
            }
            _ => {
                let Some(kind) = ENDS.iter().position(|mark| rest.starts_with(mark)) else {
                    scanner.copy(1);
                    return Ok(());
                };
                match scanner.enclosed(kind) {
                    Some(content) if kind == 3 => {
                        let (content, role) = (content.to_owned(), scanner.role_behind());
                        scanner.plain.push_str(&interpreted(&content, role.unwrap_or_default()));
                        scanner.skip_underscores();
                    }
                    Some(content) if kind == 4 => {
                        let value = self.substitutions.get(content.trim()).map_or(content, String::as_str);
                        self.budget.room(scanner.plain.len() + value.len())?;
                        scanner.plain.push_str(value);
                        scanner.skip_underscores();
                    }
                    Some(content) => scanner.plain.push_str(content),
                    None => scanner.copy(ENDS.get(kind).map_or(1, |mark| mark.len())),
                }
            }
        }
        Ok(())
    }
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
    plain: String,
    /// Of which mark no end is left.
    endless: [bool; 5],
}

impl<'t> Scanner<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn copy(&mut self, length: usize) {
        self.plain.push_str(self.rest().get(..length).unwrap_or_default());
        self.at += length;
    }

    fn before(&self) -> Option<char> {
        self.text.get(..self.at)?.chars().next_back()
    }

    /// Whether a mark may begin here, with `left` bytes to the end: behind space or an opening, and not quoted.
    fn may_begin(&self, left: usize) -> bool {
        left > 1
            && self.before().is_none_or(|c| {
                c.is_whitespace()
                    || "-:/'\"<([{\u{2019}\u{201c}\u{2018}\u{ab}\u{a1}\u{bf}\u{2013}\u{2014}".contains(c)
                    || self.text.get(..self.at).is_some_and(|t| t.ends_with("\\ "))
            })
    }

    /// What stands between the mark here and its end; goes behind it. `None` where there is no such end.
    fn enclosed(&mut self, kind: usize) -> Option<&'t str> {
        let mark = ENDS.get(kind)?;
        let rest = self.rest();
        let content = rest.strip_prefix(mark)?;
        let may_begin = self.may_begin(rest.len()) || kind == 3;
        if !may_begin
            || content.starts_with(char::is_whitespace)
            || content.is_empty()
            || self.endless.get(kind) == Some(&true)
        {
            return None;
        }
        let mut from = 0;
        while let Some(found) = content.get(from..).and_then(|rest| rest.find(mark)) {
            let end = from + found;
            let before = content.get(..end).unwrap_or_default();
            let after = content.get(end + mark.len()..).unwrap_or_default();
            let ends = after.chars().next().is_none_or(|c| {
                c.is_whitespace()
                    || c == '_'
                    || c == '\\'
                    || c == ':'
                    || !c.is_alphanumeric() && c != '*' && c != '`'
            });
            let escaped = kind != 2 && before.ends_with('\\');
            if end > 0 && ends && !before.ends_with(char::is_whitespace) && !escaped {
                self.at += mark.len() + end + mark.len();
                return Some(before);
            }
            from = end + mark.len();
        }
        if let Some(endless) = self.endless.get_mut(kind) {
            *endless = true;
        }
        None
    }

    /// The role behind interpreted text: `` `text`:role: ``.
    fn role_behind(&mut self) -> Option<&'t str> {
        let rest = self.rest();
        let inner = rest.strip_prefix(':')?;
        let (name, _) = inner.split_once(':')?;
        is_role(name).then(|| {
            self.at += name.len() + 2;
            name
        })
    }

    fn skip_underscores(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches('_').len();
    }

    /// `name_` is a reference and `[1]_` one to a footnote; any other underscore is text.
    fn underscore(&mut self) {
        let rest = self.rest();
        let after = rest.trim_start_matches('_');
        let count = rest.len() - after.len();
        let before = self.text.get(..self.at).unwrap_or_default();
        let word = before.trim_end_matches(char::is_alphanumeric);
        // `__init__` is a name of its own, `snake_case_` is a reference.
        let inner = word.strip_suffix('_').is_none_or(|word| word.ends_with(char::is_alphanumeric));
        let behind_word = word.len() < before.len() && inner || before.ends_with(']');
        let before_end = after
            .chars()
            .next()
            .is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '`' | '*' | '(' | '/' | '='));
        // Inline targets: _`text`.
        let target = count == 1 && after.starts_with('`');
        if count <= 2 && behind_word && before_end || target {
            self.at += count;
        } else {
            self.copy(count);
        }
    }
}

/// The role in `` :role:`text` `` and the length of it with its colons.
fn role(text: &str) -> Option<(&str, usize)> {
    let inner = text.strip_prefix(':')?;
    let end = inner.get(..inner.floor_char_boundary(64))?.find(":`")?;
    let name = inner.get(..end)?;
    is_role(name).then_some((name, end + 2))
}

fn is_role(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b'+'))
}

/// What people see of interpreted text or a link: `` `text <target>` `` shows its text, `` `~os.path.join` `` its last word.
fn interpreted(content: &str, role: &str) -> String {
    let content = content.replace("\\ ", "").replace('\\', "");
    if matches!(role, "math" | "code" | "samp" | "file" | "kbd") {
        return content;
    }
    if let Some((text, _)) = content.strip_suffix('>').and_then(|content| content.rsplit_once('<')) {
        let text = text.trim_end();
        let target = content.trim_start_matches('<').trim_end_matches('>');
        return if text.is_empty() { target.to_owned() } else { text.to_owned() };
    }
    if role.is_empty() {
        return content;
    }
    let content = content.trim_start_matches('!');
    match content.strip_prefix('~') {
        Some(path) => path.rsplit('.').next().unwrap_or(path).to_owned(),
        None => content.to_owned(),
    }
}

/// Characters by their code points, `0x2014 U+2014 \u2014 &#x2014;`, and other text as it stands.
fn characters(value: &str) -> String {
    let value = value.split(" .. ").next().unwrap_or(value);
    let mut text = String::new();
    for word in value.split_whitespace() {
        let digits =
            ["0x", "x", "U+", "u+", "\\x", "\\u", "&#x"].iter().find_map(|prefix| word.strip_prefix(prefix));
        let code = digits.and_then(|digits| u32::from_str_radix(digits.trim_end_matches(';'), 16).ok());
        match code.and_then(char::from_u32) {
            Some(c) => text.push(c),
            None => text.push_str(word),
        }
    }
    text
}
