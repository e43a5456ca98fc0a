//! `browser init` and `browser serve` with security on: who may what, whose jobs one sees, and what is written down.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)] // Failing is what a test is for.
#![allow(clippy::disallowed_methods, reason = "waiting for another process is waiting in real time")]

mod chromium_site;
mod secure_service;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use buttress_audit::LogReader;
use buttress_audit::verify::{VerifyOptions, verify};
use buttress_testkit::wait_until;
use chromium_site::Site;
use rustix::process::Signal;
use secure_service::{LONG, Place, SHORT_FLOW, browser};
use serde_json::{Value, json};

#[test]
fn who_shows_no_key_gets_nothing_and_who_shows_one_what_its_role_may() {
    let place = Place::set_up();
    let again = browser(place.path(), &["init", "--owner", "bob", "--role", "boss"]);
    let told = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(
        !again.status.success() && told.contains("no role `boss`; it has admin, operator, viewer"),
        "{told}"
    );
    let mut service = place.serve(&[]);
    let flow = json!({ "flow": SHORT_FLOW });
    let every = [
        ("GET", "/v1/jobs", "viewer"),
        ("GET", "/v1/jobs/none", "viewer"),
        ("GET", "/v1/jobs/none/artifacts/x.png", "viewer"),
        ("GET", "/v1/pool", "viewer"),
        ("POST", "/v1/flows/check", "viewer"),
        ("POST", "/v1/jobs", "operator"),
        ("POST", "/v1/jobs/none/cancel", "operator"),
        ("POST", "/v1/commands", "operator"),
        ("GET", "/v1/keys", "admin"),
        ("POST", "/v1/keys", "admin"),
        ("POST", "/v1/keys/none/rotate", "admin"),
        ("DELETE", "/v1/keys/none", "admin"),
    ];
    let roles = ["viewer", "operator", "admin"];
    let keys = roles.map(|role| service.issue(role, None, role).0);
    let forged = format!("{}x", place.admin);
    for (method, path, least) in every {
        for nobody in ["", "forged", &forged] {
            assert_eq!(service.ask(nobody, method, path, &flow).status, 401, "{method} {path}");
        }
        for (role, key) in roles.iter().zip(&keys) {
            let may = roles.iter().position(|known| known == role)
                >= roles.iter().position(|known| *known == least);
            let status = service.ask(key, method, path, &flow).status;
            assert_eq!(status != 403, may, "{role} {method} {path}: {status}");
            assert_ne!(status, 401, "{role} {method} {path}");
        }
    }
    assert_eq!(service.get("", "/v1/events").status, 401);
    for open in ["/", "/openapi.json", "/livez", "/metrics"] {
        assert_eq!(service.get("", open).status, 200, "{open}");
    }
    service.process.signal(Signal::TERM);
    assert!(service.process.wait().success());
}

#[test]
fn tenants_do_not_see_each_others_jobs_and_who_belongs_to_none_and_manages_keys_sees_all() {
    let (place, site) = (Place::set_up(), Site::start());
    let service = place.serve(&[format!("guard.allow=[\"{}\"]", site.address())]);
    let (acme, _) = service.issue("cy", Some("acme"), "operator");
    let (boss, _) = service.issue("eve", Some("beta"), "admin");
    let (alone, _) = service.issue("dan", None, "operator");
    let mut heard = events(&service.address, &boss);

    let flow = format!("name: home\nsteps:\n  - goto: {}\n  - screenshot: home\n", site.url("/"));
    let theirs = service.submit(&acme, &flow);
    let job = service.ended(&acme, &theirs);
    assert_eq!((&job["state"], &job["tenant"]), (&json!("done"), &json!("acme")), "{job:#}");
    let picture = format!("/v1/jobs/{theirs}/artifacts/home.png");
    assert_eq!(service.get(&acme, &picture).status, 200);
    let single = service.submit(&alone, SHORT_FLOW);
    assert_eq!(service.ended(&alone, &single)["tenant"], "dan", "who belongs to no tenant is one");

    for (key, own) in [(&boss, vec![]), (&alone, vec![single.clone()])] {
        assert_eq!(service.listed(key, ""), own);
        for path in [&format!("/v1/jobs/{theirs}"), &picture] {
            assert_eq!(service.get(key, path).status, 404, "{path}");
        }
        assert_eq!(service.post(key, &format!("/v1/jobs/{theirs}/cancel"), &Value::Null).status, 404);
        let refused = service.ask_as(key, "x-tenant: acme\r\n", "GET", "/v1/jobs", &Value::Null);
        assert_eq!(refused.status, 403);
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("x-tenant names another tenant than the API key"), "{detail}");
    }
    let said = service.ask_as(&acme, "x-tenant: acme\r\n", "GET", "/v1/jobs", &Value::Null);
    assert_eq!(said.status, 200, "what is said need not be said, and may");

    assert_eq!(service.listed(&place.admin, ""), [single.clone(), theirs.clone()]);
    assert_eq!(service.get(&place.admin, &picture).status, 200);
    let narrowed = service.ask_as(&place.admin, "x-tenant: acme\r\n", "GET", "/v1/jobs", &Value::Null).json();
    assert_eq!(narrowed["jobs"].as_array().unwrap().len(), 1);
    let body = json!({ "flow": SHORT_FLOW });
    let foreign = service.ask_as(&place.admin, "x-tenant: acme\r\n", "POST", "/v1/jobs", &body);
    assert_eq!(foreign.status, 403, "{}", foreign.text());

    // Of all that happened, beta heard of its own only.
    let own = service.submit(&boss, SHORT_FLOW);
    let mut names = Vec::new();
    wait_until("the event of one's own job", LONG, || {
        let mut line = String::new();
        heard.read_line(&mut line).unwrap();
        names.extend([&theirs, &single, &own].into_iter().filter(|id| line.contains(id.as_str())).cloned());
        names.contains(&own).then_some(())
    });
    assert!(!names.contains(&theirs) && !names.contains(&single), "{names:?}");
}

/// The lines of somebody's events.
fn events(address: &str, key: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    write!(stream, "GET /v1/events HTTP/1.1\r\nhost: test\r\nx-api-key: {key}\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert!(line.contains("200"), "{line}");
    lines
}

#[test]
fn a_key_that_was_rotated_is_good_in_the_overlap_and_one_that_was_revoked_is_not() {
    let place = Place::set_up();
    let service = place.serve(&[]);
    let (key, id) = service.issue("cy", Some("acme"), "operator");
    let job = service.submit(&key, SHORT_FLOW);
    let rotated =
        service.post(&place.admin, &format!("/v1/keys/{id}/rotate?overlap=1h"), &Value::Null).json();
    let newer = rotated["key"].as_str().unwrap();
    for key in [&*key, newer] {
        assert_eq!(service.listed(key, ""), std::slice::from_ref(&job), "the new one is of the same tenant");
    }
    assert_eq!(service.ask(&place.admin, "DELETE", &format!("/v1/keys/{id}"), &Value::Null).status, 204);
    assert_eq!((service.get(&key, "/v1/jobs").status, service.get(newer, "/v1/jobs").status), (401, 200));
}

#[test]
fn the_log_of_what_was_done_verifies_after_kill_9() {
    let place = Place::set_up();
    let log = place.security().join("audit");
    let mut submitted = Vec::new();
    for round in 0..3 {
        let mut service = place.serve(&[]);
        let (key, _) = service.issue("cy", Some("acme"), "operator");
        for _ in 0..5 {
            submitted.push(service.submit(&key, SHORT_FLOW));
        }
        assert_eq!(service.get("forged", "/v1/jobs").status, 401);
        assert_eq!(service.post(&key, "/v1/jobs/none/cancel", &Value::Null).status, 404);
        let command = json!({ "text": "go to https://example.com" });
        assert_eq!(service.post(&key, "/v1/commands", &command).status, 200);
        if round < 2 {
            // What was answered is written soon after; the last of it may be lost with the process.
            let last = format!("job/{}", submitted[submitted.len() - 1]);
            wait_until("the last job in the log", LONG, || {
                read(&log).iter().any(|entry| entry["target"] == last).then_some(())
            });
            service.process.kill();
        } else {
            service.process.signal(Signal::TERM);
            assert!(service.process.wait().success());
        }
        let report = verify(&log, &VerifyOptions::new().seed(place.seed.parse().unwrap())).unwrap();
        assert!(report.is_clean(), "round {round}: {report:?}");
    }
    let entries = read(&log);
    let did = |action: &str, outcome: &str| {
        entries.iter().filter(|entry| entry["action"] == action && entry["outcome"] == outcome).count()
    };
    for id in &submitted {
        let of = |entry: &&Value| entry["target"] == format!("job/{id}") && entry["action"] == "job.submit";
        let entry = entries.iter().find(of).unwrap();
        assert_eq!(entry["actor"], "cy", "{entry:#}");
    }
    assert_eq!(did("job.submit", "success"), 15);
    assert!(did("api_key.verify", "denied") >= 1 && did("job.cancel", "failure") >= 1);
    assert!(did("command.translate", "success") >= 1);
}

/// What the log has, as JSON.
fn read(log: &std::path::Path) -> Vec<Value> {
    let reader = LogReader::open(log).unwrap();
    reader
        .read(0)
        .unwrap()
        .map_while(|record| Some(serde_json::to_value(record.ok()?.0.entry).unwrap()))
        .collect()
}
