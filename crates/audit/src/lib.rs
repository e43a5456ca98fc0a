//! A log that cannot be rewritten unnoticed.

mod entry;
mod error;
pub mod json;
pub mod redact;
pub mod subject;
mod time;
pub mod merkle;
mod wire;

pub use entry::{DEEPEST_VALUE, Entry, LONGEST_ENTRY, Record, Value};
pub use error::Error;
pub use merkle::Hash;
