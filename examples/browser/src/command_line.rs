//! `browser run`, `check` and `plan`.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use browser::config::BrowserConfig;
use browser::fleet::Fleet;
use browser::flow::{Compiled, FlowErrors};
use browser::language::grammar;
use browser::report::{Report, StepOutcome};
use browser::run::{Folder, run as run_flow};
use buttress_core::{Ctx, units};
use serde_json::{Map, Value};

use crate::FlowArgs;

pub(crate) async fn run(
    mut config: BrowserConfig,
    flow: &FlowArgs,
    out: &Path,
    allow: &[String],
    json: bool,
) -> Result<ExitCode> {
    let compiled = match (&flow.file, &flow.command) {
        (_, Some(command)) => {
            Compiled::new(&grammar::parse(command)?).map_err(|errors| anyhow!("{errors}"))?
        }
        (Some(file), None) => read(file)?,
        (None, None) => bail!("name a workflow, or give a command with --command"),
    };
    let scope = compiled.bind(inputs(&flow.inputs)?).map_err(|errors| anyhow!("{errors}"))?;
    for rule in allow {
        config.guard.allow.push(rule.parse().with_context(|| format!("--allow {rule}"))?);
    }
    // One run needs one browser, and nothing kept ready.
    config.fleet.browsers = 1;
    config.fleet.tabs = config.fleet.tabs.max(1);
    config.fleet.spare = 0;

    let ctx = Ctx::default();
    let fleet = Fleet::new(config.chromium, config.fleet, config.guard, &ctx).await?;
    let report = {
        let tab = fleet.tab().await?;
        let shelf = Folder(out.to_owned());
        tokio::select! {
            report = run_flow(&compiled, scope, &tab, &shelf, &ctx) => Some(report),
            _ = buttress_service::stop_signal() => None,
        }
    };
    fleet.drain().await;
    let Some(report) = report else {
        eprintln!("browser: stopped");
        return Ok(ExitCode::from(130));
    };
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report, compiled.name(), out);
    }
    Ok(if report.failure.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(crate) fn check(files: &[PathBuf]) -> Result<ExitCode> {
    let mut wrong = 0;
    for file in files {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        match Compiled::parse(&text) {
            Ok(flow) => println!("{}: {} steps, fine", file.display(), flow.step_count()),
            Err(errors) => {
                wrong += 1;
                println!("{}", named(&errors, file));
            }
        }
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(crate) fn plan(text: &str) -> Result<ExitCode> {
    let flow = grammar::parse(text)?;
    println!("{}", serde_json::to_string_pretty(&flow)?);
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> Result<Compiled> {
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
    } else {
        text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    }
    Compiled::parse(&text).map_err(|errors| anyhow!("the workflow is wrong\n{}", named(&errors, file)))
}

/// All errors of a file, each in a line.
fn named(errors: &FlowErrors, file: &Path) -> String {
    errors.of_file(&file.display().to_string()).to_string()
}

/// `NAME=VALUE`s as the inputs of a run; a value that is no JSON is a text.
fn inputs(given: &[String]) -> Result<Map<String, Value>> {
    let input = |text: &String| {
        let (name, value) =
            text.split_once('=').with_context(|| format!("--input {text}: write NAME=VALUE"))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
        Ok((name.to_owned(), value))
    };
    given.iter().map(input).collect()
}

/// Prints a report for people: the steps, what they read, and what they left.
fn print(report: &Report, name: &str, out: &Path) {
    let width = report.steps.iter().map(|step| step.path.len()).max().unwrap_or_default();
    for step in &report.steps {
        let sign = match step.outcome {
            StepOutcome::Done => "done",
            StepOutcome::Skipped => "skipped",
            StepOutcome::Failed => "failed",
        };
        let took = format!("{:.0} ms", step.took.as_secs_f64() * 1000.0);
        let said = step.message.as_deref().map(|message| format!("  {message}")).unwrap_or_default();
        let label = step.name.as_deref().map(|name| format!("  ({name})")).unwrap_or_default();
        println!("{:<width$}  {:<10}  {sign:<7}  {took:>9}{label}{said}", step.path, step.action);
    }
    if report.steps_taken > report.steps.len() {
        println!("… and {} steps more", report.steps_taken - report.steps.len());
    }
    for (result, value) in &report.results {
        println!("{result} = {value}");
    }
    for artifact in &report.artifacts {
        println!("{}  {} bytes", out.join(&artifact.name).display(), artifact.bytes);
    }
    for dialog in &report.dialogs {
        println!("dialog: {dialog}");
    }
    for refused in &report.refused {
        println!("refused: {refused}");
    }
    let took = units::format_duration(std::time::Duration::from_millis(
        u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX),
    ));
    match &report.failure {
        None => println!("{name}: done in {took}"),
        Some(failure) => {
            let at = failure.step.as_deref().map(|step| format!(" at {step}")).unwrap_or_default();
            println!("{name}: failed{at} after {took}: {}", failure.message);
        }
    }
}
