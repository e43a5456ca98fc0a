//! Secrets of the service: the model's key comes from the vault and is rotated while it runs, and no secret is found where none belongs.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)] // Failing is what a test is for.
#![allow(clippy::disallowed_methods, reason = "waiting for another process is waiting in real time")]

mod chromium_site;
mod language_service;
mod secure_service;

use std::fs;
use std::path::{Path, PathBuf};

use buttress_core::Ctx;
use buttress_secrets::vault::{KeySource, VaultStore};
use buttress_secrets::{Expect, Name, Secret, SecretStore};
use buttress_testkit::Chromium;
use chromium_site::Site;
use language_service::{PLAN, Script, says};
use rustix::process::Signal;
use secure_service::{LONG, Place, SHORT_FLOW, browser};
use serde_json::json;

const MODEL_KEY: &str = "sk-first-planted-0123456789abcdef";
const NEXT_MODEL_KEY: &str = "sk-next-planted-fedcba9876543210";

async fn vault(place: &Place) -> VaultStore {
    let key = KeySource::KeyFile(place.security().join("secrets.key"));
    VaultStore::open(&place.security().join("secrets.vault"), key, &Ctx::default()).await.unwrap()
}

/// What `secrets set` does, from another process than the service.
async fn put(place: &Place, value: &str) {
    let secret = Secret::from(value.to_owned());
    vault(place).await.put(&Name::new("language/key").unwrap(), &secret, Expect::Anything).await.unwrap();
}

/// The bytes, and the forms in which they could be written.
fn forms(secret: &[u8]) -> [Vec<u8>; 3] {
    let hex = data_encoding::HEXLOWER.encode(secret);
    [secret.to_vec(), hex.into_bytes(), data_encoding::BASE64.encode(secret).into_bytes()]
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn the_models_key_is_rotated_while_the_service_runs_and_no_secret_is_shown_anywhere() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let echo = format!(r#"{{"error":{{"message":"wrong key {MODEL_KEY}"}}}}"#);
    let model = runtime.block_on(language_service::Service::start([
        says(PLAN),
        Script::Status(401, "", echo.clone()),
        says(PLAN),
        Script::Status(500, "", echo.replace(MODEL_KEY, NEXT_MODEL_KEY)),
        Script::Status(401, "", echo.replace(MODEL_KEY, NEXT_MODEL_KEY)),
    ]));
    let place = Place::set_up();
    runtime.block_on(put(&place, MODEL_KEY));
    let settings = [
        format!("language.url=http://127.0.0.1:{}/v1", model.port),
        "language.model=small".to_owned(),
        "language.key_secret=language/key".to_owned(),
        "language.calls.retry.attempts=1".to_owned(),
    ];
    let mut service = place.serve(&settings);
    let (key, id) = service.issue("cy", Some("acme"), "operator");
    let mut answers = vec![String::from_utf8_lossy(&service.get("", "/").body).into_owned()];
    let command = |what: &str| json!({ "text": format!("buy the {what} one and keep the receipt") });
    let mut ask = |what: &str| {
        let answer = service.post(&key, "/v1/commands", &command(what));
        answers.push(answer.text());
        answer.status
    };
    assert_eq!(ask("blue"), 200);
    // The provider takes the old key back at once: the new one is looked for, and the caller notices nothing.
    runtime.block_on(put(&place, NEXT_MODEL_KEY));
    assert_eq!(ask("red"), 200, "a rotated key needs no restart");
    assert_eq!((ask("green"), ask("grey")), (503, 500));
    let sent: Vec<_> = model.seen().iter().map(|seen| seen.head.contains(MODEL_KEY)).collect();
    assert_eq!(sent, [true, true, false, false, false]);

    service.submit(&key, SHORT_FLOW);
    let rotated =
        service.post(&place.admin, &format!("/v1/keys/{id}/rotate?overlap=1h"), &json!(null)).json();
    let newer = rotated["key"].as_str().unwrap().to_owned();
    for path in
        ["/v1/jobs", "/v1/keys", "/v1/keys?tenant=acme", "/v1/pool", "/metrics", "/readyz", "/healthz"]
    {
        answers.push(service.get(&place.admin, path).text());
    }
    let mistaken = [format!("{newer}x"), newer.replace("browser_", "docproc_")];
    answers.extend(mistaken.iter().map(|forged| service.get(forged, "/v1/jobs").text()));
    // Whoever puts a key where none belongs is not answered with it.
    answers.push(
        service
            .post(&key, &format!("/v1/jobs?key={newer}"), &json!({ newer.clone(): 1 }))
            .text()
            .replace(&newer, ""),
    );
    service.process.signal(Signal::TERM);
    assert!(service.process.wait().success());

    let mut config = vec!["config", "--set", "security.enabled=true"];
    for setting in &settings {
        config.extend(["--set", setting]);
    }
    for words in [
        config.as_slice(),
        &["--help"],
        &["init", "--help"],
        &["serve", "--set", "language.key_secret=no key"],
    ] {
        let told = browser(place.path(), words);
        answers.push(String::from_utf8_lossy(&[told.stdout, told.stderr].concat()).into_owned());
    }

    let pepper = Name::new("api-keys/pepper").unwrap();
    let pepper = runtime.block_on(async { vault(&place).await.load(&pepper).await }).unwrap().unwrap();
    let planted = [MODEL_KEY, NEXT_MODEL_KEY, &place.admin, &key, &newer, &place.seed].map(str::as_bytes);
    let planted = planted.into_iter().chain([pepper.current.secret.expose()]);
    // Of an API key its name may be known: what is behind it is the secret.
    let secrets: Vec<Vec<u8>> = planted.flat_map(forms).collect();
    let mut searched = 0;
    let mut found = Vec::new();
    let mut look = |place: &str, content: &[u8]| {
        searched += 1;
        let has = |secret: &&Vec<u8>| content.windows(secret.len()).any(|window| window == secret.as_slice());
        found.extend(
            secrets
                .iter()
                .find(has)
                .map(|secret| (place.to_owned(), String::from_utf8_lossy(secret).into_owned())),
        );
    };
    for answer in &answers {
        look(answer, answer.as_bytes());
    }
    let files = files(place.path());
    for file in &files {
        look(&file.display().to_string(), &fs::read(file).unwrap());
    }
    assert_eq!(found, []);
    assert!(searched > 20, "{searched} places");
    for name in ["log", "jobs.db", "keys.db", "secrets.vault", "language.db"] {
        assert!(files.iter().any(|file| file.ends_with(name)), "{name} was not looked at: {files:?}");
    }
    assert!(files.iter().any(|file| file.starts_with(place.security().join("audit"))));
}

#[test]
fn the_page_asks_for_the_key_once_and_shows_with_it_what_it_did_without() {
    let (place, site) = (Place::set_up(), Site::start());
    let service = place.serve(&[format!("guard.allow=[\"{}\"]", site.address())]);
    let flow = format!("name: home\nsteps:\n  - goto: {}\n  - screenshot: home\n", site.url("/"));
    let id = service.submit(&place.admin, &flow);
    service.ended(&place.admin, &id);

    let chromium = Chromium::start();
    let mut page = chromium.open(&format!("http://{}/#job/{id}", service.address));
    let picture = |page: &mut buttress_testkit::Page, name: &str| {
        if let Some(folder) = std::env::var_os("PICTURES") {
            page.screenshot(&Path::new(&folder).join(name));
        }
    };
    page.wait_for("document.querySelector('#sign-in').open", LONG);
    picture(&mut page, "asked.png");
    let give = |page: &mut buttress_testkit::Page, key: &str| {
        page.evaluate(&format!("document.querySelector('#api-key').value = '{key}'"));
        page.evaluate("document.querySelector('#sign-in [value=yes]').click()");
    };
    give(&mut page, "browser_wrong");
    page.wait_for("document.querySelector('#sign-in-problem').textContent.includes('does not take')", LONG);
    picture(&mut page, "wrong.png");
    give(&mut page, &place.admin);
    page.wait_for("document.body.dataset.link === 'live'", LONG);
    page.wait_for("document.body.innerText.includes('home.png')", LONG);
    page.wait_for(
        "[...document.images].some((image) => image.src.startsWith('blob:') && image.naturalWidth > 0)",
        LONG,
    );
    picture(&mut page, "job.png");
    // What happens is heard of, without asking again.
    service.submit(&place.admin, &SHORT_FLOW.replace("short", "heard"));
    page.wait_for(
        "[...document.querySelectorAll('#rows a')].some((link) => link.textContent === 'heard')",
        LONG,
    );
    page.wait_for("!document.querySelector('#sign-in').open", LONG);
    let again = "document.querySelector('#flow').value = 'name: typed\\nsteps:\\n  - wait: 10ms\\n'; \
                 document.querySelector('#flow-form').requestSubmit()";
    page.evaluate(again);
    page.wait_for("document.querySelector('#job-title').textContent === 'typed'", LONG);
    page.evaluate("document.querySelector('#key-button').click()");
    page.wait_for("document.querySelector('#sign-in').open", LONG);
    page.evaluate("document.querySelector('#sign-in [value=no]').click()");
    page.wait_for("document.body.dataset.link === 'locked'", LONG);
    picture(&mut page, "locked.png");
}
