//! A clause read word by word.

use super::words::{Kind, Token};
use crate::flow::Target;

/// Why a clause was not understood, for people.
pub(super) type Reason = String;

/// A clause and how far it has been read.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'c, 't> {
    source: &'t str,
    left: &'c [Token<'t>],
}

/// Nouns that may follow what an element shows, as in "the Login button".
const NOUNS: [&str; 14] = [
    "button", "link", "field", "box", "tab", "checkbox", "option", "icon", "element", "heading", "label",
    "dropdown", "list", "input",
];

/// Names of tags that are taken for such without further signs where something is read.
const TAGS: [&str; 28] = [
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "p",
    "a",
    "li",
    "ul",
    "ol",
    "table",
    "tr",
    "td",
    "th",
    "img",
    "code",
    "pre",
    "article",
    "section",
    "main",
    "nav",
    "header",
    "footer",
    "blockquote",
    "figure",
    "span",
    "div",
];

impl<'c, 't> Cursor<'c, 't> {
    pub(super) fn new(source: &'t str, tokens: &'c [Token<'t>]) -> Self {
        Self { source, left: tokens }
    }

    pub(super) fn is_done(&self) -> bool {
        self.left.is_empty()
    }

    /// Goes past the next word if it is one of `words`; says which.
    pub(super) fn eat<'w>(&mut self, words: &[&'w str]) -> Option<&'w str> {
        let (first, rest) = self.left.split_first()?;
        let word = words.iter().find(|word| first.is(word))?;
        self.left = rest;
        Some(word)
    }

    /// Goes past these words if all of them come next, in this order.
    pub(super) fn eat_all(&mut self, words: &[&str]) -> bool {
        let mut ahead = self.clone();
        let all = words.iter().all(|word| ahead.eat(&[word]).is_some());
        if all {
            *self = ahead;
        }
        all
    }

    /// Goes past any of these words, as often as they come.
    pub(super) fn skip(&mut self, words: &[&str]) {
        while self.eat(words).is_some() {}
    }

    pub(super) fn quoted(&mut self) -> Option<&'t str> {
        let (first, rest) = self.left.split_first()?;
        (first.kind == Kind::Quoted).then(|| {
            self.left = rest;
            first.text
        })
    }

    /// The next word or quotation.
    pub(super) fn next(&mut self) -> Option<&'t str> {
        let (first, rest) = self.left.split_first()?;
        self.left = rest;
        Some(first.text)
    }

    pub(super) fn peek(&self) -> Option<&'t str> {
        self.left.first().map(|token| token.text)
    }

    /// Everything up to the first of these words, or to the end.
    pub(super) fn until(&mut self, words: &[&str]) -> Cursor<'c, 't> {
        let is_word = |token: &Token<'t>| words.iter().any(|word| token.is(word));
        let at = self.left.iter().position(is_word).unwrap_or(self.left.len());
        let (before, after) = self.left.split_at(at);
        self.left = after;
        Cursor { source: self.source, left: before }
    }

    /// What is left, as it was written.
    pub(super) fn text(&self) -> &'t str {
        match (self.left.first(), self.left.last()) {
            (Some(first), Some(last)) => self.source.get(first.start..last.end).unwrap_or_default(),
            _ => "",
        }
    }

    /// `Ok` if all has been read.
    pub(super) fn end(&self) -> Result<(), Reason> {
        match self.text() {
            "" => Ok(()),
            left => Err(format!("`{left}` is too much")),
        }
    }

    /// All that is left as a target: a quotation or bare words are text, `#id` and the like are CSS.
    pub(super) fn target(self) -> Result<Target, Reason> {
        match self.precise()? {
            Ok(target) => checked(target),
            Err(words) => checked(Target::Text(words.without_noun()?)),
        }
    }

    /// As [`target`](Self::target), but bare words must be a tag's name: to read what shows a known word is idle.
    pub(super) fn source(self) -> Result<Target, Reason> {
        match self.precise()? {
            Ok(target) => checked(target),
            Err(words) => match TAGS.iter().find(|tag| **tag == words.text().to_lowercase()) {
                Some(tag) => Ok(Target::Css((*tag).to_owned())),
                None => Err(format!(
                    "`{}` may mean much; name it by a CSS selector (`.price`), a tag (`h2`) or words in quotes",
                    words.text()
                )),
            },
        }
    }

    /// A target in quotes or in CSS; bare words are handed back.
    fn precise(mut self) -> Result<Result<Target, Self>, Reason> {
        // A lone `a` is a tag's name.
        if self.left.len() > 1 {
            self.eat(&["the", "a", "an"]);
        }
        if self.eat(&["css", "selector"]).is_some() {
            let selector = self.quoted().ok_or("a selector stands in quotes: css \"#go\"")?;
            self.end()?;
            return Ok(Ok(Target::Css(selector.trim().to_owned())));
        }
        if let Some(text) = self.quoted() {
            if self.left.len() == 1 {
                self.eat(&NOUNS);
            }
            self.end()?;
            return Ok(Ok(Target::Text(text.trim().to_owned())));
        }
        match self.peek() {
            None => Err("it does not say which element".to_owned()),
            Some(first) if is_css(first) || first.starts_with("text=") => Target::parse(self.text()).map(Ok),
            Some(_) => Ok(Err(self)),
        }
    }

    /// The bare words without "button" and the like at their end.
    fn without_noun(mut self) -> Result<String, Reason> {
        if self.left.iter().any(|token| token.kind == Kind::Quoted) {
            return Err(
                "words and quotations are mixed; put all of the text in one pair of quotes".to_owned()
            );
        }
        if let Some((last, before)) = self.left.split_last()
            && NOUNS.iter().any(|noun| last.is(noun))
        {
            if before.is_empty() {
                return Err(format!("it does not say which {}", last.text));
            }
            self.left = before;
        }
        Ok(self.text().to_owned())
    }
}

fn checked(target: Target) -> Result<Target, Reason> {
    target.check()?;
    Ok(target)
}

/// Whether a word can only be the beginning of a CSS selector: `#a`, `.a`, `[a]`, `div.card`, `input[name=q]`.
fn is_css(word: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '-' | '\\');
    if let Some(name) = word.strip_prefix(['#', '.']) {
        return name.starts_with(letter);
    }
    if word.starts_with('[') {
        return true;
    }
    let tag = word.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(word.len());
    let (tag, rest) = word.split_at(tag);
    let known = TAGS.contains(&tag)
        || ["input", "button", "select", "textarea", "form", "iframe", "label", "option"].contains(&tag);
    known
        && (rest.starts_with('[')
            || rest.strip_prefix(['.', '#', ':']).is_some_and(|name| name.starts_with(letter)))
}
