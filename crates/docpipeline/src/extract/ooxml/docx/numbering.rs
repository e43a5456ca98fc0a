//! The part of a Word document that defines its lists.

use crate::budget::Budget;
use crate::error::Result;
use crate::extract::numbering::{LONGEST_PATTERN, Level, List, Numbering};
use crate::extract::ordinals::Counting;
use crate::extract::xml::{Node, XmlReader};

pub(super) fn read_numbering(xml: &str, budget: &Budget) -> Result<Numbering> {
    let mut numbering = Numbering::default();
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
                        numbering.define_style(definition, value().into_owned(), depth);
                    }
                    _ => {}
                }
            }
            // A level that one list overrides is rare; the definition holds for it.
            Node::End("lvl") if !in_list => {
                numbering.define(definition, depth, std::mem::take(&mut level));
            }
            Node::End("num") => {
                numbering.add(id, std::mem::take(&mut list));
                in_list = false;
            }
            _ => {}
        }
    }
    Ok(numbering)
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
