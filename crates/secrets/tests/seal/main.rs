//! Sealed data, through the public API and by a second reader of the format.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod changes;
mod model;
mod rotation;
mod vectors;
