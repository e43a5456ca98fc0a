//! Secrets in OpenBao or Vault: a KV engine of version 2.
//!
//! A secret's stages are in the newest version of its KV secret, and each change is one write with check-and-set: two who rotate do not
//! cross, and who reads only the value, by whatever means, always reads the current one. A value that somebody puts there by other means
//! is the current one, and the one before it the previous. When a version is retired the older versions of the KV secret are destroyed;
//! a failure of that is logged, and made up for by the next retirement.
//!
//! The token needs `create`, `read`, `update` on `MOUNT/data/…`; `read`, `list`, `delete` on `MOUNT/metadata/…`; `update` on
//! `MOUNT/destroy/…`. Readers need `read` on both. A KV secret that was deleted, and could be undeleted, is none; it is listed still.
//!
//! Values pass through the buffers of the HTTP client, which are not wiped.

#[cfg(feature = "openbao")]
mod api;
mod config;
#[cfg(feature = "openbao")]
mod document;
#[cfg(feature = "openbao")]
mod session;
#[cfg(feature = "openbao")]
mod store;

pub use config::{OpenBaoConfig, OpenBaoLogin};
#[cfg(feature = "openbao")]
pub use store::OpenBaoStore;

/// The member of a KV secret that holds what a rotation needs.
const STATE: &str = "buttress";

/// What the store is called.
#[cfg(feature = "openbao")]
const KIND: &str = "openbao";

/// A failure on the way to the server.
#[cfg(feature = "openbao")]
fn failed(doing: &str, error: buttress_connect::Error) -> crate::Error {
    use buttress_core::Classify;
    crate::Error::Store { store: KIND, doing: doing.to_owned(), class: error.class(), source: error.into() }
}
