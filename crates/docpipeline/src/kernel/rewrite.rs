//! A text that is read and written anew in the same memory.

use super::{BLOCK, block_at};

/// What was written lies at the beginning, what is still to be read at the end; between them lies a gap, since little
/// is written that is longer than what was read for it.
#[derive(Debug)]
pub(crate) struct Rewrite {
    bytes: Vec<u8>,
    /// Where what was written ends.
    written: usize,
    /// Where what is to be read begins.
    unread: usize,
    /// By how much that has been moved away from where it was in the text.
    shifted: usize,
}

impl Rewrite {
    pub(crate) fn new(text: String) -> Self {
        Self { bytes: text.into_bytes(), written: 0, unread: 0, shifted: 0 }
    }

    /// How many bytes have been written.
    pub(crate) fn written(&self) -> usize {
        self.written
    }

    /// How far before a position of the text as it was reading stands; 0 once it has passed.
    #[inline(always)]
    pub(crate) fn ahead(&self, position: usize) -> usize {
        position.saturating_add(self.shifted).saturating_sub(self.unread)
    }

    /// The next bytes to read, with zeros behind the text.
    #[inline(always)]
    pub(crate) fn next_block<'a>(&'a self, padded: &'a mut [u8; BLOCK]) -> &'a [u8; BLOCK] {
        block_at(&self.bytes, self.unread, padded, 0)
    }

    /// The character that begins so many bytes further on; none at the end.
    #[inline(always)]
    pub(crate) fn character(&self, further: usize) -> Option<char> {
        let rest = self.bytes.get(self.unread + further..)?;
        let length = match rest.first()? {
            ..0x80 => 1,
            ..0xe0 => 2,
            ..0xf0 => 3,
            _ => 4,
        };
        std::str::from_utf8(rest.get(..length)?).ok()?.chars().next()
    }

    /// Reads a character and writes nothing.
    pub(crate) fn skip(&mut self, character: char) {
        self.unread += character.len_utf8();
    }

    /// Writes a text.
    pub(crate) fn push_str(&mut self, text: &str) {
        let end = self.written + text.len();
        if end > self.unread {
            // Room for as much again, so that a text that grows throughout is moved only a few times.
            let more = text.len() + self.bytes.len() / 2;
            let old_length = self.bytes.len();
            self.bytes.resize(old_length + more, 0);
            self.bytes.copy_within(self.unread..old_length, self.unread + more);
            self.unread += more;
            self.shifted += more;
        }
        if let Some(to) = self.bytes.get_mut(self.written..end) {
            to.copy_from_slice(text.as_bytes());
        }
        self.written = end;
    }

    /// Reads so many bytes of the next block and writes them as they are.
    #[inline(always)]
    pub(super) fn keep(&mut self, length: usize) {
        if self.written < self.unread {
            self.bytes.copy_within(self.unread..self.unread + length, self.written);
        }
        self.written += length;
        self.unread += length;
    }

    /// Reads so many bytes of the next block, and writes the first `kept`, which are no more, of `bytes`.
    #[inline(always)]
    pub(super) fn replace(&mut self, length: usize, bytes: &[u8; BLOCK], kept: usize) {
        self.unread += length;
        if self.written + BLOCK <= self.unread {
            // What is too much falls into the gap. A whole block is copied faster than a part.
            if let Some(to) = self.bytes.get_mut(self.written..).and_then(<[u8]>::first_chunk_mut) {
                *to = *bytes;
            }
        } else if let (Some(to), Some(from)) =
            (self.bytes.get_mut(self.written..self.written + kept), bytes.get(..kept))
        {
            to.copy_from_slice(from);
        }
        self.written += kept;
    }

    /// The text that was written.
    #[allow(unsafe_code)] // Checking the text again would take as long as writing it.
    pub(crate) fn finish(mut self) -> String {
        self.bytes.truncate(self.written);
        // SAFETY: all that was read was a `String`, and is never written over before it is read: `written` stays
        // below `unread`. What was written are whole strings, and blocks of what was read of which the kernel left out
        // or replaced single bytes of ASCII only, so that every other character is there whole.
        unsafe { String::from_utf8_unchecked(self.bytes) }
    }
}
