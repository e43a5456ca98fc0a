//! A reader of SQL as databases read it, where each dialect is let to go on.

use super::text::{Cursor, is_one_of, is_space, is_word};

/// What a piece of SQL is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Number,
    /// A string; `closed` says whether its end is there.
    Text {
        closed: bool,
    },
    /// `@@version`, `@x`, `:x`.
    Variable,
    /// `NULL`, `TRUE`, `FALSE`, `CURRENT_USER`.
    Constant,
    /// Any other word.
    Word,
    /// A function that attacks call, before its bracket.
    Function,
    /// `OR`, `AND`, `XOR`, `||`, `&&`.
    Logic,
    /// `=`, `<`, `<=>`, ….
    Compare,
    /// `LIKE`, `IN`, `BETWEEN`, `IS`, `REGEXP`, `RLIKE`.
    CompareWord,
    /// `NOT`, `BINARY`, `!`, `~`, `-`, `+` where an operand is awaited.
    Operator,
    Union,
    Select,
    /// `ORDER`, `GROUP`.
    By,
    Having,
    Case,
    Exists,
    /// `INTO`, `PROCEDURE`, `LIMIT`.
    Clause,
    /// `DROP`, `INSERT`, … : begins a statement.
    Statement,
    Open,
    Close,
    Comma,
    Semicolon,
    /// `--` and `#` to the end of the line, `;%00`, an open `/*`.
    Comment,
    Other,
}

/// Functions that attacks call: they wait, tell what a condition is, read a string by its parts, or reach outside.
const FUNCTIONS: &[&str] = &[
    "ascii",
    "ascii_str",
    "benchmark",
    "bin",
    "bit_length",
    "cast",
    "char",
    "char_length",
    "chr",
    "coalesce",
    "concat",
    "concat_ws",
    "conv",
    "convert",
    "count",
    "ctxsys",
    "current_database",
    "current_user",
    "database",
    "db_name",
    "dbms_lock",
    "dbms_pipe",
    "decode",
    "elt",
    "exp",
    "extractvalue",
    "field",
    "find_in_set",
    "floor",
    "from_base64",
    "gtid_subset",
    "group_concat",
    "hex",
    "host_name",
    "if",
    "ifnull",
    "iif",
    "instr",
    "is_srvrolemember",
    "isnull",
    "json_keys",
    "last_insert_id",
    "lcase",
    "left",
    "len",
    "length",
    "lo_import",
    "load_extension",
    "load_file",
    "locate",
    "lower",
    "lpad",
    "ltrim",
    "make_set",
    "makeset",
    "master",
    "md5",
    "mid",
    "name_const",
    "nullif",
    "nvl",
    "object_id",
    "oct",
    "openrowset",
    "ord",
    "pg_read_file",
    "pg_sleep",
    "polygon",
    "position",
    "query_to_xml",
    "quote",
    "rand",
    "randomblob",
    "repeat",
    "replace",
    "reverse",
    "right",
    "row",
    "row_count",
    "rpad",
    "schema",
    "session_user",
    "sha1",
    "sleep",
    "soundex",
    "space",
    "sqlite_version",
    "str",
    "strcmp",
    "string_agg",
    "substr",
    "substring",
    "sys",
    "system_user",
    "to_char",
    "trim",
    "typeof",
    "ucase",
    "unhex",
    "unicode",
    "updatexml",
    "upper",
    "user",
    "user_name",
    "utl_http",
    "utl_inaddr",
    "uuid",
    "varchar",
    "version",
    "xmltype",
    "xp_cmdshell",
    "zeroblob",
];

const STATEMENTS: &[&str] = &[
    "alter", "analyse", "attach", "backup", "begin", "call", "copy", "create", "declare", "delete", "drop",
    "exec", "execute", "grant", "handler", "if", "insert", "load", "merge", "rename", "replace", "restore",
    "revoke", "set", "shutdown", "truncate", "update", "use", "waitfor", "while", "with",
];

/// Steps over the next token. White space and comments that end are no tokens; `/*! … */` is read.
pub(super) fn next(cursor: &mut Cursor<'_>) -> Option<Token> {
    skip(cursor);
    let byte = cursor.peek()?;
    let two = cursor.peek_at(1);
    let mut take = |length: usize, token: Token| {
        cursor.at += length;
        Some(token)
    };
    match (byte, two) {
        (b'-', Some(b'-')) | (b'#', _) => take(1, Token::Comment),
        (b'/', Some(b'*')) => take(2, Token::Comment),
        (b'|', Some(b'|')) | (b'&', Some(b'&')) => take(2, Token::Logic),
        (b'<', Some(b'>')) | (b'<' | b'>' | b'!' | b'=', Some(b'=')) => take(2, Token::Compare),
        (b'=' | b'<' | b'>', _) => take(1, Token::Compare),
        (b'(', _) => take(1, Token::Open),
        (b')', _) => take(1, Token::Close),
        (b',', _) => take(1, Token::Comma),
        (b';', _) => take(1, Token::Semicolon),
        (b'+' | b'-' | b'!' | b'~' | b'*' | b'/' | b'%' | b'^' | b'&' | b'|', _) => take(1, Token::Operator),
        (b'\'' | b'"', _) => Some(text(cursor, byte)),
        (b'`', _) => {
            text(cursor, byte);
            Some(Token::Word)
        }
        (b'@', _) => {
            cursor.take(|byte| is_word(byte) || byte == b'@' || byte == b'.');
            Some(Token::Variable)
        }
        (b'[', _) => {
            cursor.take(|byte| byte != b']');
            cursor.at += usize::from(cursor.peek().is_some());
            Some(Token::Word)
        }
        (b'0'..=b'9', _) => {
            cursor.take(|byte| is_word(byte) || byte == b'.');
            Some(Token::Number)
        }
        (b'.', Some(b'0'..=b'9')) => {
            cursor.at += 1;
            cursor.take(is_word);
            Some(Token::Number)
        }
        _ if is_word(byte) || byte >= 0x80 => Some(word(cursor)),
        _ => take(1, Token::Other),
    }
}

/// Steps over white space and over comments that have an end.
pub(super) fn skip(cursor: &mut Cursor<'_>) {
    loop {
        cursor.take(is_space);
        if !cursor.rest().starts_with(b"/*") {
            if cursor.rest().starts_with(b"*/") {
                cursor.at += 2; // The end of a `/*!` that was stepped into.
                continue;
            }
            return;
        }
        if cursor.peek_at(2) == Some(b'!') {
            cursor.at += 3;
            cursor.take(|byte| byte.is_ascii_digit());
            continue;
        }
        let end = cursor.rest().windows(2).skip(2).position(|pair| pair == b"*/");
        match end {
            Some(end) => cursor.at += end + 4,
            None => return,
        }
    }
}

/// Whether the comment that was just read is the last that the text says: nothing follows, or what attackers put to keep it.
pub(super) fn ends_the_text(cursor: &Cursor<'_>) -> bool {
    let rest = cursor.rest();
    let rest = rest.strip_prefix(b"-").unwrap_or(rest);
    rest.len() <= 24
        && rest.iter().all(|byte| {
            is_space(*byte)
                || matches!(byte, b'-' | b'+' | b'#' | b'/' | b'*' | b'\'' | b'"' | b'%' | b'0'..=b'9')
        })
}

fn text(cursor: &mut Cursor<'_>, quote: u8) -> Token {
    cursor.at += 1;
    loop {
        cursor.take(|byte| byte != quote && byte != b'\\');
        match cursor.peek() {
            None => return Token::Text { closed: false },
            Some(b'\\') => cursor.at += 2,
            Some(_) if cursor.peek_at(1) == Some(quote) => cursor.at += 2,
            Some(_) => {
                cursor.at += 1;
                return Token::Text { closed: true };
            }
        }
        if cursor.at >= cursor.text.len() {
            return Token::Text { closed: false };
        }
    }
}

fn word(cursor: &mut Cursor<'_>) -> Token {
    let word = cursor.take(|byte| is_word(byte) || byte == b'$' || byte >= 0x80);
    // `x'41'`, `n'a'`, `_utf8'a'`: strings with a word before.
    if matches!(cursor.peek(), Some(b'\'')) && is_one_of(word, &["x", "n", "b", "e", "r", "q"]) {
        return text(cursor, b'\'');
    }
    let token = match word.len() {
        2 if is_one_of(word, &["or"]) => Token::Logic,
        3 if is_one_of(word, &["and", "xor"]) => Token::Logic,
        3 if is_one_of(word, &["not", "div", "mod", "all", "any"]) => Token::Operator,
        4 if is_one_of(word, &["some"]) => Token::Operator,
        6 if is_one_of(word, &["binary"]) => Token::Operator,
        4 if is_one_of(word, &["null", "true"]) => Token::Constant,
        5 if is_one_of(word, &["false"]) => Token::Constant,
        12 if is_one_of(word, &["current_user"]) => Token::Constant,
        2 if is_one_of(word, &["in", "is"]) => Token::CompareWord,
        4 if is_one_of(word, &["like", "glob"]) => Token::CompareWord,
        5 if is_one_of(word, &["rlike", "ilike", "match"]) => Token::CompareWord,
        6 if is_one_of(word, &["regexp", "sounds"]) => Token::CompareWord,
        7 if is_one_of(word, &["between", "similar"]) => Token::CompareWord,
        5 if is_one_of(word, &["union", "minus"]) => Token::Union,
        6 if is_one_of(word, &["except"]) => Token::Union,
        9 if is_one_of(word, &["intersect"]) => Token::Union,
        6 if is_one_of(word, &["select"]) => Token::Select,
        5 if is_one_of(word, &["order", "group"]) => Token::By,
        6 if is_one_of(word, &["having"]) => Token::Having,
        4 if is_one_of(word, &["case"]) => Token::Case,
        6 if is_one_of(word, &["exists"]) => Token::Exists,
        4 if is_one_of(word, &["into"]) => Token::Clause,
        5 if is_one_of(word, &["limit"]) => Token::Clause,
        9 if is_one_of(word, &["procedure"]) => Token::Clause,
        _ => Token::Word,
    };
    if token != Token::Word {
        return token;
    }
    let mut after = *cursor;
    skip(&mut after);
    if matches!(after.peek(), Some(b'(' | b'.')) && is_one_of(word, FUNCTIONS) {
        return Token::Function;
    }
    if is_one_of(word, STATEMENTS) { Token::Statement } else { Token::Word }
}
