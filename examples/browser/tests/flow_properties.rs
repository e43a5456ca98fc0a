#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
//! What holds of any text and any workflow.

use browser::flow::{Compiled, Flow, Scope, Target, TargetTemplate, Template};
use browser::language::grammar;
use proptest::prelude::*;

/// The examples, which between them have nearly every field.
const FLOWS: [&str; 4] = [
    include_str!("../flows/search.yaml"),
    include_str!("../flows/table.yaml"),
    include_str!("../flows/login.yaml"),
    include_str!("../flows/loop.yaml"),
];

#[test]
fn the_examples_are_right() {
    for text in FLOWS {
        Compiled::parse(text).unwrap();
    }
}

/// Whatever is read is whole: it compiles, and reads back as it is shown.
fn hold(text: &str) {
    let Ok(flow) = Flow::parse(text) else { return };
    let shown = serde_json::to_string(&flow).unwrap();
    assert_eq!(Flow::parse(&shown).unwrap(), flow);
    assert_eq!(Compiled::new(&flow).unwrap().digest(), Compiled::parse(&shown).unwrap().digest());
}

fn command() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "go to",
        "click",
        "type",
        "press",
        "enter",
        "select",
        "wait",
        "for",
        "screenshot",
        "take a",
        "save",
        "as pdf",
        "extract",
        "all",
        "links",
        "check that",
        "is shown",
        "title contains",
        "accept",
        "dialogs",
        "and",
        "then",
        ",",
        ";",
        ". ",
        "\n",
        "the",
        "'a b'",
        "\"{{x}}\"",
        "#id",
        ".c",
        "a[b=\"c d\"]",
        "h2",
        "example.com",
        "into",
        "from",
        "in",
        "with",
        "2 seconds",
        "5",
        "of",
        "page",
        "as",
        "name",
        "‘q’",
        "button",
        "text=",
        "-",
        "1.",
        "css",
        "(",
        "'",
    ]);
    prop::collection::vec(word, 0..12).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_a_workflow_or_errors(text in "\\PC{0,200}", lines in "([a-z]{0,6}: ?[\\[\\]{}\"'#&*!|>a-z0-9-]{0,8}\n){0,12}") {
        hold(&text);
        hold(&lines);
        hold(&format!("name: t\nsteps:\n- {text}\n"));
    }

    #[test]
    fn damaged_examples_are_workflows_or_errors(
        which in 0..FLOWS.len(), cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..8_usize, "[ -~\n]{0,3}"), 1..4)
    ) {
        let mut text: Vec<char> = FLOWS[which].chars().collect();
        for (at, length, instead) in cuts {
            let at = at.index(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, instead.chars());
        }
        hold(&text.into_iter().collect::<String>());
    }

    #[test]
    fn a_literal_renders_as_itself(text in "([{}\" ]|\\PC){0,40}") {
        let literal = Template::literal(&text);
        prop_assert_eq!(literal.render(&Scope::new()).unwrap(), text.clone());
        let again = Template::parse(literal.source()).unwrap();
        prop_assert_eq!(again.as_literal(), Some(text.as_str()));
    }

    #[test]
    fn targets_read_back(text in "(text=)?([\\[\\]()\"'#.>a-zA-Z{}\\\\ ]|\\PC){0,30}") {
        if let Ok(target) = Target::parse(&text) {
            prop_assert_eq!(Target::parse(&target.to_string()).unwrap(), target.clone());
            let template = TargetTemplate::literal(&target);
            prop_assert_eq!(template.render(&Scope::new()).unwrap(), target);
        }
    }

    #[test]
    fn commands_make_whole_workflows(text in command(), noise in "\\PC{0,60}") {
        for text in [text.as_str(), noise.as_str(), &format!("click {noise}"), &format!("type '{noise}' into {noise}")] {
            if let Ok(flow) = grammar::parse(text) {
                let compiled = Compiled::new(&flow);
                prop_assert!(compiled.is_ok(), "{}: {}", text, compiled.unwrap_err());
                let shown = serde_json::to_value(&flow).unwrap();
                prop_assert_eq!(Flow::from_value(shown).unwrap(), flow.clone());
                prop_assert_eq!(grammar::parse(text).unwrap(), flow);
            }
        }
    }

    #[test]
    fn quotes_protect(text in "[a-z ,;.]{1,30}") {
        prop_assume!(!text.trim().is_empty());
        let flow = grammar::parse(&format!("click \"{text} and click x then y\" then press enter")).unwrap();
        prop_assert_eq!(flow.steps.len(), 2);
        let shown = serde_json::to_value(&flow).unwrap();
        let expected = format!("text={} and click x then y", text.trim_start());
        prop_assert_eq!(shown["steps"][0]["click"].as_str(), Some(expected.as_str()));
    }
}
