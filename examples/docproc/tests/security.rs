//! `docproc serve` with security on: who may do what, what is written down of it, and what stays secret.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)] // Failing is what a test is for.

mod common;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use buttress_audit::verify::{VerifyOptions, verify};
use buttress_audit::{Entry, LogReader};
use buttress_core::{Ctx, Outcome};
use buttress_secrets::Name;
use buttress_secrets::store::SecretStore;
use buttress_secrets::vault::{KeySource, VaultStore};
use buttress_testkit::{Random, http_with};
use common::docproc;
use common::secured::{Secured, init};
use common::service::Service;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::tempdir;

/// Has the service issue a key, and gives its record with the key in it.
fn issue(service: &Service, by: &str, owner: &str, role: &str) -> Value {
    let wanted = json!({"owner": owner, "roles": [role]}).to_string();
    let lines = format!("authorization: Bearer {by}\r\ncontent-type: application/json\r\n");
    let made = http_with(&service.address, "POST", "/v1/keys", &lines, wanted.as_bytes()).unwrap();
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()
}

fn key(issued: &Value) -> &str {
    issued["key"].as_str().unwrap()
}

fn upload(service: &Service, by: &str, text: &str) -> (u16, String) {
    let answer = service.ask(by, "POST", "/v1/documents?name=a.txt", text.as_bytes());
    let id = answer.json()["documents"][0]["id"].as_str().unwrap_or_default().to_owned();
    (answer.status, id)
}

/// Every entry of the log, which must be whole.
fn entries(secured: &Secured) -> Vec<Entry> {
    let log = secured.folder.join("audit");
    let seed = secured.seed.as_ref().unwrap().parse().unwrap();
    let report = verify(&log, &VerifyOptions::new().seed(seed)).unwrap();
    assert!(report.is_clean(), "{report:?}");
    let reader = LogReader::open(&log).unwrap();
    reader.read(0).unwrap().map(|record| record.unwrap().0.entry).collect()
}

fn did(entries: &[Entry], actor: &str, action: &str, outcome: Outcome) -> BTreeSet<String> {
    let fits = |entry: &&Entry| {
        entry.actor.as_deref() == Some(actor) && entry.action == action && entry.outcome == outcome
    };
    entries.iter().filter(fits).map(|entry| entry.target.clone().unwrap_or_default()).collect()
}

#[test]
fn each_may_what_its_role_may_and_it_is_written_down() {
    let dir = tempdir().unwrap();
    let secured = init(dir.path());
    let mut service = secured.start(dir.path(), &[]);
    for path in ["/v1/documents", "/v1/search?q=a", "/v1/events", "/v1/keys"] {
        assert_eq!(service.get(path).status, 401, "{path}");
    }
    for path in ["/", "/app.js", "/livez", "/readyz", "/metrics"] {
        assert_eq!(service.get(path).status, 200, "{path}");
    }
    assert_eq!(service.upload("a.txt", b"Nobody sent this.").unwrap().status, 401);

    let reader = issue(&service, &secured.key, "rea", "reader");
    let writer = issue(&service, &secured.key, "wri", "writer");
    assert_eq!(upload(&service, key(&reader), "The reader's.").0, 403);
    let (status, id) = upload(&service, key(&writer), "The writer's.");
    assert_eq!(status, 202);
    let path = format!("/v1/documents/{id}");
    assert_eq!(service.ask(key(&reader), "GET", &path, &[]).status, 200);
    assert_eq!(service.ask(key(&reader), "POST", &format!("{path}/retry"), &[]).status, 403);
    assert_eq!(service.ask(key(&writer), "POST", &format!("{path}/retry"), &[]).status, 202);
    for key in [key(&reader), key(&writer)] {
        assert_eq!(service.ask(key, "DELETE", &path, &[]).status, 403);
        assert_eq!(service.ask(key, "GET", "/v1/keys", &[]).status, 403);
    }
    assert_eq!(service.ask(&secured.key, "DELETE", &path, &[]).status, 204);
    assert_eq!(service.ask(&secured.key, "DELETE", &path, &[]).status, 404);
    assert_eq!(service.ask(key(&writer), "POST", "/v1/documents", b"").status, 400, "it is empty");

    // Both keys are good for the overlap; what is revoked is not.
    let rotate = format!("/v1/keys/{}/rotate?overlap=1h", writer["id"].as_str().unwrap());
    let rotated = service.ask(&secured.key, "POST", &rotate, &[]).json();
    for key in [key(&writer), key(&rotated)] {
        assert_eq!(service.ask(key, "GET", "/v1/documents", &[]).status, 200);
    }
    let revoke = format!("/v1/keys/{}", writer["id"].as_str().unwrap());
    assert_eq!(service.ask(&secured.key, "DELETE", &revoke, &[]).status, 204);
    assert_eq!(service.ask(key(&writer), "GET", "/v1/documents", &[]).status, 401);
    assert_eq!(service.ask(key(&rotated), "GET", "/v1/documents", &[]).status, 200);

    service.process.signal(Signal::TERM);
    assert_eq!(service.process.wait().code(), Some(0), "{}", service.process.output());
    let entries = entries(&secured);
    let told = |actor: &str, action: &str, outcome| did(&entries, actor, action, outcome);
    let one = BTreeSet::from([id]);
    assert_eq!(told("wri", "document.upload", Outcome::Success), one);
    assert_eq!(told("wri", "document.upload", Outcome::Denied), BTreeSet::from(["document".to_owned()]));
    assert_eq!(told("wri", "document.retry", Outcome::Success), one);
    assert_eq!(told("ann", "document.delete", Outcome::Success), one);
    assert_eq!(told("ann", "document.delete", Outcome::Failure), one);
    let refused = ["document:delete", "document:write", "key:manage"].map(str::to_owned);
    assert_eq!(told("rea", "access.decide", Outcome::Denied), BTreeSet::from(refused));
}

#[test]
fn what_kill_9_leaves_verifies_and_goes_on() {
    let dir = tempdir().unwrap();
    let secured = init(dir.path());
    let mut random = Random::new(11);
    let mut acknowledged = BTreeSet::new();
    for run in 0..3 {
        let mut service = secured.start(dir.path(), &[]);
        for number in 0..=random.below(8) {
            let (status, id) = upload(&service, &secured.key, &format!("Document {number} of run {run}."));
            assert_eq!(status, 202);
            acknowledged.insert(id);
        }
        service.process.kill();
        entries(&secured);
    }
    let mut service = secured.start(dir.path(), &[]);
    for id in &acknowledged {
        assert_eq!(service.ask(&secured.key, "GET", &format!("/v1/documents/{id}"), &[]).status, 200);
    }
    service.process.signal(Signal::TERM);
    assert_eq!(service.process.wait().code(), Some(0));
    let told = did(&entries(&secured), "ann", "document.upload", Outcome::Success);
    assert!(told.is_subset(&acknowledged) && !told.is_empty(), "{told:?}");
}

/// All bytes below `folder`.
fn bytes_below(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        all.extend(if path.is_dir() { bytes_below(&path) } else { std::fs::read(path).unwrap() });
    }
    all
}

#[tokio::test]
async fn no_secret_is_shown_anywhere() {
    let dir = tempdir().unwrap();
    let secured = init(dir.path());
    let mut service = secured.start(dir.path(), &["--set", "telemetry.log.filter=trace"]);
    let writer = issue(&service, &secured.key, "wri", "writer");
    let rotate = format!("/v1/keys/{}/rotate", writer["id"].as_str().unwrap());
    let rotated = service.ask(&secured.key, "POST", &rotate, &[]).json();
    let spoilt = format!("{}x", secured.key);

    let mut shown: Vec<(String, Vec<u8>)> = Vec::new();
    let requests = [
        (key(&writer), "POST", "/v1/documents?name=a.txt"),
        (key(&rotated), "DELETE", "/v1/documents/1"),
        (&*secured.key, "GET", "/v1/keys"),
        (&*secured.key, "GET", "/v1/documents"),
        (&*secured.key, "GET", "/v1/nothing"),
        (&*spoilt, "GET", "/v1/documents"),
        ("", "GET", "/metrics"),
        ("", "GET", "/readyz"),
    ];
    for (key, method, path) in requests {
        shown.push((format!("{method} {path}"), service.ask(key, method, path, b"A text.").body));
    }
    service.process.signal(Signal::TERM);
    service.process.wait();
    shown.push(("the log".to_owned(), service.process.output().into_bytes()));
    shown.push(("the audit log".to_owned(), bytes_below(&secured.folder.join("audit"))));
    let place = format!("security.folder={}", secured.folder.display());
    for arguments in [&["config"][..], &["serve", "--set", "security.keys.lifetime=never"]] {
        let output = docproc().args(arguments).args(["--set", &place]).output().unwrap();
        shown.push((arguments.join(" "), [output.stdout, output.stderr].concat()));
    }

    let vault_key = secured.folder.join("secrets.key");
    let key_text = std::fs::read_to_string(&vault_key).unwrap();
    let vault = secured.folder.join("secrets.vault");
    let vault = VaultStore::open(&vault, KeySource::KeyFile(vault_key), &Ctx::default()).await.unwrap();
    let versions = vault.load(&Name::new("api-keys/pepper").unwrap()).await.unwrap();
    let pepper = versions.unwrap().current.secret;
    let pepper = String::from_utf8(pepper.expose().to_vec()).unwrap();
    let seed = secured.seed.clone().unwrap();
    let keys = [&*secured.key, key(&writer), key(&rotated)];
    // Of a key, what comes after its public name.
    let secrets = keys.map(|key| key.split('_').max_by_key(|part| part.len()).unwrap());
    let planted = [&*key_text, &*pepper, &*seed].into_iter().chain(keys).chain(secrets);
    for secret in planted.map(str::as_bytes) {
        assert!(secret.len() >= 20);
        for (place, bytes) in &shown {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "a secret is in {place}");
        }
    }
    assert!(secured.shown.contains(&secured.key), "once, to whoever sets it up");
    assert!(
        shown.iter().all(|(_, bytes)| !bytes.is_empty()),
        "{:?}",
        shown.iter().map(|s| &s.0).collect::<Vec<_>>()
    );
}

#[test]
fn names_are_made_safe_and_what_inflates_too_far_is_refused() {
    let dir = tempdir().unwrap();
    let service = Service::start(dir.path(), &[]);
    let hostile = "..%2F..%2Fetc%2Fpass%00wd%E2%80%AEfdp.txt";
    let taken = service.upload(hostile, b"A text with a hostile name.").unwrap().json();
    let document = &taken["documents"][0];
    assert_eq!(document["name"], "pass_wd_fdp.txt", "{taken}");
    service.finished(document["id"].as_str().unwrap());

    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..32 {
        bomb.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    let refused = service.upload("bomb.gz", &bomb).unwrap();
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert_eq!(refused.status, 413, "{detail}");
    assert!(detail.contains("`expansion_ratio` of 200"), "{detail}");
    let listed = service.get("/v1/documents").json();
    assert_eq!(listed["documents"].as_array().unwrap().len(), 1, "it reached no worker");
    assert!(std::fs::read_dir(dir.path().join("store/incoming")).unwrap().next().is_none(), "it is gone");
}

#[test]
fn nothing_of_a_removed_document_is_left() {
    let dir = tempdir().unwrap();
    let service = Service::start(dir.path(), &[]);
    let text = "Zanzibar is a word that stands nowhere else. ".repeat(400);
    let id = service.upload("quagga.txt", text.as_bytes()).unwrap().json()["documents"][0]["id"].clone();
    service.finished(id.as_str().unwrap());
    let store = dir.path().join("store");
    let words = [&b"zanzibar"[..], b"Zanzibar", b"quagga"];
    let left = || {
        let bytes = bytes_below(&store);
        words.map(|word| bytes.windows(word.len()).any(|window| window == word))
    };
    assert_eq!(left(), [true; 3]);
    let path = format!("/v1/documents/{}", id.as_str().unwrap());
    assert_eq!(service.request("DELETE", &path, &[]).unwrap().status, 204);
    assert_eq!(left(), [false; 3]);
}

#[test]
fn who_has_not_set_it_up_is_told_how() {
    let dir = tempdir().unwrap();
    let place = format!("security.folder={}", dir.path().join("none").display());
    let serve =
        ["serve", "--set", "service.listen=127.0.0.1:0", "--set", "security.enabled=true", "--set", &place];
    let output = docproc().current_dir(dir.path()).args(serve).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("`docproc init`"), "{told}");

    let secured = init(dir.path());
    let again = init(dir.path());
    assert!(again.seed.is_none() && again.key != secured.key, "{}", again.shown);
    let service = secured.start(dir.path(), &[]);
    for key in [&secured.key, &again.key] {
        assert_eq!(service.ask(key, "GET", "/v1/keys", &[]).status, 200);
    }
    let place = format!("security.folder={}", secured.folder.display());
    let init = |more: &[&str]| {
        let output = docproc().args(["init", "--set", &place]).args(more).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let busy = init(&["--owner", "bob"]);
    assert!(busy.contains("stop it, or have it issue API keys, by POST /v1/keys"), "{busy}");
    let unknown = init(&["--owner", "bob", "--role", "boss"]);
    assert!(unknown.contains("no role `boss`; it has admin, reader, writer"), "{unknown}");
}

#[test]
fn a_service_for_everybody_says_so() {
    let dir = tempdir().unwrap();
    let warning = "whoever reaches this address may do everything";
    let open = Service::start(dir.path(), &["--set", "service.listen=0.0.0.0:0"]);
    assert!(open.process.output().contains(warning), "{}", open.process.output());
    drop(open);
    let local = Service::start(dir.path(), &[]);
    assert!(!local.process.output().contains(warning));
}
