//! Names, text, arguments and addresses: what is taken, what is not, and what always holds.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a failing expectation fails the test"
)]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use buttress_validate::{
    Code, CommandArg, Dialect, Handle, Identifier, Invalid, PlainText, SafeFileName, TextPolicy,
};
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};

/// Text with much of what matters in it.
fn text() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "..",
        "/",
        "\\",
        ":",
        "-",
        "~",
        "\0",
        "\r\n",
        "\t",
        "\u{202e}",
        "\u{200b}",
        "\u{200d}",
        "\u{fe0f}",
        "e\u{301}",
        "\u{301}",
        "\u{e000}",
        "\u{378}",
        "CON",
        "nul",
        "COM1",
        ".txt",
        " ",
        "😀",
        "क्\u{200d}ष",
        "ß",
        "İ",
        "\u{ff0f}",
        "'",
        "\"",
        ";",
        "`",
        "$",
        "@",
        "example.org",
        "select",
        "а",
        "\u{feff}",
        "\u{1100}\u{1161}",
        "ﬁ",
    ]);
    let piece = prop_oneof![3 => odd.prop_map(str::to_owned), 2 => "[a-zA-Z0-9_.-]{1,4}", 1 => "\\PC", 1 => any::<char>().prop_map(String::from)];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// What holds for every type: what is taken reads back from itself and from JSON; what is not is said without the value.
fn holds<T>(text: &str) -> Option<T>
where
    T: FromStr<Err = Invalid> + Display + Debug + PartialEq + Serialize + DeserializeOwned,
{
    let json = serde_json::to_string(text).unwrap();
    let read = serde_json::from_str::<T>(&json);
    match text.parse::<T>() {
        Ok(value) => {
            assert_eq!(value.to_string().parse::<T>().as_ref(), Ok(&value), "{text:?}");
            assert_eq!(read.unwrap(), value);
            assert_eq!(
                serde_json::to_string(&value).unwrap(),
                serde_json::to_string(&value.to_string()).unwrap()
            );
            Some(value)
        }
        Err(invalid) => {
            assert!(read.is_err());
            assert!(
                invalid.at().is_none_or(|at| at <= text.len() && text.is_char_boundary(at)),
                "{text:?} {invalid}"
            );
            assert!(!invalid.to_string().chars().any(|c| c.is_control() || !c.is_ascii()), "{invalid}");
            None
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn text_has_nothing_that_tricks(text in text()) {
        if let Some(plain) = holds::<PlainText>(&text) {
            let bad = |c: char| c.is_control() && !matches!(c, '\n' | '\t') || matches!(c, '\u{200b}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{e000}'..='\u{f8ff}');
            prop_assert!(!plain.as_str().contains(bad));
            prop_assert!(unicode_nfc(plain.as_str()));
        }
    }

    /// Text of plain letters takes a shorter way; a letter behind it leads it to the longer one.
    #[test]
    fn plain_letters_are_judged_as_all_letters(text in prop_oneof![text(), "[ -~\n\t\r]{0,200}", "[\\x00-\\x7f]{0,130}"], lines: bool) {
        let policy = if lines { TextPolicy::default() } else { TextPolicy::line(300) };
        let (short, long) = (policy.parse(&text), policy.parse(&format!("{text}Ω中")));
        let same = long.map(|plain| plain.as_str().trim_end_matches("Ω中").to_owned());
        prop_assert_eq!(short.map(|plain| plain.to_string()), same);
    }

    #[test]
    fn a_file_name_is_one_name(text in text()) {
        if let Some(name) = holds::<SafeFileName>(&text) {
            let mut parts = std::path::Path::new(name.as_str()).components();
            prop_assert!(matches!(parts.next(), Some(std::path::Component::Normal(_))) && parts.next().is_none());
            prop_assert!(name.as_str().len() <= 255 && !name.as_str().starts_with(['.', '-', ' ']) && !name.as_str().ends_with(['.', ' ']));
        }
    }

    #[test]
    fn a_sanitised_name_is_always_valid_and_stays_when_it_was(text in prop_oneof![text(), ("\\PC{0,300}", text()).prop_map(|(a, b)| a + &b)]) {
        let name = SafeFileName::sanitize(&text);
        prop_assert_eq!(name.as_str().parse::<SafeFileName>(), Ok(name.clone()), "{:?}", text);
        prop_assert_eq!(SafeFileName::sanitize(name.as_str()), name.clone());
        if let Ok(valid) = text.parse::<SafeFileName>() {
            prop_assert_eq!(name, valid);
        }
    }

    #[test]
    fn an_identifier_cannot_end_its_quotes(text in text()) {
        if let Some(name) = holds::<Identifier>(&text) {
            prop_assert!(name.as_str().len() <= 63 && name.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
            for dialect in [Dialect::Postgres, Dialect::Sqlite, Dialect::Mysql] {
                let quoted = name.quoted(dialect);
                prop_assert_eq!(quoted.matches(['"', '`']).count(), 2);
            }
        }
    }

    #[test]
    fn an_argument_is_no_option(text in text()) {
        if let Some(argument) = holds::<CommandArg>(&text) {
            prop_assert!(!argument.as_str().starts_with('-') && !argument.as_str().contains('\0'));
            prop_assert_eq!(argument.as_str(), text);
        } else if !text.contains('\0') {
            prop_assert_eq!(CommandArg::path(&text).unwrap().to_string(), format!("./{text}"));
        }
    }

    #[test]
    fn a_handle_has_a_skeleton(text in text()) {
        if let Some(handle) = holds::<Handle>(&text) {
            prop_assert!(!handle.skeleton().is_empty());
        }
    }
}

fn unicode_nfc(text: &str) -> bool {
    // Through the crate's own door: what is not in the form is refused in a file's name.
    text.split(['/', '\\', '\n', '\t', ':', '*', '?', '"', '<', '>', '|'])
        .all(|part| !matches!(part.parse::<SafeFileName>(), Err(error) if error.code() == Code::Encoding))
}

fn code<T: FromStr<Err = Invalid>>(text: &str) -> Option<Code> {
    text.parse::<T>().err().map(|error| error.code())
}

#[test]
fn text_keeps_what_languages_need() {
    for kept in [
        "Zażółć gęślą jaźń",
        "日本語のテキスト",
        "می\u{200c}خواهم",
        "क्\u{200d}ष",
        "👩\u{200d}👩\u{200d}👧",
        "❤\u{fe0f}",
        "1\u{fe0f}\u{20e3}",
        "a\tb\nc",
        "naïve — “x” …",
        "🇩🇪",
        "שלום עולם",
        "",
    ] {
        assert_eq!(kept.parse::<PlainText>().unwrap().as_str(), kept);
    }
    for (trick, expected) in [
        ("if (isAdmin) {\u{202e} }\u{2066}", Code::Bidi),
        ("pass\u{200b}word", Code::Invisible),
        ("a\u{200d}b", Code::Invisible),
        ("a\u{ad}b", Code::Invisible),
        ("\u{feff}a", Code::Invisible),
        ("\u{3164}", Code::Invisible),
        ("a\u{e0041}", Code::Invisible),
        ("a\0b", Code::Control),
        ("a\u{1b}[31m", Code::Control),
        ("a\u{85}b", Code::Control),
        ("a\u{2028}b", Code::Control),
        ("a\rb", Code::Control),
        ("\u{e000}", Code::Unassigned),
        ("\u{ffff}", Code::Unassigned),
        ("\u{378}", Code::Unassigned),
        ("\u{200e}", Code::Bidi),
    ] {
        assert_eq!(code::<PlainText>(trick), Some(expected), "{trick:?}");
    }
    assert_eq!(code::<PlainText>(&format!("a{}", "\u{301}".repeat(31))), Some(Code::Marks));
    assert_eq!("a\r\nb".parse::<PlainText>().unwrap().as_str(), "a\nb");
    let line = TextPolicy::line(3);
    assert_eq!(line.parse("日本語").unwrap().as_str(), "日本語");
    assert_eq!(line.parse("日本語x").unwrap_err().code(), Code::TooLong);
    assert_eq!(line.parse("a\nb").unwrap_err().code(), Code::Control);
    let policy: TextPolicy = serde_json::from_str(r#"{"bidi_marks": true, "private_use": true}"#).unwrap();
    policy.parse("\u{200f}שלום\u{e000}").unwrap();
    policy.parse("\u{202e}").unwrap_err();
}

#[test]
fn file_names_that_do_harm_are_refused_and_put_right() {
    for (name, expected, put_right) in [
        ("", Code::Empty, "file"),
        (".", Code::Traversal, "file"),
        ("..", Code::Traversal, "file"),
        ("../../etc/passwd", Code::Traversal, "passwd"),
        ("a/b", Code::Character, "b"),
        ("C:\\Windows\\win.ini", Code::Character, "win.ini"),
        ("a:b", Code::Character, "a_b"),
        (".htaccess", Code::Reserved, "htaccess"),
        ("-rf", Code::Option, "rf"),
        ("~root", Code::Reserved, "root"),
        ("NUL", Code::Reserved, "_NUL"),
        ("nul.tar.gz", Code::Reserved, "_nul.tar.gz"),
        ("com1", Code::Reserved, "_com1"),
        ("LPT³.x", Code::Reserved, "_LPT³.x"),
        ("a.", Code::Character, "a"),
        ("a ", Code::Character, "a"),
        ("a.txt . .", Code::Character, "a.txt"),
        (" a", Code::Character, "a"),
        ("a\0.png", Code::Control, "a_.png"),
        ("a\r\nSet-Cookie: x", Code::Control, "a__Set-Cookie_ x"),
        ("cv\u{202e}fdp.exe", Code::Bidi, "cv_fdp.exe"),
        ("a\u{200b}b", Code::Invisible, "a_b"),
        ("a\u{ff0f}b", Code::Confusable, "a_b"),
        ("e\u{301}", Code::Encoding, "é"),
        ("<script>.svg", Code::Character, "_script_.svg"),
        ("\u{301}a", Code::Marks, "a"),
    ] {
        let found = code::<SafeFileName>(name);
        // A traversal is told by what stands first.
        assert_eq!(found, Some(expected), "{name:?}");
        assert_eq!(SafeFileName::sanitize(name).as_str(), put_right, "{name:?}");
    }
    let long = format!("{}.tar.gz", "ä".repeat(300));
    assert_eq!(code::<SafeFileName>(&long), Some(Code::TooLong));
    let short = SafeFileName::sanitize(&long);
    assert!(short.as_str().len() <= 255 && short.as_str().ends_with("ä.gz"), "{short}");
    for kept in [
        "a",
        "a.txt",
        "Ünïcode 日本.pdf",
        "console.log",
        "com10",
        "a--b",
        "CONTENTS",
        "nulls.csv",
        "100%.txt",
        "a'b.txt",
    ] {
        assert_eq!(SafeFileName::sanitize(kept), kept.parse().unwrap());
    }
}

#[test]
fn identifiers_arguments_and_handles() {
    for wrong in ["", "1a", "a b", "a;", "a\"", "a`", "a--", "ä", "a.b", "a\0"] {
        assert!(wrong.parse::<Identifier>().is_err(), "{wrong:?}");
    }
    assert_eq!(code::<Identifier>(&"a".repeat(64)), Some(Code::TooLong));
    let user: Identifier = "User".parse().unwrap();
    assert_eq!(
        [Dialect::Postgres, Dialect::Mysql].map(|dialect| user.written(dialect)),
        ["\"User\"", "`User`"]
    );
    assert_eq!(code::<CommandArg>("-x"), Some(Code::Option));
    assert_eq!(code::<CommandArg>("a\0"), Some(Code::Control));
    for (handle, expected) in [
        ("pаypal", Code::Confusable), // Cyrillic а
        ("аdmin", Code::Confusable),
        ("_a", Code::Character),
        ("a_", Code::Character),
        ("a__b", Code::Character),
        ("a b", Code::Character),
        ("", Code::Empty),
        ("a\u{200d}b", Code::Invisible),
        ("ﬁ", Code::Character),
        ("😀", Code::Character),
    ] {
        assert_eq!(code::<Handle>(handle), Some(expected), "{handle:?}");
    }
    for handle in ["zoe", "Zoë_2", "山田太郎", "東京タワー", "иван", "a.b-c", "李lee"] {
        assert!(handle.parse::<Handle>().is_ok(), "{handle}");
    }
    let [one, other] = ["pay1", "payl"].map(|text| text.parse::<Handle>().unwrap().skeleton());
    assert_eq!(one, other, "they look alike");
}

#[cfg(feature = "url")]
mod email {
    use buttress_validate::Email;

    use super::*;

    proptest! {
        #[test]
        fn an_address_of_mail_adds_no_header(text in prop_oneof![text(), (text(), text()).prop_map(|(a, b)| format!("{a}@{b}.example"))]) {
            if let Some(email) = holds::<Email>(&text) {
                prop_assert!(email.as_str().is_ascii() && email.as_str().len() <= 254);
                prop_assert!(!email.as_str().contains(|c: char| c.is_control() || " <>,;:\"()[]\\".contains(c)));
                prop_assert_eq!(email.as_str().matches('@').count(), 1);
            }
        }
    }

    #[test]
    fn addresses_that_people_have_and_others() {
        for good in [
            "a@b.co",
            "first.last+tag@sub.example.org",
            "o'brien@example.org",
            "x_y-z@example.museum",
            "1@2.example",
        ] {
            assert_eq!(good.parse::<Email>().unwrap().as_str(), good);
        }
        assert_eq!("A@EXAMPLE.Org".parse::<Email>().unwrap().as_str(), "A@example.org");
        for bad in [
            "",
            "a",
            "@",
            "a@",
            "@b.co",
            "a@b",
            "a@@b.co",
            "a b@c.co",
            ".a@b.co",
            "a.@b.co",
            "a..b@c.co",
            "a@b..co",
            "a@-b.co",
            "a@b-.co",
            "a@b.co.",
            "a@.b.co",
            "a@127.0.0.1",
            "a@[127.0.0.1]",
            "a@[::1]",
            "\"a\"@b.co",
            "a@b.co\r\nBcc: x@y.zz",
            "a\n@b.co",
            "a@b.co ",
            " a@b.co",
            "<a@b.co>",
            "a@b.co,c@d.ee",
            "ä@b.co",
            "a@b_c.co",
            "a@0x7f.1",
            "a@b.%63o",
            "a@exa\u{200b}mple.org",
            "a(x)@b.co",
            "a@b.123",
            "a:b@c.co",
        ] {
            assert!(bad.parse::<Email>().is_err(), "{bad:?}");
        }
        assert_eq!(code::<Email>(&format!("{}@example.org", "a".repeat(65))), Some(Code::TooLong));
        assert_eq!(code::<Email>(&format!("a@{}.org", "a.".repeat(130))), Some(Code::TooLong));
    }
}

#[test]
fn letters_that_become_one_are_judged_as_that_one() {
    // K and an acute accent are letters that handles may have; the letter that NFC makes of them is not in use.
    assert_eq!(code::<Handle>("k\u{301}o"), code::<Handle>("\u{1e31}o"));
}
