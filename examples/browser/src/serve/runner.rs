//! Jobs taken from the store and carried out on the fleet, as many at a time as it has tabs.

use std::sync::Arc;
use std::time::Duration;

use buttress_core::{BoxFuture, Ctx};
use buttress_service::{BoxError, Component};
use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::fleet::Fleet;
use crate::flow::FlowCache;
use crate::jobs::{Artifacts, Claimed, Store};
use crate::report::{Failure, Report};
use crate::run::{Failed, Shelf, run};

/// The pause after the store refused, so that a full disk is not asked without end.
const AFTER_TROUBLE: Duration = Duration::from_secs(1);
/// How often what is old is forgotten.
const PRUNE_EVERY: Duration = Duration::from_mins(10);

/// Runs jobs until the service stops. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Runner {
    pub(crate) store: Store,
    pub(crate) artifacts: Artifacts,
    pub(crate) fleet: Fleet,
    pub(crate) flows: FlowCache,
    /// One permit a job at a time.
    pub(crate) turns: Arc<Semaphore>,
    pub(crate) capacity: u32,
    pub(crate) ctx: Ctx,
}

impl Runner {
    /// Claims jobs as long as new ones may begin.
    async fn claim(self) {
        while !self.ctx.shutdown.is_draining() {
            let Ok(turn) = Arc::clone(&self.turns).acquire_owned().await else { return };
            let claimed = tokio::select! {
                claimed = self.store.claim() => claimed,
                () = self.ctx.shutdown.drained() => return,
            };
            match claimed {
                Ok(Some(claimed)) => {
                    let runner = self.clone();
                    self.ctx.shutdown.spawn(async move {
                        runner.work(&claimed).await;
                        drop(turn);
                    });
                }
                Ok(None) => {
                    drop(turn);
                    tokio::select! {
                        () = self.store.wait_for_work() => {}
                        () = self.ctx.shutdown.drained() => return,
                    }
                }
                Err(error) => {
                    tracing::error!(error = %Failed::of(&error), "no job can be claimed");
                    self.ctx.clock.sleep(AFTER_TROUBLE).await;
                }
            }
        }
    }

    /// Carries out a job, and tells the store what came of it.
    async fn work(&self, claimed: &Claimed) {
        let job = claimed.job();
        let report = tokio::select! {
            report = self.report(claimed) => Some(report),
            // Whoever asked wants no report; the store knows who it was.
            () = claimed.cancelled() => Some(Report::default()),
            () = self.ctx.shutdown.stopped() => None,
        };
        let settled = match report {
            Some(report) => {
                let outcome = report.failure.as_ref().map_or("done", |_| "failed");
                tracing::info!(job = %job.id, tenant = job.tenant, attempt = job.attempt, outcome, "a job ended");
                self.store.finish(claimed, report).await
            }
            None => self.store.give_back(claimed).await,
        };
        if let Err(error) = settled {
            tracing::error!(job = %job.id, error = %Failed::of(&error), "the end of a job could not be kept");
        }
    }

    async fn report(&self, claimed: &Claimed) -> Report {
        let job = claimed.job();
        match self.try_to_run(claimed).await {
            Ok(report) => report,
            Err(failed) => {
                tracing::warn!(job = %job.id, error = %failed, "a job could not begin");
                Report { failure: Some(failed.at(None)), ..Report::default() }
            }
        }
    }

    async fn try_to_run(&self, claimed: &Claimed) -> Result<Report, Failed> {
        let job = claimed.job();
        let flow = self.flows.get_or_compile(&job.flow)?;
        let scope = flow.bind(job.inputs.clone())?;
        let tab = self.fleet.tab().await?;
        Ok(run(&flow, scope, &tab, &self.artifacts, &self.ctx).await)
    }

    /// Forgets old jobs and what they left, now and then.
    async fn prune(self) {
        loop {
            match self.store.prune(self.ctx.clock.wall()).await {
                Ok(pruned) => {
                    if let Err(error) = self.artifacts.release(pruned.artifacts).await {
                        tracing::warn!(error = %Failed::of(&error), "artifacts could not be removed");
                    }
                }
                Err(error) => tracing::warn!(error = %Failed::of(&error), "old jobs could not be forgotten"),
            }
            tokio::select! {
                () = self.ctx.clock.sleep(PRUNE_EVERY) => {}
                () = self.ctx.shutdown.stopped() => return,
            }
        }
    }
}

impl Component for Runner {
    fn name(&self) -> &'static str {
        "runner"
    }

    async fn start(&self, ctx: &Ctx) -> Result<(), BoxError> {
        ctx.shutdown.spawn(self.clone().claim());
        ctx.shutdown.spawn(self.clone().prune());
        Ok(())
    }

    /// The jobs in hand come to their end.
    async fn drain(&self) {
        let _all = self.turns.acquire_many(self.capacity).await;
    }

    /// No browser outlives the service.
    async fn stop(&self) -> Result<(), BoxError> {
        self.fleet.drain().await;
        Ok(())
    }
}

impl Shelf for Artifacts {
    fn keep<'a>(&'a self, _: &'a str, content: Bytes) -> BoxFuture<'a, Result<String, Failed>> {
        Box::pin(async move { Ok(self.put(content).await?) })
    }
}

impl Failed {
    /// As reports have it.
    pub(crate) fn at(self, step: Option<String>) -> Failure {
        Failure { step, class: self.class(), message: self.to_string() }
    }
}
