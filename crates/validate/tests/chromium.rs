//! A real browser as the judge of what `SafeHtml` lets through.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)] // Failing is what a test is for.

mod common;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use buttress_testkit::{Chromium, Page};
use buttress_validate::{HtmlConfig, HtmlPolicy, HtmlPreset, ImageSource};
use common::{MARKUP, corpus};

const BATCH: usize = 400;
const SOON: Duration = Duration::from_secs(30);

/// Pages by path, over HTTP; anything else is not found. All that is asked for is remembered.
struct Site {
    address: SocketAddr,
    pages: Arc<Mutex<HashMap<String, String>>>,
}

/// Reports all scripts that are not the page's own, and runs them.
const POLICY: &str =
    "script-src 'nonce-ours'; object-src 'none'; frame-src 'none'; base-uri 'none'; form-action 'none'";

impl Site {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let pages: Arc<Mutex<HashMap<String, String>>> = Arc::default();
        let served = Arc::clone(&pages);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, served) = (stream.unwrap(), Arc::clone(&served));
                thread::spawn(move || {
                    let mut head = String::new();
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    while reader.read_line(&mut head).is_ok_and(|length| length > 2) {}
                    let path = head.split(' ').nth(1).unwrap_or_default();
                    let page = served.lock().unwrap().get(path).cloned();
                    let (status, body) =
                        page.map_or(("404 Not Found", String::new()), |page| ("200 OK", page));
                    let _gone = write!(
                        stream,
                        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\n\
                         content-security-policy-report-only: {POLICY}\r\nconnection: close\r\n\r\n{body}",
                        body.len()
                    );
                });
            }
        });
        Self { address, pages }
    }

    fn put(&self, path: &str, page: String) -> String {
        self.pages.lock().unwrap().insert(path.to_owned(), page);
        format!("http://{}{path}", self.address)
    }
}

/// Remembers whatever ran before anything else is read.
const WATCH: &str = "<!doctype html><meta charset=utf-8><script nonce=ours>
window.ran = [];
for (const name of ['alert', 'confirm', 'prompt', 'print', 'open', 'eval'])
  window[name] = (text) => { ran.push(name + ' ' + text) };
addEventListener('error', (event) => { if (event instanceof ErrorEvent) ran.push('error ' + event.message) }, true);
addEventListener('securitypolicyviolation', (event) => {
  if (!event.violatedDirective.startsWith('frame') || event.blockedURI != 'about') ran.push(event.violatedDirective + ' ' + event.sample + ' ' + event.blockedURI)
});
</script>";

/// Touches everything as a person might, and says what happened.
const TOUCH: &str = "(async () => {
  const links = [];
  // Who goes to a page leaves this one; whoever runs a script stays.
  addEventListener('click', (event) => {
    const link = event.target.closest?.('a');
    if (link && ['http:', 'https:', 'mailto:'].includes(link.protocol)) event.preventDefault();
  }, true);
  for (const element of document.querySelectorAll('body *')) {
    for (const kind of ['mouseover', 'mouseenter', 'mousemove', 'pointerover', 'focusin', 'wheel', 'animationend', 'transitionend', 'toggle'])
      element.dispatchEvent(new Event(kind, { bubbles: true }));
    try { element.focus() } catch {}
    const href = element.href ?? element.getAttribute('href');
    const goes = element.tagName == 'A' && typeof href == 'string' && href != '' && !/^javascript:/i.test(href);
    if (goes) links.push(element.protocol);
    else if (element.tagName != 'SCRIPT') element.click?.();
  }
  await Promise.all([...document.images].map((image) =>
    image.complete || new Promise((done) => { image.addEventListener('load', done); image.addEventListener('error', done) })));
  await new Promise((done) => setTimeout(done, 100));
  const ours = new Set([location.origin]);
  const asked = performance.getEntriesByType('resource').map((entry) => entry.name);
  return {
    ran,
    links: [...new Set(links)].filter((scheme) => !['http:', 'https:', 'mailto:'].includes(scheme)),
    foreign: asked.filter((name) => !ours.has(new URL(name).origin)),
    scripts: document.querySelectorAll('body script, body iframe, body object, body embed, body form, body svg, body style, body base, body link, body meta').length,
    clobbered: ['cookie', 'forms', 'getElementById', 'body'].filter((name) => document[name] instanceof Element && name != 'body'),
    at: location.pathname,
  };
})()";

fn as_document(parts: &[String]) -> String {
    let mut page = WATCH.to_owned();
    for part in parts {
        page.push_str("<div>");
        page.push_str(part);
        page.push_str("</div>\n");
    }
    page
}

/// As scripts of pages put markup in.
fn as_inner_html(parts: &[String]) -> String {
    let list = serde_json::to_string(parts).unwrap().replace('<', "\\u003c");
    format!(
        "{WATCH}<body><script nonce=ours>
const body = document.body; // A name in the markup may stand for it.
for (const html of {list}) {{ const box = document.createElement('div'); body.append(box); box.innerHTML = html }}
document.currentScript.remove();
</script>"
    )
}

fn policies() -> Vec<(&'static str, HtmlPolicy)> {
    [("inline", HtmlPreset::Inline), ("article", HtmlPreset::Article), ("mail", HtmlPreset::Mail)]
        .into_iter()
        .map(|(name, preset)| {
            let mut config = HtmlConfig::of(preset);
            // Images are allowed to be asked for; here only from where the test can see it.
            config.images = Some(vec![ImageSource::Relative, ImageSource::Data]);
            config.classes = vec!["a".to_owned()];
            (name, HtmlPolicy::new(&config).unwrap())
        })
        .collect()
}

fn judge(page: &mut Page, url: &str) -> serde_json::Value {
    page.goto(url);
    page.wait_for("window.ran", SOON);
    page.evaluate(TOUCH)
}

#[test]
fn nothing_of_the_corpora_runs_in_a_browser() {
    let payloads: Vec<String> = MARKUP.into_iter().flat_map(corpus).chain(common::attacks::xss()).collect();
    assert!(payloads.len() > 5_000);
    let site = Site::start();
    let browser = Chromium::start();
    let mut page = browser.open(&site.put("/", WATCH.to_owned()));
    for (name, policy) in policies() {
        for (i, batch) in payloads.chunks(BATCH).enumerate() {
            let clean: Vec<String> =
                batch.iter().map(|markup| policy.clean(markup).unwrap().into_string()).collect();
            for (form, markup) in [("document", as_document(&clean)), ("inner", as_inner_html(&clean))] {
                let path = format!("/{name}/{form}/{i}");
                let result = judge(&mut page, &site.put(&path, markup));
                for what in ["ran", "links", "foreign", "clobbered"] {
                    assert_eq!(
                        result[what].as_array().map(Vec::len),
                        Some(0),
                        "{path}: {what}: {}",
                        result[what]
                    );
                }
                assert_eq!(result["scripts"], 0, "{path}");
                assert_eq!(result["at"], path.as_str(), "the page went elsewhere");
            }
        }
    }
}

/// So that the test above can fail.
#[test]
fn the_browser_sees_what_runs() {
    // Without frames, whose dialogues would wait for a person, and names, which stand in the way of the test's own script.
    let frames =
        ["iframe", "frame", "object", "embed", "base", "meta", "form", "import", "refresh", "name=", "id="];
    let raw: Vec<String> = MARKUP
        .into_iter()
        .flat_map(corpus)
        .filter(|markup| !frames.iter().any(|frame| markup.to_lowercase().contains(frame)))
        .filter(|markup| {
            ["onerror", "onload", "onclick", "javascript:"]
                .iter()
                .any(|sign| markup.to_lowercase().contains(sign))
        })
        .collect();
    let site = Site::start();
    let browser = Chromium::start();
    let mut page = browser.open(&site.put("/", WATCH.to_owned()));
    let result = judge(&mut page, &site.put("/raw", as_inner_html(&raw)));
    let ran = result["ran"].as_array().unwrap();
    assert!(ran.len() > 30, "{ran:?}");
    assert!(ran.iter().any(|what| what.as_str().unwrap().starts_with("alert")), "{ran:?}");
    let one = ["<script>alert(7)</script>".to_owned()];
    let result = judge(&mut page, &site.put("/one", as_document(&one)));
    assert_eq!(result["ran"].as_array().map(Vec::len), Some(2), "{}", result["ran"]);
}
