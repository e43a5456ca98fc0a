//! Security headers and CORS, as one configured layer.
//!
//! ```
//! use buttress_access::headers::HeadersConfig;
//! use buttress_core::Validate;
//!
//! let config: HeadersConfig = toml::from_str(
//!     r#"
//!     [csp.directives]
//!     default-src = ["'self'"]
//!     script-src = ["nonce", "'strict-dynamic'"]
//!     frame-ancestors = ["'none'"]
//!
//!     [cors]
//!     origins = ["https://app.example.org", "https://*.partner.example"]
//!     credentials = true
//!     "#,
//! )?;
//! config.validate()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The defaults are strict: a service that answers JSON needs nothing but `HeadersConfig::default()`; one that answers pages says in
//! [`CspConfig`] what they may load. With the feature `tower`, `headers::layer::HeadersLayer` adds the headers to every answer, also to
//! refusals of layers inside of it, and answers preflights.

mod config;
pub mod cors;
pub mod csp;
#[cfg(feature = "tower")]
pub mod layer;
mod permissions;

pub use config::{Embedder, HeadersConfig, HstsConfig, Opener, ReferrerPolicy, ResourcePolicy};
pub use cors::CorsConfig;
pub use csp::{CspConfig, Nonce};
pub use permissions::{Allowed, PermissionsPolicy};
