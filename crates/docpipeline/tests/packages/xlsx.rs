use buttress_docpipeline::{Error, Format};

use crate::{process, read, relations, zipped};

const STYLES: &str = r#"<styleSheet><numFmts><numFmt numFmtId="164" formatCode="yyyy\-mm\-dd hh:mm"/></numFmts>
    <cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/><xf numFmtId="10"/></cellXfs></styleSheet>"#;

const STRINGS: &str = "<sst><si><t>plain</t></si>\
    <si><r><t>ri</t></r><r><t>ch</t></r><rPh><t>how to say it</t></rPh></si></sst>";

/// A workbook of these sheets: name, and rows.
fn xlsx(sheets: &[(&str, &str)], workbook_properties: &str) -> Vec<u8> {
    let mut members = vec![("xl/styles.xml".to_owned(), STYLES.to_owned())];
    members.push(("xl/sharedStrings.xml".to_owned(), STRINGS.to_owned()));
    let (mut list, mut targets) = (String::new(), Vec::new());
    for (i, (name, rows)) in sheets.iter().enumerate() {
        list.extend([r#"<sheet name=""#, name, r#"" r:id="r"#, &i.to_string(), r#""/>"#]);
        targets.push((format!("r{i}"), "worksheet", format!("worksheets/s{i}.xml")));
        let xml = format!("<worksheet><sheetData>{rows}</sheetData></worksheet>");
        members.push((format!("xl/worksheets/s{i}.xml"), xml));
    }
    targets.push(("s".to_owned(), "styles", "styles.xml".to_owned()));
    targets.push(("t".to_owned(), "sharedStrings", "/xl/sharedStrings.xml".to_owned()));
    let listed: Vec<_> = targets.iter().map(|(id, kind, path)| (id.as_str(), *kind, path.as_str())).collect();
    members.push(("xl/_rels/workbook.xml.rels".to_owned(), relations(&listed)));
    let workbook = format!("<workbook>{workbook_properties}<sheets>{list}</sheets></workbook>");
    members.push(("xl/workbook.xml".to_owned(), workbook));
    let members: Vec<_> = members.iter().map(|(name, xml)| (name.as_str(), xml.as_str())).collect();
    zipped(&members)
}

#[test]
fn values_are_as_people_see_them() {
    let rows = r#"
        <row><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c><c r="C1" t="inlineStr"><is><t>here</t></is></c></row>
        <row><c r="A2" s="1"><v>45292</v></c><c r="B2" s="2"><v>45292.75</v></c><c r="C2" s="3"><v>0.125</v></c></row>
        <row><c r="A3"><f>A1*2</f><v>0.30000000000000004</v></c><c r="B3" t="b"><v>1</v></c><c r="C3" t="e"><v>#N/A</v></c></row>
        <row><c t="str"><f>"x"</f><v>made</v></c><c><v>7</v></c><c r="C4"><f>A1</f></c></row>"#;
    let document = read("a.xlsx", xlsx(&[("Data", rows)], ""));
    assert_eq!(document.format, Format::Xlsx);
    assert_eq!(
        document.text,
        "# Data\n\n| plain | rich | here |\n| --- | --- | --- |\n| 2024-01-01 | 2024-01-01 18:00 | 12.5% |\n\
         | 0.3 | TRUE | #N/A |\n| made | 7 | |"
    );
}

#[test]
fn sheets_are_pages_in_the_order_of_the_workbook() {
    let row = |text: &str| format!(r#"<row><c t="str"><v>{text}</v></c></row>"#);
    let (one, two) = (row("one"), row("two"));
    let document = read("a.xlsx", xlsx(&[("Z", &one), ("A", &two), ("Empty", "")], ""));
    assert_eq!(document.text, "# Z\n\n| one |\n| --- |\n\n# A\n\n| two |\n| --- |\n\n# Empty");
    assert_eq!(document.pages.len(), 3);
    assert_eq!(document.slice(document.pages[1]), "# A\n\n| two |\n| --- |");
}

#[test]
fn days_may_count_from_1904() {
    let bytes = xlsx(&[("S", r#"<row><c s="1"><v>1</v></c></row>"#)], r#"<workbookPr date1904="1"/>"#);
    assert!(read("a.xlsx", bytes).text.contains("1904-01-02"));
}

#[test]
fn far_cells_cost_no_more_than_near_ones() {
    let rows = r#"<row r="1"><c r="A1"><v>1</v></c><c r="XFD1"><v>2</v></c></row>
        <row r="1048576"><c r="A1048576"><v>3</v></c></row>"#;
    let text = read("a.xlsx", xlsx(&[("Far", rows)], "")).text;
    assert_eq!(text, "# Far\n\n| 1 | | | | 2 |\n| --- | --- | --- | --- | --- |\n| 3 | | | | |");
}

#[test]
fn scattered_cells_do_not_make_a_desert() {
    let row = |i: u32| {
        let letter = |n: u32| char::from(b'A' + u8::try_from(n).unwrap());
        let column = format!("{}{}", letter(i / 26), letter(i % 26));
        format!(r#"<row><c r="{column}1"><v>{i}</v></c></row>"#)
    };
    let rows: String = (0..600).map(row).collect();
    let text = read("a.xlsx", xlsx(&[("Diagonal", &rows)], "")).text;
    assert!(text.contains("| 599 |"), "{text}");
    assert!(text.len() < 10_000, "{} bytes for 600 cells", text.len());
}

#[test]
fn a_binary_workbook_is_refused_by_name() {
    let root = relations(&[("1", "officeDocument", "xl/workbook.bin")]);
    let refusal = process("a.xlsx", zipped(&[("_rels/.rels", &root), ("xl/workbook.bin", "x")])).unwrap_err();
    assert!(matches!(&refusal, Error::Unsupported { found } if found.contains("XLSB")), "{refusal}");
}
