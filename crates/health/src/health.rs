//! The registry: starts the checks, and answers from what they found.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use buttress_core::{Ctx, Probe, Validate};

use crate::check::{Check, Group};
use crate::config::HealthConfig;
use crate::error::Error;
use crate::report::{CheckReport, Report, Status};
use crate::runner::Runner;

/// Collects checks; [`start`](Builder::start) runs them.
#[derive(Debug)]
#[must_use = "the checks run once `start` is called"]
pub struct Builder {
    ctx: Ctx,
    config: HealthConfig,
    checks: Vec<Check>,
}

impl Builder {
    /// Uses this configuration instead of the default.
    pub fn config(mut self, config: HealthConfig) -> Self {
        self.config = config;
        self
    }

    /// Adds a required readiness check.
    pub fn ready(self, probe: impl Probe) -> Self {
        self.check(Check::ready(probe))
    }

    /// Adds a required startup check.
    pub fn startup(self, probe: impl Probe) -> Self {
        self.check(Check::startup(probe))
    }

    /// Adds a required liveness check. See [`Check::live`] for what it may look at.
    pub fn live(self, probe: impl Probe) -> Self {
        self.check(Check::live(probe))
    }

    /// Adds a check with settings of its own.
    pub fn check(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }

    /// Starts every check and the heartbeat in the background; they end when the context's shutdown stops.
    pub fn start(self) -> Result<Health, Error> {
        self.config.validate().map_err(Error::Config)?;
        tokio::runtime::Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let mut names = HashSet::new();
        for check in &self.checks {
            if !names.insert((check.group, check.name())) {
                return Err(Error::DuplicateName {
                    group: check.group.as_str(),
                    name: check.name().to_owned(),
                });
            }
        }
        crate::metrics::describe();
        let runners =
            self.checks.into_iter().map(|check| Runner::new(check, &self.config, &self.ctx)).collect();
        let health = Health(Arc::new(Inner {
            runners,
            heartbeat_limit: self.config.heartbeat_limit,
            last_beat: ArcSwap::from_pointee(self.ctx.clock.now()),
            started: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            ctx: self.ctx,
        }));
        for index in 0..health.0.runners.len() {
            let inner = Arc::clone(&health.0);
            health.0.ctx.shutdown.spawn(async move {
                if let Some(runner) = inner.runners.get(index) {
                    runner.run(&inner.ctx).await;
                }
            });
        }
        let inner = Arc::clone(&health.0);
        health.0.ctx.shutdown.spawn(async move { inner.beat().await });
        Ok(health)
    }
}

/// Answers whether the process is live, ready and started, from what background checks found. Cheap to clone.
#[derive(Clone)]
pub struct Health(Arc<Inner>);

struct Inner {
    ctx: Ctx,
    runners: Vec<Runner>,
    heartbeat_limit: Duration,
    last_beat: ArcSwap<Instant>,
    started: AtomicBool,
    draining: AtomicBool,
}

impl Health {
    /// Begins a registry of checks.
    pub fn builder(ctx: &Ctx) -> Builder {
        Builder { ctx: ctx.clone(), config: HealthConfig::default(), checks: Vec::new() }
    }

    /// Says that everything has been started. Until then the process is neither started nor ready.
    pub fn mark_started(&self) {
        self.0.started.store(true, Ordering::Release);
    }

    /// Makes readiness fail from now on, so that whoever routes requests stops sending them here.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Release);
    }

    /// How a group is, by what is known now. Asks nobody and waits for nothing, whoever calls and however often.
    #[must_use]
    pub fn report(&self, group: Group) -> Report {
        let now = self.0.ctx.clock.now();
        let checks: Vec<CheckReport> = self
            .0
            .runners
            .iter()
            .filter(|runner| group == Group::All || runner.group() == group)
            .map(|runner| runner.report(now))
            .collect();
        let own = match group {
            Group::Live => self.0.heart_trouble(now),
            Group::Startup => self.0.start_trouble(),
            Group::Ready | Group::All => self
                .0
                .start_trouble()
                .or_else(|| self.0.drain_trouble())
                .or_else(|| self.0.heart_trouble(now)),
        };
        let worst = checks.iter().map(|check| check.status).max().unwrap_or(Status::Pass);
        Report {
            status: if own.is_some() { Status::Fail } else { worst },
            output: own.map(str::to_owned),
            checks,
        }
    }
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.runners.iter().map(Runner::name)).finish()
    }
}

impl Inner {
    /// Shows that the runtime still runs tasks.
    async fn beat(&self) {
        loop {
            self.last_beat.store(Arc::new(self.ctx.clock.now()));
            tokio::select! {
                () = self.ctx.clock.sleep(self.heartbeat_limit / 10) => {}
                () = self.ctx.shutdown.stopped() => return,
            }
        }
    }

    fn heart_trouble(&self, now: Instant) -> Option<&'static str> {
        let age = now.saturating_duration_since(**self.last_beat.load());
        // A process that is stopping has stopped its heartbeat too, and must not be killed for it.
        (age > self.heartbeat_limit && !self.ctx.shutdown.is_stopping())
            .then_some("the runtime does not run its tasks")
    }

    fn start_trouble(&self) -> Option<&'static str> {
        (!self.started.load(Ordering::Acquire)).then_some("starting")
    }

    fn drain_trouble(&self) -> Option<&'static str> {
        (self.draining.load(Ordering::Acquire) || self.ctx.shutdown.is_draining()).then_some("draining")
    }
}
