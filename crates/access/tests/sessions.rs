//! Sessions live as long as they may, and no longer; their cookie and tokens are good for nobody else.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::sync::Arc;
use std::time::Duration;

use buttress_access::origin::{Origin, OriginPattern};
use buttress_access::session::cookie::{CookieError, LONGEST, find};
use buttress_access::session::csrf::{Arrival, Csrf, CsrfConfig, CsrfKey, CsrfRefusal};
use buttress_access::session::{
    MemorySessions, SessionConfig, SessionStore, Sessions, SqliteSessions, contract,
};
use buttress_access::{Error, Names, Principal, PrincipalKind, Refusal, TenantId};
use buttress_connect::sqlite::Sqlite;
use buttress_connect::{Address, ConnectionConfig};
use buttress_core::{Ctx, EventLog, Events, TestClock, Validate};
use proptest::prelude::*;

async fn file(folder: &tempfile::TempDir) -> SqliteSessions {
    let address = Address::sqlite(&folder.path().join("access.db"));
    SqliteSessions::open(Sqlite::open(&address, &ConnectionConfig::default()).await.unwrap()).await.unwrap()
}

fn ann() -> Principal {
    let roles = Names::new(["editor"]).unwrap();
    Principal::new(PrincipalKind::Session, "ann".try_into().unwrap())
        .tenant(TenantId::new("acme").unwrap())
        .roles(roles)
        .scopes(Names::new(["a", "b"]).unwrap())
}

fn refusal(error: &Error) -> Refusal {
    let Error::Refused { why, .. } = error else { panic!("{error}") };
    *why
}

struct Set {
    sessions: Sessions,
    clock: TestClock,
    log: EventLog,
}

fn set_of(store: impl SessionStore) -> Set {
    let (clock, log) = (TestClock::new(), EventLog::default());
    let ctx = Ctx { clock: clock.shared(), events: Events::to(Arc::new(log.clone())), ..Ctx::default() };
    Set { sessions: Sessions::new(&SessionConfig::default(), store, &ctx).unwrap(), clock, log }
}

#[tokio::test]
async fn every_store_keeps_the_contract() {
    contract::sessions_hold(&MemorySessions::new(100)).await;
    let folder = tempfile::tempdir().unwrap();
    contract::sessions_hold(&file(&folder).await).await;
}

#[tokio::test]
async fn memory_lets_go_of_what_was_not_used_for_the_longest_time() {
    let Set { sessions, clock, .. } = set_of(MemorySessions::new(2));
    let other = |id: &str| Principal::new(PrincipalKind::Session, id.try_into().unwrap());
    let first = sessions.start(&other("a")).await.unwrap();
    clock.advance(Duration::from_secs(1));
    let second = sessions.start(&other("b")).await.unwrap();
    clock.advance(Duration::from_mins(2));
    sessions.find(first.id.expose()).await.unwrap();
    let third = sessions.start(&other("c")).await.unwrap();
    assert!(sessions.find(first.id.expose()).await.is_ok() && sessions.find(third.id.expose()).await.is_ok());
    assert_eq!(refusal(&sessions.find(second.id.expose()).await.unwrap_err()), Refusal::Unknown);
}

async fn a_session_lives_and_ends(set: Set) {
    let Set { sessions, clock, log } = set;
    let started = sessions.start(&ann()).await.unwrap();
    let found = sessions.find(started.id.expose()).await.unwrap();
    assert_eq!((&found.principal, found.hash), (&ann(), started.id.hash()));
    // Used again and again it lives up to its lifetime.
    for _ in 0..24 {
        clock.advance(Duration::from_mins(29));
        sessions.find(started.id.expose()).await.unwrap();
    }
    clock.advance(Duration::from_mins(24));
    assert_eq!(refusal(&sessions.find(started.id.expose()).await.unwrap_err()), Refusal::Expired);
    assert_eq!(refusal(&sessions.find(started.id.expose()).await.unwrap_err()), Refusal::Unknown);

    // Not used, it ends.
    let idle = sessions.start(&ann()).await.unwrap();
    clock.advance(Duration::from_mins(30));
    assert_eq!(refusal(&sessions.find(idle.id.expose()).await.unwrap_err()), Refusal::Expired);

    // A new id for new rights; the old one is worth nothing, and the session does not get older by it.
    let first = sessions.start(&ann()).await.unwrap();
    clock.advance(Duration::from_mins(5));
    let admin = ann().roles(Names::new(["admin"]).unwrap());
    let renewed = sessions.renew(first.id.expose(), &admin).await.unwrap();
    assert_eq!(refusal(&sessions.find(first.id.expose()).await.unwrap_err()), Refusal::Unknown);
    assert!(sessions.renew(first.id.expose(), &admin).await.is_err(), "once");
    let found = sessions.find(renewed.id.expose()).await.unwrap();
    assert_eq!((found.principal, found.created), (admin.clone(), first.session.created));
    let bob = Principal::new(PrincipalKind::Session, "bob".try_into().unwrap());
    let taken = sessions.renew(renewed.id.expose(), &bob).await.unwrap();
    assert!(taken.session.created > first.session.created, "another user's is another session");

    // All but one, all, and one that is over.
    let keep = sessions.start(&ann()).await.unwrap();
    let other = sessions.start(&ann()).await.unwrap();
    assert_eq!(sessions.end_all(&ann(), Some(&keep.session)).await.unwrap(), 1);
    assert!(sessions.find(other.id.expose()).await.is_err() && sessions.find(keep.id.expose()).await.is_ok());
    assert!(sessions.end(&keep.session).await.unwrap() && !sessions.end(&keep.session).await.unwrap());
    assert!(sessions.find(taken.id.expose()).await.is_ok(), "bob's");
    clock.advance(Duration::from_mins(31));
    assert_eq!(sessions.sweep().await.unwrap(), 1);

    // Clocks that are set back end nothing.
    let before = sessions.start(&ann()).await.unwrap();
    clock.set_wall(std::time::UNIX_EPOCH + Duration::from_hours(1));
    assert!(sessions.find(before.id.expose()).await.is_ok());

    // No secret goes out but by `expose`.
    let shown = format!("{before:?} {sessions:?} {:?} {:?}", before.id, log.events());
    for secret in
        [&started, &idle, &first, &renewed, &keep, &before].map(|started| started.id.expose().to_owned())
    {
        assert!(!shown.contains(&secret), "{shown}");
    }
    assert!(log.events().iter().any(|event| event.action == "session.renew"));
}

#[tokio::test]
async fn a_session_lives_and_ends_in_memory() {
    a_session_lives_and_ends(set_of(MemorySessions::new(1000))).await;
}

#[tokio::test]
async fn a_session_lives_and_ends_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    a_session_lives_and_ends(set_of(file(&folder).await)).await;
    // What is on the disk is no id, and survives.
    let Set { sessions, clock, .. } = set_of(file(&folder).await);
    let started = sessions.start(&ann()).await.unwrap();
    let ctx = Ctx { clock: clock.shared(), ..Ctx::default() };
    let again = Sessions::new(&SessionConfig::default(), file(&folder).await, &ctx).unwrap();
    assert_eq!(again.find(started.id.expose()).await.unwrap().principal, ann());
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let id = started.id.expose().as_bytes();
        assert!(!bytes.windows(id.len()).any(|window| window == id));
    }
}

#[tokio::test]
async fn what_is_no_id_is_not_looked_up() {
    let Set { sessions, .. } = set_of(MemorySessions::new(10));
    let good = "A".repeat(43);
    assert_eq!(refusal(&sessions.find(&good).await.unwrap_err()), Refusal::Unknown);
    let wrong =
        ["", "x", &"A".repeat(42), &"A".repeat(44), &format!("{}=", &good[1..]), &format!("{}é", &good[2..])];
    for text in wrong {
        assert_eq!(refusal(&sessions.find(text).await.unwrap_err()), Refusal::Malformed, "{text}");
    }
}

#[tokio::test]
async fn the_cookie_is_as_strict_as_it_says() {
    let Set { sessions, .. } = set_of(MemorySessions::new(10));
    let started = sessions.start(&ann()).await.unwrap();
    let id = started.id.expose();
    assert_eq!(
        sessions.cookie(&started.id),
        format!("__Host-session={id}; Path=/; Secure; HttpOnly; SameSite=Lax")
    );
    assert_eq!(sessions.no_cookie(), "__Host-session=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax");

    for (text, expected) in [
        ("[cookie]\nsecure = false", "must be true for a name with a prefix"),
        ("[cookie]\ndomain = \"example.org\"", "must not be there for a name with `__Host-`"),
        ("[cookie]\nname = \"__HOST-x\"\ndomain = \"example.org\"", "must not be there"),
        ("[cookie]\nname = \"s\"\nsecure = false\nsame_site = \"none\"", "must be true with `same_site"),
        ("[cookie]\nname = \"a;b\"", "1 to 64 letters"),
        ("[cookie]\nname = \"s\"\ndomain = \"example.org; x=y\"", "must be a domain"),
        ("idle = \"0s\"", "30m is usual"),
        ("idle = \"2h\"\nlifetime = \"1h\"", "as long as `idle`"),
        ("touch_every = \"30m\"", "shorter than `idle`"),
        ("most_per_user = 0", "10 is usual"),
    ] {
        let error = toml::from_str::<SessionConfig>(text).unwrap().validate().unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn cookies_are_found_strictly() {
    let name = "__Host-s";
    for (headers, expected) in [
        (vec!["__Host-s=abc"], Ok(Some("abc"))),
        (vec!["a=b; __Host-s=abc; c=d"], Ok(Some("abc"))),
        (vec!["a=b;__Host-s=abc"], Ok(Some("abc"))),
        (vec!["a=b", "__Host-s=abc"], Ok(Some("abc"))),
        (vec!["__Host-s="], Ok(Some(""))),
        (vec!["__Host-s=a=b"], Ok(Some("a=b"))),
        (vec!["a=b; {\"json\":1, \"x\"}=; broken; __Host-s=abc"], Ok(Some("abc"))),
        (vec![], Ok(None)),
        (vec![""], Ok(None)),
        (vec!["__host-s=abc"], Ok(None)),
        (vec!["x__Host-s=abc"], Ok(None)),
        (vec!["__Host-s"], Ok(None)),
        (vec!["a=__Host-s=abc"], Ok(None)),
        (vec!["a=\"; __Host-s=abc\""], Err(CookieError::Malformed)),
        (vec!["__Host-s=\"abc\""], Err(CookieError::Malformed)),
        (vec!["__Host-s=a b"], Err(CookieError::Malformed)),
        (vec!["__Host-s=a\\b"], Err(CookieError::Malformed)),
        (vec!["__Host-s=é"], Err(CookieError::Malformed)),
        (vec!["__Host-s=a; __Host-s=b"], Err(CookieError::Twice)),
        (vec!["__Host-s=a", "__Host-s=a"], Err(CookieError::Twice)),
    ] {
        assert_eq!(find(headers.clone(), name), expected, "{headers:?}");
    }
    let long = format!("a={}", "b".repeat(LONGEST));
    assert_eq!(find([long.as_str()], name), Err(CookieError::TooLarge));
    assert_eq!(find(["a=1;".repeat(300).as_str()], name), Err(CookieError::TooLarge));
}

fn csrf(config: &str) -> Csrf {
    Csrf::new(&toml::from_str(config).unwrap(), CsrfKey::new(&[7; 32]).unwrap()).unwrap()
}

#[test]
fn requests_from_elsewhere_are_refused() {
    let csrf = csrf("token = \"off\"\ntrusted_origins = [\"https://*.partner.test\", \"https://pay.test\"]");
    let arrival = |method, fetch_site, origin, host| Arrival { method, fetch_site, origin, host };
    let (same, cross) = (Some("same-origin"), Some("cross-site"));
    let host = Some("shop.test");
    let (other_site, other_origin) = (Err(CsrfRefusal::OtherSite), Err(CsrfRefusal::OtherOrigin));
    for (arrival, expected) in [
        (arrival("GET", cross, Some("https://evil.test"), host), Ok(())),
        (arrival("HEAD", cross, Some("null"), host), Ok(())),
        (arrival("OPTIONS", None, None, None), Ok(())),
        (arrival("get", cross, None, host), other_site),
        (arrival("TRACE", cross, None, host), other_site),
        (arrival("POST", same, Some("https://shop.test"), host), Ok(())),
        (arrival("POST", same, None, host), Ok(())),
        (arrival("POST", Some("none"), None, host), Ok(())),
        (arrival("POST", cross, None, host), other_site),
        (arrival("POST", Some("same-site"), Some("https://blog.shop.test"), host), other_site),
        (arrival("POST", Some("Same-Origin"), None, host), other_site),
        (arrival("POST", Some(""), None, host), other_site),
        (arrival("DELETE", cross, Some("https://evil.test"), host), other_site),
        (arrival("POST", cross, Some("https://shop.test"), host), other_site),
        (arrival("POST", same, Some("null"), host), other_origin),
        (arrival("POST", None, Some("null"), host), other_origin),
        (arrival("POST", None, Some("https://shop.test"), host), Ok(())),
        (arrival("POST", None, Some("http://shop.test"), host), Ok(())),
        (arrival("POST", None, Some("https://shop.test"), Some("Shop.Test:443")), Ok(())),
        (arrival("POST", None, Some("https://shop.test"), Some("shop.test:80")), other_origin),
        (arrival("POST", None, Some("https://shop.test:8443"), Some("shop.test:8443")), Ok(())),
        (arrival("POST", None, Some("https://shop.test:8443"), host), other_origin),
        (arrival("POST", None, Some("https://shop.test.evil.test"), host), other_origin),
        (arrival("POST", None, Some("https://evil.test"), host), other_origin),
        (arrival("POST", None, Some("https://shop.test"), None), other_origin),
        (arrival("POST", None, Some(""), host), other_origin),
        (arrival("POST", None, Some("https://shop.test/"), host), other_origin),
        (arrival("POST", cross, Some("https://a.partner.test"), host), Ok(())),
        (arrival("POST", cross, Some("https://a.b.partner.test"), host), Ok(())),
        (arrival("POST", cross, Some("https://partner.test"), host), other_site),
        (arrival("POST", cross, Some("https://evilpartner.test"), host), other_site),
        (arrival("POST", cross, Some("http://a.partner.test"), host), other_site),
        (arrival("POST", cross, Some("https://pay.test"), host), Ok(())),
        (arrival("POST", cross, Some("https://pay.test:8443"), host), other_site),
        (arrival("POST", None, None, host), Err(CsrfRefusal::NoOrigin)),
    ] {
        assert_eq!(csrf.check(&arrival, b"session", None), expected, "{arrival:?}");
    }
}

#[test]
fn tokens_are_of_one_session_and_one_key() {
    let own = csrf("");
    let token = own.token(b"session").unwrap();
    let arrival = Arrival { fetch_site: Some("same-origin"), ..Arrival::new("POST") };
    assert_eq!(own.check(&arrival, b"session", Some(&token)), Ok(()));
    assert_eq!(
        own.check(&Arrival::new("POST"), b"session", Some(&token)),
        Ok(()),
        "no browser, but the token"
    );
    assert_eq!(own.check(&arrival, b"session", None), Err(CsrfRefusal::NoToken));
    assert_eq!(own.check(&arrival, b"other", Some(&token)), Err(CsrfRefusal::WrongToken));
    assert_ne!(own.token(b"session").unwrap(), token, "another each time");
    let other = Csrf::new(&CsrfConfig::default(), CsrfKey::generate().unwrap()).unwrap();
    assert_eq!(other.check_token(b"session", &token), Err(CsrfRefusal::WrongToken));
    for place in 0..token.len() {
        let mut wrong = token.clone().into_bytes();
        wrong[place] = if wrong[place] == b'A' { b'B' } else { b'A' };
        assert_eq!(
            own.check_token(b"session", std::str::from_utf8(&wrong).unwrap()),
            Err(CsrfRefusal::WrongToken)
        );
    }
    for wrong in ["", "é", &token[1..], &format!("{token}A"), &token.replace(['-', '_'], "+")[..10]] {
        assert_eq!(own.check_token(b"session", wrong), Err(CsrfRefusal::WrongToken));
    }
    assert!(CsrfKey::new(&[7; 31]).is_err());
    assert!(csrf("token = \"handler\"").check(&arrival, b"session", None).is_ok());
}

#[test]
fn origins_are_read_strictly() {
    for text in
        ["https://a.test", "http://localhost:8080", "https://[::1]:8443", "https://1.2.3.4", "app-ext://abc"]
    {
        assert_eq!(text.parse::<Origin>().unwrap().as_str(), text);
    }
    for text in [
        "",
        "null",
        "*",
        "a.test",
        "https://",
        "https:///",
        "https://a.test/",
        "https://a.test?",
        "https://a.test#",
        "HTTPS://a.test",
        "https://A.test",
        "https://a..test",
        "https://.a.test",
        "https://a.test.",
        "https://a.test:443",
        "http://a.test:80",
        "https://a.test:",
        "https://a.test:0",
        "https://a.test:08",
        "https://a.test:65536",
        "https://u@a.test",
        "https://a.test b",
        "https://a.test\0",
        "https://é.test",
        "https://[::1",
        "https://[0:0::1]",
        "https://*.a.test",
        "https://a.test, https://b.test",
        "1https://a.test",
    ] {
        assert!(text.parse::<Origin>().is_err(), "{text}");
    }
    for text in [
        "*",
        "https://*",
        "https://*.test",
        "https://*.*.test.a",
        "https://a.*.test",
        "https://*.1.2.3.4",
        "https://*a.test",
        "null",
    ] {
        assert!(text.parse::<OriginPattern>().is_err(), "{text}");
    }
    for text in ["https://a.test", "https://*.a.test", "https://*.a.test:8443"] {
        assert_eq!(text.parse::<OriginPattern>().unwrap().to_string(), text);
    }
}

proptest! {
    #[test]
    fn what_is_read_as_an_origin_is_shown_as_it_was(text in "[a-z]{1,5}://[a-z0-9.:*\\[\\]-]{0,20}|\\PC{0,30}") {
        if let Ok(origin) = text.parse::<Origin>() {
            prop_assert_eq!(origin.as_str(), &text);
            prop_assert_eq!(format!("{}://{}", origin.scheme(), origin.authority()), text.clone());
            prop_assert!(text.parse::<OriginPattern>().unwrap().matches(&origin));
        }
        if let Ok(pattern) = text.parse::<OriginPattern>() {
            prop_assert_eq!(pattern.to_string().parse::<OriginPattern>(), Ok(pattern));
        }
    }

    #[test]
    fn one_cookie_among_others_is_found(before in "([a-z]{1,3}=[!-:<-~]{0,5}; ){0,4}", value in "[A-Za-z0-9_-]{0,50}", after in "(; [a-z]{1,3}=[ -:<-~]{0,5}){0,4}") {
        let header = format!("{before}SID={value}{after}");
        prop_assert_eq!(find([header.as_str()], "SID"), Ok(Some(value.as_str())));
    }
}
