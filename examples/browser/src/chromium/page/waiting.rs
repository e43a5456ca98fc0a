//! Waiting for what a page shows.

use std::time::Duration;

use serde_json::{Value, json};

use super::frame::Frame;
use super::patience::Patience;
use crate::chromium::error::{Error, Result};
use crate::chromium::session::text;
use crate::chromium::target::{State, Target};

impl Frame {
    /// Waits until an element is in a state, also across navigations.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] when it is not `within`.
    pub async fn wait_for(&self, target: &Target, state: State, within: Duration) -> Result<()> {
        let mut patience = Patience::new(self.tab().clock(), within);
        loop {
            let answer = self.look("status", &[target.argument()], &patience).await?;
            let there = answer.get("count").and_then(Value::as_u64).is_some_and(|count| count > 0);
            let visible = answer.get("visible") == Some(&Value::Bool(true));
            let reached = match state {
                State::Attached => there,
                State::Visible => visible,
                State::Hidden => !visible,
                State::Detached => !there,
            };
            if reached {
                return Ok(());
            }
            if !patience.pause().await {
                let what = format!("waiting for `{target}` to be {}", state.as_str());
                return Err(Error::Limit { what, limit: within });
            }
        }
    }

    /// Waits until the page shows a text, without regard to case and to how spaces and lines divide it.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] when it does not `within`.
    pub async fn wait_for_text(&self, text: &str, within: Duration) -> Result<()> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let wanted = json!(words.join(" ").to_lowercase());
        let mut patience = Patience::new(self.tab().clock(), within);
        while self.look("shows", std::slice::from_ref(&wanted), &patience).await? != Value::Bool(true) {
            if !patience.pause().await {
                let what = format!("waiting for the text `{}`", text.chars().take(80).collect::<String>());
                return Err(Error::Limit { what, limit: within });
            }
        }
        Ok(())
    }

    /// Waits until the document's address contains `part`.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] when it does not `within`.
    pub async fn wait_for_url(&self, part: &str, within: Duration) -> Result<()> {
        let mut patience = Patience::new(self.tab().clock(), within);
        while !self.address(&patience).await?.contains(part) {
            if !patience.pause().await {
                let what =
                    format!("waiting for an address with `{}`", part.chars().take(80).collect::<String>());
                return Err(Error::Limit { what, limit: within });
            }
        }
        Ok(())
    }

    /// The document's title.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] when the page does not answer.
    pub async fn title(&self) -> Result<String> {
        Ok(text(&self.about().await?, "title").to_owned())
    }

    /// The document's address.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] when the page does not answer.
    pub async fn url(&self) -> Result<String> {
        Ok(text(&self.about().await?, "url").to_owned())
    }

    /// Title, address and status code of the document.
    pub(super) async fn about(&self) -> Result<Value> {
        self.driver("about", &[], self.tab().config.answer_within).await
    }

    async fn address(&self, patience: &Patience) -> Result<String> {
        Ok(text(&self.look("about", &[], patience).await?, "url").to_owned())
    }
}
