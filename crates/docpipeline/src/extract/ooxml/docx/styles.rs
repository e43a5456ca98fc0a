//! What the styles of paragraphs say about them: headings, and items of lists.

use std::collections::HashMap;

use crate::budget::Budget;
use crate::error::Result;
use crate::extract::xml::{Node, XmlReader};

/// Chains of styles are short; a loop of them is cut here.
const LONGEST_CHAIN: usize = 16;

/// The styles of paragraphs by their id.
#[derive(Debug, Default)]
pub(super) struct Styles(HashMap<String, Style>);

/// What a style says about its paragraphs, inherited where it says nothing itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Style {
    /// The level of a heading; 0 where the style says that it is none.
    level: Option<u8>,
    /// The list.
    pub(super) list: Option<u32>,
    /// The level in the list.
    pub(super) depth: Option<usize>,
    based_on: Option<String>,
}

impl Style {
    /// The level of a heading, 1 to 9.
    pub(super) fn heading(&self) -> Option<u8> {
        self.level.filter(|level| *level > 0)
    }
}

impl Styles {
    pub(super) fn read(xml: &str, budget: &Budget) -> Result<Self> {
        let mut styles: HashMap<String, Style> = HashMap::new();
        let mut reader = XmlReader::new(xml, "the styles", budget);
        let (mut id, mut style) = (String::new(), Style::default());
        while let Some(node) = reader.next()? {
            match node {
                Node::Start(element) => match element.name() {
                    "style" => {
                        id = element.attribute("styleId").unwrap_or_default().into_owned();
                        style = Style::default();
                        style.level = heading_of_name(&id);
                    }
                    "name" => {
                        let name = element.attribute("val").unwrap_or_default();
                        style.level = heading_of_name(&name).or(style.level);
                    }
                    "outlineLvl" => {
                        // 9 means body text.
                        let level =
                            element.number::<u8>("val").map(|level| if level < 9 { level + 1 } else { 0 });
                        style.level = style.level.or(level);
                    }
                    "numId" => style.list = element.number("val"),
                    "ilvl" => style.depth = element.number("val"),
                    "basedOn" => style.based_on = element.attribute("val").map(String::from),
                    _ => {}
                },
                Node::End("style") => {
                    styles.insert(std::mem::take(&mut id), std::mem::take(&mut style));
                }
                _ => {}
            }
        }
        let inherited = styles.keys().map(|id| (id.clone(), resolved(&styles, id))).collect();
        Ok(Self(inherited))
    }

    /// The style with this id; for an id that the document does not define, what the id itself tells.
    pub(super) fn get(&self, id: &str) -> Style {
        let unknown = || Style { level: heading_of_name(id), ..Style::default() };
        self.0.get(id).cloned().unwrap_or_else(unknown)
    }
}

fn resolved(styles: &HashMap<String, Style>, id: &str) -> Style {
    let mut style = Style::default();
    let mut next = Some(id);
    for _ in 0..LONGEST_CHAIN {
        let Some(ancestor) = next.and_then(|id| styles.get(id)) else { break };
        style.level = style.level.or(ancestor.level);
        style.list = style.list.or(ancestor.list);
        style.depth = style.depth.or(ancestor.depth);
        next = ancestor.based_on.as_deref();
    }
    style
}

/// Names of heading styles without their number, letters only: Word keeps the English name in the file whatever its
/// user sees, other writers and the ids of styles do not.
const HEADING_NAMES: [&str; 24] = [
    "heading",
    "überschrift",
    "berschrift",
    "titre",
    "título",
    "ttulo",
    "titolo",
    "kop",
    "rubrik",
    "overskrift",
    "otsikko",
    "nagłówek",
    "nagwek",
    "nadpis",
    "címsor",
    "cmsor",
    "заголовок",
    "başlık",
    "balk",
    "titlu",
    "naslov",
    "見出し",
    "标题",
    "標題",
];

/// The level that the name or the id of a style tells.
fn heading_of_name(name: &str) -> Option<u8> {
    let name = name.to_lowercase();
    if name == "title" {
        return Some(1);
    }
    let word = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let level = name.get(word.len()..)?.parse::<u8>().ok().filter(|level| (1..=9).contains(level))?;
    HEADING_NAMES.contains(&word.trim_end()).then_some(level)
}

#[cfg(test)]
mod tests {
    use super::heading_of_name;

    #[test]
    fn headings_are_known_by_name_and_by_id_in_many_languages() {
        for (name, level) in [
            ("heading 1", Some(1)),
            ("Heading3", Some(3)),
            ("Title", Some(1)),
            ("berschrift2", Some(2)),
            ("Titre 4", Some(4)),
            ("标题 1", Some(1)),
            ("Normal", None),
            ("heading", None),
            ("List 2", None),
            ("heading 12", None),
        ] {
            assert_eq!(heading_of_name(name), level, "{name}");
        }
    }
}
