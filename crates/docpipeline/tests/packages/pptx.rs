use crate::{read, relations, zipped};

fn shape(placeholder: &str, paragraphs: &str) -> String {
    format!("<p:sp><p:nvPr>{placeholder}</p:nvPr><p:txBody>{paragraphs}</p:txBody></p:sp>")
}

fn p(properties: &str, text: &str) -> String {
    format!("<a:p>{properties}<a:r><a:t>{text}</a:t></a:r></a:p>")
}

fn slide(shapes: &str) -> String {
    format!("<p:sld><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:sld>")
}

#[test]
fn slides_come_in_the_order_in_which_they_are_shown() {
    let first =
        slide(&(shape("<p:ph/>", &p("", "point")) + &shape(r#"<p:ph type="ctrTitle"/>"#, &p("", "Title"))));
    let table = "<a:tbl><a:tr><a:tc><a:p><a:r><a:t>k</a:t></a:r></a:p></a:tc><a:tc><a:p><a:r><a:t>v</a:t></a:r></a:p></a:tc></a:tr></a:tbl>";
    let numbered = r#"<a:pPr><a:buAutoNum type="alphaLcPeriod"/></a:pPr>"#;
    let second = slide(
        &[
            shape(r#"<p:ph type="title"/>"#, &p("", "Second")),
            shape("", &(p(numbered, "x") + &p(numbered, "y") + &p(r#"<a:pPr lvl="1"/>"#, "deep"))),
            format!("<p:graphicFrame>{table}</p:graphicFrame>"),
            format!("<p:grpSp>{}</p:grpSp>", shape("", &p("", "grouped"))),
            shape(r#"<p:ph type="sldNum"/>"#, &p("", "2")),
        ]
        .concat(),
    );
    let notes = slide(
        &(shape(r#"<p:ph type="body"/>"#, &p("", "Say this"))
            + &shape(r#"<p:ph type="sldNum"/>"#, &p("", "2"))),
    );
    let document = read(
        "a.pptx",
        zipped(&[
            (
                "ppt/presentation.xml",
                r#"<p:presentation><p:sldIdLst><p:sldId id="9" r:id="b"/><p:sldId id="3" r:id="a"/></p:sldIdLst></p:presentation>"#,
            ),
            (
                "ppt/_rels/presentation.xml.rels",
                &relations(&[("a", "slide", "slides/slide1.xml"), ("b", "slide", "slides/slide2.xml")]),
            ),
            ("ppt/slides/slide1.xml", &second),
            ("ppt/slides/slide2.xml", &first),
            ("ppt/slides/_rels/slide1.xml.rels", &relations(&[("n", "notesSlide", "../notesSlides/n1.xml")])),
            ("ppt/notesSlides/n1.xml", &notes),
        ]),
    );
    assert_eq!(
        document.text,
        "# Title\n\n- point\n\n## Second\n\na. x\nb. y\n  - deep\n\n| k | v |\n| --- | --- |\n\ngrouped\n\n\
         Notes:\n\nSay this"
    );
    assert_eq!(document.pages.len(), 2);
    assert_eq!(document.metadata.pages, Some(2));
}

#[test]
fn diagrams_and_charts_give_their_text() {
    let chart = "<c:chart><c:title><c:tx><c:rich><a:p><a:r><a:t>Sales</a:t></a:r></a:p></c:rich></c:tx></c:title>\
        <c:ser><c:tx><c:strCache><c:v>2024</c:v></c:strCache></c:tx><c:cat><c:v>May</c:v><c:v>June</c:v></c:cat>\
        <c:val><c:v>3</c:v><c:v>4</c:v></c:val></c:ser></c:chart>";
    let diagram = "<dgm:dataModel><dgm:pt><dgm:t><a:p><a:r><a:t>top</a:t></a:r></a:p></dgm:t></dgm:pt>\
        <dgm:pt><dgm:t><a:p><a:r><a:t>bottom</a:t></a:r></a:p></dgm:t></dgm:pt></dgm:dataModel>";
    let document = read(
        "a.pptx",
        zipped(&[
            ("ppt/presentation.xml", r#"<p:presentation><p:sldId r:id="a"/></p:presentation>"#),
            ("ppt/_rels/presentation.xml.rels", &relations(&[("a", "slide", "s.xml")])),
            ("ppt/s.xml", &slide("")),
            ("ppt/_rels/s.xml.rels", &relations(&[("c", "chart", "c.xml"), ("d", "diagramData", "d.xml")])),
            ("ppt/c.xml", chart),
            ("ppt/d.xml", diagram),
        ]),
    );
    assert_eq!(document.text, "top\nbottom\n\nSales\n\n| | 2024 |\n| --- | --- |\n| May | 3 |\n| June | 4 |");
}
