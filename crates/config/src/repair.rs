//! Finds all that is wrong in one run, though a deserialiser stops at the first failure.

use serde::de::DeserializeOwned;

use crate::de::{self, Fault, Reason};
use crate::error::Problem;
use crate::path::KeyPath;
use crate::problem;
use crate::tree::{DEFAULTS, Node};

/// How many problems one error tells; who has more has the wrong file.
const MAX_PROBLEMS: usize = 64;

/// Reads the tree, and where that fails takes the faulty value away, so that the one it replaced counts again, and
/// reads once more. Each round makes the tree smaller, so there is an end.
pub(crate) fn read_all<T: DeserializeOwned>(tree: &mut Node, problems: &mut Vec<Problem>) -> Option<T> {
    let mut misspelt = Vec::new();
    loop {
        let fault = match de::from_tree(tree) {
            Ok(value) => return Some(value),
            Err(fault) => fault,
        };
        if !nobody_is_to_blame(tree, &fault, &misspelt) {
            problems.push(problem::of_fault(tree, &fault));
            if let Reason::UnknownKey { .. } = fault.reason() {
                misspelt.push(fault.path());
            }
        }
        if problems.len() >= MAX_PROBLEMS || !tree.repair(&culprit(&fault)) {
            return None;
        }
    }
}

/// The value to take away.
fn culprit(fault: &Fault) -> KeyPath {
    match fault.reason() {
        Reason::UnknownKey { key, .. } => fault.path().child(key),
        Reason::Twice(key) => fault.path().child(key),
        _ => fault.path(),
    }
}

/// Whether a failure is nobody's mistake: a default's remainder (the settings of a choice that a higher layer
/// replaced by another choice, a field that somebody gave by its other name), or a key that is missing only because
/// its name was misspelt, which has been told already.
fn nobody_is_to_blame(tree: &Node, fault: &Fault, misspelt: &[KeyPath]) -> bool {
    match fault.reason() {
        Reason::UnknownKey { .. } | Reason::Twice(_) => {
            tree.get(&culprit(fault)).is_some_and(|node| node.highest_layer() == DEFAULTS)
        }
        Reason::MissingKey(_) => misspelt.contains(&fault.path()),
        _ => false,
    }
}
