//! Browsers and pages that crash, hang, or are left behind.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a test waits in real time")]

mod chromium_site;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use browser::chromium::processes::{members, process};
use browser::chromium::{Browser, ChromiumConfig, Error, Leftovers, State};
use buttress_core::{Classify, Ctx, ErrorClass};
use chromium_site::{LONG, SHORT, Site, launch, target};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;

fn signal(group: i32, signal: Signal) {
    kill_process_group(Pid::from_raw(group).unwrap(), signal).unwrap();
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, wait).await.unwrap_or_else(|_| panic!("{what}"));
}

/// A limit against hanging for calls that must fail by themselves.
async fn promptly<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, work).await.unwrap()
}

fn impatient() -> ChromiumConfig {
    let mut config = ChromiumConfig::default();
    config.answer_within = Duration::from_millis(1500);
    config.navigate_within = Duration::from_secs(3);
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_ends_is_cut_and_the_page_lives_on() {
    let site = Site::start();
    let browser = Browser::launch(&impatient(), None, &Ctx::default()).await.unwrap();
    let context = browser.context().await.unwrap();
    let page = context.page().await.unwrap();
    for path in ["/endless", "/loop"] {
        let error = promptly(page.goto(&site.url(path))).await.unwrap_err();
        assert!(matches!(&error, Error::Limit { what, .. } if what.contains(path)), "{error}");
        assert_eq!(page.goto(&site.url("/")).await.unwrap().title, "Tide tables");
    }
    for script in ["while (true) {}", "new Promise(() => {})", "(async () => { await 0; while (true) {} })()"]
    {
        let error = promptly(page.evaluate(script)).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Timeout, "{script}: {error}");
        assert_eq!(page.evaluate("1").await.unwrap(), json!(1), "{script}");
    }
    // A loop that the page itself runs, later.
    page.evaluate("setTimeout(() => { while (true) {} }, 0); 1").await.unwrap();
    let error = promptly(page.wait_for(&target("#nothing"), State::Visible, LONG)).await.unwrap_err();
    assert!(matches!(error, Error::Limit { .. }), "{error}");
    promptly(page.goto(&site.url("/"))).await.unwrap();
    assert_eq!(browser.pending(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crashed_page_fails_at_once_and_the_browser_lives_on() {
    let (site, browser) = (Site::start(), launch().await);
    let context = browser.context().await.unwrap();
    let (page, other) = tokio::try_join!(context.page(), context.page()).unwrap();
    for page in [&page, &other] {
        page.goto(&site.url("/")).await.unwrap();
    }
    let nothing = target("#nothing");
    let (pending, crash) = promptly(async {
        tokio::join!(page.wait_for(&nothing, State::Visible, 2 * LONG), page.goto("chrome://crash"))
    })
    .await;
    assert!(matches!(pending, Err(Error::PageCrashed)), "{pending:?}");
    assert!(matches!(crash, Err(Error::PageCrashed)), "{crash:?}");
    assert!(page.crashed() && !other.crashed());
    assert!(matches!(page.title().await, Err(Error::PageCrashed)));
    assert!(matches!(page.click(&nothing, SHORT).await, Err(Error::PageCrashed)));
    assert!(matches!(page.screenshot(false, None).await, Err(Error::PageCrashed)));
    let fresh = context.page().await.unwrap();
    assert_eq!(fresh.goto(&site.url("/")).await.unwrap().title, "Tide tables");
    assert_eq!(browser.pending(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_browser_fails_every_call_and_leaves_nothing() {
    let (site, browser) = (Site::start(), launch().await);
    let context = browser.context().await.unwrap();
    let page = context.page().await.unwrap();
    page.goto(&site.url("/")).await.unwrap();
    let group = browser.group();
    assert!(members(group).len() > 2);
    let kill = async {
        tokio::time::sleep(SHORT).await;
        assert!(browser.pending() > 0);
        signal(group, Signal::KILL);
    };
    let (evaluated, opened, ()) =
        promptly(async { tokio::join!(page.evaluate("new Promise(() => {})"), page.goto("/loop"), kill) })
            .await;
    assert!(matches!(evaluated, Err(Error::Gone { .. })), "{evaluated:?}");
    assert!(matches!(opened, Err(Error::Gone { .. } | Error::Navigation { .. })), "{opened:?}");
    assert!(browser.is_gone());
    assert!(matches!(page.title().await, Err(Error::Gone { .. })));
    assert!(matches!(browser.probe(LONG).await, Err(Error::Gone { .. })));
    assert!(matches!(browser.context().await, Err(Error::Gone { .. })));
    promptly(browser.close()).await.unwrap();
    assert_eq!(members(group), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_browser_does_not_answer_its_probe_and_closes_all_the_same() {
    let browser = launch().await;
    let group = browser.group();
    browser.probe(LONG).await.unwrap();
    signal(group, Signal::STOP);
    assert!(matches!(browser.probe(SHORT).await, Err(Error::Limit { .. })));
    assert!(!browser.is_gone());
    assert_eq!(browser.pending(), 0);
    promptly(browser.close()).await.unwrap();
    assert_eq!(members(group), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_calls_leave_nothing() {
    let (site, browser) = (Site::start(), launch().await);
    let context = browser.context().await.unwrap();
    let page = context.page().await.unwrap();
    page.goto(&site.url("/")).await.unwrap();
    let nothing = target("#nothing");
    for delay in 0..20 {
        let limit = Duration::from_millis(delay);
        let _cut = tokio::time::timeout(limit, page.goto(&site.url("/endless"))).await;
        let _cut = tokio::time::timeout(limit, page.evaluate("new Promise(() => {})")).await;
        let _cut = tokio::time::timeout(limit, page.click(&nothing, LONG)).await;
        let _cut = tokio::time::timeout(limit, page.download(&nothing, LONG)).await;
        let _cut = tokio::time::timeout(limit * 3, context.page()).await;
        let _cut = tokio::time::timeout(limit, browser.context()).await;
    }
    page.goto(&site.url("/")).await.unwrap();
    // A context is made in a task of its own, which may still be at it.
    until("nothing waits", || browser.pending() == 0).await;
    assert_eq!(context.popups(), (0, 0));
    // The page, the browser's own first one, and what the browser keeps ready.
    until("pages that nobody waits for are closed", || processes_of_pages(browser.group()) <= 4).await;
    context.dispose().await.unwrap();
    // A launch that nobody waits for any more.
    let folder = tempfile::tempdir().unwrap();
    let mut config = ChromiumConfig::default();
    config.leftovers = Some(folder.path().to_owned());
    let ctx = Ctx::default();
    let _cut = tokio::time::timeout(Duration::from_millis(10), Browser::launch(&config, None, &ctx)).await;
    ctx.shutdown.stop();
    promptly(ctx.shutdown.finished()).await;
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

fn processes_of_pages(group: i32) -> usize {
    let is_page = |pid: i32| {
        std::fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|text| text.contains("--type=renderer"))
    };
    members(group).iter().filter(|member| is_page(member.pid)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_or_stopped_browser_leaves_no_process_no_note_and_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = ChromiumConfig::default();
    config.leftovers = Some(folder.path().to_owned());
    let notes = || std::fs::read_dir(folder.path()).unwrap().count();
    let ctx = Ctx::default();
    let dropped = Browser::launch(&config, None, &ctx).await.unwrap();
    let group = dropped.group();
    assert_eq!(notes(), 1);
    let profile = profile_of(group);
    assert!(Path::new(&profile).exists());
    drop(dropped);
    until("its note is removed", || notes() == 0).await;
    assert_eq!(members(group), []);
    assert!(!Path::new(&profile).exists());

    let stopped = Browser::launch(&config, None, &ctx).await.unwrap();
    ctx.shutdown.stop();
    promptly(ctx.shutdown.finished()).await;
    assert!(stopped.is_gone());
    assert_eq!((members(stopped.group()), notes()), (Vec::new(), 0));
}

fn profile_of(pid: i32) -> String {
    let arguments = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    arguments.split('\0').find_map(|arg| arg.strip_prefix("--user-data-dir=")).unwrap().to_owned()
}

/// Run by the test below in a process of its own, until it is killed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "only for the test of leftovers"]
async fn owns_a_browser() {
    let mut config = ChromiumConfig::default();
    config.leftovers = Some(std::env::var("LEFTOVERS").unwrap().into());
    let browser = Browser::launch(&config, None, &Ctx::default()).await.unwrap();
    let context = browser.context().await.unwrap();
    let _page = context.page().await.unwrap();
    let group = Path::new(&std::env::var("GROUP").unwrap()).to_owned();
    std::fs::write(group.with_extension("partial"), browser.group().to_string()).unwrap();
    std::fs::rename(group.with_extension("partial"), group).unwrap();
    tokio::time::sleep(LONG).await;
}

fn all_stopped(group: i32) -> bool {
    let is_stopped = |pid: i32| {
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')))
    };
    members(group).iter().all(|member| is_stopped(member.pid))
}

/// A browser that outlived its owner. It would end by itself soon; stopped, it does not.
async fn orphan(journal: &Path) -> i32 {
    // Orphans come to this process, which shares their session. Under a process 1 that shares it too, the kernel would
    // hang up on a stopped group as soon as its leader dies, and continue it.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    let number = journal.with_extension("group");
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "owns_a_browser", "--ignored"])
        .envs([("LEFTOVERS", journal), ("GROUP", &number)])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until("the owner has its browser", || number.exists()).await;
    let group: i32 = std::fs::read_to_string(&number).unwrap().parse().unwrap();
    signal(group, Signal::STOP);
    until("the browser stops", || all_stopped(group)).await;
    owner.kill().unwrap();
    owner.wait().unwrap();
    group
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_whose_owner_was_killed_is_found_and_killed() {
    for leader_dies in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("browsers");
        let group = orphan(&journal).await;
        let profile = profile_of(group);
        if leader_dies {
            rustix::process::kill_process(Pid::from_raw(group).unwrap(), Signal::KILL).unwrap();
            until("the leader dies", || process(group).is_none()).await;
        }
        assert!(!members(group).is_empty(), "the browser has ended by itself");

        // A browser of an owner that lives, and one from before a restart, are not touched.
        let own = process(i32::try_from(std::process::id()).unwrap()).unwrap();
        let mut bystander = Command::new("sleep").arg("100").spawn().unwrap();
        let parent = process(1).map_or((1, 0), |init| (1, init.started));
        let sleeper = process(i32::try_from(bystander.id()).unwrap()).unwrap();
        let note = |boot: &str, owner: (i32, u64)| {
            json!({
                "boot": boot, "owner": owner, "profile": "--user-data-dir=/nowhere", "folder": "/nowhere",
                "group": (sleeper.pid, sleeper.started),
            })
        };
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let living = journal.join("living.json");
        std::fs::write(&living, note(boot.trim(), parent).to_string()).unwrap();
        std::fs::write(journal.join("old.json"), note("another boot", (own.pid, 0)).to_string()).unwrap();
        std::fs::write(journal.join("torn.json"), "{").unwrap();

        assert_eq!(Leftovers::reap(&journal).unwrap(), 1);
        until("the group ends", || members(group).is_empty()).await;
        assert!(!Path::new(&profile).exists());
        assert!(living.exists() && !journal.join("old.json").exists());
        assert!(bystander.try_wait().unwrap().is_none());
        assert_eq!(Leftovers::reap(&journal).unwrap(), 0);
        bystander.kill().unwrap();
        bystander.wait().unwrap();
    }
    assert_eq!(Leftovers::reap(Path::new("/no/such/folder")).unwrap(), 0);
}
