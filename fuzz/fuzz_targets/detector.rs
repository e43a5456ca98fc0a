//! Any text: a verdict's evidence lies in the text, its score is one, and the same text is judged the same.

#![no_main]

use buttress_validate::detect::Detector;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let detector = Detector::default();
    let scores = detector.scores(text);
    for verdict in scores.iter().flatten() {
        assert!(text.get(verdict.evidence.clone()).is_some(), "{verdict:?}");
        assert!((1..=100).contains(&verdict.score), "{verdict:?}");
    }
    let worst = scores.iter().flatten().map(|verdict| verdict.score).max();
    let reported = detector.inspect(text).map(|verdict| verdict.score);
    assert_eq!(reported, worst.filter(|score| *score >= 60));
});
