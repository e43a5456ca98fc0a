use buttress_docpipeline::{Error, Limit, Pipeline, PipelineConfig, Source};

use crate::process;

fn main_text(body: &str) -> String {
    let mut config = PipelineConfig::default();
    config.main_text_only = true;
    let html = format!("<!doctype html><html><body>{body}</body></html>");
    let source = Source { name: Some("a.html"), bytes: html.into() };
    Pipeline::new(config).process(&source).unwrap().document.text
}

const PROSE: &str = "<p>The tide comes in twice a day, and whoever lives by the sea knows its hours by heart, as farmers know the weather.</p>\
    <p>In spring it climbs the steps of the harbour, and in autumn it takes with it what the summer left on the beach.</p>";

#[test]
fn links_inside_a_text_are_text_and_links_around_it_are_not() {
    let menu = "<p><a href=/>Home</a></p><p><a href=/a>About us</a></p>";
    let text = main_text(&format!(
        "{menu}{PROSE}<p>See also <a href=/moon>The moon and the sea</a>.</p>{PROSE}<p><a href=/next>Next page</a></p>"
    ));
    assert!(text.starts_with("The tide"), "{text}");
    assert!(text.contains("See also The moon and the sea."), "{text}");
    assert!(text.ends_with("left on the beach."), "{text}");
}

#[test]
fn a_page_that_is_a_table_of_contents_is_kept() {
    let chapters: String =
        (1..20).map(|i| format!("<li><a href=/{i}>The story of harbour {i}</a></li>")).collect();
    let text = main_text(&format!(
        "<div class=navheader><a href=/>Up</a></div><h1>Harbours</h1><ul>{chapters}</ul><div class=navfooter>Next</div>"
    ));
    assert!(text.starts_with("# Harbours\n\n- The story of harbour 1\n"), "{text}");
    assert!(text.ends_with("harbour 19"), "{text}");
}

#[test]
fn cells_that_span_more_than_a_page_are_paid_for() {
    let bomb =
        "<table>".to_owned() + &"<tr><td colspan=1000000000 rowspan=1000000000>x</td></tr>".repeat(50_000);
    let refusal = process("a.html", bomb);
    assert!(matches!(refusal, Err(Error::OverLimit { limit: Limit::Cells, .. })));
    let few = "<table><tr><td colspan=1000000000 rowspan=1000000000>x</td><td>y</td></tr></table>";
    assert!(process("a.html", few).unwrap().text.len() < 1000);
}

#[test]
fn formulas_and_pictures_part_words() {
    let read =
        |body: &str| crate::read("a.html", format!("<!doctype html><html><body>{body}</body></html>")).text;
    let formula = "<math><mi>E</mi><mo>=</mo><mi>m</mi><msup><mi>c</mi><mn>2</mn></msup>\
                   <annotation encoding=tex>E=mc^2</annotation></math>";
    assert_eq!(
        read(&format!("<p>So {formula}.</p>")).split_whitespace().collect::<Vec<_>>().join(" "),
        "So E = m c 2."
    );
    assert_eq!(read("<p>one<img src=a.png alt=two>three</p>"), "one two three");
}
