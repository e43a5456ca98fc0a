//! The actions that look at a page, read: `wait`, `extract` and `assert`.

use super::error::{Place, Problems, quoted};
use super::fields::{Field, Fields, listed};
use super::node::{Node, Value};
use super::read::{LEAST, MOST};
use super::step::{Assert, Extract, Form, State, Wait};
use super::template::Template;

/// `wait: 500ms`
pub(crate) fn pause(node: &Node, place: &Place, problems: &mut Problems) -> Wait {
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

pub(crate) fn wait(fields: &mut Fields<'_>, problems: &mut Problems) -> Wait {
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

pub(crate) fn state(fields: &mut Fields<'_>, problems: &mut Problems) -> State {
    let choice = fields.take("state").and_then(|field| field.choice(&State::ALL, problems));
    choice.unwrap_or(State::Visible)
}

pub(crate) fn extract(fields: &mut Fields<'_>, problems: &mut Problems) -> Extract {
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

pub(crate) fn assert(fields: &mut Fields<'_>, problems: &mut Problems) -> Assert {
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
