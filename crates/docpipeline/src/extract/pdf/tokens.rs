//! The tokens of a content stream (ISO 32000-1, 7.2 and 7.8.2), read as other readers read broken ones.

use std::borrow::Cow;

use super::filters::hex_digit;

/// A token. Everything is a view of the stream, but strings with escapes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'s> {
    Number(f64),
    /// Without its slash, `#xx` undone.
    Name(Cow<'s, [u8]>),
    String(Cow<'s, [u8]>),
    ArrayStart,
    ArrayEnd,
    DictStart,
    DictEnd,
    /// Also `true`, `false` and `null`.
    Operator(&'s [u8]),
}

/// A content stream, read from front to back.
#[derive(Debug)]
pub(super) struct Tokens<'s> {
    rest: &'s [u8],
}

impl<'s> Tokens<'s> {
    pub(super) fn new(content: &'s [u8]) -> Self {
        Self { rest: content }
    }

    /// Skips the data of an inline image, whose `ID` was read last.
    pub(super) fn skip_image(&mut self) {
        // "EI" may occur in the data; the real one stands between blanks, and text follows it.
        let mut from = 0;
        while let Some(at) = memchr::memmem::find(self.rest.get(from..).unwrap_or_default(), b"EI") {
            let at = from + at;
            let before = at.checked_sub(1).and_then(|before| self.rest.get(before)).copied();
            let tail = self.rest.get(at + 2..).unwrap_or_default();
            let parted = before.is_none_or(is_blank) && tail.first().copied().is_none_or(is_blank);
            let looks_like_text = |byte: &u8| (b' '..0x7f).contains(byte) || is_blank(*byte);
            if parted && tail.iter().take(16).all(looks_like_text) {
                self.rest = tail;
                return;
            }
            from = at + 2;
        }
        self.rest = &[];
    }

    fn skip_blanks(&mut self) {
        loop {
            let blanks = self.rest.iter().position(|byte| !is_blank(*byte)).unwrap_or(self.rest.len());
            self.advance(blanks);
            if self.rest.first() != Some(&b'%') {
                return;
            }
            let line = memchr::memchr2(b'\n', b'\r', self.rest).unwrap_or(self.rest.len());
            self.advance(line);
        }
    }

    fn advance(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    /// The regular characters from here on.
    fn word(&mut self) -> &'s [u8] {
        let end = self.rest.iter().position(|byte| !is_regular(*byte)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn name(&mut self) -> Token<'s> {
        self.advance(1);
        let word = self.word();
        Token::Name(unescaped(word))
    }

    fn hex_string(&mut self) -> Token<'s> {
        self.advance(1);
        let end = memchr::memchr(b'>', self.rest).unwrap_or(self.rest.len());
        let (inside, rest) = self.rest.split_at(end);
        self.rest = rest.get(1..).unwrap_or_default();
        let mut string = Vec::with_capacity(inside.len().div_ceil(2));
        let mut high = None;
        for digit in inside.iter().filter_map(|byte| hex_digit(*byte)) {
            match high.take() {
                None => high = Some(digit << 4),
                Some(high) => string.push(high | digit),
            }
        }
        string.extend(high);
        Token::String(Cow::Owned(string))
    }

    fn literal_string(&mut self) -> Token<'s> {
        self.advance(1);
        // Most strings hold neither escapes nor parentheses nor line ends.
        let special = self.rest.iter().position(|byte| matches!(byte, b')' | b'(' | b'\\' | b'\r'));
        if let Some((string, b")")) =
            special.and_then(|end| Some((self.rest.get(..end)?, self.rest.get(end..=end)?)))
        {
            self.advance(string.len() + 1);
            return Token::String(Cow::Borrowed(string));
        }
        let mut string = Vec::new();
        let mut open = 1_usize;
        while let Some((byte, tail)) = self.rest.split_first() {
            self.rest = tail;
            match byte {
                b'(' => open += 1,
                b')' => {
                    open -= 1;
                    if open == 0 {
                        break;
                    }
                }
                b'\\' => {
                    string.extend(self.escape());
                    continue;
                }
                b'\r' => {
                    // Every end of line is one line feed.
                    self.rest = tail.strip_prefix(b"\n").unwrap_or(tail);
                    string.push(b'\n');
                    continue;
                }
                _ => {}
            }
            string.push(*byte);
        }
        Token::String(Cow::Owned(string))
    }

    /// What stands after a backslash; nothing for a line that goes on.
    fn escape(&mut self) -> Option<u8> {
        let (byte, tail) = self.rest.split_first()?;
        self.rest = tail;
        match byte {
            b'n' => Some(b'\n'),
            b'r' => Some(b'\r'),
            b't' => Some(b'\t'),
            b'b' => Some(8),
            b'f' => Some(12),
            b'\n' => None,
            b'\r' => {
                self.rest = tail.strip_prefix(b"\n").unwrap_or(tail);
                None
            }
            b'0'..=b'7' => {
                let mut code = u32::from(byte - b'0');
                for _ in 0..2 {
                    let Some(digit @ b'0'..=b'7') = self.rest.first() else { break };
                    code = code * 8 + u32::from(digit - b'0');
                    self.advance(1);
                }
                // High-order overflow is ignored (7.3.4.2).
                u8::try_from(code & 0xff).ok()
            }
            other => Some(*other),
        }
    }
}

impl<'s> Iterator for Tokens<'s> {
    type Item = Token<'s>;

    fn next(&mut self) -> Option<Token<'s>> {
        loop {
            self.skip_blanks();
            let token = match self.rest.first()? {
                b'/' => self.name(),
                b'(' => self.literal_string(),
                b'<' if self.rest.starts_with(b"<<") => {
                    self.advance(2);
                    Token::DictStart
                }
                b'<' => self.hex_string(),
                b'>' if self.rest.starts_with(b">>") => {
                    self.advance(2);
                    Token::DictEnd
                }
                b'[' => {
                    self.advance(1);
                    Token::ArrayStart
                }
                b']' => {
                    self.advance(1);
                    Token::ArrayEnd
                }
                b'0'..=b'9' | b'+' | b'-' | b'.' => match number(self.rest) {
                    // "0Tc" is a number and an operator to other readers.
                    Some((value, length)) => {
                        self.advance(length);
                        Token::Number(value)
                    }
                    None => Token::Operator(self.word()),
                },
                b')' | b'>' | b'{' | b'}' => {
                    // They begin nothing here.
                    self.advance(1);
                    continue;
                }
                _ => Token::Operator(self.word()),
            };
            return Some(token);
        }
    }
}

/// A name with its `#xx` undone (7.3.5).
pub(super) fn unescaped(name: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'#', name).is_none() {
        return Cow::Borrowed(name);
    }
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((byte, tail)) = rest.split_first() {
        let digit = |at: usize| tail.get(at).and_then(|byte| hex_digit(*byte));
        if let (b'#', Some(high), Some(low)) = (byte, digit(0), digit(1)) {
            plain.push(high << 4 | low);
            rest = tail.get(2..).unwrap_or_default();
        } else {
            plain.push(*byte);
            rest = tail;
        }
    }
    Cow::Owned(plain)
}

/// A number at the beginning, and its length; what cannot be of a number but stands on in it (`1.2.3`, `5-3`) is passed
/// over.
fn number(text: &[u8]) -> Option<(f64, usize)> {
    let signs = text.iter().take_while(|byte| matches!(byte, b'+' | b'-')).count();
    let negative = text.first() == Some(&b'-');
    let (mut whole, mut scale, mut digits, mut at) = (0_u64, 0_u32, 0, signs);
    let mut fraction = false;
    while let Some(byte) = text.get(at) {
        match byte {
            // More digits than a coordinate can use.
            b'0'..=b'9' if digits < 18 => {
                whole = whole * 10 + u64::from(byte - b'0');
                scale += u32::from(fraction);
                digits += 1;
            }
            b'0'..=b'9' if fraction => {}
            b'.' if !fraction => fraction = true,
            _ => break,
        }
        at += 1;
    }
    if digits == 0 && !fraction {
        return None;
    }
    at += text.iter().skip(at).take_while(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-')).count();
    #[allow(clippy::cast_precision_loss)] // A coordinate of more than 15 digits is none.
    let value = whole as f64 / POWERS.get(scale as usize).copied().unwrap_or(1e18);
    Some((if negative { -value } else { value }, at))
}

const POWERS: [f64; 19] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18];

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | 0 | 0x0c)
}

fn is_regular(byte: u8) -> bool {
    !is_blank(byte) && !matches!(byte, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%')
}

#[cfg(test)]
mod tests {
    use super::{Token, Tokens};
    use proptest::prelude::*;

    fn string(text: &[u8]) -> Token<'_> {
        Token::String(text.into())
    }

    fn tokens(content: &[u8]) -> Vec<Token<'_>> {
        Tokens::new(content).collect()
    }

    #[test]
    fn operands_and_operators_are_told_apart() {
        let expected = [
            Token::Name(b"F1".into()),
            Token::Number(12.0),
            Token::Operator(b"Tf"),
            Token::ArrayStart,
            string(b"a"),
            Token::Number(-120.5),
            string(b"b"),
            Token::ArrayEnd,
            Token::Operator(b"TJ"),
            Token::Operator(b"T*"),
            Token::DictStart,
            Token::Name(b"A B".into()),
            Token::Number(0.25),
            Token::DictEnd,
        ];
        assert_eq!(tokens(b"/F1 12 Tf[(a)-120.5(b)]TJ T*% comment\n<</A#20B +.25>>"), expected);
    }

    #[test]
    fn strings_undo_their_escapes() {
        assert_eq!(tokens(br"(a\(b(c)\)\\)"), [string(br"a(b(c))\")]);
        assert_eq!(tokens(b"(\\053\\0053\\53x\\\nno break\r\nbreak)"), [string(b"+\x053+xno break\nbreak")]);
        assert_eq!(tokens(b"<48 65 6C6>"), [string(b"Hel`")]);
        assert_eq!(tokens(b"(open"), [string(b"open")]);
    }

    #[test]
    fn broken_numbers_read_as_elsewhere() {
        let numbers = |content: &[u8]| {
            let number = |token| if let Token::Number(value) = token { Some(value) } else { None };
            Tokens::new(content).filter_map(number).collect::<Vec<_>>()
        };
        assert_eq!(numbers(b"--5 1.2.3 5-3 . -.5 4."), [-5.0, 1.2, 5.0, 0.0, -0.5, 4.0]);
        assert_eq!(tokens(b"0Tc"), [Token::Number(0.0), Token::Operator(b"Tc")]);
        assert_eq!(tokens(b"- x"), [Token::Operator(b"-"), Token::Operator(b"x")]);
    }

    #[test]
    fn the_data_of_an_image_is_no_content() {
        let mut tokens = Tokens::new(b" \x01\x02EI\xff (in) EI\xfe EI Q (out)");
        tokens.skip_image();
        assert_eq!(tokens.next(), Some(Token::Operator(b"Q")));
        assert_eq!(tokens.next(), Some(string(b"out")));
    }

    proptest! {
        #[test]
        fn any_bytes_come_to_an_end(content in prop::collection::vec(any::<u8>(), 0..300)) {
            let count = Tokens::new(&content).count();
            prop_assert!(count <= content.len());
        }
    }
}
