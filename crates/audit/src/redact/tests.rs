#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::SystemTime;

use buttress_core::Outcome;
use proptest::prelude::*;

use super::*;

#[test]
fn secrets_go_and_the_rest_stays() {
    let redactor = Redactor::default();
    for (text, clean) in [
        ("card 4111-1111-1111-1111.", "card [redacted: card]."),
        ("12 4111 1111 1111 1111 12", "12 [redacted: card] 12"),
        ("378282246310005 and 5555555555554444", "[redacted: card] and [redacted: card]"),
        ("key AKIAIOSFODNN7EXAMPLE used", "key [redacted: key] used"),
        ("postgres://app:hunter2@db/x", "postgres://app:[redacted: key]@db/x"),
        ("Authorization: Bearer abcdefghijkl", "Authorization: [redacted: name]"),
        ("sent bearer abcdefghijkl, twice", "sent bearer [redacted: key], twice"),
        ("password=hunter2; user=ada", "password=[redacted: name]; user=ada"),
        (r#"{"api_key": "a b c", "n": 1}"#, r#"{"api_key": "[redacted: name]", "n": 1}"#),
        ("mail to Ada.Lovelace+x@mail.example.org!", "mail to [redacted: email]!"),
        ("münchen@übung.example schrieb", "[redacted: email] schrieb"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl", "[redacted: key]"),
        ("x -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- y", "x [redacted: key] y"),
    ] {
        assert_eq!(redactor.text(text), clean, "{text}");
    }
    for text in [
        "",
        "a plain line",
        "4111 1111 1111 1112",
        "at 1763772480000 ms",
        "1763772480000123456",
        "the password was changed",
        "user@host",
        "https://example.org/a@b",
        "O'Brien",
        "-----BEGIN PUBLIC KEY-----",
        "skip the queue",
        "sk-8",
        "x@y@z",
        "0000 0000 0000 0000",
    ] {
        assert!(matches!(redactor.text(text), Cow::Borrowed(_)), "{text}: {}", redactor.text(text));
    }
    assert_eq!(redactor.identity("ada@example.org"), "ada@example.org");
}

#[test]
fn names_say_what_goes_at_any_depth() {
    let deep = BTreeMap::from([("apiKey".to_owned(), Value::Int(7)), ("ok".to_owned(), Value::Bool(true))]);
    let mut entry = Entry::new(SystemTime::UNIX_EPOCH, "user.change", Outcome::Success)
        .actor("ada@example.org")
        .detail("password: x")
        .with("user", "ada")
        .with("New-Password", "x")
        .with("deep", vec![Value::Map(deep)])
        .with("card", 4_111_111_111_111_111_i64)
        .with("ada@example.org", 1)
        .with("token_ok", true);
    Redactor::default().entry(&mut entry);
    let deep = BTreeMap::from([
        ("apiKey".to_owned(), "[redacted: name]".into()),
        ("ok".to_owned(), Value::Bool(true)),
    ]);
    let clean = Entry::new(SystemTime::UNIX_EPOCH, "user.change", Outcome::Success)
        .actor("ada@example.org")
        .detail("password: [redacted: name]")
        .with("user", "ada")
        .with("New-Password", "[redacted: name]")
        .with("deep", vec![Value::Map(deep)])
        .with("card", "[redacted: card]")
        .with("[redacted: email]", 1)
        .with("token_ok", true);
    assert_eq!(entry, clean);
}

/// Texts on which a careless scan takes hours. This takes well under a second; a test has no clock.
#[test]
fn long_texts_are_no_trap() {
    let redactor = Redactor::default();
    for part in [
        "a=",
        "eyJ-",
        "eyJa.",
        "sk-",
        "://",
        "://a:",
        "-----BEGIN ",
        "a.",
        "4",
        "4 ",
        "bearer ",
        "token: ",
        "ä",
        "a@",
    ] {
        let text = part.repeat(300_000 / part.len());
        assert!(redactor.text(&text).len() <= text.len() * 2, "{part}");
    }
}

proptest! {
    /// Whatever stands around it, a secret does not come through.
    #[test]
    fn a_secret_does_not_come_through(before in "([a-z0-9 :=\"'-]{0,20} )?", after in "( \\PC{0,20})?") {
        let redactor = Redactor::default();
        for secret in ["4111111111111111", "AKIAIOSFODNN7EXAMPLE", "ada@example.org", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"] {
            let text = format!("{before}{secret}{after}");
            prop_assert!(!redactor.text(&text).contains(secret), "{}", text);
        }
    }

    #[test]
    fn any_text_is_taken_and_what_is_clean_stays_clean(text in "\\PC{0,80}") {
        let redactor = Redactor::default();
        let clean = redactor.text(&text).into_owned();
        prop_assert_eq!(redactor.text(&clean), clean.clone());
    }
}
