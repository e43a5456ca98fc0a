#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a test waits in real time for another task")]
//! What a day's budget lets through, warns of and refuses.

mod language_service;

use std::sync::Arc;
use std::time::Duration;

use browser::language::{Budget, Error, LanguageConfig, Request, Spend, Translator};
use buttress_core::{Classify, Ctx, ErrorClass, Event, EventLog, Events, TestClock, Validate};
use language_service::{PLAN, Script, Service};
use proptest::prelude::*;
use serde_json::json;

fn surroundings() -> (TestClock, EventLog, Ctx) {
    let (clock, log) = (TestClock::new(), EventLog::default());
    let ctx = Ctx { clock: clock.shared(), events: Events::to(Arc::new(log.clone())), ..Ctx::default() };
    (clock, log, ctx)
}

/// The budget's own events: the place of kept answers has some too.
fn warnings(log: &EventLog) -> Vec<Event> {
    let events = log.events().into_iter();
    events.filter(|event| event.action.starts_with("language.")).collect()
}

fn config(folder: &std::path::Path, tokens: u64) -> LanguageConfig {
    let mut config = LanguageConfig::default();
    (config.prompt_tokens, config.max_answer_tokens) = (2_000, 100);
    (config.budget_daily_tokens, config.folder) = (tokens, folder.to_owned());
    config
}

fn tokens(tokens: u64) -> Spend {
    Spend { tokens, micros: 0 }
}

#[tokio::test]
async fn the_budget_warns_once_and_stops_until_midnight_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, log, ctx) = surroundings();
    let usage = json!({ "prompt_tokens": 1_500, "completion_tokens": 2_500 });
    let service = Service::start(vec![Script::Says(PLAN.to_owned(), usage); 20]).await;
    let mut config = service.config(folder.path());
    (config.max_answer_tokens, config.budget_daily_tokens, config.cache) = (2_000, 22_000, 0);
    clock.advance(Duration::from_hours(20));

    let mut translator = Translator::open(&config, &ctx).await.unwrap();
    for call in 1..=5_u64 {
        if call == 3 {
            drop(translator);
            translator = Translator::open(&config, &ctx).await.unwrap();
        }
        translator.translate(&Request::new("buy the blue one")).await.unwrap();
        // 80 percent of 22,000 are 17,600, over which the fifth call goes.
        assert_eq!(warnings(&log).len(), usize::from(call == 5), "{call}");
        assert_eq!(translator.budget().await.unwrap().unwrap().tokens.spent, call * 4_000);
    }
    for _ in 0..2 {
        let error = translator.translate(&Request::new("buy the blue one")).await.unwrap_err();
        assert_eq!(
            (error.class(), error.retry_after()),
            (ErrorClass::Throttled, Some(Duration::from_hours(4)))
        );
        assert!(error.to_string().contains("20000 of 22000 tokens"), "{error}");
        drop(translator);
        translator = Translator::open(&config, &ctx).await.unwrap();
    }
    assert_eq!((service.calls(), warnings(&log).len()), (5, 1));
    let event = &warnings(&log)[0];
    assert_eq!((event.action, event.actor.is_none()), ("language.budget_warning", true));
    assert!(event.detail.as_ref().unwrap().contains("20000 of 22000 tokens"), "{event:?}");
    // Plain commands are not stopped.
    assert!(translator.translate(&Request::new("press enter")).await.is_ok());

    clock.advance(Duration::from_hours(4));
    let status = translator.budget().await.unwrap().unwrap();
    assert_eq!((status.day.as_str(), status.tokens.spent, status.warned), ("2026-01-02", 0, false));
    assert!(translator.translate(&Request::new("buy the blue one")).await.is_ok());
}

#[tokio::test]
async fn what_others_hold_is_busy_and_not_used_up() {
    let folder = tempfile::tempdir().unwrap();
    let (_, log, ctx) = surroundings();
    let budget = Budget::open(&config(folder.path(), 10_000), &ctx).unwrap();
    let held = budget.reserve(tokens(6_000)).await.unwrap();
    let error = budget.reserve(tokens(6_000)).await.unwrap_err();
    assert!(matches!(error, Error::Busy(_)), "{error:?}");
    assert_eq!((error.class(), error.retry_after()), (ErrorClass::Overloaded, Some(Duration::from_secs(1))));
    held.settle(tokens(100)).await.unwrap();
    drop(budget.reserve(tokens(6_000)).await.unwrap());
    assert!(log.events().is_empty());
    let status = budget.status().await.unwrap();
    assert_eq!((status.tokens.spent, status.tokens.reserved), (100, 0));
}

#[tokio::test]
async fn a_day_is_charged_for_what_began_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, _, ctx) = surroundings();
    let budget = Budget::open(&config(folder.path(), 10_000), &ctx).unwrap();
    clock.advance(Duration::from_hours(23));
    let held = budget.reserve(tokens(6_000)).await.unwrap();
    clock.advance(Duration::from_hours(2));
    held.settle(tokens(6_000)).await.unwrap();
    assert_eq!(budget.status().await.unwrap().tokens.spent, 0);
    clock.set_wall(std::time::UNIX_EPOCH + Duration::from_hours(490_896));
    assert_eq!(budget.status().await.unwrap().tokens.spent, 6_000);
}

#[tokio::test]
async fn what_a_dead_process_held_counts_as_spent() {
    let folder = tempfile::tempdir().unwrap();
    let (_, _, ctx) = surroundings();
    let budget = Budget::open(&config(folder.path(), 10_000), &ctx).unwrap();
    // As a process that is killed: nothing is dropped.
    std::mem::forget(budget.reserve(tokens(6_000)).await.unwrap());
    std::mem::forget(budget);
    let budget = Budget::open(&config(folder.path(), 10_000), &ctx).unwrap();
    let status = budget.status().await.unwrap();
    assert_eq!((status.tokens.spent, status.tokens.reserved), (6_000, 0));
}

#[tokio::test]
async fn money_has_a_limit_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (_, log, ctx) = surroundings();
    let mut config = config(folder.path(), 1_000_000);
    config.budget_daily_micros = Some(5_000);
    let budget = Budget::open(&config, &ctx).unwrap();
    let held = budget.reserve(Spend { tokens: 10, micros: 4_500 }).await.unwrap();
    held.settle(Spend { tokens: 10, micros: 4_200 }).await.unwrap();
    assert_eq!(log.events().len(), 1);
    let error = budget.reserve(Spend { tokens: 10, micros: 801 }).await.unwrap_err();
    assert!(error.to_string().contains("4200 of 5000 micro-dollars"), "{error}");
    assert!(budget.reserve(Spend { tokens: 10, micros: 800 }).await.is_ok());
}

#[test]
fn a_budget_that_cannot_pay_one_call_is_refused() {
    let mut config = LanguageConfig::default();
    config.validate().unwrap();
    config.budget_daily_tokens = 5_000;
    config.url = Some("https://ann:secret@example.com/v1".to_owned());
    config.key_file = Some("a".into());
    config.key_variable = Some("B".to_owned());
    config.warn_at = 0;
    let wrong = config.validate().unwrap_err().to_string();
    for field in ["budget_daily_tokens = 5000", "url = ", "key_variable", "warn_at = 0", "model = "] {
        assert!(wrong.contains(field), "{field} in {wrong}");
    }
    assert!(!wrong.contains("secret"), "{wrong}");
    let read: Result<LanguageConfig, _> = serde_json::from_str(r#"{"urll":"x"}"#);
    assert!(read.is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn calls_at_the_same_time_never_spend_more_than_the_budget(
        calls in proptest::collection::vec((100_u64..4_000, 0_u64..=100, 0_u8..4), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (_, log, ctx) = surroundings();
        let budget = Budget::open(&config(folder.path(), 10_000), &ctx).unwrap();
        let expected = runtime.block_on(async {
            let tasks: Vec<_> = calls.into_iter().map(|(most, percent, end)| {
                let budget = budget.clone();
                tokio::spawn(async move {
                    let Ok(mut held) = budget.reserve(tokens(most)).await else { return 0 };
                    let status = budget.status().await.unwrap().tokens;
                    assert!(status.spent + status.reserved <= 10_000, "{status:?}");
                    tokio::task::yield_now().await;
                    let spent = most * percent / 100;
                    match end {
                        0 => { drop(held); 0 }
                        1 => { held.sent(tokens(spent)); drop(held); spent }
                        _ => { held.settle(tokens(spent)).await.unwrap(); spent }
                    }
                })
            }).collect();
            let mut expected = 0;
            for task in tasks {
                expected += task.await.unwrap();
            }
            expected
        });
        let status = runtime.block_on(budget.status()).unwrap().tokens;
        prop_assert_eq!((status.spent, status.reserved), (expected, 0));
        prop_assert!(status.spent <= 10_000 && log.events().len() <= 1);
    }
}
