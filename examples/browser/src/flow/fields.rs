//! The fields of a map, taken one by one; what is wrong with one is noted, and reading goes on.
//!
//! Every reader gives a value even where the text has none, so that all errors of a file show at once. A workflow
//! with errors is never handed out, so nobody sees these stand-ins.

use std::time::Duration;

use buttress_core::units;

use super::error::{Place, Problems, quoted};
use super::names::{self, NAME_RULE};
use super::node::{Node, Value};
use super::suggest;
use super::target::TargetTemplate;
use super::template::Template;

/// More fields than any map of a workflow knows.
pub(crate) const MAX_FIELDS: usize = 32;

/// A field's value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Field<'n> {
    pub(crate) place: Place,
    pub(crate) node: &'n Node,
}

/// The fields of a map that have not been read yet.
#[derive(Debug)]
pub(crate) struct Fields<'n> {
    pub(crate) place: Place,
    left: Vec<(&'n str, Field<'n>)>,
}

impl<'n> Fields<'n> {
    /// The fields of `node`, which must be a map and have no fields but the `known` ones.
    pub(crate) fn of_map(
        node: &'n Node,
        place: &Place,
        known: &[&'static str],
        problems: &mut Problems,
    ) -> Option<Self> {
        let Value::Map(members) = &node.value else { return None };
        let crowded = members.len() > MAX_FIELDS;
        if crowded {
            problems.add(place, format!("has {} fields; there are only {}", members.len(), listed(known)));
        }
        let mut left: Vec<(&'n str, Field<'n>)> = Vec::new();
        for member in members {
            let place = place.member(&member.name, member.line);
            problems.line_of(&place);
            let given = |name: &str| members.iter().any(|other| other.name == name);
            let mut name = member.name.as_str();
            if !known.contains(&name) {
                if crowded {
                    continue;
                }
                let near = suggest::nearest(name, known.iter().copied());
                problems.add(&place, unknown("a field", near, known));
                match near {
                    // Read as what was meant, so that nothing is said to be missing besides.
                    Some(near) if !given(near) => name = near,
                    _ => continue,
                }
            }
            if !left.iter().any(|(taken, _)| *taken == name) {
                left.push((name, Field { place, node: &member.node }));
            }
        }
        Some(Self { place: place.clone(), left })
    }

    /// The short form of an action: its main field alone, at the action's own place.
    pub(crate) fn of_main(name: &'static str, node: &'n Node, place: &Place) -> Self {
        Self { place: place.clone(), left: vec![(name, Field { place: place.clone(), node })] }
    }

    /// The field, if it is given; the names are those of the text.
    pub(crate) fn take(&mut self, name: &str) -> Option<Field<'n>> {
        let at = self.left.iter().position(|(taken, _)| *taken == name)?;
        Some(self.left.swap_remove(at).1)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.left.iter().any(|(taken, _)| *taken == name)
    }

    /// The field, which must be given.
    pub(crate) fn need(&mut self, name: &str, remedy: &str, problems: &mut Problems) -> Option<Field<'n>> {
        let field = self.take(name);
        match &field {
            Some(Field { place, node: Node { value: Value::Null, .. } }) => {
                problems.add(place, format!("is empty; {remedy}"));
                return None;
            }
            None => problems.add(&self.place.member(name, 0), format!("is missing; {remedy}")),
            Some(_) => {}
        }
        field
    }

    pub(crate) fn text(&mut self, name: &str, remedy: &str, problems: &mut Problems) -> Option<&'n str> {
        self.need(name, remedy, problems)?.text(remedy, problems)
    }

    pub(crate) fn template(&mut self, name: &str, remedy: &str, problems: &mut Problems) -> Template {
        let read = self.need(name, remedy, problems).and_then(|field| field.template(remedy, problems));
        read.unwrap_or_else(|| Template::literal(""))
    }

    pub(crate) fn target(&mut self, name: &str, what: &str, problems: &mut Problems) -> TargetTemplate {
        let remedy = target_remedy(what);
        let read = self.need(name, &remedy, problems).and_then(|field| field.target(&remedy, problems));
        read.unwrap_or_else(stand_in)
    }

    pub(crate) fn optional_target(
        &mut self,
        name: &str,
        what: &str,
        problems: &mut Problems,
    ) -> Option<TargetTemplate> {
        let remedy = target_remedy(what);
        self.take(name).map(|field| field.target(&remedy, problems).unwrap_or_else(stand_in))
    }

    /// The name of a variable or of a result.
    pub(crate) fn name(&mut self, name: &str, what: &str, problems: &mut Problems) -> String {
        let remedy = format!("name {what}; {NAME_RULE}");
        let Some(field) = self.need(name, &remedy, problems) else { return String::new() };
        let Some(text) = field.text(&remedy, problems) else { return String::new() };
        if !names::is_name(text) {
            problems.add(&field.place, format!("{} is no name; {NAME_RULE}", quoted(text)));
        }
        text.to_owned()
    }

    pub(crate) fn flag(&mut self, name: &str, problems: &mut Problems) -> bool {
        let Some(field) = self.take(name) else { return false };
        match &field.node.value {
            Value::Bool(is, _) => *is,
            Value::Text(text) => {
                problems.add(&field.place, format!("must be true or false, not {}", quoted(text)));
                false
            }
            other => {
                problems.add(&field.place, format!("must be true or false, not {}", other.kind()));
                false
            }
        }
    }

    /// A whole number up to `most`.
    pub(crate) fn count(&mut self, name: &str, most: u64, problems: &mut Problems) -> Option<u64> {
        let field = self.take(name)?;
        let count = match &field.node.value {
            Value::Number(number, _) => number.as_u64().filter(|count| *count <= most),
            _ => None,
        };
        if count.is_none() {
            problems.add(&field.place, format!("must be a whole number from 0 to {most}"));
        }
        Some(count.unwrap_or(0))
    }

    /// A time limit from `least` to `most`.
    pub(crate) fn duration(
        &mut self,
        name: &str,
        least: Duration,
        most: Duration,
        problems: &mut Problems,
    ) -> Option<Duration> {
        let field = self.take(name)?;
        Some(field.duration(least, most, problems).unwrap_or(least))
    }
}

impl<'n> Field<'n> {
    /// Text, or a number or a truth value as it is spelled.
    pub(crate) fn text(&self, remedy: &str, problems: &mut Problems) -> Option<&'n str> {
        match &self.node.value {
            Value::Text(text) | Value::Number(_, text) | Value::Bool(_, text) => Some(text),
            // Unquoted braces are a map to YAML: {{word}} is a map whose only name is a map.
            Value::Null => {
                problems.add(&self.place, format!("is empty; {remedy}"));
                None
            }
            other => {
                problems.add(&self.place, format!("must be text, not {}; {remedy}", other.kind()));
                None
            }
        }
    }

    pub(crate) fn template(&self, remedy: &str, problems: &mut Problems) -> Option<Template> {
        let text = self.text(remedy, problems)?;
        Template::parse(text).map_err(|problem| problems.add(&self.place, problem)).ok()
    }

    pub(crate) fn target(&self, remedy: &str, problems: &mut Problems) -> Option<TargetTemplate> {
        let text = self.text(remedy, problems)?;
        TargetTemplate::parse(text).map_err(|problem| problems.add(&self.place, problem)).ok()
    }

    pub(crate) fn duration(
        &self,
        least: Duration,
        most: Duration,
        problems: &mut Problems,
    ) -> Option<Duration> {
        let problem = match &self.node.value {
            Value::Number(_, spelling) => {
                format!("{} has no unit; write \"{spelling}s\" or \"{spelling}ms\"", quoted(spelling))
            }
            Value::Text(text) => match units::parse_duration(text) {
                Ok(duration) if (least..=most).contains(&duration) => return Some(duration),
                Ok(_) => format!(
                    "{} is out of bounds; write \"{}\" to \"{}\"",
                    quoted(text),
                    units::format_duration(least),
                    units::format_duration(most)
                ),
                Err(_) => format!(
                    "{} is not a duration; write it like \"500ms\", \"5s\" or \"1m30s\"",
                    quoted(text)
                ),
            },
            other => format!("must be a duration such as \"5s\", not {}", other.kind()),
        };
        problems.add(&self.place, problem);
        None
    }

    /// The choice of a word among `known`.
    pub(crate) fn choice<T: Clone>(&self, known: &[(&'static str, T)], problems: &mut Problems) -> Option<T> {
        let names: Vec<&'static str> = known.iter().map(|(name, _)| *name).collect();
        let text = self.text(&format!("choose {}", listed(&names)), problems)?;
        if let Some((_, value)) = known.iter().find(|(name, _)| *name == text) {
            return Some(value.clone());
        }
        let near = suggest::nearest(text, names.iter().copied());
        problems.add(
            &self.place,
            match near {
                Some(near) => format!("{} is not known; did you mean `{near}`?", quoted(text)),
                None => format!("{} is not known; choose {}", quoted(text), listed(&names)),
            },
        );
        let meant = known.iter().find(|(name, _)| Some(*name) == near);
        meant.map(|(_, value)| value.clone())
    }
}

/// How to name an element, after what it is for.
pub(crate) fn target_remedy(what: &str) -> String {
    format!("name {what}, as a CSS selector (\"#email\") or text (\"text=E-mail\")")
}

fn stand_in() -> TargetTemplate {
    TargetTemplate::literal(&super::target::Target::Css("*".to_owned()))
}

/// A name that is not known, and what would do.
pub(crate) fn unknown(what: &str, near: Option<&str>, known: &[&str]) -> String {
    match near {
        Some(near) => format!("is not {what}; did you mean `{near}`?"),
        None => format!("is not {what}; there are {}", listed(known)),
    }
}

/// An input that the workflow does not have; of many, 20 are told.
pub(crate) fn unknown_input<'a>(near: Option<&str>, known: impl Iterator<Item = &'a str>) -> String {
    unknown("an input of the workflow", near, &known.take(20).collect::<Vec<_>>())
}

/// `` `a`, `b` and `c` ``
pub(crate) fn listed(names: &[&str]) -> String {
    match names {
        [] => "none".to_owned(),
        [one] => format!("`{one}`"),
        [most @ .., last] => {
            let most: Vec<String> = most.iter().map(|name| format!("`{name}`")).collect();
            format!("{} and `{last}`", most.join(", "))
        }
    }
}
