//! Any bytes as the streams of a sound compound file, each kind of document behind the beginning that it must have.

#![no_main]

#[path = "../../crates/docpipeline/tests/ole/compound.rs"]
mod compound;
#[path = "shared/documents.rs"]
mod documents;

use compound::compound;
use libfuzzer_sys::fuzz_target;

/// Word 97 with its tables in the second of two streams; Word 6.
const WORD_97: [u8; 12] = [0xec, 0xa5, 0xc1, 0, 0, 0, 9, 4, 0, 0, 0, 2];
const WORD_6: [u8; 4] = [0xdc, 0xa5, 101, 0];

/// The first records of Excel 97 and of Excel 5.
const EXCEL_97: [u8; 8] = [9, 8, 4, 0, 0, 6, 5, 0];
const EXCEL_5: [u8; 8] = [9, 8, 4, 0, 0, 5, 5, 0];

// The first byte is the kind, the next two the length of the first stream; what is left is the second.
fuzz_target!(|bytes: &[u8]| {
    let Some(([kind, low, high], rest)) = bytes.split_first_chunk() else { return };
    let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
    let (first, second) = rest.split_at(length);
    let behind = |beginning: &[u8]| {
        let kept = first.get(beginning.len()..).unwrap_or_default();
        [beginning, kept].concat()
    };
    let (name, file) = match kind % 5 {
        0 => {
            ("a.doc", compound(&[("WordDocument", &behind(&WORD_97)), ("1Table", second), ("Data", second)]))
        }
        1 => ("a.doc", compound(&[("WordDocument", &behind(&WORD_6)), ("\u{5}SummaryInformation", second)])),
        2 => ("a.xls", compound(&[("Workbook", &behind(&EXCEL_97)), ("\u{5}SummaryInformation", second)])),
        3 => ("a.xls", compound(&[("Book", &behind(&EXCEL_5)), ("\u{5}SummaryInformation", second)])),
        _ => ("a.ppt", compound(&[("PowerPoint Document", first), ("Current User", second)])),
    };
    documents::process(name, file);
});
