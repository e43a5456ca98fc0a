//! Character references, which a parser appends one by one to the text it has: in time that grows with their square.

use std::borrow::Cow;

/// `markup` with its numeric references to letters, signs and spaces beyond ASCII written out, and `&nbsp;`. They mean the same
/// wherever references are read; where they are not, in scripts and the like, nothing is kept.
pub(super) fn written_out(markup: &str) -> Cow<'_, str> {
    if !markup.contains("&#") && !markup.contains("&nbsp;") {
        return Cow::Borrowed(markup);
    }
    let mut text = String::with_capacity(markup.len());
    let mut rest = markup;
    while let Some((before, reference)) = rest.split_once('&') {
        text.push_str(before);
        let read =
            reference.strip_prefix("nbsp;").map(|after| ('\u{a0}', after)).or_else(|| number(reference));
        if let Some((c, after)) = read {
            text.push(c);
            rest = after;
        } else {
            text.push('&');
            rest = reference;
        }
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// How many references are left.
pub(super) fn count(markup: &str) -> usize {
    memchr::memchr_iter(b'&', markup.as_bytes()).count()
}

fn number(reference: &str) -> Option<(char, &str)> {
    let number = reference.strip_prefix('#')?;
    let hexadecimal = number.strip_prefix(['x', 'X']);
    let digits = hexadecimal.unwrap_or(number);
    let length = digits.bytes().take(8).take_while(u8::is_ascii_hexdigit).count();
    let (digits, after) = digits.split_at_checked(length)?;
    let code = u32::from_str_radix(digits, if hexadecimal.is_some() { 16 } else { 10 }).ok()?;
    let c = char::from_u32(code).filter(|c| c.is_alphanumeric() || *c == '\u{a0}')?;
    (code >= 0xa0).then_some((c, after.strip_prefix(';')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_plain_is_written_out() {
        for (markup, text) in [
            ("&#233;&#xe9;&#x65E5;&nbsp;x", "\u{e9}\u{e9}\u{65e5}\u{a0}x"),
            ("&#60;&#x3c;&lt;&#97;&#233", "&#60;&#x3c;&lt;&#97;&#233"),
            (
                "&#xd800;&#x110000;&#99999999999;&#;&&#x;&nbsp",
                "&#xd800;&#x110000;&#99999999999;&#;&&#x;&nbsp",
            ),
            ("&#128;&#8232;&#xfeff;", "&#128;&#8232;&#xfeff;"),
        ] {
            assert_eq!(written_out(markup), text, "{markup}");
        }
    }
}
