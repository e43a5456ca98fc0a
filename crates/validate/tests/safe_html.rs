//! What `SafeHtml` keeps, drops and refuses.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::format_push_string,
    missing_docs
)] // Failing is what a test is for.

mod common;

use buttress_core::{ByteSize, Classify, ErrorClass};
use buttress_validate::{Code, HtmlConfig, HtmlPolicy, HtmlPreset, ImageSource, Invalid, SafeHtml};
use common::{MARKUP, corpus, danger};
use proptest::prelude::*;

type Clean = fn(&str) -> Result<SafeHtml, Invalid>;

const PRESETS: [(&str, Clean); 4] = [
    ("text_only", SafeHtml::text_only),
    ("inline", SafeHtml::inline),
    ("article", SafeHtml::article),
    ("mail", SafeHtml::mail),
];

fn check(markup: &str) {
    for (name, clean) in PRESETS {
        let html = match clean(markup) {
            Ok(html) => html,
            Err(error) => panic!("{name}: {error}: {markup}"),
        };
        if let Some(danger) = danger(html.as_str()) {
            panic!("{name}: {danger}\nof {markup}\nin {html}");
        }
        // Again, as a page does that cleans what it shows: nothing new appears, and after a few rounds nothing moves.
        let mut last = html;
        for _ in 0..8 {
            let next = clean(last.as_str()).unwrap();
            assert_eq!(danger(next.as_str()), None, "{name}: {markup}");
            if next == last {
                break;
            }
            last = next;
        }
        assert_eq!(clean(last.as_str()).unwrap(), last, "{name}: {markup}");
    }
}

#[test]
fn nothing_of_the_corpora_comes_through() {
    let mut payloads = 0;
    for name in MARKUP {
        for payload in corpus(name) {
            check(&payload);
            payloads += 1;
        }
    }
    assert!(payloads > 3_000, "{payloads}");
}

#[test]
fn the_test_sees_what_is_dangerous() {
    let all: Vec<String> = MARKUP.into_iter().flat_map(corpus).collect();
    let seen = all.iter().filter(|payload| danger(payload).is_some()).count();
    assert!(seen > 1_500, "{seen} of {}", all.len());
}

fn article(markup: &str) -> String {
    SafeHtml::article(markup).unwrap().into_string()
}

#[test]
fn good_markup_stays_as_it_is() {
    for markup in [
        "<h2 id=\"user-a\">A</h2><p>b <em>c</em> &amp; d</p>",
        "<ul><li>a</li><li>b<ol start=\"3\"><li>c</li></ol></li></ul>",
        "<table><thead><tr><th scope=\"col\">a</th></tr></thead><tbody><tr><td colspan=\"2\">b</td></tr></tbody></table>",
        "<pre><code>fn main() {}\n</code></pre>",
        "<figure><img src=\"https://example.org/a.png\" alt=\"a\" width=\"10\"><figcaption>b</figcaption></figure>",
        "<a href=\"/a?b=c&amp;d#e\" rel=\"noopener noreferrer\">a</a>",
        "<p lang=\"ja\">日本語 <ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby></p>",
        "<p dir=\"rtl\">עברית العربية</p>",
    ] {
        assert_eq!(article(markup), markup);
    }
}

#[test]
fn links() {
    let link = |href: &str| article(&format!("<a href=\"{href}\">x</a>"));
    let kept = |href: &str| format!("<a href=\"{href}\" rel=\"noopener noreferrer\">x</a>");
    for href in [
        "https://example.org/",
        "http://example.org/a",
        "mailto:a@example.org",
        "/a",
        "a/b",
        "?q",
        "//example.org/x",
    ] {
        assert_eq!(link(href), kept(href));
    }
    for href in [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java&#10;script:alert(1)",
        "&#1;javascript:alert(1)",
        " javascript:x",
        "data:text/html,<script>",
        "vbscript:x",
        "blob:https://example.org/x",
        "filesystem:x",
        "view-source:x",
        "file:///etc",
        "feed:javascript:alert(1)",
        "tel:1",
        "cid:x",
        "http://[",
        "jav&Tab;ascript:x",
        "x-javascript:x",
    ] {
        assert_eq!(link(href), "<a rel=\"noopener noreferrer\">x</a>", "{href}");
    }
    assert_eq!(link("#a"), kept("#user-a"));
    assert_eq!(
        article("<a href=/ target=_top>x</a><a href=/ target=_BLANK rel=opener>y</a>"),
        "<a href=\"/\" rel=\"noopener noreferrer\">x</a><a href=\"/\" target=\"_blank\" rel=\"noopener noreferrer\">y</a>"
    );
}

#[test]
fn images_only_from_where_the_policy_says() {
    let png = "data:image/png;base64,iVBORw0KGgo=";
    let sources = ["https://a.example/x", "http://a.example/x", "x.png", png, "cid:x"];
    let all =
        [ImageSource::Https, ImageSource::Http, ImageSource::Relative, ImageSource::Data, ImageSource::Cid];
    for (i, source) in all.into_iter().enumerate() {
        let mut config = HtmlConfig::of(HtmlPreset::Mail);
        config.images = Some(vec![source]);
        let policy = HtmlPolicy::new(&config).unwrap();
        for (j, address) in sources.into_iter().enumerate() {
            let html = policy.clean(&format!("<img src=\"{address}\">")).unwrap();
            assert_eq!(html.as_str().contains("src="), i == j, "{source:?} {address}");
        }
    }
    for not_a_picture in
        ["data:image/svg+xml;base64,x", "data:text/html;base64,x", "data:image/png,x", "data:,x"]
    {
        let html = SafeHtml::mail(&format!("<img src=\"{not_a_picture}\">")).unwrap();
        assert_eq!(html.as_str(), "<img>");
    }
    assert!(SafeHtml::mail(&format!("<img src=\"{png}\">")).unwrap().as_str().contains(png));
    assert_eq!(
        SafeHtml::mail(&format!("<a href=\"{png}\">x</a>")).unwrap().as_str(),
        "<a rel=\"noopener noreferrer\">x</a>"
    );
}

#[test]
fn names_cannot_stand_for_objects_of_the_page() {
    assert_eq!(article("<p id=cookie name=x>a</p>"), "<p id=\"user-cookie\">a</p>");
    assert_eq!(
        article("<p id=user-x>a</p><p id='a b'>b</p><p id>c</p>"),
        "<p id=\"user-x\">a</p><p>b</p><p>c</p>"
    );
    assert_eq!(article("<img name=getElementById><form id=x><input name=y></form>"), "<img>");
}

#[test]
fn styles_and_classes_by_choice() {
    let markup = "<p style='color: red; position: fixed; background: url(x)' class='a b'>x</p>";
    assert_eq!(article(markup), "<p>x</p>");
    assert_eq!(SafeHtml::mail(markup).unwrap().as_str(), "<p style=\"color: red\">x</p>");
    let mut config = HtmlConfig::default();
    config.classes = vec!["b".to_owned()];
    let policy = HtmlPolicy::new(&config).unwrap();
    assert_eq!(policy.clean(markup).unwrap().as_str(), "<p class=\"b\">x</p>");
}

#[test]
fn text_only_reads_as_the_page_does() {
    let html = SafeHtml::text_only(
        "a<script>x</script><b>b</b>&lt;i&gt;<style>y</style><svg><title>z</title></svg> c",
    )
    .unwrap();
    assert_eq!(html.as_str(), "ab&lt;i&gt; c");
}

#[test]
fn a_configuration_cannot_allow_what_is_not_safe() {
    let refused = |toml: &str| {
        let config: HtmlConfig = toml::from_str(toml).unwrap();
        let error = HtmlPolicy::new(&config).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Invalid);
        error.to_string()
    };
    for toml in [
        "tags = ['script']",
        "tags = ['svg']",
        "tags = ['form']",
        "tags = ['iframe']",
        "tags = ['input']",
        "tags = ['SCRIPT']",
        "tags = ['x-y']",
        "attributes.p = ['onclick']",
        "attributes.'*' = ['style']",
        "attributes.'*' = ['href']",
        "attributes.img = ['srcset']",
        "attributes.p = ['name']",
        "attributes.a = ['ping']",
        "attributes.p = ['data-x']",
        "attributes.script = ['id']",
        "link_schemes = ['javascript']",
        "link_schemes = ['data']",
        "link_schemes = ['blob']",
        "styles = ['position']",
        "styles = ['background']",
        "styles = ['content']",
        "classes = ['a b']",
        "classes = ['\"']",
        "id_prefix = ''",
        "id_prefix = 'x'",
        "max_depth = 0",
        "max_depth = 100000",
        "max_attributes = 0",
        "max_bytes = 0",
        "max_elements = 0",
    ] {
        let message = refused(toml);
        let field = toml.split([' ', '.']).next().unwrap();
        assert!(message.contains(field), "{toml}: {message}");
    }
}

#[test]
fn limits_hold_before_anything_is_built() {
    let deep = "<div>".repeat(50_000);
    let attributes = |separator: &str| {
        let mut tag = "<p".to_owned();
        for i in 0..40_000 {
            tag.push_str(separator);
            tag.push_str(&i.to_string());
        }
        tag + ">"
    };
    let mut repeated = "<p>".to_owned();
    for i in 0..100 {
        repeated.push_str(&format!("<b class={i}>"));
    }
    repeated.push_str(&"<p>x".repeat(40_000));
    let refused = |markup: &str| {
        let invalid = SafeHtml::article(markup).unwrap_err();
        assert_eq!(invalid.class(), ErrorClass::TooLarge);
        (invalid.code(), invalid.to_string())
    };
    let deep = refused(&deep);
    assert_eq!(deep, (Code::TooDeep, "the HTML nests deeper than 128 elements; send it flatter".to_owned()));
    for many in [attributes(" "), attributes("/"), format!("<p {}>", "a=''".repeat(9_000))] {
        let message = "the HTML has a tag with more than 256 attributes; send fewer".to_owned();
        assert_eq!(refused(&many), (Code::TooMany, message));
    }
    let message = "the HTML makes more than 50000 elements; send fewer, and close them".to_owned();
    assert_eq!(refused(&repeated), (Code::TooMany, message));
    assert_eq!(refused(&"x".repeat(300_000)).0, Code::TooLong);
    assert_eq!(refused(&"&amp;".repeat(10_000)).0, Code::TooMany);
    let russian = article(&"&#1087;&#x440;".repeat(15_000));
    assert_eq!(russian, "\u{43f}\u{440}".repeat(15_000));
    for nest in ["<svg><g>", "<ul><li>", "<table><tr><td>", "<template>", "<font><a>"] {
        assert!(SafeHtml::article(&nest.repeat(10_000)).is_err(), "{nest}");
    }
    // Closed again it is not deep, however long it is.
    let mut config = HtmlConfig::default();
    config.max_bytes = ByteSize::mib(4);
    let long = "<div><p>text <b>bold</b></div>".repeat(8_000);
    assert_eq!(
        HtmlPolicy::new(&config).unwrap().clean(&long).unwrap().as_str().len(),
        8_000 * "<div><p>text <b>bold</b></p></div>".len()
    );
}

#[test]
fn escaped_text_is_seen_as_it_is() {
    let html = SafeHtml::escaped("<img src=x onerror='a' title=\"b\"> & \0");
    assert_eq!(html.as_str(), "&lt;img src=x onerror=&#39;a&#39; title=&quot;b&quot;&gt; &amp; \u{fffd}");
    assert_eq!(serde_json::to_string(&html).unwrap(), serde_json::to_string(html.as_str()).unwrap());
}

/// Markup of the parts that parsers disagree about.
fn markup() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => proptest::sample::select(PARTS).prop_map(str::to_owned),
        1 => "[a-z<>/\"'= &;!\\-\\n]{0,8}",
        1 => "\\PC{0,6}",
    ];
    proptest::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

const PARTS: &[&str] = &[
    "<a href=x>",
    "</a>",
    "<b>",
    "</b>",
    "<i id=x>",
    "</i>",
    "<p>",
    "</p>",
    "<div>",
    "</div>",
    "<table>",
    "</table>",
    "<tr>",
    "<td>",
    "</td>",
    "<ul>",
    "<li>",
    "</ul>",
    "<svg>",
    "</svg>",
    "<math>",
    "<mtext>",
    "<mi>",
    "<mglyph>",
    "<malignmark>",
    "</math>",
    "<style>",
    "</style>",
    "<title>",
    "</title>",
    "<textarea>",
    "</textarea>",
    "<noscript>",
    "</noscript>",
    "<template>",
    "</template>",
    "<select>",
    "<option>",
    "</select>",
    "<form>",
    "</form>",
    "<script>",
    "</script>",
    "<!--",
    "-->",
    "--!>",
    "<![CDATA[",
    "]]>",
    "<img src=x onerror=alert(1)>",
    "<img title=\"",
    "\">",
    "'",
    "<annotation-xml encoding=",
    "text/html>",
    "<foreignObject>",
    "<desc>",
    "<xmp>",
    "</xmp>",
    "<plaintext>",
    "<br>",
    "</br>",
    "<iframe>",
    "</iframe>",
    "<font color=red>",
    "</font>",
    "<nobr>",
    "<h1>",
    "</h2>",
    "<pre>\n",
    "</pre>",
    "&lt;",
    "&#x3c;",
    "&amp",
    "&",
    "<",
    ">",
    "onload=x",
    "<a href=javascript:x>",
    "style=\"color:red\"",
    "<details open>",
    "<caption>",
    "<col>",
    "<body onload=x>",
    "<frameset>",
    "<html>",
    "<head>",
    "text",
    " ",
    "\n",
    "\0",
    "\u{a0}",
    "<button>",
    "<selectedcontent>",
    "<marquee>",
    "<object>",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nothing_dangerous_comes_out_of_any_markup(markup in markup()) {
        check(&markup);
    }

    #[test]
    fn escaped_text_holds_no_markup(text in "\\PC{0,40}") {
        prop_assert!(!SafeHtml::escaped(&text).as_str().contains(['<', '>', '"', '\'']));
    }
}
