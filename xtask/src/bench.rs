//! `cargo xtask bench`: ours beside its rivals, measured in one run on the same work.
//!
//! An area is a criterion bench; only `documents` and `backup` are measured by our own [`crate::documents`] and
//! [`crate::backups`], as their rivals are not Rust, and `memory` by [`crate::memory`], as it is no time.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::backups;
use crate::documents;
use crate::memory;
use crate::output::{self, Row};
use crate::workspace::{Workspace, files_below, succeeds};

/// The package whose bench targets are the areas.
const PACKAGE: &str = "buttress-benches";
/// The name under which a bench measures our side.
const OURS: &str = "buttress";

/// Measure an area: our crate beside its rivals, in one run on the same work.
///
/// An area is a criterion bench `benches/AREA.rs`: a group is a case, a function in it a subject, ours is called
/// `buttress`. Values are medians. The ratio says how many times better ours is, above 1 is ahead, for time and for
/// throughput alike. The area `documents` instead has our document pipeline and its rivals, which it installs, read the
/// same files, and writes docs/bench/documents.md; the area `memory` tells what documents cost in memory, and the area
/// `backup` has our program and its rivals back up the files of `--corpus`, or with `--grow` tells the memory that ours
/// takes for 1 and for 10 GB, for which there has to be room for 30 GB.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The area; left out, the areas are listed.
    pub(crate) area: Option<String>,
    /// Stop measuring as soon as the numbers look steady: for a first look, not for a claim.
    #[arg(long)]
    quick: bool,
    /// The area backup: how memory grows with what is backed up.
    #[arg(long)]
    grow: bool,
    #[command(flatten)]
    documents: documents::Options,
}

/// Our value beside one rival's.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Comparison {
    case: String,
    subject: String,
    value: f64,
    unit: &'static str,
    rival: Option<String>,
    rival_value: Option<f64>,
    ratio: Option<f64>,
}

impl Row for Comparison {
    const COLUMNS: &'static [&'static str] =
        &["case", "subject", "#value", "unit", "rival", "#rival value", "#ratio"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.case.clone(),
            self.subject.clone(),
            significant(self.value),
            self.unit.to_owned(),
            self.rival.clone().unwrap_or_default(),
            self.rival_value.map(significant).unwrap_or_default(),
            self.ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
        ]
    }
}

pub(crate) fn run(args: &Args, workspace: &Workspace, json: bool) -> Result<bool> {
    let areas = areas(workspace)?;
    let listed = if areas.is_empty() { "none".to_owned() } else { areas.join(", ") };
    let Some(area) = &args.area else { bail!("name an area: {listed}") };
    if !areas.contains(area) {
        bail!("there is no bench area `{area}`; the areas are: {listed}");
    }
    if area == documents::AREA {
        return documents::run(&args.documents, workspace, json);
    }
    if area == backups::AREA {
        if args.grow {
            return backups::run_growing(workspace, json);
        }
        return backups::run(&args.documents, workspace, json);
    }
    if area == memory::AREA {
        return memory::run(args.documents.corpus.as_deref(), workspace, json);
    }
    // A folder of its own, emptied first: what an earlier run measured is not mixed in.
    let results = workspace.scratch("bench").join(area);
    if results.exists() {
        std::fs::remove_dir_all(&results)?;
    }
    std::fs::create_dir_all(&results)?;
    let mut command = workspace.cargo(["bench", "--package", PACKAGE, "--bench", area, "--", "--noplot"]);
    if args.quick {
        command.arg("--quick");
    }
    if !succeeds(command.env("CRITERION_HOME", &results))? {
        bail!("the bench {area} failed");
    }
    let measurements = read(&results)?;
    if measurements.is_empty() {
        bail!("the bench {area} measured nothing");
    }
    output::print(&compare(&measurements), json)?;
    Ok(true)
}

/// The names of the areas there are.
pub(crate) fn areas(workspace: &Workspace) -> Result<Vec<String>> {
    let criterion = workspace.package(PACKAGE)?.targets("bench");
    let mut areas: Vec<_> =
        criterion.chain([backups::AREA, documents::AREA, memory::AREA]).map(str::to_owned).collect();
    areas.sort();
    Ok(areas)
}

/// One subject's result in one case.
#[derive(Debug, Clone, PartialEq)]
struct Measurement {
    case: String,
    subject: String,
    /// Nanoseconds, or units a second.
    value: f64,
    unit: &'static str,
}

impl Measurement {
    fn is_time(&self) -> bool {
        self.unit == "ns"
    }
}

/// Criterion's `benchmark.json`.
#[derive(Debug, Deserialize)]
struct Benchmark {
    group_id: String,
    function_id: Option<String>,
    value_str: Option<String>,
    throughput: Option<Throughput>,
}

/// Work done in one iteration.
#[derive(Debug, Clone, Copy, Deserialize)]
enum Throughput {
    Bits(u64),
    Bytes(u64),
    BytesDecimal(u64),
    Elements(u64),
    ElementsAndBytes { elements: u64 },
}

/// Criterion's `estimates.json`.
#[derive(Debug, Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Debug, Deserialize)]
struct Estimate {
    point_estimate: f64,
}

impl Measurement {
    fn new(benchmark: Benchmark, estimates: &Estimates) -> Self {
        let nanoseconds = estimates.median.point_estimate;
        let (value, unit) = match benchmark.throughput {
            None => (nanoseconds, "ns"),
            Some(throughput) => {
                let (amount, unit) = match throughput {
                    Throughput::Bits(amount) => (amount, "bit/s"),
                    Throughput::Bytes(amount) | Throughput::BytesDecimal(amount) => (amount, "B/s"),
                    Throughput::Elements(elements) | Throughput::ElementsAndBytes { elements } => {
                        (elements, "elements/s")
                    }
                };
                (amount as f64 * 1e9 / nanoseconds, unit)
            }
        };
        let case = match benchmark.value_str {
            Some(parameter) => format!("{}/{parameter}", benchmark.group_id),
            None => benchmark.group_id,
        };
        Self { case, subject: benchmark.function_id.unwrap_or_default(), value, unit }
    }
}

/// Every result below `folder`: criterion writes `CASE/SUBJECT/new/{benchmark,estimates}.json`.
fn read(folder: &Path) -> Result<Vec<Measurement>> {
    files_below(folder)?
        .iter()
        .filter(|path| path.ends_with("new/benchmark.json"))
        .map(|path| Ok(Measurement::new(load(path)?, &load(&path.with_file_name("estimates.json"))?)))
        .collect()
}

fn load<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

/// Ours beside each rival, case by case; a case without ours, or without a rival, shows what it has.
fn compare(measurements: &[Measurement]) -> Vec<Comparison> {
    let alone = |one: &Measurement| Comparison {
        case: one.case.clone(),
        subject: one.subject.clone(),
        value: one.value,
        unit: one.unit,
        rival: None,
        rival_value: None,
        ratio: None,
    };
    let mut rows = Vec::new();
    for one in measurements {
        let same_case = || measurements.iter().filter(|other| other.case == one.case);
        let rivals: Vec<_> = same_case().filter(|other| other.subject != OURS).collect();
        if one.subject == OURS && !rivals.is_empty() {
            rows.extend(rivals.into_iter().map(|rival| Comparison {
                rival: Some(rival.subject.clone()),
                rival_value: Some(rival.value),
                ratio: Some(if one.is_time() { rival.value / one.value } else { one.value / rival.value }),
                ..alone(one)
            }));
        } else if one.subject == OURS || !same_case().any(|other| other.subject == OURS) {
            rows.push(alone(one));
        }
    }
    rows
}

/// Four significant digits, as far as a fraction goes.
fn significant(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 1000.0 => 0,
        size if size >= 100.0 => 1,
        size if size >= 10.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(case: &str, subject: &str, value: f64, unit: &'static str) -> Measurement {
        Measurement { case: case.to_owned(), subject: subject.to_owned(), value, unit }
    }

    fn ratios(measurements: &[Measurement]) -> Vec<(String, Option<f64>)> {
        let name = |row: &Comparison| row.rival.clone().unwrap_or_else(|| row.subject.clone());
        compare(measurements).iter().map(|row| (name(row), row.ratio)).collect()
    }

    #[test]
    fn above_one_is_ahead_for_time_and_for_throughput() {
        let time = [measured("read", "buttress", 2.0, "ns"), measured("read", "lock", 20.0, "ns")];
        assert_eq!(ratios(&time), [("lock".to_owned(), Some(10.0))]);
        let throughput = [measured("parse", "buttress", 20.0, "B/s"), measured("parse", "slow", 2.0, "B/s")];
        assert_eq!(ratios(&throughput), [("slow".to_owned(), Some(10.0))]);
    }

    #[test]
    fn each_rival_has_a_row_and_a_lonely_subject_too() {
        let all = [
            measured("read", "buttress", 2.0, "ns"),
            measured("read", "lock", 4.0, "ns"),
            measured("read", "mutex", 1.0, "ns"),
            measured("write", "buttress", 3.0, "ns"),
            measured("other", "mutex", 3.0, "ns"),
        ];
        let expected = [("lock", Some(2.0)), ("mutex", Some(0.5)), ("buttress", None), ("mutex", None)];
        assert_eq!(ratios(&all), expected.map(|(name, ratio)| (name.to_owned(), ratio)));
    }

    #[test]
    fn criterion_s_files_are_understood() {
        let benchmark = r#"{"group_id":"parse","function_id":"buttress","value_str":"big","throughput":{"Bytes":1000},
            "full_id":"parse/buttress/big","directory_name":"parse/buttress/big","title":"parse/buttress/big"}"#;
        let estimates = r#"{"mean":{"point_estimate":9.0},"median":{"confidence_interval":{"confidence_level":0.95,
            "lower_bound":1.0,"upper_bound":3.0},"point_estimate":500.0,"standard_error":0.1}}"#;
        let (Ok(benchmark), Ok(estimates)) =
            (serde_json::from_str(benchmark), serde_json::from_str(estimates))
        else {
            unreachable!("both are what criterion writes")
        };
        let expected = measured("parse/big", "buttress", 2e9, "B/s");
        assert_eq!(Measurement::new(benchmark, &estimates), expected);
    }
}
