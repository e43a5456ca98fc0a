#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::print_stdout, reason = "a test prints the seed with which it can be repeated")]
//! `kill -9` at any moment: what was acknowledged stays, and each job ends once.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use browser::jobs::{Artifacts, Filter, JobId, JobsConfig, NewJob, State, Store};
use browser::report::{Artifact, Failure, Report};
use buttress_core::{ByteSize, Ctx, ErrorClass, Key};
use buttress_testkit::{ProcessGroup, Random, wait_until};
use serde_json::Map;

const ROUNDS: u64 = 20;
const TENANTS: u64 = 3;

fn config(folder: &Path) -> JobsConfig {
    let mut config = JobsConfig::default();
    config.folder = folder.join("data");
    // Each job gets to its end, however often it is interrupted.
    config.attempts = 100;
    config.retry_first = Duration::from_millis(2);
    config
}

fn artifacts(config: &JobsConfig) -> Artifacts {
    Artifacts::open(&config.folder.join("artifacts"), ByteSize::gib(1), &Ctx::default()).unwrap()
}

/// The steps that were acknowledged. A line is in the file once `say` returns, whatever happens to the process.
struct Log(File);

impl Log {
    fn say(&self, line: &str) {
        (&self.0).write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

/// Run by the test below in a process of its own, until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "only for the test of crashes"]
async fn accepts_and_runs_jobs() {
    let folder = std::env::var("CRASH_FOLDER").unwrap();
    let folder = Path::new(&folder);
    let log = Log(File::options().create(true).append(true).open(folder.join("log")).unwrap());
    let config = config(folder);
    let store = Store::open(&config, &Ctx::default()).unwrap();
    let artifacts = artifacts(&config);
    log.say(&format!("opened {}", store.recovered().waiting));
    let accept = async |seed: u64| {
        let mut random = Random::new(seed);
        loop {
            let tenant = Key::new(format!("tenant {}", random.below(TENANTS))).unwrap();
            let key = Key::new(random.number().to_string()).unwrap();
            let (flow, name) = ("steps: []".to_owned(), "crash".to_owned());
            let new = NewJob { tenant, flow, name, inputs: Map::new(), key: Some(key) };
            match store.submit(new).await {
                Ok((job, _)) => log.say(&format!("accepted {}", job.id)),
                Err(_full) => tokio::task::yield_now().await,
            }
        }
    };
    let run = async |seed: u64| {
        let mut random = Random::new(seed);
        loop {
            let Some(claimed) = store.claim().await.unwrap() else {
                store.wait_for_work().await;
                continue;
            };
            let id = claimed.job().id;
            let content = random.number().to_string().repeat(200);
            let (bytes, name) = (content.len() as u64, "a.txt".to_owned());
            let hash = artifacts.put(content.into()).await.unwrap();
            log.say(&format!("put {hash}"));
            let class = match random.below(3) {
                0 => None,
                1 => Some(ErrorClass::Invalid),
                _ => Some(ErrorClass::Timeout),
            };
            let failure = class.map(|class| Failure { step: None, class, message: "why".into() });
            let artifacts = vec![Artifact { name, media_type: "text/plain".into(), bytes, hash }];
            if random.below(8) == 0 {
                store.cancel(id, None).await.unwrap();
            }
            let job = if random.below(8) == 0 {
                store.give_back(&claimed).await.unwrap()
            } else {
                store.finish(&claimed, Report { artifacts, failure, ..Report::default() }).await.unwrap()
            };
            if job.state.is_end() {
                log.say(&format!("ended {id} {}", job.state));
            }
        }
    };
    // Another seed each time: the keys of jobs must not be those of the life before.
    let seed: u64 = std::env::var("CRASH_SEED").unwrap().parse().unwrap();
    tokio::join!(accept(seed), run(seed + 1), run(seed + 2), run(seed + 3));
}

#[tokio::test]
async fn what_was_acknowledged_stays_and_each_job_ends_once() {
    let folder = tempfile::tempdir().unwrap();
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let log = folder.path().join("log");
    let lines =
        || fs::read_to_string(&log).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    for round in 1..=ROUNDS {
        let before = lines().len();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "accepts_and_runs_jobs", "--ignored", "--nocapture"])
            .env("CRASH_FOLDER", folder.path())
            .env("CRASH_SEED", random.number().checked_shr(8).unwrap().to_string());
        let mut process = ProcessGroup::spawn(&mut command, &folder.path().join("output"));
        // Some rounds are killed while the store is being opened, others after some steps, however long these take.
        if round % 5 != 0 {
            let enough = before + 10 + usize::try_from(random.below(40)).unwrap();
            wait_until("some steps are acknowledged", Duration::from_mins(1), || {
                assert!(process.exited().is_none(), "{}", process.output());
                (lines().len() >= enough).then_some(())
            });
        }
        let alive = process.kill_after(random.duration(Duration::ZERO, Duration::from_millis(20)));
        assert!(alive, "{}", process.output());
    }

    let config = config(folder.path());
    let artifacts = artifacts(&config);
    let files = artifacts.hashes().len();
    assert_eq!(fs::read_dir(config.folder.join("artifacts/incoming")).unwrap().count(), 0);
    let store = Store::open(&config, &Ctx::default()).unwrap();
    // What is left is done without further ado.
    assert!(
        store.list(Filter { state: Some(State::Running), ..Filter::default() }).await.unwrap().is_empty()
    );
    let mut ended_now = HashSet::new();
    while store.counts().await.unwrap().states.iter().any(|(state, count)| !state.is_end() && *count > 0) {
        while let Some(claimed) = store.claim().await.unwrap() {
            store.finish(&claimed, Report::default()).await.unwrap();
            assert!(ended_now.insert(claimed.job().id));
        }
    }

    let (mut accepted, mut ended, mut put, mut recovered) =
        (HashSet::new(), HashMap::new(), HashSet::new(), 0);
    for line in lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["accepted", id] => assert!(accepted.insert(id.parse::<JobId>().unwrap()), "{id} twice"),
            ["ended", id, state] => {
                assert_eq!(ended.insert(id.parse::<JobId>().unwrap(), state.to_owned()), None, "{id} twice");
            }
            ["put", hash] => _ = put.insert(hash.to_owned()),
            ["opened", jobs] => recovered += jobs.parse::<u64>().unwrap(),
            _ => unreachable!("{line}"),
        }
    }
    for id in &accepted {
        let job = store.get(*id, None).await.unwrap();
        assert!(job.state.is_end());
        if let Some(state) = ended.get(id) {
            assert_eq!(job.state.as_str(), state);
            assert!(!ended_now.contains(id), "{id} ended again");
        }
        for artifact in job.report.iter().flat_map(|report| &report.artifacts) {
            let content = artifacts.get(&artifact.hash).await.unwrap().unwrap();
            assert_eq!(content.len() as u64, artifact.bytes);
        }
    }
    for hash in &put {
        assert!(artifacts.get(hash).await.unwrap().is_some(), "{hash}");
    }
    // Of the artifacts of attempts that never reported none is left over.
    let unnamed = store.unnamed(artifacts.hashes()).await.unwrap();
    assert!(unnamed.len() < files);
    artifacts.release(unnamed.clone()).await.unwrap();
    assert_eq!(artifacts.hashes().len(), files - unnamed.len());
    for id in &accepted {
        let job = store.get(*id, None).await.unwrap();
        for artifact in job.report.iter().flat_map(|report| &report.artifacts) {
            assert!(artifacts.get(&artifact.hash).await.unwrap().is_some());
        }
    }
    // More may be there than was acknowledged, by a step for each that accepts or ends jobs in each round.
    let counts = store.counts().await.unwrap();
    let all: u64 = counts.states.values().sum();
    assert!(
        (accepted.len() as u64..=accepted.len() as u64 + ROUNDS).contains(&all),
        "{all}, {}",
        accepted.len()
    );
    let unsaid = all - ended.len() as u64 - ended_now.len() as u64;
    assert!(unsaid <= 3 * ROUNDS, "{unsaid} ended without a word");
    // The test has tested something.
    assert!(accepted.len() > 20 && ended.len() > 20 && recovered > 0, "{} {}", accepted.len(), ended.len());
    assert!(
        store.list(Filter { state: Some(State::Running), ..Filter::default() }).await.unwrap().is_empty()
    );
    drop(store);
    let database = rusqlite::Connection::open(config.folder.join("jobs.db")).unwrap();
    let check: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    println!("{} accepted, {} ended, {recovered} recovered", accepted.len(), ended.len());
}
