//! A browser within the browser: pages that share cookies and storage with nobody else.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::config::ChromiumConfig;
use super::connection::{ANSWER, Connection, at_most};
use super::error::{Error, Result};
use super::page::Page;
use super::session::text;

/// Pages that a context's pages may open by themselves; further ones are closed at once.
const POPUPS: usize = 8;

/// A browser within the browser. Dropping it closes its pages and forgets what they stored.
#[derive(Debug)]
pub struct Context {
    place: Arc<Place>,
    disposed: bool,
}

/// What a context's pages need of it.
#[derive(Debug)]
struct Place {
    id: String,
    connection: Connection,
    state: ContextState,
    config: ChromiumConfig,
    downloads: PathBuf,
}

/// What is known of a context from events.
#[derive(Debug, Clone, Default)]
pub(super) struct ContextState(Arc<watch::Sender<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// How many pages are being made by us whose names are not known yet.
    creating: usize,
    own: HashSet<String>,
    /// Pages that pages opened, oldest first, and nobody has taken.
    popups: Vec<String>,
    taken: HashSet<String>,
    refused: usize,
}

impl ContextState {
    /// A page came into being in this context.
    pub(super) fn target_created(&self, connection: &Connection, info: &Value) {
        let target = text(info, "targetId");
        let by_page = info.get("openerId").is_some();
        let mut refuse = false;
        self.0.send_if_modified(|known| {
            // A link may open its page without naming itself as the opener.
            if known.own.contains(target) || (!by_page && known.creating > 0) {
                return false;
            }
            refuse = known.popups.len() + known.taken.len() >= POPUPS;
            if refuse {
                known.refused += 1;
            } else {
                known.popups.push(target.to_owned());
            }
            true
        });
        if refuse {
            connection.post(None, "Target.closeTarget", &json!({ "targetId": target }));
        }
    }

    pub(super) fn target_destroyed(&self, target: &str) {
        self.0.send_if_modified(|known| {
            known.own.remove(target);
            known.taken.remove(target);
            let before = known.popups.len();
            known.popups.retain(|popup| popup != target);
            known.popups.len() != before
        });
    }
}

/// Counts a page that is being made, also when the making is cancelled.
struct Creating<'a>(&'a ContextState);

impl<'a> Creating<'a> {
    fn begin(state: &'a ContextState) -> Self {
        state.0.send_modify(|known| known.creating += 1);
        Self(state)
    }
}

impl Drop for Creating<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|known| known.creating -= 1);
    }
}

impl Context {
    pub(super) async fn create(
        connection: Connection,
        config: ChromiumConfig,
        folder: &Path,
        proxy: Option<SocketAddr>,
    ) -> Result<Self> {
        let downloads = folder.join("downloads");
        to_its_end(Self::create_here(connection, config, downloads, proxy)).await
    }

    async fn create_here(
        connection: Connection,
        config: ChromiumConfig,
        downloads: PathBuf,
        proxy: Option<SocketAddr>,
    ) -> Result<Self> {
        let within = config.answer_within;
        let params = match proxy {
            None => json!({ "disposeOnDetach": true }),
            Some(proxy) => json!({
                "disposeOnDetach": true,
                "proxyServer": format!("http://{proxy}"),
                "proxyBypassList": "<-loopback>",
            }),
        };
        let answer = connection.call(None, "Target.createBrowserContext", &params, within, ANSWER).await?;
        let id = text(&answer, "browserContextId").to_owned();
        let state = ContextState::default();
        connection.add_context(&id, state.clone());
        let downloads = downloads.join(&id);
        let place = Arc::new(Place { id, connection, state, config, downloads });
        let context = Self { place, disposed: false };
        // Only while somebody waits for a download may a page write to the disk.
        let forbid = download_behavior(&context.place.id, &context.place.downloads, false);
        context.place.call("Browser.setDownloadBehavior", &forbid).await?;
        Ok(context)
    }

    /// Opens a page.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] or [`Error::Limit`].
    pub async fn page(&self) -> Result<Page> {
        let place = self.place.clone();
        to_its_end(async move { place.page().await }).await
    }

    /// Takes the oldest page that a page of this context opened, waiting for one `within`.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] when none is opened in time.
    pub async fn popup(&self, within: Duration) -> Result<Page> {
        let mut changes = self.place.state.0.subscribe();
        let clock = self.place.connection.clock();
        let opened = at_most(clock, within, changes.wait_for(|known| !known.popups.is_empty())).await;
        let limit = |_| Error::Limit { what: "a page opened by a page".to_owned(), limit: within };
        drop(opened.map_err(limit)?);
        let mut target = None;
        self.place.state.0.send_modify(|known| {
            target = (!known.popups.is_empty()).then(|| known.popups.remove(0));
            known.taken.extend(target.clone());
        });
        // Another taker may have been first.
        let target = target.ok_or(Error::PageClosed)?;
        let place = self.place.clone();
        to_its_end(async move { place.attach(&target).await }).await
    }

    /// How many pages opened by pages nobody has taken, and how many more were closed at once because of the bound
    /// of 8.
    #[must_use]
    pub fn popups(&self) -> (usize, usize) {
        let known = self.place.state.0.borrow();
        (known.popups.len(), known.refused)
    }

    /// Closes all pages, forgets what they stored, and returns when the browser has done so.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] or [`Error::Limit`].
    pub async fn dispose(mut self) -> Result<()> {
        let params = json!({ "browserContextId": self.place.id });
        let disposed = self.place.call("Target.disposeBrowserContext", &params).await;
        self.disposed = disposed.is_ok();
        let downloads = self.place.downloads.clone();
        let _gone_already = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(downloads)).await;
        disposed.map(drop)
    }
}

impl Place {
    async fn page(&self) -> Result<Page> {
        let creating = Creating::begin(&self.state);
        let params = json!({ "url": "about:blank", "browserContextId": self.id });
        let answer = self.call("Target.createTarget", &params).await?;
        let target = text(&answer, "targetId").to_owned();
        self.state.0.send_modify(|known| {
            // It was taken for a popup if it came into being before a call for another page ended.
            known.popups.retain(|popup| *popup != target);
            known.own.insert(target.clone());
        });
        drop(creating);
        self.attach(&target).await
    }

    async fn attach(&self, target: &str) -> Result<Page> {
        let params = json!({ "targetId": target, "flatten": true });
        let answer = self.call("Target.attachToTarget", &params).await?;
        let place = (self.id.clone(), self.downloads.clone());
        let session = text(&answer, "sessionId");
        let page = Page::new(self.connection.clone(), target, session, self.config.clone(), place);
        page.set_up().await?;
        Ok(page)
    }

    async fn call(&self, method: &'static str, params: &Value) -> Result<Value> {
        self.connection.call(None, method, params, self.config.answer_within, ANSWER).await
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        self.place.connection.forget_context(&self.place.id);
        if !self.disposed {
            let params = json!({ "browserContextId": self.place.id });
            self.place.connection.post(None, "Target.disposeBrowserContext", &params);
        }
    }
}

/// Makes something in the browser in a task of its own. Whoever gives up waiting drops it when it is made, and the
/// browser forgets it then; a making cut short would leave it there without anybody who knows of it.
async fn to_its_end<T: Send + 'static>(
    making: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    // The task ends early only with its runtime.
    tokio::spawn(making).await.unwrap_or_else(|_| Err(Error::Gone { words: String::new() }))
}

/// What `Browser.setDownloadBehavior` is told. Files get names that no page chooses.
pub(super) fn download_behavior(context: &str, folder: &Path, allowed: bool) -> Value {
    let behavior = if allowed { "allowAndName" } else { "deny" };
    json!({
        "behavior": behavior, "browserContextId": context, "downloadPath": folder, "eventsEnabled": allowed,
    })
}
