//! What is held still for a backup is let go, whatever happens.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing expectation fails the test"
)]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use buttress_backup::Error;
use buttress_backup::source::{
    Collected, Consistency, DynSource, Folders, FoldersConfig, Group, Hooks, HooksConfig, Source, State,
};
use buttress_core::{Ctx, TestClock, chain};
use buttress_testkit::wait_until;
use tempfile::TempDir;

/// What was done, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn text(&self) -> String {
        self.0.lock().unwrap().join(" ")
    }

    /// Hooks that note what they do; `before` and `after` fail if asked to.
    fn hooks(&self, name: &'static str, fail: &'static str, ctx: &Ctx) -> Hooks {
        let call = |what: &'static str| {
            let log = self.clone();
            move || {
                let log = log.clone();
                async move {
                    log.note(format!("{what}-{name}"));
                    if fail == what { Err(format!("no {what}").into()) } else { Ok(()) }
                }
            }
        };
        Hooks::calls(name, call("before"), call("after"), ctx)
    }

    fn wait_for(&self, text: &str) {
        tokio::task::block_in_place(|| {
            wait_until("it to be let go", Duration::from_mins(1), || (self.text() == text).then_some(()));
        });
    }
}

/// A folder that is there, or one that is not.
fn folder(path: &Path, ctx: &Ctx) -> DynSource {
    let mut config = FoldersConfig::default();
    config.name = "files".into();
    config.paths = vec![path.into()];
    DynSource::new(Folders::new(config, ctx).unwrap())
}

/// State that notes when it is written.
fn state(log: &Log, ctx: &Ctx) -> DynSource {
    let log = log.clone();
    let state = State::new("state", ctx).unwrap().part("part", move |mut part| {
        let log = log.clone();
        async move {
            log.note("write");
            part.write(b"some bytes").await?;
            Ok(part)
        }
    });
    DynSource::new(state.unwrap())
}

/// State that is never done.
fn endless(ctx: &Ctx) -> DynSource {
    let state = State::new("endless", ctx).unwrap();
    DynSource::new(state.part("part", |_| std::future::pending()).unwrap())
}

fn group(sources: Vec<DynSource>, hooks: impl IntoIterator<Item = Hooks>, ctx: &Ctx) -> Group {
    hooks.into_iter().fold(Group::new("all", sources, ctx).unwrap(), Group::hooks)
}

async fn collect(group: &Group) -> Result<(TempDir, Collected), Error> {
    let scratch = tempfile::tempdir().unwrap();
    let collected = group.collect(scratch.path()).await?;
    Ok((scratch, collected))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_held_until_the_snapshot_is_done() {
    let (log, ctx) = (Log::default(), Ctx::default());
    let here = tempfile::tempdir().unwrap();
    let hooks = [log.hooks("a", "", &ctx), log.hooks("b", "", &ctx)];
    let group = group(vec![folder(here.path(), &ctx), state(&log, &ctx)], hooks, &ctx);
    let (_scratch, collected) = collect(&group).await.unwrap();
    assert_eq!(log.text(), "before-a before-b write");
    assert_eq!(collected.consistency, Consistency::Application);
    assert_eq!(collected.facts["state.bytes.part"], "10");
    let paths: Vec<_> =
        collected.roots.iter().map(|root| root.in_snapshot.to_str().unwrap().to_owned()).collect();
    assert_eq!(paths, [format!("/files{}", here.path().display()), "/state/part".to_owned()]);
    collected.release().await.unwrap();
    assert_eq!(log.text(), "before-a before-b write after-b after-a");
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_are_held_no_longer_than_they_are_made() {
    let (log, ctx) = (Log::default(), Ctx::default());
    let group = group(vec![state(&log, &ctx)], [log.hooks("a", "", &ctx)], &ctx);
    let (_scratch, collected) = collect(&group).await.unwrap();
    assert_eq!(log.text(), "before-a write after-a");
    collected.release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_lets_go_of_all() {
    let (log, ctx) = (Log::default(), Ctx::default());
    let hooks = [log.hooks("a", "", &ctx), log.hooks("b", "before", &ctx), log.hooks("c", "", &ctx)];
    let told = chain(&collect(&group(vec![state(&log, &ctx)], hooks, &ctx)).await.unwrap_err());
    assert_eq!(told, "b: cannot hold still: no before");
    // What failed may have been done by half.
    assert_eq!(log.text(), "before-a before-b after-b after-a");

    let log = Log::default();
    let gone = folder(Path::new("/no such folder"), &ctx);
    let group = group(vec![gone], [log.hooks("a", "", &ctx)], &ctx);
    assert!(matches!(collect(&group).await, Err(Error::File { .. })));
    assert_eq!(log.text(), "before-a after-a");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_or_dropped_lets_go() {
    let (log, ctx) = (Log::default(), Ctx::default());
    let all = group(vec![endless(&ctx)], [log.hooks("a", "", &ctx)], &ctx);
    let run = tokio::spawn(async move { collect(&all).await.map(drop) });
    log.wait_for("before-a");
    run.abort();
    log.wait_for("before-a after-a");

    let log = Log::default();
    let here = tempfile::tempdir().unwrap();
    let (_scratch, collected) =
        collect(&group(vec![folder(here.path(), &ctx)], [log.hooks("a", "", &ctx)], &ctx)).await.unwrap();
    drop(collected);
    log.wait_for("before-a after-a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_lets_go_before_it_is_finished() {
    let (log, ctx) = (Log::default(), Ctx::default());
    let all = group(vec![endless(&ctx)], [log.hooks("a", "", &ctx)], &ctx);
    let run = tokio::spawn(async move { collect(&all).await.map(drop) });
    log.wait_for("before-a");
    ctx.shutdown.stop();
    ctx.shutdown.finished().await;
    assert_eq!(log.text(), "before-a after-a");
    assert!(matches!(run.await.unwrap(), Err(Error::Stopped)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_for_too_long_is_let_go_and_does_not_count() {
    let (log, clock) = (Log::default(), TestClock::new());
    let ctx = Ctx { clock: clock.shared(), ..Ctx::default() };
    let here = tempfile::tempdir().unwrap();
    let hooks = log.hooks("a", "", &ctx).limits(Duration::from_secs(1), Duration::from_mins(5));
    let (_scratch, collected) =
        collect(&group(vec![folder(here.path(), &ctx)], [hooks], &ctx)).await.unwrap();
    clock.advance(Duration::from_mins(4));
    assert_eq!(log.text(), "before-a");
    clock.advance(Duration::from_mins(1));
    log.wait_for("before-a after-a");
    let told = collected.release().await.unwrap_err().to_string();
    assert!(told.starts_with("a: was held for 5m"), "{told}");
    assert_eq!(log.text(), "before-a after-a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letting_go_that_fails_is_told() {
    let (log, ctx) = (Log::default(), Ctx::default());
    let here = tempfile::tempdir().unwrap();
    let hooks = [log.hooks("a", "after", &ctx), log.hooks("b", "", &ctx)];
    let (_scratch, collected) = collect(&group(vec![folder(here.path(), &ctx)], hooks, &ctx)).await.unwrap();
    assert_eq!(chain(&collected.release().await.unwrap_err()), "a: cannot let go: no after");
    assert_eq!(log.text(), "before-a before-b after-b after-a");
}

fn commands(before: &[&str], after: &[&str], limit: Duration, ctx: &Ctx) -> Hooks {
    let mut config = HooksConfig::default();
    let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    (config.before, config.after, config.limit) = (owned(before), owned(after), limit);
    Hooks::commands("freeze", config, ctx).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_hold_and_let_go() {
    let ctx = Ctx::default();
    let here = tempfile::tempdir().unwrap();
    let mark = here.path().join("frozen");
    let mark_text = mark.to_str().unwrap();
    let limit = Duration::from_secs(30);
    let hooks = commands(&["touch", mark_text], &["rm", "--", mark_text], limit, &ctx);
    let hold = hooks.hold().await.unwrap();
    assert!(mark.exists());
    hold.release().await.unwrap();
    assert!(!mark.exists());

    // Also while the service stops.
    let hold = hooks.hold().await.unwrap();
    ctx.shutdown.stop();
    drop(hold);
    ctx.shutdown.finished().await;
    assert!(!mark.exists());
    assert!(matches!(hooks.hold().await, Err(Error::Stopped)));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_fail_or_hang_say_so() {
    let ctx = Ctx::default();
    let limit = Duration::from_millis(300);
    let told = async |before: &[&str]| chain(&commands(before, &[], limit, &ctx).hold().await.unwrap_err());
    let failed = told(&["sh", "-c", "echo cannot freeze >&2; exit 3"]).await;
    assert!(failed.contains("exit status: 3") && failed.contains("cannot freeze"), "{failed}");
    let missing = told(&["/no/such/program"]).await;
    assert!(missing.contains("does not start"), "{missing}");
    let slow = told(&["sleep", "1000"]).await;
    assert!(slow.contains("not done within 300ms"), "{slow}");
    let error = Hooks::commands("freeze", HooksConfig::default(), &ctx).unwrap_err().to_string();
    assert!(error.contains("must be a program"), "{error}");
}

#[tokio::test]
async fn state_counts_only_when_its_writer_says_that_it_is_whole() {
    let ctx = Ctx::default();
    let state = State::new("state", &ctx).unwrap();
    let state = state.part("good", |mut part| async move {
        part.write(b"ab").await?;
        part.write(b"c").await?;
        Ok(part)
    });
    let state = state.unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let collected = state.collect(scratch.path()).await.unwrap();
    assert_eq!(std::fs::read(&collected.roots[0].on_disk).unwrap(), b"abc");
    assert_eq!(collected.facts["bytes.good"], "3");
    assert_eq!(
        collected.facts["sha256.good"],
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    let record = collected.record("state");
    let text = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<buttress_backup::source::Record>(&text).unwrap(), record);

    assert!(state.clone().part("good", |part| async { Ok(part) }).is_err());
    assert!(state.clone().part("../up", |part| async { Ok(part) }).is_err());
    let broken = state.part("bad", |mut part| async move {
        part.write(b"half").await?;
        Err("the rest is gone".into())
    });
    let scratch = tempfile::tempdir().unwrap();
    let told = chain(&broken.unwrap().collect(scratch.path()).await.unwrap_err());
    assert_eq!(told, "state: the part `bad` cannot be written: the rest is gone");
}

#[test]
fn a_group_that_cannot_be_is_refused() {
    let ctx = Ctx::default();
    assert!(Group::new("all", [], &ctx).unwrap_err().to_string().contains("must have a source"));
    let twice = [endless(&ctx), endless(&ctx)];
    assert!(Group::new("all", twice, &ctx).unwrap_err().to_string().contains("two sources"));
}
