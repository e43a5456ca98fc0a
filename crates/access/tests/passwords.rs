//! Passwords as an application sees them.
#![cfg(feature = "passwords")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing expectation fails the test"
)]

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use buttress_access::passwords::{Login, Passwords, PasswordsConfig, Verified};
use buttress_access::{Error, Refusal};
use buttress_core::{ByteSize, Classify, Ctx, ErrorClass, EventLog, Events, Outcome, TestClock, Validate};

const RIGHT: &str = "correct horse battery staple";

/// The least that is accepted.
fn cheap() -> PasswordsConfig {
    let mut config = PasswordsConfig::default();
    (config.memory, config.passes) = (ByteSize::mib(7), 5);
    config
}

fn passwords(config: &PasswordsConfig) -> (Passwords, TestClock, EventLog) {
    let (clock, log) = (TestClock::new(), EventLog::default());
    let mut ctx = Ctx::default();
    (ctx.clock, ctx.events) = (clock.shared(), Events::to(Arc::new(log.clone())));
    (Passwords::new(config, &ctx).unwrap(), clock, log)
}

fn why(answer: Result<impl Sized, Error>) -> Refusal {
    match answer.err() {
        Some(Error::Refused { why, .. }) => why,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_password_is_stored_as_a_hash_and_found_again() {
    let (passwords, _, log) = passwords(&cheap());
    let stored = passwords.hash(RIGHT).await.unwrap();
    assert!(stored.starts_with("$argon2id$v=19$m=7168,t=5,p=1$"));
    assert_ne!(stored, passwords.hash(RIGHT).await.unwrap(), "every one has its salt");
    assert_eq!(passwords.verify(RIGHT, Some(&stored)).await.unwrap().rehashed, None);
    assert_eq!(why(passwords.verify("correct horse battery stapl", Some(&stored)).await), Refusal::Mismatch);
    assert_eq!(why(passwords.verify("", Some(&stored)).await), Refusal::Mismatch);
    assert_eq!(why(passwords.verify(RIGHT, None).await), Refusal::Unknown);
    assert_eq!(why(passwords.verify(&"x".repeat(1_025), Some(&stored)).await), Refusal::TooLarge);
    let corrupt = passwords.verify(RIGHT, Some("$2b$12$abcdefghijklmnopqrstuv")).await.unwrap_err();
    assert_eq!(corrupt.class(), ErrorClass::Corrupt);
    let shown = format!("{:?} {corrupt} {corrupt:?} {passwords:?}", log.events());
    assert!(!shown.contains("horse") && !shown.contains("$2b$") && !shown.contains("argon2id$"));
}

#[tokio::test]
async fn texts_that_look_the_same_are_the_same() {
    let (passwords, ..) = passwords(&cheap());
    // One letter with its mark, or two signs; a ligature, or two letters; wide digits.
    let stored = passwords.hash("caf\u{e9} o\u{fb03}ce \u{ff11}\u{ff12}").await.unwrap();
    passwords.verify("cafe\u{301} office 12", Some(&stored)).await.unwrap();
}

#[tokio::test]
async fn a_weak_hash_grows_with_the_login() {
    let stored = passwords(&cheap()).0.hash(RIGHT).await.unwrap();
    let mut more = cheap();
    more.passes = 6;
    let (passwords, ..) = passwords(&more);
    let Verified { rehashed: Some(stronger), .. } = passwords.verify(RIGHT, Some(&stored)).await.unwrap()
    else {
        panic!("the stored one costs less")
    };
    assert!(stronger.starts_with("$argon2id$v=19$m=7168,t=6,p=1$"));
    assert_eq!(passwords.verify(RIGHT, Some(&stronger)).await.unwrap().rehashed, None);
    assert_eq!(why(passwords.verify("wrong horse", Some(&stored)).await), Refusal::Mismatch);
}

#[tokio::test]
async fn failures_slow_down_attempts_also_on_accounts_that_are_not_there() {
    for is_there in [true, false] {
        let (passwords, clock, log) = passwords(&cheap());
        let stored = passwords.hash(RIGHT).await.unwrap();
        let stored = is_there.then_some(stored.as_str());
        let login = Login::of("user-1");
        for _ in 0..5 {
            why(passwords.login(login, "wrong horse", stored).await);
        }
        let held = passwords.login(login, RIGHT, stored).await.unwrap_err();
        assert_eq!((held.class(), held.retry_after()), (ErrorClass::Throttled, Some(Duration::from_secs(1))));
        let event = log.events().pop().unwrap();
        assert_eq!((event.outcome, event.actor.as_deref()), (Outcome::Denied, Some("user-1")));
        let other = passwords.login(Login::of("user-2"), RIGHT, stored).await;
        assert_eq!(other.is_ok(), is_there, "others are not held");
        clock.advance(Duration::from_secs(1));
        assert_eq!(passwords.login(login, RIGHT, stored).await.is_ok(), is_there);
    }
}

#[tokio::test]
async fn one_address_is_held_for_all_accounts() {
    let mut config = cheap();
    config.throttle.free_for_address = 3;
    let (passwords, ..) = passwords(&config);
    let address: IpAddr = "192.0.2.7".parse().unwrap();
    for user in ["a", "b", "c"] {
        why(passwords.login(Login::of(user).from(address), "wrong horse", None).await);
    }
    let held = passwords.login(Login::of("d").from(address), "wrong horse", None).await;
    assert!(matches!(held, Err(Error::Throttled { .. })));
    let mapped: IpAddr = "::ffff:192.0.2.7".parse().unwrap();
    let held = passwords.login(Login::of("d").from(mapped), "wrong horse", None).await;
    assert!(matches!(held, Err(Error::Throttled { .. })), "the same address in IPv6");
}

#[tokio::test]
async fn no_more_wait_than_may() {
    let mut config = cheap();
    (config.at_once, config.waiting) = (1, 2);
    let (passwords, ..) = passwords(&config);
    let all: Vec<_> = (0..20)
        .map(|_| {
            let passwords = passwords.clone();
            tokio::spawn(async move { passwords.hash(RIGHT).await })
        })
        .collect();
    let (mut done, mut busy) = (0, 0);
    for one in all {
        match one.await.unwrap() {
            Ok(_) => done += 1,
            Err(Error::Busy(_)) => busy += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(done >= 3 && busy >= 1 && done + busy == 20, "{done} {busy}");
    passwords.hash(RIGHT).await.unwrap(); // all turns were given back
}

#[test]
fn new_passwords_are_long_and_not_common() {
    let mut config = cheap();
    config.common = vec!["Buttress-2026".to_owned()];
    let (passwords, ..) = passwords(&config);
    assert_eq!(why(passwords.check("1234567")), Refusal::TooShort);
    assert_eq!(why(passwords.check(&"\u{e9}\u{301}".repeat(3))), Refusal::TooShort, "characters, not bytes");
    for common in ["password", "PassWord123", "buttress-2026", "aaaaaaaaaaaa", "12345678"] {
        assert_eq!(why(passwords.check(common)), Refusal::Common, "{common}");
    }
    for fine in [
        RIGHT,
        "        x",
        "\u{1f40e}\u{1f50b}\u{1f4ce}\u{1f40e}\u{1f50b}\u{1f4ce}\u{1f40e}\u{1f50b}",
        &"ab".repeat(512),
    ] {
        passwords.check(fine).unwrap();
    }
    assert_eq!(why(passwords.check(&"ab".repeat(513))), Refusal::TooLarge);
}

#[test]
fn costs_below_those_of_owasp_are_refused() {
    let valid = |text: &str| toml::from_str::<PasswordsConfig>(text).unwrap().validate().is_ok();
    assert!(valid("") && valid("memory = \"46MiB\"\npasses = 1") && valid("memory = \"7MiB\"\npasses = 5"));
    for weak in [
        "passes = 1",
        "memory = \"18MiB\"",
        "memory = \"6MiB\"\npasses = 10",
        "memory = \"1GiB\"",
        "at_once = 0",
    ] {
        assert!(!valid(weak), "{weak}");
    }
    for odd in ["free = 0", "first = \"0s\"", "longest = \"2h\"", "most = 1"] {
        assert!(!valid(&format!("[throttle]\n{odd}")), "{odd}");
    }
}
