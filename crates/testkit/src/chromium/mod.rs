//! A headless browser, driven over the Chrome DevTools Protocol.

mod page;
mod protocol;

use std::os::unix::fs::MetadataExt;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

pub use self::page::Page;
use self::protocol::Connection;
use crate::wait::READY_WITHIN;
use crate::{ProcessGroup, Program, wait_until};

/// A Chromium without a window and with an empty profile, that talks to nobody on its own account.
///
/// ```no_run
/// # use std::{path::Path, time::Duration};
/// let browser = buttress_testkit::Chromium::start();
/// let mut page = browser.open("http://127.0.0.1:8080/");
/// page.set_files("input[type=file]", &[Path::new("report.pdf")]);
/// page.wait_for("document.querySelector('#text').innerText.includes('Summary')", Duration::from_secs(10));
/// page.screenshot(Path::new("page.png"));
/// ```
#[derive(Debug)]
pub struct Chromium {
    /// `ws://127.0.0.1:PORT`, without a path.
    endpoint: String,
    /// The path of the browser's own endpoint, which opens pages.
    browser_path: String,
    process: ProcessGroup,
    _folder: TempDir, // Last: it goes when nobody writes to it any more.
}

impl Chromium {
    /// Starts a browser and returns when it takes commands.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let profile = folder.path().join("profile");
        let mut command = Command::new(Program::CHROMIUM.path());
        command
            .args(["--headless", "--remote-debugging-port=0", "--disable-gpu", "--disable-quic"])
            .args(["--no-first-run", "--no-default-browser-check", "--disable-background-networking"])
            .args(["--disable-component-update", "--disable-sync", "--disable-breakpad"])
            // Containers give /dev/shm 64 MB, on which a large page crashes the renderer.
            .args(["--disable-dev-shm-usage", "--hide-scrollbars", "--window-size=1280,900"])
            .arg(format!("--user-data-dir={}", profile.display()));
        if std::fs::metadata(folder.path()).expect("the folder was just made").uid() == 0 {
            // Chromium's sandbox refuses root.
            command.arg("--no-sandbox");
        }
        let mut process =
            ProcessGroup::spawn(command.arg("about:blank"), &folder.path().join("chromium.log"));
        let port_file = profile.join("DevToolsActivePort");
        let (endpoint, browser_path) = wait_until("chromium to take commands", READY_WITHIN, || {
            process.expect_running();
            let text = std::fs::read_to_string(&port_file).ok()?;
            let (port, path) = text.split_once('\n')?;
            let endpoint = format!("ws://127.0.0.1:{port}");
            Connection::open(&format!("{endpoint}{path}")).ok()?;
            Some((endpoint, path.to_owned()))
        });
        Self { endpoint, browser_path, process, _folder: folder }
    }

    /// Opens `url` in a page of its own, and returns when it has loaded.
    #[must_use]
    pub fn open(&self, url: &str) -> Page {
        let mut browser = self.connect(&self.browser_path);
        let target = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let id = target["targetId"].as_str().expect("a new page has an id");
        let mut page = Page::new(self.connect(&format!("/devtools/page/{id}")));
        page.goto(url);
        page
    }

    /// The browser's process, for tests that kill it.
    pub fn process(&mut self) -> &mut ProcessGroup {
        &mut self.process
    }

    fn connect(&self, path: &str) -> Connection {
        let url = format!("{}{path}", self.endpoint);
        Connection::open(&url).unwrap_or_else(|error| panic!("{url}: {error}\n{}", self.process.output()))
    }
}
