//! A store in a folder of its own, whose time moves by hand.
#![allow(dead_code, reason = "no test uses all of it")]

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use browser::jobs::{Claimed, Job, JobId, JobsConfig, NewJob, State, Store};
use browser::report::{Artifact, Failure, Report};
use buttress_core::{Ctx, ErrorClass, Key, TestClock};
use serde_json::{Map, json};

pub(crate) struct Service {
    pub(crate) store: Store,
    pub(crate) clock: TestClock,
    pub(crate) config: JobsConfig,
    folder: tempfile::TempDir,
}

impl Service {
    pub(crate) fn new(change: impl FnOnce(&mut JobsConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        change(&mut config);
        let clock = TestClock::new();
        Self { store: open(&config, &clock), clock, config, folder }
    }

    /// As after the process was killed: claims that are held are not given back.
    pub(crate) fn reopen(self) -> Self {
        let Self { store, clock, config, folder } = self;
        drop(store);
        Self { store: open(&config, &clock), clock, config, folder }
    }

    pub(crate) async fn submit(&self, tenant: &str) -> Job {
        self.store.submit(new(tenant)).await.unwrap().0
    }

    pub(crate) async fn claim(&self) -> Option<Claimed> {
        self.store.claim().await.unwrap()
    }

    pub(crate) async fn get(&self, id: JobId) -> Job {
        self.store.get(id, None).await.unwrap()
    }

    pub(crate) async fn state(&self, id: JobId) -> State {
        self.get(id).await.state
    }
}

pub(crate) fn config(folder: &Path) -> JobsConfig {
    let mut config = JobsConfig::default();
    folder.clone_into(&mut config.folder);
    config
}

pub(crate) fn ctx(clock: &TestClock) -> Ctx {
    Ctx { clock: clock.shared(), ..Ctx::default() }
}

pub(crate) fn open(config: &JobsConfig, clock: &TestClock) -> Store {
    Store::open(config, &ctx(clock)).unwrap()
}

pub(crate) fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

pub(crate) fn new(tenant: &str) -> NewJob {
    let inputs = Map::from_iter([("city".to_owned(), json!("Köln"))]);
    NewJob { tenant: key(tenant), flow: "steps: []".into(), name: "weather".into(), inputs, key: None }
}

pub(crate) fn failed(class: ErrorClass) -> Report {
    let failure = Failure { step: Some("steps[0]".into()), class, message: "it went wrong".into() };
    Report { failure: Some(failure), ..Report::default() }
}

pub(crate) fn artifact(hash: &str) -> Artifact {
    Artifact { name: "a.png".into(), media_type: "image/png".into(), bytes: 3, hash: hash.into() }
}

pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.unwrap()
}
