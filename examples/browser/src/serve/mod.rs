//! The service: workflows over HTTP, kept before they are acknowledged, run on pooled browsers.

mod api;
mod events;
mod page;
mod runner;
mod state;
mod tenancy;

use std::sync::Arc;

use anyhow::{Context, Result};
use buttress_core::{Ctx, DynProbe, Probe, Vitality};
use buttress_health::Check;
use buttress_service::{RateLimit, Security, Service};
use buttress_telemetry::Telemetry;
use tokio::sync::Semaphore;

use crate::config::BrowserConfig;
use crate::fleet::Fleet;
use crate::flow::FlowCache;
use crate::jobs::{Artifacts, Store};
use crate::language::Translator;
use api::Api;
use runner::Runner;
use tenancy::Tenancy;

/// Runs the service until it is asked to stop.
///
/// # Errors
///
/// When it cannot start, or does not stop in order.
pub async fn run(config: BrowserConfig) -> Result<()> {
    let config = config.shared();
    let ctx = Ctx::default();
    let telemetry = Telemetry::init(&config.telemetry, &ctx)?;
    telemetry.build_info("browser", env!("CARGO_PKG_VERSION"));
    let settings = config.placed_security();
    // Before all others: what they do is in its log.
    let (security, ctx) = Security::open("browser", &settings, ctx)
        .await
        .context("cannot open what `security` names; `browser init --owner NAME` makes it")?;
    security.warn_if_open(config.service.listen);
    let tenancy = Tenancy::new(&settings).context("cannot use `security.policy`")?;
    // First: what is wrong with it is known before a browser is started.
    let limits = RateLimit::open(&config.limits, &ctx).await;
    let limits = limits
        .context("cannot set up `limits`; `redis_url` or `limits.shared.url` says where they are shared")?;
    let folder = config.jobs.folder.clone();
    let store = Store::open(&config.jobs, &ctx)
        .with_context(|| format!("cannot open the store of jobs in {}", folder.display()))?;
    let artifacts = Artifacts::open(&folder.join("artifacts"), config.jobs.artifacts, &ctx)?;
    // What a run put there that was killed before it could say so.
    artifacts.release(store.unnamed(artifacts.hashes()).await?).await?;
    let mut language = config.language;
    if language.folder.is_relative() {
        language.folder = folder.join(language.folder);
    }
    let translator = Translator::open_with(&language, security.secrets(), &ctx).await?;
    let mut chromium = config.chromium;
    // Browsers of a process that was killed are found here and ended.
    chromium.leftovers.get_or_insert_with(|| folder.join("browsers"));
    let capacity = config.fleet.capacity();
    let fleet = Fleet::new(chromium, config.fleet, config.guard, &ctx).await?;
    let runner = Runner {
        store,
        artifacts,
        fleet: fleet.clone(),
        flows: FlowCache::new(config.flow_cache, &ctx)?,
        turns: Arc::new(Semaphore::new(capacity)),
        capacity: u32::try_from(capacity).unwrap_or(u32::MAX),
        ctx: ctx.clone(),
    };
    let answers = translator.probe();
    let api = Api { runner: runner.clone(), translator, tenancy, model: language.model };
    let [browsers, tabs] = fleet.probes();
    // The last that stops.
    let service = Service::new("browser", config.service, ctx, telemetry).with(security.clone());
    let mut service = service.with(limits.clone()).with(runner);
    if let Some(answers) = answers {
        service = service.check(Check::ready(Named("answers", answers)));
    }
    service
        .check(Check::ready(Named("browsers", browsers)))
        .check(Check::ready(Named("tabs", tabs)))
        .routes(api::routes(api.clone(), &security)?.layer(limits.layer()))
        .routes(security.routes()?.layer(limits.layer()))
        .routes(page::routes())
        .long_routes(api::long_routes(api, &security)?.layer(limits.layer()))
        .run()
        .await?;
    Ok(())
}

/// A probe of any kind, as one of a known kind.
struct Named(&'static str, DynProbe);

impl Probe for Named {
    fn name(&self) -> &'static str {
        self.0
    }

    async fn check(&self) -> Vitality {
        self.1.check().await
    }
}
