//! `cargo xtask test`: every test there is, with real servers, and a count at the end.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::output::{self, Row};
use crate::setup;
use crate::tools::Tool;
use crate::workspace::{Workspace, human, succeeds, timed};

/// Run every test of the workspace, all features on, servers real; then the examples in the documentation.
///
/// Installs first what the tests need (see `setup`). Tests run under cargo-nextest where it is there, else under
/// `cargo test`. The last line of standard output is `N passed, N failed`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Handed to the runner (`-p buttress-core`, a name, a filter); the documentation's examples are left out then.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    runner: Vec<String>,
}

impl Args {
    /// Everything, unless the runner was told which packages.
    fn scope(&self) -> Option<&'static str> {
        let names_packages =
            self.runner.iter().any(|word| word.starts_with("-p") || word.starts_with("--package"));
        (!names_packages).then_some("--workspace")
    }
}

/// The outcome of one test program, or of all documentation examples.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
struct Suite {
    name: String,
    passed: u64,
    failed: u64,
    seconds: f64,
}

impl Row for Suite {
    const COLUMNS: &'static [&'static str] = &["suite", "#passed", "#failed", "#seconds"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.passed.to_string(),
            self.failed.to_string(),
            format!("{:.1}", self.seconds),
        ]
    }
}

pub(crate) fn run(args: &Args, workspace: &Workspace, json: bool) -> Result<bool> {
    let (outcome, took) = timed(|| -> Result<(Vec<Suite>, bool)> {
        setup::for_tests(workspace)?;
        let (mut suites, mut held) = if Tool::NEXTEST.is_there(workspace) {
            with_nextest(args, workspace)?
        } else {
            let command = ["test", "--all-features", "--all-targets", "--no-fail-fast"];
            with_libtest("tests", workspace.cargo(command).args(args.scope()).args(&args.runner))?
        };
        if args.runner.is_empty() {
            let command = ["test", "--doc", "--workspace", "--all-features", "--no-fail-fast"];
            let (examples, examples_held) =
                with_libtest("examples in the documentation", &mut workspace.cargo(command))?;
            suites.extend(examples);
            held &= examples_held;
        }
        Ok((suites, held))
    });
    let (mut suites, held) = outcome?;
    for suite in &mut suites {
        suite.seconds = (suite.seconds * 1e3).round() / 1e3;
    }

    output::print(&suites, json)?;
    let passed: u64 = suites.iter().map(|suite| suite.passed).sum();
    let failed: u64 = suites.iter().map(|suite| suite.failed).sum();
    if !held && failed == 0 {
        eprintln!("the run failed although no test did: see what cargo printed above");
    }
    if !json {
        println!("\n{} in {}", if held && failed == 0 { "all tests hold" } else { "FAILED" }, human(took));
        println!("{passed} passed, {failed} failed");
    }
    Ok(held && failed == 0)
}

fn with_nextest(args: &Args, workspace: &Workspace) -> Result<(Vec<Suite>, bool)> {
    let report = workspace.target.join("nextest/default/junit.xml");
    if report.exists() {
        std::fs::remove_file(&report)?;
    }
    let command = ["nextest", "run", "--all-features"];
    let held = succeeds(workspace.cargo(command).args(args.scope()).args(&args.runner))?;
    Ok((junit_suites(&report)?, held))
}

/// The test programs in nextest's report. No report means that nothing ran: it did not compile, or nothing matched.
fn junit_suites(report: &Path) -> Result<Vec<Suite>> {
    if !report.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(report).with_context(|| report.display().to_string())?;
    Ok(parse_junit(&text))
}

fn parse_junit(text: &str) -> Vec<Suite> {
    let mut suites: Vec<Suite> = Vec::new();
    for line in text.lines().map(str::trim_start) {
        let number =
            |name| attribute(line, name).and_then(|value| value.parse::<u64>().ok()).unwrap_or_default();
        if line.starts_with("<testsuite ") {
            let failed = number("failures") + number("errors");
            suites.push(Suite {
                name: attribute(line, "name").unwrap_or_default().to_owned(),
                passed: number("tests") - failed - number("skipped"),
                failed,
                seconds: 0.0,
            });
        } else if line.starts_with("<testcase ")
            && let Some(suite) = suites.last_mut()
        {
            suite.seconds += attribute(line, "time").and_then(|value| value.parse().ok()).unwrap_or(0.0);
        }
    }
    suites
}

/// The value of ` name="…"` in a tag. Suites' names and numbers hold nothing that XML would escape.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

/// Runs a command whose test programs report as Rust's own test harness does, and adds their results up.
fn with_libtest(name: &str, command: &mut Command) -> Result<(Vec<Suite>, bool)> {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cargo did not start")?;
    let mut total = Suite { name: name.to_owned(), ..Suite::default() };
    for line in child.stdout.take().into_iter().flat_map(|stdout| BufReader::new(stdout).lines()) {
        let line = line?;
        writeln!(std::io::stderr(), "{line}")?;
        if let Some(result) = parse_result(&line) {
            total.passed += result.passed;
            total.failed += result.failed;
            total.seconds += result.seconds;
        }
    }
    let held = child.wait()?.success();
    Ok((vec![total], held))
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.12s`
fn parse_result(line: &str) -> Option<Suite> {
    let result = line.strip_prefix("test result: ")?;
    let mut suite = Suite::default();
    for part in result.split(['.', ';']).map(str::trim) {
        match part.split_once(' ') {
            Some((count, "passed")) => suite.passed = count.parse().ok()?,
            Some((count, "failed")) => suite.failed = count.parse().ok()?,
            _ => {}
        }
    }
    let (_, seconds) = result.rsplit_once("finished in ")?;
    suite.seconds = seconds.trim_end_matches('s').parse().ok()?;
    Some(suite)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_that_are_named_are_the_only_ones() {
        let scope =
            |words: &[&str]| Args { runner: words.iter().map(|word| (*word).to_owned()).collect() }.scope();
        assert_eq!(scope(&[]), Some("--workspace"));
        assert_eq!(scope(&["parse"]), Some("--workspace"));
        assert_eq!(scope(&["-p", "xtask"]), None);
        assert_eq!(scope(&["--package=xtask"]), None);
    }

    #[test]
    fn a_result_line_is_understood() {
        let line = "test result: FAILED. 31 passed; 2 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.12s";
        let expected = Suite { name: String::new(), passed: 31, failed: 2, seconds: 0.12 };
        assert_eq!(parse_result(line), Some(expected));
        assert_eq!(parse_result("test parse ... ok"), None);
    }

    #[test]
    fn a_report_is_added_up_per_suite() {
        let report = r#"<testsuites name="nextest-run" tests="3" failures="1" time="9.5">
    <testsuite name="buttress-core" tests="2" skipped="0" errors="0" failures="1">
        <testcase name="a" classname="buttress-core" time="0.25"/>
        <testcase name="b" classname="buttress-core" time="0.5">
        </testcase>
    </testsuite>
    <testsuite name="docproc::run" tests="1" skipped="0" errors="0" failures="0">
        <testcase name="c" classname="docproc::run" time="2.0"/>
    </testsuite>
</testsuites>"#;
        let expected = [
            Suite { name: "buttress-core".to_owned(), passed: 1, failed: 1, seconds: 0.75 },
            Suite { name: "docproc::run".to_owned(), passed: 1, failed: 0, seconds: 2.0 },
        ];
        assert_eq!(parse_junit(report), expected);
    }
}
