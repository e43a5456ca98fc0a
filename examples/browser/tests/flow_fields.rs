#![allow(clippy::unwrap_used, clippy::too_many_lines, missing_docs)]
//! What a wrong workflow is told of its steps and their fields.

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
fn shape_of_steps() {
    check(
        &[
            ("- clik: '#go'", "flow.yaml:3: steps[0].clik: is not an action; did you mean `click`?"),
            (
                "- dance: now",
                "flow.yaml:3: steps[0].dance: is not an action; there are `goto`, `click`, `type`, `press`, `select`, `upload`, `wait`, `extract`, `set`, `screenshot`, `pdf`, `download`, `assert`, `dialog`, `frame`, `for_each` and `when`",
            ),
            (
                "- name: nothing",
                "flow.yaml:3: steps[0]: has no action; a step has one of `goto`, `click`, `type`, `press`, `select`, `upload`, `wait`, `extract`, `set`, `screenshot`, `pdf`, `download`, `assert`, `dialog`, `frame`, `for_each` and `when`",
            ),
            (
                "- click: '#a'\n  press: Enter",
                "flow.yaml:4: steps[0].press: a step does one thing, and this has `click` too; make two steps",
            ),
            (
                "- type:\n  into: '#q'\n  text: hello",
                r"flow.yaml:4: steps[0].into: is a field of `type`; indent it further than `type`
flow.yaml:5: steps[0].text: is a field of `type`; indent it further than `type`",
            ),
            (
                "- click: { target: '#a', within: 5s }\n  within: 6s",
                "flow.yaml:3: steps[0].click.within: is given twice, here and beside the action; keep one",
            ),
            (
                "- click: '#a'\n  retries: 11",
                "flow.yaml:4: steps[0].retries: must be a whole number from 0 to 10",
            ),
            (
                "- click: '#a'\n  optional: 1",
                "flow.yaml:4: steps[0].optional: must be true or false, not a number",
            ),
            (
                "- click: '#a'\n  nmae: foo",
                "flow.yaml:4: steps[0].nmae: is not an action; did you mean `name`?",
            ),
        ],
        "name: t\nsteps:\n",
    );
}

#[test]
fn fields_of_actions() {
    check(
        &[
            (
                "- click:",
                r##"flow.yaml:3: steps[0].click: is empty; name the element to click, as a CSS selector ("#email") or text ("text=E-mail")"##,
            ),
            (
                "- type: { txt: hello }",
                r##"flow.yaml:3: steps[0].type.txt: is not a field; did you mean `text`?
flow.yaml:3: steps[0].type.into: is missing; name the field to type into, as a CSS selector ("#email") or text ("text=E-mail")"##,
            ),
            (
                "- type: { text: hello }",
                r##"flow.yaml:3: steps[0].type.into: is missing; name the field to type into, as a CSS selector ("#email") or text ("text=E-mail")"##,
            ),
            (
                "- type:\n    into: '#q'\n    tetx: hello\n    speed: 3",
                r"flow.yaml:5: steps[0].type.tetx: is not a field; did you mean `text`?
flow.yaml:6: steps[0].type.speed: is not a field; there are `into`, `text`, `clear`, `enter` and `within`",
            ),
            (
                "- type: hello",
                "flow.yaml:3: steps[0].type: must be a map of `into`, `text`, `clear`, `enter` and `within`, not text",
            ),
            (
                "- type: { into: '#q', text: a, clear: maybe }",
                "flow.yaml:3: steps[0].type.clear: must be true or false, not `maybe`",
            ),
            (
                "- type: { into: '#q', text: [a] }",
                "flow.yaml:3: steps[0].type.text: must be text, not a list; say what to type",
            ),
            ("- wait: 500", r#"flow.yaml:3: steps[0].wait: `500` has no unit; write "500s" or "500ms""#),
            (
                "- wait: '#result'",
                r##"flow.yaml:3: steps[0].wait: `#result` is not a duration such as "500ms"; to wait for an element write `wait: { for: "#result" }`"##,
            ),
            (
                "- wait: 5 seconds",
                r#"flow.yaml:3: steps[0].wait: `5 seconds` is not a duration; write it like "500ms", "5s" or "1m30s""#,
            ),
            (
                "- wait: { for: '#a', state: visble }",
                "flow.yaml:3: steps[0].wait.state: `visble` is not known; did you mean `visible`?",
            ),
            (
                "- wait: { for: '#a', text: b }",
                r#"flow.yaml:3: steps[0].wait: needs one of `for`, `text` and `url`, or is a duration such as "500ms""#,
            ),
            (
                "- wait: { state: hidden }",
                r#"flow.yaml:3: steps[0].wait: needs one of `for`, `text` and `url`, or is a duration such as "500ms"
flow.yaml:3: steps[0].wait.state: is the state of an element; name the element as `for`"#,
            ),
            (
                "- wait: { for: '#a', within: 2h }",
                r#"flow.yaml:3: steps[0].wait.within: `2h` is out of bounds; write "1ms" to "1h""#,
            ),
            ("- press: Entr", "flow.yaml:3: steps[0].press: `Entr` is not a key; did you mean `Enter`?"),
            (
                "- press: hello",
                "flow.yaml:3: steps[0].press: `hello` is not a key; write `Enter`, `Tab`, `Escape`, `ArrowDown`, `F5`, one character, or `Control+A`; use `type` for text",
            ),
            (
                "- press: Hyper+A",
                "flow.yaml:3: steps[0].press: `Hyper` cannot be held down; `Control`, `Alt`, `Shift` and `Meta` can",
            ),
            (
                "- extract: { from: h1 }",
                "flow.yaml:3: steps[0].extract.name: is missing; name the variable that holds the result; a name is 1 to 64 letters, digits, `-` and `_`",
            ),
            (
                "- extract: { name: 'a b', from: h1 }",
                "flow.yaml:3: steps[0].extract.name: `a b` is no name; a name is 1 to 64 letters, digits, `-` and `_`",
            ),
            (
                "- extract: { name: a, from: h1, as: txts }",
                "flow.yaml:3: steps[0].extract.as: `txts` is not known; did you mean `texts`?",
            ),
            (
                "- extract: { name: a, from: h1, as: attribute }",
                "flow.yaml:3: steps[0].extract.attribute: is missing; say which attribute, such as `href`",
            ),
            (
                "- extract: { name: a, from: h1, as: text, attribute: href }",
                "flow.yaml:3: steps[0].extract.attribute: goes with `as: attribute` or `as: attributes` only",
            ),
            (
                "- extract: { name: a, title: true, from: h1 }",
                "flow.yaml:3: steps[0].extract: has both `title` and `from`; make two steps",
            ),
            (
                "- extract: { name: a, title: false }",
                "flow.yaml:3: steps[0].extract.title: must be true; leave it out to read an element, which `from` names",
            ),
            (
                "- set: { name: a }",
                "flow.yaml:3: steps[0].set.value: is missing; say what the variable is set to",
            ),
            (
                "- screenshot: a/b",
                "flow.yaml:3: steps[0].screenshot: `a/b` is no name; a name is 1 to 64 letters, digits, `-` and `_`",
            ),
            (
                "- screenshot: { name: a, ful: true }",
                "flow.yaml:3: steps[0].screenshot.ful: is not a field; did you mean `full`?",
            ),
            (
                "- upload: { to: '#f', name: ../a.txt, text: x }",
                "flow.yaml:3: steps[0].upload.name: `../a.txt` is no name of a file; it has 1 to 128 bytes and no slashes",
            ),
            (
                "- assert: { target: '#a' }",
                "flow.yaml:3: steps[0].assert: says nothing of its target; add `text`, `count` or `state`",
            ),
            (
                "- assert: { target: '#a', text: b, count: 3 }",
                "flow.yaml:3: steps[0].assert: demands `text` and `count`; make a step of each",
            ),
            (
                "- assert: { target: '#a', count: -1 }",
                "flow.yaml:3: steps[0].assert.count: must be a whole number from 0 to 1000000",
            ),
            (
                "- assert: { url: '' }",
                "flow.yaml:3: steps[0].assert.url: is empty; say which text is to be found",
            ),
            (
                "- assert: { target: '#a', title: x }",
                "flow.yaml:3: steps[0].assert.target: does not go with `title`, which is the page's",
            ),
            (
                "- dialog: accpet",
                r#"flow.yaml:3: steps[0].dialog: `accpet` is not known; write `accept`, `dismiss`, or `{ accept: "the answer" }`"#,
            ),
            (
                "- dialog: { acept: x }",
                "flow.yaml:3: steps[0].dialog.acept: is not a field; did you mean `accept`?",
            ),
            (
                "- frame: { of: iframe }",
                r##"flow.yaml:3: steps[0].frame.steps: is missing; list what is to be done, each step after a dash: `- click: "#go"`"##,
            ),
            (
                "- frame: { of: iframe, steps: [{frame: { of: iframe, steps: [{frame: { of: iframe, steps: [{frame: { of: iframe, steps: [{frame: { of: iframe, steps: [{frame: { of: iframe, steps: [{press: a}]}}]}}]}}]}}]}}]}",
                "flow.yaml:3: steps[0].frame.steps[0].frame.steps[0].frame.steps[0].frame.steps[0].frame.steps[0].frame.steps: steps may lie at most 5 deep in one another; take one level out",
            ),
        ],
        "name: t\nsteps:\n",
    );
}

#[test]
fn maps_have_no_more_fields_than_there_are() {
    let many = (0..40).map(|i| format!("    a{i}: 1")).collect::<Vec<_>>().join("\n");
    check(
        &[
            (
                &format!("- type:\n    into: '#a'\n    text: b\n{many}"),
                "flow.yaml:3: steps[0].type: has 42 fields; there are only `into`, `text`, `clear`, `enter` and \
                 `within`",
            ),
            (&format!("-\n{many}"), "flow.yaml:4: steps[0]: has 40 fields; make a step of each thing to do"),
        ],
        "name: t\nsteps:\n",
    );
}
