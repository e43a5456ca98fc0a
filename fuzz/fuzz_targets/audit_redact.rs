//! Texts from anybody on their way into the audit log: a scan ends, takes out what it takes out once, and leaves no token of
//! a known shape.
#![no_main]

use buttress_audit::query::parse_time;
use buttress_audit::redact::Redactor;
use buttress_audit::subject::SubjectId;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let redactor = Redactor::default();
    let once = redactor.text(text);
    let twice = redactor.text(&once);
    assert!(twice.len() <= once.len() + 64, "it settles");
    if let Some(id) = SubjectId::of(text) {
        assert!(text.starts_with(&id.prefix()));
        assert_eq!(once, text, "sealed values stay");
    }
    let _ = parse_time(text, std::time::SystemTime::UNIX_EPOCH);
});
