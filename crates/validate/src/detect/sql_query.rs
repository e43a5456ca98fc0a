//! Statements and lists of columns, told apart from sentences.

use super::sql_tokens::{Token, next, skip};
use super::text::{Cursor, contains, is_one_of, is_word, starts_with};

/// Tokens that are looked at to find where a list ends.
const COLUMNS: usize = 24;

/// What statements make, change and drop.
const OBJECTS: &[&str] = &[
    "table",
    "database",
    "view",
    "column",
    "user",
    "function",
    "procedure",
    "schema",
    "index",
    "trigger",
    "login",
    "role",
    "or",
    "alias",
    "link",
    "extension",
];

/// A statement at the cursor, which nobody would write but to have it done.
pub(super) fn statement(mut cursor: Cursor<'_>) -> Option<&'static str> {
    skip(&mut cursor);
    let word = cursor.take(is_word);
    skip(&mut cursor);
    let after = cursor.rest();
    let object = |list: &[&str]| {
        let mut cursor = cursor;
        is_one_of(cursor.take(is_word), list)
    };
    let found = match word.len() {
        2 => is_one_of(word, &["if"]) && (after.first() == Some(&b'(') || contains(after, "waitfor")),
        3 => is_one_of(word, &["set"]) && after.first() == Some(&b'@'),
        4 if is_one_of(word, &["drop"]) => object(OBJECTS),
        4 if is_one_of(word, &["exec"]) => !after.is_empty(),
        4 if is_one_of(word, &["copy"]) => {
            contains(after, "from") || contains(after, " to ") || after.first() == Some(&b'(')
        }
        4 if is_one_of(word, &["call", "load"]) => contains(after, "(") || object(&["data"]),
        5 if is_one_of(word, &["alter", "grant"]) => object(OBJECTS) || contains(after, " to "),
        5 => is_one_of(word, &["merge"]) && object(&["into"]),
        6 if is_one_of(word, &["create"]) => object(OBJECTS),
        6 if is_one_of(word, &["delete", "insert"]) => object(&["from", "into"]),
        6 if is_one_of(word, &["update"]) => contains(after, " set ") || contains(after, "set"),
        6 if is_one_of(word, &["select"]) => {
            let mut cursor = cursor;
            select_list(&mut cursor)
        }
        6 if is_one_of(word, &["attach", "backup"]) => object(&["database", "log"]),
        7 if is_one_of(word, &["waitfor"]) => object(&["delay", "time"]),
        7 if is_one_of(word, &["declare"]) => after.first() == Some(&b'@'),
        7 => is_one_of(word, &["execute"]),
        8 if is_one_of(word, &["shutdown"]) => {
            after.is_empty()
                || after.starts_with(b"-")
                || after.starts_with(b";")
                || after.starts_with(b"#")
                || starts_with(after, "with")
        }
        8 => is_one_of(word, &["truncate"]),
        _ => false,
    };
    found.then_some("a second statement")
}

/// `[ALL | DISTINCT] [(] SELECT` and a list, after `UNION`.
pub(super) fn selects(cursor: &mut Cursor<'_>) -> bool {
    for _ in 0..6 {
        let mut after = *cursor;
        skip(&mut after);
        if after.eat("all") || after.eat("distinctrow") || after.eat("distinct") || after.eat("(") {
            *cursor = after;
        } else if after.eat("select") {
            *cursor = after;
            return select_list(cursor);
        } else if after.eat("values") {
            *cursor = after;
            return true;
        } else {
            return false;
        }
    }
    false
}

/// Whether what follows `SELECT` is a list as queries have it, and no sentence.
pub(super) fn select_list(cursor: &mut Cursor<'_>) -> bool {
    skip(cursor);
    let _ = cursor.eat("all ") || cursor.eat("distinct ") || cursor.eat("top ");
    let first = next(cursor);
    match first {
        Some(
            Token::Number
            | Token::Text { .. }
            | Token::Variable
            | Token::Constant
            | Token::Function
            | Token::Open
            | Token::Case
            | Token::Operator,
        ) => true,
        Some(Token::Word | Token::Statement) => {
            for _ in 0..COLUMNS {
                let before = cursor.at;
                match next(cursor) {
                    Some(Token::Comma) => {
                        // A list of words in prose has a space behind the comma, and no `FROM`.
                        return contains(cursor.rest().get(..200).unwrap_or(cursor.rest()), "from");
                    }
                    Some(Token::Word) => {
                        let word = Cursor::new(cursor.text, before);
                        let mut word = word;
                        skip(&mut word);
                        if starts_with(word.rest(), "from") {
                            return true;
                        }
                        return false;
                    }
                    Some(Token::Other | Token::Operator) => {}
                    Some(Token::Comment) => return true,
                    _ => return false,
                }
            }
            false
        }
        _ => false,
    }
}
