//! The JSON limiter beside `serde_json`, and the limits beside a count of what was parsed.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a failing expectation fails the test"
)]

use buttress_core::{ByteSize, Validate};
use buttress_validate::json::{JsonLimiter, JsonLimits, Problem, check_json, from_json};
use buttress_validate::{Code, SafeFileName};
use proptest::prelude::*;
use serde_json::Value;

fn wide() -> JsonLimits {
    let mut limits = JsonLimits::default();
    (limits.depth, limits.unique_keys) = (127, false);
    limits
}

/// A JSON text, with blanks and escapes that a serialiser would not write.
fn text() -> impl Strategy<Value = String> {
    let string = prop_oneof![
        "[a-c]{0,3}",
        "(\\\\[\"\\\\/bfnrt]|\\\\u00[0-7][0-9a-f]|\\\\ud83d\\\\ude00|[a-z äß€😀~/]){0,12}",
    ]
    .prop_map(|inner| format!("\"{inner}\""));
    let number = "-?(0|[1-9][0-9]{0,8})(\\.[0-9]{1,4})?([eE][+-]?[0-9]{1,2})?";
    let leaf = prop_oneof![
        string.clone(),
        number,
        Just("true".to_owned()),
        Just("null".to_owned()),
        Just("false".to_owned())
    ];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        let list = |open: &'static str, close: &'static str| {
            move |(items, blank): (Vec<String>, &str)| {
                format!("{open}{blank}{}{blank}{close}", items.join(&format!("{blank},")))
            }
        };
        let blank = prop_oneof![3 => Just(""), 1 => Just(" "), 1 => Just("\n\t\r ")];
        let member = (string.clone(), blank.clone(), inner.clone())
            .prop_map(|(name, blank, value)| format!("{name}{blank}:{blank}{value}"));
        prop_oneof![
            (prop::collection::vec(inner, 0..6), blank.clone()).prop_map(list("[", "]")),
            (prop::collection::vec(member, 0..6), blank).prop_map(list("{", "}")),
        ]
    })
}

fn check_in_pieces(text: &[u8], cuts: &[prop::sample::Index], limits: &JsonLimits) -> Result<(), Problem> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
    cuts.sort_unstable();
    let mut limiter = JsonLimiter::new(limits.clone());
    let mut start = 0;
    for end in cuts.into_iter().chain([text.len()]) {
        limiter.push(&text[start..end])?;
        start = end;
    }
    limiter.finish()
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn nodes(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(nodes).sum(),
        Value::Object(map) => map.values().map(nodes).sum(),
        _ => 0_usize,
    }
}

fn longest_array(value: &Value) -> usize {
    match value {
        Value::Array(list) => list.iter().map(longest_array).max().unwrap_or(0).max(list.len()),
        Value::Object(map) => map.values().map(longest_array).max().unwrap_or(0),
        _ => 0,
    }
}

/// Whether any object has a name twice: an object with `n` names was written with `n` members, unless there were more.
fn members(value: &Value) -> usize {
    match value {
        Value::Array(list) => list.iter().map(members).sum(),
        Value::Object(map) => map.len() + map.values().map(members).sum::<usize>(),
        _ => 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn json_is_what_serde_json_takes(
        text in text(),
        damage in prop::option::of((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), prop::sample::select(b"{}[],:\"\\ e.-0u\x80\xff".to_vec())], 0..2_usize)),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut text = text.into_bytes();
        if let Some((at, byte, insert)) = damage {
            let at = at.index(text.len());
            text.splice(at..=at - insert.min(at), [byte]).for_each(drop);
        }
        let ours = check_json(&text, &wide());
        prop_assert_eq!(&ours, &check_in_pieces(&text, &cuts, &wide()), "cut as {:?}", cuts);
        match serde_json::from_slice::<Value>(&text) {
            Ok(_) => prop_assert!(ours.is_ok(), "{:?}: {:?}", String::from_utf8_lossy(&text), ours),
            Err(error) if error.to_string().starts_with("number out of range") => {} // Read on, it may be no JSON either.
            Err(error) => prop_assert!(ours.is_err(), "{:?}: {}", String::from_utf8_lossy(&text), error),
        }
    }

    #[test]
    fn any_bytes_are_taken_or_refused_alike(bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"{}[],:\"\\ e.-01tu".to_vec())], 0..40)) {
        let ours = check_json(&bytes, &wide());
        match serde_json::from_slice::<Value>(&bytes) {
            Err(error) if error.to_string().starts_with("number out of range") => {}
            theirs => prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", bytes, theirs),
        }
    }

    #[test]
    fn limits_hold_exactly(text in text()) {
        let Ok(value) = serde_json::from_str::<Value>(&text) else { return Ok(()) };
        // Members that are there twice are values too, which the parsed value does not have.
        let twice = check_json(text.as_bytes(), &JsonLimits::default()).is_err();
        prop_assume!(!twice);
        let fits = |change: &dyn Fn(&mut JsonLimits)| {
            let mut limits = JsonLimits::default();
            change(&mut limits);
            check_json(text.as_bytes(), &limits)
        };
        let exact = |change: &dyn Fn(&mut JsonLimits, usize), is: usize, code: Code| {
            let taken = fits(&|limits| change(limits, is));
            let refused = is.checked_sub(1).map(|less| fits(&|limits| change(limits, less)));
            taken.is_ok() && refused.is_none_or(|refused| refused.unwrap_err().code == code)
        };
        prop_assert!(exact(&|limits, n| limits.depth = n, depth(&value), Code::TooDeep));
        prop_assert!(exact(&|limits, n| limits.nodes = n, nodes(&value), Code::TooMany));
        prop_assert!(exact(&|limits, n| limits.elements = n, longest_array(&value), Code::TooMany));
        prop_assert!(exact(&|limits, n| limits.bytes = ByteSize::b(n as u64), text.len(), Code::TooLong));
    }

    #[test]
    fn a_name_that_is_there_twice_is_found(names in prop::collection::vec("[a-d]{1,2}|\\\\u006[1-4]", 1..60), inner: bool) {
        let mut plain: Vec<_> = names.iter().map(|name| name.strip_prefix("\\u006").map_or(name.clone(), |n| ["a", "b", "c", "d"][n.parse::<usize>().unwrap() - 1].to_owned())).collect();
        plain.sort_unstable();
        let twice = plain.windows(2).any(|pair| pair[0] == pair[1]);
        let list: Vec<_> = names.iter().map(|name| format!("\"{name}\": {}", if inner { "{\"a\": 1, \"b\": [{\"a\": 2}]}" } else { "0" })).collect();
        let text = format!("[{{}}, {{{}}}]", list.join(","));
        let result = check_json(text.as_bytes(), &JsonLimits::default());
        prop_assert_eq!(result.is_err(), twice, "{:?}", result);
        prop_assert!(result.is_ok_and(|()| true) || twice);
    }

    #[test]
    fn the_pointer_leads_to_what_is_wrong(text in text()) {
        // A word that is no value, at the place of each value in turn, is found where it is.
        let Ok(value) = serde_json::from_str::<Value>(&text) else { return Ok(()) };
        prop_assume!(check_json(text.as_bytes(), &JsonLimits::default()).is_ok());
        let mut pointers = Vec::new();
        list(&value, String::new(), &mut pointers);
        for pointer in pointers {
            let mut broken = value.clone();
            *broken.pointer_mut(&pointer).unwrap() = Value::String("@@".into());
            let broken = broken.to_string().replace("\"@@\"", "@@");
            prop_assert_eq!(check_json(broken.as_bytes(), &JsonLimits::default()).unwrap_err().pointer, pointer);
        }
    }
}

fn list(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                list(item, format!("{at}/{i}"), found);
            }
        }
        Value::Object(map) => {
            for (name, item) in map {
                list(item, format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        _ => {}
    }
    // The place of a value before it is begun is its parent's last; so only what is in an array or object, and alone there.
    if !at.is_empty() && members(value) == 0 {
        found.push(at);
    }
}

#[test]
fn each_limit_says_where_it_was_passed() {
    let mut limits = JsonLimits::default();
    (limits.depth, limits.members, limits.elements) = (3, 2, 3);
    (limits.string_bytes, limits.key_bytes, limits.number_bytes) =
        (ByteSize::b(6), ByteSize::b(3), ByteSize::b(5));
    for (text, code, pointer, at) in [
        (r#"{"a": [[[1]]]}"#, Code::TooDeep, "/a/0/0", 8),
        (r#"{"a": 1, "b": 2, "c": 3}"#, Code::TooMany, "", 18),
        (r#"{"a": [1, 2, 3, 4]}"#, Code::TooMany, "/a/3", 16),
        (r#"{"a": "abcdefg"}"#, Code::TooLong, "/a", 13),
        (r#"{"a": "b\u0061"}"#, Code::TooLong, "/a", 12),
        (r#"{"abcd": 1}"#, Code::TooLong, "/abc", 5),
        (r"[1, 123456]", Code::TooLong, "/1", 9),
        (r#"{"a": 1, "a": 2}"#, Code::Duplicate, "/a", 11),
        (r#"{"a/~": [tru]}"#, Code::Syntax, "/a~1~0/0", 12),
        (r#"["\ud800"]"#, Code::Encoding, "/0", 8),
        ("[\"\u{1}\"]", Code::Control, "/0", 2),
        ("", Code::Empty, "", 0),
        ("[1", Code::Syntax, "/0", 2),
    ] {
        let problem = check_json(text.as_bytes(), &limits).unwrap_err();
        assert_eq!((problem.code, &*problem.pointer), (code, pointer), "{text}");
        assert!(problem.at.unwrap().abs_diff(at) <= 1, "{text}: {problem}");
    }
}

#[test]
fn what_was_wrong_once_stays_wrong() {
    let mut limiter = JsonLimiter::new(JsonLimits::default());
    let first = limiter.push(b"[1,]").unwrap_err();
    assert_eq!(limiter.push(b"[]").unwrap_err(), first);
    assert_eq!(limiter.finish().unwrap_err(), first);
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only read")]
struct Order {
    file: SafeFileName,
    lines: Vec<Line>,
}

#[derive(Debug, serde::Deserialize)]
#[allow(dead_code, reason = "only read")]
struct Line {
    count: u32,
    #[serde(default)]
    note: String,
}

#[test]
fn what_a_type_refuses_is_said_with_its_place() {
    let order = |text: &str| from_json::<Order>(text.as_bytes(), &JsonLimits::default());
    order(r#"{"file": "a.txt", "lines": [{"count": 1, "note": "x"}]}"#).unwrap();
    for (text, code, pointer, words) in [
        (r#"{"file": "../a", "lines": []}"#, Code::Rule, "/file", "leads out of its folder"),
        (r#"{"lines": [], "file": "../a"}"#, Code::Rule, "/file", "leads out of its folder"),
        (
            r#"{"file": "a", "lines": [{"count": 1}, {"count": "hunter2"}]}"#,
            Code::Type,
            "/lines/1/count",
            "write u32",
        ),
        (
            r#"{"file": "a", "lines": [{"count": 1}, {"count": -1}]}"#,
            Code::Type,
            "/lines/1/count",
            "write u32",
        ),
        (
            r#"{"file": "a", "lines": [{"count": 1}, {}]}"#,
            Code::Missing,
            "/lines/1",
            "lacks the member `count`",
        ),
        (r#"{"lines": []}"#, Code::Missing, "", "lacks the member `file`"),
        (r#"{"file": "a", "linse": []}"#, Code::Unknown, "/linse", "write `file` or `lines`"),
        (r#"{"file": 7, "lines": []}"#, Code::Type, "/file", "write"),
        ("7", Code::Type, "", "write"),
        ("{\"file\":\n \"a\",\n \"lines\": 5}", Code::Type, "/lines", "write a sequence"),
    ] {
        let problems = order(text).unwrap_err();
        let problem = &problems.as_slice()[0];
        assert_eq!((problem.code, &*problem.pointer), (code, pointer), "{text}: {problem}");
        assert!(problem.to_string().contains(words), "{text}: {problem}");
        assert!(!problem.to_string().contains("hunter2"), "{problem}");
    }
}

#[test]
fn limits_are_checked_themselves() {
    JsonLimits::default().validate().unwrap();
    let mut limits = JsonLimits::default();
    limits.depth = 128;
    assert!(limits.validate().unwrap_err().to_string().contains("between 1 and 127"));
    let read: JsonLimits = serde_json::from_str(r#"{"bytes": "2MiB", "depth": 8}"#).unwrap();
    assert_eq!((read.bytes, read.depth, read.members), (ByteSize::mib(2), 8, 1000));
}
