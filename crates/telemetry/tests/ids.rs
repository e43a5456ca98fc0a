//! What a request is known by.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // tests

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use buttress_telemetry::{RequestId, TraceContext};
use proptest::prelude::*;

#[test]
fn identifiers_differ_and_sort_by_time() {
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let ids: HashSet<_> = (0..10_000).map(|_| RequestId::generate(at(1))).collect();
    assert_eq!(ids.len(), 10_000);
    assert!(ids.iter().all(|id| id.as_str() < RequestId::generate(at(2)).as_str()));
    // The example of the ULID specification: 1469918176385 ms begins with 01ARYZ6S41.
    let example = RequestId::generate(SystemTime::UNIX_EPOCH + Duration::from_millis(1_469_918_176_385));
    assert!(example.as_str().starts_with("01ARYZ6S41"), "{example}");
}

#[test]
fn only_harmless_identifiers_are_taken_over() {
    for text in ["a", "5f2c-77_B.x:y=z", &"x".repeat(128)] {
        assert_eq!(RequestId::parse(text).unwrap().as_str(), text);
    }
    for text in ["", "a b", "a\nb", "<b>", "\u{e4}", &"x".repeat(129)] {
        assert!(RequestId::parse(text).is_none(), "{text:?}");
    }
}

const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn a_trace_goes_on_in_a_step_of_its_own() {
    let here = TraceContext::from_header(Some(HEADER));
    assert_eq!(here.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(here.parent_id().as_deref(), Some("00f067aa0ba902b7"));
    assert_ne!(here.span_id(), "00f067aa0ba902b7");
    assert!(here.is_sampled());
    let next = TraceContext::from_header(Some(&here.to_string()));
    assert_eq!((next.trace_id(), next.parent_id()), (here.trace_id(), Some(here.span_id())));
    assert!(!TraceContext::from_header(Some(&HEADER.replace("-01", "-00"))).is_sampled());
    assert!(TraceContext::root().parent_id().is_none());
}

#[test]
fn a_header_of_a_later_version_is_read_as_far_as_it_is_known() {
    let later = HEADER.replacen("00-", "01-", 1) + "-more";
    assert_eq!(TraceContext::from_header(Some(&later)).trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
}

#[test]
fn a_malformed_header_starts_a_new_trace() {
    for header in [
        "",
        "00",
        &HEADER.to_uppercase(),
        &HEADER.replacen("00-", "ff-", 1),
        &format!("{HEADER}-more"),
        &HEADER.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
        &HEADER.replace("00f067aa0ba902b7", &"0".repeat(16)),
        &HEADER.replace("4bf9", "+bf9"),
    ] {
        let root = TraceContext::from_header(Some(header));
        assert!(root.parent_id().is_none(), "{header}");
        assert_ne!(root.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736", "{header}");
    }
}

proptest! {
    #[test]
    fn whatever_comes_in_a_proper_header_goes_out(text in any::<String>()) {
        let out = TraceContext::from_header(Some(&text)).to_string();
        prop_assert_eq!(out.len(), 55);
        prop_assert!(TraceContext::from_header(Some(&out)).parent_id().is_some());
    }
}
