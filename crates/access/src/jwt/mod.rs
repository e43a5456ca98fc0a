//! Signed tokens: JWT (RFC 7519) in the compact form of JWS (RFC 7515), verified strictly; signed by keys that rotate.
//!
//! ```
//! use std::time::Duration;
//!
//! use buttress_access::jwt::{Algorithm, Claims, Pkcs8, Signer, SigningKey, TokenConfig, Verifier};
//! use buttress_core::{Clock, Ctx};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let ctx = Ctx::default();
//! let key = Pkcs8::generate(Algorithm::EdDsa)?; // keep it among the secrets
//! let signer = Signer::new(SigningKey::from_pkcs8(Algorithm::EdDsa, "2026-01", key.expose())?, &ctx);
//!
//! let claims = Claims::new()
//!     .issuer("https://login.example")
//!     .audience("documents")
//!     .subject("user-1")
//!     .expires(ctx.clock.wall() + Duration::from_mins(15));
//! let token = signer.sign(&claims)?;
//!
//! let config = TokenConfig::of("https://login.example", "documents");
//! let verifier = Verifier::new(&config, signer, &ctx)?;
//! assert_eq!(verifier.principal(&token).await?.id.as_str(), "user-1");
//! # Ok(())
//! # }
//! ```
//!
//! # What a token cannot do
//!
//! - Choose an algorithm: every key has one, and `none` does not exist.
//! - Bring a key, or say where one is: it names one of those that are known, by a name that is looked up and nothing else.
//! - Be read in two ways: base64url is canonical, and no member of JSON stands twice.
//! - Be for anybody, from anybody or for ever: `iss`, `aud` and `exp` must be there.
//! - Cost much: lengths are looked at before anything is decoded, and the payload is read when its signature holds.

mod algorithm;
mod claims;
mod config;
mod jwks;
mod key;
mod set;
mod signer;
mod signing;
mod source;
mod text;
mod token;
mod verifier;

pub use self::algorithm::{Algorithm, UnknownAlgorithm};
pub use self::claims::Claims;
pub use self::config::TokenConfig;
pub use self::jwks::{Jwks, JwksConfig};
pub use self::key::VerifyingKey;
pub use self::set::KeySet;
pub use self::signer::Signer;
pub use self::signing::{Pkcs8, SigningKey};
pub use self::source::{JwksFile, JwksSource};
pub use self::token::verify;
pub use self::verifier::{Keys, Verifier};
