//! Lists: their bullets, and their numbers as Word prints them.

use std::collections::{HashMap, HashSet};

use crate::budget::Budget;
use crate::error::Result;
use crate::extract::ordinals::Counting;
use crate::extract::xml::{Node, XmlReader};

/// Levels of a list (ECMA-376 part 1, 17.9.6).
pub(super) const LEVELS: usize = 9;

/// A pattern is repeated with every item, so it had better be short.
const LONGEST_PATTERN: usize = 64;

#[derive(Debug, Clone, Default)]
struct Level {
    counting: Counting,
    start: u32,
    /// What stands before an item: `%1.%2)`, each `%n` the count of that level.
    pattern: String,
}

/// A list as paragraphs refer to it.
#[derive(Debug, Default)]
struct List {
    definition: u32,
    /// Where counting begins anew in this list, by level.
    restarts: HashMap<usize, u32>,
}

/// The lists of a document, and how far each has been counted.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    levels: HashMap<(u32, usize), Level>,
    /// The level of a definition that a style of paragraphs stands for.
    of_styles: HashMap<(u32, String), usize>,
    lists: HashMap<u32, List>,
    counts: HashMap<u32, [Option<u32>; LEVELS]>,
    begun: HashSet<u32>,
}

impl Numbering {
    pub(super) fn read(xml: &str, budget: &Budget) -> Result<Self> {
        let mut numbering = Self::default();
        let mut reader = XmlReader::new(xml, "the numbering", budget);
        let (mut definition, mut depth, mut level) = (0, 0, Level::default());
        let (mut id, mut list, mut in_list) = (0, List::default(), false);
        while let Some(node) = reader.next()? {
            match node {
                Node::Start(element) => {
                    let value = || element.attribute("val").unwrap_or_default();
                    match element.name() {
                        "abstractNum" => {
                            definition = element.number("abstractNumId").unwrap_or(0);
                        }
                        "num" => {
                            id = element.number("numId").unwrap_or(0);
                            in_list = true;
                        }
                        "abstractNumId" => list.definition = element.number("val").unwrap_or(0),
                        "lvlOverride" => depth = element.number("ilvl").unwrap_or(0),
                        "startOverride" => {
                            list.restarts.insert(depth, element.number("val").unwrap_or(1));
                        }
                        "lvl" => {
                            depth = element.number("ilvl").unwrap_or(0);
                            level = Level { counting: Counting::Decimal, start: 0, pattern: String::new() };
                        }
                        "start" => level.start = element.number("val").unwrap_or(0),
                        "numFmt" => level.counting = counting(&value()),
                        "lvlText" => level.pattern = value().chars().take(LONGEST_PATTERN).collect(),
                        "pStyle" if !in_list => {
                            numbering.of_styles.insert((definition, value().into_owned()), depth);
                        }
                        _ => {}
                    }
                }
                // A level that one list overrides is rare; the definition holds for it.
                Node::End("lvl") if !in_list => {
                    numbering.levels.insert((definition, depth), std::mem::take(&mut level));
                }
                Node::End("num") => {
                    numbering.lists.insert(id, std::mem::take(&mut list));
                    in_list = false;
                }
                _ => {}
            }
        }
        Ok(numbering)
    }

    /// The level of `list` that a style of paragraphs stands for.
    pub(super) fn depth_of_style(&self, list: u32, style: &str) -> Option<usize> {
        let definition = self.lists.get(&list)?.definition;
        self.of_styles.get(&(definition, style.to_owned())).copied()
    }

    /// Counts the next item of `list`, and gives what stands before it: `-` for a bullet, a number, or nothing.
    pub(super) fn next(&mut self, list: u32, depth: usize) -> String {
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

/// `ST_NumberFormat`; scripts that are not printed here are counted in digits.
fn counting(format: &str) -> Counting {
    match format {
        "bullet" => Counting::Bullet,
        "none" => Counting::None,
        "lowerLetter" => Counting::LowerLetter,
        "upperLetter" => Counting::UpperLetter,
        "lowerRoman" => Counting::LowerRoman,
        "upperRoman" => Counting::UpperRoman,
        _ => Counting::Decimal,
    }
}
