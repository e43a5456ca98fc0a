//! Marks inside a paragraph: emphasis, links, notes, entities.

use crate::budget::Budget;
use crate::error::Result;
use crate::extract::latex::symbols::symbol;

/// The marks of emphasis; what stands between the last two is taken as it is.
const MARKS: [u8; 6] = [b'*', b'/', b'_', b'+', b'=', b'~'];
const VERBATIM_FROM: usize = 4;

/// Names of notes are no longer than this.
const LONGEST_NAME: usize = 200;

/// The text of a paragraph without its marks, in time linear in its length.
pub(super) fn text(marked: &str, budget: &Budget) -> Result<String> {
    let mut scanner = Scanner {
        text: marked,
        at: 0,
        plain: String::with_capacity(marked.len()),
        ends: [0; 6],
        links_end: true,
    };
    while let Some(offset) = scanner.rest().find(['*', '/', '_', '+', '=', '~', '[', '\\', '@']) {
        budget.tick()?;
        scanner.copy(offset);
        scanner.mark();
    }
    scanner.copy(scanner.rest().len());
    Ok(scanner.plain)
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
    plain: String,
    /// Where the emphasis that was begun last by each mark ends; nothing before it ends another.
    ends: [usize; 6],
    /// Whether the end of a link may still come.
    links_end: bool,
}

impl<'t> Scanner<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn copy(&mut self, length: usize) {
        self.plain.push_str(self.rest().get(..length).unwrap_or_default());
        self.at += length;
    }

    fn mark(&mut self) {
        let rest = self.rest();
        match rest.as_bytes().first().copied() {
            Some(b'[') => self.bracket(),
            Some(b'\\') => self.entity(),
            Some(b'@') => match rest.strip_prefix("@@").and_then(|inner| inner.split_once("@@")) {
                // Text for one kind of export only.
                Some((snippet, _)) if snippet.contains(':') => self.at += snippet.len() + 4,
                _ => self.copy(1),
            },
            Some(mark) => match MARKS.iter().position(|known| *known == mark) {
                Some(kind) => self.emphasis(kind, mark),
                None => self.copy(1),
            },
            None => {}
        }
    }

    fn emphasis(&mut self, kind: usize, mark: u8) {
        let known_end = self.ends.get(kind).copied().unwrap_or_default();
        if known_end == self.at && self.at > 0 {
            self.at += 1;
            return;
        }
        let before = self.text.get(..self.at).and_then(|before| before.chars().next_back());
        let begins = before.is_none_or(|c| c.is_whitespace() || "-–—('\"{*/_+".contains(c));
        let after = self.rest().get(1..).unwrap_or_default();
        if !begins || self.at < known_end || after.is_empty() || after.starts_with(char::is_whitespace) {
            self.copy(1);
            return;
        }
        let Some(end) = self.emphasis_end(mark) else {
            // Nothing behind here ends one, either.
            self.set_end(kind, usize::MAX);
            self.copy(1);
            return;
        };
        if kind >= VERBATIM_FROM {
            self.plain.push_str(self.text.get(self.at + 1..end).unwrap_or_default());
            self.at = end + 1;
        } else {
            self.set_end(kind, end);
            self.at += 1;
        }
    }

    fn set_end(&mut self, kind: usize, end: usize) {
        if let Some(slot) = self.ends.get_mut(kind) {
            *slot = end;
        }
    }

    /// Where the emphasis that begins here ends.
    fn emphasis_end(&self, mark: u8) -> Option<usize> {
        let start = self.at + 2;
        let inside = self.text.as_bytes().get(start..)?;
        memchr::memchr_iter(mark, inside).map(|offset| start + offset).find(|end| {
            let before = self.text.get(..*end).and_then(|before| before.chars().next_back());
            let after = self.text.get(end + 1..).and_then(|after| after.chars().next());
            before.is_some_and(|c| !c.is_whitespace())
                && after.is_none_or(|c| c.is_whitespace() || "-–—.,;:!?'\")}[\\*/_+".contains(c))
        })
    }

    /// A link, `[[target][text]]`, or a note, `[fn:name]`.
    fn bracket(&mut self) {
        let rest = self.rest();
        if let Some(inner) = rest.strip_prefix("[fn:") {
            let inner = inner.get(..inner.floor_char_boundary(LONGEST_NAME)).unwrap_or_default();
            let note = inner.get(..inner.find([']', ' ']).unwrap_or(inner.len())).unwrap_or_default();
            if !note.contains(':') && inner.as_bytes().get(note.len()) == Some(&b']') {
                self.plain.extend(["[", note, "]"]);
                self.at += "[fn:".len() + note.len() + 1;
                return;
            }
            // A note that stands where it is named.
            let name = inner.find(':').map_or(0, |at| at + 1);
            self.plain.push('[');
            self.at += "[fn:".len() + name;
            return;
        }
        let link = rest.strip_prefix("[[").filter(|_| self.links_end);
        let Some(inner) = link else { return self.copy(1) };
        let Some(end) = inner.find("]]") else {
            self.links_end = false;
            return self.copy(1);
        };
        let content = inner.get(..end).unwrap_or_default();
        self.at += end + 4;
        if let Some((_, text)) = content.split_once("][") {
            self.plain.push_str(text);
            return;
        }
        let target = content.strip_prefix("file:").unwrap_or(content).trim_start_matches('*');
        self.plain.push_str(if is_picture(target) { "" } else { target });
    }

    /// `\alpha`, `\alpha{}`.
    fn entity(&mut self) {
        let name = self.rest().get(1..).unwrap_or_default();
        let name = name
            .get(..name.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(name.len()))
            .unwrap_or_default();
        let Some(symbol) = symbol(name) else { return self.copy(1) };
        self.plain.push_str(symbol);
        self.at += name.len() + 1;
        self.at += if self.rest().starts_with("{}") { 2 } else { 0 };
    }
}

fn is_picture(target: &str) -> bool {
    let extension = target.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    matches!(extension.as_str(), "png" | "jpg" | "jpeg" | "gif" | "svg" | "webp" | "bmp")
}
