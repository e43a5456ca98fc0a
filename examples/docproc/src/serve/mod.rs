//! The service: documents over HTTP, kept before they are acknowledged.

mod api;
mod page;
mod queue;
pub mod records;
pub mod store;
mod upload;

use std::sync::Arc;

use anyhow::{Context, Result};
use buttress_core::{Ctx, Probe, Vitality};
use buttress_docpipeline::Workers;
use buttress_health::Check;
use buttress_service::{BoxError, Component, RateLimit, Security, Service};
use buttress_telemetry::Telemetry;

use crate::config::DocprocConfig;
use api::Api;
use queue::Queue;
use store::Store;
use upload::Bounds;

/// Runs the service until it is asked to stop.
///
/// # Errors
///
/// When it cannot start, or does not stop in order.
pub async fn run(config: DocprocConfig) -> Result<()> {
    let config = config.shared();
    let ctx = Ctx::default();
    let telemetry = Telemetry::init(&config.telemetry, &ctx)?;
    telemetry.build_info("docproc", env!("CARGO_PKG_VERSION"));
    let security = Security::open("docproc", &config.security, ctx).await;
    let (security, ctx) = security.context("`docproc init` makes what `security.enabled` needs")?;
    security.warn_if_open(config.service.listen);
    // First: what is wrong with it is known at once.
    let limits = RateLimit::open(&config.limits, &ctx).await;
    let limits = limits
        .context("cannot set up `limits`; `redis_url` or `limits.shared.url` says where they are shared")?;
    let backups = if config.backup.is_on() {
        Some(crate::backup::keeper(&config, &ctx).await.context("cannot make backups")?)
    } else {
        None
    };
    let folder = config.store.folder.clone();
    let store =
        Store::open(&folder).with_context(|| format!("cannot open the store in {}", folder.display()))?;
    let workers = Workers::new(config.pipeline.clone(), config.workers.clone(), &ctx);
    let queue = Queue::new(store.clone(), workers, config.store.attempts, &ctx);
    let api = Api {
        store: store.clone(),
        queue: queue.clone(),
        digest: config.pipeline.digest().into(),
        bounds: Bounds::of(&config.pipeline.limits),
        config: Arc::new(config.store),
        ctx: ctx.clone(),
    };
    let routes = api::routes(api.clone(), &security)?.merge(security.routes()?).layer(limits.layer());
    let long_routes = api::long_routes(api, &security)?.layer(limits.layer());
    let mut service = Service::new("docproc", config.service, ctx, telemetry)
        .with(security)
        .with(limits.clone())
        .with(store)
        .with(queue);
    if let Some(backups) = backups {
        service = service.with(backups);
    }
    service.routes(routes).routes(page::routes()).long_routes(long_routes).run().await?;
    Ok(())
}

impl Component for Store {
    fn name(&self) -> &'static str {
        "store"
    }

    fn checks(&self) -> Vec<Check> {
        vec![Check::ready(Database(self.clone()))]
    }
}

/// Whether the database answers.
struct Database(Store);

impl Probe for Database {
    fn name(&self) -> &'static str {
        "database"
    }

    async fn check(&self) -> Vitality {
        match self.0.run(Store::ping).await {
            Ok(()) => Vitality::Pass,
            Err(error) => Vitality::Fail(error.to_string()),
        }
    }
}

impl Component for Queue {
    fn name(&self) -> &'static str {
        "queue"
    }

    async fn start(&self, _: &Ctx) -> Result<(), BoxError> {
        Queue::start(self);
        Ok(())
    }

    async fn drain(&self) {
        self.idle().await;
    }
}
