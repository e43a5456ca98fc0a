use buttress_docpipeline::Format;

use crate::read;

#[test]
fn text_of_one_element_is_one_line_whatever_stands_in_it() {
    let xml = "<?xml version='1.0'?><doc><title>Name</title><section><title>Part</title>\
        <para><em>Words</em> with\n   <b>marks</b>, all of one\nline.</para><para>Next &amp; last.</para>\
        <programlisting>let x;\n  x = 1;</programlisting></section></doc>";
    let document = read("a.xml", xml.into());
    assert_eq!(document.format, Format::Xml);
    assert_eq!(
        document.text,
        "# Name\n\n# Part\n\nWords with marks, all of one line.\n\nNext & last.\n\nlet x;\n  x = 1;"
    );
    assert_eq!(document.metadata.title.as_deref(), Some("Name"));
}

#[test]
fn records_are_blocks_and_their_fields_lines() {
    let xml = "<?xml version='1.0'?><rows><row><a>1</a><b>x</b></row><row><a>2</a><b>y</b></row></rows>";
    assert_eq!(read("a.xml", xml.into()).text, "1\nx\n\n2\ny");
}

#[test]
fn a_feed_has_headings_and_reads_its_html() {
    let xml = "<?xml version='1.0'?><rss><channel><title>News</title><item><title>One</title>\
        <description>&lt;p&gt;Some &lt;b&gt;bold&lt;/b&gt; text&lt;/p&gt;</description></item>\
        <item><title>Two</title><description><![CDATA[<p>More</p>]]></description></item></channel></rss>";
    assert_eq!(read("a.xml", xml.into()).text, "# News\n\n## One\n\nSome bold text\n\n## Two\n\nMore");
}

#[test]
fn attributes_are_text_where_they_are_labels_or_all_there_is() {
    let outline = "<?xml version='1.0'?><opml><head><title>List</title></head><body><outline text='First'>\
        <outline text='Inner'/></outline></body></opml>";
    assert_eq!(read("a.opml", outline.into()).text, "# List\n\nFirst\nInner");
    let bare = "<?xml version='1.0'?><set xmlns='urn:x'><point x='1' name='north'/></set>";
    assert_eq!(read("a.xml", bare.into()).text, "1 north");
}

#[test]
fn the_declared_encoding_is_believed() {
    let xml = b"<?xml version='1.0' encoding='ISO-8859-1'?><a>caf\xe9</a>";
    assert_eq!(read("a.xml", xml.to_vec()).text, "caf\u{e9}");
}

#[test]
fn damage_leaves_what_came_before_it() {
    let document = read("a.xml", "<?xml version='1.0'?><a><b>whole</b><b>half<".into());
    assert_eq!(document.text, "whole\nhalf");
    assert_eq!(document.warnings.len(), 1);
}
