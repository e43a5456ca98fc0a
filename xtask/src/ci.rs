//! `cargo xtask ci`: every check but the tests, in one run.

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use crate::output::{self, Row};
use crate::tools::Tool;
use crate::workspace::{Workspace, human, succeeds, timed};
use crate::{fuzz, tidy};

/// Run every check but the tests: format, clippy, documentation, tidy, deny, advisories, a short fuzz run.
///
/// All steps run, also after one failed. `.ci/run` calls this after `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long each fuzz target runs; 0 leaves fuzzing out.
    #[arg(long, default_value_t = 10, value_name = "N")]
    fuzz_seconds: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    Held,
    Failed,
    /// The step could not be done here, for a reason that says nothing about the code.
    NotChecked,
}

#[derive(Debug, Serialize)]
struct Step {
    name: &'static str,
    verdict: Verdict,
    seconds: f64,
    #[serde(skip)]
    time: String,
}

impl Row for Step {
    const COLUMNS: &'static [&'static str] = &["step", "verdict", "#time"];

    fn cells(&self) -> Vec<String> {
        let verdict = match self.verdict {
            Verdict::Held => "held",
            Verdict::Failed => "FAILED",
            Verdict::NotChecked => "not checked",
        };
        vec![self.name.to_owned(), verdict.to_owned(), self.time.clone()]
    }
}

pub(crate) fn run(args: &Args, workspace: &Workspace, json: bool) -> Result<bool> {
    let cargo = |words: &[&str]| succeeds(&mut workspace.cargo(words));
    let mut steps = vec![
        step("format", || cargo(&["fmt", "--all", "--check"]).map(verdict)),
        step("format of fuzz", || {
            cargo(&["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]).map(verdict)
        }),
        step("clippy", || {
            let words = [
                "clippy",
                "--workspace",
                "--all-targets",
                "--all-features",
                "--keep-going",
                "--",
                "-D",
                "warnings",
            ];
            cargo(&words).map(verdict)
        }),
        step("documentation", || {
            let mut doc = workspace.cargo(["doc", "--workspace", "--all-features", "--no-deps"]);
            succeeds(doc.env("RUSTDOCFLAGS", "-D warnings")).map(verdict)
        }),
        step("tidy", || tidy::step(workspace).map(verdict)),
        step("licences, bans, sources", || {
            if !has(Tool::DENY, workspace)? {
                return Ok(Verdict::NotChecked);
            }
            cargo(&["deny", "check", "bans", "licenses", "sources"]).map(verdict)
        }),
        step("advisories", || advisories(workspace)),
    ];
    if args.fuzz_seconds > 0 {
        steps.push(step("fuzz", || fuzz::smoke(args.fuzz_seconds, workspace).map(verdict)));
    }
    output::print(&steps, json)?;
    let failed: Vec<_> =
        steps.iter().filter(|step| step.verdict == Verdict::Failed).map(|step| step.name).collect();
    if !failed.is_empty() {
        eprintln!("failed: {}", failed.join(", "));
    }
    Ok(failed.is_empty())
}

fn verdict(held: bool) -> Verdict {
    if held { Verdict::Held } else { Verdict::Failed }
}

fn step(name: &'static str, work: impl FnOnce() -> Result<Verdict>) -> Step {
    eprintln!("== {name}");
    let (result, took) = timed(work);
    let verdict = result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        Verdict::Failed
    });
    Step { name, verdict, seconds: took.as_secs_f64(), time: human(took) }
}

/// Whether the tool is there, or could be had in seconds.
fn has(tool: Tool, workspace: &Workspace) -> Result<bool> {
    if tool.is_there(workspace) || tool.install_prebuilt(workspace)? {
        return Ok(true);
    }
    eprintln!("not checked: {0} is missing (cargo install --locked {0})", tool.name);
    Ok(false)
}

/// Known holes in what we depend on: from a copy of the RustSec database if there is one, else from the network.
fn advisories(workspace: &Workspace) -> Result<Verdict> {
    if let Some(database) = advisory_database(workspace) {
        if !has(Tool::AUDIT, workspace)? {
            return Ok(Verdict::NotChecked);
        }
        eprintln!("advisories as of the copy in {}", database.display());
        let words = ["audit", "--no-fetch", "--stale", "--deny", "warnings", "--db"];
        return succeeds(workspace.cargo(words).arg(database)).map(verdict);
    }
    if !has(Tool::DENY, workspace)? {
        return Ok(Verdict::NotChecked);
    }
    if !succeeds(&mut workspace.cargo(["deny", "fetch", "db"]))? {
        eprintln!(
            "not checked: the RustSec database cannot be fetched here; name a copy in BUTTRESS_ADVISORY_DB"
        );
        return Ok(Verdict::NotChecked);
    }
    succeeds(&mut workspace.cargo(["deny", "--offline", "check", "advisories"])).map(verdict)
}

/// The copy named in the environment, or one that lies beside the checkout.
fn advisory_database(workspace: &Workspace) -> Option<PathBuf> {
    let named = std::env::var_os("BUTTRESS_ADVISORY_DB").map(PathBuf::from);
    let beside = ["../advisory-db", "../shared/advisory-db"].map(|path| workspace.root.join(path));
    named.into_iter().chain(beside).find(|path| path.join("crates").is_dir())
}
