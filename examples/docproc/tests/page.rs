//! The page at `/`, in a real browser.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)] // Failing is what a test is for.

mod common;

use std::path::Path;
use std::time::Duration;

use buttress_testkit::Chromium;
use common::folder;
use common::secured::init;
use common::service::Service;
use tempfile::tempdir;

const SOON: Duration = Duration::from_secs(20);

/// What a browser does when a person types `text` into the search box.
fn typing(text: &str) -> String {
    format!(
        "{{ const box = document.querySelector('#search'); box.value = '{text}'; box.dispatchEvent(new Event('input')) }}"
    )
}

#[test]
fn a_person_drops_a_pdf_and_reads_its_text() {
    let dir = tempdir().unwrap();
    let service = Service::start(dir.path(), &[]);
    let browser = Chromium::start();
    let mut page = browser.open(&format!("http://{}/", service.address));
    page.wait_for("document.querySelector('#stats').innerText.includes('0 read')", SOON);

    let pdf = folder("samples/pdf/harbour.pdf");
    let sheet = folder("samples/xlsx/fleet.xlsx");
    page.set_files("#files", &[&pdf]);
    page.wait_for("document.querySelector('#text').innerText.includes('one to deliver a piano')", SOON);
    page.wait_for("document.querySelectorAll('#documents [data-status=done]').length === 1", SOON);
    page.wait_for("document.querySelectorAll('#chunks li').length >= 1", SOON);
    page.wait_for("document.querySelectorAll('#timings tr').length >= 7", SOON);

    page.set_files("#files", &[&sheet]);
    page.wait_for("document.querySelector('#text table')?.innerText.includes('Marigold')", SOON);

    page.evaluate(&typing("lighthouse"));
    page.wait_for("document.querySelector('#results mark')?.innerText.toLowerCase() === 'lighthouse'", SOON);

    // For people to look at, beside the other outputs of the build.
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR"));
    page.evaluate("document.querySelector('#results button').click()");
    page.wait_for("document.querySelector('#text').innerText.includes('one to deliver a piano')", SOON);
    page.screenshot(&pictures.join("docproc-search.png"));
    page.evaluate(&typing(""));
    page.wait_for("!document.querySelector('#documents').hidden", SOON);
    page.screenshot(&pictures.join("docproc-text.png"));
    page.evaluate("document.querySelector('[data-tab=timings]').click()");
    page.screenshot(&pictures.join("docproc-timings.png"));
    assert_eq!(page.errors(), Vec::<String>::new());
}

#[test]
fn text_of_documents_is_never_markup() {
    let dir = tempdir().unwrap();
    let service = Service::start(dir.path(), &[]);
    let hostile = "<img src=x onerror=\"window.hurt = 1\"> in plain text\n\n| a |\n| --- |\n| <script>window.hurt = 1</script> |";
    let id = service.upload("%3Cimg%20src=x%20onerror=hurt()%3E.txt", hostile.as_bytes()).unwrap().json();
    let id = id["documents"][0]["id"].as_str().unwrap().to_owned();
    service.finished(&id);
    let browser = Chromium::start();
    let mut page = browser.open(&format!("http://{}/#{id}", service.address));
    page.wait_for("document.querySelector('#text').innerText.includes('in plain text')", SOON);
    assert_eq!(page.evaluate("document.querySelectorAll('img, #text script').length"), 0);
    assert!(page.evaluate("window.hurt").is_null());
}

/// The answer to an upload may come after the event that tells its end.
#[test]
fn what_was_heard_is_not_undone_by_a_late_answer() {
    let dir = tempdir().unwrap();
    let service = Service::start(dir.path(), &[]);
    let browser = Chromium::start();
    let mut page = browser.open(&format!("http://{}/", service.address));
    page.wait_for("document.querySelector('#stats').innerText.includes('0 read')", SOON);
    // The answer is held back until the test lets it go.
    page.evaluate(
        "{ const real = window.fetch; window.fetch = async (path, options) => { \
           const answer = await real(path, options); \
           if (options?.method === 'POST') await new Promise((go) => { window.go = go }); \
           return answer; } }",
    );
    page.set_files("#files", &[&folder("samples/pdf/harbour.pdf")]);
    page.wait_for("document.querySelectorAll('#documents [data-status=done]').length === 1", SOON);
    page.wait_for("window.go", SOON);
    page.evaluate("window.go()");
    // What the page does with the answer at last is to show the document.
    page.wait_for("location.hash.length > 1", SOON);
    page.wait_for("document.querySelector('#text')?.innerText.includes('one to deliver a piano')", SOON);
    assert_eq!(page.evaluate("document.querySelectorAll('#documents [data-status=done]').length"), 1);
}

/// What a browser does when a person gives a key.
fn giving(key: &str) -> String {
    format!(
        "{{ document.querySelector('#key-text').value = '{key}'; document.querySelector('#key-form').requestSubmit() }}"
    )
}

#[test]
fn a_key_is_asked_for_where_the_service_wants_one() {
    let dir = tempdir().unwrap();
    let secured = init(dir.path());
    let service = secured.start(dir.path(), &[]);
    let browser = Chromium::start();
    let mut page = browser.open(&format!("http://{}/", service.address));
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR"));
    page.wait_for("document.querySelector('#key').innerText.includes('asks for an API key')", SOON);
    page.screenshot(&pictures.join("docproc-key.png"));
    page.evaluate(&giving("docproc_forged"));
    page.wait_for("document.querySelector('#key').innerText.includes('does not take this key')", SOON);
    page.evaluate(&giving(&secured.key));
    page.wait_for("document.querySelector('#stats').innerText.includes('0 read')", SOON);
    page.wait_for("document.querySelector('#key').hidden", SOON);

    // Events come with the key too: the list is of them.
    page.set_files("#files", &[&folder("samples/pdf/harbour.pdf")]);
    page.wait_for("document.querySelectorAll('#documents [data-status=done]').length === 1", SOON);
    page.wait_for("document.querySelector('#text').innerText.includes('one to deliver a piano')", SOON);
    page.wait_for("document.querySelector('#stats').innerText.includes('1 read')", SOON);
    page.screenshot(&pictures.join("docproc-secured.png"));

    // It is there in this tab until it is forgotten.
    page.evaluate("window.before = true; location.reload()");
    let again = "!window.before && document.querySelectorAll('#documents [data-status=done]').length === 1";
    page.wait_for(again, SOON);
    page.evaluate("document.querySelector('#forget').click()");
    page.wait_for("document.querySelector('#key')?.innerText.includes('asks for an API key')", SOON);
    assert!(page.evaluate("sessionStorage.getItem('docproc-key')").is_null());
    assert_eq!(page.evaluate("document.querySelectorAll('#documents li').length"), 0);
}
