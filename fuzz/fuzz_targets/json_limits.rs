//! Any bytes as JSON: the limiter and `serde_json` take the same, and pieces do not matter.

#![no_main]

use buttress_validate::json::{JsonLimiter, JsonLimits, Problem, check_json};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, bytes) = input;
    let mut limits = JsonLimits::default();
    (limits.depth, limits.unique_keys) = (127, false);
    let ours = check_json(bytes, &limits);
    assert_eq!(ours, in_pieces(bytes, usize::from(piece).max(1), &limits));
    match (&ours, serde_json::from_slice::<Value>(bytes)) {
        (Ok(()), Ok(_)) | (Err(_), Err(_)) => {}
        // It evaluates numbers, which the limiter does not.
        (Ok(()), Err(error)) => assert!(error.to_string().starts_with("number out of range"), "{error}"),
        (Err(problem), Ok(_)) => {
            let limited = matches!(problem.code.as_str(), "too_long" | "too_many" | "too_deep");
            assert!(limited, "{problem}");
        }
    }
});

fn in_pieces(bytes: &[u8], piece: usize, limits: &JsonLimits) -> Result<(), Problem> {
    let mut limiter = JsonLimiter::new(limits.clone());
    for piece in bytes.chunks(piece) {
        limiter.push(piece)?;
    }
    limiter.finish()
}
