//! Text split into words and quotations, and those into clauses.

use super::NotUnderstood;
use super::forms;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    /// The text is what stands between the quotes.
    Quoted,
    Comma,
    /// The end of a sentence: a line's end, `;`, or a full stop after a word.
    Stop,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind,
    pub(super) text: &'t str,
    /// Where it stands in the text, quotes included.
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Token<'_> {
    /// Whether it is this word, unquoted, in upper or lower case.
    pub(super) fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }
}

/// A part of the text that asks for one thing.
#[derive(Debug)]
pub(super) struct Clause<'t> {
    pub(super) tokens: Vec<Token<'t>>,
    /// It was joined to the one before by a mere "and", as in "type 'x' into #q and press enter".
    pub(super) with_previous: bool,
}

const QUOTES: [(char, char); 4] = [('"', '"'), ('\'', '\''), ('“', '”'), ('‘', '’')];

/// Splits a text into tokens.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, NotUnderstood> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..)
        && let Some(c) = rest.chars().next()
    {
        let one = at + c.len_utf8();
        let mark = |kind| Token { kind, text: rest, start: at, end: one };
        if let Some((_, close)) = QUOTES.into_iter().find(|(open, _)| *open == c) {
            let inside = text.get(one..).unwrap_or_default();
            let line = inside.lines().next().unwrap_or_default();
            let length = closing(line, close).ok_or_else(|| {
                NotUnderstood::clause(
                    rest.lines().next().unwrap_or_default(),
                    "the quote is not closed",
                    Vec::new(),
                )
            })?;
            let end = one + length + close.len_utf8();
            tokens.push(Token {
                kind: Kind::Quoted,
                text: line.get(..length).unwrap_or_default(),
                start: at,
                end,
            });
            at = end;
        } else if matches!(c, '\n' | '\r' | ';') {
            tokens.push(mark(Kind::Stop));
            at = one;
        } else if matches!(c, ',' | ':') {
            tokens.push(mark(Kind::Comma));
            at = one;
        } else if c.is_whitespace() {
            at = one;
        } else {
            at = word(rest, at, &mut tokens);
        }
    }
    Ok(tokens)
}

/// Where the closing quote stands. One that is followed by a letter is an apostrophe.
fn closing(line: &str, close: char) -> Option<usize> {
    line.match_indices(close).map(|(at, _)| at).find(|at| {
        let after = line.get(at + close.len_utf8()..).unwrap_or_default();
        !after.starts_with(char::is_alphanumeric)
    })
}

/// Takes a word and the punctuation after it; gives the place after both.
fn word<'t>(rest: &'t str, start: usize, tokens: &mut Vec<Token<'t>>) -> usize {
    let length = bracketed(rest).unwrap_or_else(|| rest.find(char::is_whitespace).unwrap_or(rest.len()));
    let whole = rest.get(..length).unwrap_or(rest);
    let bare = whole.trim_end_matches(['.', ',', ';', ':', '!']);
    let end = start + bare.len();
    if !bare.is_empty() {
        tokens.push(Token { kind: Kind::Word, text: bare, start, end });
    }
    let marks = whole.get(bare.len()..).unwrap_or_default();
    if !marks.is_empty() {
        let kind = if marks.contains(['.', ';', '!']) { Kind::Stop } else { Kind::Comma };
        tokens.push(Token { kind, text: marks, start: end, end: start + whole.len() });
    }
    start + whole.len()
}

/// The length of a word in which spaces between brackets or double quotes do not count; none if they do not close
/// on the line.
fn bracketed(rest: &str) -> Option<usize> {
    let mut depth = 0_u32;
    let mut quoted = false;
    for (at, c) in rest.char_indices() {
        match c {
            '\n' if quoted || depth > 0 => return None,
            c if c.is_whitespace() && !quoted && depth == 0 => return Some(at),
            '"' => quoted = !quoted,
            '[' | '(' if !quoted => depth += 1,
            ']' | ')' if !quoted => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    (!quoted && depth == 0).then_some(rest.len())
}

/// Splits tokens into clauses: at stops, at "then", and at "and" and commas where the next word begins a command.
pub(super) fn clauses<'t>(tokens: &[Token<'t>]) -> Vec<Clause<'t>> {
    let mut clauses = Vec::new();
    let mut clause = Clause { tokens: Vec::new(), with_previous: false };
    let mut left = tokens;
    while let Some((token, rest)) = left.split_first() {
        left = rest;
        // "1.", "2)", "-" and "*" begin the lines of a list.
        let marker = clause.tokens.is_empty() && is_marker(token, rest.first());
        if marker {
            continue;
        }
        let (splits, with) = match token.kind {
            Kind::Stop => (true, false),
            Kind::Comma => (begins_command(skip_joints(rest)), false),
            _ if token.is("then") => (true, false),
            _ if token.is("and") => {
                let then = rest.first().is_some_and(|next| next.is("then"));
                (then || begins_command(rest), !then)
            }
            _ => (false, false),
        };
        if splits {
            if !clause.tokens.is_empty() {
                clauses.push(clause);
                clause = Clause { tokens: Vec::new(), with_previous: with };
            }
        } else if token.kind != Kind::Comma {
            clause.tokens.push(*token);
        }
    }
    if !clause.tokens.is_empty() {
        clauses.push(clause);
    }
    clauses
}

fn is_marker(token: &Token<'_>, next: Option<&Token<'_>>) -> bool {
    if token.kind != Kind::Word {
        return false;
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    matches!(token.text, "-" | "*" | "•")
        || token.text.strip_suffix(')').is_some_and(digits)
        || (digits(token.text) && next.is_some_and(|next| next.kind == Kind::Stop && next.start == token.end))
}

fn skip_joints<'a, 't>(tokens: &'a [Token<'t>]) -> &'a [Token<'t>] {
    match tokens.split_first() {
        Some((first, rest)) if first.is("and") || first.is("then") => skip_joints(rest),
        _ => tokens,
    }
}

fn begins_command(tokens: &[Token<'_>]) -> bool {
    match tokens.split_first() {
        Some((first, rest)) if first.is("please") => begins_command(rest),
        Some((first, _)) => first.kind == Kind::Word && forms::is_verb(first.text),
        None => false,
    }
}
