//! Who does what a request asks for, as the audit log wants to know it.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use buttress_access::Principal;
use buttress_core::{Ctx, Event, Outcome};
use buttress_telemetry::RequestId;

use crate::client_addr::ClientAddr;

/// Who sent a request, for handlers: `async fn remove(caller: Caller, …)`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Caller {
    /// Who it is; none where nobody was asked.
    pub principal: Option<Principal>,
    /// From where.
    pub address: Option<IpAddr>,
    /// The request.
    pub request_id: Option<RequestId>,
}

impl Caller {
    /// Emits what was done: `noun.verb`, to what, and how it ended.
    pub fn did(&self, ctx: &Ctx, action: &'static str, target: &str, outcome: Outcome) {
        ctx.events.emit(self.event(ctx, action, outcome).target(target));
    }

    /// What was done by it now, for those who have more to say of it and emit it themselves.
    #[must_use]
    pub fn event(&self, ctx: &Ctx, action: &'static str, outcome: Outcome) -> Event {
        let mut event = Event::new(ctx.clock.wall(), action, outcome);
        event.actor = Some(self.to_string());
        event.request_id = self.request_id.as_ref().map(ToString::to_string);
        event
    }
}

/// Its name, and where it has none, its address.
impl std::fmt::Display for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.principal, self.address) {
            (Some(principal), _) => f.write_str(principal.id.as_str()),
            (None, Some(address)) => write!(f, "anonymous at {address}"),
            (None, None) => f.write_str("anonymous"),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let extensions = &parts.extensions;
        Ok(Self {
            principal: extensions.get().cloned(),
            address: extensions.get().map(|&ClientAddr(address)| address),
            request_id: extensions.get().cloned(),
        })
    }
}
