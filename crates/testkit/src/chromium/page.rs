//! What a person does with a page: go there, wait, look, choose files.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::protocol::Connection;
use crate::wait::READY_WITHIN;
use crate::wait_until;

/// One open page. It is closed with its browser.
#[derive(Debug)]
pub struct Page {
    connection: Connection,
    errors: Vec<String>,
}

impl Page {
    pub(super) fn new(mut connection: Connection) -> Self {
        for domain in ["Page", "DOM", "Runtime", "Log"] {
            connection.call(&format!("{domain}.enable"), &json!({}));
        }
        Self { connection, errors: Vec::new() }
    }

    /// Goes to `url` and returns when the page has loaded. Panics if it cannot be reached.
    pub fn goto(&mut self, url: &str) {
        let answer = self.connection.call("Page.navigate", &json!({ "url": url }));
        assert!(answer["errorText"].is_null(), "{url}: {}", answer["errorText"]);
        self.wait_for("document.readyState === 'complete'", READY_WITHIN);
    }

    /// The value of a JavaScript expression; promises are awaited. Panics if it throws.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        self.try_evaluate(expression).unwrap_or_else(|thrown| panic!("{expression}\n  threw {thrown}"))
    }

    /// Waits until a JavaScript expression is truthy. An expression that throws, as for an element that is not there
    /// yet, counts as not yet.
    pub fn wait_for(&mut self, expression: &str, limit: Duration) {
        let condition = format!("Boolean({expression})");
        wait_until(expression, limit, || {
            (self.try_evaluate(&condition) == Ok(Value::Bool(true))).then_some(())
        });
    }

    /// Chooses `files` in the file input that the CSS `selector` names, as a person would in the file dialogue.
    pub fn set_files(&mut self, selector: &str, files: &[&Path]) {
        let files: Vec<_> = files
            .iter()
            .map(|file| file.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", file.display())))
            .collect();
        let document = self.connection.call("DOM.getDocument", &json!({}));
        let query = json!({ "nodeId": document["root"]["nodeId"], "selector": selector });
        let node = self.connection.call("DOM.querySelector", &query)["nodeId"].take();
        assert!(node != 0, "no element matches {selector}");
        self.connection.call("DOM.setFileInputFiles", &json!({ "nodeId": node, "files": files }));
    }

    /// Writes what the window shows to `path`, as PNG.
    pub fn screenshot(&mut self, path: &Path) {
        let answer = self.connection.call("Page.captureScreenshot", &json!({ "format": "png" }));
        let data = answer["data"].as_str().expect("a screenshot has data");
        let png = data_encoding::BASE64.decode(data.as_bytes()).expect("the browser's base64 is valid");
        std::fs::write(path, png).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Exceptions nobody caught and errors in the console, since the page was opened.
    pub fn errors(&mut self) -> &[String] {
        // Events travel in order with answers, so after this answer all earlier ones are here.
        let _settled = self.try_evaluate("0");
        for event in self.connection.take_events() {
            match event["method"].as_str() {
                Some("Runtime.exceptionThrown") => {
                    self.errors.push(describe(&event["params"]["exceptionDetails"]));
                }
                Some("Log.entryAdded") if event["params"]["entry"]["level"] == "error" => {
                    self.errors.push(event["params"]["entry"]["text"].to_string());
                }
                Some("Runtime.consoleAPICalled") if event["params"]["type"] == "error" => {
                    self.errors.push(event["params"]["args"].to_string());
                }
                _ => {}
            }
        }
        &self.errors
    }

    fn try_evaluate(&mut self, expression: &str) -> Result<Value, String> {
        let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.connection.call("Runtime.evaluate", &params);
        if answer["exceptionDetails"].is_null() {
            Ok(answer["result"]["value"].take())
        } else {
            Err(describe(&answer["exceptionDetails"]))
        }
    }
}

/// The text of an exception: its own description where it has one.
fn describe(details: &Value) -> String {
    let text = details["exception"]["description"].as_str().or_else(|| details["text"].as_str());
    text.map_or_else(|| details.to_string(), str::to_owned)
}
