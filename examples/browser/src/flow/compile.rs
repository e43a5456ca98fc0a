//! A checked workflow, ready to be run any number of times.

use std::time::Duration;

use serde_json::{Map, Value};

use super::error::{FlowErrors, Place, Problems};
use super::model::Flow;
use super::scope::{Scope, kind};
use super::step::{Action, Step};
use super::suggest;
use super::value::ValueTemplate;

/// The inputs of a workflow or of a run, written as JSON, in bytes.
pub const MAX_INPUTS: usize = 64 << 10;
/// How deep an input's lists and maps may lie in one another.
const MAX_INPUT_DEPTH: usize = 32;

/// A checked workflow. It does not change, so any number of runs share one behind an `Arc`.
#[derive(Debug, Clone)]
pub struct Compiled {
    flow: Flow,
    digest: String,
    expanded: usize,
}

impl Compiled {
    /// Checks a workflow, also one that was put together by hand, and names it by its contents.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn new(flow: &Flow) -> Result<Self, FlowErrors> {
        let unfit =
            |error: serde_json::Error| FlowErrors::whole(None, format!("cannot be written as JSON: {error}"));
        let value = serde_json::to_value(flow).map_err(unfit)?;
        let canonical = serde_json::to_vec(&value).map_err(unfit)?;
        // What was put together by hand is held to the same rules as what was written.
        Flow::from_value(value)?;
        Ok(Self {
            digest: blake3::hash(&canonical).to_hex().to_string(),
            expanded: expanded(&flow.steps),
            flow: flow.clone(),
        })
    }

    /// Reads and checks a workflow's text; see [`Flow::parse`].
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, FlowErrors> {
        Self::new(&Flow::parse(text)?)
    }

    /// The workflow itself.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.flow.name
    }

    /// The time limit of a whole run.
    pub fn time(&self) -> Duration {
        self.flow.time
    }

    /// What is done, in this order.
    pub fn steps(&self) -> &[Step] {
        &self.flow.steps
    }

    /// The inputs and their defaults; `null` must be given.
    pub fn inputs(&self) -> &Map<String, Value> {
        &self.flow.inputs
    }

    /// BLAKE3 of the workflow's contents in hexadecimal; the same for two texts that mean the same.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// How many steps a run takes at least: a loop over a variable counts once. At most
    /// [`MAX_EXPANDED`](super::MAX_EXPANDED).
    pub fn step_count(&self) -> usize {
        self.expanded
    }

    /// The values that a run begins with: the defaults, and over them what the run was given.
    ///
    /// # Errors
    ///
    /// Inputs that the workflow does not have, that must be given and are not, that are of another kind than their
    /// default (a list, a map, or neither), or that are larger than 64 KiB together.
    pub fn bind(&self, given: Map<String, Value>) -> Result<Scope, FlowErrors> {
        let root = Place::default().member("inputs", 0);
        let mut problems = Problems::default();
        if let Err(problem) = check_size(&given) {
            return Err(FlowErrors::too_large(None, format!("inputs: {problem}")));
        }
        let known = || self.flow.inputs.keys().map(String::as_str);
        let mut scope = Scope::new();
        for (name, default) in &self.flow.inputs {
            if !default.is_null() {
                scope.set(name, default.clone());
            }
        }
        for (name, value) in given {
            let at = root.member(&name, 0);
            let Some(default) = self.flow.inputs.get(&name) else {
                // To look for a similar name is dear.
                let near = || super::fields::unknown_input(suggest::nearest(&name, known()), known());
                let problem = if problems.is_full() { String::new() } else { near() };
                problems.add(&at, problem);
                continue;
            };
            let shape = |value: &Value| (value.is_array(), value.is_object());
            if value.is_null() {
                // Nothing is as good as not given.
            } else if !default.is_null() && shape(default) != shape(&value) {
                problems
                    .add(&at, format!("must be {}, as its default is, not {}", kind(default), kind(&value)));
            } else {
                scope.set(name, value);
            }
        }
        for name in known().filter(|name| scope.get(name).is_none()) {
            let already = problems.has(&root.member(name, 0));
            if !already {
                problems
                    .add(&root.member(name, 0), "is missing; it has no default, so every run must give it");
            }
        }
        problems.into_result(scope)
    }
}

/// How many steps a run takes at least.
pub(crate) fn expanded(steps: &[Step]) -> usize {
    let of = |step: &Step| {
        let inner = step.action.steps().map_or(0, expanded);
        let times = match &step.action {
            Action::ForEach { items: ValueTemplate::List(items), .. } => items.len(),
            _ => 1,
        };
        inner.saturating_mul(times).saturating_add(1)
    };
    steps.iter().map(of).fold(0, usize::saturating_add)
}

/// Whether inputs are small enough; the problem is for people.
pub(crate) fn check_size(inputs: &Map<String, Value>) -> Result<(), String> {
    if !inputs.values().all(|value| shallow(value, MAX_INPUT_DEPTH)) {
        return Err(format!("lists and maps may lie at most {MAX_INPUT_DEPTH} deep in one another"));
    }
    let size = serde_json::to_vec(inputs).map_or(usize::MAX, |text| text.len());
    if size > MAX_INPUTS {
        return Err(format!("come to {size} bytes of JSON; at most {} KiB may be given", MAX_INPUTS >> 10));
    }
    Ok(())
}

fn shallow(value: &Value, depth: usize) -> bool {
    match value {
        Value::Array(items) => depth > 0 && items.iter().all(|item| shallow(item, depth - 1)),
        Value::Object(members) => depth > 0 && members.values().all(|member| shallow(member, depth - 1)),
        _ => true,
    }
}
