use buttress_docpipeline::{Error, Format};

use crate::compound::compound;
use crate::{halves, process, read, utf16, words};

const BOF: u16 = 0x0809;
const EOF: u16 = 0x0a;
const CONTINUE: u16 = 0x3c;
const SST: u16 = 0xfc;

fn record(kind: u16, data: &[&[u8]]) -> Vec<u8> {
    let data = data.concat();
    [halves(&[kind, u16::try_from(data.len()).unwrap()]), data].concat()
}

fn begin(version: u16, kind: u16) -> Vec<u8> {
    record(BOF, &[&halves(&[version, kind]), &[0; 12]])
}

/// A text with its length in two bytes, its characters in one each.
fn text(text: &str) -> Vec<u8> {
    [halves(&[u16::try_from(text.len()).unwrap()]), vec![0], text.as_bytes().to_vec()].concat()
}

fn cell(kind: u16, row: u16, column: u16, style: u16, data: &[u8]) -> Vec<u8> {
    record(kind, &[&halves(&[row, column, style]), data])
}

/// A workbook of Excel 97 with these records for all sheets, and these sheets.
fn workbook(globals: &[Vec<u8>], sheets: &[(&str, Vec<Vec<u8>>)]) -> Vec<u8> {
    let head = [begin(0x0600, 5), globals.concat()].concat();
    let list_size: usize = sheets.iter().map(|(name, _)| 4 + 8 + name.len()).sum();
    let mut place = head.len() + list_size + 4;
    let (mut list, mut bodies) = (Vec::new(), Vec::new());
    for (name, records) in sheets {
        let length = u8::try_from(name.len()).unwrap();
        let place_now = words(&[u32::try_from(place).unwrap()]);
        list.extend(record(0x85, &[&place_now, &[0, 0, length, 0], name.as_bytes()]));
        let body = [begin(0x0600, 0x10), records.concat(), record(EOF, &[])].concat();
        place += body.len();
        bodies.extend(body);
    }
    [head, list, record(EOF, &[]), bodies].concat()
}

fn xls(globals: &[Vec<u8>], sheets: &[(&str, Vec<Vec<u8>>)]) -> Vec<u8> {
    compound(&[("Workbook", &workbook(globals, sheets))])
}

#[test]
fn values_are_as_people_see_them() {
    let styles = [
        record(0x041e, &[&halves(&[164]), &text(r"yyyy\-mm\-dd hh:mm")]),
        record(0xe0, &[&halves(&[0, 0]), &[0; 16]]),
        record(0xe0, &[&halves(&[0, 14]), &[0; 16]]),
        record(0xe0, &[&halves(&[0, 164]), &[0; 16]]),
        record(0xe0, &[&halves(&[0, 10]), &[0; 16]]),
        record(SST, &[&words(&[2, 2]), &text("plain"), &[4, 0, 0x0c, 1, 0, 2, 0, 0, 0], b"rich", &[0; 6]]),
    ];
    let date = |number: u32| number << 2 | 2;
    let rows = vec![
        cell(0xfd, 0, 0, 0, &words(&[0])),
        cell(0xfd, 0, 1, 0, &words(&[1])),
        cell(0x0204, 0, 2, 0, &text("here")),
        cell(0x027e, 1, 0, 1, &words(&[date(45_292)])),
        cell(0x0203, 1, 1, 2, &45_292.75_f64.to_le_bytes()),
        cell(0x0203, 1, 2, 3, &0.125_f64.to_le_bytes()),
        cell(0x06, 2, 0, 0, &[&0.300_000_000_000_000_04_f64.to_le_bytes()[..], &[0; 8]].concat()),
        cell(0x0205, 2, 1, 0, &[1, 0]),
        cell(0x0205, 2, 2, 0, &[0x2a, 1]),
        cell(0x06, 3, 0, 0, &[0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0]),
        record(0x0207, &[&text("made")]),
        record(
            0xbd,
            &[&halves(&[3, 1, 0]), &words(&[date(7)]), &halves(&[0]), &words(&[date(8) | 1]), &halves(&[2])],
        ),
    ];
    let document = read("a.xls", xls(&styles, &[("Data", rows)]));
    assert_eq!(document.format, Format::Xls);
    assert_eq!(
        document.text,
        "# Data\n\n| plain | rich | here |\n| --- | --- | --- |\n| 2024-01-01 | 2024-01-01 18:00 | 12.5% |\n\
         | 0.3 | TRUE | #N/A |\n| made | 7 | 0.08 |"
    );
}

#[test]
fn sheets_are_pages_in_order() {
    let row = |text_of: &str| vec![cell(0x0204, 0, 0, 0, &text(text_of))];
    let document = read("a.xls", xls(&[], &[("Z", row("one")), ("A", row("two")), ("Empty", Vec::new())]));
    assert_eq!(document.text, "# Z\n\n| one |\n| --- |\n\n# A\n\n| two |\n| --- |\n\n# Empty");
    assert_eq!(document.pages.len(), 3);
}

#[test]
fn shared_strings_go_on_in_the_next_record() {
    let strings = [
        // Cut in the middle of a text; the rest of it keeps all of each character.
        record(SST, &[&words(&[2, 2]), &halves(&[8]), &[0], b"cut "]),
        record(CONTINUE, &[&[1], &utf16("ш"), &utf16("here"[..3].as_ref()), &halves(&[3]), &[0], b"two"]),
    ];
    let rows = vec![cell(0xfd, 0, 0, 0, &words(&[0])), cell(0xfd, 0, 1, 0, &words(&[1]))];
    assert_eq!(read("a.xls", xls(&strings, &[("S", rows)])).text, "# S\n\n| cut шher | two |\n| --- | --- |");
}

#[test]
fn days_may_count_from_1904() {
    let globals = [record(0x22, &[&halves(&[1])]), record(0xe0, &[&halves(&[0, 14]), &[0; 16]])];
    let rows = vec![cell(0x027e, 0, 0, 0, &words(&[1 << 2 | 2]))];
    assert!(read("a.xls", xls(&globals, &[("S", rows)])).text.contains("1904-01-02"));
}

#[test]
fn drawings_and_comments_stand_behind_the_cells() {
    let object = |kind: u16, id: u16| record(0x5d, &[&halves(&[0x15, 0x12, kind, id]), &[0; 14]]);
    let text_of = |text: &str| {
        let head = [vec![0; 10], halves(&[u16::try_from(text.len()).unwrap(), 16]), vec![0; 4]].concat();
        let body = record(CONTINUE, &[&[0], text.as_bytes()]);
        [record(0x01b6, &[&head]), body, record(CONTINUE, &[&[0; 16]])].concat()
    };
    let rows = vec![
        cell(0x0204, 0, 0, 0, &text("x")),
        object(0x19, 5),
        text_of("checked"),
        object(6, 6),
        text_of("a box"),
        record(0x1c, &[&halves(&[11, 54, 0, 5]), &text("Ada")]),
    ];
    assert_eq!(
        read("a.xls", xls(&[], &[("S", rows)])).text,
        "# S\n\n| x |\n| --- |\n\na box\n\nComment (BC12): checked"
    );
}

#[test]
fn charts_in_a_sheet_are_not_its_cells() {
    let rows = vec![
        begin(0x0600, 0x20),
        cell(0x0203, 0, 0, 0, &1_f64.to_le_bytes()),
        record(EOF, &[]),
        cell(0x0204, 0, 0, 0, &text("x")),
    ];
    assert_eq!(read("a.xls", xls(&[], &[("S", rows)])).text, "# S\n\n| x |\n| --- |");
}

#[test]
fn excel_5_has_a_code_page() {
    let globals = [begin(0x0500, 5), record(0x42, &[&halves(&[1251])])].concat();
    let place = words(&[u32::try_from(globals.len() + 12 + 4).unwrap()]);
    let list = [record(0x85, &[&place, &[0, 0, 1], b"\xcb"]), record(EOF, &[])].concat();
    let label = cell(0x0204, 0, 0, 0, &[&halves(&[2])[..], b"\xc4\xe0"].concat());
    let sheet = [begin(0x0500, 0x10), label, record(EOF, &[])].concat();
    let bytes = compound(&[("Book", &[globals, list, sheet].concat())]);
    assert_eq!(read("a.xls", bytes).text, "# Л\n\n| Да |\n| --- |");
}

#[test]
fn an_encrypted_workbook_says_so() {
    let bytes = xls(&[record(0x2f, &[&[0; 6]])], &[("S", Vec::new())]);
    assert_eq!(process("a.xls", bytes), Err(Error::Encrypted { format: Format::Xls }));
}

#[test]
fn what_is_left_of_a_workbook_is_read() {
    let row = |text_of: &str| vec![cell(0x0204, 0, 0, 0, &text(text_of))];
    let whole = workbook(&[], &[("One", row("first")), ("Two", row("second"))]);
    let cut = whole[..whole.len() - 40].to_vec();
    let document = read("a.xls", compound(&[("Workbook", &cut)]));
    assert_eq!(document.text, "# One\n\n| first |\n| --- |\n\n# Two");
    assert_eq!(document.warnings.len(), 1, "{:?}", document.warnings);
}

/// Texts go on in records behind them, of which one may be cut off anywhere, in its head too.
#[test]
fn a_workbook_that_breaks_off_anywhere_is_read_to_there() {
    let label = cell(0x0204, 0, 0, 0, &text("a label that goes on"));
    let whole = workbook(&[], &[("S", vec![label, record(CONTINUE, &[&[0], b"here"])])]);
    for length in whole.len() - 40..whole.len() {
        let document = read("a.xls", compound(&[("Workbook", &whole[..length])]));
        assert!(document.text.starts_with("# S"), "{length}: {}", document.text);
    }
}
