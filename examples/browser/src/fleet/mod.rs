//! The browsers: few of them, pooled, each with many contexts; and a pool of contexts, of which some are ready.
//!
//! A job takes a [`Tab`]: an empty page in a context that nobody has used and nobody will use again. Making one takes a
//! tenth of a second, starting a browser several, so `spare` of them wait ready. A browser is replaced when it has served
//! its share, is old, or has grown; killed when it does not answer or grows without end. No job notices, but one whose
//! browser died in the middle, which is tried again.

mod browsers;
mod config;
mod tabs;

use std::sync::Arc;
use std::time::Duration;

use buttress_core::{ByteSize, Ctx, DynProbe, Validate};
use buttress_pool::{CheckPolicy, Guard, ObjectStatus, Pool, PoolConfig, Sharing, Status};
use serde::Serialize;

use self::browsers::{Browsers, Running};
use crate::chromium::{ChromiumConfig, Leftovers};
use crate::guard::{GuardConfig, Proxy};

pub use self::config::FleetConfig;
pub use self::tabs::{Error, Tab, Tabs};

/// A tab in use. It is closed when this is dropped.
pub type TabGuard = Guard<Tabs>;

/// All browsers. Cheap to clone.
#[derive(Clone)]
pub struct Fleet(Arc<Inner>);

struct Inner {
    tabs: Pool<Tabs>,
    browsers: Arc<Sharing<Browsers>>,
    running: Arc<Running>,
    ctx: Ctx,
    /// For what belongs to no job: a browser's own requests.
    _proxy: Option<Proxy>,
}

/// A browser at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BrowserStatus {
    /// The number of its process group.
    pub group: i32,
    /// Since it was started.
    #[serde(with = "buttress_core::units::duration")]
    pub age: Duration,
    /// Contexts made in it so far.
    pub uses: u64,
    /// Contexts open in it now, those that wait ready included.
    pub contexts: u64,
    /// `in_use` while it has a context, else `idle`.
    pub standing: &'static str,
    /// What its processes held when they were measured last.
    pub memory_bytes: u64,
}

impl Fleet {
    /// A fleet without browsers: the first job starts one. Browsers that an earlier process left behind are ended.
    ///
    /// # Errors
    ///
    /// When the configuration is wrong, or the guard cannot listen.
    pub async fn new(
        chromium: ChromiumConfig,
        config: FleetConfig,
        guard: GuardConfig,
        ctx: &Ctx,
    ) -> Result<Self, Error> {
        chromium.validate().map_err(buttress_pool::Error::Config)?;
        config.validate().map_err(buttress_pool::Error::Config)?;
        if let Some(folder) = chromium.leftovers.clone() {
            let reaped = tokio::task::spawn_blocking(move || Leftovers::reap(&folder)).await;
            match reaped {
                Ok(Ok(0)) | Err(_) => {}
                Ok(Ok(browsers)) => {
                    tracing::warn!(browsers, "ended browsers that an earlier process left behind");
                }
                Ok(Err(error)) => return Err(error.into()),
            }
        }
        let proxy = tabs::start_guard(&guard, ctx).await?;
        let (browsers, running) =
            Browsers::new(chromium, config.clone(), proxy.as_ref().map(Proxy::address), ctx.clone());
        let browsers = Pool::new(browsers, browsers_config(&config), ctx)?;
        let browsers = Arc::new(Sharing::packed(browsers, config.tabs));
        let tabs = Tabs { browsers: Arc::clone(&browsers), guard, ctx: ctx.clone() };
        let tabs = Pool::new(tabs, tabs_config(&config), ctx)?;
        watch(Arc::clone(&running), config, ctx.clone());
        Ok(Self(Arc::new(Inner { tabs, browsers, running, ctx: ctx.clone(), _proxy: proxy })))
    }

    /// A tab for one job.
    ///
    /// # Errors
    ///
    /// When none can be had in time.
    pub async fn tab(&self) -> Result<TabGuard, buttress_pool::Error> {
        self.0.tabs.get().await
    }

    /// The pools of tabs and of browsers.
    #[must_use]
    pub fn status(&self) -> (Status, Status) {
        (self.0.tabs.status(), self.0.browsers.pool().status())
    }

    /// Every browser that runs.
    #[must_use]
    pub fn browsers(&self) -> Vec<BrowserStatus> {
        let now = self.0.ctx.clock.now();
        let status = |member: &Arc<browsers::Member>| {
            let (uses, contexts) = member.contexts();
            BrowserStatus {
                group: member.browser.group(),
                age: member.age(now),
                uses,
                contexts,
                standing: if contexts > 0 { "in_use" } else { "idle" },
                memory_bytes: member.memory().bytes(),
            }
        };
        self.0.running.all().iter().map(status).collect()
    }

    /// Every context, ready or in use.
    #[must_use]
    pub fn contexts(&self) -> Vec<ObjectStatus> {
        self.0.tabs.objects()
    }

    /// What all browsers held in memory when they were measured last.
    #[must_use]
    pub fn memory(&self) -> ByteSize {
        ByteSize::b(self.browsers().iter().map(|browser| browser.memory_bytes).sum())
    }

    /// Whether browsers and contexts can be had.
    #[must_use]
    pub fn probes(&self) -> [DynProbe; 2] {
        [DynProbe::new(self.0.browsers.pool().clone()), DynProbe::new(self.0.tabs.clone())]
    }

    /// Hands out nothing more, and returns when all browsers are gone.
    pub async fn drain(&self) {
        self.0.tabs.drain().await;
        self.0.browsers.pool().drain().await;
    }
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fleet").field("browsers", &self.browsers()).finish_non_exhaustive()
    }
}

fn browsers_config(config: &FleetConfig) -> PoolConfig {
    let mut pool = PoolConfig::default();
    "browsers".clone_into(&mut pool.name);
    pool.max = config.browsers;
    pool.idle = Some(config.idle);
    // Age, uses and size are the manager's to judge: a browser that is shared goes back too seldom.
    pool.max_age = None;
    pool.check = CheckPolicy::Always;
    pool.check_within = Duration::from_secs(40);
    // Shared by jobs one after the other, it may be held as long as it lives.
    pool.leak_after = None;
    pool
}

fn tabs_config(config: &FleetConfig) -> PoolConfig {
    let mut pool = PoolConfig::default();
    "tabs".clone_into(&mut pool.name);
    pool.max = config.capacity();
    pool.min_idle = config.spare;
    pool.wait = config.wait;
    // A context is of one job: what it stored must not be seen by the next.
    pool.max_uses = 1;
    pool.idle = Some(config.idle);
    pool.max_age = Some(config.idle);
    pool.check = CheckPolicy::Always;
    pool.create_within = Duration::from_mins(1);
    pool.leak_after = Some(Duration::from_hours(1));
    pool
}

/// Looks at each browser once in a while.
fn watch(running: Arc<Running>, config: FleetConfig, ctx: Ctx) {
    let shutdown = ctx.shutdown.clone();
    ctx.shutdown.clone().spawn(async move {
        loop {
            tokio::select! {
                () = ctx.clock.sleep(config.watch) => {}
                () = shutdown.stopped() => return,
            }
            for member in running.all() {
                member.look(&config).await;
            }
        }
    });
}
