//! What a person does with a page's elements.

use std::time::Duration;

use serde_json::{Value, json};

use super::frame::Frame;
use super::patience::Patience;
use crate::chromium::error::{Error, Result};
use crate::chromium::session::text;
use crate::chromium::target::{Extract, Target};

/// The largest extract, in bytes of JSON.
const EXTRACT: buttress_core::ByteSize = buttress_core::ByteSize::mib(1);

impl Frame {
    /// Clicks an element, waiting `within` until it is there and can be clicked: visible, still, enabled, and hit by
    /// a mouse at its centre. If the click opens another document, returns when that has loaded.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], or [`Error::NotUsable`] with what keeps it from being clicked.
    pub async fn click(&self, target: &Target, within: Duration) -> Result<()> {
        let mut patience = Patience::new(self.tab().clock(), within);
        let (x, y) = loop {
            match self.aim(target, &patience).await {
                Err(error) if error.is_not_yet() && patience.pause().await => {}
                aimed => break aimed?,
            }
        };
        self.tab().begin_action();
        self.tab().click_at(x, y).await?;
        self.settle().await
    }

    /// Where a click hits an element now, in the page's window.
    async fn aim(&self, target: &Target, patience: &Patience) -> Result<(f64, f64)> {
        let answer = self.look("aim", &[target.argument()], patience).await?;
        self.in_window(target, point(target, &answer)?).await
    }

    /// Types text into a field, a label's field or an editable element, at its end or, with `clear`, in place of
    /// what it holds. Fields that are picked and not written (dates, colours, …) take their value as HTML writes it.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], or [`Error::NotUsable`] with what keeps it from being typed into.
    pub async fn type_text(&self, target: &Target, text: &str, clear: bool, within: Duration) -> Result<()> {
        let arguments = [target.argument(), text.into(), clear.into()];
        let answer = self.retry("focus", target, &arguments, within).await?;
        if answer.get("done") == Some(&Value::Bool(true)) {
            return Ok(());
        }
        if !text.is_empty() {
            self.tab().call("Input.insertText", &json!({ "text": text })).await?;
        } else if clear {
            self.press("Backspace").await?;
        }
        Ok(())
    }

    /// Selects the option of a list that has this value or, if none has, this label.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], or [`Error::NotUsable`] with what the list offers instead.
    pub async fn select(&self, target: &Target, value: &str, within: Duration) -> Result<()> {
        self.tab().begin_action();
        self.retry("select", target, &[target.argument(), value.into()], within).await?;
        self.settle().await
    }

    /// Reads elements, waiting `within` for the first one. The result is at most 1 MiB of JSON.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::NotUsable`] or [`Error::TooLarge`].
    pub async fn extract(&self, target: &Target, what: &Extract, within: Duration) -> Result<Value> {
        let (what, name) = what.arguments();
        let arguments = [target.argument(), what.into(), name.into(), EXTRACT.bytes().into()];
        let answer = self.retry("extract", target, &arguments, within).await?;
        let json = text(&answer, "json");
        if answer.get("large").is_some() || json.len() > EXTRACT.as_usize() {
            return Err(Error::TooLarge { what: format!("what `{target}` holds"), limit: EXTRACT });
        }
        let problem = |error: serde_json::Error| Error::Unreadable {
            method: "Runtime.evaluate",
            problem: error.to_string(),
        };
        serde_json::from_str(json).map_err(problem)
    }

    /// Calls a function of the driver's script until it names no problem.
    pub(super) async fn retry(
        &self,
        function: &str,
        target: &Target,
        arguments: &[Value],
        within: Duration,
    ) -> Result<Value> {
        let mut patience = Patience::new(self.tab().clock(), within);
        loop {
            let answer = self.look(function, arguments, &patience).await?;
            match problem(target, &answer) {
                None => return Ok(answer),
                Some(error) => {
                    if !patience.pause().await {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Calls a function of the driver's script once. What it throws is about the selector it was given.
    pub(super) async fn look(
        &self,
        function: &str,
        arguments: &[Value],
        patience: &Patience,
    ) -> Result<Value> {
        let look = patience.one_look(self.tab().config.answer_within);
        match self.driver(function, arguments, look).await {
            Err(Error::Script { message }) => Err(bad_selector(arguments, message)),
            answer => answer,
        }
    }
}

/// The error for a script that threw: a selector that the browser does not read is the caller's.
fn bad_selector(arguments: &[Value], message: String) -> Error {
    let selector = arguments.first().map(|target| text(target, "css")).unwrap_or_default();
    if selector.is_empty() || !message.contains("SyntaxError") {
        return Error::Script { message };
    }
    let problem = "the browser does not read it as a CSS selector".to_owned();
    Error::Argument { what: "target", value: selector.to_owned(), problem }
}

/// What the driver's script found wrong with an element.
fn problem(target: &Target, answer: &Value) -> Option<Error> {
    let target = target.to_string();
    match answer.get("problem")?.as_str()? {
        "missing" => Some(Error::NotFound { target }),
        problem => Some(Error::NotUsable { target, problem: problem.to_owned() }),
    }
}

/// The point in an answer of the driver's script.
pub(super) fn point(target: &Target, answer: &Value) -> Result<(f64, f64)> {
    if let Some(error) = problem(target, answer) {
        return Err(error);
    }
    let coordinate = |name| answer.get(name).and_then(Value::as_f64);
    coordinate("x").zip(coordinate("y")).ok_or(Error::FrameGone)
}
