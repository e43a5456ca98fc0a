//! Layered configuration with the source of every value, checked before it counts, changed while it runs.
//!
//! # Files and variables become a checked value
//!
//! A [`Loader`] lays files, environment variables and flags over the defaults of the application's own type. An
//! unknown key, a value of the wrong kind and a violated rule are all told at once, each with file, line, key,
//! value and remedy. [`Loaded`] answers where each value came from, and prints the lot with secrets masked.
//!
//! ```
//! # use buttress_config::Loader;
//! # use buttress_core::{Validate, Violations};
//! # #[derive(Default, serde::Serialize, serde::Deserialize)]
//! # #[serde(default, deny_unknown_fields)]
//! # struct Config { workers: u32, name: String }
//! # impl Validate for Config { fn validate(&self) -> Result<(), Violations> { Ok(()) } }
//! let loaded = Loader::new("docproc")
//!     .optional_file("docproc.toml")
//!     .process_variables()               // DOCPROC_WORKERS=4
//!     .flags(["name=night shift"])       // what the command line said
//!     .load::<Config>()?;
//! assert_eq!(loaded.value().name, "night shift");
//! assert_eq!(loaded.source("name").unwrap().to_string(), "flag name");
//! # Ok::<(), buttress_config::Error>(())
//! ```
//!
//! # The value changes while it runs
//!
//! A [`Reloader`] looks at the files again, takes a new configuration only when all of it is right, and keeps the
//! old one otherwise. Readers hold a [`Live`] value: [`Live::get`] costs some nanoseconds and never waits; a
//! [`Reader`] costs about one.
//!
//! # Switches for features
//!
//! [`FlagsConfig`] is a part of a configuration like any other: switches with percentages and targets, decided by
//! a pure function that gives each key the same answer everywhere and at any time.

mod de;
mod error;
mod file;
mod flags;
mod live;
mod loaded;
mod loader;
mod mask;
mod metrics;
mod path;
mod problem;
mod reload;
mod repair;
mod ser;
mod source;
mod suggest;
mod tree;
mod variables;

pub use error::{Error, Problem};
pub use flags::{Decision, FlagConfig, FlagContext, FlagsConfig, Why};
pub use live::{Changes, Live, Reader, Snapshot};
pub use loaded::{Entry, Loaded};
pub use loader::Loader;
pub use mask::Masked;
pub use reload::{ReloadConfig, Reloaded, Reloader};
pub use source::Source;
