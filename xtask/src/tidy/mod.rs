//! `cargo xtask tidy`: the invariants of the workspace, each a function, each tested to fail.
//!
//! What they protect stands in `docs/ARCHITECTURE.md`.

mod commands;
mod features;
mod floors;
mod links;
mod manifests;
mod sources;
mod trees;

use anyhow::Result;
use serde::Serialize;

use crate::output::{self, Row};
use crate::workspace::Workspace;

/// Check the invariants: floors and arrows, who may name what, light defaults, features, unsafe, links, commands.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// One invariant: how many things were looked at, and what is wrong.
#[derive(Debug, Serialize)]
struct Report {
    invariant: &'static str,
    checked: usize,
    problems: Vec<Breach>,
}

/// Something that breaks an invariant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Breach {
    /// A crate, a file, or `file:line`.
    place: String,
    problem: String,
    remedy: String,
}

impl Breach {
    fn new(place: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { place: place.into(), problem: problem.into(), remedy: remedy.into() }
    }
}

/// What a check hands back: how many things it looked at, and the problems among them.
type Findings = (usize, Vec<Breach>);

impl Row for Report {
    const COLUMNS: &'static [&'static str] = &["invariant", "#checked", "#problems"];

    fn cells(&self) -> Vec<String> {
        vec![self.invariant.to_owned(), self.checked.to_string(), self.problems.len().to_string()]
    }
}

pub(crate) fn run(_args: &Args, workspace: &Workspace, json: bool) -> Result<bool> {
    let reports = reports(workspace)?;
    output::print(&reports, json)?;
    Ok(holds(&reports))
}

/// The same as a step of a longer run: told on standard error.
pub(crate) fn step(workspace: &Workspace) -> Result<bool> {
    let reports = reports(workspace)?;
    eprint!("{}", output::table(&reports));
    Ok(holds(&reports))
}

/// Whether nothing is wrong; tells what is, and what would do.
fn holds(reports: &[Report]) -> bool {
    for report in reports {
        for Breach { place, problem, remedy } in &report.problems {
            eprintln!("\n{}: {place}\n  {problem}\n  remedy: {remedy}", report.invariant);
        }
    }
    reports.iter().all(|report| report.problems.is_empty())
}

fn reports(workspace: &Workspace) -> Result<Vec<Report>> {
    let packages = workspace.packages.as_slice();
    let files = sources::Files::of(workspace)?;
    let crates: Vec<_> = packages.iter().filter(|package| floors::is_ours(&package.name)).collect();
    let report = |invariant, (checked, problems): Findings| Report { invariant, checked, problems };
    Ok(vec![
        report("every crate has a floor", floors::known(packages)),
        report("arrows go down only", floors::arrows(packages)),
        report("nothing published needs the facade", floors::facade(packages)),
        report("clients, exporters and servers have one home", floors::homes(packages)),
        report("core is small", trees::core_is_small(&trees::of(workspace, "buttress-core")?)),
        report("light by default", trees::light(&crates, |name| trees::of(workspace, name))?),
        report("dependencies start without default features", manifests::bare(packages, &files)?),
        report("lints are the workspace's", manifests::lints(packages, &files)?),
        report("every feature is explained", features::explained(packages, &files)),
        report("unsafe only in docpipeline", sources::no_unsafe(&files)),
        report("nothing is left for later", sources::nothing_left_over(&files)),
        report("long files explain themselves", sources::short_or_explained(&files)),
        report("links resolve", links::resolve(&files)),
        report("commands in documents exist", commands::exist(&files, workspace)?),
    ])
}

/// Packages made up for tests.
#[cfg(test)]
mod sample {
    use crate::workspace::{Dependency, Package};

    /// A published package with normal dependencies on `dependencies`.
    pub(super) fn package(name: &str, dependencies: &[&str]) -> Package {
        Package {
            name: name.to_owned(),
            manifest_path: format!("/root/crates/{}/Cargo.toml", name.trim_start_matches("buttress-")).into(),
            publish: None,
            dependencies: dependencies.iter().map(|name| dependency(name)).collect(),
            features: std::collections::BTreeMap::new(),
            targets: Vec::new(),
        }
    }

    pub(super) fn dependency(name: &str) -> Dependency {
        Dependency {
            name: name.to_owned(),
            kind: None,
            uses_default_features: false,
            source: (!name.starts_with("buttress")).then(|| "registry".to_owned()),
        }
    }

    pub(super) fn dev(name: &str) -> Dependency {
        Dependency { kind: Some("dev".to_owned()), ..dependency(name) }
    }
}
