//! Pages in a real Chromium: what a person would do with them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a test waits in real time")]

mod chromium_site;

use std::time::Duration;

use browser::chromium::{Browser, ChromiumConfig, DialogPolicy, Error, Extract, State, WindowSize};
use buttress_core::Ctx;
use chromium_site::{LONG, SHORT, Site, launch, target};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_page_opens_and_tells_its_title_address_and_status() {
    let (site, browser) = (Site::start(), launch().await);
    assert!(browser.version().contains("Chrome/"), "{}", browser.version());
    let context = browser.context().await.unwrap();
    let page = context.page().await.unwrap();
    let opened = page.goto(&site.url("/moved")).await.unwrap();
    assert_eq!((opened.status, opened.title.as_str()), (Some(200), "Tide tables"));
    assert_eq!((opened.url, page.title().await.unwrap()), (site.url("/"), "Tide tables".to_owned()));
    // Within the document: nothing loads, and nothing is waited for.
    assert_eq!(page.goto(&site.url("/#below")).await.unwrap().url, site.url("/#below"));
    assert_eq!(page.goto(&site.url("/nowhere")).await.unwrap().status, Some(404));
    assert_eq!(page.goto(&site.url("/empty")).await.unwrap().status, Some(500));
    assert_eq!(page.goto("about:blank").await.unwrap().status, None);
    for (url, reason) in [
        (site.url("/none"), "net::ERR_ABORTED"),
        (site.url("/report"), "it is a download"),
        ("http://127.0.0.1:1/".to_owned(), "net::ERR_UNSAFE_PORT"),
        ("http://".to_owned(), "Cannot navigate to invalid URL"),
    ] {
        match page.goto(&url).await {
            Err(Error::Navigation { reason: told, .. }) => assert_eq!(told, reason, "{url}"),
            other => panic!("{url}: {other:?}"),
        }
    }
    assert_eq!(browser.pending(), 0);
    assert!(browser.memory().await > buttress_core::ByteSize::mib(20));
    let group = browser.group();
    browser.close().await.unwrap();
    assert_eq!(browser::chromium::processes::members(group), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_filled_and_sent() {
    let (site, browser) = (Site::start(), launch().await);
    let context = browser.context().await.unwrap();
    let page = context.page().await.unwrap();
    page.goto(&site.url("/form")).await.unwrap();
    page.type_text(&target("text=Full name"), "Åsa 你好", true, LONG).await.unwrap();
    page.type_text(&target("#note"), " two", false, LONG).await.unwrap();
    page.type_text(&target("#day"), "2026-02-03", true, LONG).await.unwrap();
    page.type_text(&target("#editable"), "new", true, LONG).await.unwrap();
    page.select(&target("#port"), "Brest", LONG).await.unwrap();
    page.click(&target("text=I agree"), LONG).await.unwrap();
    assert_eq!(page.extract(&target("#agree"), &Extract::Value, LONG).await.unwrap(), json!(true));
    page.click(&target("#agree"), LONG).await.unwrap();
    assert_eq!(page.extract(&target("#agree"), &Extract::Value, LONG).await.unwrap(), json!(false));
    assert_eq!(page.extract(&target("#editable"), &Extract::Text, LONG).await.unwrap(), json!("new"));
    assert_eq!(page.extract(&target("#note"), &Extract::Value, LONG).await.unwrap(), json!("one two"));
    // Emptied by a key, not by a value that was set.
    page.type_text(&target("#note"), "", true, LONG).await.unwrap();

    for (element, said) in [
        ("#off", "is disabled"),
        ("#under", "is covered by <div.veil.thick>"),
        ("input[type=hidden]", "is not visible"),
    ] {
        match page.click(&target(element), SHORT).await {
            Err(Error::NotUsable { problem, .. }) => assert_eq!(problem, said, "{element}"),
            other => panic!("{element}: {other:?}"),
        }
    }
    let error = page.select(&target("#port"), "Cork", SHORT).await.unwrap_err().to_string();
    assert!(error.contains("offers Aberdeen, Brest"), "{error}");
    let error = page.type_text(&target("#agree"), "x", true, SHORT).await.unwrap_err().to_string();
    assert!(error.contains("it is a checkbox"), "{error}");
    assert!(matches!(page.click(&target("#nothing"), SHORT).await, Err(Error::NotFound { .. })));
    assert!(matches!(page.click(&target("div["), SHORT).await, Err(Error::Argument { .. })));
    assert!(matches!(page.press("Entre").await, Err(Error::Argument { .. })));

    // "Send" is the button of this name and not the one that comes first and contains it; its page is waited for.
    page.click(&target("text=Send"), LONG).await.unwrap();
    assert_eq!(page.evaluate("document.readyState").await.unwrap(), json!("complete"));
    assert_eq!(page.title().await.unwrap(), "Sent");
    let query = page.extract(&target("#query"), &Extract::Text, SHORT).await.unwrap();
    let wanted = "name=%C3%85sa+%E4%BD%A0%E5%A5%BD&note=&port=b&day=2026-02-03";
    assert_eq!(query, json!(format!("querySelector=clobbered&{wanted}")));

    page.goto(&site.url("/form")).await.unwrap();
    page.type_text(&target("#name"), "Bo", true, LONG).await.unwrap();
    page.press("Enter").await.unwrap();
    assert!(page.url().await.unwrap().contains("name=Bo"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_late_is_waited_for() {
    let (site, browser) = (Site::start(), launch().await);
    let context = browser.context().await.unwrap();
    let page = context.page().await.unwrap();
    page.goto(&site.url("/late")).await.unwrap();
    page.wait_for(&target("#wait"), State::Visible, LONG).await.unwrap();
    page.wait_for(&target("#late"), State::Attached, LONG).await.unwrap();
    page.wait_for(&target("#wait"), State::Hidden, LONG).await.unwrap();
    page.wait_for_text("ready now", LONG).await.unwrap();
    page.wait_for_url("/late/done", LONG).await.unwrap();
    page.click(&target("text=ready"), LONG).await.unwrap();
    page.wait_for(&target("#late"), State::Detached, LONG).await.unwrap();
    let started = std::time::Instant::now();
    for error in [
        page.wait_for(&target("#late"), State::Attached, SHORT).await,
        page.wait_for(&target("#wait"), State::Detached, SHORT).await,
        page.wait_for_text("never", SHORT).await,
        page.wait_for_url("never", SHORT).await,
    ] {
        assert!(matches!(error, Err(Error::Limit { .. })), "{error:?}");
    }
    assert!(started.elapsed() >= 4 * SHORT);
    // The waiting goes on across a navigation.
    page.goto(&site.url("/")).await.unwrap();
    let (query, link) = (target("#query"), target("text=Harbour"));
    let (waited, clicked) =
        tokio::join!(page.wait_for(&query, State::Visible, LONG), page.click(&link, LONG));
    waited.unwrap();
    clicked.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_read_and_pictured() {
    let (site, browser) = (Site::start(), launch().await);
    let context = browser.context().await.unwrap();
    let page = context.page().await.unwrap();
    page.goto(&site.url("/")).await.unwrap();
    for (what, extract, found) in [
        ("h1", Extract::Text, json!("Tide tables")),
        ("li", Extract::Html, json!("<li class=\"port\" data-code=\"A\">Aberdeen</li>")),
        (".port", Extract::Texts, json!(["Aberdeen", "Brest", "Cork"])),
        (".port", Extract::Attribute("data-code".to_owned()), json!("A")),
        (".port", Extract::Attributes("data-code".to_owned()), json!(["A", "B", null])),
        (".port", Extract::Count, json!(3)),
        (".ship", Extract::Count, json!(0)),
        ("#tides", Extract::Table, json!([["Port", "High"], ["Brest", "06:12"]])),
        ("text=\"Brest\"", Extract::Count, json!(2)),
    ] {
        assert_eq!(page.extract(&target(what), &extract, SHORT).await.unwrap(), found, "{what} {extract:?}");
    }
    page.click(&target("#deep"), LONG).await.unwrap();
    assert_eq!(page.title().await.unwrap(), "Deep");
    // A mail address opens nothing, and nothing is waited for in vain.
    page.click(&target("text=Write"), LONG).await.unwrap();

    assert_eq!(size(&page.screenshot(false, None).await.unwrap()), (1280, 900));
    let (width, height) = size(&page.screenshot(true, None).await.unwrap());
    assert!(width == 1280 && height > 3000, "{width}x{height}");
    let (width, height) = size(&page.screenshot(false, Some(&target("#tides"))).await.unwrap());
    assert!(width < 400 && height < 200, "{width}x{height}");
    assert!(page.pdf().await.unwrap().starts_with(b"%PDF-"));

    assert_eq!(page.evaluate("1 + 1").await.unwrap(), json!(2));
    assert_eq!(page.evaluate("Promise.resolve({a: [1]})").await.unwrap(), json!({ "a": [1] }));
    assert!(
        matches!(page.evaluate("nothing.here").await, Err(Error::Script { message }) if message.contains("nothing"))
    );
    assert!(matches!(page.evaluate("'x'.repeat(3e6)").await, Err(Error::TooLarge { .. })));
    page.evaluate("document.querySelector('h1').textContent = 'x'.repeat(3e6); 1").await.unwrap();
    let error = page.extract(&target("h1"), &Extract::Html, LONG).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    let error = page.evaluate("window").await.unwrap_err();
    assert!(matches!(error, Error::Script { .. }), "{error}");
}

/// Width and height in a PNG's header.
fn size(png: &[u8]) -> (u32, u32) {
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_of_this_site_and_of_others_are_used_like_pages() {
    let (site, browser) = (Site::start(), launch().await);
    let context = browser.context().await.unwrap();
    let page = context.page().await.unwrap();
    page.goto(&site.url("/frames")).await.unwrap();
    for name in ["#near", "#far"] {
        let frame = page.frame(&target(name), LONG).await.unwrap();
        assert_eq!(frame.title().await.unwrap(), "Inner", "{name}");
        frame.type_text(&target("#field"), name, true, LONG).await.unwrap();
        frame.click(&target("#b"), LONG).await.unwrap();
        assert_eq!(frame.extract(&target("#b"), &Extract::Text, LONG).await.unwrap(), json!(name));
        assert_eq!(frame.evaluate("window.word").await.unwrap(), json!("inner"), "{name}");
    }
    let far = page.frame(&target("#far"), LONG).await.unwrap();
    assert_eq!(far.url().await.unwrap(), site.foreign_url("/inner"));
    assert_eq!(page.evaluate("window.word").await.unwrap(), json!("outer"));
    page.evaluate("document.querySelector('#far').remove(); document.querySelector('#near').remove()")
        .await
        .unwrap();
    let error = far.title().await.unwrap_err();
    assert!(matches!(error, Error::FrameGone), "{error:?}");
    assert!(matches!(page.frame(&target("div"), SHORT).await, Err(Error::NotUsable { .. })));
    assert_eq!(page.title().await.unwrap(), "Outer");
}

#[tokio::test(flavor = "multi_thread")]
async fn dialogs_are_answered_and_remembered() {
    let (site, browser) = (Site::start(), launch().await);
    let context = browser.context().await.unwrap();
    let page = context.page().await.unwrap();
    page.goto(&site.url("/dialogs")).await.unwrap();
    page.click(&target("#alert"), LONG).await.unwrap();
    page.click(&target("#confirm"), LONG).await.unwrap();
    assert_eq!(page.title().await.unwrap(), "no");
    page.set_dialogs(DialogPolicy::Accept(None));
    page.click(&target("#confirm"), LONG).await.unwrap();
    assert_eq!(page.title().await.unwrap(), "yes");
    page.click(&target("#prompt"), LONG).await.unwrap();
    assert_eq!(page.title().await.unwrap(), "nobody");
    page.set_dialogs(DialogPolicy::Accept(Some("Ada".to_owned())));
    page.click(&target("#prompt"), LONG).await.unwrap();
    assert_eq!(page.title().await.unwrap(), "Ada");
    // The page may ask whether it is to be left; it is left.
    page.set_dialogs(DialogPolicy::Dismiss);
    assert_eq!(page.goto(&site.url("/")).await.unwrap().title, "Tide tables");
    let dialogs = page.dialogs();
    let told: Vec<_> =
        dialogs.iter().map(|one| (one.kind.as_str(), one.message.as_str(), one.accepted)).collect();
    assert_eq!(
        told[..4],
        [
            ("alert", "watch out", false),
            ("confirm", "sure?", false),
            ("confirm", "sure?", true),
            ("prompt", "name?", true)
        ]
    );
    assert_eq!((told[5].0, told[5].2), ("beforeunload", true));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_in_and_come_out() {
    let (site, browser) = (Site::start(), launch().await);
    let context = browser.context().await.unwrap();
    let page = context.page().await.unwrap();
    page.goto(&site.url("/files")).await.unwrap();
    for _ in 0..2 {
        let file = page.download(&target("#get"), LONG).await.unwrap();
        assert_eq!((file.url, &file.bytes[..]), (site.url("/report"), &b"a;b\n1;2\n"[..]));
        assert!(!file.name.contains('/') && file.name.ends_with("the report.csv"), "{}", file.name);
    }
    assert_eq!(&page.download_from(&site.url("/report"), LONG).await.unwrap().bytes[..], b"a;b\n1;2\n");
    assert!(matches!(page.download(&target("#popup"), SHORT).await, Err(Error::Limit { .. })));
    assert_eq!(page.title().await.unwrap(), "Files");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("note.txt");
    std::fs::write(&path, "from a file").unwrap();
    page.set_files(&target("#put"), &[&path], LONG).await.unwrap();
    tokio::time::timeout(LONG, async { while page.title().await.unwrap() != "from a file" {} })
        .await
        .unwrap();
    assert!(matches!(page.set_files(&target("#get"), &[&path], SHORT).await, Err(Error::NotUsable { .. })));

    let popup = context.popup(LONG).await.unwrap();
    popup.wait_for(&target("#query"), State::Attached, LONG).await.unwrap();
    page.evaluate("for (let i = 0; i < 20; i += 1) window.open('/sent?' + i); 1").await.unwrap();
    tokio::time::timeout(LONG, async {
        while context.popups() != (7, 13) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("{:?}", context.popups()));
    context.dispose().await.unwrap();
    assert!(matches!(page.title().await, Err(Error::PageClosed)));
}

#[tokio::test(flavor = "multi_thread")]
async fn contexts_share_nothing() {
    let (site, browser) = (Site::start(), launch().await);
    let write = "document.cookie = 'seen=1'; localStorage.setItem('seen', '1')";
    let read = "document.cookie + '/' + localStorage.getItem('seen')";
    let (first, second) = tokio::try_join!(browser.context(), browser.context()).unwrap();
    let pages = tokio::try_join!(first.page(), first.page(), second.page()).unwrap();
    for page in [&pages.0, &pages.1, &pages.2] {
        page.goto(&site.url("/")).await.unwrap();
    }
    pages.0.evaluate(write).await.unwrap();
    assert_eq!(pages.1.evaluate(read).await.unwrap(), json!("seen=1/1"));
    assert_eq!(pages.2.evaluate(read).await.unwrap(), json!("/null"));
    assert_eq!(first.popups(), (0, 0));
    first.dispose().await.unwrap();
    assert_eq!(pages.2.title().await.unwrap(), "Tide tables");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_shapes_the_browser_and_a_proxy_hears_of_everything() {
    let site = Site::start();
    let mut config = ChromiumConfig::default();
    config.window = WindowSize { width: 800, height: 600 };
    config.user_agent = Some("probe/1".to_owned());
    // The server answers whatever host it is asked for, as a proxy is.
    let proxy = site.url("").strip_prefix("http://").unwrap().parse().unwrap();
    let browser = Browser::launch(&config, Some(proxy), &Ctx::default()).await.unwrap();
    let context = browser.context().await.unwrap();
    let page = context.page().await.unwrap();
    assert_eq!(page.goto("http://no-such-name.invalid/").await.unwrap().status, Some(404));
    assert_eq!(page.goto("http://127.0.0.1:9999/").await.unwrap().status, Some(404));
    assert_eq!(page.evaluate("navigator.userAgent").await.unwrap(), json!("probe/1"));
    assert_eq!(page.evaluate("[innerWidth, innerHeight]").await.unwrap(), json!([800, 600]));
    // A full browser does as well as the shell.
    let full = std::path::PathBuf::from("/usr/bin/chromium");
    if full.exists() {
        config.program = Some(full);
        let browser = Browser::launch(&config, None, &Ctx::default()).await.unwrap();
        let context = browser.context().await.unwrap();
        let page = context.page().await.unwrap();
        assert_eq!(page.goto(&site.url("/")).await.unwrap().title, "Tide tables");
        assert_eq!(size(&page.screenshot(false, None).await.unwrap()), (800, 600));
        let group = browser.group();
        browser.close().await.unwrap();
        assert_eq!(browser::chromium::processes::members(group), []);
    }
    config.program = Some("/no/such/browser".into());
    let error = Browser::launch(&config, None, &Ctx::default()).await.unwrap_err();
    assert!(error.to_string().contains("apt-get install chromium-headless-shell"), "{error}");
    config.program = Some("/bin/false".into());
    assert!(matches!(Browser::launch(&config, None, &Ctx::default()).await, Err(Error::Launch { .. })));
    config.program = Some("/bin/cat".into());
    config.launch_within = Duration::from_millis(200);
    let error = Browser::launch(&config, None, &Ctx::default()).await.unwrap_err();
    assert!(
        matches!(&error, Error::Launch { words, .. } if words.contains("--remote-debugging-pipe")),
        "{error:?}"
    );
}
