//! A cache: fast, bounded, and one load for all who ask.
//!
//! ```
//! use buttress_cache::Cache;
//! use buttress_core::{Ctx, Elapsed};
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), buttress_cache::Error> {
//! let users = Cache::<u64, String>::builder("users")
//!     .capacity(10_000)
//!     .ttl(Duration::from_secs(60))
//!     .build(&Ctx::default())?;
//!
//! let name = users.get_or_load(&7, || async { Ok::<_, Elapsed>("Ada".to_owned()) }).await?;
//! assert_eq!(name, "Ada");
//! assert_eq!(users.get(&7).as_deref(), Some("Ada"));
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//!
//! - It keeps at most as many entries, or bytes, as it has capacity for.
//! - No value is served past its time, which is known to a hundredth of a second and never lengthened. Up to a tenth is taken
//!   off each lifetime, so that entries of one moment do not end together.
//! - However many ask for a key at once, one of them loads. What the load ends with, an error too, is that of all who wait for it.
//!   It has a limit, may fail, hang or panic; its caller may be dropped, and its runtime may end: nobody waits for ever.
//! - What was being loaded when its key was inserted, removed or invalidated is not kept, and whoever asks after that does not
//!   get it.
//! - How many loads run at once, how many tags there are, and everything else that is kept by key is bounded.
//!
//! # Life of an entry
//!
//! ```text
//!  written             ttl                 + stale              + fail_safe
//!     |------ fresh ----|------- stale -------|------ fallback ------| gone
//!                  ^^^
//!                  early: one caller loads in the background, by chance
//! ```
//!
//! | stage | `get` | `get_or_load` |
//! |---|---|---|
//! | fresh | the value | the value |
//! | stale | the value | the value, and a load in the background |
//! | fallback | nothing | loads; if that fails, the value |
//!
//! `stale` and `fail_safe` both begin at the end of `ttl`, and are 0 unless the configuration says otherwise. Early loads follow
//! `XFetch` (Vattani, Chierichetti and Lowenstein, VLDB 2015). With an idle time, or a [tag](Terms::tag) that is
//! [invalidated](Cache::invalidate), an entry is gone before. What is past its time is found when it is asked for, and by a sweep
//! in small steps.
//!
//! # Engines
//!
//! What is kept when there is no room for everything is up to an [engine]; lifetimes are the same with all. Bytes are for an entry
//! of `u64` under `u64` in a cache of a million; hit ratios at 10,000 of 200,000 keys, by `benches`:
//!
//! | engine | bytes | Zipf 0.9 | Zipf 1.1 | scans | loop |
//! |---|---|---|---|---|---|
//! | `duel` (default) | 40 | .621 | .851 | .556 | .724 |
//! | `quick_cache` | 61 | .615 | .850 | .553 | .687 |
//! | `moka` | 249 | .608 | .848 | .543 | .730 |
//! | `lru` | 84 | .527 | .812 | .457 | .358 |
//!
//! Requests that go round and round over a little more than there is room for are what moka does better, by a little.
//!
//! # Many nodes
//!
#![cfg_attr(feature = "codec", doc = "[`Tiered`] puts a cache over a [`tier`] that a fleet shares.")]
#![cfg_attr(
    not(feature = "codec"),
    doc = "`Tiered`, of the feature `codec`, puts a cache over a tier that a fleet shares."
)]
//! One load for all nodes, a stated bound on how old a value may be after a change, and a stated behaviour without the tier.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `codec` | no | `codec`, values as checked bytes; `Cache::save` and `restore`, snapshots; `Tiered`, a cache over a tier |
//! | `encrypt` | no | `codec::Keyring`: values sealed at rest, by ring |
//! | `hashed-keys` | no | `HashedKey`: large keys by their content, by blake3 |
//! | `lru` | no | the engine lru |
//! | `lz4` | no | `Codec::compressed` |
//! | `moka` | no | the engine moka |
//! | `redis` | no | `tier::RedisTier`: one server, sentinels or a cluster |
//! | `sqlite` | no | `tier::SqliteTier`: a bounded file that survives a restart, for the processes of one machine |
//! | `test-util` | no | `contract`: what every engine and every tier promises, as tests; `codec::decode_any`, for fuzzers |

mod builder;
mod cache;
#[cfg(feature = "codec")]
pub mod codec;
mod config;
#[cfg(feature = "test-util")]
pub mod contract;
mod dice;
pub mod engine;
mod entry;
mod error;
mod flights;
mod found;
mod freshness;
#[cfg(feature = "hashed-keys")]
mod hashed_key;
mod lifetime;
mod load;
pub mod metrics;
#[cfg(feature = "codec")]
mod snapshot;
mod stats;
mod sync;
mod tags;
mod tally;
mod terms;
mod tick;
#[cfg(feature = "codec")]
pub mod tier;
#[cfg(feature = "codec")]
mod tiered;
mod upkeep;
mod warm;

pub use builder::Builder;
pub use cache::{Cache, CacheValue};
pub use config::CacheConfig;
pub use engine::{CacheKey, EngineKind};
pub use error::{Cause, Error};
pub use found::Found;
#[cfg(feature = "hashed-keys")]
pub use hashed_key::HashedKey;
pub use lifetime::Lifetime;
#[cfg(feature = "codec")]
pub use snapshot::Restored;
pub use stats::Stats;
pub use terms::Terms;
#[cfg(feature = "codec")]
pub use tiered::{TierConfig, Tiered};
pub use warm::Warmed;
