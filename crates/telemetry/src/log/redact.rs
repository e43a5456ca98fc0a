//! Takes secrets out of text by their well-known shapes, once, before any sink sees it.

use std::borrow::Cow;

/// What stands where a secret stood.
pub(super) const MASK: &str = "[REDACTED]";

/// What the name of a secret ends with, in lower case and without `-` and `_`.
const SECRET_NAMES: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "authorization",
    "cookie",
];

/// Authentication schemes of HTTP: in `authorization: Basic …` the secret is the word after the scheme.
const SCHEMES: [&str; 3] = ["bearer", "basic", "digest"];

/// Whether a field of this name holds a secret: `"db_password"`, `"X-Api-Key"`.
pub(super) fn names_a_secret(name: &str) -> bool {
    // The longest secret name has 13 letters; a name is compared from its end, so a long one costs no more.
    let tail: Vec<u8> = name
        .bytes()
        .rev()
        .filter(|byte| !matches!(byte, b'-' | b'_'))
        .take(13)
        .map(|byte| byte.to_ascii_lowercase())
        .collect();
    SECRET_NAMES
        .iter()
        .any(|secret| tail.len() >= secret.len() && secret.bytes().rev().zip(&tail).all(|(a, b)| a == *b))
}

/// Replaces what looks like a secret: `password=…` and its like, `Bearer …`, the password in a URL, JSON web tokens,
/// PEM private keys, AWS access keys.
pub(super) fn redact(text: &str) -> Cow<'_, str> {
    let mut clean = String::new();
    let mut kept = 0;
    let mut words = Words { text, at: 0 };
    while let Some(word) = words.next() {
        if let Some((start, end)) = secret_at(text, &word)
            && start >= kept
            && end > start
        {
            clean.push_str(text.get(kept..start).unwrap_or_default());
            clean.push_str(MASK);
            kept = end;
            words.at = end;
        }
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    clean.push_str(text.get(kept..).unwrap_or_default());
    Cow::Owned(clean)
}

/// A run of letters, digits, `-` and `_`.
struct Word<'a> {
    text: &'a str,
    start: usize,
    end: usize,
}

struct Words<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        let bytes = self.text.as_bytes();
        let start = self.at + bytes.get(self.at..)?.iter().position(|byte| is_word(*byte))?;
        let length = bytes.get(start..)?.iter().position(|byte| !is_word(*byte));
        let end = length.map_or(bytes.len(), |length| start + length);
        self.at = end;
        // Word bytes are ASCII, so both ends stand on character boundaries.
        Some(Word { text: self.text.get(start..end)?, start, end })
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Where the secret is that `word` introduces or begins.
fn secret_at(text: &str, word: &Word<'_>) -> Option<(usize, usize)> {
    let rest = text.get(word.end..)?;
    if word.text.eq_ignore_ascii_case("bearer") && rest.starts_with(' ') {
        let start = word.end + 1;
        return Some((start, value_end(text, start)));
    }
    if names_a_secret(word.text) {
        return assigned(text, word.end);
    }
    if word.text.starts_with("eyJ") && rest.starts_with(".eyJ") {
        let token = text.get(word.start..)?;
        let length = token.bytes().position(|byte| !is_word(byte) && byte != b'.');
        return Some((word.start, word.start + length.unwrap_or(token.len())));
    }
    if word.text.len() == 20 && (word.text.starts_with("AKIA") || word.text.starts_with("ASIA")) {
        return Some((word.start, word.end));
    }
    if word.text.ends_with("-BEGIN") {
        let key = text.get(word.start..)?;
        let header = key.get(..key.len().min(64)).or_else(|| key.get(..key.floor_char_boundary(64)))?;
        if header.contains("PRIVATE KEY") {
            // A key whose end was cut off is still a key.
            let end = key.find("-----END").map_or(text.len(), |end| word.start + end);
            return Some((word.start, end));
        }
    }
    if let Some(authority) = rest.strip_prefix("://") {
        let authority = authority.split(['/', '?', '#', ' ', '"', '\'']).next()?;
        let (userinfo, _) = authority.rsplit_once('@')?;
        let (user, password) = userinfo.split_once(':')?;
        let start = word.end + "://".len() + user.len() + 1;
        return Some((start, start + password.len()));
    }
    None
}

/// Where the value is that follows a name at `at`: after `=` or `:`, with or without quotes and one space.
fn assigned(text: &str, at: usize) -> Option<(usize, usize)> {
    let rest = text.get(at..)?;
    let after_name = rest.trim_start_matches(['"', '\'', '\\', ' ']);
    let value = after_name.strip_prefix(['=', ':'])?;
    let value = value.trim_start_matches([' ', '\\']);
    let mut start = text.len() - value.len();
    if let Some(quote) = value.chars().next().filter(|first| matches!(first, '"' | '\'')) {
        start += 1;
        let quoted = text.get(start..)?;
        return Some((start, quoted.find(quote).map_or(text.len(), |length| start + length)));
    }
    // `Authorization: Bearer abc` keeps its scheme.
    let first = value.split(' ').next()?;
    if SCHEMES.iter().any(|scheme| first.eq_ignore_ascii_case(scheme)) {
        start = (start + first.len() + 1).min(text.len());
    }
    Some((start, value_end(text, start)))
}

/// Where an unquoted value ends.
fn value_end(text: &str, start: usize) -> usize {
    let value = text.get(start..).unwrap_or_default();
    let length = value.find(|c: char| {
        c.is_whitespace() || matches!(c, '&' | ',' | ';' | '"' | '\'' | ')' | '}' | ']' | '>')
    });
    start + length.unwrap_or(value.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // tests

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_well_known_shapes_are_masked_and_nothing_else() {
        let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----";
        for (text, clean) in [
            ("Authorization: Bearer abc.def-g next", "Authorization: Bearer [REDACTED] next"),
            ("authorization=Basic dXNlcjpw, x", "authorization=Basic [REDACTED], x"),
            ("got bearer tok_123", "got bearer [REDACTED]"),
            ("?user=a&password=hunter2&x=1", "?user=a&password=[REDACTED]&x=1"),
            ("{\"client_secret\": \"a b\", \"id\": 1}", "{\"client_secret\": \"[REDACTED]\", \"id\": 1}"),
            ("Config { api_key: \"k\", port: 1 }", "Config { api_key: \"[REDACTED]\", port: 1 }"),
            ("X-Api-Key: abc", "X-Api-Key: [REDACTED]"),
            ("redis://user:p:w@host:6379/0", "redis://user:[REDACTED]@host:6379/0"),
            ("jwt eyJhbGci.eyJzdWIi.c2ln-_x end", "jwt [REDACTED] end"),
            ("AKIAIOSFODNN7EXAMPLE", "[REDACTED]"),
            (key, "[REDACTED]-----END RSA PRIVATE KEY-----"),
            ("-----BEGIN PRIVATE KEY-----\nMIIE", "[REDACTED]"),
            ("-----BEGIN CERTIFICATE-----\nMIIE", "-----BEGIN CERTIFICATE-----\nMIIE"),
            ("the token bucket is empty, 3 tokens left", "the token bucket is empty, 3 tokens left"),
            ("http://host:80/a:b@c", "http://host:80/a:b@c"),
            ("basic facts", "basic facts"),
        ] {
            assert_eq!(redact(text), clean);
        }
    }

    #[test]
    fn names_are_known_by_their_end() {
        for name in ["password", "DB_PASSWORD", "x-api-key", "refresh_token", "Set-Cookie"] {
            assert!(names_a_secret(name), "{name}");
        }
        for name in ["tokens", "secretary", "password_length", "key", ""] {
            assert!(!names_a_secret(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_harm(text in any::<String>()) {
            redact(&text);
        }

        #[test]
        fn a_planted_secret_never_survives(
            before in "[a-z äß=:,\"]{0,20}",
            secret in "[A-Za-z0-9]{8,40}",
            after in "[ ,;&\"][a-z =:]{0,20}",
        ) {
            for planted in ["password=", "Bearer ", "token: ", "api_key = ", "postgres://app:"] {
                let tail = if planted.ends_with("app:") { "@db/x" } else { "" };
                let text = format!("{before} {planted}{secret}{tail}{after}");
                let clean = redact(&text);
                prop_assert!(!clean.contains(&secret), "{text} -> {clean}");
            }
        }

        #[test]
        fn text_without_a_secret_is_not_copied(text in "[a-z0-9 /.]{0,60}") {
            prop_assume!(!text.contains("bearer"));
            prop_assert!(matches!(redact(&text), Cow::Borrowed(_)));
        }
    }
}
