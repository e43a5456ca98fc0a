//! Excel workbooks.

use std::collections::HashMap;

use crate::budget::Budget;
use crate::draft::{Draft, Source, Table};
use crate::error::{Error, Result};
use crate::extract::Extractor;
use crate::extract::ooxml::{properties, relationships};
use crate::extract::package::Package;
use crate::extract::xml::{Element, Node, XmlReader};
use crate::format::Format;

/// The widest gap between two used columns that is kept as empty cells; a wider one is closed to this.
const WIDEST_GAP: usize = 16;

/// `SpreadsheetML`: each sheet as a page with its name as heading and its used cells as a table, values as people see
/// them: dates by their number format, formulas by their last result.
pub(in crate::extract) struct Xlsx;

impl Extractor for Xlsx {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let budget = draft.budget();
        let mut package = Package::open(source.bytes.clone(), Format::Xlsx, budget)?;
        let roots = relationships(&mut package, "", Format::Xlsx, draft)?;
        let workbook = roots.into_values().find(|target| target.kind == "officeDocument");
        let workbook = workbook.map_or_else(|| "xl/workbook.xml".to_owned(), |target| target.path);
        if workbook == "xl/workbook.bin" {
            return Err(Error::Unsupported { found: "a binary workbook (XLSB)".to_owned() });
        }
        let targets = relationships(&mut package, &workbook, Format::Xlsx, draft)?;
        let (sheets, since_1904) = sheets(&package.required_xml(&workbook)?, budget)?;
        let by_kind =
            |kind: &str| targets.values().find(|target| target.kind == kind).map(|target| &target.path);
        let strings = match by_kind("sharedStrings") {
            Some(path) => shared_strings(package.xml(path)?.as_deref().unwrap_or_default(), budget)?,
            None => Vec::new(),
        };
        let styles = match by_kind("styles") {
            Some(path) => styles(package.xml(path)?.as_deref().unwrap_or_default(), budget)?,
            None => Vec::new(),
        };
        let values = Values { strings, styles, since_1904 };
        for (name, id) in sheets {
            let Some(target) = targets.get(&id) else { continue };
            if target.kind != "worksheet" {
                continue;
            }
            draft.begin_page()?;
            draft.heading(1, &name)?;
            match package.xml(&target.path)? {
                Some(xml) => draft.table(&sheet(&xml, &name, &values, budget)?)?,
                None => draft.warn(format!("sheet {name}: {} is missing", target.path)),
            }
        }
        properties(&mut package, Format::Xlsx, draft)
    }
}

/// Names and relationship ids of the sheets in order, and whether dates count from 1904.
fn sheets(xml: &str, budget: &Budget) -> Result<(Vec<(String, String)>, bool)> {
    let (mut sheets, mut since_1904) = (Vec::new(), false);
    let mut reader = XmlReader::new(xml, Format::Xlsx, "the workbook", budget);
    while let Some(node) = reader.next()? {
        let Node::Start(element) = node else { continue };
        match element.name() {
            "sheet" => {
                let name = element.attribute("name").unwrap_or_default();
                sheets.push((name, element.qualified("r:id").unwrap_or_default()));
            }
            "workbookPr" => {
                since_1904 = matches!(element.attribute("date1904").as_deref(), Some("1" | "true"));
            }
            _ => {}
        }
    }
    Ok((sheets, since_1904))
}

fn shared_strings(xml: &str, budget: &Budget) -> Result<Vec<String>> {
    let mut strings = Vec::new();
    let mut reader = XmlReader::new(xml, Format::Xlsx, "the shared strings", budget);
    let mut current = String::new();
    while let Some(node) = reader.next()? {
        match node {
            Node::Start(element) => match element.name() {
                "t" => current.push_str(&reader.text()?),
                // How to pronounce what stands beside it.
                "rPh" => reader.skip()?,
                _ => {}
            },
            Node::End(name) if name == "si" => {
                strings.push(std::mem::take(&mut current));
            }
            _ => {}
        }
    }
    Ok(strings)
}

/// How the number of a cell reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NumberFormat {
    Plain,
    Percent,
    Date,
    Time,
    DateTime,
}

/// The number format of each cell style.
fn styles(xml: &str, budget: &Budget) -> Result<Vec<NumberFormat>> {
    let mut custom = HashMap::new();
    let mut formats = Vec::new();
    let mut in_cell_formats = false;
    let mut reader = XmlReader::new(xml, Format::Xlsx, "the styles", budget);
    while let Some(node) = reader.next()? {
        match node {
            Node::Start(element) => match element.name() {
                "numFmt" => {
                    let id: u32 = element.number("numFmtId").unwrap_or(0);
                    custom.insert(id, format_of_code(&element.attribute("formatCode").unwrap_or_default()));
                }
                "cellXfs" => in_cell_formats = true,
                "xf" if in_cell_formats => {
                    let id: u32 = element.number("numFmtId").unwrap_or(0);
                    formats.push(custom.get(&id).copied().unwrap_or_else(|| built_in_format(id)));
                }
                _ => {}
            },
            Node::End(name) if name == "cellXfs" => in_cell_formats = false,
            _ => {}
        }
    }
    Ok(formats)
}

/// The formats that need no code (ECMA-376 part 1, 18.8.30).
fn built_in_format(id: u32) -> NumberFormat {
    match id {
        9 | 10 => NumberFormat::Percent,
        14..=17 | 27..=31 | 36 | 50..=54 | 57 | 58 => NumberFormat::Date,
        18..=21 | 32..=35 | 45..=47 | 55 | 56 => NumberFormat::Time,
        22 => NumberFormat::DateTime,
        _ => NumberFormat::Plain,
    }
}

/// What a format code makes of a number: quoted text, escapes and bracketed conditions do not count.
fn format_of_code(code: &str) -> NumberFormat {
    let (mut date, mut time, mut percent) = (false, false, false);
    let mut characters = code.split(';').next().unwrap_or_default().chars();
    while let Some(c) = characters.next() {
        match c.to_ascii_lowercase() {
            '"' => while characters.next().is_some_and(|c| c != '"') {},
            '\\' | '_' | '*' => {
                characters.next();
            }
            '[' => {
                let inside: String = characters.by_ref().take_while(|c| *c != ']').collect();
                // `[h]:mm` is elapsed time; anything else is a colour, a locale or a condition.
                time |= matches!(inside.to_ascii_lowercase().as_str(), "h" | "hh" | "m" | "mm" | "s" | "ss");
            }
            'y' | 'd' => date = true,
            'h' | 's' => time = true,
            '%' => percent = true,
            // "General" holds letters of dates, and no others follow it.
            'g' if code.to_ascii_lowercase().contains("general") => return NumberFormat::Plain,
            _ => {}
        }
    }
    match (date, time) {
        (true, true) => NumberFormat::DateTime,
        (true, false) => NumberFormat::Date,
        (false, true) => NumberFormat::Time,
        (false, false) if percent => NumberFormat::Percent,
        (false, false) => NumberFormat::Plain,
    }
}

/// What the values of cells refer to.
struct Values {
    strings: Vec<String>,
    styles: Vec<NumberFormat>,
    since_1904: bool,
}

/// A cell in the making.
struct Cell {
    column: usize,
    kind: String,
    style: usize,
    value: String,
}

/// The used cells of a sheet. Only what is there is kept: a far cell costs no more than a near one.
fn sheet(xml: &str, name: &str, values: &Values, budget: &Budget) -> Result<Table> {
    let mut rows: Vec<Vec<(usize, String)>> = Vec::new();
    let mut row: Vec<(usize, String)> = Vec::new();
    let mut cell: Option<Cell> = None;
    let mut reader = XmlReader::new(xml, Format::Xlsx, name, budget);
    while let Some(node) = reader.next()? {
        match node {
            Node::Start(element) => match element.name() {
                "c" => {
                    let next = row.last().map_or(0, |(column, _)| column + 1);
                    cell = Some(Cell {
                        column: column(&element).unwrap_or(next),
                        kind: element.attribute("t").unwrap_or_default(),
                        style: element.number("s").unwrap_or(0),
                        value: String::new(),
                    });
                }
                "v" | "t" => {
                    let text = reader.text()?;
                    if let Some(cell) = &mut cell {
                        cell.value.push_str(&text);
                    }
                }
                "rPh" => reader.skip()?,
                _ => {}
            },
            Node::End(end) => match end.as_str() {
                "c" => {
                    if let Some(cell) = cell.take().filter(|cell| !cell.value.is_empty()) {
                        budget.cells(1)?;
                        let text = values.text(&cell);
                        row.push((cell.column, text));
                    }
                }
                "row" if !row.is_empty() => rows.push(std::mem::take(&mut row)),
                _ => {}
            },
            Node::Text(_) => {}
        }
    }
    rows.extend((!row.is_empty()).then_some(row));
    table(rows, budget)
}

/// The rows as a table with the used columns, wide gaps closed.
fn table(rows: Vec<Vec<(usize, String)>>, budget: &Budget) -> Result<Table> {
    let mut used: Vec<usize> = rows.iter().flatten().map(|(column, _)| *column).collect();
    used.sort_unstable();
    used.dedup();
    let mut places = HashMap::with_capacity(used.len());
    let (mut place, mut before) = (0, None);
    for column in used {
        place += before.map_or(0, |before| usize::min(column - before, WIDEST_GAP));
        places.insert(column, place);
        before = Some(column);
    }
    let mut table = Table::new();
    for row in rows {
        let mut cells: Vec<String> = Vec::new();
        for (column, text) in row {
            let place = places.get(&column).copied().unwrap_or(0);
            if cells.len() <= place {
                budget.cells(place - cells.len())?;
                cells.resize(place + 1, String::new());
            }
            if let Some(cell) = cells.get_mut(place) {
                *cell = text;
            }
        }
        table.row(cells, budget)?;
    }
    Ok(table)
}

/// The column of a reference such as `BC12`, from 0.
fn column(cell: &Element<'_>) -> Option<usize> {
    let reference = cell.attribute("r")?;
    let letters = reference.bytes().take_while(u8::is_ascii_alphabetic);
    let number =
        letters.take(4).fold(0, |sum, letter| sum * 26 + usize::from(letter.to_ascii_uppercase() - b'A' + 1));
    // XFD is the last column there can be.
    (1..=16_384).contains(&number).then(|| number - 1)
}

impl Values {
    fn text(&self, cell: &Cell) -> String {
        match cell.kind.as_str() {
            "s" => {
                let index = cell.value.trim().parse::<usize>().ok();
                index.and_then(|index| self.strings.get(index)).cloned().unwrap_or_default()
            }
            "b" => if cell.value.trim() == "1" { "TRUE" } else { "FALSE" }.to_owned(),
            "str" | "inlineStr" | "e" | "d" => cell.value.clone(),
            _ => match cell.value.trim().parse::<f64>() {
                Ok(number) if number.is_finite() => self.number(number, cell),
                _ => cell.value.clone(),
            },
        }
    }

    fn number(&self, number: f64, cell: &Cell) -> String {
        let format = self.styles.get(cell.style).copied().unwrap_or(NumberFormat::Plain);
        let moment = || serial(number, self.since_1904);
        match format {
            NumberFormat::Plain => plain(number),
            NumberFormat::Percent => format!("{}%", plain(number * 100.0)),
            NumberFormat::Date => moment().map_or_else(|| plain(number), |(date, _)| date),
            NumberFormat::Time => moment().map_or_else(|| plain(number), |(_, time)| time),
            NumberFormat::DateTime => {
                moment().map_or_else(|| plain(number), |(date, time)| format!("{date} {time}"))
            }
        }
    }
}

/// Fifteen digits, as Excel has them: 0.1 + 0.2 is 0.3.
fn plain(number: f64) -> String {
    let rounded: f64 = format!("{number:.14e}").parse().unwrap_or(number);
    rounded.to_string()
}

/// The date and time of a serial number of days.
fn serial(number: f64, since_1904: bool) -> Option<(String, String)> {
    if !(0.0..2_958_466.0).contains(&number) {
        return None;
    }
    // In range by the check above; the clock has no more than whole seconds.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let seconds = (number * 86_400.0).round() as u64;
    let (mut days, second) = (seconds / 86_400, seconds % 86_400);
    if since_1904 {
        days += 1462;
    }
    // Day 60 is the 29th of February 1900, which never was; the days before it are one off.
    let days_to_1970 = if days < 60 { 25_568 } else { 25_569 };
    let since_1970 = i64::try_from(days).ok()? - days_to_1970;
    let (year, month, day) = crate::dates::civil(since_1970);
    let time = format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
    Some((format!("{year:04}-{month:02}-{day:02}"), time.trim_end_matches(":00").to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{NumberFormat, format_of_code, plain, serial};

    #[test]
    fn serials_are_the_dates_that_excel_shows() {
        let date = |number| serial(number, false).map(|(date, _)| date);
        assert_eq!(date(1.0).as_deref(), Some("1900-01-01"));
        assert_eq!(date(61.0).as_deref(), Some("1900-03-01"));
        assert_eq!(date(45_292.0).as_deref(), Some("2024-01-01"));
        assert_eq!(serial(45_292.75, false).map(|(_, time)| time).as_deref(), Some("18:00"));
        assert_eq!(serial(0.0, true).map(|(date, _)| date).as_deref(), Some("1904-01-01"));
        assert_eq!(date(-1.0), None);
    }

    #[test]
    fn format_codes_tell_dates_from_numbers() {
        for (code, format) in [
            ("General", NumberFormat::Plain),
            ("#,##0.00 \"days\"", NumberFormat::Plain),
            ("[Red]0.00", NumberFormat::Plain),
            ("0.0%", NumberFormat::Percent),
            ("dd.mm.yyyy", NumberFormat::Date),
            ("[h]:mm:ss", NumberFormat::Time),
            ("[$-407]d. mmmm yyyy hh:mm", NumberFormat::DateTime),
        ] {
            assert_eq!(format_of_code(code), format, "{code}");
        }
    }

    #[test]
    fn numbers_have_fifteen_digits() {
        assert_eq!(plain(0.1 + 0.2), "0.3");
        assert_eq!(plain(1234.0), "1234");
    }
}
