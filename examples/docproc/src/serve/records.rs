//! What the store tells of documents.

use serde::{Deserialize, Serialize};

/// Where a document is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Accepted, and waiting for a worker.
    Queued,
    /// With a worker.
    Running,
    /// Read.
    Done,
    /// Refused; the error says why.
    Failed,
}

/// A document in lists and events.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DocumentSummary {
    /// 32 hex digits that stand for content and configuration.
    pub id: String,
    /// The file name that it came with first.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Where it is on its way.
    pub status: Status,
    /// Its format, once it is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Its title, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its language (ISO 639-3), if it can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Its pages, slides or sheets, if it has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<u32>,
    /// Its words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<u64>,
    /// When it was acknowledged (RFC 3339).
    pub accepted_at: String,
    /// When it was read or refused (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// How long its worker took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<f64>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Refusal>,
    /// Its place in the order of acceptance.
    #[serde(skip)]
    pub seq: i64,
}

/// Why a document was refused, for programs and for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Refusal {
    /// [`buttress_docpipeline::Error::cause`].
    pub cause: String,
    /// One sentence.
    pub message: String,
}

/// A document that waits for a worker.
#[derive(Debug, Clone)]
pub struct Queued {
    /// Its id.
    pub id: String,
    /// Its file name.
    pub name: String,
    /// The hash under which its bytes are kept.
    pub content: String,
}

/// A hit of a search: pieces of text around the words, and whether each is one of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hit {
    /// The document.
    pub id: String,
    /// Its file name.
    pub name: String,
    /// Its title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The text around the best hit.
    pub snippet: Vec<Piece>,
}

/// A piece of a snippet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Piece {
    /// The text.
    pub text: String,
    /// Whether it was searched for.
    pub hit: bool,
}

/// A document that is much like another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Near {
    /// The document.
    pub id: String,
    /// Its file name.
    pub name: String,
    /// How alike, 0 to 1.
    pub similarity: f64,
}

/// How many documents are where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Waiting or with a worker.
    pub queued: u64,
    /// The size of those, in bytes.
    #[serde(skip)]
    pub queued_bytes: u64,
    /// Read.
    pub done: u64,
    /// Refused.
    pub failed: u64,
}

/// What becomes of a document that is handed in.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// The document.
    pub document: DocumentSummary,
    /// Whether its content and configuration were known.
    pub seen_before: bool,
}
