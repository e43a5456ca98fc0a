//! `cargo xtask bench memory`: what documents cost in memory, and whether it comes back.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::documents;
use crate::output::{self, Row};
use crate::workspace::{self, Workspace, succeeds};

/// The area's name.
pub(crate) const AREA: &str = "memory";
/// Documents that one process reads, file after file, over and over.
const DOCUMENTS: usize = 10_000;
/// Documents at either end of the run that are compared.
const END: usize = 2_000;

/// A line of `documents_allocations`.
#[derive(Debug, Deserialize)]
struct Counted {
    format: String,
    allocations: u64,
    allocated: u64,
    held: u64,
}

/// A line of `documents_memory`.
#[derive(Debug, Deserialize)]
struct Measured {
    format: Option<String>,
    grown: u64,
    after: u64,
}

/// What documents of one format cost.
#[derive(Debug, Serialize)]
struct Cost {
    format: String,
    documents: usize,
    /// Calls of the allocator for a document, median and 99th percentile.
    allocations: [u64; 2],
    /// Bytes asked for, given back or not; median.
    allocated: u64,
    /// The most bytes held at once: median and most.
    held: [u64; 2],
    /// How far memory in use of the process rose: 99th percentile and most.
    grown: [u64; 2],
}

impl Row for Cost {
    const COLUMNS: &'static [&'static str] = &[
        "format",
        "#documents",
        "#allocations p50",
        "#p99",
        "#allocated p50 (KB)",
        "#held p50 (KB)",
        "#max (KB)",
        "#process grown p99 (KB)",
        "#max (KB)",
    ];

    fn cells(&self) -> Vec<String> {
        let kb = |bytes: u64| (bytes / 1000).to_string();
        let mut cells = vec![self.format.clone(), self.documents.to_string()];
        cells.extend(self.allocations.map(|calls| calls.to_string()));
        cells.push(kb(self.allocated));
        cells.extend(self.held.into_iter().chain(self.grown).map(kb));
        cells
    }
}

/// Measures over every file below `corpus`, or the samples.
pub(crate) fn run(corpus: Option<&Path>, workspace: &Workspace, json: bool) -> Result<bool> {
    let corpus = corpus.map_or_else(|| workspace.root.join("examples/docproc/samples"), Path::to_path_buf);
    let list = workspace.scratch("bench").join("memory.txt");
    fs::create_dir_all(list.parent().context("a scratch folder has a parent")?)?;
    let files = workspace::files_below(&corpus)?;
    ensure!(!files.is_empty(), "there is no file below {}", corpus.display());
    // Shuffled, so that formats are mixed.
    let lines = documents::sample(files, usize::MAX, 1);
    let lines: Vec<&str> = lines.iter().filter_map(|path| path.to_str()).collect();
    fs::write(&list, lines.join("\n"))?;

    let counted: Vec<Counted> = example("documents_allocations", &[], &list, workspace)?;
    let measured: Vec<Measured> = example("documents_memory", &[&DOCUMENTS.to_string()], &list, workspace)?;
    output::print(&costs(&counted, &measured), json)?;
    let first = most_in_use(measured.get(..END).unwrap_or(&measured));
    let last = most_in_use(measured.get(measured.len().saturating_sub(END)..).unwrap_or(&measured));
    let change = (last as f64 / first as f64 - 1.0) * 100.0;
    eprintln!(
        "memory in use, most of the first {END} documents: {:.1} MB; of the last {END} of {}: {:.1} MB ({change:+.1} %)",
        first as f64 / 1e6,
        measured.len(),
        last as f64 / 1e6,
    );
    Ok(true)
}

fn most_in_use(documents: &[Measured]) -> u64 {
    documents.iter().map(|document| document.after).max().unwrap_or_default()
}

/// A row a format, and one of all.
fn costs(counted: &[Counted], measured: &[Measured]) -> Vec<Cost> {
    let mut formats: BTreeMap<&str, (Vec<&Counted>, Vec<u64>)> = BTreeMap::new();
    for document in counted {
        for format in [document.format.as_str(), "all"] {
            formats.entry(format).or_default().0.push(document);
        }
    }
    for document in measured {
        for format in document.format.as_deref().into_iter().chain(["all"]) {
            formats.entry(format).or_default().1.push(document.grown);
        }
    }
    let cost = |(format, (counted, grown)): (&str, (Vec<&Counted>, Vec<u64>))| {
        let figure = |of: fn(&Counted) -> u64, share| quantile(counted.iter().map(|one| of(one)), share);
        Cost {
            format: format.to_owned(),
            documents: counted.len(),
            allocations: [0.5, 0.99].map(|share| figure(|one| one.allocations, share)),
            allocated: figure(|one| one.allocated, 0.5),
            held: [0.5, 1.0].map(|share| figure(|one| one.held, share)),
            grown: [0.99, 1.0].map(|share| quantile(grown.iter().copied(), share)),
        }
    };
    formats.into_iter().map(cost).collect()
}

/// The nearest rank of values in any order; 0 of none.
fn quantile(values: impl Iterator<Item = u64>, share: f64) -> u64 {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    workspace::quantile(&values, share).unwrap_or_default()
}

/// Runs an example of the benches on a list of files, and reads its lines.
fn example<T: serde::de::DeserializeOwned>(
    name: &str,
    args: &[&str],
    list: &Path,
    workspace: &Workspace,
) -> Result<Vec<T>> {
    let build = ["build", "--quiet", "--release", "--package", "buttress-benches", "--example", name];
    ensure!(succeeds(&mut workspace.cargo(build))?, "{name} does not build");
    let program = workspace.target.join("release/examples").join(name);
    let mut command = Command::new(program);
    // What mimalloc keeps in hand for a second depends on the moment; what is told here is what documents need.
    command.arg(list).args(args).env("MIMALLOC_PURGE_DELAY", "0");
    let said = workspace::output(&mut command)?;
    said.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn percentiles_are_values_that_were_seen() {
        assert_eq!(quantile(1..=100, 0.5), 50);
        assert_eq!(quantile(1..=100, 0.99), 99);
        assert_eq!(quantile(1..=100, 1.0), 100);
        assert_eq!(quantile([7].into_iter(), 0.99), 7);
        assert_eq!(quantile([].into_iter(), 0.99), 0);
    }
}
