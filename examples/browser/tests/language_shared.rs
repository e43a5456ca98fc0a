#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a test waits in real time for another server")]
//! Instances that share the answers of the model through a real Redis.

mod language_service;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use browser::language::{Error, LanguageConfig, Request, Source, Translation, Translator};
use buttress_core::{Classify, Ctx, ErrorClass, EventLog, Events, Validate, Vitality};
use buttress_testkit::Redis;
use language_service::{PLAN, Script, Service, says};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

const COMMAND: &str = "buy the blue one and keep the receipt";

fn config(service: &Service, folder: &Path, redis: &Redis) -> LanguageConfig {
    let mut config = service.config(folder);
    config.shared.url = Some(redis.url().parse().unwrap());
    config
}

/// One instance, with a folder of its own.
struct Instance {
    translator: Translator,
    _folder: TempDir,
}

impl Instance {
    async fn start(service: &Service, redis: &Redis) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = config(service, folder.path(), redis);
        let log = EventLog::default();
        let ctx = Ctx { events: Events::to(Arc::new(log.clone())), ..Ctx::default() };
        let translator = Translator::open(&config, &ctx).await.unwrap();
        // What was read before it hears the others is read once more.
        while !log.events().iter().any(|event| event.action == "cache.news_heard") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Self { translator, _folder: folder }
    }

    fn asks(&self, command: &'static str) -> JoinHandle<Result<Translation, Error>> {
        let translator = self.translator.clone();
        tokio::spawn(async move { translator.translate(&Request::new(command)).await })
    }

    async fn source(&self, command: &'static str) -> Source {
        self.asks(command).await.unwrap().unwrap().source
    }

    async fn spent(&self) -> u64 {
        self.translator.budget().await.unwrap().unwrap().tokens.spent
    }

    async fn is_warned_of(&self) -> bool {
        matches!(self.translator.probe().unwrap().check().await, Vitality::Warn(_))
    }
}

#[tokio::test]
async fn a_fleet_asks_the_model_once_and_pays_once() {
    let (redis, go) = (Redis::start(), Arc::new(Notify::new()));
    let service = Service::start([Script::Held(Arc::clone(&go), PLAN.to_owned())]).await;
    let (one, two) = (Instance::start(&service, &redis).await, Instance::start(&service, &redis).await);
    let first = one.asks(COMMAND);
    service.has_seen(1).await;
    let others: Vec<_> = (0..10).flat_map(|_| [one.asks(COMMAND), two.asks(COMMAND)]).collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(service.calls(), 1);
    go.notify_one();
    assert_eq!(first.await.unwrap().unwrap().source, Source::Model);
    for other in others {
        let translation = other.await.unwrap().unwrap();
        assert_eq!((translation.source, translation.cost_micros), (Source::Cache, 0));
        assert_eq!((translation.flow.name.as_str(), translation.tokens.completion), ("buy", 0));
    }
    assert_eq!((service.calls(), one.spent().await, two.spent().await), (1, 950, 0));
    // One that comes later, with an empty folder, finds it.
    assert_eq!(Instance::start(&service, &redis).await.source(COMMAND).await, Source::Cache);
    assert_eq!(service.calls(), 1);
}

#[tokio::test]
async fn when_who_asked_for_all_leaves_another_instance_asks() {
    let redis = Redis::start();
    let service = Service::start([Script::Hangs, says(PLAN)]).await;
    let (one, two) = (Instance::start(&service, &redis).await, Instance::start(&service, &redis).await);
    let leaves = one.asks(COMMAND);
    service.has_seen(1).await;
    let (leaves_too, stays) = (two.asks(COMMAND), two.asks(COMMAND));
    tokio::time::sleep(Duration::from_millis(200)).await;
    leaves_too.abort();
    leaves.abort();
    assert_eq!(stays.await.unwrap().unwrap().flow.name, "buy");
    assert_eq!(service.calls(), 2);
}

#[tokio::test]
async fn without_the_server_each_instance_goes_on_by_itself() {
    let mut redis = Redis::start();
    let service = Service::start(vec![says(PLAN); 8]).await;
    let (one, two) = (Instance::start(&service, &redis).await, Instance::start(&service, &redis).await);
    assert_eq!((one.source(COMMAND).await, two.source(COMMAND).await), (Source::Model, Source::Cache));
    assert!(!one.is_warned_of().await);

    redis.process().kill();
    // What they have in memory they keep, and for the rest each asks the model.
    assert_eq!((one.source(COMMAND).await, two.source(COMMAND).await), (Source::Cache, Source::Cache));
    for command in ["sell the red one", "paint the green one"] {
        assert_eq!((one.source(command).await, two.source(command).await), (Source::Model, Source::Model));
        assert_eq!((one.source(command).await, two.source(command).await), (Source::Cache, Source::Cache));
    }
    assert_eq!(service.calls(), 5);
    assert!(one.is_warned_of().await);

    // A server that comes back empty is filled again.
    redis.crash();
    let mut shared = false;
    for command in ["one", "two", "three"].map(|number| format!("rent the {number}")) {
        // Left alone for a moment after it failed.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let ask = async |instance: &Instance| {
            instance.translator.translate(&Request::new(&command)).await.unwrap().source
        };
        assert_eq!(ask(&one).await, Source::Model);
        shared = ask(&two).await == Source::Cache;
        if shared {
            break;
        }
    }
    assert!(shared, "they share again");
    assert!(!one.is_warned_of().await);
}

#[tokio::test]
async fn what_somebody_put_there_is_no_workflow_until_it_was_checked() {
    let redis = Redis::start();
    let service = Service::start([says(PLAN), says(PLAN)]).await;
    assert_eq!(Instance::start(&service, &redis).await.source(COMMAND).await, Source::Model);
    let keys = redis.command(&["KEYS", "browser:answers:*"]).unwrap();
    let name = keys.lines().find(|line| line.starts_with("browser:answers")).unwrap();
    redis.command(&["SET", name, r#"{"name":"x","steps":[{"goto":"file:///etc/passwd"}]}"#]).unwrap();
    assert_eq!(Instance::start(&service, &redis).await.source(COMMAND).await, Source::Model);
    assert_eq!(Instance::start(&service, &redis).await.source(COMMAND).await, Source::Cache);
    assert_eq!(service.calls(), 2);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_at_once_and_without_its_password() {
    let service = Service::start([]).await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = service.config(folder.path());
    config.shared.url = Some("redis://ann:hunter2@127.0.0.1:1".parse().unwrap());
    config.shared.connection.timeout = Duration::from_secs(1);
    let error = Translator::open(&config, &Ctx::default()).await.unwrap_err();
    let shown = format!("{error} {error:?} {} {config:?}", std::error::Error::source(&error).unwrap());
    assert_eq!(error.class(), ErrorClass::Unavailable);
    assert!(shown.contains("redis://ann:***@127.0.0.1:1") && shown.contains("redis_url"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");

    config.shared.url = Some("postgres://ann:hunter2@db/answers".parse().unwrap());
    config.shared.namespace = "two words".to_owned();
    let wrong = config.validate().unwrap_err().to_string();
    assert!(wrong.contains("shared.url") && wrong.contains("shared.namespace"), "{wrong}");
    assert!(!wrong.contains("hunter2"), "{wrong}");
}
