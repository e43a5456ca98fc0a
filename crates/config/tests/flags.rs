//! Who gets a feature.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests

use buttress_config::{FlagConfig, FlagContext, FlagsConfig, Why};
use buttress_core::Validate;
use proptest::prelude::*;

fn flags(name: &str, flag: FlagConfig) -> FlagsConfig {
    let mut flags = FlagsConfig::default();
    flags.insert(name, flag);
    flags
}

fn share(name: &str, percent: f64, keys: impl Iterator<Item = String>) -> f64 {
    let flags = flags(name, FlagConfig::on().percent(percent));
    let answers: Vec<bool> = keys.map(|key| flags.is_on(name, &FlagContext::new(&key))).collect();
    answers.iter().filter(|on| **on).count() as f64 / answers.len() as f64
}

proptest! {
    #[test]
    fn raising_the_percentage_switches_no_key_off(
        name in "[a-z-]{1,12}", key in ".{0,24}", low in 0.0..=100.0_f64, more in 0.0..=100.0_f64,
    ) {
        let high = (low + more).min(100.0);
        let who = FlagContext::new(&key);
        let on_at = |percent| flags(&name, FlagConfig::on().percent(percent)).is_on(&name, &who);
        prop_assert!(!on_at(low) || on_at(high));
        prop_assert!(on_at(100.0));
        prop_assert!(!on_at(0.0));
    }

    /// Keys as they come: numbered, so that a weak hash would show.
    #[test]
    fn the_share_is_the_percentage(name in "[a-z-]{1,12}", percent in 0.0..=100.0_f64, start in 0_u32..1_000_000) {
        let found = share(&name, percent, (start..start + 20_000).map(|n| format!("user-{n}"))) * 100.0;
        // Four standard deviations of 20,000 draws are 1.42; six are far beyond chance over all cases.
        prop_assert!((found - percent).abs() < 2.2, "{} instead of {}", found, percent);
    }

    /// Of the keys that have one flag at 50 %, half have another: knowing one answer tells nothing about the other.
    #[test]
    fn flags_are_independent(first in "[a-z-]{1,12}", second in "[a-z-]{1,12}") {
        prop_assume!(first != second);
        let one = flags(&first, FlagConfig::on().percent(50.0));
        let chosen = (0..20_000).map(|n| format!("user-{n}")).filter(|key| one.is_on(&first, &FlagContext::new(key)));
        let found = share(&second, 50.0, chosen) * 100.0;
        prop_assert!((found - 50.0).abs() < 3.1, "{}", found);
    }
}

#[test]
fn decimals_count() {
    let found = share("rare", 0.1, (0..100_000).map(|n| n.to_string()));
    assert!((0.0006..0.0014).contains(&found), "{found}");
}

#[test]
fn the_rules_are_asked_in_their_order() {
    let flag =
        FlagConfig::on().percent(0.0).allow(["friend", "both"]).deny(["foe", "both"]).only("plan", ["pro"]);
    let flags_on = flags("x", flag.clone());
    let pro = [("region", "eu"), ("plan", "pro")];
    let decide = |key, attributes| {
        let decision = flags_on.decide("x", &FlagContext::new(key).attributes(attributes));
        (decision.on, decision.why)
    };
    assert_eq!(decide("friend", &[]), (true, Why::Allowed));
    assert_eq!(decide("both", &pro), (false, Why::Denied));
    assert_eq!(decide("foe", &pro), (false, Why::Denied));
    assert_eq!(decide("other", &[("plan", "free")]), (false, Why::NotTargeted));
    assert_eq!(decide("other", &pro), (false, Why::Percentage));
    assert_eq!(flags_on.decide("y", &FlagContext::new("friend")).why, Why::Unknown);

    let mut off = flag;
    off.enabled = false;
    assert_eq!(flags("x", off).decide("x", &FlagContext::new("friend")).why, Why::Disabled);
}

#[test]
fn percentages_outside_of_0_to_100_are_refused() {
    for percent in [-0.1, 100.1, f64::NAN, f64::INFINITY] {
        let violations = flags("new.x", FlagConfig::on().percent(percent)).validate().unwrap_err();
        assert_eq!(violations.to_string(), format!("\"new.x\".percent = {percent}: must be 0 to 100"));
    }
    flags("x", FlagConfig::on()).validate().unwrap();
}
