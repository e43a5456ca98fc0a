//! Running scripts in a frame.
//!
//! The driver's own script runs in an isolated world: it sees the document, and the page's scripts see nothing of
//! it. A navigation ends the world, and the next call makes another.

use std::time::Duration;

use buttress_core::ByteSize;
use serde_json::{Value, json};

use super::frame::Frame;
use crate::chromium::connection::{ANSWER, nothing};
use crate::chromium::error::{Error, Result};
use crate::chromium::session::text;

const LIBRARY: &str = include_str!("inject.js");
/// How often a call is made anew because a navigation took its world away.
const WORLDS: usize = 10;
/// How long a page may take to show that it is not busy, after a script ran into its limit.
const SHOW_IDLE_WITHIN: Duration = Duration::from_millis(200);
/// The time between the limit in the browser and our own, which waits for a page that does not even begin.
const GRACE: Duration = Duration::from_millis(100);

impl Frame {
    /// The value of a JavaScript expression, run among the page's own scripts. A promise is waited for. At most
    /// `answer_within`, and at most 1 MiB of JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Script`] when it throws or its value is no JSON, [`Error::Limit`] when it does not come to its end (a loop is cut),
    /// [`Error::TooLarge`].
    pub async fn evaluate(&self, expression: &str) -> Result<Value> {
        let world = self.page_world().await?;
        let within = self.tab().config.answer_within;
        let mut result = self.run(world, expression, true, within, ByteSize::mib(1)).await?;
        Ok(result.get_mut("value").map(Value::take).unwrap_or_default())
    }

    /// Calls a function of the driver's script. Its answer names a `problem`, or holds what was asked for.
    pub(super) async fn driver(
        &self,
        function: &str,
        arguments: &[Value],
        within: Duration,
    ) -> Result<Value> {
        let mut result = self.driver_call(function, arguments, true, within).await?;
        Ok(result.get_mut("value").map(Value::take).unwrap_or_default())
    }

    /// Calls a function of the driver's script that finds an element; its handle, or `None`.
    pub(super) async fn driver_object(
        &self,
        function: &str,
        arguments: &[Value],
        within: Duration,
    ) -> Result<Option<String>> {
        let result = self.driver_call(function, arguments, false, within).await?;
        Ok(result.get("objectId").and_then(Value::as_str).map(str::to_owned))
    }

    async fn driver_call(
        &self,
        function: &str,
        arguments: &[Value],
        by_value: bool,
        within: Duration,
    ) -> Result<Value> {
        let arguments: Vec<String> = arguments.iter().map(Value::to_string).collect();
        let expression = format!("driver.{function}({})", arguments.join(","));
        let mut attempt = 1;
        loop {
            let outcome = match self.world(within).await {
                Ok(world) => self.run(Some(world), &expression, by_value, within, ANSWER).await,
                Err(error) => Err(error),
            };
            match outcome {
                Err(Error::Refused { message, .. })
                    if attempt < WORLDS && (is_navigation(&message) || is_frame_gone(&message)) =>
                {
                    self.forget_world();
                    self.tab().clock().sleep(Duration::from_millis(5)).await;
                    attempt += 1;
                }
                Err(Error::Refused { message, .. }) if is_frame_gone(&message) => {
                    return Err(Error::FrameGone);
                }
                outcome => return outcome,
            }
        }
    }

    /// The driver's own world in this frame, with its script.
    async fn world(&self, within: Duration) -> Result<i64> {
        if let Some(world) = self.known_world() {
            return Ok(world);
        }
        let params = json!({ "frameId": self.id(), "worldName": "driver" });
        let answer = self.call_for("Page.createIsolatedWorld", &params, within, ANSWER).await?;
        let world = answer.get("executionContextId").and_then(Value::as_i64).unwrap_or_default();
        self.run(Some(world), LIBRARY, true, within, ANSWER).await?;
        self.keep_world(world);
        Ok(world)
    }

    /// The world of the page's own scripts in this frame; `None` is that of the session's top frame.
    async fn page_world(&self) -> Result<Option<i64>> {
        if self.is_top_of_session() {
            return Ok(None);
        }
        // The browser tells of worlds only while it is asked to, and then of all at once. What the page has
        // logged would come too, and what it logs from then on.
        let within = self.tab().config.answer_within;
        self.tab().state.change(|known| known.worlds.clear());
        self.post("Runtime.discardConsoleEntries", &nothing());
        self.call_for("Runtime.enable", &nothing(), within, ANSWER).await?;
        let world = self.tab().state.read(|known| known.worlds.get(self.id()).copied());
        self.call_for("Runtime.disable", &nothing(), within, ANSWER).await?;
        world.map(Some).ok_or(Error::FrameGone)
    }

    /// Runs a script and returns the browser's description of its result.
    async fn run(
        &self,
        world: Option<i64>,
        expression: &str,
        by_value: bool,
        within: Duration,
        most: ByteSize,
    ) -> Result<Value> {
        let mut params = json!({
            "expression": expression, "returnByValue": by_value, "awaitPromise": true,
            "timeout": u64::try_from(within.as_millis()).unwrap_or(u64::MAX), "userGesture": true,
        });
        if let (Some(world), Some(fields)) = (world, params.as_object_mut()) {
            fields.insert("contextId".to_owned(), world.into());
        }
        let begun = self.tab().clock().now();
        let late = || Error::Limit { what: "a script in the page".to_owned(), limit: within };
        let mut answer = match self
            .call_for("Runtime.evaluate", &params, within.saturating_add(GRACE), most)
            .await
        {
            Err(Error::Limit { .. }) => {
                self.interrupt().await;
                return Err(late());
            }
            Err(Error::Refused { message, .. }) if message.contains("Execution was terminated") => {
                return Err(late());
            }
            // How the browser tells of a script that it ended while a promise was to be made of its result.
            Err(Error::Refused { message, .. })
                if message == "Internal error" && self.tab().clock().now() - begun >= within =>
            {
                return Err(late());
            }
            Err(Error::Refused { message, .. }) if message.contains("reference chain is too long") => {
                return Err(Error::Script { message: "a result that cannot be written as JSON".to_owned() });
            }
            Err(Error::TooLarge { limit, .. }) => {
                return Err(Error::TooLarge { what: "the script's result".to_owned(), limit });
            }
            answer => answer?,
        };
        match answer.get("exceptionDetails") {
            None => Ok(answer.get_mut("result").map(Value::take).unwrap_or_default()),
            Some(details) => Err(Error::Script { message: describe(details) }),
        }
    }

    /// Ends a script of the page that keeps it from answering. A page that merely has not settled a promise is left
    /// alone: the order would end the next script instead.
    pub(super) async fn interrupt(&self) {
        let params = json!({ "expression": "0" });
        let idle = self.call_for("Runtime.evaluate", &params, SHOW_IDLE_WITHIN, ANSWER).await;
        if matches!(idle, Err(Error::Limit { .. })) {
            self.post("Runtime.terminateExecution", &nothing());
        }
    }
}

/// Whether the browser refused a script because its world went with a navigation.
fn is_navigation(message: &str) -> bool {
    ["Cannot find context", "context was destroyed", "navigated or closed", "Execution context"]
        .iter()
        .any(|known| message.contains(known))
}

/// Whether the browser does not find a frame: it is gone, or is just moving to a process of its own.
fn is_frame_gone(message: &str) -> bool {
    message.contains("No frame for given id")
}

/// The text of an exception: its own description where it has one, and not all of it.
fn describe(details: &Value) -> String {
    let exception = details.get("exception");
    let description = exception.map(|exception| text(exception, "description")).unwrap_or_default();
    let value = exception.and_then(|exception| exception.get("value"));
    let full = match value {
        _ if !description.is_empty() => description.to_owned(),
        Some(value) => value.to_string(),
        None => text(details, "text").to_owned(),
    };
    full.chars().take(1000).collect()
}
