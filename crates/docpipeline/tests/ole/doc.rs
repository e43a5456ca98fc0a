use buttress_docpipeline::{Error, Format};

use crate::compound::compound;
use crate::{halves, process, properties, read, text_property, utf16, words};

const TEXT: usize = 2048;
const PAGE: usize = 512;

/// Changes of properties ([MS-DOC] 2.6).
const IN_TABLE: [u8; 3] = [0x16, 0x24, 1];
const ENDS_ROW: [u8; 6] = [0x16, 0x24, 1, 0x17, 0x24, 1];
const DELETED: [u8; 3] = [0x00, 0x08, 1];

/// A Word document in the making. Its text is in UTF-16 and ends each paragraph with its mark.
struct Word {
    /// The paragraphs: text, style, changes.
    paragraphs: Vec<(String, u16, Vec<u8>)>,
    /// The lengths of body, footnotes, headers, macros, comments, endnotes; all is body where they are zero.
    parts: [u32; 6],
    /// Tables by their place in the header.
    tables: Vec<(usize, Vec<u8>)>,
    /// Runs of characters with changes: their first character, their end.
    runs: Vec<(usize, usize, Vec<u8>)>,
}

fn word(paragraphs: &[(&str, u16, &[u8])]) -> Word {
    let paragraphs = paragraphs.iter().map(|(text, style, list)| ((*text).to_owned(), *style, list.to_vec()));
    Word { paragraphs: paragraphs.collect(), parts: [0; 6], tables: Vec::new(), runs: Vec::new() }
}

impl Word {
    fn streams(mut self) -> (Vec<u8>, Vec<u8>) {
        let text: String = self.paragraphs.iter().map(|(text, _, _)| text.as_str()).collect();
        let units = text.encode_utf16().count();
        if self.parts == [0; 6] {
            self.parts[0] = u32::try_from(units).unwrap();
        }
        let mut stream = halves(&[0xa5ec, 193, 0, 0x409, 0, 0x0200]);
        stream.resize(0x4c, 0);
        stream.extend(words(&self.parts));
        stream.resize(TEXT, 0);
        stream.extend(utf16(&text));
        stream.resize(stream.len().next_multiple_of(PAGE), 0);

        // One piece that holds everything.
        let mut pieces = vec![2];
        pieces.extend(words(&[16, 0, u32::try_from(units).unwrap()]));
        pieces.extend(halves(&[0, u16::try_from(TEXT).unwrap(), 0, 0]));
        self.tables.push((33, pieces));
        let mut starts = vec![TEXT];
        for (text, _, _) in &self.paragraphs {
            starts.push(starts[starts.len() - 1] + 2 * text.encode_utf16().count());
        }
        let lists = self.paragraphs.iter().map(|(_, style, list)| {
            let mut list = [style.to_le_bytes().to_vec(), list.clone()].concat();
            list.resize(list.len().next_multiple_of(2) | 1, 0);
            [vec![u8::try_from(list.len().div_ceil(2)).unwrap()], list].concat()
        });
        let page = page(&starts, &lists.collect::<Vec<_>>(), 13);
        self.tables.push((13, bin_table(&starts, &stream)));
        stream.extend(page);
        if !self.runs.is_empty() {
            let mut places: Vec<usize> = self.runs.iter().map(|(start, _, _)| TEXT + 2 * start).collect();
            places.push(TEXT + 2 * self.runs[self.runs.len() - 1].1);
            let list = |(_, _, list): &(usize, usize, Vec<u8>)| {
                [vec![u8::try_from(list.len()).unwrap()], list.clone()].concat()
            };
            let page = self::page(&places, &self.runs.iter().map(list).collect::<Vec<_>>(), 1);
            self.tables.push((12, bin_table(&places, &stream)));
            stream.extend(page);
        }
        self.tables.push((1, styles()));

        let mut table_stream = Vec::new();
        for (place, table) in &self.tables {
            let numbers = [table_stream.len(), table.len()].map(|number| u32::try_from(number).unwrap());
            stream[0x9a + 8 * place..][..8].copy_from_slice(&words(&numbers));
            table_stream.extend(table);
        }
        (stream, table_stream)
    }

    fn file(self) -> Vec<u8> {
        let (stream, tables) = self.streams();
        compound(&[("WordDocument", &stream), ("1Table", &tables)])
    }
}

/// A page of properties: places, and at the end of the page the lists that are in force between them.
fn page(places: &[usize], lists: &[Vec<u8>], entry_size: usize) -> Vec<u8> {
    let places: Vec<u32> = places.iter().map(|place| u32::try_from(*place).unwrap()).collect();
    let mut page = words(&places);
    let entries = page.len();
    page.resize(PAGE, 0);
    let mut end = PAGE - 2;
    for (i, list) in lists.iter().enumerate() {
        end = (end - list.len()) & !1;
        page[end..end + list.len()].copy_from_slice(list);
        page[entries + i * entry_size] = u8::try_from(end / 2).unwrap();
    }
    page[PAGE - 1] = u8::try_from(lists.len()).unwrap();
    page
}

/// The table with the one page that stands next in the stream.
fn bin_table(places: &[usize], stream: &[u8]) -> Vec<u8> {
    let numbers = [places[0], places[places.len() - 1], stream.len() / PAGE];
    words(&numbers.map(|number| u32::try_from(number).unwrap()))
}

/// Styles: 0 is that of plain paragraphs, 1 and 2 are headings, 3 is based on 2.
fn styles() -> Vec<u8> {
    let mut table = [halves(&[18, 4, 10]), vec![0; 14]].concat();
    for (built_in, base) in [(0_u16, 0x0fff_u16), (1, 0), (2, 0), (0x0ffe, 2)] {
        let name = utf16("x\0");
        let style = [halves(&[built_in, 1 | base << 4, 1, 0, 0, 1]), name, halves(&[2, 0])].concat();
        table.extend(halves(&[u16::try_from(style.len()).unwrap()]));
        table.extend(style);
    }
    table
}

#[test]
fn paragraphs_headings_and_tables_come_in_order() {
    let document = read(
        "a.doc",
        word(&[
            ("Tides\r", 1, &[]),
            ("The sea \u{13} HYPERLINK \"x\" \u{14}comes\u{15}, and\u{b}goes.\r", 0, &[]),
            ("Part\r", 3, &[]),
            ("Day\u{7}", 0, &IN_TABLE),
            ("High\r", 0, &IN_TABLE),
            ("water\u{7}", 0, &IN_TABLE),
            ("\u{7}", 0, &ENDS_ROW),
            ("1\u{7}", 0, &IN_TABLE),
            ("\u{7}", 0, &IN_TABLE),
            ("\u{7}", 0, &ENDS_ROW),
            ("Ende – schön.\r", 0, &[]),
        ])
        .file(),
    );
    assert_eq!(document.format, Format::Doc);
    assert_eq!(
        document.text,
        "# Tides\n\nThe sea comes, and\ngoes.\n\n## Part\n\n| Day | High water |\n| --- | --- |\n| 1 | |\n\nEnde – schön."
    );
    assert_eq!(document.headings.len(), 2);
    assert_eq!(document.tables.len(), 1);
    assert!(document.warnings.is_empty(), "{:?}", document.warnings);
}

/// The end of a row whose cells have these edges.
fn ends_row(edges: &[u16]) -> Vec<u8> {
    let count = u8::try_from(edges.len() - 1).unwrap();
    let size = halves(&[u16::try_from(2 + 2 * edges.len()).unwrap()]);
    [&ENDS_ROW[..], &[0x08, 0xd6], &size, &[count], &halves(edges)].concat()
}

#[test]
fn cells_that_cover_columns_leave_those_empty() {
    let (wide, narrow) = (ends_row(&[0, 1000, 3000]), ends_row(&[20, 1010, 2000, 2990]));
    let document = read(
        "a.doc",
        word(&[
            ("Who\u{7}", 0, &IN_TABLE),
            ("When\u{7}", 0, &IN_TABLE),
            ("\u{7}", 0, &wide),
            ("Ada\u{7}", 0, &IN_TABLE),
            ("May\u{7}", 0, &IN_TABLE),
            ("June\u{7}", 0, &IN_TABLE),
            ("\u{7}", 0, &narrow),
        ])
        .file(),
    );
    assert_eq!(document.text, "| Who | When | |\n| --- | --- | --- |\n| Ada | May | June |");
}

#[test]
fn pieces_lie_anywhere_and_in_eight_bits_or_sixteen() {
    let (mut stream, _) = word(&[("zwei\r", 0, &[])]).streams();
    let narrow = stream.len();
    stream.extend(b"Eins \x80 ");
    stream[0x4c..0x50].copy_from_slice(&12_u32.to_le_bytes());
    // A change of properties stands before the pieces.
    let mut tables = [vec![1, 2, 0, 0xff, 0xff, 2], words(&[28, 0, 7, 12])].concat();
    let narrow = u32::try_from(2 * narrow).unwrap() | 0x4000_0000;
    tables.extend([halves(&[0]), words(&[narrow]), halves(&[0, 0])].concat());
    tables.extend([words(&[u32::try_from(TEXT).unwrap()]), halves(&[0])].concat());
    stream[0x9a..0x9a + 8 * 80].fill(0);
    stream[0x9a + 8 * 33 + 4..][..4].copy_from_slice(&u32::try_from(tables.len()).unwrap().to_le_bytes());
    let bytes = compound(&[("WordDocument", &stream), ("1Table", &tables)]);
    assert_eq!(read("a.doc", bytes).text, "Eins € zwei");
}

#[test]
fn notes_and_comments_stand_behind_the_text() {
    let body = "One\u{2} two\u{2}.\u{5}\r";
    let notes = ["\u{2} first\r", "\u{5}well said\r", "\u{2} second\r"];
    let mut document = word(&[(body, 0, &[]), (notes[0], 0, &[]), (notes[1], 0, &[]), (notes[2], 0, &[])]);
    let length = |text: &str| u32::try_from(text.encode_utf16().count()).unwrap();
    document.parts = [length(body), length(notes[0]), 0, 0, length(notes[1]), length(notes[2])];
    document.tables = vec![
        (2, [words(&[3, 13]), halves(&[1])].concat()),
        (3, words(&[0, length(notes[0]), length(notes[0]) + 1])),
        (46, [words(&[8, 13]), halves(&[1])].concat()),
        (47, words(&[0, length(notes[2]), length(notes[2]) + 1])),
        (4, [words(&[10, 13]), vec![0; 30]].concat()),
        (5, words(&[0, length(notes[1]), length(notes[1]) + 1])),
        (36, [halves(&[3]), utf16("Ada")].concat()),
    ];
    assert_eq!(
        read("a.doc", document.file()).text,
        "One[1] two[2].\n\n[1] first\n\n[2] second\n\nComment (Ada): well said"
    );
}

#[test]
fn items_of_lists_are_counted() {
    let in_list = |depth: u8| [0x0b, 0x46, 1, 0, 0x0a, 0x26, depth];
    let (outer, inner) = (in_list(0), in_list(1));
    let mut document = word(&[
        ("a\r", 0, &outer),
        ("b\r", 0, &inner),
        ("c\r", 0, &inner),
        ("d\r", 0, &outer),
        ("e\r", 0, &[]),
    ]);
    let mut definitions = [halves(&[1]), words(&[77]), vec![0; 24]].concat();
    let heads = definitions.len();
    for (format, pattern) in [(0, "\u{0}."), (4, "\u{0}.\u{1})")].into_iter().chain([(23, "·"); 7]) {
        definitions.extend(words(&[1]));
        definitions.extend([vec![format], vec![0; 23]].concat());
        definitions
            .extend([halves(&[u16::try_from(pattern.chars().count()).unwrap()]), utf16(pattern)].concat());
    }
    let lists = [words(&[1, 77]), vec![0; 12], words(&[u32::MAX])].concat();
    document.tables = vec![(74, lists), (73, definitions)];
    let (mut stream, tables) = document.streams();
    // The levels do not count as a part of the table.
    stream[0x9a + 8 * 73 + 4..][..4].copy_from_slice(&u32::try_from(heads).unwrap().to_le_bytes());
    let bytes = compound(&[("WordDocument", &stream), ("1Table", &tables)]);
    assert_eq!(read("a.doc", bytes).text, "1. a\n  1.a) b\n  1.b) c\n2. d\n\ne");
}

#[test]
fn deleted_text_is_left_out() {
    let mut document = word(&[("Keep this not that.\r", 0, &[])]);
    document.runs = vec![(0, 9, Vec::new()), (9, 18, DELETED.to_vec())];
    assert_eq!(read("a.doc", document.file()).text, "Keep this.");
}

#[test]
fn headers_stand_before_the_text_once_and_footers_behind_it() {
    let (body, header, footer) = ("Body.\r", "A report\r", "page \u{13}PAGE\u{14}7\u{15}\r");
    let mut document =
        word(&[(body, 0, &[]), (header, 0, &[]), (footer, 0, &[]), (header, 0, &[]), ("8\r", 0, &[])]);
    let length = |text: &str| u32::try_from(text.encode_utf16().count()).unwrap();
    let mut ends = vec![0; 7];
    for (i, text) in ["", header, "", footer, "", "", header, "8\r"].into_iter().enumerate() {
        ends.push(ends[ends.len() - 1] + if i == 0 { 0 } else { length(text) });
    }
    document.parts = [length(body), 0, ends[ends.len() - 1], 0, 0, 0];
    document.tables = vec![(11, words(&ends))];
    assert_eq!(read("a.doc", document.file()).text, "A report\n\nBody.\n\npage 7");
}

#[test]
fn word_6_has_the_code_page_of_its_language() {
    let text = b"\xcf\xf0\xe8\xe2\xe5\xf2\r";
    let mut stream = halves(&[0xa5dc, 101, 0, 0x419]);
    stream.resize(0x18, 0);
    stream.extend(words(&[1024, 1024 + u32::try_from(text.len()).unwrap()]));
    stream.resize(0x34, 0);
    stream.extend(words(&[u32::try_from(text.len()).unwrap()]));
    stream.resize(1024, 0);
    stream.extend(text);
    assert_eq!(read("a.doc", compound(&[("WordDocument", &stream)])).text, "Привет");
}

#[test]
fn the_document_tells_of_itself() {
    let (stream, tables) = word(&[("x\r", 0, &[])]).streams();
    let made = 133_485_408_000_000_000_u64.to_le_bytes();
    let summary = properties(&[
        (1, 2, &1251_u32.to_le_bytes()),
        (2, 30, &text_property(b"\xcf\xeb\xe0\xed")),
        (4, 30, &text_property(b"Ada")),
        (5, 30, &text_property(b"tides, moon")),
        (12, 64, &made),
        (14, 3, &3_u32.to_le_bytes()),
    ]);
    let bytes =
        compound(&[("\u{5}SummaryInformation", &summary), ("WordDocument", &stream), ("1Table", &tables)]);
    let metadata = read("a.doc", bytes).metadata;
    assert_eq!(metadata.title.as_deref(), Some("План"));
    assert_eq!(metadata.author.as_deref(), Some("Ada"));
    assert_eq!(metadata.created.as_deref(), Some("2024-01-01T00:00:00Z"));
    assert_eq!(metadata.pages, Some(3));
    assert_eq!(metadata.properties.get("keywords").map(String::as_str), Some("tides, moon"));
}

#[test]
fn an_encrypted_document_says_so() {
    let (mut stream, tables) = word(&[("x\r", 0, &[])]).streams();
    stream[0x0b] |= 1;
    let bytes = compound(&[("WordDocument", &stream), ("1Table", &tables)]);
    assert_eq!(process("a.doc", bytes), Err(Error::Encrypted { format: Format::Doc }));
}
