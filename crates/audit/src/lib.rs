//! A log that cannot be rewritten unnoticed.

mod entry;
mod error;
pub mod merkle;
#[doc(hidden)]
pub mod segment;
mod wire;

pub use entry::{DEEPEST_VALUE, Entry, LONGEST_ENTRY, Record, Value};
pub use error::Error;
pub use merkle::Hash;
