//! Paragraphs and tables of the parts of a Word document.

use std::collections::HashMap;

use super::styles::Styles;
use crate::draft::{Draft, Table};
use crate::error::Result;
use crate::extract::numbering::Numbering;
use crate::extract::pictures::described;
use crate::extract::xml::{Element, Node, XmlReader};

/// The widest that one cell may say it is.
const WIDEST_SPAN: usize = 64;

/// Reads one part after another; lists and notes are counted through all of them.
pub(super) struct Story<'s> {
    styles: &'s Styles,
    numbering: Numbering,
    /// The number of each note that the text has referred to, by the kind and id of the note.
    notes: HashMap<(bool, String), usize>,
}

/// A paragraph in the making.
#[derive(Default)]
struct Paragraph {
    text: String,
    style: Option<String>,
    /// The outline level, where the paragraph sets its own: 0 for none.
    level: Option<u8>,
    list: Option<u32>,
    depth: Option<usize>,
}

/// A table in the making; tables stand in cells of tables.
#[derive(Default)]
struct OpenTable {
    table: Table,
    row: Vec<String>,
    cell: String,
    span: usize,
}

impl<'s> Story<'s> {
    pub(super) fn new(styles: &'s Styles, numbering: Numbering) -> Self {
        Self { styles, numbering, notes: HashMap::new() }
    }

    /// Reads a part, and gives the reader back for its damage.
    pub(super) fn read<'t, 'b>(
        &mut self,
        xml: &'t str,
        part: &'t str,
        draft: &mut Draft<'b>,
    ) -> Result<XmlReader<'t, 'b>> {
        let mut reader = XmlReader::new(xml, part, draft.budget());
        // Text boxes stand inside paragraphs, so paragraphs nest.
        let mut paragraphs: Vec<Paragraph> = Vec::new();
        let mut tables: Vec<OpenTable> = Vec::new();
        // What the next paragraph begins with: the number of its note, or whose comment it is.
        let mut label = String::new();
        while let Some(node) = reader.next()? {
            match node {
                Node::Start(element) => match element.name() {
                    // The second form of what stands in `Choice` already; deleted text; field codes; how to
                    // pronounce a word; tab stops; properties as they were before a change.
                    "Fallback" | "del" | "moveFrom" | "instrText" | "delInstrText" | "delText" | "rt"
                    | "tabs" | "pPrChange" | "rPrChange" | "sectPr" | "tblPr" | "tblGrid" | "trPrChange"
                    | "tcPrChange" => {
                        reader.skip()?;
                    }
                    // The lines that separate notes from the page.
                    "footnote" | "endnote"
                        if element.attribute("type").is_some_and(|kind| kind != "normal") =>
                    {
                        reader.skip()?;
                    }
                    "footnote" | "endnote" => {
                        let number = self.note_number(&element);
                        label = format!("[{number}] ");
                    }
                    "comment" => {
                        label = match element.attribute("author").unwrap_or_default().trim() {
                            "" => "Comment: ".to_owned(),
                            author => format!("Comment ({author}): "),
                        };
                    }
                    "p" => paragraphs.push(Paragraph::default()),
                    "tbl" => tables.push(OpenTable::default()),
                    "gridSpan" => {
                        if let Some(table) = tables.last_mut() {
                            table.span = element.number("val").unwrap_or(1).min(WIDEST_SPAN);
                        }
                    }
                    "t" => {
                        if let Some(paragraph) = paragraphs.last_mut() {
                            paragraph.text.push_str(&std::mem::take(&mut label));
                            reader.text_into(&mut paragraph.text)?;
                        }
                    }
                    _ => {
                        if let Some(paragraph) = paragraphs.last_mut() {
                            self.inside(&element, paragraph);
                        }
                    }
                },
                Node::End(name) => match name {
                    "p" => {
                        if let Some(paragraph) = paragraphs.pop() {
                            self.paragraph(&paragraph, tables.last_mut(), draft)?;
                        }
                    }
                    "tc" => {
                        if let Some(table) = tables.last_mut() {
                            table.row.push(std::mem::take(&mut table.cell));
                            let more = std::mem::take(&mut table.span).saturating_sub(1);
                            table.row.extend(std::iter::repeat_n(String::new(), more));
                        }
                    }
                    "tr" => {
                        if let Some(table) = tables.last_mut() {
                            table.table.row(std::mem::take(&mut table.row), draft.budget())?;
                        }
                    }
                    "tbl" => {
                        if let Some(done) = tables.pop() {
                            match tables.last_mut() {
                                // A table cannot stand in a Markdown table: its text goes into the cell.
                                Some(outer) => done.table.flatten_into(&mut outer.cell),
                                None => draft.table(&done.table)?,
                            }
                        }
                    }
                    _ => {}
                },
                Node::Text(_) => {}
            }
        }
        draft.end_block()?;
        Ok(reader)
    }

    /// An element inside a paragraph that is not text.
    fn inside(&mut self, element: &Element<'_>, paragraph: &mut Paragraph) {
        let value = || element.attribute("val").map(String::from);
        match element.name() {
            "pStyle" => paragraph.style = value(),
            "outlineLvl" => {
                // 9 means body text.
                let level = element.number::<u8>("val");
                paragraph.level = level.map(|level| if level < 9 { level + 1 } else { 0 });
            }
            "ilvl" => paragraph.depth = element.number("val"),
            "numId" => paragraph.list = element.number("val"),
            "tab" | "ptab" => paragraph.text.push('\t'),
            "br" | "cr" => paragraph.text.push('\n'),
            "noBreakHyphen" => paragraph.text.push('-'),
            "sym" => {
                // Symbol fonts use private code points, which mean nothing without the font.
                let code = element.attribute("char").and_then(|code| u32::from_str_radix(&code, 16).ok());
                let symbol = code.filter(|code| !(0xe000..0xf900).contains(code)).and_then(char::from_u32);
                paragraph.text.extend(symbol);
            }
            "docPr" => {
                let description = element.attribute("descr").and_then(|text| described(&text));
                paragraph.text.extend(description);
            }
            "footnoteReference" | "endnoteReference" => {
                let number = self.note_number(element);
                paragraph.text.extend(["[", &number.to_string(), "]"]);
            }
            _ => {}
        }
    }

    /// The number of a note, in the order in which the text refers to them.
    fn note_number(&mut self, element: &Element<'_>) -> usize {
        let is_endnote = element.name().starts_with("end");
        let id = element.attribute("id").unwrap_or_default().into_owned();
        let next = self.notes.len() + 1;
        *self.notes.entry((is_endnote, id)).or_insert(next)
    }

    fn paragraph(
        &mut self,
        paragraph: &Paragraph,
        table: Option<&mut OpenTable>,
        draft: &mut Draft<'_>,
    ) -> Result<()> {
        let text = paragraph.text.trim_matches([' ', '\n', '\t']);
        if text.is_empty() {
            return Ok(());
        }
        let style = paragraph.style.as_deref().map(|id| self.styles.get(id)).unwrap_or_default();
        // List 0 takes a paragraph out of the list of its style.
        let (depth, marker) = match paragraph.list.or(style.list).filter(|list| *list != 0) {
            None => (0, String::new()),
            Some(list) => {
                let of_style = || self.numbering.depth_of_style(list, paragraph.style.as_deref()?);
                let depth = paragraph.depth.or_else(of_style).or(style.depth).unwrap_or(0);
                (depth, self.numbering.next(list, depth))
            }
        };
        if let Some(table) = table {
            if !table.cell.is_empty() {
                table.cell.push(' ');
            }
            if !marker.is_empty() {
                table.cell.push_str(&marker);
                table.cell.push(' ');
            }
            table.cell.push_str(text);
            return draft.budget().tick();
        }
        let level = paragraph.level.map_or_else(|| style.heading(), |level| (level > 0).then_some(level));
        if let Some(level) = level {
            draft.begin_heading(level)?;
            if !matches!(marker.as_str(), "" | "-") {
                draft.push(&marker)?;
                draft.push(" ")?;
            }
            draft.push(text)?;
            return draft.end_heading();
        }
        if marker.is_empty() {
            return draft.paragraph(text);
        }
        draft.begin_list_item(depth, &marker)?;
        draft.push(text)?;
        draft.end_line()
    }
}
