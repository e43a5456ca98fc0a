//! Checks of conditions, before a policy is used.

use std::collections::BTreeMap;

use buttress_core::Violations;

use super::attributes::{Attribute, Kind, Value};
use super::condition::{Condition, Operand};

/// The most nodes and constants of one condition, and how deep it may be.
const MOST_NODES: usize = 256;
const DEEPEST: usize = 8;
const LONGEST_TEXT: usize = 256;

/// What attributes there are.
pub(super) struct Types<'a>(pub(super) &'a BTreeMap<Attribute, Kind>);

impl Types<'_> {
    fn kind(&self, attribute: &Attribute) -> Option<Kind> {
        if attribute.is_built_in() { Some(Kind::Text) } else { self.0.get(attribute).copied() }
    }

    /// Says what is wrong with `condition`, which stands at `field`.
    pub(super) fn check(&self, condition: &Condition, field: &str, wrong: &mut Violations) {
        let mut nodes = 0;
        if !fits(condition, 0, &mut nodes) {
            let remedy =
                format!("must be at most {DEEPEST} deep, with at most {MOST_NODES} parts and constants");
            wrong.require(false, field, format_args!("{nodes} parts"), remedy);
            return;
        }
        self.check_part(condition, &mut |value, remedy| wrong.require(false, field, value, remedy));
    }

    /// Tells `say` what is wrong, and what would do.
    fn check_part(&self, condition: &Condition, say: &mut dyn FnMut(String, String)) {
        let mut say_here = |remedy: &str| say(condition.to_string(), remedy.to_owned());
        match condition {
            Condition::All(parts) | Condition::Any(parts) => {
                if parts.is_empty() {
                    say_here("must have a part at least");
                }
                for part in parts {
                    self.check_part(part, say);
                }
            }
            Condition::Not(part) => self.check_part(part, say),
            Condition::Scope(text) | Condition::Includes { text, .. } if text.len() > LONGEST_TEXT => {
                say_here("texts must be at most 256 bytes");
            }
            Condition::Owner | Condition::SameTenant | Condition::Scope(_) => {}
            Condition::Equals { attribute, value } => {
                self.expect(attribute, constant(value, &mut say_here), &mut say_here);
            }
            Condition::OneOf { attribute, values } => {
                if values.is_empty() {
                    say_here("must have a value at least");
                }
                for value in values {
                    self.expect(attribute, constant(value, &mut say_here), &mut say_here);
                }
            }
            Condition::Same(left, right) => {
                if let Some(kind) = self.known(left, &mut say_here) {
                    if kind == Kind::Texts {
                        say_here("sets are not compared; use `includes` or `member_of`");
                    }
                    self.expect(right, Some(kind), &mut say_here);
                }
            }
            Condition::Includes { attribute, .. } => self.expect(attribute, Some(Kind::Texts), &mut say_here),
            Condition::MemberOf { attribute, set } => {
                self.expect(attribute, Some(Kind::Text), &mut say_here);
                self.expect(set, Some(Kind::Texts), &mut say_here);
            }
            Condition::Compare { left, right, .. } => {
                self.expect(left, Some(Kind::Number), &mut say_here);
                if let Operand::Attribute(right) = right {
                    self.expect(right, Some(Kind::Number), &mut say_here);
                }
            }
            Condition::Hours(hours) => {
                if hours.from == hours.until {
                    say_here("`from` and `until` must differ; leave the condition out for the whole day");
                }
                if hours.utc_offset_minutes.unsigned_abs() > 14 * 60 || hours.days.len() > 7 {
                    say_here("the offset must be at most 840 minutes, with each day once");
                }
            }
            Condition::Dates(dates) => {
                let open = dates.from.is_none() || dates.until.is_none();
                if (dates.from.is_none() && dates.until.is_none()) || !(open || dates.from < dates.until) {
                    say_here("must have `from` or `until`, and `from` must be earlier");
                }
            }
            Condition::Network(networks) => {
                if networks.is_empty() {
                    say_here("must have a network at least, like \"10.0.0.0/8\"");
                }
            }
        }
    }

    fn known(&self, attribute: &Attribute, say: &mut dyn FnMut(&str)) -> Option<Kind> {
        let kind = self.kind(attribute);
        if kind.is_none() {
            say(&format!("`{attribute}` must be declared under `attributes`, with its type"));
        }
        kind
    }

    /// Where `kind` is none, that was wrong and is said already.
    fn expect(&self, attribute: &Attribute, kind: Option<Kind>, say: &mut dyn FnMut(&str)) {
        let (Some(found), Some(kind)) = (self.known(attribute, say), kind) else { return };
        if found != kind {
            say(&format!("`{attribute}` is a {}, and a {} is wanted here", found.as_str(), kind.as_str()));
        }
    }
}

/// The type of a constant.
fn constant(value: &Value, say: &mut dyn FnMut(&str)) -> Option<Kind> {
    match value {
        Value::Texts(_) => say("sets are not compared; use `includes` or `member_of`"),
        Value::Text(text) if text.len() > LONGEST_TEXT => say("texts must be at most 256 bytes"),
        _ => return Some(value.kind()),
    }
    None
}

/// Whether it is small enough; counts its parts on the way.
fn fits(condition: &Condition, depth: usize, nodes: &mut usize) -> bool {
    *nodes += 1;
    *nodes += match condition {
        Condition::OneOf { values, .. } => values.len(),
        Condition::Network(networks) => networks.len(),
        _ => 0,
    };
    if *nodes > MOST_NODES || depth >= DEEPEST {
        return false;
    }
    match condition {
        Condition::All(parts) | Condition::Any(parts) => {
            parts.iter().all(|part| fits(part, depth + 1, nodes))
        }
        Condition::Not(part) => fits(part, depth + 1, nodes),
        _ => true,
    }
}
