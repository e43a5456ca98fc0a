//! Files that a page downloads.

use serde_json::Value;

use super::session::text;

/// A downloaded file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Download {
    /// Where it came from.
    pub url: String,
    /// The name that the server proposes, without folders.
    pub name: String,
    /// The file.
    pub bytes: bytes::Bytes,
}

/// How far a download is.
#[derive(Debug, Clone)]
pub(super) struct Transfer {
    /// The browser's name for it, and the name of its file.
    pub(super) guid: String,
    pub(super) url: String,
    pub(super) name: String,
    /// The larger of what has come and what is announced, in bytes.
    pub(super) size: u64,
    pub(super) step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Running,
    Complete,
    Canceled,
}

impl Transfer {
    pub(super) fn begun(guid: &str, url: &str, name: &str) -> Self {
        let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
        let cut = |text: &str| text.chars().take(2000).collect();
        Self { guid: guid.to_owned(), url: cut(url), name: cut(name), size: 0, step: Step::Running }
    }

    pub(super) fn went_on(&mut self, event: &Value) {
        let bytes = |field| {
            // Sizes are whole numbers, written with or without a fraction.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            event.get(field).and_then(Value::as_f64).map_or(0, |size| size as u64)
        };
        self.size = self.size.max(bytes("receivedBytes")).max(bytes("totalBytes"));
        self.step = match text(event, "state") {
            "completed" => Step::Complete,
            "canceled" => Step::Canceled,
            _ => Step::Running,
        };
    }
}
