//! Secrets that rotate without a restart.
//!
//! ```
//! use std::sync::Arc;
//! use buttress_core::Ctx;
//! use buttress_secrets::store::MemoryStore;
//! use buttress_secrets::{Expect, Name, Secret, SecretStore, Secrets, SecretsConfig};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), buttress_secrets::Error> {
//! let ctx = Ctx::default();
//! let store = MemoryStore::new(ctx.clock.clone()); // or what the configuration names: Secrets::from_config
//! store.put(&Name::new("db/password")?, &Secret::from("hunter2".to_owned()), Expect::Nothing).await?;
//! let secrets = Secrets::new(Arc::new(store), &SecretsConfig::default(), &ctx)?;
//!
//! let password = secrets.current("db/password").await?; // the value to use now
//! assert_eq!(password.text()?, "hunter2");
//! assert!(secrets.matches("db/password", b"hunter2").await?); // in any version that is accepted now
//! # Ok(())
//! # }
//! ```
//!
//! [`Secrets`] is the handle that a program uses; behind it is a [`SecretStore`]:
//!
//! | store | where | writes |
//! |---|---|---|
//! | [`EnvironmentStore`](store::EnvironmentStore) | variables of the process | no |
//! | [`FileStore`](store::FileStore) | a folder: a mount of Kubernetes, systemd credentials | no |
//! | `vault::VaultStore` (feature `vault`) | an encrypted file | yes |
//! | [`MemoryStore`](store::MemoryStore) | this process | yes |
//! | [`ChainStore`](store::ChainStore) | the first of several that has the secret | the first |
//!
//! # What it promises
//!
//! - No value is in `Debug`, logs, metrics, events or errors; its memory is overwritten when the last [`Secret`] that has it goes.
//! - A value is at most `ttl` old, and the limit of one question older while it is asked for. When the store fails, the last known good one
//!   is used for `last_good`, and an [event](STALE), a metric and the probe say so.
//! - However many ask for a secret at once, one of them asks the store. A store that fails is left alone for `retry`, and who guesses
//!   values does not reach it more often than each `recheck`.
//! - Every access is an [event](READ) with reader and version; an unusual one is [another](ANOMALY).
//! - What is kept by name is bounded.
//!
//! # Rotation
//!
//! ```text
//!           create            switch            retire
//!  version 1: current . . . . . . | previous . . . . | gone
//!  version 2:  | next . . . . . . | current . . . . . . . . .
//!               <--- overlap ---->  <---- grace ---->
//! ```
//!
//! A verifier [accepts](Secrets::accepts) all three, so nobody is refused who is behind by less than the overlap and the grace. What is due
//! is [decided](step) from what the store keeps, and each step is durable: a [`Rotator`] that dies is followed by any other. In a store that
//! somebody else keeps, the versions are there under names of their own, `.previous` and `.next`.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `cli` | no | the program `secrets`, for vault files: `init`, `set`, `get`, `rotate`, `rekey`, `verify`, `export`, `recover` |
//! | `openbao` | no | a store in `OpenBao` or Vault (KV version 2), by HTTPS |
//! | `postgres` | no | `postgres`: a database's login that rotates under load, and connections that follow it |
//! | `test-util` | no | `contract`: what every store promises, as tests; `vault::read_any`, for fuzzers |
//! | `vault` | no | `vault`: the encrypted file; Argon2id for its passphrase |
//!
//! Beside the stores, [`seal`] encrypts data at rest, and [`shamir`] splits a key into shares.

pub mod anomaly;
mod config;
#[cfg(feature = "test-util")]
pub mod contract;
mod entry;
mod error;
mod generate;
mod lifecycle;
pub mod metrics;
mod name;
#[cfg(feature = "postgres")]
pub mod postgres;
mod rotation;
mod rotator;
pub mod seal;
mod secret;
mod secrets;
pub mod shamir;
mod slots;
pub mod store;
#[cfg(feature = "vault")]
pub mod vault;

pub use config::{KeyConfig, SecretsConfig, StoreConfig};
pub use error::{Error, Source};
pub use generate::{Generate, RandomValue};
pub use lifecycle::{Lifecycle, Stage, Standing, Versioned, Versions};
pub use name::Name;
pub use rotation::{Action, RotationPolicy, step};
pub use rotator::{ROTATED, Rotator};
pub use secret::Secret;
pub use secrets::{ANOMALY, CHECKED, READ, STALE, Secrets};
pub use store::{Expect, SecretStore, Step, Which};
