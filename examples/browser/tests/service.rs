//! `browser serve` as a process: what it accepts ends once, whatever is killed meanwhile.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)] // Failing is what a test is for.
#![allow(clippy::disallowed_methods, reason = "waiting for another process is waiting in real time")]

mod chromium_site;
mod language_service;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use browser::chromium::processes;
use buttress_testkit::{Answer, Chromium, ProcessGroup, Random, Redis, http, wait_until};
use chromium_site::Site;
use language_service::PLAN;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_mins(1);

/// `browser serve`, running, with a guard that lets through to a site.
struct Service {
    process: ProcessGroup,
    address: String,
}

impl Service {
    fn start(folder: &Path, site: &Site, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_browser"));
        command.current_dir(folder).args(["serve", "--set", "service.listen=127.0.0.1:0"]);
        command.arg("--set").arg(format!("guard.allow=[\"{}\"]", site.address()));
        for setting in more {
            command.args(["--set", setting]);
        }
        let process = ProcessGroup::spawn(&mut command, &folder.join("log"));
        let listening = || {
            let log = process.output();
            let line = log.lines().rfind(|line| line.contains("\"listening\""))?.to_owned();
            let line: Value = serde_json::from_str(&line).ok()?;
            Some(line["fields"]["address"].as_str()?.to_owned())
        };
        let address = wait_until("the service listens", LONG, listening);
        Self { process, address }
    }

    fn request(&self, method: &str, path: &str, body: &str) -> Answer {
        http(&self.address, method, path, body.as_bytes()).unwrap()
    }

    fn get(&self, path: &str) -> Value {
        self.request("GET", path, "").json()
    }

    /// Accepts a job of some steps, and gives its id.
    fn submit(&self, steps: &str) -> String {
        let body = json!({ "flow": format!("name: test\ntime: 1m\nsteps:\n{steps}") });
        let answer = self.request("POST", "/v1/jobs", &body.to_string());
        assert_eq!(answer.status, 202, "{}", answer.text());
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    fn job(&self, id: &str) -> Value {
        self.get(&format!("/v1/jobs/{id}"))
    }

    fn in_state(&self, id: &str, states: &[&str]) -> Value {
        wait_until("the job's state", LONG, || {
            let job = self.job(id);
            states.contains(&job["state"].as_str()?).then_some(job)
        })
    }

    fn ended(&self, id: &str) -> Value {
        self.in_state(id, &["done", "failed", "cancelled"])
    }

    /// The process groups of its browsers.
    fn browsers(&self) -> Vec<i32> {
        let pool = self.get("/v1/pool");
        let groups = pool["objects"].as_array().unwrap().iter();
        groups.map(|browser| i32::try_from(browser["group"].as_i64().unwrap()).unwrap()).collect()
    }
}

fn gone(groups: &[i32]) {
    wait_until("the end of all browsers", LONG, || {
        groups.iter().all(|group| processes::members(*group).is_empty()).then_some(())
    });
}

#[test]
fn a_job_is_run_and_its_result_is_there_after_a_restart() {
    let (folder, site) = (tempfile::tempdir().unwrap(), Site::start());
    let mut service = Service::start(folder.path(), &site, &[]);
    let home = site.url("/");
    let id = service.submit(&format!(
        "  - goto: {home}\n  - extract: {{ name: ports, from: .port, as: texts }}\n  - screenshot: home\n"
    ));
    let job = service.ended(&id);
    assert_eq!(job["state"], "done", "{job:#}");
    assert_eq!(job["report"]["results"]["ports"], json!(["Aberdeen", "Brest", "Cork"]));
    let path = format!("/v1/jobs/{id}/artifacts/home.png");
    let picture = service.request("GET", &path, "").body;
    assert!(picture.starts_with(b"\x89PNG"));

    let command =
        json!({ "command": format!("open {home} and extract h1 as title"), "key": "k" }).to_string();
    let first = service.request("POST", "/v1/jobs", &command);
    let again = service.request("POST", "/v1/jobs", &command);
    assert_eq!((first.status, again.status), (202, 200), "the same key is the same job");
    let job = service.ended(again.json()["id"].as_str().unwrap());
    assert_eq!(job["report"]["results"]["title"], "Tide tables");

    let groups = service.browsers();
    service.process.signal(Signal::TERM);
    assert!(service.process.wait().success());
    gone(&groups);
    let service = Service::start(folder.path(), &site, &[]);
    assert_eq!(service.job(&id)["state"], "done");
    assert_eq!(service.request("GET", &path, "").body, picture);
    assert_eq!(service.get("/v1/jobs")["jobs"].as_array().unwrap().len(), 2);
    assert!(service.browsers().is_empty(), "no browser before it is needed");
}

#[test]
fn what_is_wrong_is_said_before_anything_runs() {
    let (folder, site) = (tempfile::tempdir().unwrap(), Site::start());
    let service =
        Service::start(folder.path(), &site, &["jobs.waiting_per_tenant=2", "jobs.running_per_tenant=1"]);
    let submit = |body: Value| service.request("POST", "/v1/jobs", &body.to_string());
    let wrong = submit(json!({ "flow": "name: x\nsteps:\n- clik: '#a'\n- goto: 'file:///etc/passwd'\n" }));
    let problem = wrong.json();
    assert_eq!(wrong.status, 400);
    assert_eq!(problem["errors"][0]["path"], "steps[0].clik");
    assert!(problem["errors"][1]["problem"].as_str().unwrap().contains("only http and https"));
    assert_eq!(submit(json!({ "command": "make me a sandwich" })).status, 400, "no model, no guessing");
    assert_eq!(submit(json!({})).status, 400);
    assert_eq!(service.request("POST", "/v1/jobs", "{").status, 400);
    assert_eq!(service.request("GET", "/v1/jobs/none", "").status, 404);
    let deep = format!(r#"{{"flow": "x", "inputs": {{"a": {}1{}}}}}"#, "[".repeat(64), "]".repeat(64));
    for (path, body, status, pointer, code) in [
        ("/v1/jobs", r#"{"command": "go to \u202emoc.elpmaxe"}"#, 400, "/command", "rule"),
        ("/v1/commands", r#"{"text": "a\u0000b"}"#, 400, "/text", "rule"),
        ("/v1/jobs", r#"{"command": "a", "command": "b"}"#, 400, "/command", "duplicate"),
        ("/v1/jobs", r#"{"command": "a", "sudo": true}"#, 400, "/sudo", "unknown"),
        ("/v1/jobs", &deep, 413, &format!("/inputs/a{}", "/0".repeat(62)), "too_deep"),
    ] {
        let wrong = service.request("POST", path, body);
        let problem = &wrong.json()["problems"][0];
        assert_eq!(
            (wrong.status, &problem["pointer"], &problem["code"]),
            (status, &json!(pointer), &json!(code)),
            "{}",
            wrong.text()
        );
    }

    let hostile = service.submit("  - goto: http://169.254.169.254/latest\n");
    let job = service.ended(&hostile);
    assert_eq!((&job["state"], &job["failure"]["class"]), (&json!("failed"), &json!("forbidden")), "{job:#}");
    assert_eq!(job["attempt"], 1, "what is forbidden is not tried again");

    let slow = "  - wait: 30s\n";
    let running = service.submit(slow);
    service.in_state(&running, &["running"]);
    let waiting = service.submit(slow);
    service.submit(slow);
    let full = submit(json!({ "flow": format!("name: x\nsteps:\n{slow}") }));
    assert_eq!(full.status, 503, "{}", full.text());
    for id in [&running, &waiting] {
        service.request("POST", &format!("/v1/jobs/{id}/cancel"), "");
        assert_eq!(service.ended(id)["state"], "cancelled");
    }
}

#[test]
fn a_job_whose_browser_is_killed_is_run_again_and_has_one_result() {
    let (folder, site) = (tempfile::tempdir().unwrap(), Site::start());
    let service = Service::start(folder.path(), &site, &["jobs.retry_first=100ms"]);
    let home = site.url("/");
    let id = service.submit(&format!(
        "  - goto: {home}\n  - wait: 1500ms\n  - extract: {{ name: title, title: true }}\n"
    ));
    service.in_state(&id, &["running"]);
    wait_until("a browser", LONG, || (!service.browsers().is_empty()).then_some(()));
    std::thread::sleep(Duration::from_millis(700));
    let groups = service.browsers();
    for group in &groups {
        kill_process_group(Pid::from_raw(*group).unwrap(), Signal::KILL).unwrap();
    }
    let job = service.ended(&id);
    assert_eq!((&job["state"], &job["attempt"]), (&json!("done"), &json!(2)), "{job:#}");
    assert_eq!(job["report"]["results"], json!({ "title": "Tide tables" }));
    gone(&groups);
}

#[test]
fn after_kill_9_each_accepted_job_ends_once_and_no_browser_is_left() {
    let (folder, site) = (tempfile::tempdir().unwrap(), Site::start());
    let mut random = Random::new(7);
    let home = site.url("/");
    let mut accepted = Vec::new();
    let mut browsers = Vec::new();
    for _ in 0..3 {
        let mut service =
            Service::start(folder.path(), &site, &["jobs.attempts=10", "jobs.retry_first=50ms"]);
        for _ in 0..5 {
            accepted
                .push(service.submit(&format!("  - goto: {home}\n  - wait: 200ms\n  - screenshot: home\n")));
        }
        std::thread::sleep(Duration::from_millis(300 + random.below(900)));
        let groups = service.browsers();
        if let Some(group) = groups.first() {
            // One that is stopped does not notice that its service is gone.
            let _ended_meanwhile = kill_process_group(Pid::from_raw(*group).unwrap(), Signal::STOP);
        }
        browsers.extend(groups);
        service.process.kill();
    }
    let service = Service::start(folder.path(), &site, &["jobs.attempts=10", "jobs.retry_first=50ms"]);
    gone(&browsers);
    for id in &accepted {
        let job = service.ended(id);
        assert_eq!(job["state"], "done", "{job:#}");
        assert_eq!(job["report"]["artifacts"].as_array().unwrap().len(), 1);
    }
    let listed = service.get("/v1/jobs?limit=200");
    assert_eq!(listed["jobs"].as_array().unwrap().len(), accepted.len());
}

/// What an answer lacks, or has otherwise than its description says.
fn against(schema: &Value, value: &Value, all: &Value, path: &str, wrong: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        return against(all.pointer(name.trim_start_matches('#')).unwrap(), value, all, path, wrong);
    }
    if let Some(choices) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
        let fits = |choice: &Value| {
            let mut misfits = Vec::new();
            against(choice, value, all, path, &mut misfits);
            misfits.is_empty()
        };
        if !choices.iter().any(fits) {
            wrong.push(format!("{path} is none of its choices: {value}"));
        }
        return;
    }
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.clone(),
        Value::Null => Vec::new(),
        kind => vec![kind.clone()],
    };
    let fits = |kind: &Value| match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => value.is_null(),
    };
    if !kinds.is_empty() && !kinds.iter().any(fits) {
        wrong.push(format!("{path} is no {kinds:?}: {value}"));
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        against(part, value, all, path, wrong);
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.get(name.as_str().unwrap()).is_none() {
            wrong.push(format!("{path} lacks {name}"));
        }
    }
    for (name, part) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(value) = value.get(name) {
            against(part, value, all, &format!("{path}.{name}"), wrong);
        }
    }
    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
        against(&schema["items"], item, all, &format!("{path}[{number}]"), wrong);
    }
}

#[test]
fn answers_are_as_the_description_of_the_interface_says() {
    let (folder, site) = (tempfile::tempdir().unwrap(), Site::start());
    let service = Service::start(folder.path(), &site, &[]);
    let described = service.get("/openapi.json");
    let good = service.submit(&format!("  - goto: {}\n  - screenshot: home\n", site.url("/")));
    let bad = service.submit("  - goto: http://169.254.169.254/\n");
    service.ended(&good);
    service.ended(&bad);
    let flow = json!({ "flow": "name: x\nsteps:\n- goto: https://example.com/\n" }).to_string();
    let command = json!({ "text": "go to example.com" }).to_string();
    let mut wrong = Vec::new();
    for (method, path, template, body) in [
        ("post", "/v1/jobs", "/v1/jobs", flow.as_str()),
        ("get", "/v1/jobs", "/v1/jobs", ""),
        ("get", &format!("/v1/jobs/{good}"), "/v1/jobs/{id}", ""),
        ("get", &format!("/v1/jobs/{bad}"), "/v1/jobs/{id}", ""),
        ("post", &format!("/v1/jobs/{good}/cancel"), "/v1/jobs/{id}/cancel", ""),
        ("post", "/v1/flows/check", "/v1/flows/check", &flow),
        ("post", "/v1/flows/check", "/v1/flows/check", r#"{"flow": "name: x"}"#),
        ("post", "/v1/commands", "/v1/commands", &command),
        ("get", "/v1/pool", "/v1/pool", ""),
    ] {
        let answer = service.request(&method.to_uppercase(), path, body);
        let answers = &described["paths"][template][method]["responses"];
        let mut described_answer = &answers[answer.status.to_string()];
        if let Some(name) = described_answer["$ref"].as_str() {
            described_answer = described.pointer(name.trim_start_matches('#')).unwrap();
        }
        let content = described_answer["content"].as_object();
        let Some((_, content)) = content.and_then(|content| content.iter().next()) else {
            wrong.push(format!("{method} {template}: {} is not described", answer.status));
            continue;
        };
        against(&content["schema"], &answer.json(), &described, &format!("{method} {template}"), &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_page_shows_a_job_from_its_form_to_its_screenshot() {
    let (folder, site) = (tempfile::tempdir().unwrap(), Site::start());
    let service = Service::start(folder.path(), &site, &[]);
    let id = service.submit(&format!("  - goto: {}\n  - screenshot: home\n", site.url("/")));
    service.ended(&id);
    let browser = Chromium::start();
    let mut page = browser.open(&format!("http://{}/#job/{id}", service.address));
    page.wait_for("document.body.innerText.includes('home.png')", LONG);
    page.wait_for(
        "[...document.images].some((image) => image.src.includes('home.png') && image.naturalWidth > 0)",
        LONG,
    );
    assert!(page.errors().is_empty(), "{:?}", page.errors());
}

#[test]
fn one_setting_makes_two_services_share_limits_and_answers() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let model = runtime.block_on(language_service::Service::start([language_service::says(PLAN)]));
    let (site, redis) = (Site::start(), Redis::start());
    let settings = [
        format!("redis_url={}", redis.url()),
        format!("language.url=http://127.0.0.1:{}/v1", model.port),
        "language.model=small".to_owned(),
        "limits.anonymous=[\"3/h\"]".to_owned(),
    ];
    let settings = settings.each_ref().map(String::as_str);
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [one, two] = folders.each_ref().map(|folder| Service::start(folder.path(), &site, &settings));
    let body = json!({ "text": "buy the blue one and keep the receipt" }).to_string();
    let source = |service: &Service| {
        let answer = service.request("POST", "/v1/commands", &body);
        (answer.status, answer.json()["source"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(source(&one), (200, "model".to_owned()));
    assert_eq!(source(&two), (200, "cache".to_owned()));
    assert_eq!((source(&two).0, source(&one).0, source(&two).0), (200, 429, 429));
    assert_eq!(model.calls(), 1);
    assert_eq!(two.request("GET", "/readyz", "").status, 200);
}
