//! What the kernels compute, as plainly as it can be said: for tests, and to measure against.

use unicode_normalization::UnicodeNormalization;

use xxhash_rust::xxh3::xxh3_64;

use super::min_hash::{ADDENDS, MULTIPLIERS, hash};
use crate::config::ChunkConfig;
use crate::document::{Chunk, Span, Statistics};
use crate::stage::{Kind, LEAST_TOKENS, LONGEST_PIECE, words_of};

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

/// A piece that is not white space: where it begins, how good a place to cut that is, its tokens.
struct Piece {
    start: usize,
    cut: Cut,
    tokens: usize,
}

/// How good a place is to cut before; a better one is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cut {
    Word,
    Sentence,
    Line,
    Paragraph,
    Heading,
}

/// The pieces of a text, character by character.
fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let (mut last, mut characters) = (Kind::Space, 0);
    let (mut line_ends, mut space, mut sentence_end) = (0, false, false);
    for (start, c) in text.char_indices() {
        let kind = Kind::of(c);
        if kind == Kind::Space {
            line_ends += usize::from(c == '\n');
            (last, space) = (kind, true);
            continue;
        }
        if kind != last || kind == Kind::Single || characters == LONGEST_PIECE {
            let cut = match line_ends {
                2.. if c == '#' => Cut::Heading,
                2.. => Cut::Paragraph,
                1 => Cut::Line,
                _ if sentence_end && space => Cut::Sentence,
                _ => Cut::Word,
            };
            pieces.push(Piece { start, cut, tokens: 0 });
            characters = 0;
        }
        if let Some(piece) = pieces.last_mut() {
            piece.tokens += usize::from(characters % kind.characters_per_token() == 0);
        }
        characters += 1;
        (last, line_ends, space) = (kind, 0, "。！？".contains(c));
        sentence_end = ".!?…。！？".contains(c) || (sentence_end && "\"')]”’»".contains(c));
    }
    pieces
}

/// [`count_tokens`](crate::count_tokens) piece by piece.
pub(crate) fn count_tokens(text: &str) -> usize {
    pieces(text).iter().map(|piece| piece.tokens).sum()
}

/// [`chunk`](crate::chunk) with all places at hand.
pub(crate) fn chunk(text: &str, config: &ChunkConfig) -> Vec<Chunk> {
    let max = config.max_tokens.max(LEAST_TOKENS);
    let overlap = config.overlap_tokens.min(max / 2);
    let mut total = 0;
    let mut places = Vec::new();
    for piece in pieces(text) {
        if piece.start > 0 {
            places.push((piece.start, total, piece.cut));
        }
        total += piece.tokens;
    }
    let mut chunks = Vec::new();
    let (mut start, mut start_tokens, mut last_end) = (0, 0, 0);
    while start < text.len() {
        let within = |place: &&(usize, usize, Cut)| place.0 > last_end && place.1 - start_tokens <= max;
        let candidates = || places.iter().filter(|place| place.0 > start).filter(within);
        let half_full = |place: &&(usize, usize, Cut)| (place.1 - start_tokens) * 2 >= max;
        let best = candidates().filter(half_full).max_by_key(|place| (place.2, place.0));
        let cut = best.or(candidates().next_back()).filter(|_| total - start_tokens > max);
        let (end, end_tokens) = cut.map_or((text.len(), total), |place| (place.0, place.1));
        chunks.push(Chunk { span: Span { start, end }, tokens: end_tokens - start_tokens });
        if cut.is_none() {
            break;
        }
        let repeats = |place: &&(usize, usize, Cut)| place.0 > start && place.1 + overlap >= end_tokens;
        let Some(next) = places.iter().find(repeats) else { break };
        (start, start_tokens, last_end) = (next.0, next.1, end);
    }
    chunks
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
