#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
//! Pages as outlines: what stays, what goes, and how long it may be.

mod language_service;

use std::fmt::Write;

use browser::language::{PageHint, Request, Source, Translator, estimate_tokens, outline};
use buttress_core::Ctx;
use language_service::{PLAN, Service, says};
use proptest::prelude::*;

/// A page of about 200 KiB: scripts, drawings, rows of links, and one button at its end.
fn large_page() -> String {
    let mut html = String::from("<!doctype html><html><head><title>Shop</title><style>a{color:red}</style>");
    for i in 0..900 {
        write!(html, "<script>window.data{i} = {{\"click\": \"<button>Confirm order</button>\"}};</script>")
            .unwrap();
        write!(html, "<li><a class='row r{i}' href='/article/{i}?ref=list'><img src='data:image/png;base64,")
            .unwrap();
        writeln!(html, "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ'>Article number {i}</a></li>").unwrap();
    }
    html + "<svg><text>Confirm order</text></svg><button id='confirm-7'><b>Confirm</b>\n order</button></body></html>"
}

#[tokio::test]
async fn a_large_page_is_shrunk_and_keeps_the_button_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start([says(PLAN)]).await;
    let config = service.config(folder.path());
    let translator = Translator::open(&config, &Ctx::default()).await.unwrap();
    let html = large_page();
    assert!(html.len() > 200 << 10, "{}", html.len());
    let request =
        Request::new("now the thing with Confirm order please").page(PageHint::of_html(html).title("Shop"));
    let translation = translator.translate(&request).await.unwrap();
    assert_eq!(translation.source, Source::Model);
    let tokens = translation.tokens;
    assert!(tokens.before > 50_000 && tokens.after <= config.prompt_tokens, "{tokens:?}");
    let text = service.seen()[0].text();
    assert_eq!(text.matches("button#confirm-7 \"Confirm order\"").count(), 1, "{text}");
    for gone in ["window.data", "base64", "<", "color"] {
        let page = &text[text.find("PAGE:").unwrap()..];
        assert!(!page.contains(gone), "{gone} in {page}");
    }
    let sum: u64 = service.seen()[0].body["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| estimate_tokens(message["content"].as_str().unwrap()))
        .sum();
    assert_eq!(sum, tokens.after);
}

#[test]
fn elements_are_shown_as_they_can_be_named() {
    for (html, command, lines) in [
        (
            "<input name=q type=search placeholder='Find &amp; go'>",
            "",
            "input[name=q][type=search] placeholder=\"Find & go\"\n",
        ),
        ("<input type=hidden name=token value=x><input hidden name=a>", "", ""),
        ("<input type=password name=p value=secret>", "", "input[name=p][type=password]\n"),
        ("<input name=mail value=ann@example.org>", "", "input[name=mail]\n"),
        (
            "<x\"y role=button>Go</x\"y><my-button role=button>Go</my-button>",
            "",
            "my-button[role=button] \"Go\"\n",
        ),
        ("<input type=submit value=Send>", "", "input[type=submit] value=\"Send\"\n"),
        ("<label for=mail>E-mail</label>", "", "label \"E-mail\" for=\"mail\"\n"),
        (
            "<select name=l><option value=de>Deutsch<option>English</select>",
            "",
            "select[name=l] \"Deutsch | English\"\n",
        ),
        ("<a href='javascript:x()'><img alt='Cart'></a>", "", "a \"Cart\"\n"),
        (
            "<div role=button aria-label=Close><div>x</div><div>y</div></div>",
            "",
            "div[role=button] \"x y\" label=\"Close\"\n",
        ),
        ("<div onclick=go()>Go</div><div>Stay</div>", "", "div \"Go\"\n"),
        ("<button>A</button><button>A</button><button>A</button>", "", "button \"A\" x3\n"),
        ("<button id='1 2'>A \"b\"</button>", "", "button[id='1 2'] \"A ’b’\"\n"),
        ("<a></a><button></button><h2>  </h2>", "", ""),
        ("<a href=/a>One<a href=/b>Two", "", "a \"One\" href=\"/a\"\na \"Two\" href=\"/b\"\n"),
        ("<!-- <button>No</button> --><noscript><button>No</button></noscript>", "", ""),
        (
            "<p class='price new'>3</p><p class='price new'>4</p><p class=x>5</p>",
            "all prices",
            "p.price.new \"3\" x2\n",
        ),
    ] {
        assert_eq!(outline(html, command, 1_000), lines, "{html}");
    }
}

#[test]
fn what_is_named_goes_before_what_has_more_words_in_common() {
    let rows =
        (0..300).map(|i| format!("<a href=/{i}>order total price {i}</a>")).collect::<Vec<_>>().concat();
    let html = format!("{rows}<button>Go</button>");
    // Room for three rows and nothing else.
    let most = 3 * estimate_tokens("a \"order total price 0\" href=\"/0\"");
    let lines = outline(&html, "press 'Go', then tell me the price of the total order", most);
    assert!(lines.contains("button \"Go\"") && lines.contains("order total price 0"), "{lines}");
}

#[test]
fn hostile_pages_end() {
    let deep = "<div role=button>".repeat(100_000);
    let open = "<a href='".repeat(200_000);
    let script = format!("<script>{}", "</".repeat(500_000));
    let comments = "<!--".repeat(200_000);
    let attributes = format!("<button {}>x", "a=b ".repeat(500_000));
    let links = (0..100_000).map(|i| format!("<a id=a{i}>buy{i}</a>")).collect::<Vec<_>>().concat();
    for html in [deep, open, script, comments, attributes, links, "&".repeat(1 << 20), "<".repeat(1 << 20)] {
        let lines = outline(&html, &"buy a b ".repeat(500), 200);
        assert!(estimate_tokens(&lines) <= 200);
    }
}

const NAMED: &str = "<button class=z>Place the order</button>";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn an_outline_is_never_over_its_limit_and_keeps_what_is_named(
        parts in proptest::collection::vec(
            "<a href=/[a-z]{1,6}>[a-zé登 ]{0,12}</a>|<(div|h1|label|select|svg|p class=order)>|</(div|h1|label|select|svg|p)>\
             |<input name=[a-z]{1,4}>|order|<!--|-->|<script>|</script>|[<>&;'\"=a-z ]{1,8}|.{0,5}",
            0..80,
        ),
        at in 0_usize..80,
        most in 0_u64..120,
        command in "[a-z ]{0,20}",
    ) {
        let html = parts.concat();
        let lines = outline(&html, &command, most);
        prop_assert!(estimate_tokens(&lines) <= most, "{lines}");
        prop_assert_eq!(&lines, &outline(&html, &command, most));

        // Nothing before it that swallows it.
        let whole = |part: &str, begin: &str, end: &str| part.starts_with(begin) && part.ends_with(end);
        let clean = |part: &&String| {
            whole(part, "<a href=", "</a>") || whole(part, "<input name=", ">") || *part == "order"
        };
        let mut clean: Vec<&str> = parts.iter().filter(clean).map(String::as_str).collect();
        clean.insert(at.min(clean.len()), NAMED);
        let lines = outline(&clean.concat(), &format!("{command} 'place the ORDER'"), 20);
        prop_assert!(lines.contains("button \"Place the order\"\n"), "{lines}");
    }
}
