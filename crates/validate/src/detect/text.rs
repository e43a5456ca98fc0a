//! Bytes that are looked at one after the other, without regard to case.

/// A place in a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'t> {
    pub(super) text: &'t [u8],
    pub(super) at: usize,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(text: &'t [u8], at: usize) -> Self {
        Self { text, at }
    }

    pub(super) fn rest(&self) -> &'t [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(super) fn peek_at(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    /// Steps over `word`, in whatever case, if it is here.
    pub(super) fn eat(&mut self, word: &str) -> bool {
        let here = starts_with(self.rest(), word);
        self.at += if here { word.len() } else { 0 };
        here
    }

    /// Steps over the bytes that `wanted` says, and returns them.
    pub(super) fn take(&mut self, wanted: impl Fn(u8) -> bool) -> &'t [u8] {
        let rest = self.rest();
        let length = rest.iter().position(|byte| !wanted(*byte)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    pub(super) fn skip_space(&mut self) {
        self.take(is_space);
    }

    pub(super) fn at_end(&self) -> bool {
        self.rest().iter().all(|byte| is_space(*byte))
    }
}

/// White space of SQL, HTML and shells together.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

pub(super) fn starts_with(text: &[u8], word: &str) -> bool {
    text.get(..word.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(word.as_bytes()))
}

pub(super) fn contains(text: &[u8], word: &str) -> bool {
    find(text, word).is_some()
}

/// Where `word`, which is in lower case and begins with an ASCII character, begins in `text`.
pub(super) fn find(text: &[u8], word: &str) -> Option<usize> {
    let first = word.bytes().next()?;
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        at += memchr::memchr2(first, first.to_ascii_uppercase(), rest)?;
        if starts_with(text.get(at..)?, word) {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// Whether `word` is one of `list`, in whatever case.
pub(super) fn is_one_of(word: &[u8], list: &[&str]) -> bool {
    list.iter().any(|known| known.len() == word.len() && word.eq_ignore_ascii_case(known.as_bytes()))
}
