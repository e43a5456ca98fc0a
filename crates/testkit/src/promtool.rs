//! Prometheus' own opinion of what we expose.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::Program;

/// Asks `promtool check metrics` about the text of a `/metrics` page.
///
/// # Errors
///
/// What it objects to: syntax, missing HELP lines, names against the conventions.
pub fn promtool_check_metrics(text: &str) -> Result<(), String> {
    let mut promtool = Command::new(Program::PROMTOOL.path())
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("promtool did not start: {error}"))?;
    // Dropping standard input tells it that the text is complete.
    let mut input = promtool.stdin.take().ok_or("promtool has no standard input")?;
    input.write_all(text.as_bytes()).map_err(|error| format!("promtool stopped reading: {error}"))?;
    drop(input);
    let output = promtool.wait_with_output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    Err(said)
}
