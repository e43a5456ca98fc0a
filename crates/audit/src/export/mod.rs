//! Entries for other programs: JSON Lines, CSV, and the classes of OCSF.
//!
//! ```
//! use buttress_audit::Entry;
//! use buttress_audit::export::{Export, Format};
//! # use buttress_audit::Record;
//! # fn records() -> Vec<Record> { Vec::new() }
//!
//! let mut out = Vec::new();
//! let mut export = Export::new(&mut out, Format::Csv);
//! for record in records() {
//!     export.write(&record)?;
//! }
//! export.finish()?;
//! assert!(out.starts_with(b"sequence,recorded,at,action,"));
//! # Ok::<(), std::io::Error>(())
//! ```

mod csv;
mod ocsf;

use std::io::{self, Write};
use std::str::FromStr;

use serde_json::Value as Json;

pub use self::ocsf::{OCSF_VERSION, event as ocsf_event};
use crate::{Record, json};

/// How entries are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// One object a line, as [`json::record`] has it.
    JsonLines,
    /// RFC 4180 with a line of names. A cell that a spreadsheet would take for a formula has `'` before it, as has one that
    /// begins with `'` itself, so that taking one away gives the text back.
    Csv,
    /// One event a line, see [`ocsf_event`].
    Ocsf,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "jsonl" => Ok(Self::JsonLines),
            "csv" => Ok(Self::Csv),
            "ocsf" => Ok(Self::Ocsf),
            other => Err(format!("`{other}` is no format; `jsonl`, `csv` and `ocsf` are")),
        }
    }
}

/// Writes entries in one format. Flushes when it is finished.
#[derive(Debug)]
pub struct Export<W> {
    out: W,
    format: Format,
    begun: bool,
}

impl<W: Write> Export<W> {
    /// Writes to `out`, which should be buffered.
    pub fn new(out: W, format: Format) -> Self {
        Self { out, format, begun: false }
    }

    /// Writes one entry.
    ///
    /// # Errors
    ///
    /// What `out` says.
    pub fn write(&mut self, record: &Record) -> io::Result<()> {
        self.begin()?;
        match self.format {
            Format::JsonLines => writeln!(self.out, "{}", Json::Object(json::record(record))),
            Format::Csv => csv::row(record, &mut self.out),
            Format::Ocsf => writeln!(self.out, "{}", ocsf_event(record)),
        }
    }

    /// Writes what is left, and hands the output back.
    ///
    /// # Errors
    ///
    /// What `out` says.
    pub fn finish(mut self) -> io::Result<W> {
        self.begin()?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn begin(&mut self) -> io::Result<()> {
        if !self.begun && self.format == Format::Csv {
            csv::head(&mut self.out)?;
        }
        self.begun = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
