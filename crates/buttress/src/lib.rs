//! The buttress crates behind one name.
//!
//! Each crate is useful alone; this one only re-exports them, so that an application can name one dependency and switch
//! on what it needs.
//!
//! | feature | re-exports | for |
//! |---|---|---|
//! | – | [`core`] | the vocabulary that all crates share |
//! | `access` | `buttress::access` | API keys, tokens, sessions, roles and permissions |
//! | `audit` | `buttress::audit` | a tamper-evident log |
//! | `backup` | `buttress::backup` | snapshots that are proved to restore |
//! | `cache` | `buttress::cache` | a cache with single flight and a tier for a fleet |
//! | `config` | `buttress::config` | layered configuration with provenance and hot reload |
//! | `connect` | `buttress::connect` | back ends and blobs |
//! | `docpipeline` | `buttress::docpipeline` | documents to text, chunks and fingerprints |
//! | `health` | `buttress::health` | live, ready and startup probes |
//! | `pool` | `buttress::pool` | a pool for anything expensive |
//! | `queue` | `buttress::queue` | a durable work queue |
//! | `ratelimit` | `buttress::ratelimit` | rate limits, tiers, penalties and bans |
//! | `resilience` | `buttress::resilience` | deadlines, retries, circuit breakers, bulkheads |
//! | `secrets` | `buttress::secrets` | secrets that rotate without a restart |
//! | `service` | `buttress::service` | a production HTTP service |
//! | `telemetry` | `buttress::telemetry` | logs, metrics and request ids |
//! | `validate` | `buttress::validate` | input turned into safe types |

#[cfg(feature = "access")]
pub use buttress_access as access;
#[cfg(feature = "audit")]
pub use buttress_audit as audit;
#[cfg(feature = "backup")]
pub use buttress_backup as backup;
#[cfg(feature = "cache")]
pub use buttress_cache as cache;
#[cfg(feature = "config")]
pub use buttress_config as config;
#[cfg(feature = "connect")]
pub use buttress_connect as connect;
pub use buttress_core as core;
#[cfg(feature = "docpipeline")]
pub use buttress_docpipeline as docpipeline;
#[cfg(feature = "health")]
pub use buttress_health as health;
#[cfg(feature = "pool")]
pub use buttress_pool as pool;
#[cfg(feature = "queue")]
pub use buttress_queue as queue;
#[cfg(feature = "ratelimit")]
pub use buttress_ratelimit as ratelimit;
#[cfg(feature = "resilience")]
pub use buttress_resilience as resilience;
#[cfg(feature = "secrets")]
pub use buttress_secrets as secrets;
#[cfg(feature = "service")]
pub use buttress_service as service;
#[cfg(feature = "telemetry")]
pub use buttress_telemetry as telemetry;
#[cfg(feature = "validate")]
pub use buttress_validate as validate;
