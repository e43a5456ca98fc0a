#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a test waits in real time for another task")]
//! Commands through the grammar, the kept answers and a model's service.

mod language_service;

use std::sync::Arc;
use std::time::Duration;

use browser::language::{Error, ModelError, PageHint, Request, Source, Translation, Translator};
use buttress_core::{Classify, Ctx, ErrorClass, TestClock};
use language_service::{PLAN, Script, Service, says, usual_usage};
use serde_json::json;
use tokio::sync::Notify;

const COMMAND: &str = "buy the blue one and keep the receipt";

fn on(clock: &TestClock) -> Ctx {
    Ctx { clock: clock.shared(), ..Ctx::default() }
}

fn busy() -> Script {
    Script::Status(500, "", String::new())
}

/// The outcome of one command, with a clock that runs fast while nothing is on its way.
async fn outcome(scripts: Vec<Script>) -> (Result<Translation, Error>, Service, Translator) {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let service = Service::start(scripts).await;
    let translator = Translator::open(&service.config(folder.path()), &on(&clock)).await.unwrap();
    let task = tokio::spawn({
        let translator = translator.clone();
        async move { translator.translate(&Request::new(COMMAND)).await }
    });
    let mut hanging = 0;
    while !task.is_finished() {
        tokio::time::sleep(Duration::from_millis(20)).await;
        // Waits between tries pass quickly; the limit of a try only when it hangs.
        let limit = if service.hanging() > hanging { 30_000 } else { 100 };
        hanging = service.hanging();
        clock.advance(Duration::from_millis(limit));
    }
    (task.await.unwrap(), service, translator)
}

fn model_error(outcome: Result<Translation, Error>) -> ModelError {
    match outcome {
        Err(Error::Model(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_grammar_goes_first_and_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start([]).await;
    let translator = Translator::open(&service.config(folder.path()), &Ctx::default()).await.unwrap();
    let translation =
        translator.translate(&Request::new("go to example.com and click 'More'")).await.unwrap();
    assert_eq!(translation.source, Source::Grammar);
    assert_eq!((translation.tokens.prompt, translation.cost_micros, translation.model), (0, 0, None));
    // What no model could help with does not go to one.
    for text in [String::new(), "x ".repeat(4_000)] {
        let error = translator.translate(&Request::new(text)).await.unwrap_err();
        assert!(matches!(error, Error::NotUnderstood(_)), "{error:?}");
    }
    assert_eq!(service.calls(), 0);
}

#[tokio::test]
async fn without_a_model_what_is_not_understood_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = browser::language::LanguageConfig::default();
    config.folder = folder.path().join("never");
    let translator = Translator::open(&config, &Ctx::default()).await.unwrap();
    let error = translator.translate(&Request::new(COMMAND)).await.unwrap_err();
    assert!(matches!(error, Error::NotUnderstood(_)), "{error:?}");
    assert_eq!(error.class(), ErrorClass::Invalid);
    assert!(!translator.has_model() && translator.budget().await.unwrap().is_none());
    assert!(!config.folder.exists());
}

#[tokio::test]
async fn a_good_plan_is_taken_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start([says(PLAN)]).await;
    let mut config = service.config(folder.path());
    (config.price_prompt, config.price_completion) = (150, 600);
    let translator = Translator::open(&config, &Ctx::default()).await.unwrap();
    let page = PageHint::of_html("<p>talk</p><button id=buy>Buy blue</button>").url("https://shop.example/");
    let request = Request::new(COMMAND).page(page).tenant("ann");
    let translation = translator.translate(&request).await.unwrap();
    assert_eq!((translation.source, translation.flow.name.as_str()), (Source::Model, "buy"));
    assert_eq!((translation.tokens.prompt, translation.tokens.completion), (900, 50));
    // (900 x 150 + 50 x 600) / 1000
    assert_eq!((translation.cost_micros, translation.model.as_deref()), (165, Some("small")));

    let seen = service.seen();
    assert!(seen[0].head.starts_with("POST /v1/chat/completions HTTP/1.1"), "{}", seen[0].head);
    assert!(!seen[0].head.to_lowercase().contains("authorization"));
    assert_eq!(
        (&seen[0].body["model"], &seen[0].body["temperature"], &seen[0].body["max_tokens"]),
        (&json!("small"), &json!(0), &json!(2_000))
    );
    assert_eq!(seen[0].body["response_format"], json!({ "type": "json_object" }));
    let text = seen[0].text();
    for part in [COMMAND, "PAGE URL: https://shop.example/", "button#buy \"Buy blue\""] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("talk"));
    let status = translator.budget().await.unwrap().unwrap();
    assert_eq!((status.tokens.spent, status.tokens.reserved, status.micros.spent), (950, 0, 165));
}

#[tokio::test]
async fn a_wrong_answer_is_repaired_once() {
    for wrong in [
        "I would click the button.",
        r##"{"name":"x","steps":[{"clik":"#buy"}]}"##,
        r#"{"name":"x","steps":[{"goto":"file:///etc/passwd"}]}"#,
        "[]",
        "",
    ] {
        let (outcome, service, translator) = outcome(vec![says(wrong), says(PLAN)]).await;
        let translation = outcome.unwrap();
        assert_eq!((translation.source, translation.tokens.prompt), (Source::Model, 1_800), "{wrong}");
        let seen = service.seen();
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[1].body["messages"][2], json!({ "role": "assistant", "content": wrong }));
        assert_eq!(translator.budget().await.unwrap().unwrap().tokens.spent, 1_900);
    }
    let (outcome, service, _) =
        outcome(vec![says("{"), says(r#"{"name":"x","steps":[{"evaluate":"1"}]}"#)]).await;
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::NoPlan { .. }) && error.class() == ErrorClass::Invalid, "{error:?}");
    assert!(error.to_string().contains("steps[0].evaluate"), "{error}");
    assert!(service.seen()[1].text().contains("it is not JSON"));
}

#[tokio::test]
async fn a_model_may_say_that_it_cannot_be_done() {
    let (outcome, service, _) = outcome(vec![says(r#"{"cannot":"there is no such button"}"#)]).await;
    let error = outcome.unwrap_err();
    assert!(error.to_string().contains("there is no such button"), "{error}");
    assert_eq!(service.calls(), 1);
}

#[tokio::test]
async fn what_fails_in_passing_is_tried_again() {
    for scripts in [
        vec![busy(), busy(), says(PLAN)],
        vec![Script::Cut, says(PLAN)],
        vec![Script::HangsUp, says(PLAN)],
        vec![Script::Hangs, says(PLAN)],
        vec![Script::Status(429, "retry-after: 2\r\n", "{}".to_owned()), says(PLAN)],
    ] {
        let calls = scripts.len();
        let (outcome, service, _) = outcome(scripts).await;
        assert_eq!(outcome.unwrap().source, Source::Model);
        assert_eq!(service.calls(), calls);
    }
    let (outcome, service, translator) = outcome(vec![busy(), busy(), busy(), says(PLAN)]).await;
    let error = model_error(outcome);
    assert!(matches!(&error, ModelError::Unavailable { problem } if problem.contains("500")), "{error:?}");
    assert_eq!((service.calls(), error.class()), (3, ErrorClass::Unavailable));
    // A refusal costs nothing.
    let status = translator.budget().await.unwrap().unwrap();
    assert_eq!((status.tokens.spent, status.tokens.reserved), (0, 0));
}

#[tokio::test]
async fn an_answer_that_is_lost_may_cost_its_prompt() {
    let (outcome, _, translator) = outcome(vec![Script::Hangs, Script::Hangs, Script::Hangs]).await;
    let error = model_error(outcome);
    assert_eq!(
        (&error, error.class()),
        (&ModelError::TimedOut(Duration::from_secs(30)), ErrorClass::Timeout)
    );
    let status = translator.budget().await.unwrap().unwrap();
    assert!((1_500..6_000).contains(&status.tokens.spent) && status.tokens.reserved == 0, "{status:?}");
}

#[tokio::test]
async fn what_would_fail_again_is_not_tried_again() {
    let other = |status| Script::Status(status, "", r#"{"error":{"message":"no such model"}}"#.to_owned());
    for (script, shown) in [
        (other(404), "no such model"),
        (other(400), "no such model"),
        (Script::Status(307, "location: http://127.0.0.1:1/\r\n", String::new()), "307"),
        (other(401), "API key"),
        (Script::Huge, "larger than 1 MiB"),
        (Script::Status(200, "", "<html>".to_owned()), "does not read"),
        (Script::Status(200, "content-type: x\r\n", " ".repeat(2 << 20)), "larger than 1 MiB"),
    ] {
        let (outcome, service, _) = outcome(vec![script, says(PLAN)]).await;
        let error = model_error(outcome);
        assert!(error.to_string().contains(shown), "{error}");
        assert_eq!((service.calls(), error.class()), (1, ErrorClass::Internal), "{error}");
    }
}

#[tokio::test]
async fn the_service_is_given_the_time_it_asks_for() {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let wait = Script::Status(429, "retry-after: 20\r\n", String::new());
    let too_long = Script::Status(429, "retry-after: 3600\r\n", String::new());
    let service = Service::start([wait, says(PLAN), too_long]).await;
    let translator = Translator::open(&service.config(folder.path()), &on(&clock)).await.unwrap();
    let asking = translator.clone();
    let task = tokio::spawn(async move { asking.translate(&Request::new(COMMAND)).await });
    service.has_seen(1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    clock.advance(Duration::from_secs(19));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(service.calls(), 1);
    while !task.is_finished() {
        clock.advance(Duration::from_millis(500));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(task.await.unwrap().is_ok());
    assert_eq!(service.calls(), 2);

    let error = translator.translate(&Request::new("buy the red one")).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_hours(1)));
    assert_eq!(service.calls(), 3);
}

#[tokio::test]
async fn numbers_that_cannot_be_are_not_believed() {
    for usage in [
        json!({ "prompt_tokens": u64::MAX, "completion_tokens": 1_000_000_000 }),
        json!({ "prompt_tokens": -5, "completion_tokens": "many" }),
        json!({ "prompt_tokens": 0, "completion_tokens": 0 }),
        json!(null),
        json!([1]),
    ] {
        let (outcome, _, translator) = outcome(vec![Script::Says(PLAN.to_owned(), usage.clone())]).await;
        let tokens = outcome.unwrap().tokens;
        assert_eq!(tokens.prompt, tokens.after, "{usage}");
        assert!((10..100).contains(&tokens.completion), "{usage}: {tokens:?}");
        let spent = translator.budget().await.unwrap().unwrap().tokens.spent;
        assert_eq!(spent, tokens.prompt + tokens.completion);
    }
}

#[tokio::test]
async fn a_kept_answer_makes_no_call_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let service = Service::start([says(PLAN), says(PLAN), says(PLAN), says(PLAN)]).await;
    let mut config = service.config(folder.path());
    config.cache = 1;
    let request = Request::new(COMMAND);
    let first = Translator::open(&config, &on(&clock)).await.unwrap();
    assert_eq!(first.translate(&request).await.unwrap().source, Source::Model);
    drop(first);

    let second = Translator::open(&config, &on(&clock)).await.unwrap();
    let again = second.translate(&request).await.unwrap();
    assert_eq!((again.source, again.cost_micros, again.tokens.prompt), (Source::Cache, 0, 0));
    assert_eq!((again.flow.name.as_str(), service.calls()), ("buy", 1));
    // Another page is another question, and there is room for one answer.
    let page = PageHint::of_html("<button>Buy</button>");
    let other = second.translate(&request.clone().page(page)).await.unwrap();
    assert_eq!((other.source, service.calls()), (Source::Model, 2));
    clock.advance(Duration::from_secs(1));
    assert_eq!(second.translate(&request).await.unwrap().source, Source::Model);
    assert_eq!(second.translate(&request).await.unwrap().source, Source::Cache);
    clock.advance(Duration::from_hours(7 * 24 + 1));
    assert_eq!(second.translate(&request).await.unwrap().source, Source::Model);
    assert_eq!(service.calls(), 4);
}

#[tokio::test]
async fn equal_commands_at_the_same_time_make_one_call() {
    let folder = tempfile::tempdir().unwrap();
    let go = Arc::new(Notify::new());
    let service = Service::start([Script::Held(Arc::clone(&go), PLAN.to_owned())]).await;
    let translator = Translator::open(&service.config(folder.path()), &Ctx::default()).await.unwrap();
    let ask = || {
        let translator = translator.clone();
        tokio::spawn(async move { translator.translate(&Request::new(COMMAND)).await })
    };
    let first = ask();
    service.has_seen(1).await;
    let others: Vec<_> = (0..20).map(|_| ask()).collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    // The one that began it goes away; the others still get the answer.
    first.abort();
    go.notify_one();
    for other in others {
        assert_eq!(other.await.unwrap().unwrap().source, Source::Cache);
    }
    assert_eq!(service.calls(), 1);
}

#[tokio::test]
async fn hanging_up_gives_the_reservation_back() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start([Script::Hangs, says(PLAN)]).await;
    let translator = Translator::open(&service.config(folder.path()), &Ctx::default()).await.unwrap();
    let asking = translator.clone();
    let task = tokio::spawn(async move { asking.translate(&Request::new(COMMAND)).await });
    service.has_seen(1).await;
    assert!(translator.budget().await.unwrap().unwrap().tokens.reserved > 2_000);
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    let status = loop {
        let status = translator.budget().await.unwrap().unwrap();
        if status.tokens.reserved == 0 {
            break status;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    // The service has seen the prompt.
    assert!((500..2_000).contains(&status.tokens.spent), "{status:?}");
    assert_eq!(translator.translate(&Request::new(COMMAND)).await.unwrap().source, Source::Model);
}

#[tokio::test]
async fn the_usual_answer_of_other_models_will_do() {
    let fenced = format!("```json\n{PLAN}\n```");
    let (outcome, service, _) = outcome(vec![Script::Says(fenced, usual_usage())]).await;
    assert_eq!((outcome.unwrap().flow.steps.len(), service.calls()), (2, 1));
}
