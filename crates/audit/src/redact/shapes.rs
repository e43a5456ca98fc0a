//! What secrets look like. Each function looks at one place of a text and no further than a bound, so that a scan is
//! linear.

use std::ops::Range;

/// The longest name before `=` or `:` that is looked at.
const NAME: usize = 64;
/// How far a key without spaces is followed.
const KEY: usize = 16 * 1024;

/// Beginnings of keys that say by themselves what they are, and how long such a key is at least.
const KNOWN: &[(&str, usize)] = &[
    ("AKIA", 20),
    ("ASIA", 20),
    ("AIza", 35),
    ("ya29.", 20),
    ("ghp_", 36),
    ("gho_", 36),
    ("ghu_", 36),
    ("ghs_", 36),
    ("ghr_", 36),
    ("github_pat_", 40),
    ("glpat-", 20),
    ("xoxb-", 20),
    ("xoxp-", 20),
    ("xoxa-", 20),
    ("xoxr-", 20),
    ("xoxs-", 20),
    ("sk_live_", 24),
    ("sk_test_", 24),
    ("rk_live_", 24),
    ("sk-", 24),
    ("npm_", 36),
    ("pypi-", 40),
    ("hvs.", 20),
    ("SG.", 40),
    ("dop_v1_", 40),
    ("AGE-SECRET-KEY-1", 40),
];

/// Whether a word begins at `at`.
pub(super) fn begins_word(text: &str, at: usize) -> bool {
    let (before, from) = (before(text, at), byte(text, at));
    from.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte >= 0x80)
        && !before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte >= 0x80)
}

/// A key that says by its beginning what it is.
pub(super) fn known_key(text: &str, at: usize) -> Option<Range<usize>> {
    let rest = text.get(at..)?;
    let (_, least) = KNOWN.iter().find(|(prefix, _)| rest.starts_with(prefix))?;
    let length = run(rest, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    (length >= *least).then_some(at..at + length)
}

/// Three parts of base64url, the first of which begins an object (RFC 7519).
pub(super) fn json_web_token(text: &str, at: usize) -> Option<Range<usize>> {
    let rest = text.get(at..)?;
    // Inside of a word of these signs it would be looked for again and again.
    if !rest.starts_with("eyJ") || before(text, at).is_some_and(|byte| matches!(byte, b'_' | b'-' | b'.')) {
        return None;
    }
    let length = run(rest, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    let parts: Vec<&str> = rest.get(..length)?.split('.').collect();
    let long = parts.iter().take(2).all(|part| part.len() >= 4);
    (parts.len() >= 3 && long).then_some(at..at + length)
}

/// What stands after `Bearer` and `Basic` in a header.
pub(super) fn after_scheme(text: &str, at: usize) -> Option<Range<usize>> {
    let rest = text.get(at..)?;
    let scheme = ["bearer ", "basic ", "negotiate "].into_iter().find(|scheme| begins(rest, scheme))?;
    let from = at + scheme.len();
    let length =
        run(text.get(from..)?, |byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b',' | b';'));
    (length >= 8).then_some(from..from + length)
}

/// The password in `scheme://user:password@host`.
pub(super) fn url_password(text: &str, at: usize) -> Option<Range<usize>> {
    let rest = text.get(at..)?.strip_prefix("://")?;
    let from = at + 3;
    let length =
        run(rest, |byte| !byte.is_ascii_whitespace() && !matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\''));
    let authority = rest.get(..length)?;
    let user = authority.get(..authority.rfind('@')?)?;
    let colon = user.find(':')?;
    (colon + 1 < user.len()).then_some(from + colon + 1..from + user.len())
}

/// A private key in PEM (RFC 7468), to its end or to the text's.
pub(super) fn private_key(text: &str, at: usize) -> Option<Range<usize>> {
    let rest = text.get(at..)?.strip_prefix("-----BEGIN ")?;
    let label = rest.get(..rest.find("-----").filter(|length| *length <= NAME)?)?;
    if !label.ends_with("PRIVATE KEY") && !label.ends_with("PRIVATE KEY BLOCK") {
        return None;
    }
    let end = format!("-----END {label}-----");
    let length = rest.find(&end).map_or(rest.len(), |found| found + end.len());
    Some(at..text.len() - rest.len() + length)
}

/// A name before `=` or `:`, and where the value after it begins.
pub(super) fn named(text: &str, at: usize) -> Option<(&str, usize)> {
    let rest = text.get(at..)?;
    let length =
        run_of(rest, NAME, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    let name = rest.get(..length)?;
    let mut value = at + length;
    value += run_of(text.get(value..)?, 2, |byte| matches!(byte, b'"' | b'\'' | b' '));
    if !matches!(byte(text, value)?, b'=' | b':') || text.get(value..)?.starts_with("://") {
        return None;
    }
    value += 1;
    value += run_of(text.get(value..)?, 2, |byte| byte == b' ');
    Some((name, value))
}

/// The value that begins at `at`: in quotes, or to the next sign that ends one.
pub(super) fn value(text: &str, mut at: usize) -> Option<Range<usize>> {
    let quote = byte(text, at).filter(|byte| matches!(byte, b'"' | b'\''));
    let length = if let Some(quote) = quote {
        at += 1;
        run(text.get(at..)?, |byte| byte != quote)
    } else {
        let ends = |byte: u8| byte.is_ascii_whitespace() || b"&;,\"')}".contains(&byte);
        let rest = text.get(at..)?;
        // A header's scheme belongs to its value.
        let scheme =
            ["bearer ", "basic "].into_iter().find(|scheme| begins(rest, scheme)).map_or(0, str::len);
        scheme + run(rest.get(scheme..)?, |byte| !ends(byte))
    };
    let taken = text.get(at..at + length)?;
    (length > 0 && !taken.starts_with("[redacted")).then_some(at..at + length)
}

/// The number of a payment card: an issuer's first digits, a length that it gives out, Luhn's check (ISO/IEC 7812-1);
/// its digits in a row, or in groups between single blanks or hyphens. The end of it.
pub(super) fn card(text: &str, at: usize) -> Option<usize> {
    let mut digits: Vec<u8> = Vec::with_capacity(19);
    let mut best = None;
    let mut place = at;
    while let Some(sign) = byte(text, place) {
        let follows = byte(text, place + 1).is_some_and(|byte| byte.is_ascii_digit());
        if sign.is_ascii_digit() {
            if digits.len() == 19 {
                break;
            }
            digits.push(sign - b'0');
            let ends = !byte(text, place + 1).is_some_and(|byte| byte.is_ascii_alphanumeric());
            if ends && is_issued(&digits) && luhn(&digits) {
                best = Some(place + 1);
            }
        } else if !matches!(sign, b' ' | b'-') || !follows || digits.is_empty() {
            break;
        }
        place += 1;
    }
    best
}

/// Whether a large issuer gives out numbers like this.
fn is_issued(digits: &[u8]) -> bool {
    let first = digits.iter().take(4).fold(0_u32, |number, digit| number * 10 + u32::from(*digit));
    let lengths: &[usize] = match first {
        4000..=4999 => &[13, 16, 19],
        5100..=5599 | 2221..=2720 => &[16],
        3400..=3499 | 3700..=3799 => &[15],
        3000..=3059 | 3600..=3699 | 3800..=3999 => &[14, 16, 17, 18, 19],
        3528..=3589 | 6000..=6999 => &[16, 17, 18, 19],
        _ => &[],
    };
    lengths.contains(&digits.len())
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(*digit) * if place % 2 == 1 { 2 } else { 1 };
            digit / 10 + digit % 10
        })
        .sum();
    sum.is_multiple_of(10)
}

/// An address as people write them: `name@host.tld`. The end of it.
pub(super) fn email(text: &str, at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    let local =
        run_of(rest, 64, |byte| byte.is_ascii_alphanumeric() || byte >= 0x80 || b"._%+-'".contains(&byte));
    let domain = rest.get(local..)?.strip_prefix('@')?;
    let length =
        run_of(domain, 253, |byte| byte.is_ascii_alphanumeric() || byte >= 0x80 || b".-".contains(&byte));
    let domain = domain.get(..length)?.trim_end_matches(['.', '-']);
    let (host, top) = domain.rsplit_once('.')?;
    (!host.is_empty() && top.len() >= 2 && top.bytes().any(|byte| byte.is_ascii_alphabetic() || byte >= 0x80))
        .then_some(at + local + 1 + domain.len())
}

/// Whether `text` begins with `word`, whatever the case.
fn begins(text: &str, word: &str) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

fn byte(text: &str, at: usize) -> Option<u8> {
    text.as_bytes().get(at).copied()
}

fn before(text: &str, at: usize) -> Option<u8> {
    at.checked_sub(1).and_then(|at| byte(text, at))
}

fn run(text: &str, part: impl Fn(u8) -> bool) -> usize {
    run_of(text, KEY, part)
}

/// How many bytes from the beginning are `part`; it ends where a sign does.
fn run_of(text: &str, most: usize, part: impl Fn(u8) -> bool) -> usize {
    let mut length = text.bytes().take(most).take_while(|byte| part(*byte)).count();
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    length
}
