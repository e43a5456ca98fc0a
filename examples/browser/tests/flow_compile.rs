#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
//! Compiled workflows: inputs, templates, digests and the cache.

use std::sync::Arc;

use browser::flow::{
    Action, Compiled, Flow, FlowCache, Key, Scope, Step, Target, TargetTemplate, Template, TemplateError,
    ValueTemplate,
};
use buttress_core::{ByteSize, Classify, Ctx, ErrorClass};
use serde_json::{Map, Value, json};

const LOOP: &str = "
name: loop
inputs:
  base: http://127.0.0.1:8000
  words: [a, b]
  user: { name: Ann }
  token:
steps:
- goto: '{{base}}/'
- for_each:
    in: '{{words}}'
    as: word
    steps:
    - type: { into: '#q-{{word}}', text: '{{user.name}} {{words[1]}}' }
";

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => unreachable!(),
    }
}

#[test]
fn a_run_may_give_inputs() {
    let flow = Compiled::parse(LOOP).unwrap();
    let scope = flow.bind(object(json!({"token": "x", "words": ["c"], "base": 5}))).unwrap();
    assert_eq!(scope.get("words"), Some(&json!(["c"])));
    assert_eq!(scope.get("base"), Some(&json!(5)));
    assert_eq!(scope.get("user"), Some(&json!({"name": "Ann"})));

    let wrong = flow.bind(object(json!({"wrods": [], "base": [1], "user": "Ann"}))).unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "inputs.base: must be text, as its default is, not a list\n\
         inputs.user: must be a map, as its default is, not text\n\
         inputs.wrods: is not an input of the workflow; did you mean `words`?\n\
         inputs.token: is missing; it has no default, so every run must give it"
    );
    let large = flow.bind(object(json!({"token": "x".repeat(65 << 10)}))).unwrap_err();
    assert_eq!(large.class(), ErrorClass::TooLarge);
    assert_eq!(large.to_string(), "inputs: come to 66572 bytes of JSON; at most 64 KiB may be given");
    let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
    assert!(flow.bind(object(json!({ "token": deep }))).is_err());
}

#[test]
fn loops_count() {
    assert_eq!(Compiled::parse(LOOP).unwrap().step_count(), 3);
    let literal = LOOP.replace("'{{words}}'", "[a, b, c]");
    assert_eq!(Compiled::parse(&literal).unwrap().step_count(), 5);
}

#[test]
fn the_digest_is_that_of_the_contents() {
    let one = Compiled::parse("name: t\nsteps:\n- click: '#a'\n- press: enter\n").unwrap();
    let same = Compiled::parse(
        "{\"steps\": [{\"click\": {\"target\": \"#a\"}}, {\"press\": \"Enter\"}], \"name\": \"t\"}",
    )
    .unwrap();
    let other = Compiled::parse("name: t\nsteps:\n- click: '#b'\n- press: enter\n").unwrap();
    assert_eq!(one.digest(), same.digest());
    assert_ne!(one.digest(), other.digest());
    assert_eq!(one.digest().len(), 64);
}

#[test]
fn what_is_put_together_by_hand_is_checked_too() {
    let click = |css: &str| Step::new(Action::Click(TargetTemplate::literal(&Target::Css(css.to_owned()))));
    Compiled::new(&Flow::new("t", vec![click("#a")])).unwrap();
    let wrong = Compiled::new(&Flow::new("t", vec![click("#a"), click("a[")])).unwrap_err();
    assert_eq!(wrong.to_string(), "steps[1].click: `a[` does not close a bracket: `]` is missing");
    assert!(Compiled::new(&Flow::new("", vec![Step::new(Action::Press(Key::enter()))])).is_err());
    assert!(Compiled::new(&Flow::new("t", Vec::new())).is_err());
    let open = Step::new(Action::Goto(Template::literal("file:///etc/passwd")));
    assert!(Compiled::new(&Flow::new("t", vec![open])).is_err());
}

fn scope() -> Scope {
    let mut scope = Scope::new();
    scope.set("a", json!(" x "));
    scope.set("n", json!(1.5));
    scope.set("rows", json!([{"First name": "Ann", "t": [true]}]));
    scope.set("none", Value::Null);
    scope
}

#[test]
fn templates_are_filled_in() {
    let cases = [
        ("<{{a}}>", "< x >"),
        ("<{{ a | trim }}>", "<x>"),
        ("{{n}}{{n}}", "1.51.5"),
        ("{{rows[0][\"First name\"]}} {{rows[0].t[0]}}", "Ann true"),
        ("{{\"{{\"}}a}}", "{{a}}"),
        ("{ {a} }}", "{ {a} }}"),
        ("", ""),
    ];
    for (source, text) in cases {
        assert_eq!(Template::parse(source).unwrap().render(&scope()).unwrap(), text, "{source}");
    }
    let error = |source: &str| Template::parse(source).unwrap().render(&scope()).unwrap_err();
    assert!(matches!(error("{{b}}"), TemplateError::Unset { .. }));
    assert!(matches!(error("{{none}}"), TemplateError::Unset { .. }));
    assert!(matches!(error("{{rows}}"), TemplateError::NotText { found: "a list", .. }));
    assert_eq!(
        error("{{rows[7].x}}").to_string(),
        "`rows[7].x` leads nowhere: on the way lies a list of 1 items"
    );
    assert!(matches!(error("{{a.b}}"), TemplateError::NoPart { .. }));
}

#[test]
fn what_a_template_makes_is_bounded() {
    let mut scope = Scope::new();
    scope.set("a", Value::String("x".repeat(400 << 10)));
    assert!(Template::parse("{{a}}{{a}}").unwrap().render(&scope).is_ok());
    let error = Template::parse("{{a}}{{a}}{{a}}").unwrap().render(&scope).unwrap_err();
    assert_eq!(error, TemplateError::TooLarge);
    assert_eq!(error.class(), ErrorClass::TooLarge);
}

#[test]
fn one_variable_alone_keeps_its_kind() {
    let value = |source: &str| Template::parse(source).unwrap().value(&scope()).unwrap();
    assert_eq!(value("{{n}}"), json!(1.5));
    assert_eq!(value("{{n}} "), json!("1.5 "));
    let items = |source: &str| ValueTemplate::Text(Template::parse(source).unwrap()).items(&scope());
    assert_eq!(items("{{rows}}").unwrap().len(), 1);
    assert!(matches!(items("{{n}}"), Err(TemplateError::NotList { found: "a number", .. })));
    let mut many = Scope::new();
    many.set("l", json!(vec![0; 1001]));
    let all = ValueTemplate::Text(Template::parse("{{l}}").unwrap());
    assert_eq!(all.items(&many), Err(TemplateError::TooMany { found: 1001 }));
}

#[test]
fn targets_are_checked_once_they_are_filled_in() {
    let mut scope = Scope::new();
    scope.set("t", json!("text=Next"));
    scope.set("w", json!("a]"));
    assert_eq!(
        TargetTemplate::parse("{{t}}").unwrap().render(&scope).unwrap(),
        Target::Text("Next".to_owned())
    );
    assert_eq!(
        TargetTemplate::parse("text={{w}}").unwrap().render(&scope).unwrap(),
        Target::Text("a]".to_owned())
    );
    let error = TargetTemplate::parse("li[x={{w}}]").unwrap().render(&scope).unwrap_err();
    assert!(error.to_string().contains("`li[x={{w}}]`, filled in, `li[x=a]]` closes a bracket"), "{error}");
}

#[test]
fn a_text_is_compiled_once_and_the_cache_is_bounded() {
    let mut config = FlowCache::config();
    (config.capacity, config.bytes) = (10, Some(ByteSize::mib(4)));
    let cache = FlowCache::new(config, &Ctx::default()).unwrap();
    let text = |i: usize| format!("name: t{i}\nsteps:\n- press: a\n#{}\n", "x".repeat(100 << 10));
    let first = cache.get_or_compile(&text(0)).unwrap();
    for i in 1..50 {
        cache.get_or_compile(&text(i)).unwrap();
        assert!(Arc::ptr_eq(&first, &cache.get_or_compile(&text(0)).unwrap()), "what is used stays");
        assert!(cache.stats().weight <= 4 << 20);
    }
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses), (49, 50));
    assert!(cache.get_or_compile("name: t").is_err());
    assert_eq!(cache.stats().entries, stats.entries, "what is wrong is not kept");
}
