//! Where results go.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::document::Document;
use crate::error::{Error, Result};
use crate::pipeline::Processed;

/// A document that is through, well or not.
#[derive(Debug, Clone)]
pub struct Finished {
    /// What it is called: a path, a file name.
    pub name: String,
    /// BLAKE3 of its bytes, in hex.
    pub content: String,
    /// [`PipelineConfig::digest`](crate::PipelineConfig::digest) of the configuration that it was read with.
    pub config: String,
    /// Its size.
    pub bytes: u64,
    /// How long it took, from worker to result.
    pub took: Duration,
    /// What became of it.
    pub outcome: Result<Processed>,
}

/// The last stage: takes what is finished.
pub trait Emit {
    /// Takes one document. When this returns `Ok`, the result is kept as safely as the sink keeps anything.
    ///
    /// # Errors
    ///
    /// When it cannot be kept; the document then counts as not done.
    fn emit(&mut self, finished: &Finished) -> io::Result<()>;
}

/// A result as one line of JSON: exactly one of `document` and `error` is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What the document is called.
    pub name: String,
    /// BLAKE3 of its bytes, in hex.
    pub content: String,
    /// Digest of the configuration that it was read with.
    pub config: String,
    /// Its size.
    pub bytes: u64,
    /// How long it took, in microseconds.
    pub microseconds: u64,
    /// The document.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub document: Option<Document>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
    /// Wall time of each stage, in microseconds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timings: Vec<(String, u64)>,
}

impl From<&Finished> for Record {
    fn from(finished: &Finished) -> Self {
        let (document, error, timings) = match &finished.outcome {
            Ok(processed) => (Some(processed.document.clone()), None, processed.timings.clone()),
            Err(error) => (None, Some(error.clone()), Vec::new()),
        };
        Self {
            name: finished.name.clone(),
            content: finished.content.clone(),
            config: finished.config.clone(),
            bytes: finished.bytes,
            microseconds: u64::try_from(finished.took.as_micros()).unwrap_or(u64::MAX),
            document,
            error,
            timings,
        }
    }
}

/// Writes each result as a [`Record`] on a line of its own ([JSON Lines](https://jsonlines.org)), by a single call of
/// the writer's `write_all`.
#[derive(Debug)]
pub struct JsonLines<W>(W);

impl<W: io::Write> JsonLines<W> {
    /// Writes to `writer`, which should not buffer if a line is to be out when [`Emit::emit`] returns.
    pub fn new(writer: W) -> Self {
        Self(writer)
    }

    /// Writes one record.
    ///
    /// # Errors
    ///
    /// The writer's.
    pub fn write(&mut self, record: &Record) -> io::Result<()> {
        // Room for the text and what escapes add to it: growing would copy it again and again.
        let text = record.document.as_ref().map_or(0, |document| document.text.len());
        let mut line = Vec::with_capacity(text + text / 8 + 4096);
        serde_json::to_writer(&mut line, record)?;
        line.push(b'\n');
        self.0.write_all(&line)
    }

    /// The writer.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.0
    }
}

impl<W: io::Write> Emit for JsonLines<W> {
    fn emit(&mut self, finished: &Finished) -> io::Result<()> {
        self.write(&finished.into())
    }
}
