//! Continuous logs: what a database committed since its last base backup, a second or so behind, sealed and beside the repository.
//!
//! A base backup brings back the moment at which it was made. A [`Log`] brings back any moment after it: a [`LogSource`] tells what a database
//! has written, a [`Shipper`] puts it into the store every second, and recovery lays a base and the log together. What the store has
//! acknowledged survives the machine that the database was on.
//!
//! The log is a row of numbered objects, `log/NAME/00000000000000000001` and so on, each compressed, encrypted, and bound to the one before it by that
//! one's hash: a segment that is lost, changed, swapped, brought back from former times or cut short is found and named. Their layout is in
//! `docs/formats/backup-log.md`. What no chain can tell is that its *end* is missing. So a [`Tip`] says how far the log went: the shipper keeps one on
//! its own disk, others may keep it elsewhere, and [`Log::segments`] compares.
//!
//! ```
//! use std::time::SystemTime;
//! use buttress_backup::log::{Kind, Log, LogConfig, Piece};
//! use buttress_core::Ctx;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), buttress_backup::Error> {
//! # let folder = tempfile::tempdir().expect("a temporary folder");
//! let mut config = LogConfig::default();
//! config.blobs.url = folder.path().display().to_string(); // or "s3://bucket/prefix"
//! let password = "correct horse battery staple".to_owned().into();
//! let log = Log::create(&config, &password, &Ctx::default()).await?;
//!
//! let mut writer = log.writer(Kind(1000), None).await?;
//! let piece = Piece { epoch: 1, first: 0, last: 5, time: SystemTime::UNIX_EPOCH, payload: "hello".into() };
//! let tip = writer.append(piece).await?; // it is in the store
//!
//! let mut segments = log.segments(1, Some(&tip)).await?;
//! assert_eq!(segments.next().await?.expect("one was written").payload, "hello");
//! # Ok(())
//! # }
//! ```

mod config;
mod key;
mod metrics;
#[cfg(feature = "postgres")]
pub mod postgres;
mod reader;
mod segment;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod shipped;
mod shipper;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod writer;

pub use config::LogConfig;
pub use key::LogKey;
pub use metrics::{BYTES, COMPLETE, FAILURES, SEGMENTS};
pub use reader::{Log, Segments};
pub use segment::{Header, Kind, Piece, Position, Segment, Tip};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use shipped::{Shipped, ShippedConfig};
pub use shipper::{LogSource, Next, Shipper, Status};
pub use writer::LogWriter;
