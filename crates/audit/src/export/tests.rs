#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::{Duration, SystemTime};

use buttress_core::Outcome;
use proptest::prelude::*;

use super::*;
use crate::Entry;

fn record(entry: Entry) -> Record {
    Record {
        sequence: 7,
        recorded: SystemTime::UNIX_EPOCH + Duration::from_secs(1),
        ticks: Duration::ZERO,
        entry,
    }
}

fn entry(action: &str, outcome: Outcome) -> Entry {
    Entry::new(SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123), action, outcome)
}

fn export(format: Format, entry: Entry) -> String {
    let mut export = Export::new(Vec::new(), format);
    export.write(&record(entry)).unwrap();
    String::from_utf8(export.finish().unwrap()).unwrap()
}

/// A reader of RFC 4180, enough for one row after the names.
fn cells(text: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut signs = text.split_once("\r\n").unwrap().1.strip_suffix("\r\n").unwrap().chars().peekable();
    while let Some(sign) = signs.next() {
        match sign {
            '"' if quoted && signs.peek() == Some(&'"') => cell.extend(signs.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell)),
            other => {
                assert!(quoted || !other.is_whitespace(), "a row has one line");
                cell.push(other);
            }
        }
    }
    cells.push(cell);
    cells
}

#[test]
fn lines_and_rows_say_all_there_is() {
    let entry = entry("a.b", Outcome::Denied).actor("=HYPERLINK(1)").target("x,\"y\"\r\n").with("n", 1);
    assert_eq!(
        export(Format::JsonLines, entry.clone()),
        concat!(
            r#"{"action":"a.b","actor":"=HYPERLINK(1)","at":"2023-11-14T22:13:20.123Z","data":{"n":1},"outcome":"denied","#,
            r#""recorded":"1970-01-01T00:00:01Z","sequence":7,"target":"x,\"y\"\r\n","ticks_ns":0}"#,
            "\n"
        )
    );
    assert_eq!(
        export(Format::Csv, entry),
        concat!(
            "sequence,recorded,at,action,outcome,actor,target,tenant,request_id,detail,data\r\n",
            r#"7,1970-01-01T00:00:01Z,2023-11-14T22:13:20.123Z,"a.b",denied,"'=HYPERLINK(1)","x,""y"""#,
            "\r\n\",,,,\"{\"\"n\"\":1}\"\r\n"
        )
    );
    assert_eq!(Export::new(Vec::new(), Format::Csv).finish().unwrap().len(), 80);
}

proptest! {
    #[test]
    fn a_cell_is_no_formula_and_gives_its_text_back(text in "[=+@'\t\r\n,\"＝a-]{0,6}\\PC{0,6}") {
        let cells = cells(&export(Format::Csv, entry("a.b", Outcome::Success).actor(text.clone())));
        prop_assert_eq!(cells.len(), 11);
        let cell = &cells[5];
        prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝']));
        prop_assert_eq!(cell.strip_prefix('\'').unwrap_or(cell), text);
    }

    /// The fields that the classes of OCSF 1.3.0 require, with their types, whatever the entry.
    #[test]
    fn an_event_has_what_its_class_requires(
        action in "(auth|session|user|role|secret|job|config|)(\\.(login|logout|read|update|create|delete|erase|x))?",
        outcome in prop_oneof![Just(Outcome::Success), Just(Outcome::Failure), Just(Outcome::Denied)],
        actor in proptest::option::of(".{0,9}"), target in proptest::option::of(".{0,9}"), ip in "(127\\.0\\.0\\.1|::1|x)",
    ) {
        let mut entry = entry(&action, outcome).with("ip", ip);
        (entry.actor, entry.target) = (actor, target);
        let event: Json = serde_json::from_str(&export(Format::Ocsf, entry)).unwrap();
        let number = |field: &str| event[field].as_i64().unwrap();
        let text = |field: &Json| field.as_str().unwrap().len();
        let (class, activity) = (number("class_uid"), number("activity_id"));
        prop_assert_eq!(number("category_uid"), class / 1000);
        prop_assert_eq!(number("type_uid"), class * 100 + activity);
        prop_assert!((1..=6).contains(&number("severity_id")) && (1..=2).contains(&number("status_id")));
        prop_assert_eq!(number("time"), 1_700_000_000_123);
        prop_assert_eq!(&event["metadata"]["version"], "1.3.0");
        text(&event["metadata"]["product"]["name"]);
        match class {
            3002 => {
                prop_assert!(matches!(activity, 1 | 2 | 99));
                text(&event["user"]["name"]);
                text(&event["service"]["name"]); // at_least_one of service, dst_endpoint
            }
            3004 => {
                prop_assert!(matches!(activity, 1..=4 | 99));
                text(&event["entity"]["name"]);
            }
            6003 => {
                prop_assert!(matches!(activity, 1..=4 | 99));
                text(&event["actor"]["user"]["name"]);
                text(&event["api"]["operation"]);
                let source = &event["src_endpoint"];
                prop_assert!(source["ip"].is_string() || source["name"].is_string());
            }
            other => prop_assert!(false, "class {}", other),
        }
    }
}

#[test]
fn actions_find_their_class() {
    for (action, class, activity) in [
        ("session.login", 3002, 1),
        ("user.login", 3002, 1),
        ("auth.logout", 3002, 2),
        ("user.delete", 3004, 4),
        ("subject.erase", 3004, 4),
        ("config.reload", 3004, 3),
        ("secret.read", 6003, 2),
        ("job.submit", 6003, 99),
        ("", 6003, 99),
    ] {
        let event = ocsf_event(&record(entry(action, Outcome::Success)));
        assert_eq!(
            (event["class_uid"].as_i64(), event["activity_id"].as_i64()),
            (Some(class), Some(activity)),
            "{action}"
        );
    }
}
