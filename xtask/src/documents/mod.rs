//! `cargo xtask bench documents`: the document pipeline beside its rivals, on the same files.
//!
//! Each engine is one warm worker process ([`worker`]); they read the same sample ([`corpus`]) in turns, one at a
//! time ([`measure`]). Costs and texts are compared over the files that both sides have read ([`compare`],
//! [`score`]). PDFs that are made from known text ([`truth`]) tell who reads them right. What comes of it is a page
//! ([`report`]), a picture ([`plot`]), and for those who work on the engine a list of files ([`look`]).

mod compare;
mod corpus;
mod engines;
mod look;
mod measure;
mod plot;
mod report;
mod score;
mod truth;
mod worker;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use self::compare::{Compared, Comparison};
use self::corpus::Set;
pub(crate) use self::corpus::sample;
use self::engines::{ENGINES, Engine, Ready};
use self::measure::Plan;
use crate::output;
use crate::workspace::Workspace;

/// The area's name.
pub(crate) const AREA: &str = "documents";
/// The engine that all others are compared with.
const OURS: &str = "buttress";
/// A document with less text is not standard: opening it is all there is to measure.
const STANDARD: u64 = 1000;

/// Options of the area `documents`; the others take none of them.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of the area documents")]
pub(crate) struct Options {
    /// Documents, as `DIR/FORMAT/*`; for the areas memory and backup any folder [default: the samples of docproc].
    #[arg(long, value_name = "DIR")]
    pub(crate) corpus: Option<PathBuf>,
    /// Which files are standard: tab-separated, name without extension first, a column `class` [default:
    /// DIR/documents.tsv; without one, those in which ours finds 1,000 characters].
    #[arg(long, value_name = "FILE")]
    classes: Option<PathBuf>,
    /// Documents of each format, at most.
    #[arg(long, default_value_t = 60, value_name = "N")]
    files: usize,
    /// Draws the sample.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// How often each engine reads each document; medians count.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,
    /// Seconds for one engine on one format, all runs together.
    #[arg(long, default_value_t = 120, value_name = "SECONDS")]
    budget: u64,
    /// Seconds for one document.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    deadline: u64,
    /// Only these formats [default: all].
    #[arg(long, value_delimiter = ',', value_name = "FORMATS")]
    formats: Vec<String>,
    /// Only these rivals [default: all].
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    rivals: Vec<String>,
    /// How many PDFs to make from known text, where LaTeX is installed; 0 for none.
    #[arg(long, default_value_t = 60, value_name = "N")]
    truth: usize,
    /// What an hour of a processor costs, in dollars.
    #[arg(long, default_value_t = 0.05, value_name = "DOLLARS")]
    vcpu_hour: f64,
    /// Where `documents.md` and `documents.svg` go [default: docs/bench].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Everything a run found out, for those who tell of it.
struct Findings {
    ready: Ready,
    /// What was left out, and why.
    remarks: Vec<String>,
    sets: Vec<Compared>,
}

pub(crate) fn run(args: &Options, workspace: &Workspace, json: bool) -> Result<bool> {
    let known = |name: &String| ENGINES.iter().any(|engine| engine.name == name && !engine.is_ours());
    if let Some(unknown) = args.rivals.iter().find(|name| !known(name)) {
        let names: Vec<_> =
            ENGINES.iter().filter(|engine| !engine.is_ours()).map(|engine| engine.name).collect();
        anyhow::bail!("there is no rival `{unknown}`; the rivals are: {}", names.join(", "));
    }
    let scratch = workspace.scratch("bench").join(AREA);
    if scratch.exists() {
        std::fs::remove_dir_all(&scratch)?;
    }
    let ready = Ready::make(workspace, &args.rivals)?;
    let mut remarks = ready.missing.clone();
    let mut sets = sets(args, workspace, &ready)?;
    if args.truth > 0 && wanted(args).contains(&"pdf") {
        let (set, why_not) = truth::make(workspace, args.truth, args.seed)?;
        sets.extend(set);
        remarks.extend(why_not);
    }
    ensure!(!sets.is_empty(), "there is no standard document of a format that is measured");
    let plan = Plan {
        runs: usize::try_from(args.runs)?,
        budget: Duration::from_secs(args.budget),
        deadline: Duration::from_secs(args.deadline),
    };
    let mut compared = Vec::new();
    for set in sets {
        let measured = measure::measure(&set, &ready, plan, &scratch)?;
        compared.push(Compared::new(set, measured, &scratch)?);
    }
    let findings = Findings { ready, remarks, sets: compared };

    let out = args.out.clone().unwrap_or_else(|| workspace.root.join("docs/bench"));
    std::fs::create_dir_all(&out)?;
    std::fs::write(out.join("documents.md"), report::page(&findings, args))?;
    std::fs::write(out.join("documents.svg"), plot::picture(&findings.comparisons()))?;
    look::write(&findings, &scratch)?;
    output::print(&findings.comparisons(), json)?;
    eprintln!(
        "{} and its picture; which files to look at: {}",
        out.join("documents.md").display(),
        scratch.display()
    );
    Ok(true)
}

impl Findings {
    fn comparisons(&self) -> Vec<Comparison> {
        self.sets.iter().flat_map(Compared::comparisons).collect()
    }
}

/// The formats asked for that some rival reads too.
fn wanted(args: &Options) -> Vec<&'static str> {
    let ours = ENGINES.first().map_or(&[][..], |engine| engine.formats);
    let asked = |format: &&str| args.formats.is_empty() || args.formats.iter().any(|name| name == format);
    ours.iter().copied().filter(asked).collect()
}

/// A sample of the standard documents of each format.
fn sets(args: &Options, workspace: &Workspace, ready: &Ready) -> Result<Vec<Set>> {
    let folder = args.corpus.clone().unwrap_or_else(|| workspace.root.join("examples/docproc/samples"));
    let table =
        args.classes.clone().or_else(|| Some(folder.join("documents.tsv")).filter(|file| file.exists()));
    let standard = table.map(|table| corpus::standard_by_table(&table)).transpose()?;
    let mut sets = Vec::new();
    for (format, mut files) in corpus::files(&folder, &wanted(args))? {
        if let Some(standard) = &standard {
            files.retain(|path| {
                path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| standard.contains(stem))
            });
        } else {
            let (ours, _) = ready.engines.first().context("ours is the first engine")?;
            files = with_text(files, *ours, ready, args)?;
        }
        let files = corpus::sample(files, args.files, args.seed);
        if !files.is_empty() {
            sets.push(Set { name: format.clone(), format, files, truths: None });
        }
    }
    Ok(sets)
}

/// Those in which we find enough text.
fn with_text(files: Vec<PathBuf>, ours: Engine, ready: &Ready, args: &Options) -> Result<Vec<PathBuf>> {
    let Some(first) = files.first().cloned() else { return Ok(files) };
    let deadline = Duration::from_secs(args.deadline);
    let log = tempfile::tempfile()?;
    let mut worker = worker::Worker::new(|| ready.command(ours), &first, deadline, log);
    let mut standard = Vec::new();
    for path in files {
        if worker.read(&path, None)?.is_ok_and(|reading| reading.chars >= STANDARD) {
            standard.push(path);
        }
    }
    Ok(standard)
}
