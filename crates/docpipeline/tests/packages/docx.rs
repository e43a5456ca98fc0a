use buttress_docpipeline::Format;

use crate::{read, relations, zipped};

/// A Word document with this body and these further parts, each of the kind of its file name.
fn docx(body: &str, parts: &[(&str, &str)]) -> Vec<u8> {
    let kinds: Vec<(String, String)> = parts
        .iter()
        .map(|(name, _)| {
            (name.trim_end_matches(|c: char| !c.is_alphabetic()).to_owned(), format!("{name}.xml"))
        })
        .collect();
    let listed: Vec<(&str, &str, &str)> =
        kinds.iter().map(|(kind, file)| (file.as_str(), kind.as_str(), file.as_str())).collect();
    let listed = relations(&listed);
    let body = format!("<w:document><w:body>{body}</w:body></w:document>");
    let mut members = vec![
        ("_rels/.rels".to_owned(), relations(&[("1", "officeDocument", "word/document.xml")])),
        ("word/document.xml".to_owned(), body),
        ("word/_rels/document.xml.rels".to_owned(), listed),
    ];
    members.extend(parts.iter().map(|(name, xml)| (format!("word/{name}.xml"), (*xml).to_owned())));
    let members: Vec<(&str, &str)> =
        members.iter().map(|(name, xml)| (name.as_str(), xml.as_str())).collect();
    zipped(&members)
}

/// A paragraph of one run, with these properties.
fn p(properties: &str, text: &str) -> String {
    format!("<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>")
}

fn text(body: &str, parts: &[(&str, &str)]) -> String {
    read("a.docx", docx(body, parts)).text
}

#[test]
fn headings_are_known_by_style_by_ancestor_and_by_outline_level() {
    let styles = r#"<w:styles>
        <w:style w:styleId="a1"><w:name w:val="heading 1"/></w:style>
        <w:style w:styleId="mine"><w:name w:val="Mine"/><w:basedOn w:val="a1"/></w:style>
        <w:style w:styleId="own"><w:name w:val="Own"/><w:pPr><w:outlineLvl w:val="2"/></w:pPr></w:style>
        </w:styles>"#;
    let body = [
        p(r#"<w:pStyle w:val="a1"/>"#, "One"),
        p(r#"<w:pStyle w:val="mine"/>"#, "Heir"),
        p(r#"<w:pStyle w:val="own"/>"#, "Three"),
        p(r#"<w:outlineLvl w:val="1"/>"#, "Two"),
        p(r#"<w:pStyle w:val="a1"/><w:outlineLvl w:val="9"/>"#, "Body"),
        p(r#"<w:pStyle w:val="berschrift4"/>"#, "Vier"),
    ];
    let document = read("a.docx", docx(&body.concat(), &[("styles", styles)]));
    assert_eq!(document.text, "# One\n\n# Heir\n\n### Three\n\n## Two\n\nBody\n\n#### Vier");
    assert_eq!(document.headings.len(), 5);
    assert_eq!(document.format, Format::Docx);
}

#[test]
fn lists_are_numbered_as_word_numbers_them() {
    let numbering = r#"<w:numbering>
        <w:abstractNum w:abstractNumId="0">
          <w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="upperRoman"/><w:lvlText w:val="%1."/></w:lvl>
          <w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1-%2)"/></w:lvl>
        </w:abstractNum>
        <w:abstractNum w:abstractNumId="1">
          <w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/><w:lvlText w:val="o"/></w:lvl>
        </w:abstractNum>
        <w:num w:numId="5"><w:abstractNumId w:val="0"/></w:num>
        <w:num w:numId="6"><w:abstractNumId w:val="1"/></w:num>
        <w:num w:numId="7"><w:abstractNumId w:val="0"/>
          <w:lvlOverride w:ilvl="0"><w:startOverride w:val="1"/></w:lvlOverride></w:num>
        </w:numbering>"#;
    let styles = r#"<w:styles><w:style w:styleId="L"><w:name w:val="List Bullet"/>
        <w:pPr><w:numPr><w:numId w:val="6"/></w:numPr></w:pPr></w:style></w:styles>"#;
    let item = |list: u8, level: u8, text: &str| {
        let numbers = format!(r#"<w:ilvl w:val="{level}"/><w:numId w:val="{list}"/>"#);
        p(&format!("<w:numPr>{numbers}</w:numPr>"), text)
    };
    let body = [
        item(5, 0, "a"),
        item(5, 1, "b"),
        item(5, 1, "c"),
        item(5, 0, "d"),
        item(5, 1, "e"),
        p(r#"<w:pStyle w:val="L"/>"#, "bullet"),
        item(7, 0, "anew"),
        p(r#"<w:pStyle w:val="L"/><w:numPr><w:numId w:val="0"/></w:numPr>"#, "none"),
    ];
    assert_eq!(
        text(&body.concat(), &[("numbering", numbering), ("styles", styles)]),
        "I. a\n  I-1) b\n  I-2) c\nII. d\n  II-1) e\n- bullet\nI. anew\n\nnone"
    );
}

#[test]
fn tables_stand_in_tables_as_text_and_wide_cells_keep_their_columns() {
    let cell = |inside: &str| format!("<w:tc>{inside}</w:tc>");
    let wide = format!(r#"<w:tc><w:tcPr><w:gridSpan w:val="2"/></w:tcPr>{}</w:tc>"#, p("", "wide"));
    let inner = format!("<w:tbl><w:tr>{}{}</w:tr></w:tbl>", cell(&p("", "in")), cell(&p("", "ner")));
    let rows = [
        format!("<w:tr>{wide}{}</w:tr>", cell(&p("", "c"))),
        format!(
            "<w:tr>{}{}{}</w:tr>",
            cell(&p("", "x|y")),
            cell(&inner),
            cell(&(p("", "two") + &p("", "lines")))
        ),
    ];
    let document = read("a.docx", docx(&format!("<w:tbl>{}</w:tbl>", rows.concat()), &[]));
    assert_eq!(document.text, "| wide | | c |\n| --- | --- | --- |\n| x\\|y | in ner | two lines |");
    assert_eq!(document.tables.len(), 1);
}

#[test]
fn only_what_is_seen_is_text() {
    let body = r#"<w:p>
        <w:r><w:t xml:space="preserve">kept </w:t></w:r>
        <w:del><w:r><w:delText>deleted</w:delText><w:t>deleted</w:t></w:r></w:del>
        <w:ins><w:r><w:t>inserted</w:t></w:r></w:ins>
        <w:r><w:fldChar w:fldCharType="begin"/><w:instrText> PAGE </w:instrText></w:r>
        <w:r><w:tab/><w:t>7</w:t><w:br/><w:t>next</w:t><w:noBreakHyphen/><w:t>line</w:t></w:r>
        <w:hyperlink r:id="x"><w:r><w:t> link</w:t></w:r></w:hyperlink></w:p>
      <w:p><w:pPr><w:tabs><w:tab w:val="left"/></w:tabs></w:pPr><w:r><mc:AlternateContent>
        <mc:Choice><wps:txbx><w:txbxContent><w:p><w:r><w:t>box</w:t></w:r></w:p></w:txbxContent></wps:txbx></mc:Choice>
        <mc:Fallback><w:p><w:r><w:t>box</w:t></w:r></w:p></mc:Fallback>
      </mc:AlternateContent></w:r><w:r><w:t>around</w:t></w:r></w:p>
      <w:p><w:r><w:drawing><wp:docPr descr="A cat asleep"/></w:drawing></w:r></w:p>"#;
    assert_eq!(text(body, &[]), "kept inserted 7\nnext-line link\n\nbox\n\naround\n\n[A cat asleep]");
}

#[test]
fn notes_follow_the_text_and_headers_stand_once() {
    let note = |id: u8, text: &str| format!(r#"<w:footnote w:id="{id}">{}</w:footnote>"#, p("", text));
    let footnotes = format!(
        r#"<w:footnotes><w:footnote w:type="separator" w:id="0">{}</w:footnote>{}{}</w:footnotes>"#,
        p("", "line"),
        note(1, "later"),
        note(2, "sooner")
    );
    let comments =
        format!(r#"<w:comments><w:comment w:author="Ann">{}</w:comment></w:comments>"#, p("", "Why?"));
    let header = format!("<w:hdr>{}</w:hdr>", p("", "Company"));
    let page = format!("<w:ftr>{}</w:ftr>", p("", "12"));
    let reference =
        |id: u8| format!(r#"<w:p><w:r><w:t>see</w:t><w:footnoteReference w:id="{id}"/></w:r></w:p>"#);
    let parts = [
        ("footnotes", footnotes.as_str()),
        ("comments", &comments),
        ("header1", &header),
        ("header2", &header),
        ("footer1", &page),
    ];
    assert_eq!(
        text(&(reference(2) + &reference(1)), &parts),
        "Company\n\nsee[1]\n\nsee[2]\n\n[2] later\n\n[1] sooner\n\nComment (Ann): Why?"
    );
}

#[test]
fn properties_become_metadata() {
    let core = "<cp:coreProperties><dc:title>T</dc:title><dc:creator>C</dc:creator>\
        <dcterms:created>2020-01-02T03:04:05Z</dcterms:created><cp:keywords>k</cp:keywords></cp:coreProperties>";
    let bytes = zipped(&[
        ("word/document.xml", "<w:document><w:p><w:r><w:t>x</w:t></w:r></w:p></w:document>"),
        ("docProps/core.xml", core),
        ("docProps/app.xml", "<Properties><Pages>3</Pages></Properties>"),
    ]);
    let metadata = read("a.docx", bytes).metadata;
    assert_eq!(metadata.title.as_deref(), Some("T"));
    assert_eq!(metadata.author.as_deref(), Some("C"));
    assert_eq!(metadata.created.as_deref(), Some("2020-01-02T03:04:05Z"));
    assert_eq!(metadata.properties["keywords"], "k");
    assert_eq!(metadata.pages, Some(3));
}
