//! The pool of contexts, each for one job.

use std::sync::Arc;

use buttress_core::{Classify, Ctx, ErrorClass};
use buttress_pool::{Condition, Manager, Shared, Sharing};

use super::browsers::{Browsers, Member};
use crate::chromium::{self, Context, Page};
use crate::guard::{self, GuardConfig, Proxy};

/// Makes contexts in the browsers there are.
pub struct Tabs {
    pub(super) browsers: Arc<Sharing<Browsers>>,
    pub(super) guard: GuardConfig,
    pub(super) ctx: Ctx,
}

/// An empty page in a context of its own, for one job.
pub struct Tab {
    /// The page.
    pub page: Page,
    /// Its way to the network, if it is guarded.
    pub proxy: Option<Proxy>,
    context: Option<Context>,
    member: Arc<Member>,
    /// Goes back last: the browser may close then.
    _browser: Shared<Browsers>,
}

/// Why there is no tab.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No browser could be had.
    #[error("no browser can be had")]
    Pool(#[from] buttress_pool::Error),
    /// The browser made no context.
    #[error("the browser made no page")]
    Browser(#[from] chromium::Error),
    /// There is no way to the network.
    #[error("the guard did not start")]
    Guard(#[from] guard::Error),
}

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Pool(error) => error.class(),
            Self::Browser(error) => error.class(),
            Self::Guard(error) => error.class(),
        }
    }

    fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Self::Pool(error) => error.retry_after(),
            _ => None,
        }
    }
}

impl Manager for Tabs {
    type Object = Tab;
    type Error = Error;

    async fn create(&self) -> Result<Tab, Error> {
        let proxy = start_guard(&self.guard, &self.ctx).await?;
        let browser = self.browsers.get().await?;
        let member = Arc::clone(&*browser);
        let context = member.browser.context_through(proxy.as_ref().map(Proxy::address)).await?;
        let page = context.page().await?;
        // Whatever the first question costs is paid here and not by a job.
        page.evaluate("0").await?;
        member.count_context();
        Ok(Tab { page, proxy, context: Some(context), member, _browser: browser })
    }

    async fn check(&self, tab: &mut Tab) -> Result<(), Error> {
        // Through the page, so that its renderer is asked too.
        tab.page.evaluate("0").await?;
        Ok(())
    }

    fn condition(&self, tab: &Tab) -> Condition {
        if tab.member.browser.is_gone() || tab.page.crashed() { Condition::Broken } else { Condition::Good }
    }

    async fn close(&self, mut tab: Tab) {
        if let Some(context) = tab.context.take() {
            // A browser that is gone has forgotten it already.
            let _ = context.dispose().await;
        }
    }
}

/// A way to the network, unless it is not guarded.
pub(super) async fn start_guard(config: &GuardConfig, ctx: &Ctx) -> Result<Option<Proxy>, guard::Error> {
    if config.enabled { Proxy::start(config.clone(), ctx).await.map(Some) } else { Ok(None) }
}

impl Tab {
    /// The process group of its browser.
    #[must_use]
    pub fn group(&self) -> i32 {
        self.member.browser.group()
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        self.member.context_closed();
    }
}

impl std::fmt::Debug for Tab {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tab").field("group", &self.group()).finish_non_exhaustive()
    }
}
