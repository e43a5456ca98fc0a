//! What is in a string, many bytes at a time.

const LOW: u64 = u64::MAX / 255;
const HIGH: u64 = LOW << 7;

/// How many bytes at the beginning are neither a quote, a backslash nor a control, and whether all of them are ASCII.
pub(super) fn plain_run(bytes: &[u8]) -> (usize, bool) {
    let mut high = 0_u64;
    let mut at = 0;
    let (words, tail) = bytes.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        let ends = ends(word);
        if ends != 0 {
            // The first that is found is one; what is found after it may be due to a borrow.
            let before = ends.trailing_zeros() & !7;
            return (at + before as usize / 8, (high | word & !(u64::MAX << before)) & HIGH == 0);
        }
        high |= word;
        at += 8;
    }
    let plain = tail.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)).count();
    let ascii = tail.iter().take(plain).all(u8::is_ascii);
    (at + plain, ascii && high & HIGH == 0)
}

/// The high bit of each byte that ends a run.
fn ends(word: u64) -> u64 {
    let zero = |x: u64| x.wrapping_sub(LOW) & !x;
    let control = word.wrapping_sub(LOW * 0x20) & !word;
    (zero(word ^ (LOW * u64::from(b'"'))) | zero(word ^ (LOW * u64::from(b'\\'))) | control) & HIGH
}

/// UTF-8 (RFC 3629) in pieces: what the character that is begun needs to be whole.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Utf8 {
    needed: u8,
    /// What the next byte may be, where it is not all of `80..=BF`.
    least: u8,
    most: u8,
}

impl Utf8 {
    /// Whether no character is begun.
    pub(super) fn is_whole(self) -> bool {
        self.needed == 0
    }

    /// Reads on. The error is the place of the byte that does not belong there.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), usize> {
        let mut rest = bytes;
        while let [byte, tail @ ..] = rest {
            if self.needed == 0 {
                if byte.is_ascii() {
                    rest = tail;
                    continue;
                }
                *self = Self::begun(*byte).ok_or(bytes.len() - rest.len())?;
            } else {
                if !(self.least..=self.most).contains(byte) {
                    return Err(bytes.len() - rest.len());
                }
                *self = Self { needed: self.needed - 1, least: 0x80, most: 0xbf };
            }
            rest = tail;
        }
        Ok(())
    }

    fn begun(byte: u8) -> Option<Self> {
        let (needed, least, most) = match byte {
            0xc2..=0xdf => (1, 0x80, 0xbf),
            0xe0 => (2, 0xa0, 0xbf),
            0xed => (2, 0x80, 0x9f),
            0xe1..=0xef => (2, 0x80, 0xbf),
            0xf0 => (3, 0x90, 0xbf),
            0xf1..=0xf3 => (3, 0x80, 0xbf),
            0xf4 => (3, 0x80, 0x8f),
            _ => return None,
        };
        Some(Self { needed, least, most })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_run_ends_at_the_first_byte_that_is_not_plain(bytes in prop::collection::vec(prop_oneof![8 => 0x20..0x80_u8, 1 => any::<u8>()], 0..80)) {
            let length = bytes.iter().take_while(|b| !matches!(b, b'"' | b'\\' | 0..0x20)).count();
            let ascii = bytes.iter().take(length).all(u8::is_ascii);
            prop_assert_eq!(plain_run(&bytes), (length, ascii));
        }

        #[test]
        fn utf8_is_what_the_standard_library_takes(
            bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..6), "\\PC{0,6}".prop_map(String::into_bytes)],
            damage in any::<Option<(prop::sample::Index, u8)>>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = bytes;
            if let (Some((at, byte)), false) = (damage, bytes.is_empty()) {
                let at = at.index(bytes.len());
                bytes.splice(at..=at, [byte]);
            }
            let (first, second) = bytes.split_at(cut.index(bytes.len() + 1));
            let mut utf8 = Utf8::default();
            let taken = utf8.push(first).is_ok() && utf8.push(second).is_ok() && utf8.is_whole();
            prop_assert_eq!(taken, std::str::from_utf8(&bytes).is_ok());
        }
    }
}
