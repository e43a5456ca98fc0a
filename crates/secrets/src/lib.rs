//! Secrets that rotate without a restart.

#[cfg(feature = "test-util")]
pub mod contract;
mod error;
mod lifecycle;
pub mod metrics;
mod name;
pub mod seal;
mod secret;
pub mod shamir;
mod slots;
pub mod store;
#[cfg(feature = "vault")]
pub mod vault;

pub use error::{Error, Source};
pub use lifecycle::{Lifecycle, Stage, Standing, Versioned, Versions};
pub use name::Name;
pub use secret::Secret;
pub use store::{Expect, SecretStore, Step, Which};
