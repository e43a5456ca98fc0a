//! Lists of Word: their bullets, and their numbers as Word prints them.

use std::collections::{HashMap, HashSet};

use crate::extract::ordinals::Counting;

/// Levels of a list (ECMA-376 part 1, 17.9.6).
pub(in crate::extract) const LEVELS: usize = 9;

/// A pattern is repeated with every item, so it had better be short.
pub(in crate::extract) const LONGEST_PATTERN: usize = 64;

/// A level of a list.
#[derive(Debug, Clone, Default)]
pub(in crate::extract) struct Level {
    pub(in crate::extract) counting: Counting,
    pub(in crate::extract) start: u32,
    /// What stands before an item: `%1.%2)`, each `%n` the count of that level.
    pub(in crate::extract) pattern: String,
}

/// A list as paragraphs refer to it.
#[derive(Debug, Default)]
pub(in crate::extract) struct List {
    pub(in crate::extract) definition: u32,
    /// Where counting begins anew in this list, by level.
    pub(in crate::extract) restarts: HashMap<usize, u32>,
}

/// The lists of a document, and how far each has been counted.
#[derive(Debug, Default)]
pub(in crate::extract) struct Numbering {
    levels: HashMap<(u32, usize), Level>,
    /// The level of a definition that a style of paragraphs stands for.
    of_styles: HashMap<(u32, String), usize>,
    lists: HashMap<u32, List>,
    counts: HashMap<u32, [Option<u32>; LEVELS]>,
    begun: HashSet<u32>,
}

impl Numbering {
    /// Defines a level of the lists of a definition.
    pub(in crate::extract) fn define(&mut self, definition: u32, depth: usize, level: Level) {
        self.levels.insert((definition, depth), level);
    }

    /// Says that a style of paragraphs stands for a level of a definition.
    pub(in crate::extract) fn define_style(&mut self, definition: u32, style: String, depth: usize) {
        self.of_styles.insert((definition, style), depth);
    }

    /// Adds a list.
    pub(in crate::extract) fn add(&mut self, id: u32, list: List) {
        self.lists.insert(id, list);
    }

    /// The level of `list` that a style of paragraphs stands for.
    pub(in crate::extract) fn depth_of_style(&self, list: u32, style: &str) -> Option<usize> {
        let definition = self.lists.get(&list)?.definition;
        self.of_styles.get(&(definition, style.to_owned())).copied()
    }

    /// Counts the next item of `list`, and gives what stands before it: `-` for a bullet, a number, or nothing.
    pub(in crate::extract) fn next(&mut self, list: u32, depth: usize) -> String {
        let depth = depth.min(LEVELS - 1);
        let Some(found) = self.lists.get(&list) else { return "-".to_owned() };
        let levels = &self.levels;
        let level = |depth: usize| levels.get(&(found.definition, depth));
        // Lists of one definition count on from one another, unless they say otherwise.
        let counts = self.counts.entry(found.definition).or_default();
        if !found.restarts.is_empty() && self.begun.insert(list) {
            for (depth, start) in &found.restarts {
                if let Some(count) = counts.get_mut(*depth) {
                    *count = start.checked_sub(1);
                }
            }
        }
        for (i, count) in counts.iter_mut().enumerate() {
            let start = || level(i).map_or(1, |level| level.start);
            match i.cmp(&depth) {
                std::cmp::Ordering::Less => *count = Some(count.unwrap_or_else(start)),
                std::cmp::Ordering::Equal => {
                    *count = Some(count.map_or_else(start, |count| count.saturating_add(1)));
                }
                std::cmp::Ordering::Greater => *count = None,
            }
        }
        let Some(own) = level(depth) else { return "-".to_owned() };
        if own.counting == Counting::Bullet {
            return "-".to_owned();
        }
        let mut marker = String::new();
        let mut characters = own.pattern.chars();
        while let Some(c) = characters.next() {
            let referred =
                (c == '%').then(|| characters.clone().next().and_then(|c| c.to_digit(10))).flatten();
            match referred.and_then(|n| usize::try_from(n).ok()?.checked_sub(1)) {
                Some(outer) => {
                    characters.next();
                    let counting = level(outer).map_or(Counting::Decimal, |level| level.counting);
                    let count = counts.get(outer).copied().flatten().unwrap_or(1);
                    marker.push_str(&counting.print(count));
                }
                None => marker.push(c),
            }
        }
        marker.trim().to_owned()
    }
}
