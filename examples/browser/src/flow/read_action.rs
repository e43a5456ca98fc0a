//! The actions, read from their short and long forms.

use std::collections::BTreeMap;

use super::error::{Place, Problems, quoted};
use super::fields::{Field, Fields, listed};
use super::key::Key;
use super::names;
use super::node::{Node, Value};
use super::read::{LEAST, MOST, steps};
use super::step::{Action, Assert, Dialog, Extract, Form, State, Step, Wait};
use super::template::Template;
use super::value::ValueTemplate;

pub(crate) const KEYS: [&str; 17] = [
    "goto",
    "click",
    "type",
    "press",
    "select",
    "upload",
    "wait",
    "extract",
    "set",
    "screenshot",
    "pdf",
    "download",
    "assert",
    "dialog",
    "frame",
    "for_each",
    "when",
];

/// The fields of an action's long form. The first is the one that the short form gives, if there is a short form.
pub(crate) fn fields_of(key: &str) -> &'static [&'static str] {
    match key {
        "goto" => &["url", "within"],
        "click" => &["target", "within"],
        "type" => &["into", "text", "clear", "enter", "within"],
        "press" => &["key", "within"],
        "select" => &["from", "value", "within"],
        "upload" => &["to", "name", "text", "within"],
        "wait" => &["for", "state", "text", "url", "within"],
        "extract" => &["name", "from", "as", "attribute", "title", "url", "within"],
        "set" => &["name", "value"],
        "screenshot" => &["name", "full", "of", "within"],
        "pdf" => &["name", "within"],
        "download" => &["click", "name", "within"],
        "assert" => &["target", "text", "count", "state", "url", "title", "within"],
        "frame" => &["of", "steps", "within"],
        "for_each" => &["in", "as", "steps", "within"],
        "when" => &["target", "state", "steps", "within"],
        _ => &[],
    }
}

fn has_short_form(key: &str) -> bool {
    matches!(key, "goto" | "click" | "press" | "screenshot" | "pdf")
}

/// Reads the action `key` into `step`.
pub(crate) fn read(
    key: &'static str,
    node: &Node,
    place: &Place,
    depth: usize,
    step: &mut Step,
    problems: &mut Problems,
) {
    if key == "dialog" {
        step.action = Action::Dialog(dialog(node, place, problems));
        return;
    }
    if key == "wait" && matches!(node.value, Value::Text(_) | Value::Number(..)) {
        step.action = Action::Wait(pause(node, place, problems));
        return;
    }
    let known = fields_of(key);
    let fields = match (&node.value, known.first()) {
        (Value::Map(_), _) => Fields::of_map(node, place, known, problems),
        (Value::List(_), _) | (_, None) => None,
        (_, Some(main)) if has_short_form(key) => Some(Fields::of_main(main, node, place)),
        _ => None,
    };
    let Some(mut fields) = fields else {
        let short = if has_short_form(key) { "text, or " } else { "" };
        let found = node.value.kind();
        problems.add(place, format!("must be {short}a map of {}, not {found}", listed(known)));
        return;
    };
    if let Some(within) = fields.duration("within", LEAST, MOST, problems) {
        if step.within.is_some() {
            problems.add(&place.member("within", 0), "is given twice, here and beside the action; keep one");
        }
        step.within = Some(within);
    }
    step.action = action(key, fields, depth, problems);
}

fn action(key: &'static str, mut fields: Fields<'_>, depth: usize, problems: &mut Problems) -> Action {
    let f = &mut fields;
    match key {
        "goto" => Action::Goto(address(f, problems)),
        "click" => Action::Click(f.target("target", "the element to click", problems)),
        "type" => Action::Type {
            into: f.target("into", "the field to type into", problems),
            text: f.template("text", "say what to type", problems),
            clear: f.flag("clear", problems),
            enter: f.flag("enter", problems),
        },
        "press" => Action::Press(press(f, problems)),
        "select" => Action::Select {
            from: f.target("from", "the list to choose from", problems),
            value: f.template("value", "say which entry to choose, by its value or its text", problems),
        },
        "upload" => Action::Upload {
            to: f.target("to", "the file field", problems),
            name: file_name(f, problems),
            text: f.template("text", "say what is in the file", problems),
        },
        "wait" => Action::Wait(wait(f, problems)),
        "extract" => {
            let name = f.name("name", "the variable that holds the result", problems);
            Action::Extract { name, what: extract(f, problems) }
        }
        "set" => Action::Set {
            name: f.name("name", "the variable", problems),
            value: match f.take("value") {
                Some(field) => value(field.node, &field.place, problems),
                None => {
                    problems.add(&f.place.member("value", 0), "is missing; say what the variable is set to");
                    ValueTemplate::Null
                }
            },
        },
        "screenshot" => Action::Screenshot {
            name: f.name("name", "the picture", problems),
            of: f.optional_target("of", "the element to show", problems),
            full: f.flag("full", problems),
        },
        "pdf" => Action::Pdf { name: f.name("name", "the file", problems) },
        "download" => Action::Download {
            click: f.target("click", "the element whose click begins the download", problems),
            name: f.name("name", "the file", problems),
        },
        "assert" => Action::Assert(assert(f, problems)),
        "frame" => {
            Action::Frame { of: f.target("of", "the frame", problems), steps: steps(f, depth + 1, problems) }
        }
        "for_each" => Action::ForEach {
            items: items(f, problems),
            variable: f.name("as", "the variable that holds the item", problems),
            steps: steps(f, depth + 1, problems),
        },
        _ => Action::When {
            target: f.target("target", "the element to look for", problems),
            state: state(f, problems),
            steps: steps(f, depth + 1, problems),
        },
    }
}

fn address(fields: &mut Fields<'_>, problems: &mut Problems) -> Template {
    let remedy = "say which address to open, such as \"https://example.com\"";
    let Some(field) = fields.need("url", remedy, problems) else { return Template::literal("") };
    let Some(template) = field.template(remedy, problems) else { return Template::literal("") };
    let checked = match template.as_literal() {
        Some(text) => names::check_address(text.trim()).map(drop),
        None if template.prefix().is_empty() => Ok(()),
        // The variables come later in the address, so its scheme is known.
        None => match names::scheme_of(template.prefix()) {
            Some(scheme) if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") => Err(
                format!("only http and https addresses may be visited, not {}", quoted(template.source())),
            ),
            Some(_) => Ok(()),
            None => Err(format!(
                "{} is not a whole address; begin it with \"https://\" or with a variable that does",
                quoted(template.source())
            )),
        },
    };
    if let Err(problem) = checked {
        problems.add(&field.place, problem);
    }
    template
}

fn press(fields: &mut Fields<'_>, problems: &mut Problems) -> Key {
    let remedy = "say which key to press, such as `Enter`, `Escape` or `Control+A`";
    let stand_in = Key::enter;
    let Some(field) = fields.need("key", remedy, problems) else { return stand_in() };
    let Some(text) = field.text(remedy, problems) else { return stand_in() };
    Key::parse(text).unwrap_or_else(|problem| {
        problems.add(&field.place, problem);
        stand_in()
    })
}

fn file_name(fields: &mut Fields<'_>, problems: &mut Problems) -> String {
    let remedy = "say what the file is called, such as \"a.txt\"";
    let Some(field) = fields.need("name", remedy, problems) else { return String::new() };
    let Some(text) = field.text(remedy, problems) else { return String::new() };
    if !names::is_file_name(text) {
        problems.add(
            &field.place,
            format!("{} is no name of a file; it has 1 to 128 bytes and no slashes", quoted(text)),
        );
    }
    text.to_owned()
}

/// `wait: 500ms`
fn pause(node: &Node, place: &Place, problems: &mut Problems) -> Wait {
    let field = Field { place: place.clone(), node };
    if let Value::Text(text) = &node.value
        && !text.starts_with(|c: char| c.is_ascii_digit())
    {
        let remedy = "to wait for an element write `wait: { for: \"#result\" }`";
        problems.add(place, format!("{} is not a duration such as \"500ms\"; {remedy}", quoted(text)));
        return Wait::Time(LEAST);
    }
    Wait::Time(field.duration(LEAST, MOST, problems).unwrap_or(LEAST))
}

fn wait(fields: &mut Fields<'_>, problems: &mut Problems) -> Wait {
    let given: Vec<&str> = ["for", "text", "url"].into_iter().filter(|name| fields.has(name)).collect();
    if given.len() != 1 {
        problems
            .add(&fields.place, "needs one of `for`, `text` and `url`, or is a duration such as \"500ms\"");
    }
    if fields.has("state") && !fields.has("for") {
        problems
            .add(&fields.place.member("state", 0), "is the state of an element; name the element as `for`");
    }
    match given.first() {
        Some(&"text") => Wait::Text { text: shown(fields, "text", problems) },
        Some(&"url") => Wait::Url { url: shown(fields, "url", problems) },
        Some(_) => Wait::For {
            target: fields.target("for", "the element to wait for", problems),
            state: state(fields, problems),
        },
        None => Wait::Time(LEAST),
    }
}

/// A text to be found, which must not be empty.
fn shown(fields: &mut Fields<'_>, name: &str, problems: &mut Problems) -> Template {
    let remedy = "say which text is to be found";
    let place = fields.place.member(name, 0);
    let errors = problems.count();
    let template = fields.template(name, remedy, problems);
    if template.as_literal().is_some_and(str::is_empty) && problems.count() == errors {
        problems.add(&place, format!("is empty; {remedy}"));
    }
    template
}

fn state(fields: &mut Fields<'_>, problems: &mut Problems) -> State {
    let choice = fields.take("state").and_then(|field| field.choice(&State::ALL, problems));
    choice.unwrap_or(State::Visible)
}

fn extract(fields: &mut Fields<'_>, problems: &mut Problems) -> Extract {
    let facts: Vec<&str> = ["title", "url"].into_iter().filter(|name| fields.has(name)).collect();
    if let Some(fact) = facts.first() {
        for other in ["from", "as", "attribute", "url"] {
            if other != *fact && fields.has(other) {
                problems.add(&fields.place, format!("has both `{fact}` and `{other}`; make two steps"));
            }
        }
        let place = fields.place.member(fact, 0);
        let errors = problems.count();
        if !fields.flag(fact, problems) && problems.count() == errors {
            problems.add(&place, "must be true; leave it out to read an element, which `from` names");
        }
        return if *fact == "title" { Extract::Title } else { Extract::Url };
    }
    let from = fields.target("from", "the element to read", problems);
    Extract::From { from, form: form(fields, problems) }
}

fn form(fields: &mut Fields<'_>, problems: &mut Problems) -> Form {
    let known = Form::NAMES.map(|name| (name, name));
    let attribute = fields.has("attribute");
    let usual = if attribute { "attribute" } else { "text" };
    let chosen = match fields.take("as") {
        Some(field) => field.choice(&known, problems).unwrap_or(usual),
        None => usual,
    };
    let wants = matches!(chosen, "attribute" | "attributes");
    if attribute && !wants {
        let place = fields.place.member("attribute", 0);
        problems.add(&place, "goes with `as: attribute` or `as: attributes` only");
        return Form::Text;
    }
    let remedy = "say which attribute, such as `href`";
    let name = if wants { fields.text("attribute", remedy, problems).unwrap_or("href") } else { "" };
    if wants
        && (name.is_empty()
            || name.len() > 100
            || name.contains(|c: char| c.is_whitespace() || c.is_control()))
    {
        problems
            .add(&fields.place.member("attribute", 0), format!("{} is no attribute; {remedy}", quoted(name)));
    }
    match chosen {
        "html" => Form::Html,
        "value" => Form::Value,
        "texts" => Form::Texts,
        "table" => Form::Table,
        "count" => Form::Count,
        "attribute" => Form::Attribute(name.to_owned()),
        "attributes" => Form::Attributes(name.to_owned()),
        _ => Form::Text,
    }
}

fn assert(fields: &mut Fields<'_>, problems: &mut Problems) -> Assert {
    let kinds = ["text", "count", "state", "url", "title"];
    let given: Vec<&str> = kinds.into_iter().filter(|name| fields.has(name)).collect();
    let what = "the element to look at";
    let kind = match given.as_slice() {
        [kind] => *kind,
        [] if fields.has("target") => {
            problems.add(&fields.place, "says nothing of its target; add `text`, `count` or `state`");
            "state"
        }
        [] => {
            problems.add(&fields.place, format!("is empty; give one of {}", listed(&kinds)));
            return Assert::Url { url: Template::literal("") };
        }
        [first, ..] => {
            problems.add(&fields.place, format!("demands {}; make a step of each", listed(&given)));
            first
        }
    };
    if matches!(kind, "url" | "title") && fields.has("target") {
        problems.add(
            &fields.place.member("target", 0),
            format!("does not go with `{kind}`, which is the page's"),
        );
    }
    match kind {
        "text" => Assert::Text {
            target: fields.optional_target("target", what, problems),
            text: shown(fields, "text", problems),
        },
        "count" => Assert::Count {
            target: fields.target("target", what, problems),
            count: fields.count("count", 1_000_000, problems).unwrap_or(0),
        },
        "url" => Assert::Url { url: shown(fields, "url", problems) },
        "title" => Assert::Title { title: shown(fields, "title", problems) },
        _ => {
            Assert::State { target: fields.target("target", what, problems), state: state(fields, problems) }
        }
    }
}

fn dialog(node: &Node, place: &Place, problems: &mut Problems) -> Dialog {
    let remedy = "write `accept`, `dismiss`, or `{ accept: \"the answer\" }`";
    match &node.value {
        Value::Text(text) if text == "accept" => Dialog::Accept(None),
        Value::Text(text) if text == "dismiss" => Dialog::Dismiss,
        Value::Map(_) => {
            let Some(mut fields) = Fields::of_map(node, place, &["accept"], problems) else {
                return Dialog::Dismiss;
            };
            Dialog::Accept(Some(fields.template("accept", "say what the answer is", problems)))
        }
        Value::Text(text) => {
            problems.add(place, format!("{} is not known; {remedy}", quoted(text)));
            Dialog::Dismiss
        }
        other => {
            problems.add(place, format!("must be text or a map, not {}; {remedy}", other.kind()));
            Dialog::Dismiss
        }
    }
}

fn items(fields: &mut Fields<'_>, problems: &mut Problems) -> ValueTemplate {
    let remedy = "give a list, or one variable that holds a list: \"{{words}}\"";
    let Some(field) = fields.need("in", remedy, problems) else { return ValueTemplate::Null };
    let items = value(field.node, &field.place, problems);
    match &items {
        ValueTemplate::List(list) if list.len() > super::MAX_ITEMS => {
            let most = super::MAX_ITEMS;
            problems.add(&field.place, format!("has {} items; a loop has at most {most}", list.len()));
        }
        ValueTemplate::List(_) => {}
        ValueTemplate::Text(template) if template.as_variable().is_some() => {}
        ValueTemplate::Text(template) => {
            problems.add(&field.place, format!("{} is text; {remedy}", quoted(template.source())));
        }
        _ => problems.add(&field.place, format!("must be a list, not {}; {remedy}", field.node.value.kind())),
    }
    items
}

fn value(node: &Node, place: &Place, problems: &mut Problems) -> ValueTemplate {
    match &node.value {
        Value::Null => ValueTemplate::Null,
        Value::Bool(is, _) => ValueTemplate::Bool(*is),
        Value::Number(number, _) => ValueTemplate::Number(number.clone()),
        Value::Text(text) => match Template::parse(text) {
            Ok(template) => ValueTemplate::Text(template),
            Err(problem) => {
                problems.add(place, problem);
                ValueTemplate::Null
            }
        },
        Value::List(items) => ValueTemplate::List(
            items
                .iter()
                .enumerate()
                .map(|(i, item)| value(item, &place.item(i, item.line), problems))
                .collect(),
        ),
        Value::Map(members) => {
            let read = |member: &super::node::Member| {
                let place = place.member(&member.name, member.line);
                (member.name.clone(), value(&member.node, &place, problems))
            };
            ValueTemplate::Map(members.iter().map(read).collect::<BTreeMap<_, _>>())
        }
    }
}
