//! The one crate that names back-end clients.
//!
//! A capability crate (a queue, a cache) says what it does with a back end; how the back end is reached is said here,
//! once: an [`Address`] tells which one is meant and where it is, and each module opens a handle that is cheap to
//! clone, finds its way back after a lost connection, answers as a [`Probe`](buttress_core::Probe), and turns the
//! client's errors into an [`Error`] that has a class.
//!
//! ```
//! use buttress_connect::{Address, Backend};
//!
//! let address: Address = "redis://app:hunter2@cache.internal:6379".parse()?;
//! assert_eq!(address.backend(), Backend::Redis);
//! assert_eq!(address.to_string(), "redis://app:***@cache.internal:6379"); // never shows a password
//! # Ok::<(), buttress_connect::Error>(())
//! ```
//!
//! An address parses whatever is compiled in; opening what is not answers [`Error::BackendNotCompiled`], which names
//! the feature. [`blobs::Blobs`] keeps bytes under names, in a folder or in S3; the folder needs no feature.
//!
//! TLS is rustls on ring, with the system's certificates and those of
//! [`ConnectionConfig::ca_file`]: `rediss://…`, `tls://…` (NATS), `postgres://…?sslmode=require`, `https://…` (S3).
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `http` | no | `http::Http`, a server that speaks HTTP |
//! | `nats` | no | `nats::Nats`, NATS with JetStream |
//! | `postgres` | no | `postgres::Postgres`, PostgreSQL |
//! | `redis` | no | `redis::Redis`, Redis 7 |
//! | `s3` | no | `s3://…` in [`blobs`], for S3 and what speaks like it |
//! | `sqlite` | no | `sqlite::Sqlite`, compiled in |

mod address;
mod address_source;
pub mod blobs;
mod config;
mod error;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "nats")]
pub mod nats;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(any(feature = "http", feature = "postgres", feature = "s3"))]
mod tls;

pub use address::{Address, Backend};
pub use address_source::AddressSource;
pub use config::ConnectionConfig;
pub use error::{BoxError, Error};
