//! A log that cannot be rewritten unnoticed.

mod entry;
mod error;
pub mod export;
pub mod json;
pub mod merkle;
pub mod query;
pub mod redact;
pub mod sink;
pub mod subject;
mod time;
mod wire;

pub use entry::{DEEPEST_VALUE, Entry, LONGEST_ENTRY, Record, Value};
pub use error::Error;
pub use merkle::Hash;
