//! Workflows on real browsers: what a run does, and what becomes of the browsers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)] // Failing is what a test is for.
#![allow(clippy::disallowed_methods, reason = "browsers live in real time")]

mod chromium_site;

use std::collections::BTreeSet;
use std::time::Duration;

use browser::chromium::{ChromiumConfig, processes};
use browser::fleet::{Fleet, FleetConfig};
use browser::flow::Compiled;
use browser::guard::GuardConfig;
use browser::report::{Report, StepOutcome};
use browser::run::{Folder, run};
use buttress_core::{Ctx, ErrorClass};
use chromium_site::Site;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;

/// A fleet whose guard lets through to `site` and nowhere else on this machine.
async fn fleet(site: &Site, configure: impl FnOnce(&mut FleetConfig)) -> Fleet {
    let mut config = FleetConfig::default();
    configure(&mut config);
    let mut guard = GuardConfig::default();
    guard.allow.push(site.address().to_string().parse().unwrap());
    guard.allow.push(format!("localhost:{}", site.address().port()).parse().unwrap());
    let fleet = Fleet::new(ChromiumConfig::default(), config, guard, &Ctx::default()).await;
    fleet.unwrap()
}

/// Runs a workflow's steps, indented by two, in a tab of the fleet.
async fn steps(fleet: &Fleet, site: &Site, steps: &str) -> (Report, tempfile::TempDir) {
    let steps = steps.replace("SITE", &site.url(""));
    let flow = Compiled::parse(&format!("name: test\ntime: 1m\nsteps:\n{steps}")).unwrap();
    let scope = flow.bind(serde_json::Map::new()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let tab = fleet.tab().await.unwrap();
    let report = run(&flow, scope, &tab, &Folder(folder.path().to_owned()), &Ctx::default()).await;
    (report, folder)
}

fn signal(group: i32, signal: Signal) {
    kill_process_group(Pid::from_raw(group).unwrap(), signal).unwrap();
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..600 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what} did not come to pass");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_does_what_a_person_would() {
    let site = Site::start();
    let fleet = fleet(&site, |_| {}).await;
    let flow = r##"
  - goto: SITE/
  - extract: { name: title, title: true }
  - extract: { name: ports, from: .port, as: texts }
  - extract: { name: tides, from: "#tides", as: table }
  - assert: { target: .port, count: 3 }
  - for_each: { in: "{{ports}}", as: port, steps: [ { screenshot: "port" } ] }
  - goto: SITE/form
  - type: { into: "#name", text: "{{ports[1]}} & sons", clear: true }
  - select: { from: "#port", value: Brest }
  - click: "text=I agree"
  - click: "#send"
  - assert: { target: "#query", text: "agree=on" }
  - extract: { name: sent, from: "#query" }
  - goto: SITE/frames
  - frame: { of: "#far", steps: [ { type: { into: "#field", text: inside } }, { click: "#b" }, { extract: { name: inner, from: "#b" } } ] }
  - goto: SITE/dialogs
  - dialog: { accept: somebody }
  - click: "#prompt"
  - assert: { title: somebody }
  - goto: SITE/files
  - download: { click: "#get", name: tides }
  - upload: { to: "#put", name: a.txt, text: "uploaded" }
  - assert: { title: uploaded }
  - pdf: page
  - when: { target: "#nothing", state: visible, steps: [ { click: "#nothing" } ] }
  - click: "#nothing"
    optional: true
    within: 200ms
"##;
    let (report, folder) = steps(&fleet, &site, flow).await;
    assert_eq!(report.failure, None, "{:#?}", report.steps);
    assert_eq!(report.results["title"], "Tide tables");
    assert_eq!(report.results["tides"], json!([{ "Port": "Brest", "High": "06:12" }]));
    assert_eq!(report.results["inner"], "inside");
    let sent = report.results["sent"].as_str().unwrap();
    assert!(sent.contains("name=Brest+%26+sons") && sent.contains("port=b"), "{sent}");
    assert_eq!(report.dialogs.first().unwrap(), "prompt: name?");
    let names: Vec<&str> = report.artifacts.iter().map(|artifact| artifact.name.as_str()).collect();
    assert_eq!(names, ["port.png", "port-2.png", "port-3.png", "tides.csv", "page.pdf"]);
    for artifact in &report.artifacts {
        let content = std::fs::read(folder.path().join(&artifact.name)).unwrap();
        assert_eq!(
            (content.len() as u64, blake3::hash(&content).to_string()),
            (artifact.bytes, artifact.hash.clone())
        );
    }
    let last = report.steps.last().unwrap();
    assert_eq!((last.path.as_str(), last.outcome), ("steps[25]", StepOutcome::Skipped));
    fleet.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_names_its_step_and_leaves_the_rest_undone() {
    let site = Site::start();
    let fleet = fleet(&site, |_| {}).await;
    let flow = "  - goto: SITE/\n  - for_each: { in: [1, 2], as: n, steps: [ { click: '#none', within: 200ms } ] }\n  - screenshot: never\n";
    let (report, _) = steps(&fleet, &site, flow).await;
    let failure = report.failure.unwrap();
    assert_eq!(failure.step.as_deref(), Some("steps[1].for_each.steps[0]"));
    assert!(report.artifacts.is_empty());
    assert_eq!(report.steps.len(), 3);

    let (report, _) = steps(
        &fleet,
        &site,
        "  - goto: SITE/\n  - assert: { target: h1, text: Trains }\n    within: 300ms\n",
    )
    .await;
    let failure = report.failure.unwrap();
    assert_eq!(failure.message, "the text of `h1` is \"Tide tables\", which does not contain \"Trains\"");
    let (report, _) = steps(&fleet, &site, "  - goto: SITE/endless\n    within: 500ms\n").await;
    assert_eq!(report.failure.unwrap().class, ErrorClass::Timeout);
    let (report, _) = steps(&fleet, &site, "  - goto: SITE/loop\n    within: 500ms\n").await;
    assert_eq!(report.failure.unwrap().class, ErrorClass::Timeout);
    fleet.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_addresses_are_refused_wherever_they_come_from() {
    let (site, private) = (Site::start(), Site::start());
    let fleet = fleet(&site, |_| {}).await;
    let private = private.url("/");
    for (url, says) in [
        ("http://169.254.169.254/latest/meta-data", "169.254.169.254"),
        ("http://[::1]/", "::1"),
        ("http://2130706433/", "127.0.0.1"),
        (private.as_str(), "127.0.0.1"),
        ("SITE/to-metadata", "169.254.169.254"),
    ] {
        let (report, _) = steps(&fleet, &site, &format!("  - goto: \"{url}\"\n")).await;
        let failure = report.failure.unwrap();
        assert_eq!(failure.class, ErrorClass::Forbidden, "{url}: {failure:?}");
        assert!(failure.message.contains(says), "{url}: {}", failure.message);
    }
    // By a variable, past what can be checked beforehand.
    let (report, _) =
        steps(&fleet, &site, "  - set: { name: u, value: 'file:///etc/passwd' }\n  - goto: '{{u}}'\n").await;
    assert_eq!(
        report.failure.unwrap().message,
        "only http and https addresses may be visited, not `file:///etc/passwd`"
    );
    fleet.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_at_once_share_few_browsers_and_nothing_else() {
    let site = Site::start();
    let fleet = fleet(&site, |config| config.tabs = 6).await;
    let flow = "  - goto: SITE/form\n  - type: { into: '#name', text: x, clear: true }\n  - click: '#send'\n  - assert: { target: '#query', text: name=x }\n  - screenshot: done\n";
    let mut tasks = Vec::new();
    for _ in 0..12 {
        let (fleet, url) = (fleet.clone(), site.url(""));
        let flow = flow.replace("SITE", &url);
        tasks.push(tokio::spawn(async move {
            let flow = Compiled::parse(&format!("name: test\nsteps:\n{flow}")).unwrap();
            let scope = flow.bind(serde_json::Map::new()).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let tab = fleet.tab().await.unwrap();
            let report = run(&flow, scope, &tab, &Folder(folder.path().to_owned()), &Ctx::default()).await;
            (tab.group(), report)
        }));
    }
    let mut groups = BTreeSet::new();
    for task in tasks {
        let (group, report) = task.await.unwrap();
        assert_eq!(report.failure, None);
        groups.insert(group);
    }
    assert!(groups.len() <= 2, "{groups:?}");
    fleet.drain().await;
    assert!(groups.iter().all(|group| processes::members(*group).is_empty()), "no process is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_served_its_share_is_replaced() {
    let site = Site::start();
    let fleet = fleet(&site, |config| {
        config.browsers = 2;
        config.uses = 3;
    })
    .await;
    let mut groups = Vec::new();
    for _ in 0..8 {
        groups.push(fleet.tab().await.unwrap().group());
    }
    let distinct: BTreeSet<i32> = groups.iter().copied().collect();
    assert!(distinct.len() >= 2, "{groups:?}");
    let first = groups[0];
    until("the end of the first browser", || processes::members(first).is_empty()).await;
    fleet.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_is_killed_fails_its_jobs_at_once_and_the_next_get_another() {
    let site = Site::start();
    let fleet = fleet(&site, |_| {}).await;
    let flow = Compiled::parse(&format!(
        "name: test\nsteps:\n  - goto: {}\n  - wait: 60s\n  - click: h1\n",
        site.url("/")
    ))
    .unwrap();
    let scope = flow.bind(serde_json::Map::new()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let tab = fleet.tab().await.unwrap();
    let group = tab.group();
    let (shelf, ctx) = (Folder(folder.path().to_owned()), Ctx::default());
    let running = run(&flow, scope, &tab, &shelf, &ctx);
    let killing = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        signal(group, Signal::KILL);
    };
    let (report, ()) = tokio::join!(running, killing);
    let failure = report.failure.unwrap();
    assert!(failure.class.is_transient(), "{failure:?}");
    assert!(report.took < Duration::from_secs(50), "not at the end of the wait");
    drop(tab);
    let tab = fleet.tab().await.unwrap();
    assert_ne!(tab.group(), group);
    drop(tab);
    fleet.drain().await;
    assert!(processes::members(group).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_hangs_is_found_and_killed() {
    let site = Site::start();
    let fleet = fleet(&site, |config| {
        config.watch = Duration::from_millis(100);
        config.answer = Duration::from_millis(300);
    })
    .await;
    let tab = fleet.tab().await.unwrap();
    let group = tab.group();
    signal(group, Signal::STOP);
    until("the end of a browser that hangs", || processes::members(group).is_empty()).await;
    drop(tab);
    assert_ne!(fleet.tab().await.unwrap().group(), group);
    fleet.drain().await;
}
