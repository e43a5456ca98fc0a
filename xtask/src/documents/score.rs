//! How alike two texts are, whatever their spaces and line breaks: F1 over words, and over pairs of words.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A text's words, counted.
///
/// Words are runs of letters, marks on them and digits, in lower case and compatibility form (a ligature is its
/// letters); each ideograph is a word.
#[derive(Debug, Default)]
pub(super) struct Words {
    counts: HashMap<u64, u32>,
    /// Neighbours: what tells of the order.
    pairs: HashMap<(u64, u64), u32>,
    total: u32,
}

impl Words {
    /// Of a text whose words may be cut at line ends: the parts are joined.
    pub(super) fn joined(text: &str) -> Self {
        Self::of(&join(text))
    }

    /// Of a text as it is.
    pub(super) fn of(text: &str) -> Self {
        let mut counted = Self::default();
        let mut before = None;
        let mut word = String::new();
        let text = text.nfkc().flat_map(char::to_lowercase).filter(|letter| *letter != SOFT_HYPHEN);
        for letter in text.chain([' ']) {
            let ideograph = is_ideograph(letter);
            if (letter.is_alphanumeric() || is_combining_mark(letter)) && !ideograph {
                word.push(letter);
                continue;
            }
            let ended = (!word.is_empty()).then(|| hash(&word));
            word.clear();
            for found in ended.into_iter().chain(ideograph.then(|| hash(&letter))) {
                *counted.counts.entry(found).or_default() += 1;
                counted.total += 1;
                if let Some(before) = before.replace(found) {
                    *counted.pairs.entry((before, found)).or_default() += 1;
                }
            }
        }
        counted
    }

    /// 1: the same words, each as often. 0: no word in common.
    pub(super) fn f1(&self, other: &Self) -> f64 {
        f1(&self.counts, &other.counts, self.total, other.total)
    }

    /// As [`f1`](Self::f1), of neighbouring pairs.
    pub(super) fn pairs_f1(&self, other: &Self) -> f64 {
        f1(&self.pairs, &other.pairs, self.total.saturating_sub(1), other.total.saturating_sub(1))
    }
}

fn f1<K: Hash + Eq>(a: &HashMap<K, u32>, b: &HashMap<K, u32>, in_a: u32, in_b: u32) -> f64 {
    let common: u32 = a.iter().map(|(key, count)| b.get(key).map_or(0, |other| *count.min(other))).sum();
    if in_a + in_b == 0 { 1.0 } else { 2.0 * f64::from(common) / f64::from(in_a + in_b) }
}

fn hash(word: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    word.hash(&mut hasher);
    hasher.finish()
}

fn is_ideograph(letter: char) -> bool {
    matches!(letter, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}')
}

const SOFT_HYPHEN: char = '\u{ad}';
/// How engines write a hyphen before a line's end.
const HYPHENS: [char; 3] = ['-', '\u{2010}', SOFT_HYPHEN];
/// What pdfium writes for both together.
const HYPHEN_AND_LINE_END: char = '\u{fffe}';

/// Joins words that are cut at the end of a line: a letter, a hyphen, a line end, and a small letter; or all capitals.
fn join(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    for line in text.replace(HYPHEN_AND_LINE_END, "-\n").split_inclusive('\n') {
        let after = line.trim_start();
        let cut = joined.trim_end().strip_suffix(HYPHENS).filter(|before| {
            let ends = before.chars().next_back().filter(|last| last.is_alphabetic());
            let (Some(last), Some(first)) = (ends, after.chars().next()) else { return false };
            joined.ends_with('\n') && (first.is_lowercase() || (first.is_uppercase() && last.is_uppercase()))
        });
        if let Some(length) = cut.map(str::len) {
            joined.truncate(length);
            joined.push_str(after);
        } else {
            joined.push_str(line);
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(a: &str, b: &str) -> f64 {
        Words::joined(a).f1(&Words::joined(b))
    }

    #[test]
    fn spaces_case_marks_and_ligatures_do_not_count() {
        assert!((score("The ﬁne  sea,\n\nagain", "**the** fine sea again") - 1.0).abs() < 1e-9);
        assert!((score("海の歌", "海 の 歌") - 1.0).abs() < 1e-9);
        assert!(score("x\u{302}y", "x y") < 1e-9);
    }

    #[test]
    fn what_is_missing_or_too_much_counts() {
        assert!((score("a b c d", "a b") - 2.0 * 2.0 / 6.0).abs() < 1e-9);
        assert!((score("a a a", "a") - 0.5).abs() < 1e-9);
        assert!(score("sea", "land").abs() < 1e-9);
    }

    #[test]
    fn order_shows_in_pairs() {
        let (a, b) = (Words::of("one two three"), Words::of("three one two"));
        assert!((a.f1(&b) - 1.0).abs() < 1e-9);
        assert!((a.pairs_f1(&b) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn words_cut_at_line_ends_are_joined() {
        assert!((score("a docu-\nment of 1990-\n1995", "a document of 1990-1995") - 1.0).abs() < 1e-9);
        assert!((score("a docu\u{fffe}ment", "a document") - 1.0).abs() < 1e-9);
        assert!(
            (score("THE DOCU-\nMENT of Louis-\nPhilippe", "the document of louis philippe") - 1.0).abs()
                < 1e-9
        );
        assert!(Words::of("docu-\nment").f1(&Words::of("document")) < 1e-9);
    }
}
