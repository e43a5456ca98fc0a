//! Names that this node is changing.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::sync::lock;

/// Names whose change is on its way to the tier. What is read of them there meanwhile may be the value before, and a node does not
/// hear its own news: so it must not be kept.
#[derive(Debug, Default)]
pub(super) struct Changing(Mutex<HashMap<String, usize>>);

impl Changing {
    /// The name counts as being changed until what is returned is dropped.
    pub(super) fn begin(&self, name: &str) -> Change<'_> {
        *lock(&self.0).entry(name.to_owned()).or_default() += 1;
        Change { changing: self, name: name.to_owned() }
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        lock(&self.0).contains_key(name)
    }
}

#[must_use]
pub(super) struct Change<'a> {
    changing: &'a Changing,
    name: String,
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        let mut names = lock(&self.changing.0);
        if let Some(times) = names.get_mut(&self.name) {
            *times -= 1;
            if *times == 0 {
                names.remove(&self.name);
            }
        }
    }
}
