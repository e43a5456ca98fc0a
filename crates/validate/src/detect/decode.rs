//! What a text says once the encodings are off that attacks hide in.

use super::text::starts_with;

/// A decoded text, and for each of its bytes where in the original it comes from.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    pub(super) bytes: Vec<u8>,
    places: Vec<u32>,
    /// Whether a `%` was itself encoded, or a character was encoded longer than it needs: nothing but an attack does it.
    pub(super) devious: bool,
}

impl Decoded {
    /// Where byte `at` comes from.
    pub(super) fn place(&self, at: usize) -> usize {
        self.places.get(at).or(self.places.last()).map_or(0, |place| *place as usize)
    }

    fn push(&mut self, byte: u8, place: usize) {
        self.bytes.push(byte);
        self.places.push(u32::try_from(place).unwrap_or(u32::MAX));
    }
}

/// Whether [`decode`] may find something.
pub(super) fn is_encoded(text: &[u8]) -> bool {
    text.iter().enumerate().any(|(at, byte)| match byte {
        b'%' => text.get(at + 1).is_some_and(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'u' | b'U')),
        b'&' => text.get(at + 1).is_some_and(|byte| *byte == b'#' || byte.is_ascii_alphabetic()),
        b'\\' => text.get(at + 1).is_some_and(|byte| matches!(byte, b'u' | b'x' | b'U' | b'X' | b'0'..=b'7')),
        0 => true,
        0xef => text.get(at + 1).is_some_and(|byte| matches!(byte, 0xbc | 0xbd)),
        0xe2 => text.get(at + 1).is_some_and(|byte| matches!(byte, 0x80 | 0x88)),
        _ => false,
    })
}

/// Takes one round of encodings off: percent, `%u`, `\u`, `\x`, HTML entities, full-width forms, typographic quotes that
/// databases take for plain ones, NUL.
pub(super) fn decode(text: &[u8], earlier: Option<&Decoded>) -> Decoded {
    let mut decoded =
        Decoded { devious: earlier.is_some_and(|earlier| earlier.devious), ..Decoded::default() };
    decoded.bytes.reserve(text.len());
    decoded.places.reserve(text.len());
    // `+` is a space in a query, and only there.
    let query = text.contains(&b'%') && !text.contains(&b' ');
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let place = earlier.map_or(at, |earlier| earlier.place(at));
        let rest = text.get(at..).unwrap_or_default();
        let (code, length) = match byte {
            b'%' => percent(rest, &mut decoded.devious),
            b'&' => entity(rest),
            b'\\' => escape(rest),
            b'+' if query => (u32::from(b' '), 1),
            0 => (u32::from(b' '), 1),
            0xef => full_width(rest),
            0xe2 => lookalike(rest),
            _ => (0, 0),
        };
        if length == 0 {
            decoded.push(byte, place);
            at += 1;
            continue;
        }
        if let Some(c) = char::from_u32(code) {
            let c = folded(c);
            let mut buffer = [0; 4];
            for byte in c.encode_utf8(&mut buffer).bytes() {
                decoded.push(byte, place);
            }
        }
        at += length;
    }
    decoded
}

fn hex(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn percent(rest: &[u8], devious: &mut bool) -> (u32, usize) {
    if matches!(rest.get(1), Some(b'u' | b'U')) {
        return rest.get(2..6).and_then(hex).map_or((0, 0), |code| (code, 6));
    }
    let Some(code) = rest.get(1..3).and_then(hex) else { return (0, 0) };
    // %C0%AE and %E0%80%AE are `.`, written longer than UTF-8 allows.
    let second =
        rest.get(3..6).filter(|next| next.first() == Some(&b'%')).and_then(|next| hex(next.get(1..)?));
    match (code, second) {
        (0xc0 | 0xc1, Some(low @ 0x80..=0xbf)) => {
            *devious = true;
            ((code & 1) << 6 | (low & 0x3f), 6)
        }
        (0xe0, Some(0x80 | 0x81)) => {
            let third = rest.get(6..9).and_then(|next| hex(next.get(1..)?));
            *devious = true;
            third.map_or((0, 0), |low| (low & 0x3f, 9))
        }
        (0x25, _) if rest.get(3..5).and_then(hex).is_some() => {
            *devious = true;
            (code, 3)
        }
        (0, _) => (u32::from(b' '), 3),
        // What is not ASCII is of no account here, and stays.
        (0x80.., _) => (0, 0),
        _ => (code, 3),
    }
}

const ENTITIES: [(&str, char); 22] = [
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("amp", '&'),
    ("tab", '\t'),
    ("newline", '\n'),
    ("colon", ':'),
    ("lpar", '('),
    ("rpar", ')'),
    ("sol", '/'),
    ("bsol", '\\'),
    ("equals", '='),
    ("excl", '!'),
    ("num", '#'),
    ("semi", ';'),
    ("period", '.'),
    ("comma", ','),
    ("grave", '`'),
    ("nbsp", ' '),
    ("percnt", '%'),
    ("vert", '|'),
];

fn entity(rest: &[u8]) -> (u32, usize) {
    let after = rest.get(1..).unwrap_or_default();
    if let Some(number) = after.strip_prefix(b"#") {
        let hexadecimal = matches!(number.first(), Some(b'x' | b'X'));
        let digits = number.get(usize::from(hexadecimal)..).unwrap_or_default();
        let is_digit = |byte: &u8| if hexadecimal { byte.is_ascii_hexdigit() } else { byte.is_ascii_digit() };
        let length = digits.iter().take(10).take_while(|byte| is_digit(byte)).count();
        let text =
            digits.get(..length).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default();
        let Ok(code) = u32::from_str_radix(text, if hexadecimal { 16 } else { 10 }) else { return (0, 0) };
        let semicolon = usize::from(digits.get(length) == Some(&b';'));
        return (code, 2 + usize::from(hexadecimal) + length + semicolon);
    }
    for (name, c) in ENTITIES {
        if starts_with(after, name) && after.get(name.len()) == Some(&b';') {
            return (u32::from(c), name.len() + 2);
        }
    }
    (0, 0)
}

fn escape(rest: &[u8]) -> (u32, usize) {
    let code = match rest.get(1) {
        Some(b'u' | b'U') if rest.get(2) == Some(&b'{') => {
            let length = rest.iter().skip(3).take(6).take_while(|byte| byte.is_ascii_hexdigit()).count();
            let code = rest.get(3..3 + length).and_then(hex).filter(|_| rest.get(3 + length) == Some(&b'}'));
            return code.map_or((0, 0), |code| (code, length + 4));
        }
        Some(b'u' | b'U') => rest.get(2..6).and_then(hex).map(|code| (code, 6)),
        Some(b'x' | b'X') => rest.get(2..4).and_then(hex).map(|code| (code, 4)),
        Some(b'0'..=b'3') => {
            let digits =
                rest.get(1..4).filter(|digits| digits.iter().all(|digit| matches!(digit, b'0'..=b'7')));
            digits.map(|digits| (digits.iter().fold(0, |code, digit| code * 8 + u32::from(digit - b'0')), 4))
        }
        _ => None,
    };
    // Only characters that attacks are made of, or hide behind: `\u3042` in JSON is of no account.
    code.filter(|(code, _)| *code < 0x100 || (0xff01..=0xff5e).contains(code)).unwrap_or((0, 0))
}

/// Full-width ASCII, U+FF01 to U+FF5E.
fn full_width(rest: &[u8]) -> (u32, usize) {
    match rest.get(1..3) {
        Some([0xbc, low @ 0x81..=0xbf]) => (0xff00 + u32::from(*low) - 0x80, 3),
        Some([0xbd, low @ 0x80..=0x9e]) => (0xff40 + u32::from(*low) - 0x80, 3),
        _ => (0, 0),
    }
}

/// Modifier and fraction signs that databases with a narrow character set store as ASCII: U+2215, U+2044, and dots.
fn lookalike(rest: &[u8]) -> (u32, usize) {
    match rest.get(1..3) {
        Some([0x88, 0x95] | [0x81, 0x84]) => (u32::from(b'/'), 3),
        Some([0x80, 0xa4]) => (u32::from(b'.'), 3),
        Some([0x80, 0xa5]) => (0x2025, 3),
        _ => (0, 0),
    }
}

fn folded(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xff00 + 0x20).unwrap_or(c),
        '\0' | '\u{80}'..='\u{ff}' => ' ',
        '\u{2215}' | '\u{2044}' => '/',
        '\u{2216}' => '\\',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(encoded: &str) -> String {
        String::from_utf8(decode(encoded.as_bytes(), None).bytes).unwrap_or_default()
    }

    #[test]
    fn encodings_come_off_one_at_a_time() {
        for (encoded, plain) in [
            ("%27%20or%201=1", "' or 1=1"),
            ("%2527", "%27"),
            ("%u0027", "'"),
            ("&#39;&#x27;&apos;&#0000039", "''''"),
            ("\\u003cscript\\x3e", "<script>"),
            ("\u{ff07}\u{ff0f}", "'/"),
            ("%c0%ae%c0%af", "./"),
            ("%e0%80%ae", "."),
            ("a+b%20c", "a b c"),
            ("a + b%20c", "a + b c"),
            ("100% of 5%", "100% of 5%"),
            ("a&b &nothing; \\u30e9 %zz", "a&b &nothing; \\u30e9 %zz"),
            ("%e3%81%82", "%e3%81%82"),
        ] {
            assert_eq!(text(encoded), plain, "{encoded}");
        }
        assert!(
            decode(b"%252e", None).devious
                && decode(b"%c0%ae", None).devious
                && !decode(b"%2e", None).devious
        );
    }

    #[test]
    fn places_lead_back() {
        let once = decode(b"ab%2527c", None);
        let twice = decode(&once.bytes, Some(&once));
        assert_eq!((twice.bytes.as_slice(), twice.place(2), twice.place(3)), (b"ab'c".as_slice(), 2, 7));
    }
}
