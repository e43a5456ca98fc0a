#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
//! The API key: sent to the service, shown nowhere else.

mod language_service;

use std::sync::{Arc, Mutex};

use browser::language::{Error, Request, Translator};
use buttress_core::Ctx;
use language_service::{PLAN, Script, Service, says};

const COMMAND: &str = "buy the blue one and keep the receipt";

/// What is logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        self.0.lock().unwrap().push(format!("{span:?}"));
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        self.0.lock().unwrap().push(format!("{values:?}"));
    }
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        self.0.lock().unwrap().push(format!("{event:?}\n"));
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn the_key_is_sent_and_shown_nowhere() {
    const KEY: &str = "sk-very-secret-0123456789";
    let log = Log::default();
    let _logging = tracing::subscriber::set_default(log.clone());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, format!("{KEY}\n")).unwrap();
    let echo = format!(r#"{{"error":{{"message":"{}wrong key {KEY}!"}}}}"#, "x".repeat(280));
    let service = Service::start([
        Script::Status(401, "", echo.clone()),
        Script::Status(500, "", echo.replace(KEY, "&#115;k-very-secret-0123456789")),
        Script::Status(400, "", KEY.to_owned()),
        says(KEY),
        says(PLAN),
    ])
    .await;
    let mut config = service.config(folder.path());
    config.key_file = Some(file.clone());
    config.calls.retry.attempts = 1;
    let translator = Translator::open(&config, &Ctx::default()).await.unwrap();
    let mut shown = vec![format!("{translator:?}{config:?}")];
    for _ in 0..3 {
        let error = translator.translate(&Request::new(COMMAND)).await.unwrap_err();
        shown.push(format!("{error} {error:?} {}", std::error::Error::source(&error).unwrap()));
    }
    shown.push(format!("{:?}", translator.translate(&Request::new(COMMAND)).await.unwrap()));
    shown.append(&mut log.0.lock().unwrap());
    let shown = shown.join("\n");
    assert!(shown.contains("the model gave no answer"), "nothing was logged: {shown}");
    assert!(shown.contains("400") && !shown.contains("very-secret"), "{shown}");
    for seen in service.seen() {
        assert!(seen.head.contains(&format!("authorization: Bearer {KEY}")), "{}", seen.head);
    }

    std::fs::remove_file(&file).unwrap();
    let error = Translator::open(&config, &Ctx::default()).await.unwrap_err();
    assert!(matches!(error, Error::Key { .. }) && error.to_string().contains("key"), "{error}");
    std::fs::write(&file, "two words").unwrap();
    let error = Translator::open(&config, &Ctx::default()).await.unwrap_err().to_string();
    assert!(error.contains("without spaces") && !error.contains("two words"), "{error}");
    config.key_file = None;
    config.key_variable = Some("NO_SUCH_VARIABLE_OF_LANGUAGE".to_owned());
    let error = Translator::open(&config, &Ctx::default()).await.unwrap_err().to_string();
    assert!(error.contains("NO_SUCH_VARIABLE_OF_LANGUAGE: it is not set"), "{error}");
}
