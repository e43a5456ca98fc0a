use buttress_docpipeline::{Document, Format};

use crate::{read, zipped};

/// A package of this kind: styles of the content, and its body.
fn package(kind: &str, styles: &str, body: &str, parts: &[(&str, &str)]) -> Document {
    let mimetype = format!("application/vnd.oasis.opendocument.{kind}");
    let content = format!(
        "<office:document-content><office:automatic-styles>{styles}</office:automatic-styles>\
         <office:body><office:{kind}>{body}</office:{kind}></office:body></office:document-content>"
    );
    let mut members = vec![("mimetype", mimetype.as_str()), ("content.xml", &content)];
    members.extend(parts);
    read("a", stored_type_first(&members))
}

/// The type must stand in the file as it is, so that it can be found without the directory.
fn stored_type_first(members: &[(&str, &str)]) -> Vec<u8> {
    use std::io::{Cursor, Write};
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (i, (name, content)) in members.iter().enumerate() {
        let method = if i == 0 { zip::CompressionMethod::Stored } else { zip::CompressionMethod::Deflated };
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        writer.start_file(*name, options).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn texts_have_headings_lists_notes_and_frames() {
    let styles = r#"<text:list-style style:name="L"><text:list-level-style-number text:level="1" style:num-format="a" style:num-suffix=")"/>
        <text:list-level-style-bullet text:level="2"/></text:list-style>
        <style:style style:name="P1" style:parent-style-name="Title"/>"#;
    let body = r#"
        <text:tracked-changes><text:deletion><text:p>deleted</text:p></text:deletion></text:tracked-changes>
        <text:p text:style-name="P1">Name</text:p>
        <text:h text:outline-level="2">Head<text:s text:c="2"/>ing</text:h>
        <text:p>One<text:tab/>two<text:line-break/>three
           four<text:note><text:note-citation>*</text:note-citation><text:note-body><text:p>A note</text:p></text:note-body></text:note>.
           <draw:frame><draw:text-box><text:p>In a frame</text:p></draw:text-box></draw:frame></text:p>
        <text:list text:style-name="L">
          <text:list-item><text:p>first</text:p><text:list><text:list-item><text:p>inner</text:p></text:list-item></text:list></text:list-item>
          <text:list-item><text:p>second</text:p></text:list-item></text:list>
        <text:p>end<office:annotation><dc:creator>Ann</dc:creator><dc:date>2020</dc:date><text:p>Why?</text:p></office:annotation></text:p>"#;
    let document = package("text", styles, body, &[]);
    assert_eq!(document.format, Format::Odt);
    assert_eq!(
        document.text,
        "# Name\n\n## Head ing\n\nIn a frame\n\nOne two\nthree four[1].\n\na) first\n  - inner\nb) second\n\n\
         end\n\n[1] A note\n\nComment (Ann): Why?"
    );
}

#[test]
fn sheets_show_their_text_and_end_where_their_cells_end() {
    let body = r#"<table:table table:name="S">
        <table:table-row><table:table-cell office:value-type="float" office:value="1.5"><text:p>1,50 €</text:p></table:table-cell>
          <table:table-cell table:number-columns-repeated="2"/><table:table-cell><text:p>d</text:p></table:table-cell>
          <table:table-cell table:number-columns-repeated="16380"/></table:table-row>
        <table:table-row table:number-rows-repeated="2"><table:table-cell table:number-columns-repeated="2"><text:p>same</text:p></table:table-cell></table:table-row>
        <table:table-row table:number-rows-repeated="1048573"><table:table-cell table:number-columns-repeated="16384"/></table:table-row>
        </table:table><table:table table:name="T"><table:table-row><table:table-cell office:string-value="kept"/></table:table-row></table:table>"#;
    let document = package("spreadsheet", "", body, &[]);
    assert_eq!(
        document.text,
        "# S\n\n| 1,50 € | | | d |\n| --- | --- | --- | --- |\n| same | same | | |\n| same | same | | |\n\n\
         # T\n\n| kept |\n| --- |"
    );
    assert_eq!(document.pages.len(), 2);
}

#[test]
fn slides_have_titles_lists_and_notes() {
    let body = r#"<draw:page>
        <draw:frame presentation:class="title"><draw:text-box><text:p>Hello</text:p></draw:text-box></draw:frame>
        <draw:frame presentation:class="outline"><draw:text-box><text:list><text:list-item><text:p>point</text:p></text:list-item></text:list></draw:text-box></draw:frame>
        <draw:frame presentation:class="page-number"><draw:text-box><text:p>1</text:p></draw:text-box></draw:frame>
        <presentation:notes><draw:frame presentation:class="notes"><draw:text-box><text:p>Say it</text:p><text:p>slowly</text:p></draw:text-box></draw:frame></presentation:notes>
        </draw:page><draw:page><draw:custom-shape><text:p>Shape</text:p></draw:custom-shape></draw:page>"#;
    let document = package("presentation", "", body, &[]);
    assert_eq!(document.text, "# Hello\n\n- point\n\nNotes:\n\nSay it\n\nslowly\n\nShape");
    assert_eq!(document.pages.len(), 2);
}

#[test]
fn metadata_headers_and_footers_come_from_their_parts() {
    let meta = "<office:document-meta><office:meta><dc:title>T</dc:title><meta:initial-creator>First</meta:initial-creator>\
        <dc:creator>Last</dc:creator><meta:keyword>a</meta:keyword><meta:keyword>b</meta:keyword>\
        <meta:document-statistic meta:page-count=\"4\"/></office:meta></office:document-meta>";
    let page = "<style:header><text:p>Company</text:p></style:header><style:footer><text:p>Confidential</text:p></style:footer>";
    let styles = format!(
        "<office:document-styles><office:master-styles><style:master-page>{page}</style:master-page>\
         <style:master-page>{page}</style:master-page></office:master-styles></office:document-styles>"
    );
    let parts = [("meta.xml", meta), ("styles.xml", styles.as_str())];
    let document = package("text", "", "<text:p>Body</text:p>", &parts);
    assert_eq!(document.text, "Company\n\nBody\n\nConfidential");
    assert_eq!(document.metadata.title.as_deref(), Some("T"));
    assert_eq!(document.metadata.author.as_deref(), Some("First"));
    assert_eq!(document.metadata.properties["keywords"], "a, b");
    assert_eq!(document.metadata.pages, Some(4));
}

#[test]
fn a_flat_document_reads_as_its_package() {
    let flat = r#"<?xml version="1.0"?><office:document office:mimetype="application/vnd.oasis.opendocument.text">
        <office:meta><dc:title>Flat</dc:title></office:meta>
        <office:body><office:text><text:h text:outline-level="1">One</text:h><text:p>two</text:p></office:text></office:body></office:document>"#;
    let document = read("a.fodt", flat.into());
    assert_eq!(document.format, Format::Odt);
    assert_eq!(document.metadata.title.as_deref(), Some("Flat"));
    assert_eq!(document.text, "# One\n\ntwo");
}

#[test]
fn a_package_whose_type_is_not_first_is_known_by_its_manifest() {
    let manifest = r#"<manifest:manifest><manifest:file-entry manifest:full-path="/"
        manifest:media-type="application/vnd.oasis.opendocument.text"/></manifest:manifest>"#;
    let content =
        "<office:document-content><office:body><text:p>x</text:p></office:body></office:document-content>";
    let document = read("a", zipped(&[("content.xml", content), ("META-INF/manifest.xml", manifest)]));
    assert_eq!((document.format, document.text.as_str()), (Format::Odt, "x"));
}
