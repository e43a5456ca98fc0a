//! Checks across steps: variables have values before they are used, and loops stay within bounds.

use std::collections::{BTreeMap, BTreeSet};

use super::error::{Place, Problems, quoted};
use super::model::Flow;
use super::scope::Path;
use super::step::{Action, Assert, Dialog, Extract, Step, Wait};
use super::suggest;
use super::target::TargetTemplate;
use super::value::ValueTemplate;
use super::{MAX_EXPANDED, compile};

/// Notes what is wrong across the steps of a workflow.
pub(crate) fn flow(flow: &Flow, problems: &mut Problems) {
    let mut all = BTreeMap::new();
    definitions(&flow.steps, &Place::default().member("steps", 0), &mut all);
    let known = flow.inputs.keys().map(String::as_str).collect();
    let mut checker = Checker { flow, problems, known, all };
    checker.steps(&flow.steps, &Place::default().member("steps", 0));
    let expanded = compile::expanded(&flow.steps);
    if expanded > MAX_EXPANDED {
        let problem = format!(
            "come to {expanded} when the loops are run; at most {MAX_EXPANDED} may; use shorter lists or two workflows"
        );
        problems.add(&Place::default().member("steps", 0), problem);
    }
}

/// A step that gives a variable its value.
struct Definition {
    path: String,
    looped: bool,
}

fn definitions<'f>(steps: &'f [Step], list: &Place, all: &mut BTreeMap<&'f str, Definition>) {
    for (i, step) in steps.iter().enumerate() {
        let place = list.item(i, step.line);
        let defined = match &step.action {
            Action::Extract { name, .. } | Action::Set { name, .. } => Some((name, false)),
            Action::ForEach { variable, .. } => Some((variable, true)),
            _ => None,
        };
        if let Some((name, looped)) = defined {
            all.entry(name).or_insert_with(|| Definition { path: place.path.clone(), looped });
        }
        if let Some(inner) = step.action.steps() {
            definitions(inner, &place.member(step.action.key(), 0).member("steps", 0), all);
        }
    }
}

struct Checker<'f, 'p> {
    flow: &'f Flow,
    problems: &'p mut Problems,
    /// The variables that may have a value here.
    known: BTreeSet<&'f str>,
    /// Every variable that any step gives a value.
    all: BTreeMap<&'f str, Definition>,
}

impl<'f> Checker<'f, '_> {
    fn steps(&mut self, steps: &'f [Step], list: &Place) {
        for (i, step) in steps.iter().enumerate() {
            let place = list.item(i, step.line).member(step.action.key(), 0);
            uses(&step.action, &mut |field, path| {
                let at = if field.is_empty() { place.clone() } else { place.member(field, 0) };
                self.used(path, &at);
            });
            match &step.action {
                Action::Extract { name, .. } | Action::Set { name, .. } => {
                    self.known.insert(name);
                }
                Action::ForEach { items, variable, steps } => {
                    self.looped(items, &place);
                    let fresh = self.known.insert(variable);
                    if !fresh && !variable.is_empty() {
                        let problem =
                            format!("{} is a variable already; choose another name", quoted(variable));
                        self.problems.add(&place.member("as", 0), problem);
                    }
                    self.steps(steps, &place.member("steps", 0));
                    if fresh {
                        self.known.remove(variable.as_str());
                    }
                }
                Action::Frame { steps, .. } | Action::When { steps, .. } => {
                    self.steps(steps, &place.member("steps", 0));
                }
                _ => {}
            }
        }
    }

    fn used(&mut self, path: &Path, at: &Place) {
        let name = path.variable();
        if self.known.contains(name) {
            return;
        }
        if self.problems.is_full() {
            // To look for a similar name is dear.
            self.problems.add(at, "");
            return;
        }
        let shown = quoted(name);
        let problem = match self.all.get(name) {
            Some(Definition { path, .. }) if at.path.starts_with(&format!("{path}.")) => {
                format!("{shown} has no value yet in the step that gives it one; set it in a step above")
            }
            Some(Definition { path, looped: true }) => {
                format!("{shown} has a value only inside of {path}; move this step into it")
            }
            Some(Definition { path, looped: false }) => {
                format!("{shown} is used before {path} gives it a value; move this step below it")
            }
            None => {
                let near = suggest::nearest(name, self.known.iter().copied());
                let near = near.or_else(|| suggest::nearest(name, self.all.keys().copied()));
                match near {
                    Some(near) => format!("the variable {shown} is not known; did you mean `{near}`?"),
                    None => format!(
                        "the variable {shown} is not known; add it to `inputs`, or set or extract it in a step above"
                    ),
                }
            }
        };
        self.problems.add(at, problem);
    }

    /// An input whose default is no list cannot be gone through, unless a step gives it another value.
    fn looped(&mut self, items: &ValueTemplate, place: &Place) {
        let ValueTemplate::Text(template) = items else { return };
        let Some(path) = template.as_variable().filter(|path| path.is_whole()) else { return };
        let Some(default) = self.flow.inputs.get(path.variable()) else { return };
        let set = self.all.contains_key(path.variable());
        if !set && !default.is_array() && !default.is_null() {
            let found = super::scope::kind(default);
            let problem = format!(
                "the input {} is {found}; make its default a list, such as [a, b]",
                quoted(path.variable())
            );
            self.problems.add(&place.member("in", 0), problem);
        }
    }
}

/// Visits the variables that an action itself uses, each with the field it stands in. Fields of short forms have no
/// name.
fn uses(action: &Action, visit: &mut dyn FnMut(&'static str, &Path)) {
    match action {
        Action::Goto(url) => url.variables().for_each(|path| visit("", path)),
        Action::Click(target) => target.variables().for_each(|path| visit("", path)),
        Action::Type { into, text, .. } => {
            into.variables().for_each(|path| visit("into", path));
            text.variables().for_each(|path| visit("text", path));
        }
        Action::Select { from, value } => {
            from.variables().for_each(|path| visit("from", path));
            value.variables().for_each(|path| visit("value", path));
        }
        Action::Upload { to, text, .. } => {
            to.variables().for_each(|path| visit("to", path));
            text.variables().for_each(|path| visit("text", path));
        }
        Action::Wait(wait) => match wait {
            Wait::Time(_) => {}
            Wait::For { target, .. } => target.variables().for_each(|path| visit("for", path)),
            Wait::Text { text } => text.variables().for_each(|path| visit("text", path)),
            Wait::Url { url } => url.variables().for_each(|path| visit("url", path)),
        },
        Action::Extract { what: Extract::From { from, .. }, .. } => {
            from.variables().for_each(|path| visit("from", path));
        }
        Action::Set { value, .. } => value.variables(&mut |path| visit("value", path)),
        Action::Screenshot { of: Some(of), .. } | Action::Frame { of, .. } => {
            of.variables().for_each(|path| visit("of", path));
        }
        Action::Download { click, .. } => click.variables().for_each(|path| visit("click", path)),
        Action::Assert(assert) => match assert {
            Assert::Text { target, text } => {
                target.iter().flat_map(TargetTemplate::variables).for_each(|path| visit("target", path));
                text.variables().for_each(|path| visit("text", path));
            }
            Assert::Count { target, .. } | Assert::State { target, .. } => {
                target.variables().for_each(|path| visit("target", path));
            }
            Assert::Url { url } => url.variables().for_each(|path| visit("url", path)),
            Assert::Title { title } => title.variables().for_each(|path| visit("title", path)),
        },
        Action::Dialog(Dialog::Accept(Some(answer))) => {
            answer.variables().for_each(|path| visit("accept", path));
        }
        Action::ForEach { items, .. } => items.variables(&mut |path| visit("in", path)),
        Action::When { target, .. } => target.variables().for_each(|path| visit("target", path)),
        Action::Press(_)
        | Action::Pdf { .. }
        | Action::Extract { .. }
        | Action::Screenshot { .. }
        | Action::Dialog(_) => {}
    }
}
