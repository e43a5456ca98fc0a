//! The actions, read from their short and long forms.

use std::collections::BTreeMap;

use super::error::{Place, Problems, quoted};
use super::fields::{Fields, listed};
use super::key::Key;
use super::node::{Node, Value};
use super::read::{LEAST, MOST, steps};
use super::step::{Action, Dialog, Step};
use super::template::Template;
use super::value::ValueTemplate;
use super::{names, read_look};

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
        step.action = Action::Wait(read_look::pause(node, place, problems));
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
        "wait" => Action::Wait(read_look::wait(f, problems)),
        "extract" => {
            let name = f.name("name", "the variable that holds the result", problems);
            Action::Extract { name, what: read_look::extract(f, problems) }
        }
        "set" => Action::Set { name: f.name("name", "the variable", problems), value: given(f, problems) },
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
        "assert" => Action::Assert(read_look::assert(f, problems)),
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
            state: read_look::state(f, problems),
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

/// What `set` sets; nothing may be set, but not left out.
fn given(fields: &mut Fields<'_>, problems: &mut Problems) -> ValueTemplate {
    if let Some(field) = fields.take("value") {
        return value(field.node, &field.place, problems);
    }
    problems.add(&fields.place.member("value", 0), "is missing; say what the variable is set to");
    ValueTemplate::Null
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
