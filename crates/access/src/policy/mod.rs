//! Roles and permissions as data, and one pure decision with its reason.
//!
//! ```
//! use std::time::SystemTime;
//!
//! use buttress_access::policy::{Permission, Policy, PolicyConfig, Request, Resource, decide};
//! use buttress_access::{Names, Principal, PrincipalKind, TenantId};
//!
//! let config: PolicyConfig = toml::from_str(
//!     r#"
//!     [attributes]
//!     "resource.state" = "text"
//!
//!     [roles.viewer]
//!     allow = ["document:read"]
//!
//!     [roles.editor]
//!     inherits = ["viewer"]
//!     allow = [
//!         "document:write",
//!         { permission = "document:delete", when = { all = ["owner", { equals = { attribute = "resource.state", value = "draft" } }] } },
//!     ]
//!     "#,
//! )?;
//! let policy = Policy::new(&config)?;
//!
//! let acme = TenantId::new("acme")?;
//! let ann = Principal::new(PrincipalKind::Session, "ann".try_into()?)
//!     .tenant(acme.clone())
//!     .roles(Names::new(["editor"])?);
//! let read = Permission::new("document:read")?;
//! let request = Request::new(Some(&ann), &read, Resource::of(&acme), SystemTime::UNIX_EPOCH);
//! let decision = decide(&policy, &request);
//! assert!(decision.allowed());
//! assert_eq!(decision.to_string(), "allowed by rule `viewer.allow.0` (document:read) of role editor > viewer");
//!
//! // Another tenant's document is another tenant's.
//! let other = TenantId::new("globex")?;
//! let request = Request::new(Some(&ann), &read, Resource::of(&other), SystemTime::UNIX_EPOCH);
//! assert_eq!(decide(&policy, &request).reason(), "other_tenant");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it promises
//!
//! - What no rule allows is denied. A rule that denies wins over all that allow.
//! - A resource is of a tenant, or said to be of none. Who is of another tenant is denied before any rule is looked at, unless a rule
//!   that allows says `cross_tenant`.
//! - Conditions are typed, and checked when the policy is made. A condition over an attribute that a request does not bring is undecided:
//!   a rule that allows does not apply then, and a rule that denies does.
//! - The same policy and the same request give the same decision. It takes no lock and allocates nothing.
//! - Everything is bounded: see [`PolicyConfig`].

mod attributes;
mod compiled;
mod condition;
mod config;
mod decide;
mod decision;
mod index;
#[cfg(feature = "tower")]
pub mod layer;
mod live;
mod permission;
mod request;
mod roles;
mod truth;
mod typing;
mod window;

pub use attributes::{Attribute, AttributeError, Attributes, Kind, Value, Whose};
pub use compiled::Policy;
pub use condition::{Comparison, Condition, Operand};
pub use config::{EVERYONE, PolicyConfig, RoleConfig, RuleConfig};
pub use decide::decide;
pub use decision::{Because, Decision, Ground};
pub use live::LivePolicy;
pub use permission::{Pattern, Permission, PermissionError};
pub use request::{Request, Resource};
pub use window::{Dates, Day, Hours, Time};
