//! `cargo xtask pgo`: docproc built with a profile of its own work, and what that gains.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::output::{self, Row};
use crate::workspace::{self, Workspace, succeeds};

/// Build docproc with profile-guided optimisation, and measure it beside the plain release build.
///
/// Every other document trains, the others measure, so that the gain is not of documents the build has seen. Both
/// builds take turns; the figures are medians. Takes the time of three release builds. The optimised program lies at
/// target/xtask/pgo/docproc.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of documents to train and to measure with.
    #[arg(default_value = "examples/docproc/samples")]
    documents: PathBuf,
    /// How often each build is measured.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// How often a run reads each document.
    #[arg(long, default_value_t = 5)]
    passes: usize,
}

/// One build's speed.
#[derive(Debug, Serialize)]
struct Build {
    #[serde(rename = "build")]
    name: &'static str,
    documents_per_minute: f64,
    /// How many times the plain build's speed.
    ratio: f64,
}

impl Row for Build {
    const COLUMNS: &'static [&'static str] = &["build", "#documents a minute, one worker", "#ratio"];

    fn cells(&self) -> Vec<String> {
        let Self { name, documents_per_minute, ratio } = self;
        vec![(*name).to_owned(), format!("{documents_per_minute:.0}"), format!("{ratio:.2}")]
    }
}

pub(crate) fn run(args: &Args, workspace: &Workspace, json: bool) -> Result<bool> {
    let profdata = profdata()?;
    let scratch = workspace.scratch("pgo");
    let (training, measuring) = (scratch.join("training"), scratch.join("measuring"));
    divide(&workspace.root.join(&args.documents), &training, &measuring)?;

    let plain = build(workspace, "plain", "")?;
    let profiles = scratch.join("profiles");
    emptied(&profiles)?;
    let instrumented =
        build(workspace, "instrumented", &format!("-Cprofile-generate={}", profiles.display()))?;
    speed(&instrumented, &training, 2)?;

    let merged = scratch.join("docproc.profdata");
    if !succeeds(Command::new(profdata).arg("merge").arg("-o").arg(&merged).arg(&profiles))? {
        bail!("the profiles could not be merged");
    }
    let optimised = build(workspace, "optimised", &format!("-Cprofile-use={}", merged.display()))?;
    fs::copy(&optimised, scratch.join("docproc"))?;

    let (mut plain_speeds, mut optimised_speeds) = (Vec::new(), Vec::new());
    for _ in 0..args.runs.max(1) {
        plain_speeds.push(speed(&plain, &measuring, args.passes)?);
        optimised_speeds.push(speed(&optimised, &measuring, args.passes)?);
    }
    let (plain, optimised) = (median(plain_speeds), median(optimised_speeds));
    let row = |name, documents_per_minute: f64| Build {
        name,
        documents_per_minute,
        ratio: documents_per_minute / plain,
    };
    output::print(&[row("release", plain), row("release with its profile", optimised)], json)?;
    Ok(true)
}

/// LLVM's tool of the version that rustc has, from rustup.
fn profdata() -> Result<PathBuf> {
    let sysroot = workspace::output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let tool = Path::new(sysroot.trim()).join("lib/rustlib").join(host()?).join("bin/llvm-profdata");
    if !tool.exists() {
        succeeds(Command::new("rustup").args(["component", "add", "llvm-tools"]))
            .context("llvm-profdata comes with the component llvm-tools of rustup")?;
    }
    if !tool.exists() {
        bail!("{} is not there: rustup component add llvm-tools", tool.display());
    }
    Ok(tool)
}

fn host() -> Result<String> {
    let version = workspace::output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not tell its host")?.to_owned())
}

/// Copies every other file below `from` to `training`, and the others to `measuring`.
fn divide(from: &Path, training: &Path, measuring: &Path) -> Result<()> {
    emptied(training)?;
    emptied(measuring)?;
    let files = workspace::files_below(from)?;
    if files.len() < 2 {
        bail!("{} holds {} documents: some must train and some measure", from.display(), files.len());
    }
    for (index, file) in files.iter().enumerate() {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let folder = if index % 2 == 0 { training } else { measuring };
        // Names may repeat between folders.
        fs::copy(file, folder.join(format!("{index}-{name}")))?;
    }
    Ok(())
}

fn emptied(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    Ok(fs::create_dir_all(folder)?)
}

/// Builds docproc with `flags`, for the host by name: so build scripts and macros are built without them.
fn build(workspace: &Workspace, name: &str, flags: &str) -> Result<PathBuf> {
    let host = host()?;
    let target = workspace.scratch("pgo").join(name);
    let mut cargo = workspace.cargo(["build", "--release", "--package", "docproc", "--target", &host]);
    cargo.arg("--target-dir").arg(&target).env("RUSTFLAGS", flags);
    if !succeeds(&mut cargo)? {
        bail!("the {name} build failed");
    }
    Ok(target.join(host).join("release/docproc"))
}

#[derive(Debug, Deserialize)]
struct Figures {
    documents_per_minute: f64,
}

/// Documents a minute on one thread.
fn speed(program: &Path, documents: &Path, passes: usize) -> Result<f64> {
    let mut command = Command::new(program);
    command
        .args(["bench", "--in-process", "--workers", "1", "--passes"])
        .arg(passes.to_string())
        .arg(documents);
    let figures: Figures = serde_json::from_str(&workspace::output(&mut command)?)?;
    Ok(figures.documents_per_minute)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
