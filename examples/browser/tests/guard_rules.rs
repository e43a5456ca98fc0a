//! What the guard decides without a network: URLs and rules.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use browser::guard::{Error, Guard, GuardConfig, Host, Reason};
use buttress_core::{Classify, ErrorClass, Validate};
use serde_json::{Value, json};

fn config(json: Value) -> GuardConfig {
    serde_json::from_value(json).unwrap()
}

fn guard(json: Value) -> Guard {
    Guard::new(config(json)).unwrap()
}

fn reason_of(guard: &Guard, url: &str) -> Option<Reason> {
    guard.check_url(url).err().map(|error| error.reason().unwrap_or_else(|| panic!("{url}: {error}")))
}

#[test]
fn a_url_may_not_name_a_private_host_in_any_spelling() {
    let guard = guard(json!({}));
    for (url, reason) in [
        ("http://127.0.0.1/", Reason::Loopback),
        ("http://127.1/", Reason::Loopback),
        ("http://2130706433/", Reason::Loopback),
        ("http://0x7f.1/", Reason::Loopback),
        ("http://0177.0.0.1/", Reason::Loopback),
        ("http://%31%32%37.0.0.1/", Reason::Loopback),
        ("http://①②⑦.0.0.1/", Reason::Loopback),
        ("http://127。0。0。1/", Reason::Loopback),
        ("http://127.0.0.1./", Reason::Loopback),
        ("http:\\\\127.0.0.1\\", Reason::Loopback),
        ("  ht\ntp://127.0.0.1/", Reason::Loopback),
        ("http://[::1]/", Reason::Loopback),
        ("http://[::ffff:127.0.0.1]/", Reason::Loopback),
        ("http://[64:ff9b::7f00:1]/", Reason::Loopback),
        ("http://0/", Reason::ThisHost),
        ("http://169.254.169.254/latest/meta-data", Reason::Metadata),
        ("http://[fd00:ec2::254]/", Reason::Metadata),
        ("http://localhost/", Reason::LocalName),
        ("http://LOCALHOST./", Reason::LocalName),
        ("http://a.localhost/", Reason::LocalName),
        ("http://metadata.google.internal/", Reason::LocalName),
        ("https://printer.local/", Reason::LocalName),
        ("https://router/", Reason::LocalName),
        ("https://a..example/", Reason::LocalName),
        ("https://user@example.org/", Reason::Credentials),
        ("https://:secret@example.org/", Reason::Credentials),
        ("https://example.org:22/", Reason::Port),
        ("https://example.org:5432/", Reason::Port),
        ("http://9.9.9.9:6379/", Reason::Port),
        ("file:///etc/passwd", Reason::Scheme),
        ("chrome://settings", Reason::Scheme),
        ("data:text/html,x", Reason::Scheme),
        ("javascript:alert(1)", Reason::Scheme),
        ("ftp://example.org/", Reason::Scheme),
        ("view-source:https://example.org/", Reason::Scheme),
        ("blob:https://example.org/1", Reason::Scheme),
        ("about:config", Reason::Scheme),
    ] {
        assert_eq!(reason_of(&guard, url), Some(reason), "{url}");
    }
}

#[test]
fn public_urls_pass_and_come_back_as_they_were_judged() {
    let guard = guard(json!({}));
    for (text, read) in [
        ("https://example.org", "https://example.org/"),
        ("http://Bücher.example:8080/a?b#c", "http://xn--bcher-kva.example:8080/a?b#c"),
        ("https://9.9.9.9/", "https://9.9.9.9/"),
        ("https://localhost.example.org/", "https://localhost.example.org/"),
        ("about:blank", "about:blank"),
    ] {
        assert_eq!(guard.check_url(text).unwrap().as_str(), read);
    }
}

#[test]
fn errors_say_what_would_do() {
    let guard = guard(json!({}));
    let refused = guard.check_url("file:///etc/passwd").unwrap_err();
    assert_eq!(refused.class(), ErrorClass::Forbidden);
    assert_eq!(
        refused.to_string(),
        "file: is refused: only http:, https: and about:blank can be opened; serve the page by http or https"
    );
    let none = guard.check_url("example.org/page").unwrap_err();
    assert_eq!(none.class(), ErrorClass::Invalid);
    assert!(matches!(none, Error::NotAUrl { .. }));
    let long = guard.check_url(&format!("https://example.org/{}", "a".repeat(40_000))).unwrap_err();
    assert_eq!(long.class(), ErrorClass::TooLarge);
}

#[test]
fn exceptions_open_what_they_name_and_no_more() {
    let guard = guard(json!({
        "allow": ["127.0.0.1:8000", "10.1.0.0/16", "intranet.example:5432", "*.lab.internal", "[::1]:6379"],
        "deny": ["bad.example", "10.1.7.0/24", "9.9.9.0/24"],
    }));
    for url in [
        "http://127.0.0.1:8000/",
        "http://[::ffff:127.0.0.1]:8000/",
        "http://10.1.2.3/",
        "http://intranet.example:5432/",
        "http://a.b.lab.internal/",
        "http://[::1]:6379/",
        "http://notbad.example/",
    ] {
        assert_eq!(reason_of(&guard, url), None, "{url}");
    }
    for (url, reason) in [
        ("http://127.0.0.1:8001/", Reason::Loopback),
        ("http://127.0.0.2:8000/", Reason::Loopback),
        ("http://localhost:8000/", Reason::LocalName),
        ("http://10.2.0.1/", Reason::Private),
        ("http://10.1.7.1/", Reason::Denied),
        ("http://10.1.2.3:22/", Reason::Port),
        ("http://other.example:5432/", Reason::Port),
        ("http://lab.internal/", Reason::LocalName),
        ("http://bad.example/", Reason::Denied),
        ("http://very.BAD.example./", Reason::Denied),
        ("http://9.9.9.9/", Reason::Denied),
        ("http://[64:ff9b::909:909]/", Reason::Denied),
    ] {
        assert_eq!(reason_of(&guard, url), Some(reason), "{url}");
    }
}

#[test]
fn an_allowed_name_may_be_private_but_not_where_a_cloud_keeps_its_credentials() {
    let guard = guard(json!({ "allow": ["a.lab.internal"] }));
    let check = |name: &str, address: &str| {
        guard.check_address(&Host::parse(name).unwrap(), address.parse().unwrap(), 80)
    };
    assert_eq!(check("a.lab.internal", "192.168.1.1"), Ok(()));
    assert_eq!(check("a.lab.internal", "169.254.169.254"), Err(Reason::Metadata));
    assert_eq!(check("a.lab.internal", "fe80::1"), Err(Reason::LinkLocal));
    assert_eq!(check("other.example", "192.168.1.1"), Err(Reason::Private));
}

#[test]
fn only_listed_ports_pass_when_there_is_a_list() {
    let guard = guard(json!({ "ports": [443, 5432], "allow": ["a.example:81"] }));
    assert_eq!(reason_of(&guard, "https://a.example/"), None);
    assert_eq!(reason_of(&guard, "http://a.example:5432/"), None);
    assert_eq!(reason_of(&guard, "http://a.example:81/"), None);
    assert_eq!(reason_of(&guard, "http://a.example/"), Some(Reason::Port));
}

#[test]
fn a_guard_that_is_off_judges_only_the_scheme() {
    let guard = guard(json!({ "enabled": false }));
    assert_eq!(reason_of(&guard, "http://127.0.0.1:22/"), None);
    assert_eq!(reason_of(&guard, "file:///etc/passwd"), Some(Reason::Scheme));
}

#[test]
fn a_configuration_is_read_back_and_checked() {
    let json = json!({ "allow": ["*.a.example:80", "10.0.0.0/8"], "idle": "5s", "bytes": "1MiB" });
    let read = config(json.clone());
    let written = serde_json::to_value(&read).unwrap();
    assert_eq!(written["allow"], json["allow"]);
    assert_eq!(config(written), read);
    let wrong = json!({ "connections": 0, "ports": [0], "idle": "0s", "bytes": "1B", "head_within": "2h" });
    let wrong = config(wrong);
    let fields: Vec<_> = wrong.validate().unwrap_err().as_slice().iter().map(|v| v.field.clone()).collect();
    assert_eq!(fields, ["ports", "connections", "head_within", "idle", "bytes"]);
    assert!(matches!(Guard::new(wrong), Err(Error::Config(_))));
}
