//! Conditions, told apart from prose with the same words.

use super::sql::{Before, VALUE};
use super::sql_query::select_list;
use super::sql_tokens::{Token, ends_the_text, next, skip};
use super::text::{Cursor, is_one_of, is_word};

/// Tokens that are looked at to find what a condition is compared with.
const OPERANDS: usize = 24;

/// The score of what follows `OR`, `AND` or `HAVING`.
pub(super) fn condition(cursor: &mut Cursor<'_>, before: Before) -> Option<u8> {
    let quoted = matches!(before, Before::Quote(_));
    let value = quoted || before == Before::Number;
    let mut bracket = false;
    let mut first = next(cursor)?;
    for _ in 0..OPERANDS {
        match first {
            Token::Open => bracket = true,
            Token::Operator | Token::Logic => {}
            _ => break,
        }
        first = next(cursor)?;
    }
    match first {
        Token::Function => return Some(if value { 86 } else { strong_call(cursor) }),
        Token::Select => {
            let list = select_list(cursor);
            return (list && (value || bracket)).then_some(if value { 92 } else { 80 });
        }
        Token::Exists => return (next(cursor) == Some(Token::Open)).then_some(if value { 85 } else { 62 }),
        Token::Case => {
            skip(cursor);
            return cursor.eat("when").then_some(if value { 84 } else { 62 });
        }
        _ => {}
    }
    let constant = matches!(first, Token::Number | Token::Text { .. } | Token::Variable | Token::Constant);
    if !constant && first != Token::Word {
        return None;
    }
    compared(cursor, first, constant, before)
}

/// The score of a condition whose first operand is `first`, a constant or a name.
fn compared(cursor: &mut Cursor<'_>, first: Token, constant: bool, before: Before) -> Option<u8> {
    let quoted = matches!(before, Before::Quote(_));
    let value = quoted || before == Before::Number;
    let open = first == Token::Text { closed: false };
    // A name may have parts, and a call its arguments.
    let mut second = next(cursor);
    let mut parts = 0;
    while first == Token::Word
        && second == Some(Token::Other)
        && cursor.text.get(cursor.at - 1) == Some(&b'.')
        && parts < 4
    {
        next(cursor);
        second = next(cursor);
        parts += 1;
    }
    let called = first == Token::Word && second == Some(Token::Open);
    match second {
        Some(Token::Compare) => {
            let operand = awaited(cursor);
            let compared = match operand {
                Some(Token::Number | Token::Text { .. } | Token::Variable | Token::Constant) => true,
                Some(Token::Open | Token::Select | Token::Function) => value,
                Some(Token::Word) => value && constant,
                None => quoted && constant,
                _ => false,
            };
            // `1 or 2 = 3 in his book` goes on with a word.
            let mut after = *cursor;
            let prose = before == Before::Number
                && matches!(next(&mut after), Some(Token::Word | Token::CompareWord));
            compared.then_some(match (constant, value) {
                (true, true) if prose => 50,
                (true, true) => 90,
                (true, false) => 64,
                (false, true) if quoted => 78,
                (false, true) => 60,
                (false, false) => 30,
            })
        }
        Some(Token::CompareWord) if value || constant => {
            let operand = awaited(cursor);
            let compared = match operand {
                Some(Token::Number | Token::Text { .. } | Token::Constant) => true,
                Some(Token::Open) => {
                    matches!(next(cursor), Some(Token::Number | Token::Text { .. } | Token::Select))
                }
                _ => false,
            };
            compared.then_some(if quoted && constant {
                86
            } else if quoted {
                72
            } else if constant {
                64
            } else {
                45
            })
        }
        Some(Token::Comment) if quoted && constant && !open => Some(76),
        Some(Token::Comment) if value && constant && ends_the_text(cursor) => Some(70),
        Some(Token::Operator) if quoted && constant => {
            // `or 1+1=2`.
            let compared = (0..OPERANDS).find_map(|_| match next(cursor) {
                Some(Token::Compare) => Some(true),
                Some(Token::Number | Token::Operator | Token::Open | Token::Close | Token::Function) => None,
                _ => Some(false),
            });
            (compared == Some(true)).then_some(80)
        }
        Some(Token::Semicolon | Token::Close)
            if quoted && matches!(first, Token::Number | Token::Constant) =>
        {
            Some(64)
        }
        None if quoted && first == Token::Number => Some(62),
        None if quoted && first == Token::Constant => Some(64),
        None if quoted && open && cursor.text.len() < VALUE => Some(55),
        _ if called && quoted => Some(50),
        _ => None,
    }
}

/// The next token that is no sign, bracket or `NOT` before an operand.
fn awaited(cursor: &mut Cursor<'_>) -> Option<Token> {
    for _ in 0..4 {
        match next(cursor) {
            Some(Token::Operator | Token::Compare) => {}
            token => return token,
        }
    }
    None
}

/// A call without a value before: only of functions that no prose or program has there.
pub(super) fn strong_call(cursor: &Cursor<'_>) -> u8 {
    const STRONG: &[&str] = &[
        "sleep",
        "benchmark",
        "pg_sleep",
        "extractvalue",
        "updatexml",
        "load_file",
        "xp_cmdshell",
        "ascii",
        "substring",
    ];
    let before = cursor.text.get(..cursor.at).unwrap_or_default();
    let name = before.iter().rposition(|byte| !is_word(*byte)).map_or(0, |at| at + 1);
    if before.get(name..).is_some_and(|name| is_one_of(name, STRONG)) { 64 } else { 30 }
}
