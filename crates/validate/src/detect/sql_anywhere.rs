//! SQL that tells without a value before it.

use super::Best;
use super::sql_query::selects;
use super::sql_tokens::skip;
use super::text::{Cursor, is_space, is_word, starts_with};

/// So many of each word are looked at, so that a text of nothing else takes no longer.
const PLACES: usize = 128;

/// What is found without a value before it: each word of the text is looked at once.
pub(super) fn anywhere(text: &[u8], best: &mut Best) {
    let mut before = b' ';
    let mut selected = false;
    let (mut unions, mut conditions) = (0, 0);
    for (at, &byte) in text.iter().enumerate() {
        let begins = byte.is_ascii_alphabetic() && !is_word(before);
        before = byte;
        if !begins {
            continue;
        }
        let rest = text.get(at..).unwrap_or_default();
        let word =
            |word: &str| starts_with(rest, word) && rest.get(word.len()).is_none_or(|byte| !is_word(*byte));
        match byte.to_ascii_lowercase() {
            b's' => selected |= word("select"),
            b'u' if unions < PLACES && word("union") => {
                unions += 1;
                union(text, at, selected, best);
            }
            b'o' | b'a' if conditions < PLACES && (word("or") || word("and")) => {
                conditions += 1;
                let mut cursor = Cursor::new(text, at);
                cursor.take(is_word);
                if let Some(score) = same(&mut cursor) {
                    best.note(score, at..cursor.at, "a condition that always holds");
                }
            }
            b'b' | b'd' | b'e' | b'i' | b'l' | b'p' | b'u' | b'w' | b'x' => strong(text, at, best),
            _ => {}
        }
    }
}

/// A union at `at`; `selected` says whether a query came before.
fn union(text: &[u8], at: usize, selected: bool, best: &mut Best) {
    let mut cursor = Cursor::new(text, at + "union".len());
    if !selects(&mut cursor) {
        return;
    }
    let before = text.get(..at).unwrap_or_default();
    let last = before.iter().rev().find(|byte| !is_space(**byte)).copied();
    let score = match last {
        // A query that begins with SELECT is a query, not a piece of one.
        _ if selected => 25,
        Some(b'\'' | b'"' | b')') => 78,
        Some(b'0'..=b'9' | b'/') => 74,
        _ => 50,
    };
    best.note(score, at..cursor.at, "a union with a query");
}

fn strong(text: &[u8], at: usize, best: &mut Best) {
    let rest = text.get(at..).unwrap_or_default();
    for (needle, follows, score, reason) in STRONG {
        if !starts_with(rest, needle) {
            continue;
        }
        let mut cursor = Cursor::new(text, at + needle.len());
        cursor.skip_space();
        if follows.is_empty() || follows.iter().any(|follow| starts_with(cursor.rest(), follow)) {
            best.note(*score, at..cursor.at, reason);
        }
    }
}

/// A number, a word, or a string of one word.
fn plain_operand<'t>(cursor: &mut Cursor<'t>) -> &'t [u8] {
    let quoted = cursor.peek().filter(|byte| matches!(byte, b'\'' | b'"'));
    cursor.at += usize::from(quoted.is_some());
    let word = cursor.take(is_word);
    if cursor.peek() == quoted {
        cursor.at += usize::from(quoted.is_some());
    }
    word
}

/// `1=1`, `'a'='a'`: equal constants.
fn same(cursor: &mut Cursor<'_>) -> Option<u8> {
    skip(cursor);
    cursor.take(|byte| byte == b'(' || is_space(byte));
    let quote = cursor.peek().filter(|byte| matches!(byte, b'\'' | b'"'));
    if quote.is_none() && !cursor.peek()?.is_ascii_digit() {
        return None;
    }
    let one = plain_operand(cursor);
    skip(cursor);
    if cursor.peek() != Some(b'=') || cursor.peek_at(1) == Some(b'=') {
        return None;
    }
    cursor.at += 1;
    skip(cursor);
    let other = plain_operand(cursor);
    (!one.is_empty() && one.len() <= 12 && one == other).then_some(65)
}

/// What no text but an attack or one about attacks says: where, what must follow, how much it says.
const STRONG: &[(&str, &[&str], u8, &str)] = &[
    ("waitfor", &["delay '", "delay \"", "time '", "delay\t'"], 74, "a wait"),
    ("xp_cmdshell", &["'", "(", "\""], 74, "a command through the database"),
    ("benchmark", &["(1", "(2", "(5", "(9"], 60, "a wait"),
    ("pg_sleep", &["("], 50, "a wait"),
    ("dbms_pipe.receive_message", &["("], 74, "a wait"),
    ("dbms_lock.sleep", &["("], 70, "a wait"),
    ("utl_http.request", &["("], 70, "a request through the database"),
    ("utl_inaddr.get_host", &[], 70, "a request through the database"),
    ("extractvalue", &["(1,", "(rand", "(0", "(1 ,", "('"], 66, "an error that tells"),
    ("updatexml", &["(1,", "(0", "(rand", "(1 ,", "(null"], 66, "an error that tells"),
    ("into", &["outfile '", "outfile \"", "dumpfile '", "dumpfile \""], 66, "a file through the database"),
    ("load_file", &["('", "(0x", "(char", "(\""], 62, "a file through the database"),
    ("procedure", &["analyse("], 66, "a clause after a value"),
];
