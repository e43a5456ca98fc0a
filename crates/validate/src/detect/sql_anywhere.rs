//! SQL that tells without a value before it.

use super::Best;
use super::sql_query::selects;
use super::sql_tokens::skip;
use super::text::{Cursor, contains, find, is_space, is_word, starts_with};

/// So many of each word are looked at, so that a text of nothing else takes no longer.
const PLACES: usize = 128;

/// What is found without a value before it.
pub(super) fn anywhere(text: &[u8], best: &mut Best) {
    let mut at = 0;
    for _ in 0..PLACES {
        let Some(found) = text.get(at..).and_then(|rest| find(rest, "union")) else { break };
        at += found;
        let start = at;
        at += 5;
        let before = text.get(..start).unwrap_or_default();
        if before.last().is_some_and(|byte| is_word(*byte)) || text.get(at).is_some_and(|byte| is_word(*byte))
        {
            continue;
        }
        let mut cursor = Cursor::new(text, at);
        if !selects(&mut cursor) {
            continue;
        }
        // A query that begins with SELECT is a query, not a piece of one.
        let whole = contains(before, "select");
        let last = before.iter().rev().find(|byte| !is_space(**byte)).copied();
        let score = match last {
            Some(b'\'' | b'"' | b')') if !whole => 78,
            Some(b'0'..=b'9' | b'/') if !whole => 74,
            _ if whole => 25,
            _ => 50,
        };
        best.note(score, start..cursor.at, "a union with a query");
    }
    for (needle, follows, score, reason) in STRONG {
        let Some(found) = find(text, needle) else { continue };
        let mut cursor = Cursor::new(text, found + needle.len());
        skip(&mut cursor);
        if !follows.is_empty() && !follows.iter().any(|follow| starts_with(cursor.rest(), follow)) {
            continue;
        }
        let begins = found.checked_sub(1).and_then(|at| text.get(at)).is_none_or(|byte| !is_word(*byte));
        if begins {
            best.note(*score, found..cursor.at.max(found + 1), reason);
        }
    }
    // Query strings and forms: `id=1 or 1=1`.
    for word in ["or", "and"] {
        let mut at = 0;
        let mut places = 0;
        while let Some(found) = text.get(at..).and_then(|rest| find(rest, word)).filter(|_| places < PLACES) {
            let start = at + found;
            at = start + word.len();
            let before = start.checked_sub(1).and_then(|at| text.get(at)).copied();
            if before.is_none_or(is_word) || text.get(at).is_none_or(|byte| is_word(*byte)) {
                continue;
            }
            places += 1;
            let mut cursor = Cursor::new(text, at);
            if let Some(value) = same(&mut cursor) {
                best.note(value, start..cursor.at, "a condition that always holds");
            }
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
