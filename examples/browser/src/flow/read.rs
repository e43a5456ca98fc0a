//! A tree of values read as a workflow; every error is noted, with its place.

use std::time::Duration;

use serde_json::{Map, Value as Json};

use super::error::{FlowErrors, Place, Problems, quoted};
use super::fields::{Fields, MAX_FIELDS, listed, unknown};
use super::model::Flow;
use super::names::{self, NAME_RULE};
use super::node::{Node, Value};
use super::step::{Action, Step, Wait};
use super::{check, read_action, suggest};

const FLOW_FIELDS: [&str; 4] = ["name", "inputs", "time", "steps"];
pub(crate) const COMMON: [&str; 4] = ["name", "within", "optional", "retries"];
pub(crate) const LEAST: Duration = Duration::from_millis(1);
pub(crate) const MOST: Duration = Duration::from_hours(1);
const MAX_RETRIES: u64 = 10;

/// Reads and checks a workflow.
pub(crate) fn flow(node: &Node) -> Result<Flow, FlowErrors> {
    let mut problems = Problems::default();
    let root = Place { path: String::new(), line: node.line };
    let Some(mut fields) = Fields::of_map(node, &root, &FLOW_FIELDS, &mut problems) else {
        let found = node.value.kind();
        let remedy = "write `name:` and `steps:`, as the examples do";
        return Err(FlowErrors::whole(
            (node.line > 0).then_some(node.line),
            format!("a workflow is a map, not {found}; {remedy}"),
        ));
    };
    let name = flow_name(&mut fields, &mut problems);
    let inputs = inputs(&mut fields, &mut problems);
    let time = fields.duration("time", Duration::from_secs(1), MOST, &mut problems);
    let steps = steps(&mut fields, 0, &mut problems);
    let flow = Flow { name, inputs, time: time.unwrap_or(super::USUAL_TIME), steps };
    check::flow(&flow, &mut problems);
    problems.into_result(flow)
}

fn flow_name(fields: &mut Fields<'_>, problems: &mut Problems) -> String {
    let remedy = "say what the workflow is called, in 1 to 64 characters";
    let Some(field) = fields.need("name", remedy, problems) else { return String::new() };
    let name = field.text(remedy, problems).unwrap_or("-").trim();
    if !(1..=64).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        problems.add(&field.place, format!("{} will not do; {remedy}", quoted(name)));
    }
    name.to_owned()
}

fn inputs(fields: &mut Fields<'_>, problems: &mut Problems) -> Map<String, Json> {
    let mut inputs = Map::new();
    let Some(field) = fields.take("inputs") else { return inputs };
    let members = match &field.node.value {
        Value::Map(members) => members.as_slice(),
        Value::Null => &[],
        other => {
            let found = other.kind();
            problems.add(&field.place, format!("must be a map of variables and their defaults, not {found}"));
            &[]
        }
    };
    for member in members {
        let place = field.place.member(&member.name, member.line);
        problems.line_of(&place);
        if !names::is_name(&member.name) {
            problems.add(&place, format!("{} is no name; {NAME_RULE}", quoted(&member.name)));
        }
        if has_variable(&member.node) {
            problems.add(&place, "a default cannot use variables; use a `set` step for that");
        }
        inputs.insert(member.name.clone(), plain(&member.node));
    }
    if let Err(problem) = super::compile::check_size(&inputs) {
        problems.add(&field.place, problem);
    }
    inputs
}

fn has_variable(node: &Node) -> bool {
    match &node.value {
        Value::Text(text) => text.contains("{{"),
        Value::List(items) => items.iter().any(has_variable),
        Value::Map(members) => members.iter().any(|member| has_variable(&member.node)),
        _ => false,
    }
}

fn plain(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Text(text) => Json::String(text.clone()),
        Value::Bool(is, _) => Json::Bool(*is),
        Value::Number(number, _) => Json::Number(number.clone()),
        Value::List(items) => Json::Array(items.iter().map(plain).collect()),
        Value::Map(members) => {
            Json::Object(members.iter().map(|member| (member.name.clone(), plain(&member.node))).collect())
        }
    }
}

/// The steps of a workflow, or those inside of a step at `depth`.
pub(crate) fn steps(fields: &mut Fields<'_>, depth: usize, problems: &mut Problems) -> Vec<Step> {
    let remedy = "list what is to be done, each step after a dash: `- click: \"#go\"`";
    let Some(field) = fields.need("steps", remedy, problems) else { return Vec::new() };
    let items = match &field.node.value {
        Value::List(items) if !items.is_empty() => items,
        Value::List(_) => {
            problems.add(&field.place, format!("is empty; {remedy}"));
            return Vec::new();
        }
        other => {
            problems.add(&field.place, format!("must be a list, not {}; {remedy}", other.kind()));
            return Vec::new();
        }
    };
    if depth > super::MAX_NESTING {
        let most = super::MAX_NESTING;
        problems.add(
            &field.place,
            format!("steps may lie at most {most} deep in one another; take one level out"),
        );
        return Vec::new();
    }
    let read = |(i, item): (usize, &Node)| step(item, &field.place.item(i, item.line), depth, problems);
    items.iter().enumerate().map(read).collect()
}

fn step(node: &Node, place: &Place, depth: usize, problems: &mut Problems) -> Step {
    problems.line_of(place);
    let mut step = Step::new(Action::Wait(Wait::Time(LEAST)));
    step.line = node.line;
    let Value::Map(members) = &node.value else {
        let found = match &node.value {
            Value::Text(text) => quoted(text),
            other => other.kind().to_owned(),
        };
        problems.add(place, format!("a step is a map such as `click: \"#go\"`, not {found}"));
        return step;
    };
    if members.len() > MAX_FIELDS {
        problems.add(place, format!("has {} fields; make a step of each thing to do", members.len()));
        return step;
    }
    let action = |name: &str| read_action::KEYS.into_iter().find(|key| *key == name);
    let known: Vec<&str> = read_action::KEYS.into_iter().chain(COMMON).collect();
    let given = |name: &str| members.iter().any(|member| member.name == name);
    let mut found: Option<(&'static str, &super::node::Member)> = None;
    let mut misread = false;
    for member in members {
        let here = place.member(&member.name, member.line);
        problems.line_of(&here);
        if let Some(key) = action(&member.name) {
            match found {
                Some((first, _)) => {
                    problems.add(
                        &here,
                        format!("a step does one thing, and this has `{first}` too; make two steps"),
                    );
                }
                None => found = Some((key, member)),
            }
        } else if !COMMON.contains(&member.name.as_str()) {
            let around = members.iter().find_map(|other| {
                let key = action(&other.name)?;
                read_action::fields_of(key).contains(&member.name.as_str()).then_some(key)
            });
            if let Some(key) = around {
                misread = true;
                problems.add(&here, format!("is a field of `{key}`; indent it further than `{key}`"));
                continue;
            }
            let near = suggest::nearest(&member.name, known.iter().copied());
            problems.add(&here, unknown("an action", near, &read_action::KEYS));
            misread = true;
            // Read as what was meant, so that what is inside is checked too.
            if let Some(key) = near.and_then(action)
                && !given(key)
                && found.is_none()
            {
                found = Some((key, member));
            }
        }
    }
    let common: Vec<&'static str> = COMMON.to_vec();
    if let Some(mut fields) = common_fields(node, place, &common) {
        step.name = fields.take("name").and_then(|field| {
            let name = field.text("say what the step is called", problems)?;
            if !(1..=64).contains(&name.chars().count()) {
                problems.add(
                    &field.place,
                    format!("{} will not do; a step's name has 1 to 64 characters", quoted(name)),
                );
            }
            Some(name.to_owned())
        });
        step.within = fields.duration("within", LEAST, MOST, problems);
        step.optional = fields.flag("optional", problems);
        let retries = fields.count("retries", MAX_RETRIES, problems).unwrap_or(0);
        step.retries = u8::try_from(retries).unwrap_or(u8::MAX);
    }
    match found {
        // What is inside was put beside the action by its indentation; nothing more can be said of it.
        Some((_, member)) if misread && matches!(member.node.value, Value::Null) => {}
        Some((key, member)) => {
            let here = place.member(&member.name, member.line);
            read_action::read(key, &member.node, &here, depth, &mut step, problems);
        }
        None if misread => {}
        None => {
            problems.add(place, format!("has no action; a step has one of {}", listed(&read_action::KEYS)));
        }
    }
    step
}

/// The keys that every step may have; those of actions are left out.
fn common_fields<'n>(node: &'n Node, place: &Place, known: &[&'static str]) -> Option<Fields<'n>> {
    // Unknown names were reported by the caller.
    Fields::of_map(node, place, known, &mut Problems::default())
}
