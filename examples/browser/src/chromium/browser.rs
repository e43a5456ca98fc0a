//! A running browser.

use std::net::SocketAddr;
use std::time::Duration;

use buttress_core::{ByteSize, Ctx};
use serde_json::{Value, json};

use super::config::ChromiumConfig;
use super::connection::{ANSWER, Connection, at_most, nothing};
use super::context::Context;
use super::error::{Error, Result};
use super::process::Process;
use super::session::text;
use super::{processes, program};

/// How long a browser may take to close itself before it is killed.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);
/// The longest wait for killed processes and their folder to go.
const CLEAR_WITHIN: Duration = Duration::from_secs(30);

/// A browser of its own, with an empty profile that goes with it. Dropping it kills it.
#[derive(Debug)]
pub struct Browser {
    connection: Connection,
    process: Process,
    config: ChromiumConfig,
    version: String,
}

impl Browser {
    /// Starts a browser and returns when it takes commands.
    ///
    /// With a `proxy` everything the browser fetches goes through it, addresses of this machine included, and the
    /// browser looks up no name itself. When `ctx` is told to stop, the browser is killed.
    ///
    /// # Errors
    ///
    /// [`Error::ProgramMissing`] when no browser is installed; [`Error::Launch`], with what it printed, when it ends
    /// or does not answer within `launch_within`; [`Error::System`] when it cannot be started at all.
    pub async fn launch(config: &ChromiumConfig, proxy: Option<SocketAddr>, ctx: &Ctx) -> Result<Self> {
        let program = program::find(config)?;
        let (process, connection, words) = Process::start(config, &program, proxy, ctx)?;
        // From here on a dropped future drops the browser, which kills it.
        let mut browser = Self { connection, process, config: config.clone(), version: String::new() };
        let limit = config.launch_within;
        let pages = json!({ "discover": true, "filter": [{ "type": "page" }] });
        let ask = nothing();
        let answers = at_most(&ctx.clock, limit, async {
            tokio::try_join!(
                browser.call("Browser.getVersion", &ask, limit),
                browser.call("Target.setDiscoverTargets", &pages, limit),
            )
        });
        match answers.await {
            Ok(Ok((version, _))) => {
                text(&version, "product").clone_into(&mut browser.version);
                Ok(browser)
            }
            Ok(Err(Error::Refused { method, message })) => Err(Error::Refused { method, message }),
            Ok(Err(_)) | Err(_) => {
                browser.kill();
                let _ = at_most(&ctx.clock, CLOSE_WITHIN, browser.process.finished()).await;
                Err(Error::Launch { program, words: words.text() })
            }
        }
    }

    /// Name and version: `HeadlessChrome/156.0.8078.79`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Asks the browser whether it still answers.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] when it does not answer `within`, [`Error::Gone`] when it has ended.
    pub async fn probe(&self, within: Duration) -> Result<()> {
        self.call("Browser.getVersion", &nothing(), within).await.map(drop)
    }

    /// Whether the browser has ended. Costs a lock, asks nobody.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.connection.is_gone()
    }

    /// The number of the group that all its processes are in; also the number of its main process.
    #[must_use]
    pub fn group(&self) -> i32 {
        self.process.group()
    }

    /// How many commands wait for an answer.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.connection.pending()
    }

    /// Makes a browser within the browser, with cookies, storage and downloads of its own.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] or [`Error::Limit`].
    pub async fn context(&self) -> Result<Context> {
        self.context_through(None).await
    }

    /// The same with a proxy of its own, instead of the browser's.
    ///
    /// # Errors
    ///
    /// As [`context`](Browser::context).
    pub async fn context_through(&self, proxy: Option<SocketAddr>) -> Result<Context> {
        Context::create(self.connection.clone(), self.config.clone(), self.process.folder(), proxy).await
    }

    /// What all its processes hold in memory; see [`processes::memory`].
    pub async fn memory(&self) -> ByteSize {
        let group = self.group();
        tokio::task::spawn_blocking(move || processes::memory(group)).await.unwrap_or_default()
    }

    /// `kill -9` for all its processes. Returns at once; [`close`](Browser::close) waits until they are gone.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Closes the browser, kills it if it does not close by itself within 2 s, and returns when no process of it and
    /// nothing of its profile is left.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] when killed processes do not end; only the kernel can hold them.
    pub async fn close(&self) -> Result<()> {
        let clock = self.connection.clock().clone();
        let asked = async {
            // Its answer may come, or its end may come first.
            let _ = self.call("Browser.close", &nothing(), CLOSE_WITHIN).await;
            self.process.finished().await;
        };
        if at_most(&clock, CLOSE_WITHIN, asked).await.is_err() {
            self.kill();
        }
        let limit =
            |_| Error::Limit { what: "ending the browser's processes".to_owned(), limit: CLEAR_WITHIN };
        at_most(&clock, CLEAR_WITHIN, self.process.finished()).await.map_err(limit)?;
        if processes::members(self.group()).is_empty() {
            Ok(())
        } else {
            Err(Error::Limit { what: "ending the browser's processes".to_owned(), limit: CLEAR_WITHIN })
        }
    }

    async fn call(&self, method: &'static str, params: &Value, within: Duration) -> Result<Value> {
        self.connection.call(None, method, params, within, ANSWER).await
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.process.kill();
    }
}
