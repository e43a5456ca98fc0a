//! `cargo xtask faults`: crash programs at random moments, and count what they had promised and did not keep.
//!
//! An area is one file here. It fills in an [`Area`] in [`AREAS`]: the names of its cases and a function that goes
//! through one fault. What all areas share is here (seeds, sums, output) and in `buttress_testkit`
//! ([`ProcessGroup::kill_after`](buttress_testkit::ProcessGroup::kill_after), [`Random`]).

mod docproc;
mod documents;
mod queue;

use anyhow::{Context, Result, bail};
use buttress_testkit::Random;
use serde::Serialize;

use crate::output::{self, Row};
use crate::workspace::Workspace;

/// Every area, in the order in which they are listed.
const AREAS: &[Area] = &[docproc::AREA, documents::AREA, queue::AREA];

/// Points after which a case tells how far it is.
const TOLD_EVERY: u64 = 10;

/// Crash an area's program at random moments and count what it lost of what it had acknowledged.
///
/// Fails if anything was lost or any invariant violated. The seed is printed: the same seed draws the same moments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The area; left out, the areas are listed.
    pub(crate) area: Option<String>,
    /// How many faults each case goes through.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    points: u64,
    /// Only these cases [default: all].
    #[arg(long, value_delimiter = ',', value_name = "CASES")]
    cases: Vec<String>,
    /// Repeat a run: its seed, as it printed it.
    #[arg(long)]
    seed: Option<u64>,
}

/// A program, or part of one, that promises to survive faults.
struct Area {
    name: &'static str,
    cases: &'static [&'static str],
    /// Goes through one fault of one case.
    point: fn(case: &str, random: &mut Random, workspace: &Workspace) -> Result<Outcome>,
}

/// What one fault did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
struct Outcome {
    /// Promises the program had made when the fault came, or made after it.
    acknowledged: u64,
    /// Promises it did not keep.
    lost: u64,
    /// Other invariants that did not hold: work done twice, a file that cannot be read, a restart that failed.
    violated: u64,
}

impl Outcome {
    fn holds(self) -> bool {
        self.lost == 0 && self.violated == 0
    }
}

impl std::ops::AddAssign for Outcome {
    fn add_assign(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.lost += other.lost;
        self.violated += other.violated;
    }
}

/// All faults of one case.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Sum {
    case: String,
    tried: u64,
    #[serde(flatten)]
    outcome: Outcome,
}

impl Row for Sum {
    const COLUMNS: &'static [&'static str] = &["case", "#tried", "#acknowledged", "#lost", "#violated"];

    fn cells(&self) -> Vec<String> {
        let Outcome { acknowledged, lost, violated } = self.outcome;
        let counts = [self.tried, acknowledged, lost, violated];
        std::iter::once(self.case.clone()).chain(counts.map(|count| count.to_string())).collect()
    }
}

pub(crate) fn run(args: &Args, workspace: &Workspace, json: bool) -> Result<bool> {
    let names = areas();
    let listed = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let Some(name) = &args.area else { bail!("name an area: {listed}") };
    let Some(area) = AREAS.iter().find(|area| area.name == name) else {
        bail!("there is no fault area `{name}`; the areas are: {listed}");
    };
    if let Some(unknown) = args.cases.iter().find(|case| !area.cases.contains(&case.as_str())) {
        bail!("{name} has no case `{unknown}`; its cases are: {}", area.cases.join(", "));
    }
    let seed = args.seed.unwrap_or_else(seed_of_the_moment);
    eprintln!(
        "seed {seed}: `cargo xtask faults {name} --points {} --seed {seed}` repeats this run",
        args.points
    );
    let sums = area
        .cases
        .iter()
        .filter(|case| args.cases.is_empty() || args.cases.iter().any(|asked| asked == *case))
        .map(|case| sum(area, case, args.points, seed, workspace))
        .collect::<Result<Vec<_>>>()?;
    output::print(&sums, json)?;
    Ok(sums.iter().all(|sum| sum.outcome.holds()))
}

/// The names of the areas there are.
pub(crate) fn areas() -> Vec<&'static str> {
    AREAS.iter().map(|area| area.name).collect()
}

fn sum(area: &Area, case: &str, points: u64, seed: u64, workspace: &Workspace) -> Result<Sum> {
    let mut sum = Outcome::default();
    for point in 0..points {
        if point > 0 && point.is_multiple_of(TOLD_EVERY) {
            eprintln!("{case}: {point} of {points}, {} acknowledged", sum.acknowledged);
        }
        // Each point has a seed of its own: what one of them draws does not move the others.
        let mut random = Random::new(seed.wrapping_add(point));
        let outcome = (area.point)(case, &mut random, workspace)
            .with_context(|| format!("{} / {case}, point {point} of seed {seed}", area.name))?;
        if !outcome.holds() {
            eprintln!("{case}, point {point}: {} lost, {} violated", outcome.lost, outcome.violated);
        }
        sum += outcome;
    }
    Ok(Sum { case: case.to_owned(), tried: points, outcome: sum })
}

fn seed_of_the_moment() -> u64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_epoch.map_or(0, |elapsed| elapsed.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_added_up_and_a_loss_is_kept() {
        let area = Area {
            name: "sample",
            cases: &["crash"],
            point: |_case, random, _workspace| {
                let lost = u64::from(random.below(2) == 0);
                Ok(Outcome { acknowledged: 3, lost, violated: 1 - lost })
            },
        };
        let workspace =
            Workspace { root: "/nowhere".into(), target: "/nowhere/target".into(), packages: Vec::new() };
        let once = sum(&area, area.cases[0], 40, 9, &workspace).ok();
        let again = sum(&area, area.cases[0], 40, 9, &workspace).ok();
        assert_eq!(once, again, "the seed decides");
        let Some(once) = once else { unreachable!("no point fails") };
        let Outcome { acknowledged, lost, violated } = once.outcome;
        assert_eq!((once.tried, acknowledged, lost + violated), (40, 120, 40));
        assert!(lost > 0 && violated > 0, "chance draws both");
    }
}
