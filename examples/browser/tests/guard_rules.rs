//! What the guard decides without a network: addresses, URLs and rules.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use browser::guard::{Error, Guard, GuardConfig, Host, Reach, Reason, classify};
use buttress_core::{Classify, ErrorClass, Validate};
use proptest::prelude::*;
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

/// First and last address of every range that is refused, why, and whether the addresses before and after are public.
const EDGES: &[(&str, &str, Reason, bool, bool)] = &[
    ("0.0.0.0", "0.255.255.255", Reason::ThisHost, false, true),
    ("10.0.0.0", "10.255.255.255", Reason::Private, true, true),
    ("100.64.0.0", "100.127.255.255", Reason::Shared, true, true),
    ("100.100.100.200", "100.100.100.200", Reason::Metadata, false, false),
    ("127.0.0.0", "127.255.255.255", Reason::Loopback, true, true),
    ("168.63.129.16", "168.63.129.16", Reason::Metadata, true, true),
    ("169.254.0.0", "169.254.255.255", Reason::LinkLocal, true, true),
    ("169.254.169.254", "169.254.169.254", Reason::Metadata, false, false),
    ("169.254.170.2", "169.254.170.2", Reason::Metadata, false, false),
    ("172.16.0.0", "172.31.255.255", Reason::Private, true, true),
    ("192.0.0.0", "192.0.0.255", Reason::Special, true, true),
    ("192.0.0.192", "192.0.0.192", Reason::Metadata, false, false),
    ("192.0.2.0", "192.0.2.255", Reason::Special, true, true),
    ("192.88.99.0", "192.88.99.255", Reason::Special, true, true),
    ("192.168.0.0", "192.168.255.255", Reason::Private, true, true),
    ("198.18.0.0", "198.19.255.255", Reason::Special, true, true),
    ("198.51.100.0", "198.51.100.255", Reason::Special, true, true),
    ("203.0.113.0", "203.0.113.255", Reason::Special, true, true),
    ("224.0.0.0", "239.255.255.255", Reason::Multicast, true, false),
    ("240.0.0.0", "255.255.255.254", Reason::Reserved, false, false),
    ("255.255.255.255", "255.255.255.255", Reason::Multicast, false, false),
    ("::", "::", Reason::ThisHost, false, false),
    ("::1", "::1", Reason::Loopback, false, false),
    ("::2", "::ffff:ffff", Reason::Reserved, false, false),
    ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", Reason::Private, false, false),
    ("100::", "100:0:0:1:ffff:ffff:ffff:ffff", Reason::Special, false, false),
    ("1fff::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reason::Reserved, false, true),
    // Teredo, benchmarks, ORCHID and its second version are in here.
    ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", Reason::Special, true, true),
    ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Reason::Special, true, true),
    ("3ffe::", "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reason::Reserved, true, false),
    ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", Reason::Special, false, true),
    ("4000::", "5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reason::Reserved, true, false),
    ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reason::Special, false, false),
    ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reason::Private, false, false),
    ("fd00:ec2::254", "fd00:ec2::254", Reason::Metadata, false, false),
    ("fd20:ce::254", "fd20:ce::254", Reason::Metadata, false, false),
    ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reason::LinkLocal, false, false),
    ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reason::Private, false, false),
    ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reason::Multicast, false, false),
];

/// The address one step away, in its own family.
fn step(address: IpAddr, by: i8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => Ipv4Addr::from(u32::from(v4).wrapping_add_signed(by.into())).into(),
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6).wrapping_add_signed(by.into())).into(),
    }
}

#[test]
fn every_range_is_refused_from_its_first_to_its_last_address() {
    for (first, last, reason, before, after) in EDGES {
        let (first, last): (IpAddr, IpAddr) = (first.parse().unwrap(), last.parse().unwrap());
        assert_eq!(classify(first), Reach::Refused(*reason), "{first}");
        assert_eq!(classify(last), Reach::Refused(*reason), "{last}");
        assert_eq!(classify(step(first, -1)) == Reach::Public, *before, "before {first}");
        assert_eq!(classify(step(last, 1)) == Reach::Public, *after, "after {last}");
    }
}

#[test]
fn servers_that_everybody_knows_are_public() {
    for text in ["1.1.1.1", "9.9.9.9", "192.175.48.6", "2606:4700:4700::1111", "2620:fe::fe", "2a00:1450::1"]
    {
        assert_eq!(classify(text.parse().unwrap()), Reach::Public, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn an_address_that_carries_another_is_judged_by_it(high: u16, low: u16) {
        let inner = classify(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)).into());
        let outer = [
            Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x2002, high, low, 7, 0, 0, 0, 1),
        ];
        for outer in outer {
            prop_assert_eq!(classify(outer.into()), inner);
        }
    }

    #[test]
    fn what_lies_between_the_edges_of_a_range_is_refused(at in 0..EDGES.len(), part: u128) {
        let (first, last, ..) = EDGES[at];
        let inside: IpAddr = match (first.parse().unwrap(), last.parse().unwrap()) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                let (first, last) = (u32::from(first), u32::from(last));
                let offset = part % (u128::from(last - first) + 1);
                Ipv4Addr::from(first + u32::try_from(offset).unwrap()).into()
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => {
                let (first, last) = (u128::from(first), u128::from(last));
                Ipv6Addr::from(first + part % (last - first + 1)).into()
            }
            _ => unreachable!(),
        };
        prop_assert_ne!(classify(inside), Reach::Public);
    }
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
