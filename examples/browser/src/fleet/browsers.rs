//! The pool of browsers.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use buttress_core::{ByteSize, Ctx};
use buttress_pool::{Condition, Manager};

use super::config::FleetConfig;
use crate::chromium::{Browser, ChromiumConfig, Error};

/// Starts browsers, and knows all that run.
pub(super) struct Browsers {
    chromium: ChromiumConfig,
    config: FleetConfig,
    /// Where what belongs to no job goes to the network.
    proxy: Option<SocketAddr>,
    ctx: Ctx,
    running: Arc<Running>,
}

/// The browsers that run, for those who watch them.
#[derive(Default)]
pub(super) struct Running(Mutex<Vec<Weak<Member>>>);

/// A browser of the fleet, used by several jobs at once.
pub(super) struct Member {
    pub(super) browser: Browser,
    started: Instant,
    /// Contexts made in it so far.
    contexts: AtomicU64,
    /// Contexts open in it now.
    open: AtomicU64,
    memory: AtomicU64,
    /// Whether it did not answer when it was asked last.
    silent: AtomicBool,
}

impl Browsers {
    pub(super) fn new(
        chromium: ChromiumConfig,
        config: FleetConfig,
        proxy: Option<SocketAddr>,
        ctx: Ctx,
    ) -> (Self, Arc<Running>) {
        let running = Arc::<Running>::default();
        (Self { chromium, config, proxy, ctx, running: Arc::clone(&running) }, running)
    }
}

impl Manager for Browsers {
    type Object = Arc<Member>;
    type Error = Error;

    async fn create(&self) -> Result<Arc<Member>, Error> {
        let browser = Browser::launch(&self.chromium, self.proxy, &self.ctx).await?;
        let member = Arc::new(Member {
            browser,
            started: self.ctx.clock.now(),
            contexts: AtomicU64::new(0),
            open: AtomicU64::new(0),
            memory: AtomicU64::new(0),
            silent: AtomicBool::new(false),
        });
        self.running.add(&member);
        Ok(member)
    }

    async fn check(&self, member: &mut Arc<Member>) -> Result<(), Error> {
        member.browser.probe(self.config.answer).await
    }

    fn condition(&self, member: &Arc<Member>) -> Condition {
        let age = self.ctx.clock.now().saturating_duration_since(member.started);
        if member.browser.is_gone() {
            Condition::Broken
        } else if member.contexts.load(Ordering::Relaxed) >= self.config.uses
            || age >= self.config.age
            || member.memory() >= self.config.memory
        {
            Condition::Worn
        } else {
            Condition::Good
        }
    }

    async fn close(&self, member: Arc<Member>) {
        if let Err(error) = member.browser.close().await {
            tracing::warn!(%error, "a browser did not close in order");
        }
    }
}

impl Running {
    fn add(&self, member: &Arc<Member>) {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|member| member.strong_count() > 0);
        running.push(Arc::downgrade(member));
    }

    pub(super) fn all(&self) -> Vec<Arc<Member>> {
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.iter().filter_map(Weak::upgrade).collect()
    }
}

impl Member {
    pub(super) fn count_context(&self) {
        self.contexts.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn context_closed(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Contexts made so far, and those open now.
    pub(super) fn contexts(&self) -> (u64, u64) {
        (self.contexts.load(Ordering::Relaxed), self.open.load(Ordering::Relaxed))
    }

    /// What its processes held when they were measured last.
    pub(super) fn memory(&self) -> ByteSize {
        ByteSize::b(self.memory.load(Ordering::Relaxed))
    }

    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    /// Measures it and asks whether it answers. One that is far too large, or was silent twice, is killed: its jobs are
    /// told at once, and tried again elsewhere.
    pub(super) async fn look(&self, config: &FleetConfig) {
        if self.browser.is_gone() {
            return;
        }
        let memory = self.browser.memory().await;
        self.memory.store(memory.bytes(), Ordering::Relaxed);
        let silent = self.browser.probe(config.answer).await.is_err();
        let again = self.silent.swap(silent, Ordering::Relaxed) && silent;
        let far_too_large = memory.bytes() >= config.memory.bytes().saturating_mul(2);
        if again || far_too_large {
            let why = if again { "it does not answer" } else { "it holds too much memory" };
            tracing::warn!(group = self.browser.group(), memory = %memory.human(), why, "a browser is killed");
            self.browser.kill();
        }
    }
}
