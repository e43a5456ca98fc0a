//! Rate limits: many windows at once, tiers, routes, penalties and bans; in memory, or shared by many processes through Redis.
//!
//! ```
//! use buttress_ratelimit::{Limit, Limiter};
//!
//! let limiter = Limiter::new(Limit::per_minute(10));
//! assert!(limiter.check("user-1").is_admitted());
//! ```
//!
//! All of it is there by configuration, and a request may name more than a user:
//!
//! ```
//! use buttress_core::Ctx;
//! use buttress_ratelimit::{Decision, Limiter, LimiterConfig, Request};
//!
//! let config: LimiterConfig = toml::from_str(
//!     r#"
//!     global = ["5000/s gcra"]
//!     deny = ["203.0.113.0/24"]
//!
//!     [tiers]
//!     free = ["10/m", "100/h"]
//!     pro = ["100/m", "1000/h"]
//!
//!     [routes.login]
//!     limits = ["5/m"]
//!     each_caller = true
//!     "#,
//! )?;
//! let limiter = Limiter::with(&config, &Ctx::default())?;
//!
//! let address = "192.0.2.7".parse()?; // the client's
//! let request = Request::user("user-1").tier("pro").from_ip(address).route("login");
//! match limiter.check(request) {
//!     Decision::Admitted(quota) => assert_eq!((quota.limit, quota.remaining), (5, 4)),
//!     refused => println!("come back after {:?}", refused.retry_after()),
//! }
//! limiter.report_failure(request); // a wrong password; ten of them are a ban
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it promises
//!
//! - A request is admitted by all limits of all its subjects, or consumes nothing of any.
//! - Each [algorithm] admits what its documentation says and no more: under many threads, and when clocks are set.
//! - Who is refused is told when to come back; then the same request is admitted, if nothing else was meanwhile.
//! - A check in memory takes one short lock, allocates nothing, and the time of a string's hash and two cache lines.
//! - Memory is bounded by `max_keys`, however many callers there are and however long their names. Names are not kept.
//! - Probes are never limited, and only who is refused by limits of its own is held responsible for it.
//!
//! # Penalties
//!
//! Who is refused five times is [challenged](Decision::Challenge), who is refused a hundred times or fails ten times is
//! [banned](Decision::Banned): for an hour, and twice as long each time, up to a day. All of it is forgotten with time, or
//! [pardoned](Limiter::pardon). See [`PenaltyConfig`].
//!
//! # Shared limits
//!
//! With `shared.url` and the feature `redis`, [`AnyLimiter::open`] opens a limiter whose state all processes share. A check is one script and one
//! round trip, on the server's time. With `shared.lease_share`, processes use blocks of the limits that they have leased, and most
//! checks ask nobody.
//!
//! | | admitted by `n` processes | a check costs | the server is gone |
//! |---|---|---|---|
//! | in memory | up to `n` times the limit | less than a microsecond | |
//! | shared | the limit | a round trip, at most `shared.within` | `shared.on_unavailable` |
//! | leased | at most the quota in each window of the calendar; less what is leased and not used | mostly the same as in memory | blocks are used up, then the same |
//!
//! Where the server does not answer, a check takes at most `shared.within`, and after three of them none is made but one each
//! `shared.retry_every`. Nobody loses what the server has counted; what processes have counted meanwhile by themselves it is not told, so with
//! `on_unavailable = "local"` an outage may admit the limit once more in each process. A server that comes back empty begins anew, and a
//! replica that takes over knows what had come to it, as replication in Redis is: the last moment may be admitted twice. In a cluster all
//! keys of a limiter are on one node.
//!
//! # In front of a service
//!
//! With the feature `tower`, `layer::RateLimitLayer` answers what is refused, with status, headers and body that clients know, and adds
//! the [headers] to all other answers.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `redis` | no | `SharedLimiter`: limits whose state is in Redis (7.0 or newer) |
//! | `tower` | no | `layer`: limits in front of an HTTP service |
//! | `test-util` | no | `contract`: the promises above as tests, wherever the state is |

mod access;
pub mod algorithm;
mod any;
mod caller;
mod config;
#[cfg(feature = "test-util")]
pub mod contract;
mod decision;
mod error;
mod fingerprint;
pub mod headers;
mod in_flight;
#[cfg(feature = "tower")]
pub mod layer;
mod limit;
mod limiter;
pub mod metrics;
pub mod penalty;
mod plan;
mod request;
#[cfg(feature = "redis")]
mod shared;
mod status;
mod store;
mod sync;
mod timeline;
mod view;

pub use algorithm::Algorithm;
pub use any::AnyLimiter;
pub use config::{LimiterConfig, OnUnavailable, RouteConfig, SharedConfig};
pub use decision::{Decision, Quota};
pub use error::Error;
pub use in_flight::{InFlight, Permit};
pub use limit::{Limit, Policy};
pub use limiter::{Limiter, Reservation};
pub use penalty::PenaltyConfig;
pub use request::{Request, Subject};
#[cfg(feature = "redis")]
pub use shared::SharedLimiter;
pub use status::{Status, Totals, WindowStatus};
