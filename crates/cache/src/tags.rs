//! Tags: names by which many entries are invalidated at once, in constant time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use buttress_core::Key;

use crate::sync::lock;

/// How often a tag was invalidated.
type Generation = Arc<AtomicU64>;

/// The tags of one entry, each with the generation in which the entry, or its load, began.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen(Box<[(Generation, u64)]>);

impl Seen {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether none of the tags was invalidated since.
    pub(crate) fn holds(&self) -> bool {
        self.0.iter().all(|(generation, seen)| generation.load(Ordering::Acquire) == *seen)
    }
}

/// Why tags were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// More than one entry may have.
    PerEntry,
    /// More than there may be.
    InAll,
}

/// The tags in use. Those of no entry make room for others.
#[derive(Debug)]
pub(crate) struct Tags {
    known: Mutex<HashMap<Key, Generation>>,
    per_entry: usize,
    in_all: usize,
}

impl Tags {
    pub(crate) fn new(per_entry: usize, in_all: usize) -> Self {
        Self { known: Mutex::default(), per_entry, in_all }
    }

    /// Notes in which generation these tags are now.
    pub(crate) fn see(&self, tags: &[Key]) -> Result<Seen, Refused> {
        if tags.is_empty() {
            return Ok(Seen::default());
        }
        if tags.len() > self.per_entry {
            return Err(Refused::PerEntry);
        }
        let mut known = self.known();
        let new = tags.iter().filter(|tag| !known.contains_key(*tag)).count();
        if known.len() + new > self.in_all {
            // Nobody can come to hold one meanwhile: that takes the lock.
            known.retain(|_, generation| Arc::strong_count(generation) > 1);
            let new = tags.iter().filter(|tag| !known.contains_key(*tag)).count();
            if known.len() + new > self.in_all {
                return Err(Refused::InAll);
            }
        }
        let seen = tags.iter().map(|tag| {
            let generation = known.entry(tag.clone()).or_default();
            (Arc::clone(generation), generation.load(Ordering::Acquire))
        });
        Ok(Seen(seen.collect()))
    }

    /// Makes everything with this tag invalid. Whether anything could have it.
    pub(crate) fn invalidate(&self, tag: &Key) -> bool {
        let known = self.known();
        let generation = known.get(tag);
        if let Some(generation) = generation {
            generation.fetch_add(1, Ordering::AcqRel);
        }
        generation.is_some()
    }

    /// How many tags are known.
    pub(crate) fn len(&self) -> usize {
        self.known().len()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Key, Generation>> {
        lock(&self.known)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // Failing is what a test is for.
    use super::*;

    fn tag(number: usize) -> Key {
        Key::new(format!("tag-{number}")).unwrap()
    }

    #[test]
    fn an_invalidated_tag_ends_what_was_seen_before_and_nothing_later() {
        let tags = Tags::new(2, 10);
        let before = tags.see(&[tag(1), tag(2)]).unwrap();
        let other = tags.see(&[tag(3)]).unwrap();
        assert!(tags.invalidate(&tag(2)));
        let later = tags.see(&[tag(2)]).unwrap();
        assert!(!before.holds() && other.holds() && later.holds());
        assert!(!tags.invalidate(&tag(4)));
    }

    #[test]
    fn tags_are_bounded_and_those_of_nobody_make_room() {
        let tags = Tags::new(2, 3);
        assert_eq!(tags.see(&[tag(1), tag(2), tag(3)]).unwrap_err(), Refused::PerEntry);
        let held = tags.see(&[tag(1), tag(2)]).unwrap();
        drop(tags.see(&[tag(3)]).unwrap());
        assert_eq!(tags.len(), 3);
        let _four = tags.see(&[tag(4)]).unwrap();
        assert_eq!(tags.see(&[tag(5)]).unwrap_err(), Refused::InAll);
        assert!(held.holds());
        assert!(tags.invalidate(&tag(1)));
        assert!(!held.holds());
    }
}
