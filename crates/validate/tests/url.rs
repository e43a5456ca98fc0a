//! URLs that must not lead into private networks: by spelling, name, rebinding or redirect.
#![cfg(feature = "url")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a failing expectation fails the test"
)]

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use buttress_core::{BoxFuture, Classify, ErrorClass, TestClock};
use buttress_validate::url::{Host, Reach, Resolve, UrlConfig, classify};
use buttress_validate::{Code, Error, SafeUrl, UrlPolicy};
use proptest::prelude::*;

fn code(url: &str) -> Option<Code> {
    url.parse::<SafeUrl>().err().map(|error| error.code())
}

#[test]
fn a_private_address_is_seen_in_every_spelling() {
    for host in [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "0x7F.0x0.0x0.0x1",
        "127.0.0.1.",
        "0",
        "0.0.0.0",
        "00.0",
        "[::]",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b::a00:1]",
        "[2002:7f00:1::]",
        "[2002:a00:1::1]",
        "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
        "[64:ff9b:1::1]",
        "[fe80::1]",
        "[fd00::1]",
        "[fd00:ec2::254]",
        "[ff02::1]",
        "10.0.0.1",
        "012.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "3232235521",
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "169.254.43518",
        "[::ffff:169.254.169.254]",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "１２７.0.0.1",
    ] {
        for scheme in ["http", "HTTPS"] {
            assert_eq!(code(&format!("{scheme}://{host}/")), Some(Code::Address), "{host}");
            assert_eq!(code(&format!("{scheme}://{host}:8080?x#y")), Some(Code::Address), "{host}");
        }
    }
    for host in [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
        "db",
        "router",
        "printer.local",
        "x.internal",
        "metadata.google.internal",
        "ⓛocalhost",
    ] {
        assert_eq!(code(&format!("http://{host}/")), Some(Code::Host), "{host}");
    }
}

#[test]
fn what_readers_take_differently_is_refused() {
    for (url, expected) in [
        ("", Code::Empty),
        ("example.org", Code::Syntax),
        ("//example.org/", Code::Syntax),
        ("https:example.org", Code::Syntax),
        ("https:/example.org", Code::Syntax),
        ("https:///example.org", Code::Syntax),
        ("http://exa\tmple.org/", Code::Control),
        ("http://example.org/\r\nHost: x", Code::Control),
        ("http:\\\\example.org/", Code::Character),
        ("http://example.org\\@10.0.0.1/", Code::Character),
        ("http://example.org /", Code::Character),
        (" http://example.org/", Code::Character),
        ("http://a@example.org/", Code::Credentials),
        ("http://@example.org/", Code::Credentials),
        ("http://example.org:80@10.0.0.1/", Code::Credentials),
        ("http://%65xample.org/", Code::Syntax),
        ("http://[fe80::1%25eth0]/", Code::Syntax),
        ("http://example.org:99999/", Code::Syntax),
        ("http://example.org:6379/", Code::Port),
        ("http://example.org:0/", Code::Port),
        ("file:///etc/passwd", Code::Syntax),
        ("gopher://example.org/", Code::Scheme),
        ("javascript:alert(1)", Code::Scheme),
        ("data:text/html,x", Code::Scheme),
        ("http://exa\u{200b}mple.org/", Code::Invisible),
        ("http://\u{202e}example.org/", Code::Bidi),
    ] {
        assert_eq!(code(url), Some(expected), "{url:?}");
    }
    let long = format!("https://example.org/{}", "a".repeat(9000));
    assert_eq!(code(&long), Some(Code::TooLong));
    for url in [
        "https://example.org/",
        "http://example.org:8080/a?b=c#d",
        "https://xn--bcher-kva.example/",
        "http://9.9.9.9/",
        "https://[2620:fe::fe]/",
    ] {
        assert_eq!(url.parse::<SafeUrl>().unwrap().as_str(), url);
    }
    assert_eq!(
        "https://Bücher.Example".parse::<SafeUrl>().unwrap().as_str(),
        "https://xn--bcher-kva.example/"
    );
}

/// Answers with the first list, then with the second, and so on.
struct Rebinding {
    answers: Vec<Vec<&'static str>>,
    asked: AtomicUsize,
}

impl Resolve for Rebinding {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let answer =
            self.answers[asked % self.answers.len()].iter().map(|text| text.parse().unwrap()).collect();
        Box::pin(async move { Ok(answer) })
    }
}

fn policy(config: UrlConfig, answers: &[&[&'static str]]) -> UrlPolicy {
    let answers = answers.iter().map(|list| list.to_vec()).collect();
    let resolver = Rebinding { answers, asked: AtomicUsize::new(0) };
    UrlPolicy::with(config, Arc::new(resolver), TestClock::new().shared()).unwrap()
}

#[tokio::test]
async fn every_address_of_a_name_is_judged_each_time() {
    let answers: [&[&str]; 5] = [
        &["9.9.9.9", "2620:fe::fe"],
        &["127.0.0.1"],
        &["9.9.9.9", "169.254.169.254"],
        &["::ffff:10.0.0.1"],
        &[],
    ];
    let url = policy(UrlConfig::default(), &answers).parse("https://example.org:8443/").unwrap();
    let pinned = url.resolve().await.unwrap();
    assert_eq!(pinned.host(), "example.org");
    let told: Vec<_> = pinned.addresses().iter().map(ToString::to_string).collect();
    assert_eq!(told, ["9.9.9.9:8443", "[2620:fe::fe]:8443"]);
    for _ in 0..3 {
        let error = url.resolve().await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Forbidden);
        assert!(matches!(error, Error::Invalid(invalid) if invalid.code() == Code::Address));
    }
    assert_eq!(url.resolve().await.unwrap_err().class(), ErrorClass::Unavailable);
    // An address is not asked for.
    let literal = policy(UrlConfig::default(), &[&["10.0.0.1"]]).parse("http://9.9.9.9/").unwrap();
    assert_eq!(literal.resolve().await.unwrap().addresses()[0].to_string(), "9.9.9.9:80");
}

#[tokio::test]
async fn a_resolver_that_does_not_answer_is_not_waited_for() {
    struct Never;
    impl Resolve for Never {
        fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
            Box::pin(std::future::pending())
        }
    }
    let clock = TestClock::new();
    let policy = UrlPolicy::with(UrlConfig::default(), Arc::new(Never), clock.shared()).unwrap();
    let url = policy.parse("https://example.org/").unwrap();
    let asked = tokio::spawn(async move { url.resolve().await });
    tokio::task::yield_now().await;
    clock.advance(Duration::from_secs(5));
    assert_eq!(asked.await.unwrap().unwrap_err().class(), ErrorClass::Timeout);
}

#[test]
fn redirects_are_judged_and_counted() {
    let url: SafeUrl = "https://example.org/a/b".parse().unwrap();
    assert_eq!(url.redirect("../c").unwrap().as_str(), "https://example.org/c");
    assert_eq!(url.redirect("//other.example/").unwrap().as_str(), "https://other.example/");
    for (location, code) in [
        ("http://127.0.0.1/", Code::Redirect),
        ("https://127.0.0.1/", Code::Address),
        ("//[::1]/", Code::Address),
        ("https://localhost/", Code::Host),
        ("https://a:b@example.org/", Code::Credentials),
        ("http://example.org/", Code::Redirect),
        ("\\\\10.0.0.1\\", Code::Character),
        ("/a\r\nb", Code::Control),
        ("file:///etc/passwd", Code::Redirect),
        (":6379/", Code::Syntax),
    ] {
        let result = url.redirect(location);
        if location == ":6379/" {
            continue; // a path, as browsers have it
        }
        assert_eq!(result.unwrap_err().code(), code, "{location}");
    }
    let mut next = url;
    for _ in 0..5 {
        next = next.redirect("/again").unwrap();
    }
    assert_eq!(next.redirect("/again").unwrap_err().code(), Code::Redirect);
}

#[test]
fn a_configuration_opens_and_closes_what_it_names() {
    let config = |text: &str| UrlPolicy::new(serde_json::from_str(text).unwrap());
    let only =
        config(r#"{"only": ["*.example.org", "api.example.com:8443"], "schemes": ["https"]}"#).unwrap();
    for (url, taken) in [
        ("https://a.example.org/", true),
        ("https://example.org/", false),
        ("https://a.example.org.evil.example/", false),
        ("https://api.example.com:8443/", true),
        ("https://api.example.com/", false),
        ("http://a.example.org/", false),
    ] {
        assert_eq!(only.parse(url).is_ok(), taken, "{url}");
    }
    let own =
        config(r#"{"allow": ["10.1.0.0/16", "db.internal:5432"], "deny": ["10.1.2.3", "example.org"]}"#)
            .unwrap();
    for (url, taken) in [
        ("http://10.1.0.1/", true),
        ("http://10.2.0.1/", false),
        ("http://10.1.2.3/", false),
        ("http://db.internal:5432/", true),
        ("http://db.internal/", false),
        ("http://www.example.org/", false),
    ] {
        assert_eq!(own.parse(url).is_ok(), taken, "{url}");
    }
    for wrong in [
        r#"{"schemes": ["ftp"]}"#,
        r#"{"schemes": []}"#,
        r#"{"max_bytes": "1MiB"}"#,
        r#"{"resolve_within": "0s"}"#,
    ] {
        assert_eq!(config(wrong).unwrap_err().class(), ErrorClass::Invalid, "{wrong}");
    }
}

proptest! {
    #[test]
    fn what_is_taken_is_public_and_reads_back(
        url in "(https?|HTTP)://([a-z0-9.]{1,12}|[0-9.]{1,12}|0x[0-9a-f]{1,8}|[0-9]{1,10}|\\[[0-9a-f:.]{2,20}\\]|\\PC{1,8})(:[0-9]{1,5})?(/|\\?|#|\\PC){0,4}"
    ) {
        let Ok(safe) = url.parse::<SafeUrl>() else { return Ok(()) };
        prop_assert_eq!(safe.to_string().parse::<SafeUrl>(), Ok(safe.clone()));
        prop_assert_eq!(serde_json::from_str::<SafeUrl>(&serde_json::to_string(&safe).unwrap()).unwrap(), safe.clone());
        match safe.host() {
            Host::Address(address) => prop_assert_eq!(classify(address), Reach::Public),
            Host::Name(name) => {
                prop_assert!(name.is_ascii() && name.contains('.') && !name.contains(['@', '/', '\\', '%']));
                // No last label is a number: readers of addresses would take it for one.
                let last = name.trim_end_matches('.').rsplit('.').next().unwrap();
                prop_assert!(!last.bytes().all(|byte| byte.is_ascii_digit()));
            }
        }
    }

    #[test]
    fn an_address_is_judged_alike_however_it_is_written(number: u32) {
        let [a, b, c, d] = number.to_be_bytes();
        let public = classify(std::net::Ipv4Addr::from(number).into()) == Reach::Public;
        for host in [
            format!("{a}.{b}.{c}.{d}"), number.to_string(), format!("{number:#x}"), format!("0{number:o}"), format!("{a}.{}", number & 0xff_ffff),
            format!("{a:#x}.0{b:o}.{}", number & 0xffff), format!("[::ffff:{a}.{b}.{c}.{d}]"), format!("[64:ff9b::{a}.{b}.{c}.{d}]"),
        ] {
            prop_assert_eq!(code(&format!("http://{host}/")).is_none(), public, "{}", host);
        }
    }
}
