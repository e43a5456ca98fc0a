//! What of a page a command speaks of.

use std::collections::HashSet;

use super::tokens;

/// Words that every command has and no element is chosen by.
const COMMON: [&str; 34] = [
    "a", "an", "and", "as", "at", "button", "by", "click", "enter", "field", "find", "for", "from", "get",
    "go", "in", "into", "it", "link", "me", "of", "on", "open", "page", "please", "press", "select", "that",
    "the", "then", "thi", "to", "type", "with",
];
/// Elements with more words are compared by their first ones.
const MOST_WORDS: usize = 40;

/// A command, made ready to be compared with many elements.
#[derive(Debug)]
pub(crate) struct Command {
    /// In lower case, with one space between words.
    text: String,
    words: HashSet<String>,
    /// All pairs of characters in it, and single ones: what is not begun by one of them is not in it.
    beginnings: HashSet<(char, Option<char>)>,
}

impl Command {
    pub(crate) fn new(text: &str) -> Self {
        let text = normal(text);
        let words = words(&text).filter(|word| !COMMON.contains(&word.as_str())).collect();
        let next = text.chars().skip(1).map(Some).chain([None]);
        let beginnings = text.chars().zip(next).collect();
        Self { text, words, beginnings }
    }

    /// Whether the command names a text shown on a page: it stands in the command, from the beginning of a word to the
    /// end of one, in any case of letters. A text of one sign is not looked for.
    pub(crate) fn names(&self, shown: &str) -> bool {
        let shown = normal(shown);
        let shown = shown.trim_matches(|c: char| !c.is_alphanumeric());
        let mut signs = shown.chars();
        let (Some(first), Some(second)) = (signs.next(), signs.next()) else { return false };
        if !self.beginnings.contains(&(first, Some(second))) {
            return false;
        }
        let last = shown.chars().next_back();
        self.text.match_indices(shown).any(|(at, _)| {
            let before = self.text.get(..at).and_then(|text| text.chars().next_back());
            let after = self.text.get(at + shown.len()..).and_then(|text| text.chars().next());
            !one_word(before, Some(first)) && !one_word(last, after)
        })
    }

    /// How many different words the command has in common with an element's texts.
    pub(crate) fn overlap<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> usize {
        if self.words.is_empty() {
            return 0;
        }
        let all = texts.into_iter().flat_map(words).take(MOST_WORDS);
        all.filter(|word| self.words.contains(word)).collect::<HashSet<_>>().len()
    }
}

/// Whether two neighbours are of one word.
fn one_word(left: Option<char>, right: Option<char>) -> bool {
    let inner = |c: char| c.is_alphanumeric() && !tokens::has_no_spaces(c);
    left.is_some_and(inner) && right.is_some_and(inner)
}

/// In lower case, with one space between words.
fn normal(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !normal.is_empty() {
            normal.push(' ');
        }
        normal.extend(word.chars().flat_map(char::to_lowercase));
    }
    normal
}

/// The words of a text in lower case, without an `s` at their ends: `submitOrders` has `submit` and `order`.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).flat_map(humps).filter_map(|word| {
        let lower = word.to_lowercase();
        let singular = if lower.len() > 3 { lower.strip_suffix('s').unwrap_or(&lower) } else { &lower };
        (singular.chars().nth(1).is_some() || singular.chars().any(|c| !c.is_ascii_alphabetic()))
            .then(|| singular.to_owned())
    })
}

/// `submitOrder` as `submit` and `Order`.
fn humps(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut before = '\0';
        let end = rest.char_indices().find_map(|(at, c)| {
            let begins = c.is_uppercase() && before.is_lowercase();
            before = c;
            begins.then_some(at)
        });
        let (hump, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        Some(hump)
    })
}

#[cfg(test)]
mod tests {
    use super::Command;

    #[test]
    fn texts_are_named_as_whole_words() {
        let command = Command::new("please click  Save and Close, 然后点击登录按钮");
        for (shown, named) in [
            ("Save and close", true),
            ("SAVE", true),
            ("“Close”", true),
            ("av", false),
            ("Save a", false),
            ("登录", true),
            ("注册", false),
            ("", false),
            ("…", false),
        ] {
            assert_eq!(command.names(shown), named, "{shown}");
        }
    }

    #[test]
    fn words_in_common_are_counted_once() {
        let command = Command::new("get the prices of all orders");
        assert_eq!(command.overlap(["price", "Price tag", "orderTotal"]), 2);
        assert_eq!(command.overlap(["the", "of"]), 0);
    }
}
