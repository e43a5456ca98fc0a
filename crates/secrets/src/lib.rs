//! Secrets that rotate without a restart.

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
