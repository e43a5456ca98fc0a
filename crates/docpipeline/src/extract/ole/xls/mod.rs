//! Excel workbooks before 2007 ([MS-XLS]).

mod records;
mod sheet;

use std::collections::{HashMap, HashSet};

use crate::budget::Budget;
use crate::draft::{Draft, Source};
use crate::error::{Error, Result};
use crate::extract::Extractor;
use crate::extract::code_pages::of_code_page;
use crate::extract::numbers::{NumberFormat, NumberStyles, format_of_code};
use crate::format::Format;
use records::{BOF, EOF, Edition, Records};
use sheet::Sheet;

use super::numbers_at::{u16_at, usize_at};
use super::properties::read_properties;

/// BIFF8 and BIFF5: each sheet as a page with its name as heading and its used cells as a table, then the text of its
/// drawings and its comments. Values are as people see them: dates by their number format, formulas by their last
/// result, hidden sheets too.
pub(in crate::extract) struct Xls;

impl Extractor for Xls {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let budget = draft.budget();
        let file = super::open(&source.bytes, Format::Xls)?;
        // A file for both editions of Excel holds both.
        let name = if file.has("Workbook") { "Workbook" } else { "Book" };
        let stream = super::required_stream(&file, name, Format::Xls, draft)?;
        let workbook = Workbook::read(&stream, budget)?;
        let mut begun = HashSet::new();
        for (place, name) in &workbook.sheets {
            draft.begin_page()?;
            draft.heading(1, name)?;
            let body = stream.get(*place..).filter(|_| begun.insert(*place));
            let Some(body) = body else {
                draft.warn(format!("sheet {name}: it cannot stand at byte {place}"));
                continue;
            };
            Sheet::read(body, &workbook, name, draft)?.write(&workbook, draft)?;
        }
        read_properties(&file, Format::Xls, draft)
    }
}

/// The texts that cells share, one behind the other.
#[derive(Default)]
struct Strings {
    text: String,
    ends: Vec<usize>,
}

impl Strings {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(self.text.len());
    }

    fn get(&self, index: u32) -> Option<&str> {
        let index = usize::try_from(index).ok()?;
        let start = index.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.text.get(start..*self.ends.get(index)?)
    }
}

/// What holds for all sheets.
struct Workbook {
    edition: Edition,
    /// Where each sheet begins, and its name.
    sheets: Vec<(usize, String)>,
    strings: Strings,
    numbers: NumberStyles,
}

impl Workbook {
    fn read(stream: &[u8], budget: &Budget) -> Result<Self> {
        let version = (u16_at(stream, 0) == Some(BOF)).then(|| u16_at(stream, 4)).flatten();
        let Some(version @ (0x0500 | 0x0600)) = version else {
            return Err(Error::malformed(
                Format::Xls,
                "the workbook does not begin as one of Excel 5 to 2003",
            ));
        };
        let mut edition = Edition { unicode: version == 0x0600, encoding: encoding_rs::WINDOWS_1252 };
        let (mut sheets, mut strings, mut since_1904) = (Vec::new(), Strings::default(), false);
        let (mut defined, mut styles) = (HashMap::new(), Vec::new());
        let mut records = Records::new(stream);
        while let Some(record) = records.next() {
            budget.tick()?;
            let data = record.data;
            match record.kind {
                EOF => break,
                // FILEPASS
                0x2f => return Err(Error::Encrypted { format: Format::Xls }),
                // CODEPAGE
                0x42 => edition.encoding = of_code_page(u16_at(data, 0).map_or(1252, i32::from)),
                // DATEMODE
                0x22 => since_1904 = u16_at(data, 0) == Some(1),
                // BOUNDSHEET of a worksheet; others are charts, macros and modules.
                0x85 if data.get(5) == Some(&0) => {
                    let place = usize_at(data, 0);
                    let mut text = records.continued(record);
                    let name = text.take(6).and_then(|_| text.text(true, edition));
                    sheets.extend(place.zip(name));
                }
                // FORMAT
                0x041e => {
                    let id = u16_at(data, 0).map(u32::from);
                    let mut text = records.continued(record);
                    let code = text.take(2).and_then(|_| text.text(!edition.unicode, edition));
                    defined.extend(id.zip(code.map(|code| format_of_code(&code))));
                }
                // XF
                0xe0 => styles.push(u16_at(data, 2).map_or(0, u32::from)),
                // SST
                0xfc => {
                    let mut text = records.continued(record);
                    text.take(8);
                    while let Some(string) = text.text(false, edition) {
                        budget.tick()?;
                        strings.push(&string);
                    }
                }
                _ => {}
            }
        }
        let formats = styles.into_iter().map(|id| NumberFormat::of_id(id, &defined)).collect();
        Ok(Self { edition, sheets, strings, numbers: NumberStyles::new(formats, since_1904) })
    }
}
