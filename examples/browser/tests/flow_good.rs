#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
//! Right workflows: what they read as, and that they read back as they are shown.

use std::time::Duration;

use browser::flow::{
    Action, Assert, Dialog, Extract, Flow, Form, Key, Modifier, State, Step, Target, Wait, check_address,
};

/// The steps of a workflow, which must read back from its shown form, as JSON and as YAML.
fn steps(text: &str) -> Vec<Step> {
    let flow = Flow::parse(text).unwrap();
    let shown = serde_json::to_value(&flow).unwrap();
    assert_eq!(Flow::parse(&shown.to_string()).unwrap(), flow);
    assert_eq!(Flow::from_value(shown).unwrap(), flow);
    flow.steps
}

fn one(step: &str) -> Step {
    let text = format!("name: t\ninputs: {{ v: x, l: [a, b] }}\nsteps:\n- {step}\n");
    steps(&text).into_iter().next().unwrap()
}

#[test]
fn short_and_long_forms_are_one() {
    let pairs = [
        ("goto: 'http://a.example'", "goto: { url: 'http://a.example' }"),
        ("click: '#a'", "click: { target: '#a' }"),
        ("press: enter", "press: { key: Enter }"),
        ("screenshot: page", "screenshot: { name: page, full: false }"),
        ("pdf: page", "pdf: { name: page }"),
        ("wait: { for: '#a' }", "wait: { for: '#a', state: visible }"),
        ("extract: { name: a, from: h1 }", "extract: { name: a, from: h1, as: text }"),
        (
            "extract: { name: a, from: a, attribute: href }",
            "extract: { name: a, from: a, as: attribute, attribute: href }",
        ),
        (
            "assert: { target: '#a', state: visible }",
            "{ assert: { target: '#a', state: visible }, retries: 0 }",
        ),
    ];
    for (short, long) in pairs {
        assert_eq!(one(short), one(long), "{short}");
    }
}

#[test]
fn the_limit_stands_inside_or_beside() {
    let inside = one("click: { target: '#a', within: 5s }");
    assert_eq!(inside.within, Some(Duration::from_secs(5)));
    assert_eq!(inside, one("{ click: '#a', within: 5s }"));
}

#[test]
fn every_action_reads() {
    assert!(matches!(
        one("type: { into: '#q', text: '{{v}}', clear: true }").action,
        Action::Type { clear: true, enter: false, .. }
    ));
    assert!(matches!(one("select: { from: '#l', value: en }").action, Action::Select { .. }));
    assert!(matches!(one("upload: { to: '#f', name: a.txt, text: b }").action, Action::Upload { .. }));
    assert_eq!(one("wait: 1m30s").action, Action::Wait(Wait::Time(Duration::from_secs(90))));
    assert!(matches!(one("wait: { text: ok }").action, Action::Wait(Wait::Text { .. })));
    assert!(matches!(one("wait: { url: /done }").action, Action::Wait(Wait::Url { .. })));
    assert!(matches!(
        one("extract: { name: t, title: true }").action,
        Action::Extract { what: Extract::Title, .. }
    ));
    let Action::Extract { what: Extract::From { form, .. }, .. } =
        one("extract: { name: t, from: a, as: attributes, attribute: href }").action
    else {
        unreachable!()
    };
    assert_eq!(form, Form::Attributes("href".to_owned()));
    assert!(matches!(one("set: { name: x, value: [1, '{{v}}', { a: true }] }").action, Action::Set { .. }));
    assert!(matches!(one("download: { click: '#g', name: f }").action, Action::Download { .. }));
    assert!(matches!(one("assert: { text: ok }").action, Action::Assert(Assert::Text { target: None, .. })));
    assert!(matches!(
        one("assert: { target: li, count: 3 }").action,
        Action::Assert(Assert::Count { count: 3, .. })
    ));
    assert_eq!(one("dialog: dismiss").action, Action::Dialog(Dialog::Dismiss));
    assert!(matches!(one("dialog: { accept: hi }").action, Action::Dialog(Dialog::Accept(Some(_)))));
    let nested =
        one("when: { target: '#c', state: attached, steps: [{ frame: { of: iframe, steps: [press: a] } }] }");
    assert!(matches!(nested.action, Action::When { state: State::Attached, .. }));
    assert_eq!(nested.action.steps().unwrap()[0].action.key(), "frame");
    assert!(matches!(
        one("for_each: { in: '{{l}}', as: w, steps: [click: 'text={{w}}'] }").action,
        Action::ForEach { .. }
    ));
    let common = one("{ click: '#a', name: go, optional: true, retries: 2 }");
    assert_eq!((common.name.as_deref(), common.optional, common.retries), (Some("go"), true, 2));
}

#[test]
fn numbers_are_typed_as_they_are_spelled() {
    for spelling in
        ["007", "1.10", "+49", "true", "yes", "0x1F", "1_000", "12345678901234567890123", "1e3", "-0"]
    {
        let Action::Type { text, .. } = one(&format!("type: {{ into: '#q', text: {spelling} }}")).action
        else {
            unreachable!()
        };
        assert_eq!(text.source(), spelling);
    }
}

#[test]
fn steps_know_their_lines() {
    let steps = steps(
        "name: t\nsteps:\n- press: a\n# a remark\n- for_each:\n    in: [a]\n    as: w\n    steps:\n    - press: b\n",
    );
    assert_eq!((steps[0].line, steps[1].line), (3, 5));
    assert_eq!(steps[1].action.steps().unwrap()[0].line, 9);
}

#[test]
fn keys_have_one_spelling() {
    for (written, key) in [
        ("esc", "Escape"),
        ("RETURN", "Enter"),
        ("ctrl+shift+a", "Control+Shift+a"),
        ("Ctrl++", "Control++"),
        ("+", "+"),
        ("ä", "ä"),
        ("down", "ArrowDown"),
    ] {
        assert_eq!(Key::parse(written).unwrap().to_string(), key);
        assert_eq!(Key::parse(key).unwrap(), Key::parse(written).unwrap());
    }
    assert_eq!(Key::parse("shift+control+x").unwrap().modifiers(), [Modifier::Control, Modifier::Shift]);
    for wrong in ["", " ", "+a", "a+b", "control+", "\n"] {
        assert!(Key::parse(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn targets_are_css_or_text() {
    assert_eq!(Target::parse(" text=Next ").unwrap(), Target::Text("Next".to_owned()));
    for css in [
        "#a",
        "a[title=\"]\"]",
        "a:not([b='(']) > c",
        "x-y.z",
        "a:nth-child(2n+1)",
        "#a\\:b",
        "*",
        "div a, p",
    ] {
        assert_eq!(Target::parse(css).unwrap(), Target::Css(css.to_owned()));
    }
}

#[test]
fn addresses_are_http_with_a_host() {
    for good in ["http://a.example", "https://a.example:1/b?c#d", "HTTP://127.0.0.1", "http://[::1]:8000/"] {
        check_address(good).unwrap();
    }
    for wrong in [
        "",
        "a",
        "//a",
        "ftp://a",
        "data:text/html,a",
        "about:blank",
        "http://",
        "view-source:http://a",
        "chrome://settings",
        " file:///a",
        "\tjavascript:a",
        "blob:http://a",
        "fi\tle://host/a",
    ] {
        check_address(wrong).unwrap_err();
    }
}
