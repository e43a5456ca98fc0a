//! Rules of `validator`, told with JSON pointers.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a failing expectation fails the test"
)]

use buttress_validate::Code;
use buttress_validate::json::{JsonLimits, rules};
use validator::Validate;

#[derive(Debug, serde::Deserialize, Validate)]
struct Basket {
    #[validate(nested)]
    items: Vec<Item>,
    #[validate(length(max = 3, message = "has a note that is too long"))]
    note: String,
}

#[derive(Debug, serde::Deserialize, Validate)]
struct Item {
    #[validate(range(min = 1, max = 9))]
    count: u32,
    #[validate(custom(function = "buttress_validate::json::rules::identifier"))]
    column: String,
}

#[test]
fn rules_of_validator_are_told_with_pointers() {
    let text =
        br#"{"items": [{"count": 1, "column": "a"}, {"count": 10, "column": "a;b"}], "note": "hunter2"}"#;
    let problems = rules::from_json::<Basket>(text, &JsonLimits::default()).unwrap_err();
    let told: Vec<_> = problems.as_slice().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "/items/1/column: the identifier has a character that is not allowed; use ASCII letters, digits and `_`, and begin with no digit",
            "/items/1/count: is refused by the rule `range`; write a value within max 9, min 1",
            "/note: has a note that is too long; write a value within max 3",
        ]
    );
    assert_eq!(problems.as_slice()[0].code, Code::Character);
    let json = serde_json::to_value(&problems).unwrap();
    assert_eq!(json[1]["pointer"], "/items/1/count");
}
