//! Names of files in JSON: any bytes, quoted as Go's `strconv.Quote` does, without the quotes around.

use super::Malformed;

/// Quotes a name. Valid UTF-8 that can be printed stays as it is.
pub(crate) fn quote(name: &[u8]) -> String {
    let mut quoted = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        chunk.valid().chars().for_each(|char| quote_char(char, &mut quoted));
        chunk.invalid().iter().for_each(|byte| quote_byte(*byte, &mut quoted));
    }
    quoted
}

fn quote_byte(byte: u8, quoted: &mut String) {
    quoted.push_str("\\x");
    push_hex(u32::from(byte), 2, quoted);
}

fn quote_char(char: char, quoted: &mut String) {
    let escape = match char {
        '"' => '"',
        '\\' => '\\',
        '\x07' => 'a',
        '\x08' => 'b',
        '\x0c' => 'f',
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        '\x0b' => 'v',
        ' '..='~' => return quoted.push(char),
        '\0'..='\x1f' | '\x7f' => return quote_byte(u32::from(char).to_le_bytes()[0], quoted),
        _ if is_printed(char) => return quoted.push(char),
        '\0'..='\u{ffff}' => {
            quoted.push_str("\\u");
            return push_hex(u32::from(char), 4, quoted);
        }
        _ => {
            quoted.push_str("\\U");
            return push_hex(u32::from(char), 8, quoted);
        }
    };
    quoted.push('\\');
    quoted.push(escape);
}

/// Whether Go prints it: no control, no space but the common one, nothing that only formats. A reader takes either.
fn is_printed(char: char) -> bool {
    let formats = matches!(char,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{e000}'..='\u{f8ff}' | '\u{feff}'
        | '\u{fff0}'..='\u{fffb}' | '\u{fffe}'..='\u{ffff}' | '\u{e0001}'..='\u{e007f}' | '\u{f0000}'..);
    !(char.is_control() || char.is_whitespace() || formats)
}

fn push_hex(number: u32, digits: u32, to: &mut String) {
    let digit = |at: u32| char::from_digit(number >> (4 * at) & 15, 16).unwrap_or('0');
    to.extend((0..digits).rev().map(digit));
}

/// Reads what [`quote`] or Go has quoted.
pub(crate) fn unquote(quoted: &str) -> Result<Vec<u8>, Malformed> {
    let wrong = || Malformed::new(format!("the name `{quoted}` is not quoted as names are"));
    let mut name = Vec::with_capacity(quoted.len());
    let mut rest = quoted;
    while let Some((before, escape)) = rest.split_once('\\') {
        name.extend_from_slice(before.as_bytes());
        let kind = escape.chars().next().ok_or_else(wrong)?;
        let after = escape.get(kind.len_utf8()..).unwrap_or_default();
        let digits = match kind {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            '0'..='7' => 3,
            _ => 0,
        };
        // The digits of an octal escape begin with `kind` itself.
        let from = if digits == 3 { escape } else { after };
        let text = from.get(..digits).ok_or_else(wrong)?;
        rest = from.get(digits..).unwrap_or_default();
        let radix = if digits == 3 { 8 } else { 16 };
        let number = || -> Result<u32, Malformed> {
            if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(wrong());
            }
            u32::from_str_radix(text, radix).map_err(|_| wrong())
        };
        match kind {
            'a' => name.push(7),
            'b' => name.push(8),
            'f' => name.push(12),
            'n' => name.push(b'\n'),
            'r' => name.push(b'\r'),
            't' => name.push(b'\t'),
            'v' => name.push(11),
            '\\' | '"' | '\'' => name.extend_from_slice(kind.encode_utf8(&mut [0; 4]).as_bytes()),
            'x' | '0'..='7' => name.push(u8::try_from(number()?).map_err(|_| wrong())?),
            'u' | 'U' => {
                let char = char::from_u32(number()?).ok_or_else(wrong)?;
                name.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => return Err(wrong()),
        }
    }
    name.extend_from_slice(rest.as_bytes());
    Ok(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_quoted_as_go_quotes_them() {
        let cases: [(&[u8], &str); 9] = [
            (b"plain.txt", "plain.txt"),
            ("grün €🦀".as_bytes(), "grün €🦀"),
            (b"a\"b\\c", "a\\\"b\\\\c"),
            (b"\x00\x07\n\x1b\x7f", "\\x00\\a\\n\\x1b\\x7f"),
            (b"\xff\xfe", "\\xff\\xfe"),
            ("\u{a0}".as_bytes(), "\\u00a0"),
            ("\u{2028}".as_bytes(), "\\u2028"),
            ("\u{e0001}".as_bytes(), "\\U000e0001"),
            ("\u{fffd}".as_bytes(), "\u{fffd}"),
        ];
        for (name, quoted) in cases {
            assert_eq!(quote(name), quoted);
            assert_eq!(unquote(quoted).as_deref(), Ok(name));
        }
        for wrong in ["\\", "\\q", "\\x1", "\\xzz", "\\ud800", "\\777", "\\x+1", "\\u12"] {
            assert!(unquote(wrong).is_err(), "{wrong}");
        }
        assert_eq!(unquote("\\101"), Ok(b"A".to_vec()));
    }

    proptest! {
        #[test]
        fn any_name_comes_back(name: Vec<u8>) {
            prop_assert_eq!(unquote(&quote(&name)), Ok(name));
        }

        #[test]
        fn anything_is_unquoted_or_refused(quoted: String) {
            let _ = unquote(&quoted);
        }
    }
}
