//! Excel workbooks.

use std::collections::HashMap;

use crate::budget::Budget;
use crate::draft::{Draft, Source};
use crate::error::{Error, Result};
use crate::extract::Extractor;
use crate::extract::grid::Grid;
use crate::extract::numbers::{NumberFormat, NumberStyles, format_of_code};
use crate::extract::ooxml::{Relations, main_part, properties, text_of};
use crate::extract::package::Package;
use crate::extract::xml::{Node, XmlReader};
use crate::format::Format;

/// The last column that there can be is XFD.
const COLUMNS: usize = 16_384;

/// `SpreadsheetML`: each sheet as a page with its name as heading and its used cells as a table, then the text of its
/// drawings and its comments. Values are as people see them: dates by their number format, formulas by their last
/// result, hidden sheets too.
pub(in crate::extract) struct Xlsx;

impl Extractor for Xlsx {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let budget = draft.budget();
        let mut package = Package::open(source.bytes.clone(), Format::Xlsx, budget)?;
        let main = main_part(&mut package, "xl/workbook.xml", draft)?;
        if main == "xl/workbook.bin" {
            return Err(Error::Unsupported { found: "a binary workbook (XLSB)".to_owned() });
        }
        let parts = Relations::of(&main, &mut package, draft)?;
        let workbook = Workbook::read(&package.required_xml(&main, draft)?, draft)?;
        let strings = match parts.of_kind("sharedStrings") {
            Some(path) => shared_strings(&package.xml(path, draft)?.unwrap_or_default(), draft)?,
            None => Vec::new(),
        };
        let styles = match parts.of_kind("styles") {
            Some(path) => package.xml(path, draft)?.unwrap_or_default(),
            None => String::new(),
        };
        let numbers = number_styles(&styles, workbook.since_1904, budget)?;
        for (name, id) in &workbook.sheets {
            let Some(sheet) = parts.by_id(id) else {
                draft.warn(format!("sheet {name} is missing"));
                continue;
            };
            if sheet.kind != "worksheet" {
                continue;
            }
            draft.begin_page()?;
            draft.heading(1, name)?;
            let Some(xml) = package.xml(&sheet.path, draft)? else {
                draft.warn(format!("sheet {name}: {} is missing", sheet.path));
                continue;
            };
            let grid = read_sheet(&xml, name, &strings, &numbers, draft)?;
            draft.table(&grid.into_table(budget)?)?;
            read_annotations(&sheet.path, &mut package, draft)?;
        }
        properties(&mut package, Format::Xlsx, draft)
    }
}

#[derive(Default)]
struct Workbook {
    /// Names and relation ids of the sheets, in order.
    sheets: Vec<(String, String)>,
    /// Whether days count from 1904 instead of 1900.
    since_1904: bool,
}

impl Workbook {
    fn read(xml: &str, draft: &mut Draft<'_>) -> Result<Self> {
        let mut workbook = Self::default();
        let mut reader = XmlReader::new(xml, "the workbook", draft.budget());
        while let Some(node) = reader.next()? {
            let Node::Start(element) = node else { continue };
            match element.name() {
                "sheet" => {
                    let name = element.attribute("name").unwrap_or_default().into_owned();
                    let id = element.prefixed("id").unwrap_or_default().into_owned();
                    workbook.sheets.push((name, id));
                }
                "workbookPr" => {
                    workbook.since_1904 =
                        matches!(element.attribute("date1904").as_deref(), Some("1" | "true"));
                }
                _ => {}
            }
        }
        reader.finish(draft);
        Ok(workbook)
    }
}

fn shared_strings(xml: &str, draft: &mut Draft<'_>) -> Result<Vec<String>> {
    let mut strings = Vec::new();
    let mut reader = XmlReader::new(xml, "the shared strings", draft.budget());
    let mut current = String::new();
    while let Some(node) = reader.next()? {
        match node {
            Node::Start(element) => match element.name() {
                "t" => reader.text_into(&mut current)?,
                // How to pronounce what stands beside it.
                "rPh" => reader.skip()?,
                _ => {}
            },
            Node::End("si") => strings.push(std::mem::take(&mut current)),
            _ => {}
        }
    }
    reader.finish(draft);
    Ok(strings)
}

/// Reads the part that defines styles.
fn number_styles(xml: &str, since_1904: bool, budget: &Budget) -> Result<NumberStyles> {
    let mut defined = HashMap::new();
    let mut formats = Vec::new();
    let mut in_cell_formats = false;
    let mut reader = XmlReader::new(xml, "the styles", budget);
    while let Some(node) = reader.next()? {
        match node {
            Node::Start(element) => match element.name() {
                "numFmt" => {
                    let code = element.attribute("formatCode").unwrap_or_default();
                    defined.insert(element.number("numFmtId").unwrap_or(0), format_of_code(&code));
                }
                "cellXfs" => in_cell_formats = true,
                "xf" if in_cell_formats => {
                    formats.push(NumberFormat::of_id(element.number("numFmtId").unwrap_or(0), &defined));
                }
                _ => {}
            },
            Node::End("cellXfs") => in_cell_formats = false,
            _ => {}
        }
    }
    Ok(NumberStyles::new(formats, since_1904))
}

/// How the value of a cell is kept (`ST_CellType`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Shared,
    Boolean,
    /// Text, an error's name, a date in ISO 8601.
    Literal,
}

fn read_sheet(
    xml: &str,
    name: &str,
    strings: &[String],
    numbers: &NumberStyles,
    draft: &mut Draft<'_>,
) -> Result<Grid> {
    let budget: &Budget = draft.budget();
    let mut grid = Grid::default();
    let mut reader = XmlReader::new(xml, name, budget);
    let (mut column, mut next_column) = (0, 0);
    let (mut kind, mut style) = (Kind::Number, 0);
    let mut value = String::new();
    while let Some(node) = reader.next()? {
        match node {
            Node::Start(element) => match element.name() {
                "row" => {
                    grid.begin_row();
                    next_column = 0;
                }
                "c" => {
                    (kind, style) = (Kind::Number, 0);
                    // A cell without a reference stands beside the one before it.
                    column = next_column;
                    for (name, text) in element.attributes() {
                        match name {
                            "r" => column = column_of(&text).unwrap_or(next_column),
                            "s" => style = text.parse().unwrap_or(0),
                            "t" => {
                                kind = match &*text {
                                    "s" => Kind::Shared,
                                    "b" => Kind::Boolean,
                                    "str" | "inlineStr" | "e" | "d" => Kind::Literal,
                                    _ => Kind::Number,
                                }
                            }
                            _ => {}
                        }
                    }
                    next_column = column + 1;
                    value.clear();
                }
                "v" | "t" => reader.text_into(&mut value)?,
                "rPh" => reader.skip()?,
                _ => {}
            },
            Node::End("c") => {
                let text = match kind {
                    Kind::Shared => {
                        let index = value.trim().parse::<usize>().ok();
                        index.and_then(|index| strings.get(index)).cloned().unwrap_or_default()
                    }
                    Kind::Boolean if value.trim() == "1" => "TRUE".to_owned(),
                    Kind::Boolean if value.trim() == "0" => "FALSE".to_owned(),
                    Kind::Number => numbers.print(value.trim(), style),
                    Kind::Boolean | Kind::Literal => std::mem::take(&mut value),
                };
                value.clear();
                if !text.is_empty() && column < COLUMNS {
                    grid.put(column, text, budget)?;
                }
            }
            _ => {}
        }
    }
    reader.finish(draft);
    Ok(grid)
}

/// The column of a reference such as `BC12`, from 0.
fn column_of(reference: &str) -> Option<usize> {
    let letters = reference.bytes().take_while(u8::is_ascii_alphabetic).take(4);
    let number =
        letters.fold(0, |sum, letter| sum * 26 + usize::from(letter.to_ascii_uppercase() - b'A' + 1));
    (1..=COLUMNS).contains(&number).then(|| number - 1)
}

/// The text of the drawings on a sheet, and its comments.
fn read_annotations(sheet: &str, package: &mut Package<'_>, draft: &mut Draft<'_>) -> Result<()> {
    let related = Relations::of(sheet, package, draft)?;
    for path in related.all_of_kind("drawing") {
        if let Some(xml) = package.xml(path, draft)? {
            draft.paragraph(&text_of(&xml, path, draft.budget())?)?;
        }
    }
    for path in related.all_of_kind("comments") {
        let Some(xml) = package.xml(path, draft)? else { continue };
        let mut reader = XmlReader::new(&xml, path, draft.budget());
        let mut comment = String::new();
        while let Some(node) = reader.next()? {
            match node {
                Node::Start(element) => match element.name() {
                    "comment" => {
                        comment = format!("Comment ({}): ", element.attribute("ref").unwrap_or_default());
                    }
                    "t" => reader.text_into(&mut comment)?,
                    "rPh" => reader.skip()?,
                    _ => {}
                },
                Node::End("comment") => draft.paragraph(&comment)?,
                _ => {}
            }
        }
        reader.finish(draft);
    }
    Ok(())
}
