//! `cargo xtask fuzz`: throw mutated input at the parsers.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::{fs, iter, thread};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::output::{self, Row};
use crate::setup::nightly_is_there;
use crate::tools::Tool;
use crate::workspace::{self, Workspace, succeeds};

/// Build the fuzz targets with a nightly compiler and run them, each from its committed seeds, one on each processor.
///
/// Seeds lie in `fuzz/corpus/TARGET` and are only read; what a run finds goes to a scratch folder in `target`. An
/// input that crashes stays in `fuzz/artifacts/TARGET`, and is shown with the command that runs it again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// One target [default: all].
    target: Option<String>,
    /// How long each target runs, after it was built.
    #[arg(long, default_value_t = 60, value_name = "N")]
    seconds: u64,
}

#[derive(Debug, Serialize)]
struct Fuzzed {
    target: String,
    runs: u64,
    per_second: u64,
    crashes: usize,
}

impl Row for Fuzzed {
    const COLUMNS: &'static [&'static str] = &["target", "#runs", "#executions/s", "#crashes"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.target.clone(),
            self.runs.to_string(),
            self.per_second.to_string(),
            self.crashes.to_string(),
        ]
    }
}

pub(crate) fn run(args: &Args, workspace: &Workspace, json: bool) -> Result<bool> {
    let rows = fuzz(args, Lines::Named, workspace)?;
    output::print(&rows, json)?;
    Ok(held(&rows))
}

/// A short run of every target, told on standard error.
pub(crate) fn smoke(seconds: u64, workspace: &Workspace) -> Result<bool> {
    let rows = fuzz(&Args { target: None, seconds }, Lines::Left, workspace)?;
    eprint!("{}", output::table(&rows));
    Ok(held(&rows))
}

fn held(rows: &[Fuzzed]) -> bool {
    rows.iter().all(|row| row.crashes == 0)
}

/// Whether a crash names its lines. That is more than half of a target, of which there are many; who runs a crash again has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lines {
    Named,
    Left,
}

fn fuzz(args: &Args, lines: Lines, workspace: &Workspace) -> Result<Vec<Fuzzed>> {
    let all = workspace::fuzz_targets(&workspace.root.join("fuzz/Cargo.toml"))?;
    let targets = match &args.target {
        None => all,
        Some(name) if all.contains(name) => vec![name.clone()],
        Some(name) => bail!("there is no fuzz target `{name}`; the targets are: {}", all.join(", ")),
    };
    if !nightly_is_there() {
        bail!("fuzzing needs a nightly compiler: rustup toolchain install nightly --profile=minimal");
    }
    if !Tool::FUZZ.is_there(workspace) && !Tool::FUZZ.install_prebuilt(workspace)? {
        bail!("fuzzing needs cargo-fuzz: cargo install --locked cargo-fuzz");
    }
    let mut build = workspace.cargo(["+nightly", "fuzz", "build", "--target", &triple()?]);
    build.args(&args.target);
    if lines == Lines::Left {
        // cargo-fuzz asks for lines by a profile of its own, which only flags of the compiler go over.
        build.env("RUSTFLAGS", "-Cdebuginfo=0 -Cstrip=debuginfo");
    }
    // The toolchain that runs us has named itself in the environment; it is not the one that fuzzes.
    if !succeeds(build.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO"))? {
        bail!("the fuzz targets do not build");
    }
    side_by_side(targets, |target| fuzz_target(target, args.seconds, workspace))
}

/// Does the work for every item, as many at once as there are processors; the results are in the order of the items.
fn side_by_side<I: Send, O: Send>(items: Vec<I>, work: impl Fn(I) -> Result<O> + Sync) -> Result<Vec<O>> {
    let items = Mutex::new(items.into_iter().enumerate());
    // The lock is let go before the work begins.
    let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
    let worker = || iter::from_fn(next).map(|(place, item)| Ok((place, work(item)?))).collect();
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let parts = thread::scope(|scope| {
        let workers: Vec<_> = (0..processors).map(|_| scope.spawn(worker)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect::<Result<Vec<Vec<_>>>>()
    })?;
    let mut done: Vec<(usize, O)> = parts.into_iter().flatten().collect();
    done.sort_by_key(|(place, _)| *place);
    Ok(done.into_iter().map(|(_, output)| output).collect())
}

fn fuzz_target(target: String, seconds: u64, workspace: &Workspace) -> Result<Fuzzed> {
    let folder = workspace.root.join("fuzz");
    let program = folder.join("target").join(triple()?).join("release").join(&target);
    let artifacts = folder.join("artifacts").join(&target);
    fs::create_dir_all(&artifacts)?;
    let found = workspace.scratch("fuzz").join(&target);
    if found.exists() {
        fs::remove_dir_all(&found)?;
    }
    fs::create_dir_all(&found)?;
    let known = files_in(&artifacts)?;

    eprintln!("{target}: {seconds} s");
    let mut command = Command::new(&program);
    command
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args(["-print_final_stats=1", "-timeout=25", "-rss_limit_mb=2048", "-verbosity=0"])
        // As `cargo fuzz run` has it: C libraries have statics of one name in several functions.
        .env("ASAN_OPTIONS", "detect_odr_violation=0")
        // The first folder takes what is found; the others are only read.
        .arg(&found);
    let seeds = folder.join("corpus").join(&target);
    if seeds.is_dir() {
        command.arg(seeds);
    }
    let output = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()
        .with_context(|| format!("{} did not start", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let mut crashes = 0;
    for input in files_in(&artifacts)?.iter().filter(|input| !known.contains(input)) {
        crashes += 1;
        eprintln!("{target} crashed: cargo +nightly fuzz run {target} fuzz/artifacts/{target}/{input}");
    }
    if !output.status.success() {
        eprintln!("{said}");
        crashes = crashes.max(1);
    }
    Ok(Fuzzed {
        target,
        runs: statistic(&said, "number_of_executed_units"),
        per_second: statistic(&said, "average_exec_per_sec"),
        crashes,
    })
}

/// The value of `stat::NAME: VALUE` in what libFuzzer printed; 0 if it crashed before it counted.
fn statistic(said: &str, name: &str) -> u64 {
    said.lines()
        .filter_map(|line| line.strip_prefix("stat::")?.strip_prefix(name)?.strip_prefix(':'))
        .find_map(|value| value.trim().parse().ok())
        .unwrap_or_default()
}

fn files_in(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    Ok(entries.into_iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

/// The machine's target triple, under which cargo-fuzz builds.
fn triple() -> Result<String> {
    let version = workspace::output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::{side_by_side, statistic};

    #[test]
    fn each_item_is_worked_on_once_and_results_keep_their_order() {
        let calls = AtomicUsize::new(0);
        let squares = side_by_side((0..50_u64).collect(), |n| {
            calls.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis((50 - n) % 3));
            Ok(n * n)
        });
        assert_eq!(squares.unwrap(), (0..50).map(|n| n * n).collect::<Vec<_>>());
        assert_eq!(calls.into_inner(), 50);
        let odd = |n: u64| if n == 30 { anyhow::bail!("no thirty") } else { Ok(n) };
        assert_eq!(side_by_side((0..50).collect(), odd).unwrap_err().to_string(), "no thirty");
    }

    #[test]
    fn a_statistic_is_found_by_its_whole_name() {
        let said = "Done\nstat::number_of_executed_units: 1524\nstat::average_exec_per_sec:     152\n";
        assert_eq!(statistic(said, "number_of_executed_units"), 1524);
        assert_eq!(statistic(said, "average_exec_per_sec"), 152);
        assert_eq!(statistic(said, "average_exec"), 0);
    }
}
