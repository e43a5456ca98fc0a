//! What the kernels compute, as plainly as it can be said: for tests, and to measure against.

use unicode_normalization::UnicodeNormalization;

use xxhash_rust::xxh3::xxh3_64;

use super::min_hash::{ADDENDS, MULTIPLIERS, hash};
use crate::document::Statistics;
use crate::stage::{Piece, piece_at, words_of};

/// [`Statistics::of`] by the definitions of the standard library.
pub(crate) fn statistics(text: &str) -> Statistics {
    Statistics {
        characters: text.chars().count(),
        words: text.split_whitespace().count(),
        lines: text.lines().filter(|line| !line.is_empty()).count(),
    }
}

/// [`normalise`](crate::normalise) by character.
pub(crate) fn normalise(raw: &str, offsets: &mut [usize]) -> String {
    let mut text = String::with_capacity(raw.len());
    let (mut line_ends, mut spaces) = (0, String::new());
    let mut moved = 0;
    let mut characters = raw.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        let letters: String = match c {
            '\r' if characters.next_if(|(_, next)| *next == '\n').is_some() => "\n".to_owned(),
            '\u{fb00}'..='\u{fb06}' | '\u{fb50}'..='\u{fdfb}' | '\u{fe80}'..='\u{fefc}' => {
                std::iter::once(c).nfkc().collect::<String>().trim_start().to_owned()
            }
            _ => c.to_string(),
        };
        match letters.chars().next() {
            Some('\r' | '\n' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}') => {
                line_ends += 1;
                spaces.clear();
            }
            Some(blank) if blank.is_whitespace() => {
                if line_ends > 0 {
                    spaces.push(if blank == '\t' { '\t' } else { ' ' });
                } else {
                    " ".clone_into(&mut spaces);
                }
            }
            Some(
                '\u{ad}'
                | '\u{200b}'
                | '\u{2060}'
                | '\u{feff}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}',
            ) => {}
            Some(control) if control.is_control() => {}
            _ => {
                if !text.is_empty() {
                    text.push_str(["", "\n", "\n\n"].get(line_ends.min(2)).unwrap_or(&""));
                    text.push_str(&spaces);
                }
                (line_ends, spaces) = (0, String::new());
                while let Some(offset) = offsets.get_mut(moved).filter(|offset| **offset <= at) {
                    *offset = text.len();
                    moved += 1;
                }
                text.push_str(&letters);
            }
        }
    }
    offsets.get_mut(moved..).unwrap_or_default().fill(text.len());
    text
}

/// The pieces of [`count_tokens`](crate::count_tokens) and [`chunk`](crate::chunk), by character.
pub(crate) fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    while let Some(piece) = piece_at(text, pieces.last().map_or(0, |piece: &Piece| piece.end)) {
        pieces.push(piece);
    }
    pieces
}

/// [`Fingerprint::min_hash`](crate::Fingerprint) word by word, value by value.
pub(crate) fn min_hash(text: &str) -> Vec<u32> {
    let words: Vec<u64> = words_of(text).map(|word| xxh3_64(small(word).as_bytes())).collect();
    let shingles: Vec<[u64; 3]> = match words.as_slice() {
        [] => return Vec::new(),
        [word] => vec![[0, 0, *word]],
        [one, two] => vec![[0, *one, *two]],
        _ => words.windows(3).filter_map(|three| three.first_chunk().copied()).collect(),
    };
    let least = |(multiplier, addend): (&u32, &u32)| {
        let of = |[a, b, c]: &[u64; 3]| {
            let all = a.rotate_left(42) ^ b.rotate_left(21) ^ c;
            hash(*multiplier, *addend, u32::try_from(all >> 32).unwrap_or_default())
        };
        shingles.iter().map(of).min().unwrap_or(u32::MAX)
    };
    MULTIPLIERS.iter().zip(&ADDENDS).map(least).collect()
}

fn small(word: &str) -> String {
    word.chars().flat_map(char::to_lowercase).collect()
}
