//! What protects a service: API keys with roles, secrets, and a log of what was done.

mod caller;
mod config;
mod keys;
mod set_up;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use buttress_access::keys::{ApiKeys, Peppers, SqliteKeys};
use buttress_access::layer::AuthLayer;
use buttress_access::network::ClientIp;
use buttress_access::policy::LivePolicy;
use buttress_access::policy::layer::{RequireLayer, Target, require};
use buttress_audit::Log;
use buttress_connect::{Address, ConnectionConfig, sqlite::Sqlite};
use buttress_core::{Ctx, Events, Validate};
use buttress_health::Check;
use buttress_secrets::{Name, Secrets};
use tower::layer::util::Identity;
use tower::util::{Either, option_layer};

pub use self::caller::Caller;
pub use self::config::SecurityConfig;
pub use self::set_up::SetUp;
use crate::client_addr::ClientAddr;
use crate::component::Component;
use crate::error::{BoxError, Error};

/// The secret under which API keys are hashed.
const PEPPER: &str = "api-keys/pepper";

/// What protects a service, as one component of it. Cheap to clone.
///
/// Where the configuration has it [off](SecurityConfig::enabled), nothing is asked for and nothing is logged.
///
/// ```no_run
/// # use axum::{Router, routing::get};
/// # use buttress_service::{Security, SecurityConfig, Service, ServiceConfig};
/// # async fn run(config: SecurityConfig, service: ServiceConfig, telemetry: buttress_telemetry::Telemetry)
/// #     -> Result<(), Box<dyn std::error::Error>> {
/// let (security, ctx) = Security::open("shop", &config, buttress_core::Ctx::default()).await?;
/// let api = Router::new().route("/v1/orders", get(async || "none yet").layer(security.require("order:read")?));
/// let api = security.authenticate(api);
/// Service::new("shop", service, ctx, telemetry).with(security).routes(api).run().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Security(Option<Arc<On>>);

struct On {
    name: String,
    secrets: Secrets,
    keys: ApiKeys,
    policy: LivePolicy,
    log: Log,
    ctx: Ctx,
}

impl std::fmt::Debug for Security {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Security({})", if self.0.is_some() { "on" } else { "off" })
    }
}

impl Security {
    /// Opens what was [set up](Self::set_up). The context that it returns has the events of all components in the audit log.
    ///
    /// # Errors
    ///
    /// [`Error::Security`] names what cannot be opened.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn open(name: &str, config: &SecurityConfig, ctx: Ctx) -> Result<(Self, Ctx), Error> {
        config.validate().map_err(|wrong| cannot("open", "the configuration", wrong))?;
        if !config.enabled {
            return Ok((Self(None), ctx));
        }
        let log = Log::open(&config.log(), &ctx).await;
        let log = log.map_err(|error| cannot("open", "the audit log", error))?;
        let on = On::open(name, config, log, ctx).await?;
        let ctx = on.ctx.clone();
        Ok((Self(Some(Arc::new(on))), ctx))
    }

    /// These routes for those only who show an API key. Handlers and the layers of [`require`](Self::require) know by it who asks.
    pub fn authenticate(&self, routes: Router) -> Router {
        let Some(on) = &self.0 else { return routes };
        let keys = AuthLayer::new(&on.name).keys(on.keys.clone()).public(Vec::<String>::new());
        routes.layer(keys).layer(from_fn(name_address))
    }

    /// A layer that lets only those in who may do this, by the roles of their API key. What it protects belongs to no tenant.
    ///
    /// A layer of axum is about every method that was there before it, so those with permissions of their own are merged:
    /// `get(list).layer(read).merge(post(add).layer(write))`.
    ///
    /// # Errors
    ///
    /// [`Error::Security`] when it is no permission: `"order:read"` is one.
    pub fn require(&self, permission: &str) -> Result<Either<RequireLayer<Body>, Identity>, Error> {
        let layer = self.0.as_ref().map(|on| {
            let shared = |_: &Request| Some(Target::shared());
            require(permission, shared, &on.policy, &on.ctx)
                .map_err(|error| cannot("ask for", "a permission", error))
        });
        Ok(option_layer(layer.transpose()?))
    }

    /// `/v1/keys`: lists, issues, rotates and revokes API keys, for those who may `key:manage`. Nothing where security is off.
    ///
    /// # Errors
    ///
    /// None that this crate could cause.
    pub fn routes(&self) -> Result<Router, Error> {
        let Some(on) = &self.0 else { return Ok(Router::new()) };
        Ok(self
            .authenticate(keys::routes(on.keys.clone(), on.ctx.clone()).layer(self.require("key:manage")?)))
    }

    /// Warns when nothing is asked for although others than this machine reach the address.
    pub fn warn_if_open(&self, listen: SocketAddr) {
        if self.0.is_none() && !listen.ip().is_loopback() {
            tracing::warn!(
                target: "buttress::service",
                %listen,
                "whoever reaches this address may do everything; `init` makes an API key, and `security.enabled = true` asks for it"
            );
        }
    }

    /// Secrets of the service; none where security is off.
    #[must_use]
    pub fn secrets(&self) -> Option<&Secrets> {
        self.0.as_ref().map(|on| &on.secrets)
    }
}

impl On {
    async fn open(name: &str, config: &SecurityConfig, log: Log, mut ctx: Ctx) -> Result<Self, Error> {
        ctx.events = Events::to(Arc::new(log.sink()));
        let secrets = Secrets::from_config(&config.stores(), &ctx).await;
        let secrets = secrets.map_err(|error| cannot("open", "the secrets", error))?;
        let peppers = peppers(&secrets).await?;
        let store = key_store(&config.keys_file()).await?;
        let keys = ApiKeys::open(&config.keys, peppers, store, &ctx).await;
        let keys = keys.map_err(|error| cannot("open", "the API keys", error))?;
        let policy = LivePolicy::new(&config.policy, &ctx);
        let policy = policy.map_err(|error| cannot("use", "the policy", error))?;
        Ok(Self { name: name.to_owned(), secrets, keys, policy, log, ctx })
    }
}

/// All versions of the pepper: keys that were hashed with the one before are good, and hashed anew when they are used.
async fn peppers(secrets: &Secrets) -> Result<Peppers, Error> {
    let failed = |error: BoxError| cannot("read", "the secret `api-keys/pepper`", error);
    let current = secrets.current(PEPPER).await.map_err(|error| failed(error.into()))?;
    let name = Name::new(PEPPER).map_err(|error| failed(error.into()))?;
    let versions = secrets.store().load(&name).await.map_err(|error| failed(error.into()))?;
    let version = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let Some(versions) = versions else {
        return Peppers::new(1, current.expose()).map_err(|error| failed(error.into()));
    };
    let current = &versions.current;
    let made = Peppers::new(version(current.standing.version), current.secret.expose());
    let others = versions.previous.iter().chain(&versions.next);
    let all = others
        .fold(made, |peppers, other| peppers?.accept(version(other.standing.version), other.secret.expose()));
    all.map_err(|error| failed(error.into()))
}

async fn key_store(file: &Path) -> Result<SqliteKeys, Error> {
    let failed = |error: BoxError| cannot("open", "the store of API keys", error);
    let sqlite = Sqlite::open(&Address::sqlite(file), &ConnectionConfig::default()).await;
    let store = SqliteKeys::open(sqlite.map_err(|error| failed(error.into()))?).await;
    store.map_err(|error| failed(error.into()))
}

fn cannot(doing: &'static str, what: &'static str, source: impl Into<BoxError>) -> Error {
    Error::Security { doing, what, source: source.into() }
}

/// Policies ask for addresses by a name of their own.
async fn name_address(mut request: Request, next: Next) -> Response {
    if let Some(&ClientAddr(address)) = request.extensions().get::<ClientAddr>() {
        request.extensions_mut().insert(ClientIp(address));
    }
    next.run(request).await
}

impl Component for Security {
    fn name(&self) -> &'static str {
        "security"
    }

    async fn stop(&self) -> Result<(), BoxError> {
        let Some(on) = &self.0 else { return Ok(()) };
        let flushed = on.keys.flush().await;
        // Components that stop after this one have nothing to tell that anybody did.
        on.log.close().await?;
        Ok(flushed?)
    }

    fn checks(&self) -> Vec<Check> {
        let Some(on) = &self.0 else { return Vec::new() };
        vec![Check::ready(on.log.probe()), Check::ready(on.secrets.clone())]
    }
}
