use buttress_docpipeline::{Error, Limit};

use crate::{process, read, warned};

#[test]
fn leaves_come_with_the_path_to_them() {
    let document =
        read("a.json", r#"{"order": {"items": [{"name": "Walnut", "price": 1.50}], "gone": null}}"#);
    assert_eq!(document.text, "order.items[0].name: Walnut\norder.items[0].price: 1.50");
    assert!(document.warnings.is_empty(), "{:?}", document.warnings);
}

#[test]
fn escapes_are_read_as_what_they_mean() {
    assert_eq!(read("a.json", r#"["\u00e4\ud83d\ude00\ud83d\"\/\t|"]"#).text, "[0]: ä😀\u{fffd}\"/ |");
}

#[test]
fn lines_of_json_are_set_apart() {
    assert_eq!(read("a.jsonl", "{\"a\": 1}\n{\"a\": 2}\n").text, "a: 1\n\na: 2");
}

#[test]
fn what_stands_behind_a_fault_is_not_lost() {
    for (broken, expected) in [
        ("{\"a\": 1, \"b\": [2, three, 4],\n \"c\": \"end\"}", "a: 1\nb[0]: 2\nb[1]: three\nb[2]: 4\nc: end"),
        ("{\"a\": NaN, 'b': 'x', // why\n \"c\": \"end\",}", "a: NaN\nb: x\nc: end"),
        ("{\"a\" 1 \"b\": [2, {\"c\": \"end\"}", "a: 1\nb[0]: 2\nb[1].c: end"),
        ("{\"a\": [1, 2}, \"c\": \"end\"}", "a[0]: 1\na[1]: 2\n\nc\n\nend"),
        ("{\"a\": 1}\n{\"b\": }\n{\"c\": \"end\"}\n", "a: 1\n\nb\n\nc: end"),
        ("{\"a\": \"one\", \"c\": \"en", "a: one\nc: en"),
        ("{\"a\": \"x\\qy\", \"c\"", "a: x\\qy\nc"),
    ] {
        let document = read("a.json", broken);
        assert_eq!(document.text, expected, "{broken}");
        assert!(warned(&document, "the JSON is broken in"), "{broken}: {:?}", document.warnings);
    }
}

#[test]
fn json_without_any_value_is_damaged() {
    assert!(matches!(process("a.json", "{\"\": {]]"), Err(Error::Malformed { .. })));
}

#[test]
fn depth_is_bounded() {
    let refusal = process("a.json", "[[\"".to_owned() + &"[".repeat(10));
    assert!(refusal.is_ok());
    let refusal = process("a.json", "[".repeat(100_000) + "\"");
    assert!(matches!(refusal, Err(Error::OverLimit { limit: Limit::Nesting, .. })), "{refusal:?}");
}
