//! Opening addresses.

use serde_json::{Value, json};

use super::Page;
use crate::chromium::connection::{ANSWER, at_most, nothing};
use crate::chromium::error::{Error, Result};
use crate::chromium::session::text;

/// A document that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Navigated {
    /// The address after all redirections.
    pub url: String,
    /// The document's title.
    pub title: String,
    /// The server's status code; none where no server was asked, as for `about:blank`.
    pub status: Option<u16>,
}

impl Page {
    /// Opens an address and returns when the document has loaded: its `load` event. A page that reports an error,
    /// as with status 404, is a document too.
    ///
    /// # Errors
    ///
    /// [`Error::Navigation`] with the browser's reason when there is no document; [`Error::Limit`] when it has not
    /// loaded within `navigate_within`, and its loading is stopped then; [`Error::PageCrashed`].
    pub async fn goto(&self, url: &str) -> Result<Navigated> {
        let tab = self.tab();
        let limit = tab.config.navigate_within;
        let loaded = at_most(tab.clock(), limit, self.load(url)).await;
        let outcome = match loaded {
            Ok(Err(Error::Limit { .. })) | Err(_) => {
                Err(Error::Limit { what: format!("loading {}", cut(url)), limit })
            }
            Ok(outcome) => outcome,
        };
        if matches!(outcome, Err(Error::Limit { .. })) {
            self.interrupt().await;
            tab.post("Page.stopLoading", &nothing());
        }
        outcome
    }

    async fn load(&self, url: &str) -> Result<Navigated> {
        let tab = self.tab();
        let params = json!({ "url": url });
        let within = tab.config.navigate_within;
        let answer =
            tab.call_for("Page.navigate", &params, within, ANSWER).await.map_err(|error| match error {
                Error::Refused { message, .. } => failed(url, &message),
                error => error,
            })?;
        let reason = text(&answer, "errorText");
        if answer.get("isDownload") == Some(&Value::Bool(true)) {
            return Err(failed(url, "it is a download"));
        }
        // A status of failure without a document: the browser shows a page of its own, and knows the status.
        if !reason.is_empty() && reason != "net::ERR_HTTP_RESPONSE_CODE_FAILURE" {
            // A renderer that crashed on the way is told of a moment later; one that lives answers.
            tab.call_for("Runtime.evaluate", &json!({ "expression": "0" }), within, ANSWER).await?;
            return Err(failed(url, reason));
        }
        let loader = text(&answer, "loaderId");
        if !loader.is_empty() {
            tab.state.wait_until(|known| known.has_loaded(loader)).await;
            tab.alive()?;
        }
        let about = self.about().await?;
        let status =
            about.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
        let (url, title) = (text(&about, "url").to_owned(), text(&about, "title").to_owned());
        Ok(Navigated { url, title, status: status.filter(|status| *status > 0) })
    }
}

fn failed(url: &str, reason: &str) -> Error {
    Error::Navigation { url: cut(url), reason: reason.to_owned() }
}

/// An address for a message.
fn cut(url: &str) -> String {
    url.chars().take(200).collect()
}
