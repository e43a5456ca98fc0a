//! The log: one layer that turns events into lines, and one thread that writes them.

mod layer;
mod line;
mod redact;
mod writer;

pub(crate) use layer::LogLayer;
pub(crate) use line::Style;
pub(crate) use writer::LogWriter;
