//! SQL that goes on where a string or a number of a query was.

use super::Best;
use super::sql_tokens::{Token, ends_the_text, next, skip};
use super::text::{Cursor, contains, find, is_one_of, is_space, is_word, starts_with};

/// Values before an injection are short; behind a longer beginning of words it is prose.
const VALUE: usize = 48;
/// Tokens that are looked at to find what a condition is compared with.
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
enum Before {
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
    let spaced = cursor.at > value_end;
    skip(&mut cursor);
    let start = cursor.at;
    let Some(token) = next(&mut cursor) else { return };
    let mut note = |score: u8, end: usize, reason: &'static str| best.note(score, from..end, reason);
    match token {
        Token::Comment if quoted || (closed && before != Before::Word) => {
            let rest = cursor.text.get(start..).unwrap_or_default();
            let last = ends_the_text(&cursor);
            let score = match rest.first() {
                Some(b'#') if last => 66,
                Some(b'-' | b'/') if last && value_end > 0 => 72,
                Some(b'-')
                    if !spaced && rest.get(2).is_some_and(|byte| is_space(*byte)) && rest.len() < 24 =>
                {
                    62
                }
                _ => 25,
            };
            note(score, cursor.text.len(), "a comment after a value ends the query");
        }
        Token::Semicolon => {
            if let Some(reason) = statement(cursor) {
                let score = match before {
                    Before::Quote(_) => 88,
                    Before::Number | Before::Nothing => 80,
                    Before::Word if closed || cursor.text.len() < 120 => 66,
                    Before::Word => 40,
                };
                note(score, cursor.text.len().min(cursor.at + 32), reason);
            } else if quoted {
                let mut after = cursor;
                let comment = next(&mut after) == Some(Token::Comment) && ends_the_text(&after);
                note(if comment { 68 } else { 20 }, cursor.at, "a semicolon after a value");
            }
        }
        Token::Union => {
            if selects(&mut cursor) {
                let score = if quoted || closed || before != Before::Word { 92 } else { 72 };
                note(score, cursor.at, "a union with a query");
            }
        }
        Token::By => by(cursor, before, &mut note),
        Token::Having => {
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
        Token::Statement if quoted || before == Before::Number || before == Before::Nothing => {
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
        Token::CompareWord if quoted => {
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

/// A statement at the cursor, which nobody would write but to have it done.
fn statement(mut cursor: Cursor<'_>) -> Option<&'static str> {
    skip(&mut cursor);
    let word = cursor.take(is_word);
    skip(&mut cursor);
    let after = cursor.rest();
    let object = |list: &[&str]| {
        let mut cursor = cursor;
        is_one_of(cursor.take(is_word), list)
    };
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
    let found = match word.len() {
        2 => is_one_of(word, &["if"]) && (after.first() == Some(&b'(') || contains(after, "waitfor")),
        3 => is_one_of(word, &["set"]) && after.first() == Some(&b'@'),
        4 if is_one_of(word, &["drop"]) => object(OBJECTS),
        4 if is_one_of(word, &["exec"]) => true,
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
                || starts_with(after, "with")
        }
        8 => is_one_of(word, &["truncate"]),
        _ => false,
    };
    found.then_some("a second statement")
}

/// `[ALL | DISTINCT] [(] SELECT` and a list, after `UNION`.
fn selects(cursor: &mut Cursor<'_>) -> bool {
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
fn select_list(cursor: &mut Cursor<'_>) -> bool {
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
            | Token::Case,
        ) => true,
        Some(Token::Operator) => true,
        Some(Token::Word | Token::Statement) => {
            for _ in 0..OPERANDS {
                let before = cursor.at;
                match next(cursor) {
                    Some(Token::Comma) => {
                        // A list of words in prose has a space behind the comma, and no `FROM`.
                        return contains(cursor.rest().get(..200).unwrap_or(cursor.rest()), "from");
                    }
                    Some(Token::Word) => {
                        let word = Cursor::new(cursor.text, before);
                        let mut word = word;
                        word.skip_space();
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

/// The score of what follows `OR`, `AND` or `HAVING`.
fn condition(cursor: &mut Cursor<'_>, before: Before) -> Option<u8> {
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
    let open = first == Token::Text { closed: false };
    if !constant && first != Token::Word {
        return None;
    }
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
            compared.then_some(match (constant, value) {
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
fn strong_call(cursor: &Cursor<'_>) -> u8 {
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
            Some(Token::Text { closed: false }) if quoted && cursor.text.len() <= 12 && operator != b'/' => {
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

/// What is found without a value before it.
fn anywhere(text: &[u8], best: &mut Best) {
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| find(rest, "union")) {
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
        while let Some(found) = text.get(at..).and_then(|rest| find(rest, word)) {
            let start = at + found;
            at = start + word.len();
            let before = start.checked_sub(1).and_then(|at| text.get(at)).copied();
            if before.is_none_or(is_word) || text.get(at).is_none_or(|byte| is_word(*byte)) {
                continue;
            }
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
    if !quote.is_some() && !cursor.peek()?.is_ascii_digit() {
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
