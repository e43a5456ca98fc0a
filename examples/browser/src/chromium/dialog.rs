//! Dialogs that a page opens: `alert`, `confirm`, `prompt` and the question before leaving.

use serde_json::{Value, json};

use super::session::text;

/// How many dialogs a page remembers.
pub(super) const REMEMBERED: usize = 32;
/// How much of a dialog's text is remembered, in characters.
const TEXT: usize = 1000;

/// What a page's dialogs are answered. A page never waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DialogPolicy {
    /// "OK", and this text where a `prompt` asks for one; without a text, what the page proposes.
    Accept(Option<String>),
    /// "Cancel".
    #[default]
    Dismiss,
}

/// A dialog that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dialog {
    /// `alert`, `confirm`, `prompt` or `beforeunload`.
    pub kind: String,
    /// What it said; its first 1,000 characters.
    pub message: String,
    /// Whether it was answered with "OK".
    pub accepted: bool,
}

impl DialogPolicy {
    /// The answer to a `Page.javascriptDialogOpening`: what to remember, and what to tell the browser.
    pub(super) fn answer(&self, event: &Value) -> (Dialog, Value) {
        let kind = text(event, "type");
        // Staying on a page that is to be left would stop every navigation.
        let accepted = matches!(self, Self::Accept(_)) || kind == "beforeunload";
        let proposed = text(event, "defaultPrompt");
        let reply = match self {
            Self::Accept(Some(reply)) => reply,
            _ => proposed,
        };
        let answer = json!({ "accept": accepted, "promptText": reply });
        let message = text(event, "message").chars().take(TEXT).collect();
        (Dialog { kind: kind.to_owned(), message, accepted }, answer)
    }
}
