//! What the styles of an `OpenDocument` say about its text: how lists are numbered, and which paragraphs are titles.

use std::collections::{HashMap, HashSet};

use crate::budget::Budget;
use crate::error::Result;
use crate::extract::ordinals::Counting;
use crate::extract::xml::{Element, Node, XmlReader};

/// The deepest level that a list style describes (ISO/IEC 26300, 16.30).
pub(super) const LEVELS: usize = 10;

/// What stands before or after a number is repeated with every item, so it had better be short.
const LONGEST_AFFIX: usize = 32;

/// One level of a list style.
#[derive(Debug, Clone, Default)]
pub(super) struct Level {
    pub(super) counting: Counting,
    pub(super) start: u32,
    /// How many levels stand in the number, this one included: `1.2`.
    shown: usize,
    prefix: String,
    suffix: String,
}

/// The styles of a document.
#[derive(Debug, Default)]
pub(super) struct Styles {
    /// The levels of list styles by name; those of the outline of headings under `""`.
    levels: HashMap<(String, usize), Level>,
    /// The list styles that paragraph styles bring along.
    of_paragraphs: HashMap<String, String>,
    titles: HashSet<String>,
}

impl Styles {
    /// Reads the styles of a part, which stand before its body.
    pub(super) fn read(xml: &str, part: &str, budget: &Budget) -> Result<Self> {
        let mut styles = Self::default();
        let mut reader = XmlReader::new(xml, part, budget);
        let mut name = None;
        while let Some(node) = reader.next()? {
            match node {
                Node::Start(element) => match element.name() {
                    "body" => break,
                    "list-style" => name = element.attribute("name").map(String::from),
                    "outline-style" => name = Some(String::new()),
                    "style" => {
                        let Some(style) = element.attribute("name") else { continue };
                        // The name of the built-in style is the same in every language.
                        if style == "Title"
                            || element.attribute("parent-style-name").as_deref() == Some("Title")
                        {
                            styles.titles.insert(style.clone().into_owned());
                        }
                        if let Some(list) =
                            element.attribute("list-style-name").filter(|list| !list.is_empty())
                        {
                            styles.of_paragraphs.insert(style.into_owned(), list.into_owned());
                        }
                    }
                    "list-level-style-number" | "outline-level-style" | "list-level-style-bullet" => {
                        if let (Some(name), Some(depth)) = (&name, element.number::<usize>("level"))
                            && (1..=LEVELS).contains(&depth)
                        {
                            styles.levels.insert((name.clone(), depth - 1), level(&element));
                        }
                    }
                    _ => {}
                },
                Node::End("list-style" | "outline-style") => name = None,
                _ => {}
            }
        }
        Ok(styles)
    }

    /// Adds the styles of another part.
    pub(super) fn extend(&mut self, other: Self) {
        self.levels.extend(other.levels);
        self.of_paragraphs.extend(other.of_paragraphs);
        self.titles.extend(other.titles);
    }

    /// Whether a paragraph style is that of the title of the document.
    pub(super) fn is_title(&self, style: &str) -> bool {
        self.titles.contains(style)
    }

    /// The list style that a paragraph style brings along.
    pub(super) fn of_paragraph(&self, style: &str) -> Option<&str> {
        self.of_paragraphs.get(style).map(String::as_str)
    }

    /// The level of a list style; `None` where the style does not describe it.
    pub(super) fn level(&self, style: &str, depth: usize) -> Option<&Level> {
        self.levels.get(&(style.to_owned(), depth))
    }

    /// The number of an item at `depth`, counts of all levels given; empty where it has none.
    pub(super) fn marker(&self, style: &str, depth: usize, counts: &[u32]) -> String {
        let Some(level) = self.level(style, depth) else { return String::new() };
        let mut number = String::new();
        let first = (depth + 1).saturating_sub(level.shown.max(1));
        for outer in first..=depth {
            let counting = if outer == depth {
                level.counting
            } else {
                self.level(style, outer).map_or(Counting::None, |level| level.counting)
            };
            let printed = counting.print(counts.get(outer).copied().unwrap_or(1));
            if !printed.is_empty() && !number.is_empty() {
                number.push('.');
            }
            number.push_str(&printed);
        }
        if number.is_empty() { number } else { format!("{}{number}{}", level.prefix, level.suffix) }
    }
}

fn level(element: &Element<'_>) -> Level {
    let text = |name: &str| -> String {
        element.attribute(name).unwrap_or_default().trim().chars().take(LONGEST_AFFIX).collect()
    };
    let counting = if element.name() == "list-level-style-bullet" {
        Counting::Bullet
    } else {
        match text("num-format").as_str() {
            "" => Counting::None,
            "a" => Counting::LowerLetter,
            "A" => Counting::UpperLetter,
            "i" => Counting::LowerRoman,
            "I" => Counting::UpperRoman,
            _ => Counting::Decimal,
        }
    };
    Level {
        counting,
        start: element.number("start-value").unwrap_or(1),
        shown: element.number("display-levels").unwrap_or(1),
        prefix: text("num-prefix"),
        suffix: text("num-suffix"),
    }
}
