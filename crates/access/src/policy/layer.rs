//! A policy in front of an HTTP service: a [`tower_layer::Layer`].
//!
//! ```
//! use buttress_access::TenantId;
//! use buttress_access::policy::layer::{Target, require};
//! use buttress_access::policy::{LivePolicy, PolicyConfig};
//! use buttress_core::Ctx;
//!
//! /// Whose document it is: here by the path, `/acme/documents/7`.
//! fn document<B>(request: &http::Request<B>) -> Option<Target> {
//!     let mut segments = request.uri().path().split('/').skip(1);
//!     let tenant = TenantId::new(segments.next()?).ok()?;
//!     Some(Target::of(tenant).id(segments.nth(1)?))
//! }
//!
//! let config: PolicyConfig = toml::from_str("[roles.viewer]\nallow = [\"document:read\"]")?;
//! let ctx = Ctx::default();
//! let policy = LivePolicy::new(&config, &ctx)?;
//! let layer = require("document:read", document::<String>, &policy, &ctx)?;
//! # let _ = layer;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::sync::Arc;
use std::task::{Context, Poll};

use buttress_core::{BoxFuture, Ctx, Event, Outcome};
use http::Response;
use metrics::{Counter, counter, describe_counter};
use tower_service::Service;

use super::attributes::Attributes;
use super::decide::decide;
use super::live::LivePolicy;
use super::permission::{Permission, PermissionError};
use super::request::{Request, Resource};
use crate::metrics::DECISIONS;
use crate::network::ClientIp;
use crate::problem::forbidden;
use crate::{Principal, TenantId};

/// What a request is about, as a [`Resource`] of its own. Whose it is has to be said.
#[derive(Debug, Clone)]
pub struct Target {
    tenant: Option<TenantId>,
    id: Option<String>,
    owner: Option<String>,
    attributes: Attributes,
}

impl Target {
    /// Belongs to this tenant.
    #[must_use]
    pub fn of(tenant: TenantId) -> Self {
        Self { tenant: Some(tenant), ..Self::shared() }
    }

    /// Belongs to no tenant.
    #[must_use]
    pub fn shared() -> Self {
        Self { tenant: None, id: None, owner: None, attributes: Attributes::new() }
    }

    /// Its name.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The id of the principal whose it is.
    #[must_use]
    pub fn owner(mut self, owner: impl Into<String>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// What else is known of it.
    #[must_use]
    pub fn attributes(mut self, attributes: Attributes) -> Self {
        self.attributes = attributes;
        self
    }

    /// It, for a decision.
    #[must_use]
    pub fn resource(&self) -> Resource<'_> {
        let resource =
            self.tenant.as_ref().map_or(Resource::shared(), Resource::of).attributes(&self.attributes);
        let resource = self.id.as_deref().map_or(resource, |id| resource.id(id));
        self.owner.as_deref().map_or(resource, |owner| resource.owner(owner))
    }
}

/// What else is known of a principal and a request: in the extensions of the request, where conditions ask for it.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// `principal.*`.
    pub principal: Attributes,
    /// `context.*`.
    pub context: Attributes,
}

/// Tells what a request is about; `None`: that cannot be said, and it is refused.
type ResourceOf<B> = dyn Fn(&http::Request<B>) -> Option<Target> + Send + Sync;

/// Lets requests in that may do `permission` to what `resource` says they are about.
///
/// The principal is the [`Principal`] in the extensions of the request, the address the [`ClientIp`] there, and what else is known the
/// [`Facts`]. What is denied is answered with 403 and the reason in one word; the event `access.decide` has the explanation.
pub fn require<B>(
    permission: &str,
    resource: impl Fn(&http::Request<B>) -> Option<Target> + Send + Sync + 'static,
    policy: &LivePolicy,
    ctx: &Ctx,
) -> Result<RequireLayer<B>, PermissionError> {
    describe_counter!(DECISIONS, "Decisions of policies, by outcome");
    let shared = Shared {
        permission: Permission::new(permission)?,
        resource: Box::new(resource),
        policy: policy.clone(),
        ctx: ctx.clone(),
        allowed: counter!(DECISIONS, "outcome" => "allowed"),
    };
    Ok(RequireLayer { shared: Arc::new(shared) })
}

/// What [`require`] makes.
pub struct RequireLayer<B> {
    shared: Arc<Shared<B>>,
}

struct Shared<B> {
    permission: Permission,
    resource: Box<ResourceOf<B>>,
    policy: LivePolicy,
    ctx: Ctx,
    allowed: Counter,
}

impl<B> Shared<B> {
    /// The reason in one word, where it may not be.
    fn refuses(&self, request: &http::Request<B>) -> Option<&'static str> {
        let extensions = request.extensions();
        let principal = extensions.get::<Principal>();
        let Some(target) = (self.resource)(request) else {
            self.tell(
                principal,
                None,
                "no_resource",
                "denied: nobody knows what the request is about".to_owned(),
            );
            return Some("no_resource");
        };
        let policy = self.policy.load();
        let mut asked = Request::new(principal, &self.permission, target.resource(), self.ctx.clock.wall());
        if let Some(client) = extensions.get::<ClientIp>() {
            asked = asked.from_ip(client.0);
        }
        if let Some(facts) = extensions.get::<Facts>() {
            asked = asked.principal_attributes(&facts.principal).context(&facts.context);
        }
        let decision = decide(&policy, &asked);
        if decision.allowed() {
            self.allowed.increment(1);
            return None;
        }
        self.tell(principal, Some(&target), decision.reason(), decision.to_string());
        Some(decision.reason())
    }

    fn tell(
        &self,
        principal: Option<&Principal>,
        target: Option<&Target>,
        reason: &'static str,
        detail: String,
    ) {
        counter!(DECISIONS, "outcome" => reason).increment(1);
        let id = target.and_then(|target| target.id.as_deref());
        // An id may come from the caller.
        let id: Option<String> =
            id.map(|id| id.chars().filter(|sign| !sign.is_control()).take(128).collect());
        let on = id.map_or_else(|| self.permission.to_string(), |id| format!("{} {id}", self.permission));
        let event =
            Event::new(self.ctx.clock.wall(), "access.decide", Outcome::Denied).target(on).detail(detail);
        self.ctx.events.emit(match principal {
            Some(principal) => event.actor(principal.id.as_str()),
            None => event,
        });
    }
}

// Bodies need not be `Clone`.
impl<B> Clone for RequireLayer<B> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<B> std::fmt::Debug for RequireLayer<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RequireLayer({})", self.shared.permission)
    }
}

impl<S, B> tower_layer::Layer<S> for RequireLayer<B> {
    type Service = Required<S, B>;

    fn layer(&self, inner: S) -> Self::Service {
        Required { inner, shared: Arc::clone(&self.shared) }
    }
}

/// A service that only those may call who have the permission.
pub struct Required<S, B> {
    inner: S,
    shared: Arc<Shared<B>>,
}

impl<S: Clone, B> Clone for Required<S, B> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<S: std::fmt::Debug, B> std::fmt::Debug for Required<S, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Required({}, {:?})", self.shared.permission, self.inner)
    }
}

impl<S, B, R> Service<http::Request<B>> for Required<S, B>
where
    S: Service<http::Request<B>, Response = Response<R>, Future: Send + 'static>,
    R: From<String> + Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<R>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        match self.shared.refuses(&request) {
            None => Box::pin(self.inner.call(request)),
            Some(reason) => Box::pin(std::future::ready(Ok(forbidden(reason)))),
        }
    }
}
