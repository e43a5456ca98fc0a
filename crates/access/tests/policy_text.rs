//! Policies are read as they are written, checked, and replaced while they are used.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod office;

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use buttress_access::policy::{LivePolicy, Permission, PolicyConfig, Request, Resource, decide};
use buttress_access::{Names, Principal, PrincipalKind};
use buttress_core::{Ctx, EventLog, Events, Outcome, Validate};
use office::OFFICE;

#[test]
fn a_policy_that_is_wrong_says_what_would_do() {
    let chain: String =
        (0..17).map(|n| format!("[roles.r{n}]\ninherits = [\"r{}\"]\n", n + 1)).collect::<Vec<_>>().concat();
    let deep = format!("{chain}[roles.r17]\n");
    let nested = format!("{}\"owner\"{}", "{ not = ".repeat(8), " }".repeat(8));
    let deep_when = format!("[roles.a]\nallow = [{{ permission = \"a\", when = {nested} }}]");
    let when = |when: &str| {
        format!(
            "[attributes]\n\"resource.n\" = \"number\"\n\"resource.s\" = \"texts\"\n[roles.a]\nallow = [{{ permission = \"a\", when = {when} }}]"
        )
    };
    let table = [
        (
            "[roles.a]\ninherits = [\"b\"]\n[roles.b]\ninherits = [\"c\"]\n[roles.c]\ninherits = [\"b\"]"
                .into(),
            "b > c > b",
        ),
        ("[roles.a]\ninherits = [\"a\"]".into(), "a > a"),
        (deep, "at most 16 long"),
        ("[roles.a]\ninherits = [\"b\"]".into(), "roles.a.inherits = \"b\": must be one of `roles`"),
        ("[roles.\"a b\"]".into(), "letters, digits"),
        ("[roles.a]\nallow = [\"a::b\"]".into(), "segment 2"),
        ("[roles.a]\nallow = [\"\"]".into(), "segment 1"),
        ("[roles.a]\nallow = [\"**:read\"]".into(), "may only be the last"),
        ("[roles.a]\nallow = [\"a*\"]".into(), "segment 1"),
        ("[roles.a]\nallow = [\"a:b:c:d:e:f:g:h:i\"]".into(), "1 to 8 segments"),
        (
            "[roles.a]\nallow = [{ permission = \"a\", name = \"x\" }, { permission = \"b\", name = \"x\" }]"
                .into(),
            "two rules",
        ),
        ("[roles.a]\nallow = [{ permission = \"a\", name = \"\" }]".into(), "1 to 160 bytes"),
        (deep_when, "8 deep"),
        (when("{ equals = { attribute = \"resource.x\", value = 1 } }"), "must be declared"),
        (
            when("{ equals = { attribute = \"resource.n\", value = \"1\" } }"),
            "is a number, and a text is wanted",
        ),
        (when("{ equals = { attribute = \"resource.s\", value = [\"1\"] } }"), "sets are not compared"),
        (
            when("{ one_of = { attribute = \"resource.n\", values = [1, true] } }"),
            "is a number, and a flag is wanted",
        ),
        (when("{ one_of = { attribute = \"resource.n\", values = [] } }"), "a value at least"),
        (when("{ same = [\"resource.n\", \"principal.id\"] }"), "is a text, and a number is wanted"),
        (when("{ same = [\"resource.s\", \"resource.s\"] }"), "sets are not compared"),
        (
            when("{ includes = { attribute = \"resource.n\", text = \"a\" } }"),
            "is a number, and a texts is wanted",
        ),
        (
            when("{ member_of = { attribute = \"resource.n\", set = \"resource.s\" } }"),
            "is a number, and a text is wanted",
        ),
        (
            when("{ compare = { left = \"resource.s\", is = \"below\", right = 1 } }"),
            "is a texts, and a number is wanted",
        ),
        (
            when("{ compare = { left = \"resource.n\", is = \"below\", right = \"resource.s\" } }"),
            "a number is wanted",
        ),
        (when("{ all = [] }"), "must have a part at least"),
        (when("{ network = [] }"), "a network at least"),
        (when("{ dates = {} }"), "`from` or `until`"),
        (
            when("{ dates = { from = \"2027-01-01T00:00:00Z\", until = \"2026-01-01T00:00:00Z\" } }"),
            "`from` must be earlier",
        ),
        (when("{ hours = { from = \"08:00\", until = \"08:00\" } }"), "must differ"),
        (
            when("{ hours = { from = \"08:00\", until = \"09:00\", utc_offset_minutes = 900 } }"),
            "at most 840",
        ),
    ];
    for (text, expected) in &table {
        let config: PolicyConfig = toml::from_str(text).unwrap();
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(expected), "{text}\n{error}");
    }
    for text in [
        "[roles.a]\nallows = []",
        "[roles.a]\nallow = [{ permission = \"a\", wen = \"owner\" }]",
        "[roles.a]\nallow = [{ permission = \"a\", when = \"ower\" }]",
        "[roles.a]\nallow = [1]",
        "[attributes]\n\"state\" = \"text\"",
        "[attributes]\n\"resource.state\" = \"string\"",
        "[roles.a]\nallow = [{ permission = \"a\", when = { hours = { from = \"8:00\", until = \"24:01\" } } }]",
        "[roles.a]\nallow = [{ permission = \"a\", when = { network = [\"10.0.0.0/33\"] } }]",
        "[roles.a]\nallow = [{ permission = \"a\", when = { dates = { from = \"tomorrow\" } } }]",
    ] {
        assert!(toml::from_str::<PolicyConfig>(text).is_err(), "{text}");
    }
    let many = (0..1025).map(|n| format!("[roles.r{n}]\n")).collect::<Vec<_>>().concat();
    let error = toml::from_str::<PolicyConfig>(&many).unwrap().validate().unwrap_err();
    assert!(error.to_string().contains("at most 1024"), "{error}");
}

#[test]
fn a_policy_reads_back_as_it_is_written() {
    let config: PolicyConfig = toml::from_str(OFFICE).unwrap();
    assert_eq!(toml::from_str::<PolicyConfig>(&toml::to_string(&config).unwrap()).unwrap(), config);
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<PolicyConfig>(&json).unwrap(), config);
}

#[test]
fn a_wrong_policy_does_not_take_the_place_of_a_good_one() {
    let log = EventLog::default();
    let ctx = Ctx { events: Events::to(Arc::new(log.clone())), ..Ctx::default() };
    let good: PolicyConfig = toml::from_str(OFFICE).unwrap();
    let wrong: PolicyConfig = toml::from_str("[roles.a]\ninherits = [\"a\"]").unwrap();
    let live = LivePolicy::new(&good, &ctx).unwrap();
    let before = live.load();
    assert!(live.replace(&wrong).unwrap_err().to_string().contains("a > a"));
    assert_eq!(live.load().rules(), before.rules());
    live.replace(&PolicyConfig::default()).unwrap();
    assert_eq!((live.load().rules(), live.clone().load().rules()), (0, 0));
    let read = Permission::new("document:read").unwrap();
    let viewer = Principal::new(PrincipalKind::Session, "ann".try_into().unwrap());
    let viewer = viewer.roles(Names::new(["viewer"]).unwrap());
    let request = Request::new(Some(&viewer), &read, Resource::shared(), UNIX_EPOCH);
    assert!(decide(&before, &request).allowed(), "who holds it keeps it");
    let told: Vec<_> = log.events().into_iter().map(|event| (event.action, event.outcome)).collect();
    assert_eq!(told, [("policy.replace", Outcome::Failure), ("policy.replace", Outcome::Success)]);
    assert!(LivePolicy::new(&wrong, &ctx).is_err());
}
