//! The life of a service: start in order, serve, drain, stop in reverse.

use std::time::{Duration, Instant};

use axum::Router;
use buttress_core::{Ctx, Validate, chain, timeout};
use buttress_health::{Check, Health};
use buttress_telemetry::Telemetry;
use tokio::task::JoinHandle;

use crate::component::{AnyComponent, Component};
use crate::config::ServiceConfig;
use crate::error::Error;
use crate::server::{ConnectionLimits, Server, bind};
use crate::stop::{Bound, Handle, Signals};
use crate::{metrics, probes, stack};

/// Connections to the admin port: an orchestrator, a scraper, and a few people.
const ADMIN_CONNECTIONS: usize = 64;

/// How long the end of a service waits for its last log lines to be written.
const LAST_FLUSH: Duration = Duration::from_secs(1);

/// An HTTP service and everything it is made of. See the [crate documentation](crate) for an example.
#[must_use = "a service does nothing until it is run"]
pub struct Service {
    name: String,
    config: ServiceConfig,
    ctx: Ctx,
    telemetry: Telemetry,
    handle: Handle,
    components: Vec<Box<dyn AnyComponent>>,
    checks: Vec<Check>,
    routes: Router,
    long_routes: Router,
}

impl Service {
    /// A service without components or routes.
    pub fn new(name: impl Into<String>, config: ServiceConfig, ctx: Ctx, telemetry: Telemetry) -> Self {
        Self {
            name: name.into(),
            config,
            ctx,
            telemetry,
            handle: Handle::new(),
            components: Vec::new(),
            checks: Vec::new(),
            routes: Router::new(),
            long_routes: Router::new(),
        }
    }

    /// Adds a component, which starts after those added before it.
    pub fn with(mut self, component: impl Component) -> Self {
        self.checks.extend(component.checks());
        self.components.push(Box::new(component));
        self
    }

    /// Adds a health check that belongs to no component.
    pub fn check(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }

    /// Adds routes that answer soon: `limits.deadline` and `limits.body` hold for them.
    ///
    /// # Panics
    ///
    /// When a route overlaps one added before, as [`Router::merge`] does.
    pub fn routes(mut self, routes: Router) -> Self {
        self.routes = self.routes.merge(routes);
        self
    }

    /// Adds routes that take as long as the other side does: uploads and event streams. They have no deadline, and
    /// `limits.long_body` and `limits.long_requests` hold for them.
    ///
    /// An event stream should end when `ctx.shutdown` drains; one that does not is broken off at the end of
    /// `drain.finish_within`.
    ///
    /// # Panics
    ///
    /// When a route overlaps one added before, as [`Router::merge`] does.
    pub fn long_routes(mut self, routes: Router) -> Self {
        self.long_routes = self.long_routes.merge(routes);
        self
    }

    /// What stops the service from elsewhere, and tells where it listens.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs the service until SIGTERM, SIGINT, [`Handle::stop`] or a drain of its context.
    ///
    /// `Ok` means that it stopped in order. A second request to stop ends it at once with [`Error::Interrupted`].
    pub async fn run(self) -> Result<(), Error> {
        let (telemetry, handle) = (self.telemetry.clone(), self.handle.clone());
        let result = self.live().await;
        handle.ended();
        if let Err(error) = &result {
            tracing::error!(target: "buttress::service", error = chain(error), "the service failed");
        }
        // Lines that a stalled reader has not taken by then are lost with the process.
        let _ = tokio::task::spawn_blocking(move || telemetry.flush(LAST_FLUSH)).await;
        result
    }

    async fn live(self) -> Result<(), Error> {
        let Self { name, config, ctx, telemetry, handle, components, checks, routes, long_routes } = self;
        config.validate().map_err(Error::Config)?;
        metrics::describe();
        let _signals = watch_signals(handle.clone())?;
        let (listener, main) = bind(config.listen).await?;
        let admin_listener = match config.admin_listen {
            Some(address) => Some(bind(address).await?),
            None => None,
        };

        let mut health = Health::builder(&ctx).config(config.health.clone());
        for check in checks {
            health = health.check(check);
        }
        let health = health.start().map_err(Error::Health)?;
        let probes = probes::router(health.clone(), telemetry);
        let app = stack::stack(routes, long_routes, &config, &ctx.clock);

        // Probes on a port of their own answer from here on; shared with the service, once everything has started.
        let limits = connection_limits(&config);
        let admin_limits = ConnectionLimits { connections: ADMIN_CONNECTIONS, ..limits.clone() };
        let start_admin = |(listener, address)| {
            (Server::start(listener, probes.clone(), admin_limits, ctx.clock.clone(), "admin"), address)
        };
        let admin = admin_listener.map(start_admin);
        let bound = Bound { main, admin: admin.as_ref().map_or(main, |(_, address)| *address) };
        let app = if admin.is_some() { app } else { probes.fallback_service(app) };

        let life = Life { config: &config, ctx: &ctx, health: &health, components: &components };
        let mut begun = 0;
        let started = tokio::select! {
            started = life.start(&mut begun) => started.map(|()| true),
            () = handle.asked(1) => Ok(false),
        };
        let server = match &started {
            Ok(true) => {
                health.mark_started();
                handle.serves(bound);
                tracing::info!(
                    target: "buttress::service",
                    service = name,
                    address = %bound.main,
                    admin = %bound.admin,
                    "listening"
                );
                let server = Server::start(listener, app, limits, ctx.clock.clone(), "main");
                tokio::select! {
                    () = handle.asked(1) => {}
                    () = ctx.shutdown.drained() => {}
                }
                Some(server)
            }
            _ => None,
        };
        let stopped = tokio::select! {
            stopped = life.end(server, begun) => stopped,
            () = handle.asked(2) => {
                ctx.shutdown.stop();
                Err(Error::Interrupted)
            }
        };
        started.and(stopped)
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let components: Vec<&str> = self.components.iter().map(|component| component.name()).collect();
        f.debug_struct("Service")
            .field("name", &self.name)
            .field("components", &components)
            .finish_non_exhaustive()
    }
}

/// What starting and stopping work on.
struct Life<'a> {
    config: &'a ServiceConfig,
    ctx: &'a Ctx,
    health: &'a Health,
    components: &'a [Box<dyn AnyComponent>],
}

impl Life<'_> {
    /// Starts the components in order, and counts those it has begun to start.
    async fn start(&self, begun: &mut usize) -> Result<(), Error> {
        for component in self.components {
            *begun += 1;
            component
                .start(self.ctx)
                .await
                .map_err(|source| Error::Start { component: component.name().to_owned(), source })?;
            tracing::info!(target: "buttress::service", component = component.name(), "started");
        }
        Ok(())
    }

    /// Drains what serves, and stops the first `begun` components.
    async fn end(&self, server: Option<Server>, begun: usize) -> Result<(), Error> {
        let (drain, shutdown) = (&self.config.drain, &self.ctx.shutdown);
        let begun = self.components.get(..begun).unwrap_or(self.components);
        self.health.drain();
        tracing::info!(target: "buttress::service", "draining");
        if server.is_some() {
            self.ctx.clock.sleep(drain.pre_stop_delay).await;
        }

        shutdown.drain();
        let finish = async {
            if let Some(mut server) = server {
                server.close();
                server.closed().await;
            }
            // Requests may hand work to components, so these finish after them.
            for component in begun.iter().rev() {
                component.drain().await;
            }
        };
        if timeout(&*self.ctx.clock, drain.finish_within, finish).await.is_err() {
            tracing::warn!(target: "buttress::service", "not everything in hand was finished in time; breaking off");
        }

        shutdown.stop();
        let deadline = self.ctx.clock.now() + drain.stop_within;
        let mut result = Ok(());
        for component in begun.iter().rev() {
            let stopped = match timeout(&*self.ctx.clock, self.until(deadline), component.stop()).await {
                Ok(stopped) => stopped,
                Err(elapsed) => Err(elapsed.into()),
            };
            if let Err(source) = stopped {
                let component = component.name().to_owned();
                let error = Error::Stop { component, source };
                tracing::error!(target: "buttress::service", error = chain(&error), "going on with the others");
                result = result.and(Err(error));
            }
        }
        if timeout(&*self.ctx.clock, self.until(deadline), shutdown.finished()).await.is_err() {
            result = result.and(Err(Error::Unfinished { tasks: shutdown.tasks() }));
        }
        if result.is_ok() {
            tracing::info!(target: "buttress::service", "stopped");
        }
        result
    }

    fn until(&self, deadline: Instant) -> Duration {
        deadline.saturating_duration_since(self.ctx.clock.now())
    }
}

fn connection_limits(config: &ServiceConfig) -> ConnectionLimits {
    ConnectionLimits {
        connections: config.limits.connections,
        headers: config.limits.headers,
        header_timeout: config.limits.header_timeout,
    }
}

/// Passes signals on to the handle for as long as the result lives.
fn watch_signals(handle: Handle) -> Result<AbortOnDrop, Error> {
    let mut signals = Signals::listen()?;
    Ok(AbortOnDrop(tokio::spawn(async move {
        loop {
            let signal = signals.next().await;
            tracing::info!(target: "buttress::service", %signal, "asked to stop");
            handle.stop();
        }
    })))
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
