//! docproc: documents in; clean text, chunks, metadata and fingerprints out.
//!
//! Three ways to use it, over the same pipeline and the same worker processes:
//!
//! - [`batch`]: a folder of documents to JSON Lines, with a dead-letter folder for what cannot be read. Killed at any
//!   point, a run is taken up again, and each document stands in the output once.
//! - [`serve`]: uploads over HTTP, kept before they are acknowledged; results by polling or server-sent events, full
//!   text search, near duplicates, and a page for people.
//! - [`fleet`]: documents submitted to a queue and read by workers on many hosts, each leaving one result.
//!
//! [`backup`] keeps what the service has, and proves that it comes back.

pub mod backup;
pub mod batch;
pub mod config;
pub mod fleet;
pub mod serve;
