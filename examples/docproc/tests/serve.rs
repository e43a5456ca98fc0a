//! `docproc serve`: what it acknowledges it keeps, whatever happens to it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)] // Failing is what a test is for.
#![allow(clippy::disallowed_methods)] // Waiting for another process is waiting in real time.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use buttress_testkit::{Random, Redis, promtool_check_metrics, wait_until};
use common::service::Service;
use common::{docproc, folder};
use rustix::process::Signal;
use tempfile::tempdir;

fn sample(path: &str) -> Vec<u8> {
    fs::read(folder("samples").join(path)).unwrap()
}

#[test]
fn a_document_is_read_found_compared_and_removed() {
    let dir = tempdir().unwrap();
    let service = Service::start(dir.path(), &[]);
    let answer = service.upload("harbour.docx", &sample("docx/harbour.docx")).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text());
    let taken = &answer.json()["documents"][0];
    let id = taken["id"].as_str().unwrap().to_owned();
    assert_eq!(taken["seen_before"], false);

    let document = service.finished(&id);
    assert_eq!((&document["status"], &document["format"]), (&"done".into(), &"docx".into()));
    assert!(document["document"]["text"].as_str().unwrap().contains("nobody had ordered"));
    assert!(service.get(&format!("/v1/documents/{id}/text")).text().contains("nobody had ordered"));

    let again = service.upload("copy.docx", &sample("docx/harbour.docx")).unwrap().json();
    assert_eq!(
        (&again["documents"][0]["id"], &again["documents"][0]["seen_before"]),
        (&id.as_str().into(), &true.into())
    );

    let hits = service.get("/v1/search?q=piano%20nobody").json();
    assert_eq!(hits["hits"][0]["id"], id.as_str());
    assert!(hits["hits"][0]["snippet"].as_array().unwrap().iter().any(|piece| piece["hit"] == true));
    assert_eq!(
        service.get("/v1/search?q=%22%20OR%20NEAR(%20*").status,
        200,
        "no query language gets through"
    );

    let other = service.upload("harbour.odt", &sample("odt/harbour.odt")).unwrap().json();
    let other = other["documents"][0]["id"].as_str().unwrap().to_owned();
    service.finished(&other);
    let near = service.get(&format!("/v1/documents/{id}/near")).json();
    assert_eq!(near["near"][0]["id"], other.as_str(), "the same text in another format is a near duplicate");

    assert_eq!(service.request("DELETE", &format!("/v1/documents/{id}"), &[]).unwrap().status, 204);
    assert_eq!(service.get(&format!("/v1/documents/{id}")).status, 404);
    assert_eq!(service.get("/v1/documents").json()["documents"].as_array().unwrap().len(), 1);
}

#[test]
fn who_asks_too_often_is_told_when_to_come_back() {
    let dir = tempdir().unwrap();
    let service = Service::start(dir.path(), &["--set", "limits.anonymous=[\"2/h\"]"]);
    for _ in 0..2 {
        assert_eq!(service.get("/v1/documents").status, 200);
    }
    let refused = service.upload("harbour.docx", &sample("docx/harbour.docx")).unwrap();
    assert_eq!((refused.status, &refused.json()["limit"]), (429, &2.into()), "{}", refused.text());
    assert!(refused.json()["retry_after"].as_u64().is_some_and(|wait| wait > 0));
    assert_eq!(service.get("/readyz").status, 200);
    assert_eq!(service.get("/").status, 200, "the page is not limited");
}

#[test]
fn instances_with_one_redis_share_their_limits_and_count_for_themselves_without_it() {
    let (first, second) = (tempdir().unwrap(), tempdir().unwrap());
    let mut redis = Redis::start();
    let url = format!("redis_url={}", redis.url());
    let start =
        |folder: &Path| Service::start(folder, &["--set", "limits.anonymous=[\"3/h\"]", "--set", &url]);
    let (one, two) = (start(first.path()), start(second.path()));
    let ask = |service: &Service| service.get("/v1/documents").status;
    assert_eq!([ask(&one), ask(&two), ask(&one)], [200, 200, 200]);
    assert_eq!([ask(&one), ask(&two)], [429, 429]);
    redis.process().kill();
    assert_eq!([ask(&one), ask(&one), ask(&one), ask(&one)], [200, 200, 200, 429]);
    assert_eq!([ask(&two), ask(&two), ask(&two), ask(&two)], [200, 200, 200, 429]);
    assert_eq!(one.get("/readyz").status, 200, "it serves without the server");
    let told = || one.get("/readyz").text().contains("each process counts for itself").then_some(());
    wait_until("a warning about the limits in /readyz", Duration::from_secs(30), told);
}

#[test]
fn a_redis_that_is_not_there_is_told_at_the_start_and_no_password_is_shown() {
    let dir = tempdir().unwrap();
    let redis_url = "redis_url=redis://ann:hunter2@127.0.0.1:1";
    let run = |command: &str| {
        let mut docproc = docproc();
        docproc.current_dir(dir.path()).args([command, "--set", redis_url]);
        let output = docproc.args(["--set", "service.listen=127.0.0.1:0"]).output().unwrap();
        let shown = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(shown.contains("redis://ann:***@127.0.0.1:1") && !shown.contains("hunter2"), "{shown}");
        (output.status.success(), shown)
    };
    let (started, shown) = run("serve");
    assert!(!started && shown.contains("`redis_url`") && shown.contains("does not answer"), "{shown}");
    assert!(!dir.path().join("docproc-data").exists(), "nothing was begun");
    assert!(run("config").0);
}

#[test]
fn what_cannot_be_read_says_why_and_can_be_tried_again() {
    let dir = tempdir().unwrap();
    let service = Service::start(dir.path(), &["--set", "pipeline.limits.input_bytes=100KiB"]);
    let empty = service.upload("empty.txt", b"").unwrap();
    assert_eq!((empty.status, &empty.json()["class"]), (400, &"invalid".into()), "{}", empty.text());
    let large = service.upload("large.txt", &vec![b'x'; 200 << 10]).unwrap();
    assert_eq!(large.status, 413, "{}", large.text());
    assert!(large.json()["detail"].as_str().unwrap().contains("input_bytes"));

    let picture = service
        .upload("picture.pdf", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02")
        .unwrap()
        .json();
    let id = picture["documents"][0]["id"].as_str().unwrap().to_owned();
    let failed = service.finished(&id);
    assert_eq!((&failed["status"], &failed["error"]["cause"]), (&"failed".into(), &"unsupported".into()));
    assert!(failed["error"]["message"].as_str().unwrap().contains("PNG image"));
    assert_eq!(service.request("POST", &format!("/v1/documents/{id}/retry"), &[]).unwrap().status, 202);
    assert_eq!(service.finished(&id)["status"], "failed");
    assert_eq!(service.get("/v1/documents/ffff").status, 404);
}

#[test]
fn many_documents_come_in_one_form() {
    let dir = tempdir().unwrap();
    let service = Service::start(dir.path(), &[]);
    let part = |name: &str, content: &str| {
        format!(
            "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n{content}\r\n"
        )
    };
    let form =
        [part("a.txt", "The first."), part("b.txt", ""), part("c.txt", "The third."), "--b--\r\n".to_owned()]
            .concat();
    let mut stream = TcpStream::connect(&service.address).unwrap();
    let head = "POST /v1/documents HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: multipart/form-data; boundary=b";
    write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{form}", form.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let answer: serde_json::Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(answer["documents"].as_array().unwrap().len(), 2, "{answer}");
    assert_eq!(answer["refused"][0]["name"], "b.txt");
}

#[test]
fn a_full_queue_refuses_and_says_when_to_come_back() {
    let dir = tempdir().unwrap();
    // Nothing gets done: there is no time to do it in, and the queue holds one document.
    let service =
        Service::start(dir.path(), &["--set", "store.queue_documents=1", "--set", "workers.count=1"]);
    let statuses: Vec<u16> = (0..40)
        .map(|i| service.upload("a.html", format!("<p>{i}</p>").repeat(20_000).as_bytes()).unwrap().status)
        .collect();
    assert!(
        statuses.contains(&202) && statuses.iter().all(|status| matches!(status, 202 | 503)),
        "{statuses:?}"
    );
}

/// Hands documents in from several sides, ends the service at a `moment` after it acknowledged the first, and gives the ids
/// that it acknowledged.
fn load(service: &Service, seed: u64, moment: Duration, end: impl FnOnce(&Service) + Send) -> Vec<String> {
    let acknowledged = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for side in 0..4 {
            let acknowledged = &acknowledged;
            scope.spawn(move || {
                for i in 0.. {
                    let text = format!("<h1>Side {side}</h1><p>Document {i} of run {seed}.</p>").repeat(50);
                    let Ok(answer) = service.upload("page.html", text.as_bytes()) else { return };
                    if answer.status != 202 {
                        return;
                    }
                    let id = answer.json()["documents"][0]["id"].as_str().unwrap().to_owned();
                    acknowledged.lock().unwrap().push(id);
                }
            });
        }
        let limit = Instant::now() + Duration::from_mins(1);
        while acknowledged.lock().unwrap().is_empty() {
            assert!(Instant::now() < limit, "the load never reached the service");
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(moment);
        end(service);
    });
    acknowledged.into_inner().unwrap()
}

fn all_are_done(service: &Service, ids: &[String]) {
    for id in ids {
        let document = service.finished(id);
        assert_eq!(document["status"], "done", "{}", document["error"]);
    }
}

#[test]
fn sigterm_under_load_loses_nothing_that_was_acknowledged() {
    let dir = tempdir().unwrap();
    let mut service = Service::start(dir.path(), &[]);
    let ids = load(&service, 1, Duration::from_millis(400), |service| service.process.signal(Signal::TERM));
    assert_eq!(service.process.wait().code(), Some(0), "{}", service.process.output());
    all_are_done(&Service::start(dir.path(), &[]), &ids);
}

#[test]
fn kill_9_under_load_loses_nothing_that_was_acknowledged() {
    let dir = tempdir().unwrap();
    let mut random = Random::new(7);
    for run in 0..4 {
        let mut service = Service::start(dir.path(), &[]);
        let moment = random.duration(Duration::ZERO, Duration::from_millis(450));
        let ids = load(&service, run, moment, |service| service.process.signal(Signal::KILL));
        service.process.kill();
        all_are_done(&Service::start(dir.path(), &[]), &ids);
    }
}

#[test]
fn events_tell_each_step_and_end_when_the_service_drains() {
    let dir = tempdir().unwrap();
    let mut service = Service::start(dir.path(), &[]);
    let mut stream = TcpStream::connect(&service.address).unwrap();
    stream.write_all(b"GET /v1/events HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
    let mut begun = [0];
    stream.read_exact(&mut begun).unwrap();
    let uploaded = service.upload("a.txt", b"A text that is told of.").unwrap().json();
    service.finished(uploaded["documents"][0]["id"].as_str().unwrap());
    service.process.signal(Signal::TERM);
    let mut events = String::new();
    stream.read_to_string(&mut events).unwrap();
    for told in ["event: stats", "\"status\":\"queued\"", "\"status\":\"done\""] {
        assert!(events.contains(told), "{told} is not in {events}");
    }
    assert_eq!(service.process.wait().code(), Some(0));
}

#[test]
fn metrics_and_probes_answer() {
    let dir = tempdir().unwrap();
    let service = Service::start(dir.path(), &[]);
    let id = service.upload("a.md", b"# One\n\nTwo words.").unwrap().json()["documents"][0]["id"].clone();
    service.finished(id.as_str().unwrap());
    let metrics = service.get("/metrics").text();
    assert!(metrics.contains("buttress_docpipeline_documents_total{outcome=\"ok\"} 1"), "{metrics}");
    promtool_check_metrics(&metrics).unwrap();
    for probe in ["/livez", "/readyz", "/startupz"] {
        assert_eq!(service.get(probe).status, 200);
    }
}
