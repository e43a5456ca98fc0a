#![allow(clippy::unwrap_used, clippy::too_many_lines, missing_docs)]
//! What a wrong workflow is told of its whole, its targets and its variables.

use browser::flow::Flow;

/// The errors of a text, one a line.
fn errors(text: &str) -> String {
    Flow::parse(text).unwrap_err().of_file("flow.yaml").to_string()
}

fn check(cases: &[(&str, &str)], before: &str) {
    for (text, expected) in cases {
        let text = format!("{before}{text}");
        assert_eq!(errors(&text).lines().collect::<Vec<_>>(), expected.lines().collect::<Vec<_>>(), "{text}");
    }
}

#[test]
fn the_whole() {
    check(
        &[
            (
                "",
                "flow.yaml:1: a workflow is a map, not nothing; write `name:` and `steps:`, as the examples do",
            ),
            (
                "just text",
                "flow.yaml:1: a workflow is a map, not text; write `name:` and `steps:`, as the examples do",
            ),
            (
                "- a\n- b",
                "flow.yaml:1: a workflow is a map, not a list; write `name:` and `steps:`, as the examples do",
            ),
            (
                "name: t",
                r##"flow.yaml:1: steps: is missing; list what is to be done, each step after a dash: `- click: "#go"`"##,
            ),
            (
                "name: t\nsteps: []",
                r##"flow.yaml:2: steps: is empty; list what is to be done, each step after a dash: `- click: "#go"`"##,
            ),
            (
                "name: t\nsteps: {a: 1}",
                r##"flow.yaml:2: steps: must be a list, not a map; list what is to be done, each step after a dash: `- click: "#go"`"##,
            ),
            (
                "steps:\n- goto: http://a.example",
                "flow.yaml:1: name: is missing; say what the workflow is called, in 1 to 64 characters",
            ),
            (
                "name: t\nstepz:\n- goto: http://a.example",
                "flow.yaml:2: stepz: is not a field; did you mean `steps`?",
            ),
            (
                "name: t\ncolour: red\nsteps:\n- goto: http://a.example",
                "flow.yaml:2: colour: is not a field; there are `name`, `inputs`, `time` and `steps`",
            ),
            (
                "name: t\ntime: 2 hours\nsteps:\n- goto: http://a.example",
                r#"flow.yaml:2: time: `2 hours` is not a duration; write it like "500ms", "5s" or "1m30s""#,
            ),
            (
                "name: t\ntime: 2h\nsteps:\n- goto: http://a.example",
                r#"flow.yaml:2: time: `2h` is out of bounds; write "1s" to "1h""#,
            ),
            (
                "name: t\ntime: 90\nsteps:\n- goto: http://a.example",
                r#"flow.yaml:2: time: `90` has no unit; write "90s" or "90ms""#,
            ),
            (
                "name: t\ninputs: { base: http://a.example }\nsteps:\n- goto: '{{bas}}'\n- goto: '{{other}}'",
                r"flow.yaml:4: steps[0].goto: the variable `bas` is not known; did you mean `base`?
flow.yaml:5: steps[1].goto: the variable `other` is not known; add it to `inputs`, or set or extract it in a step above",
            ),
            (
                "name: t\ninputs: {words: one}\nsteps:\n- for_each: { in: '{{words}}', as: w, steps: [{press: a}] }",
                "flow.yaml:4: steps[0].for_each.in: the input `words` is text; make its default a list, such as [a, b]",
            ),
            (
                "name: t\ninputs: {words: [one]}\nsteps:\n- for_each: { in: '{{words}}', as: words, steps: [{press: a}] }",
                "flow.yaml:4: steps[0].for_each.as: `words` is a variable already; choose another name",
            ),
            (
                "name: t\ninputs: {'a b': 1, c: '{{d}}'}\nsteps:\n- press: a",
                r"flow.yaml:2: inputs.a b: `a b` is no name; a name is 1 to 64 letters, digits, `-` and `_`
flow.yaml:2: inputs.c: a default cannot use variables; use a `set` step for that",
            ),
            (
                "{\"name\":\"t\",\n\t\"steps\":[{\"click\":\"#a\"},\n\t{\"type\":{\"into\":\"#q\"}}]}",
                "flow.yaml:3: steps[1].type.text: is missing; say what to type",
            ),
            (
                "name: t\n--- \nname: u",
                "flow.yaml:3: a file holds one workflow; take away what follows `---`",
            ),
            ("name: t\n\tsteps: 1", "flow.yaml:1: is not YAML: while scanning a plain scalar, found a tab"),
            ("name: t\nname: u\nsteps: []", "flow.yaml:2: `name` is given twice in one map; keep one"),
        ],
        "",
    );
}

#[test]
fn variables() {
    check(
        &[
            (
                "- goto: 'file://{{x}}'",
                r"flow.yaml:3: steps[0].goto: only http and https addresses may be visited, not `file://{{x}}`
flow.yaml:3: steps[0].goto: the variable `x` is not known; add it to `inputs`, or set or extract it in a step above",
            ),
            (
                "- goto: '/{{x}}'",
                r#"flow.yaml:3: steps[0].goto: `/{{x}}` is not a whole address; begin it with "https://" or with a variable that does
flow.yaml:3: steps[0].goto: the variable `x` is not known; add it to `inputs`, or set or extract it in a step above"#,
            ),
            (
                "- goto: 'http://{{basse}}/'",
                "flow.yaml:3: steps[0].goto: the variable `basse` is not known; add it to `inputs`, or set or extract it in a step above",
            ),
            (
                "- type: { into: '#q', text: 'a {{b' }",
                r#"flow.yaml:3: steps[0].type.text: `{{` is not closed; write `{{name}}`, or `{{"{{"}}` for two braces that are meant as such"#,
            ),
            (
                "- type: { into: '#q', text: 'a {{}}' }",
                "flow.yaml:3: steps[0].type.text: `{{}}` names no variable; write `{{name}}`",
            ),
            (
                "- type: { into: '#q', text: 'a {{x y}}' }",
                r#"flow.yaml:3: steps[0].type.text: `{{x y}}` does not name a variable; write {{name}}, {{name.field}}, {{name[0]}} or {{name["a field"]}}"#,
            ),
            (
                "- type: { into: '#q', text: 'a {{x | upper}}' }",
                "flow.yaml:3: steps[0].type.text: `upper` is not known; `trim` is the only filter",
            ),
            (
                "- type: { into: '#q', text: '{{t}}' }\n- extract: { name: t, from: h1 }",
                "flow.yaml:3: steps[0].type.text: `t` is used before steps[1] gives it a value; move this step below it",
            ),
            (
                "- set: { name: a, value: '{{a}}' }",
                "flow.yaml:3: steps[0].set.value: `a` has no value yet in the step that gives it one; set it in a \
                 step above",
            ),
            (
                "- for_each:\n    in: [a]\n    as: word\n    steps:\n    - press: a\n- click: 'text={{word}}'",
                "flow.yaml:8: steps[1].click: `word` has a value only inside of steps[0]; move this step into it",
            ),
            (
                "- for_each: { in: words, as: w, steps: [{press: a}] }",
                r#"flow.yaml:3: steps[0].for_each.in: `words` is text; give a list, or one variable that holds a list: "{{words}}""#,
            ),
            (
                "- for_each: { in: {a: 1}, as: w, steps: [{press: a}] }",
                r#"flow.yaml:3: steps[0].for_each.in: must be a list, not a map; give a list, or one variable that holds a list: "{{words}}""#,
            ),
            (
                "- for_each:\n    in: [a, b]\n    as: word\n    steps:\n    - click: '#a'\n    - type:\n        into: '#q'\n        text: '{{wrod}}'\n    - clck: {}",
                r##"flow.yaml:10: steps[0].for_each.steps[1].type.text: the variable `wrod` is not known; did you mean `word`?
flow.yaml:11: steps[0].for_each.steps[2].clck: is not an action; did you mean `click`?
flow.yaml:11: steps[0].for_each.steps[2].clck.target: is missing; name the element to click, as a CSS selector ("#email") or text ("text=E-mail")"##,
            ),
            (
                "- dialog: dismiss\n- dialog: { accept: 'x {{y}}' }",
                "flow.yaml:4: steps[1].dialog.accept: the variable `y` is not known; add it to `inputs`, or set or extract it in a step above",
            ),
        ],
        "name: t\nsteps:\n",
    );
}

#[test]
fn targets_and_addresses() {
    check(
        &[
            ("- click", r##"flow.yaml:3: steps[0]: a step is a map such as `click: "#go"`, not `click`"##),
            (
                r#"- click: 'div[data-x="1"'"#,
                r#"flow.yaml:3: steps[0].click: `div[data-x="1"` does not close a bracket: `]` is missing"#,
            ),
            (
                "- click: 'a:not(.x'",
                "flow.yaml:3: steps[0].click: `a:not(.x` does not close a bracket: `)` is missing",
            ),
            (
                r#"- click: 'a[href="x]'"#,
                r#"flow.yaml:3: steps[0].click: `a[href="x]` does not close the quote ""#,
            ),
            ("- click: ')'", "flow.yaml:3: steps[0].click: `)` closes a bracket that was not opened: `)`"),
            (
                "- click: '  '",
                r##"flow.yaml:3: steps[0].click: is empty; name an element, as a CSS selector ("#go") or text ("text=Next")"##,
            ),
            (
                "- click: 'text='",
                r#"flow.yaml:3: steps[0].click: names no text; write it after the sign of equality: "text=Next""#,
            ),
            (
                "- click: '//div/a'",
                r#"flow.yaml:3: steps[0].click: `//div/a` is XPath, which is not known here; use a CSS selector or "text=…""#,
            ),
            (
                "- click: Next page",
                r#"flow.yaml:3: steps[0].click: `Next page` is a CSS selector for elements of that name; for text on the page write "text=Next page""#,
            ),
            (
                "- click: '#a,'",
                "flow.yaml:3: steps[0].click: `#a,` is not a whole CSS selector; something is missing at its end",
            ),
            (
                "- goto: file:///etc/passwd",
                "flow.yaml:3: steps[0].goto: only http and https addresses may be visited, not `file:///etc/passwd`",
            ),
            (
                "- goto: 'javascript:alert(1)'",
                "flow.yaml:3: steps[0].goto: only http and https addresses may be visited, not `javascript:alert(1)`",
            ),
            (
                "- goto: example.com/a",
                r#"flow.yaml:3: steps[0].goto: `example.com/a` is not a whole address; write it like "https://example.com/page""#,
            ),
            (
                "- goto: localhost:8000/a",
                r#"flow.yaml:3: steps[0].goto: `localhost:8000/a` is not a whole address; write "http://localhost:8000/a""#,
            ),
            (
                "- goto: http://",
                r#"flow.yaml:3: steps[0].goto: `http://` is not an address (empty host); write it like "https://example.com/page""#,
            ),
            (
                "- goto: 'http://[::1'",
                r#"flow.yaml:3: steps[0].goto: `http://[::1` is not an address (invalid IPv6 address); write it like "https://example.com/page""#,
            ),
        ],
        "name: t\nsteps:\n",
    );
}

#[test]
fn syntax() {
    check(
        &[
            ("- goto: [", "flow.yaml:3: is not YAML: unclosed bracket '['"),
            (
                "- goto: http://a.example\n  goto: http://b.example",
                "flow.yaml:4: `goto` is given twice in one map; keep one",
            ),
            (
                "- &x { goto: http://a.example }\n- *x",
                "flow.yaml:3: anchors (`&name`), aliases (`*name`) and merge keys (`<<`) may not be used; write the value out",
            ),
            (
                "- *x",
                "flow.yaml:3: aliases (`*name`) may not be used; put quotes around text that begins with `*`",
            ),
            (
                "- type: { into: '#q', text: {{word}} }",
                r#"flow.yaml:3: a field's name must be text; put quotes around text that begins with a brace: "{{name}}""#,
            ),
            (
                "  - goto: http://a.example\n - click: x",
                "flow.yaml:4: is not YAML: while parsing a block mapping, did not find expected key",
            ),
            (
                "- set: { name: a, value: .nan }",
                "flow.yaml:3: is not YAML: non-finite float `.nan` rejected by the configured policy",
            ),
        ],
        "name: t\nsteps:\n",
    );
}

#[test]
fn errors_past_the_bounds() {
    let list = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>().join(", ");
    let looped =
        format!("name: t\nsteps:\n- for_each: {{ in: [{}], as: w, steps: [press: a] }}\n", list(1001));
    assert_eq!(errors(&looped), "flow.yaml:3: steps[0].for_each.in: has 1001 items; a loop has at most 1000");
    let inner = format!("for_each: {{ in: [{}], as: v, steps: [press: a] }}", list(100));
    let nested = format!("name: t\nsteps:\n- for_each: {{ in: [{}], as: w, steps: [{inner}] }}\n", list(101));
    assert_eq!(
        errors(&nested),
        "flow.yaml:2: steps: come to 10202 when the loops are run; at most 10000 may; use shorter lists or two \
         workflows"
    );
    let long = format!("name: t\nsteps:\n- click: '#{}'\n", "a".repeat(1000));
    assert_eq!(
        errors(&long),
        "flow.yaml:3: steps[0].click: is too long; a target has at most 1000 characters"
    );
    assert!(
        errors(&format!("name: t\nx: {}{}\n", "[".repeat(60), "]".repeat(60))).contains("at most 48 deep")
    );
    assert!(errors(&" ".repeat(300 << 10)).contains("at most 256 KiB"));
    let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n";
    assert!(errors(bomb).contains("anchors"));
    let many = format!("name: t\nsteps:\n{}", "- clik: '#a'\n".repeat(150));
    assert_eq!(errors(&many).lines().count(), 101);
    assert!(errors(&many).ends_with("and 50 more"));
}

#[test]
fn values_from_elsewhere_have_no_lines() {
    let value = serde_json::json!({"name": "t", "steps": [{"click": "#a"}, {"type": {"into": "#q"}}]});
    let errors = Flow::from_value(value).unwrap_err();
    assert_eq!(errors.to_string(), "steps[1].type.text: is missing; say what to type");
    let shown = serde_json::to_value(&errors).unwrap();
    let expected = serde_json::json!({"errors": [
        {"path": "steps[1].type.text", "problem": "is missing; say what to type"}
    ]});
    assert_eq!(shown, expected);
}
