//! How many tokens a model sees in a text, near enough to cut and to reserve by.
//!
//! No vocabulary is at hand, and every model has its own. So a word of Latin letters counts one token for each 6
//! letters begun, digits and other alphabets one for each 3, every other sign one, white space none. English prose
//! comes out within a fifth of what common vocabularies make of it; markup comes out higher, since they have tokens
//! for pairs such as `="`; random letters come out lower, by up to a half. Hence [`at_worst`].
//!
//! The estimate adds up: that of two texts with white space between them is the sum of both.

/// Estimates the tokens of a text. Linear, without allocation.
///
/// ```
/// assert_eq!(browser::language::estimate_tokens("click the \"Continue\" button"), 7);
/// ```
#[must_use]
pub fn estimate_tokens(text: &str) -> u64 {
    let mut tokens = 0;
    let mut run = (Kind::Space, 0_u32);
    for c in text.chars() {
        let kind = Kind::of(c);
        run = if kind == run.0 { (kind, run.1 + 1) } else { (kind, 1) };
        let begins = match kind {
            Kind::Space => false,
            Kind::Single => true,
            Kind::Latin => run.1 % 6 == 1,
            Kind::Other => run.1 % 3 == 1,
        };
        tokens += u64::from(begins);
        if run.1 == 6 {
            // Whole tokens of every kind have gone by; the count begins anew and cannot overflow.
            run.1 = 0;
        }
    }
    tokens
}

/// What a prompt may really come to: half as much again, and what a service puts around messages.
pub(crate) fn at_worst(estimate: u64) -> u64 {
    estimate.saturating_add(estimate / 2).saturating_add(50)
}

/// The longest beginning of a text that has at most so many tokens.
pub(crate) fn cut(text: &str, most: u64) -> &str {
    if estimate_tokens(text) <= most {
        return text;
    }
    // The estimate of a beginning never falls as it grows.
    let (mut fits, mut over) = (0, text.len());
    while over - fits > 1 {
        let mut middle = text.floor_char_boundary(fits.midpoint(over));
        if middle <= fits {
            middle = text.ceil_char_boundary(fits + 1);
        }
        if middle >= over {
            break;
        }
        let beginning = text.get(..middle).unwrap_or_default();
        if estimate_tokens(beginning) <= most { fits = middle } else { over = middle }
    }
    text.get(..fits).unwrap_or_default()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Space,
    Latin,
    /// Digits and other alphabets.
    Other,
    /// Signs, and scripts written without spaces.
    Single,
}

impl Kind {
    fn of(c: char) -> Self {
        match c {
            'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' => Self::Latin,
            c if c.is_whitespace() => Self::Space,
            c if has_no_spaces(c) => Self::Single,
            c if c.is_alphanumeric() => Self::Other,
            _ => Self::Single,
        }
    }
}

/// Whether a letter is of a script that puts no spaces between words.
pub(crate) fn has_no_spaces(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}'
        | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7af}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{cut, estimate_tokens};

    #[test]
    fn words_numbers_and_signs_count() {
        for (text, tokens) in [
            ("", 0),
            ("  \n ", 0),
            ("click", 1),
            ("button", 1),
            ("buttons", 2),
            ("2026", 2),
            ("a=\"b\"", 5),
            ("登录按钮", 4),
            ("привет", 2),
            ("abcdefabcdefa", 3),
        ] {
            assert_eq!(estimate_tokens(text), tokens, "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_adds_up_over_spaces(a in ".{0,40}", b in ".{0,40}") {
            prop_assert_eq!(estimate_tokens(&format!("{a}\n{b}")), estimate_tokens(&a) + estimate_tokens(&b));
        }

        #[test]
        fn what_is_cut_fits_and_could_not_be_longer(text in ".{0,80}", most in 0_u64..40) {
            let kept = cut(&text, most);
            prop_assert!(text.starts_with(kept) && estimate_tokens(kept) <= most);
            let next = text[kept.len()..].chars().next();
            let longer = next.map(|c| format!("{kept}{c}"));
            prop_assert!(longer.is_none_or(|longer| estimate_tokens(&longer) > most));
        }
    }
}
