//! One page: a tab without a window.

mod elements;
mod files;
mod frame;
mod keyboard;
mod mouse;
mod navigation;
mod output;
mod patience;
mod script;
mod waiting;

use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

use buttress_core::{ByteSize, SharedClock};
use serde_json::{Value, json};

pub use self::frame::Frame;
pub use self::navigation::Navigated;
use super::config::ChromiumConfig;
use super::connection::{ANSWER, Connection};
use super::dialog::{Dialog, DialogPolicy};
use super::error::{Error, Result};
use super::session::{Known, Life, PageState, set_up};

/// A page. Dropping it, and the frames taken from it, closes it.
///
/// It is its main [`Frame`] and more: elements are clicked, filled and read through the frame's methods.
#[derive(Debug)]
pub struct Page {
    main: Frame,
}

/// What a page and its frames share.
#[derive(Debug)]
struct Tab {
    connection: Connection,
    state: PageState,
    /// The page's target, which is also the name of its main frame.
    target: String,
    session: String,
    config: ChromiumConfig,
    /// The context's name in the browser.
    context: String,
    /// Where downloads of the context are written.
    downloads: PathBuf,
}

impl Tab {
    fn clock(&self) -> &SharedClock {
        self.connection.clock()
    }

    /// Sends a command to the page itself, whatever frame is meant.
    async fn call(&self, method: &'static str, params: &Value) -> Result<Value> {
        self.call_for(method, params, self.config.answer_within, ANSWER).await
    }

    async fn call_for(
        &self,
        method: &'static str,
        params: &Value,
        within: Duration,
        most: ByteSize,
    ) -> Result<Value> {
        // On the heap, here and in frames: callers nest deeply, and each would carry the whole of it.
        Box::pin(self.connection.call(Some(&self.session), method, params, within, most)).await
    }

    fn post(&self, method: &'static str, params: &Value) {
        self.connection.post(Some(&self.session), method, params);
    }

    /// Fails when the page will never answer again.
    fn alive(&self) -> Result<()> {
        if self.connection.is_gone() {
            return Err(self.connection.gone());
        }
        self.state.read(Known::alive)
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        self.connection.forget_page(&self.state);
        self.connection.post(None, "Target.closeTarget", &json!({ "targetId": self.target }));
    }
}

impl Page {
    /// A page whose target is attached to already.
    pub(super) fn new(
        connection: Connection,
        target: &str,
        session: &str,
        config: ChromiumConfig,
        (context, downloads): (String, PathBuf),
    ) -> Self {
        let state = PageState::new(target);
        connection.add_session(session, state.clone());
        let (target, session) = (target.to_owned(), session.to_owned());
        let tab = Tab { connection, state, target, session, config, context, downloads };
        Self { main: Frame::main(tab) }
    }

    pub(super) async fn set_up(&self) -> Result<()> {
        let tab = self.tab();
        let [(enable, no_params), (attach, frames)] = set_up();
        let events = json!({ "enabled": true });
        let window = tab.config.window;
        // A full browser's window has bars around the page.
        let size = json!({
            "width": window.width, "height": window.height, "deviceScaleFactor": 1, "mobile": false,
        });
        tokio::try_join!(
            tab.call(enable, &no_params),
            tab.call(attach, &frames),
            tab.call("Page.setLifecycleEventsEnabled", &events),
            tab.call("Emulation.setDeviceMetricsOverride", &size),
        )?;
        Ok(())
    }

    fn tab(&self) -> &Tab {
        self.main.tab()
    }

    /// Whether the page's renderer died. Every call to the page fails then; the browser and other pages live on.
    #[must_use]
    pub fn crashed(&self) -> bool {
        self.tab().state.read(|known| known.life == Life::Crashed)
    }

    /// Completes when the page will never answer again, and says why: for those who wait without asking it anything.
    pub async fn ended(&self) -> Error {
        let tab = self.tab();
        tokio::select! {
            () = tab.state.wait_until(|known| known.alive().is_err()) => {}
            () = tab.connection.ended() => {}
        }
        tab.alive().err().unwrap_or(Error::PageClosed)
    }

    /// Sets what the page's dialogs are answered from now on; without it they are dismissed.
    pub fn set_dialogs(&self, policy: DialogPolicy) {
        self.tab().state.change(|known| known.policy = policy);
    }

    /// The last 32 dialogs that were answered, oldest first.
    #[must_use]
    pub fn dialogs(&self) -> Vec<Dialog> {
        self.tab().state.read(|known| known.dialogs.iter().cloned().collect())
    }
}

impl Deref for Page {
    type Target = Frame;

    fn deref(&self) -> &Frame {
        &self.main
    }
}
