//! SQL that goes on where a string or a number of a query was.

use super::Best;
use super::sql_anywhere::anywhere;
use super::sql_condition::{condition, strong_call};
use super::sql_query::{select_list, selects, statement};
use super::sql_tokens::{Token, ends_the_text, next, skip};
use super::text::{Cursor, is_one_of, is_space, is_word, starts_with};

/// Values before an injection are short; behind a longer beginning of words it is prose.
pub(super) const VALUE: usize = 48;
/// Tokens that are looked at to find a `HAVING`.
const OPERANDS: usize = 24;

pub(super) fn read(text: &[u8], best: &mut Best) {
    for quote in [b'\'', b'"'] {
        let Some(at) = text.iter().position(|byte| *byte == quote) else { continue };
        // Those behind a doubled or escaped quote, too: which of them ends the string, the dialect says.
        let mut cursor = Cursor::new(text, at);
        cursor.take(|byte| byte == quote);
        after_value(cursor, at, Before::Quote(quote), best);
    }
    let mut start = Cursor::new(text, 0);
    start.skip_space();
    start.take(|byte| matches!(byte, b'-' | b'+' | b'(' | b'!'));
    let from = start.at;
    let number = matches!(start.peek(), Some(b'0'..=b'9' | b'.' | b'@'));
    let value = start.take(|byte| is_word(byte) || matches!(byte, b'.' | b'@' | b'-' | b'%' | b'*'));
    let keyword = is_one_of(
        value,
        &["or", "and", "union", "having", "order", "group", "waitfor", "procedure", "into", "xor"],
    );
    if value.is_empty() || keyword {
        start.at = from;
        after_value(start, from, Before::Nothing, best);
    } else if value.len() <= VALUE {
        let before =
            if number || value.eq_ignore_ascii_case(b"null") { Before::Number } else { Before::Word };
        after_value(start, from, before, best);
    }
    anywhere(text, best);
}

/// What stands before a possible injection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// The quote that ends a string of the query.
    Quote(u8),
    /// A number, which a query holds without quotes.
    Number,
    /// Some other word, as names of columns are.
    Word,
    /// The beginning of the text.
    Nothing,
}

/// Whether the text goes on as SQL after a value.
fn after_value(mut cursor: Cursor<'_>, from: usize, before: Before, best: &mut Best) {
    let quoted = matches!(before, Before::Quote(_));
    let value_end = cursor.at;
    while matches!(cursor.peek(), Some(b')')) || cursor.peek().is_some_and(is_space) {
        cursor.at += 1;
    }
    let closed = cursor.text.get(value_end..cursor.at).is_some_and(|skipped| skipped.contains(&b')'));
    skip(&mut cursor);
    let spaced = cursor.at > value_end;
    let start = cursor.at;
    let Some(token) = next(&mut cursor) else { return };
    let mut note = |score: u8, end: usize, reason: &'static str| best.note(score, from..end, reason);
    match token {
        Token::Comment if quoted || (closed && before != Before::Word) => {
            let score = comment(&cursor, start, before, spaced || value_end == 0);
            note(score, cursor.text.len(), "a comment after a value ends the query");
        }
        Token::Semicolon => semicolon(cursor, before, closed, &mut note),
        Token::Union if selects(&mut cursor) => {
            let score = if quoted || closed || before != Before::Word { 92 } else { 72 };
            note(score, cursor.at, "a union with a query");
        }
        Token::By => by(cursor, before, &mut note),
        Token::Having if !quoted || spaced => {
            if let Some(score) = condition(&mut cursor, before) {
                note(score, cursor.at, "a condition after a value");
            }
        }
        Token::Clause => {
            let word = cursor.text.get(start..cursor.at).unwrap_or_default();
            let mut after = cursor;
            skip(&mut after);
            let outside = is_one_of(word, &["into"]) && (after.eat("outfile") || after.eat("dumpfile"));
            let analyse = is_one_of(word, &["procedure"]) && after.eat("analyse");
            let limit = is_one_of(word, &["limit"])
                && quoted
                && next(&mut after) == Some(Token::Number)
                && (after.at_end() || next(&mut after) == Some(Token::Comment));
            if outside || analyse || limit {
                note(if limit { 62 } else { 84 }, after.at, "a clause after a value");
            }
        }
        Token::Logic => {
            if let Some(score) = condition(&mut cursor, before) {
                note(score, cursor.at, "a condition after a value");
            }
        }
        Token::Statement if (quoted && spaced) || before == Before::Number || before == Before::Nothing => {
            cursor.at = start;
            let word = Cursor::new(cursor.text, start).take(is_word);
            let strong = is_one_of(word, &["waitfor", "exec", "execute", "declare", "drop", "if"]);
            if let Some(reason) =
                statement(cursor).filter(|_| strong && (quoted || starts_with(word, "waitfor")))
            {
                note(80, cursor.text.len().min(start + 48), reason);
            }
        }
        Token::Operator | Token::Compare if quoted || before == Before::Number => {
            operand(cursor, start, from, before, best);
        }
        Token::CompareWord if quoted && spaced => {
            let first = next(&mut cursor);
            let value =
                matches!(first, Some(Token::Text { .. } | Token::Number | Token::Constant | Token::Operator));
            if value
                && (cursor.at_end()
                    || matches!(next(&mut cursor), Some(Token::Comment | Token::Logic | Token::Constant)))
            {
                note(62, cursor.at, "a comparison after a value");
            }
        }
        _ => {}
    }
}

/// The score of a comment that begins at `start`.
fn comment(cursor: &Cursor<'_>, start: usize, before: Before, spaced: bool) -> u8 {
    let rest = cursor.text.get(start..).unwrap_or_default();
    // A quote behind it ends a string: `"-- "` is one of two dashes.
    let string = matches!(before, Before::Quote(quote) if rest.contains(&quote));
    let last = ends_the_text(cursor) && !string;
    let set_off = rest.get(2).is_some_and(|byte| is_space(*byte));
    match rest.first() {
        Some(b'#') if last => 66,
        Some(b'-' | b'/') if last && start > 0 => 72,
        Some(b'-') if !spaced && !string && set_off && rest.len() < 24 => 62,
        _ => 25,
    }
}

/// What follows a `;`.
fn semicolon(
    cursor: Cursor<'_>,
    before: Before,
    closed: bool,
    note: &mut impl FnMut(u8, usize, &'static str),
) {
    if let Some(reason) = statement(cursor) {
        let score = match before {
            Before::Quote(_) => 88,
            Before::Number | Before::Nothing => 80,
            Before::Word if closed || cursor.text.len() < 120 => 66,
            Before::Word => 40,
        };
        note(score, cursor.text.len().min(cursor.at + 32), reason);
    } else if matches!(before, Before::Quote(_)) {
        let mut after = cursor;
        let comment = next(&mut after) == Some(Token::Comment) && ends_the_text(&after);
        note(if comment { 68 } else { 20 }, cursor.at, "a semicolon after a value");
    }
}

/// `ORDER BY 3 --`.
fn by(mut cursor: Cursor<'_>, before: Before, note: &mut impl FnMut(u8, usize, &'static str)) {
    skip(&mut cursor);
    if !cursor.eat("by") {
        return;
    }
    let operand = next(&mut cursor);
    let mut after = cursor;
    let follows = next(&mut after);
    let comment = follows == Some(Token::Comment);
    let quoted = matches!(before, Before::Quote(_));
    let score = match operand {
        Some(Token::Number) if comment => 78,
        Some(Token::Number) if follows.is_none() && (quoted || before == Before::Number) => 66,
        Some(Token::Number) if follows == Some(Token::Comma) && quoted => 66,
        Some(Token::Word | Token::Variable | Token::Function) if comment && quoted => 74,
        Some(Token::Word) if quoted && next_is_having(&mut after, follows) => 74,
        Some(Token::Open) if quoted => 70,
        _ => return,
    };
    note(score, cursor.at, "an order or group after a value");
}

fn next_is_having(cursor: &mut Cursor<'_>, first: Option<Token>) -> bool {
    let mut token = first;
    for _ in 0..OPERANDS {
        match token {
            Some(Token::Having) => return true,
            Some(Token::Word | Token::Comma | Token::Number) => token = next(cursor),
            _ => return false,
        }
    }
    false
}

/// `'||(SELECT …`, `'-sleep(5)-'`, `'='`: an expression goes on after a value.
fn operand(mut cursor: Cursor<'_>, start: usize, from: usize, before: Before, best: &mut Best) {
    let operator = cursor.text.get(start).copied().unwrap_or_default();
    let quoted = matches!(before, Before::Quote(_));
    let mut bracket = false;
    for _ in 0..6 {
        let at = cursor.at;
        match next(&mut cursor) {
            Some(Token::Open) => bracket = true,
            Some(Token::Operator) => {}
            Some(Token::Select) if bracket && select_list(&mut cursor) => {
                return best.note(88, from..cursor.at, "a query after a value");
            }
            Some(Token::Case) => {
                skip(&mut cursor);
                if cursor.eat("when") {
                    best.note(74, from..cursor.at, "a case after a value");
                }
                return;
            }
            Some(Token::Function) => {
                let mut name = Cursor::new(cursor.text, at);
                name.take(|byte| !is_word(byte));
                let score = strong_call(&cursor).max(if quoted { 40 } else { 30 });
                return best.note(score, from..cursor.at, "a call after a value");
            }
            // The whole of the text is the trick.
            Some(Token::Text { closed: false })
                if quoted
                    && cursor.text.len() <= 6
                    && cursor.at >= cursor.text.len()
                    && matches!(operator, b'=' | b'-' | b'^' | b'*' | b'|' | b'&')
                    && cursor.text.last() == cursor.text.get(from) =>
            {
                return best.note(62, from..cursor.at, "an operator between quotes");
            }
            Some(Token::Number) if quoted && matches!(operator, b'=' | b'<' | b'>' | b'^' | b'-' | b'*') => {
                let mut after = cursor;
                if next(&mut after) == Some(Token::Comment) {
                    best.note(70, from..after.at, "a comparison after a value");
                }
                return;
            }
            _ => return,
        }
    }
}
