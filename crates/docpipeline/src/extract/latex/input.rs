//! The characters of a source, with the texts of macros put in where they are called.

use std::rc::Rc;

use crate::budget::Budget;
use crate::error::Result;

/// Macros that call macros, one inside the other.
const DEEPEST_EXPANSION: usize = 64;

/// A text that is being read, and how many macros it is the text of.
struct Piece {
    text: Rc<str>,
    at: usize,
    depth: usize,
    /// Whether `@` was a letter where the macro was defined: TeX makes names of its text there, not where it is called.
    at_is_letter: Option<bool>,
}

/// What is left to be read.
pub(super) struct Input<'b> {
    budget: &'b Budget,
    /// The document, and the macros that are being read in it, the innermost last.
    pieces: Vec<Piece>,
    /// How many macros the name that was read last is the text of.
    caller: usize,
    /// Whether `@` is a letter in the names of macros that the document itself calls.
    pub(super) at_is_letter: bool,
}

impl<'b> Input<'b> {
    pub(super) fn new(text: &str, budget: &'b Budget) -> Self {
        Self {
            budget,
            pieces: vec![Piece { text: text.into(), at: 0, depth: 0, at_is_letter: None }],
            caller: 0,
            at_is_letter: false,
        }
    }

    /// How deep inside of macros the name stood that was read last.
    pub(super) fn caller(&self) -> usize {
        self.caller
    }

    /// Puts the text of a macro before what is left. Its bytes are charged: macros that double each other grow fast.
    /// `false` where macros call each other too deep, as one does that calls itself.
    pub(super) fn expand(&mut self, text: &Rc<str>, at_is_letter: bool, caller: usize) -> Result<bool> {
        let depth = caller + 1;
        if depth > DEEPEST_EXPANSION {
            return Ok(false);
        }
        self.budget.expanded(text.len() + 1)?;
        self.drop_finished();
        let at_is_letter = Some(at_is_letter);
        self.pieces.push(Piece { text: Rc::clone(text), at: 0, depth, at_is_letter });
        Ok(true)
    }

    /// Charges text that a macro repeats.
    pub(super) fn charge(&self, bytes: usize) -> Result<()> {
        self.budget.expanded(bytes)
    }

    /// The document itself is never dropped.
    fn drop_finished(&mut self) {
        while self.pieces.len() > 1 && self.pieces.last().is_some_and(|piece| piece.at >= piece.text.len()) {
            self.pieces.pop();
        }
    }

    /// What is left of the innermost text.
    pub(super) fn rest(&mut self) -> &str {
        self.drop_finished();
        self.pieces.last().and_then(|piece| piece.text.get(piece.at..)).unwrap_or_default()
    }

    /// Goes on by so many bytes of [`rest`](Input::rest).
    pub(super) fn skip(&mut self, bytes: usize) {
        if let Some(piece) = self.pieces.last_mut() {
            piece.at = (piece.at + bytes).min(piece.text.len());
        }
    }

    /// Takes so many bytes of [`rest`](Input::rest).
    pub(super) fn take(&mut self, bytes: usize) -> String {
        let taken = self.rest().get(..bytes).unwrap_or_default().to_owned();
        self.skip(bytes);
        taken
    }

    pub(super) fn peek(&mut self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.skip(c.len_utf8());
        Some(c)
    }

    /// Leaves nothing to be read.
    pub(super) fn finish(&mut self) {
        self.pieces.truncate(1);
        self.skip(usize::MAX / 2);
    }

    /// Skips a comment, behind its `%`: to the end of the line, and the indentation of the next.
    pub(super) fn skip_comment(&mut self) {
        let rest = self.rest();
        let end = memchr::memchr(b'\n', rest.as_bytes()).map_or(rest.len(), |at| at + 1);
        self.skip(end);
        let rest = self.rest();
        let indent = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        self.skip(indent);
    }

    /// Skips white space and comments, but no empty line.
    pub(super) fn skip_space(&mut self) {
        let mut lines = 0;
        while let Some(c) = self.peek() {
            match c {
                '%' => self.skip_comment(),
                '\n' if lines > 0 => return,
                '\n' => {
                    lines += 1;
                    self.skip(1);
                }
                ' ' | '\t' | '\r' => self.skip(1),
                _ => return,
            }
        }
    }

    /// The name of a macro, behind its backslash: letters, or one other character.
    pub(super) fn name(&mut self) -> String {
        let piece = self.pieces.last();
        let with_at = piece.and_then(|piece| piece.at_is_letter).unwrap_or(self.at_is_letter);
        self.caller = piece.map_or(0, |piece| piece.depth);
        let rest = self.rest();
        let is_letter = |c: char| c.is_ascii_alphabetic() || with_at && c == '@';
        let length = rest.find(|c| !is_letter(c)).unwrap_or(rest.len());
        if length > 0 {
            return self.take(length);
        }
        let length = rest.chars().next().map_or(0, char::len_utf8);
        self.take(length)
    }

    /// Skips the star of `\section*`.
    pub(super) fn star(&mut self) -> bool {
        let star = self.peek() == Some('*');
        self.skip(usize::from(star));
        star
    }

    /// An argument: what stands between braces, a macro, or one character.
    pub(super) fn argument(&mut self) -> Result<String> {
        self.skip_space();
        match self.peek() {
            Some('{') => {
                self.skip(1);
                self.until('}')
            }
            Some('\\') => {
                self.skip(1);
                Ok(format!("\\{}", self.name()))
            }
            Some('}') | None => Ok(String::new()),
            Some(c) => {
                self.skip(c.len_utf8());
                Ok(c.to_string())
            }
        }
    }

    /// An argument between brackets, if one comes.
    pub(super) fn option(&mut self) -> Result<Option<String>> {
        let rest = self.rest();
        let space = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        if rest.as_bytes().get(space) != Some(&b'[') {
            return Ok(None);
        }
        self.skip(space + 1);
        self.until(']').map(Some)
    }

    /// What stands before `end`, which is not meant where it stands inside braces.
    fn until(&mut self, end: char) -> Result<String> {
        let mut text = String::new();
        let mut depth = 0_usize;
        while let Some(c) = self.next() {
            self.budget.tick()?;
            match c {
                _ if c == end && depth == 0 => break,
                '%' => {
                    self.skip_comment();
                    continue;
                }
                '\\' => {
                    text.push(c);
                    text.extend(self.next());
                    continue;
                }
                '{' => depth += 1,
                // An end of a group that began outside: the bracket was never closed.
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                _ => {}
            }
            text.push(c);
        }
        Ok(text)
    }
}
