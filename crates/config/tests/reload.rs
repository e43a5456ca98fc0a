//! Files that change under a running process, with time moved by hand.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests
#![allow(clippy::disallowed_methods)] // files are read on another thread, which takes real time

mod common;

use std::sync::Arc;
use std::time::Duration;

use buttress_config::{Error, Live, ReloadConfig, Reloader};
use buttress_core::{Ctx, Event, EventLog, Events, Outcome, Shutdown, TestClock};
use common::{Config, Folder};

struct Running {
    folder: Folder,
    clock: TestClock,
    log: EventLog,
    shutdown: Shutdown,
    reloader: Arc<Reloader<Config>>,
    live: Live<Config>,
}

impl Running {
    fn start(text: &str) -> Self {
        let folder = Folder::new(text);
        let (clock, log, shutdown) = (TestClock::new(), EventLog::default(), Shutdown::new());
        let events = Events::to(Arc::new(log.clone()));
        let ctx = Ctx { clock: clock.shared(), events, shutdown: shutdown.clone() };
        let reloader =
            Reloader::new(folder.loader(), ctx).unwrap().restart_required(["service", "store.password"]);
        let (live, reloader) = (reloader.live(), Arc::new(reloader));
        Self { folder, clock, log, shutdown, reloader, live }
    }

    fn watching(text: &str) -> Self {
        let running = Self::start(text);
        running.reloader.watch(&ReloadConfig::default());
        running
    }

    /// Lets the watcher look and settle several times.
    async fn pass_time(&self) {
        for _ in 0..12 {
            self.clock.advance(Duration::from_secs(2));
            // Reading happens on a thread of its own; real time is what it takes.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn until(&self, condition: impl Fn(&Self) -> bool) {
        for _ in 0..500 {
            if condition(self) {
                return;
            }
            self.clock.advance(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("did not happen: {:?}", self.log.events());
    }

    fn pages(&self) -> u32 {
        self.live.get().limits.pages
    }

    fn details(&self) -> Vec<(Outcome, String)> {
        let detail = |event: Event| (event.outcome, self.folder.plain(&event.detail.unwrap_or_default()));
        self.log.events().into_iter().map(detail).collect()
    }
}

#[tokio::test]
async fn a_change_is_seen_told_and_taken_into_use() {
    let running = Running::watching("[limits]\npages = 10\n");
    let mut changes = running.live.subscribe();
    running.folder.write("docproc.toml", "[limits]\npages = 20\nratio = 0.25\n");
    running.until(|running| running.pages() == 20).await;
    assert_eq!(changes.next().await.version(), 2);

    running.until(|running| !running.log.events().is_empty()).await;
    let event = running.log.events().remove(0);
    assert_eq!((event.action, event.outcome), ("config.reload", Outcome::Success));
    assert_eq!(event.actor.as_deref(), Some("file watcher"));
    assert_eq!(event.target, Some(running.folder.file().display().to_string()));
    assert_eq!(event.detail.as_deref(), Some("version 2; changed: limits.pages, limits.ratio"));
    let about = running.reloader.about();
    assert_eq!(running.folder.plain(&about.source("limits.pages").unwrap().to_string()), "docproc.toml:2:9");
}

#[tokio::test]
async fn a_bad_file_keeps_the_old_configuration_and_is_told_once() {
    let running = Running::watching("[limits]\npages = 10\n");
    running.folder.write("docproc.toml", "[limits]\npages = 0\nratio = \"half\"\n");
    running.until(|running| !running.log.events().is_empty()).await;
    running.pass_time().await;
    assert_eq!(running.pages(), 10);
    assert_eq!(
        running.details(),
        [(
            Outcome::Failure,
            "docproc.toml:2:9: limits.pages = 0: must be at least 1; 100 is usual; \
             docproc.toml:3:9: limits.ratio = \"half\": must be a number, not text"
                .to_owned()
        )]
    );
    running.folder.write("docproc.toml", "[limits]\npages = 30\n");
    running.until(|running| running.pages() == 30).await;
}

#[cfg(unix)]
#[tokio::test]
async fn renames_and_swapped_links_are_seen() {
    use std::fs;
    use std::os::unix::fs::symlink;

    let running = Running::watching("[limits]\npages = 10\n");
    let folder = running.folder.path().to_owned();
    // An editor: a new file renamed over the old one.
    running.folder.write("docproc.toml.new", "[limits]\npages = 20\n");
    fs::rename(folder.join("docproc.toml.new"), folder.join("docproc.toml")).unwrap();
    running.until(|running| running.pages() == 20).await;

    // A Kubernetes volume: docproc.toml -> ..data/docproc.toml, and ..data is swapped.
    for (version, pages) in [("v1", 30), ("v2", 40)] {
        fs::create_dir(folder.join(version)).unwrap();
        fs::write(folder.join(version).join("docproc.toml"), format!("[limits]\npages = {pages}\n")).unwrap();
    }
    symlink("v1", folder.join("..data")).unwrap();
    symlink("..data/docproc.toml", folder.join("link")).unwrap();
    fs::rename(folder.join("link"), folder.join("docproc.toml")).unwrap();
    running.until(|running| running.pages() == 30).await;

    symlink("v2", folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    running.until(|running| running.pages() == 40).await;
}

#[tokio::test]
async fn a_file_that_goes_away_does_not_bring_the_defaults_back() {
    let running = Running::start("[limits]\npages = 10\n");
    std::fs::remove_file(running.folder.file()).unwrap();
    let error = running.reloader.reload().unwrap_err();
    assert!(matches!(error, Error::Missing { .. }), "{error}");
    assert_eq!(running.pages(), 10);

    let folder = Folder::new("[limits]\npages = 10\n");
    let loader = buttress_config::Loader::new("docproc").optional_file(folder.file());
    let reloader = Reloader::<Config>::new(loader, Ctx::default()).unwrap();
    std::fs::remove_file(folder.file()).unwrap();
    assert_eq!(
        folder.plain(&reloader.reload().unwrap_err().to_string()),
        "docproc.toml: no such file; it was there before: put it back, or restart to run without it"
    );
    assert_eq!(reloader.live().get().limits.pages, 10);
}

#[tokio::test]
async fn what_cannot_change_while_running_refuses_the_whole_reload() {
    let running = Running::start("[limits]\npages = 10\n[store]\npassword = \"hunter2\"\n");
    running.folder.write(
        "docproc.toml",
        "[limits]\npages = 20\n[service]\nport = 99\n[store]\npassword = \"hunter3\"\n",
    );
    let error = running.reloader.reload().unwrap_err();
    assert!(matches!(error, Error::RestartRequired(_)));
    assert_eq!(
        running.folder.plain(&error.to_string()),
        "docproc.toml:4:8: service.port = 99: cannot change while running, and is 8080; restart the process, or put \
         the old value back\n\
         docproc.toml:6:12: store.password = ***: cannot change while running, and is ***; restart the process, or \
         put the old value back"
    );
    assert_eq!((running.pages(), running.live.version()), (10, 1));
}

#[tokio::test]
async fn a_reload_by_hand_tells_what_changed() {
    let running = Running::start("[limits]\npages = 10\n");
    let outcome = running.reloader.reload().unwrap();
    assert_eq!((outcome.version, outcome.changed), (1, vec![]));

    running.folder.write("docproc.toml", "# moved\n[limits]\npages = 11\n");
    let outcome = running.reloader.reload().unwrap();
    assert_eq!((outcome.version, outcome.changed), (2, vec!["limits.pages".to_owned()]));
    assert_eq!(
        running.details(),
        [
            (Outcome::Success, "version 1; changed: nothing".to_owned()),
            (Outcome::Success, "version 2; changed: limits.pages".to_owned()),
        ]
    );
}

#[tokio::test]
async fn a_file_in_the_middle_of_being_written_is_waited_for() {
    let running = Running::watching("[limits]\npages = 10\n");
    tokio::time::sleep(Duration::from_millis(20)).await; // until the watcher waits
    // Truncated and not written yet, then written in parts: each of them is a valid configuration.
    for (text, time) in [("", 2000), ("[limits]\npages = 2", 200), ("[limits]\npages = 20\n", 200)] {
        running.folder.write("docproc.toml", text);
        running.clock.advance(Duration::from_millis(time));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    running.until(|running| running.pages() == 20).await;
    assert_eq!(running.live.version(), 2, "only the last of them was taken into use");
}

#[tokio::test]
async fn watching_ends_with_the_process() {
    let running = Running::watching("");
    assert_eq!(running.shutdown.tasks(), 1);
    running.shutdown.stop();
    running.shutdown.finished().await;
    assert_eq!(running.shutdown.tasks(), 0);
}
