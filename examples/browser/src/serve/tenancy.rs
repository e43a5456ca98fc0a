//! Whose jobs a request is about.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use buttress_access::Principal;
use buttress_access::policy::{Permission, Policy, Request, Resource, decide};
use buttress_core::{Ctx, ErrorClass, Key, Outcome, Validate, Violations};
use buttress_service::{Caller, Problem, SecurityConfig};

use super::api::Api;

/// Whose a job is whose request does not say.
const NOBODY: &str = "default";
/// The longest part of a request's own words in the audit log, in characters.
const LONGEST_TARGET: usize = 200;

type Answer<T> = Result<T, Problem>;

/// Tells whose jobs somebody sees. Where security is off, a request says so itself.
#[derive(Clone)]
pub(crate) struct Tenancy(Option<Arc<Rules>>);

struct Rules {
    policy: Policy,
    /// Who may issue keys of any tenant may see any tenant's jobs.
    manage: Permission,
}

impl Tenancy {
    pub(crate) fn new(config: &SecurityConfig) -> Result<Self, Violations> {
        if !config.enabled {
            return Ok(Self(None));
        }
        config.validate()?;
        let policy = Policy::new(&config.policy)?;
        let manage = Permission::new("key:manage").map_err(|error| {
            let mut wrong = Violations::new();
            wrong.require(false, "policy", "key:manage", error.to_string());
            wrong
        })?;
        Ok(Self(Some(Arc::new(Rules { policy, manage }))))
    }

    fn ask(&self, caller: Caller, said: Option<Key>, ctx: &Ctx) -> Answer<Asker> {
        let Some(rules) = &self.0 else {
            let own = said.clone().map_or_else(|| Key::new(NOBODY), Ok)?;
            return Ok(Asker { caller, own, said, all: true });
        };
        // Those who did not show a key have been refused before.
        let Some(principal) = &caller.principal else {
            return Err(Problem::new(ErrorClass::Unauthenticated));
        };
        let own = match &principal.tenant {
            Some(tenant) => Key::new(tenant.as_str())?,
            None => principal.id.clone(),
        };
        let all = rules.sees_all(principal, ctx);
        let asker = Asker { caller, own, said, all };
        if !all {
            asker.own()?;
        }
        Ok(asker)
    }
}

impl Rules {
    fn sees_all(&self, principal: &Principal, ctx: &Ctx) -> bool {
        let asked = Request::new(Some(principal), &self.manage, Resource::shared(), ctx.clock.wall());
        principal.tenant.is_none() && decide(&self.policy, &asked).allowed()
    }
}

/// Who asks, and for whom.
pub(crate) struct Asker {
    pub(crate) caller: Caller,
    own: Key,
    /// The tenant that the request names.
    said: Option<Key>,
    /// Whether it sees the jobs of all.
    all: bool,
}

impl Asker {
    /// Whose a job is that it hands in.
    pub(crate) fn own(&self) -> Answer<&Key> {
        match &self.said {
            Some(said) if *said != self.own => Err(Problem::new(ErrorClass::Forbidden).detail(format!(
                "x-tenant names another tenant than the API key, whose jobs are those of {}; leave it out",
                self.own
            ))),
            _ => Ok(&self.own),
        }
    }

    /// Whose jobs it sees; none: everybody's.
    pub(crate) fn seen(&self) -> Option<&Key> {
        if self.all { self.said.as_ref() } else { Some(&self.own) }
    }

    /// Tells the audit log what was done or tried.
    pub(crate) fn did<T>(&self, ctx: &Ctx, action: &'static str, target: &str, answer: &Answer<T>) {
        let outcome = match answer {
            Ok(_) => Outcome::Success,
            Err(problem) if problem.class() == ErrorClass::Forbidden => Outcome::Denied,
            Err(_) => Outcome::Failure,
        };
        let target: String = target.chars().filter(|sign| !sign.is_control()).take(LONGEST_TARGET).collect();
        self.caller.did(ctx, action, &target, outcome);
    }
}

impl FromRequestParts<Api> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Answer<Self> {
        let Ok(caller) = Caller::from_request_parts(parts, api).await;
        api.tenancy.ask(caller, said(&parts.headers)?, &api.runner.ctx)
    }
}

/// The tenant that a request names.
fn said(headers: &HeaderMap) -> Answer<Option<Key>> {
    let Some(name) = headers.get("x-tenant") else { return Ok(None) };
    let name = name.to_str().map_err(|_| Problem::new(ErrorClass::Invalid).detail("x-tenant is no text"))?;
    Ok(Some(Key::new(name)?))
}
