//! Ours beside each rival, over the files that both have read.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::corpus::Set;
use super::measure::Measured;
use super::score::Words;
use crate::output::Row;
use crate::workspace;

/// One rival on one set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Comparison {
    pub(super) set: String,
    pub(super) rival: &'static str,
    /// Files that both have read; all times are over these.
    pub(super) common: usize,
    pub(super) ours: Side,
    pub(super) theirs: Side,
    /// Their CPU time over ours: above 1 we are ahead.
    pub(super) ratio: f64,
    /// The same of each file by itself, in the middle: totals are ruled by the longest.
    pub(super) usual_ratio: f64,
    /// Token F1 of their text to ours, over the common files.
    pub(super) f1: Spread,
}

/// One side of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Side {
    /// For 1,000 documents.
    pub(super) cpu_seconds: f64,
    pub(super) documents_per_cpu_minute: f64,
    /// Wall time, milliseconds.
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    /// Files that it could not read, of all it was given.
    pub(super) failures: usize,
}

/// The middle, and where the worst twentieth ends.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) worst: f64,
}

impl Spread {
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        Self { median: quantile(&values, 0.5), worst: quantile(&values, 0.05) }
    }
}

/// How far an engine's texts are from what the documents were made of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Truth {
    pub(super) set: String,
    pub(super) engine: &'static str,
    pub(super) files: usize,
    /// Words cut at line ends joined.
    pub(super) f1: Spread,
    /// The same over pairs of neighbours: what tells of the order.
    pub(super) pairs_f1: Spread,
    /// The text as it comes: words cut at line ends stay cut.
    pub(super) plain_f1: Spread,
}

/// All that is known of a set, file by file.
#[derive(Debug)]
pub(super) struct Compared {
    pub(super) set: Set,
    pub(super) measured: Vec<Measured>,
    /// For each engine and file, its text's F1 to ours.
    pub(super) agreement: Vec<Vec<Option<f64>>>,
    /// For each engine and file, its text's scores to the truth.
    pub(super) truth: Vec<Vec<Option<Scores>>>,
}

/// One text beside the truth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Scores {
    pub(super) f1: f64,
    pub(super) pairs_f1: f64,
    plain_f1: f64,
}

impl Compared {
    /// Reads the texts that the engines wrote, and scores them. The first engine is ours.
    pub(super) fn new(set: Set, measured: Vec<Measured>, scratch: &Path) -> Result<Self> {
        let mut agreement = vec![vec![None; set.files.len()]; measured.len()];
        let mut truth = agreement.iter().map(|files| vec![None; files.len()]).collect::<Vec<Vec<_>>>();
        for file in 0..set.files.len() {
            let known = set.truths.as_ref().and_then(|truths| truths.get(file));
            let known = known.map(|text| Words::of(text));
            let mut ours = None;
            for (engine, (of_engine, of_truth)) in measured.iter().zip(agreement.iter_mut().zip(&mut truth)) {
                if engine.reading(file).is_none() {
                    continue;
                }
                let path = set.text_file(scratch, engine.engine, file);
                let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
                let words = Words::joined(&text);
                if let (Some(known), Some(slot)) = (&known, of_truth.get_mut(file)) {
                    *slot = Some(Scores {
                        f1: words.f1(known),
                        pairs_f1: words.pairs_f1(known),
                        plain_f1: Words::of(&text).f1(known),
                    });
                }
                if engine.engine == super::OURS {
                    ours = Some(words);
                } else if let (Some(ours), Some(slot)) = (&ours, of_engine.get_mut(file)) {
                    *slot = Some(words.f1(ours));
                }
            }
        }
        Ok(Self { set, measured, agreement, truth })
    }

    /// Ours beside each other engine.
    pub(super) fn comparisons(&self) -> Vec<Comparison> {
        let Some((ours, rivals)) = self.measured.split_first() else { return Vec::new() };
        let agreement = self.agreement.iter().skip(1);
        let rows = rivals.iter().zip(agreement).filter_map(|(theirs, agreement)| {
            let both = |file: &usize| ours.reading(*file).is_some() && theirs.reading(*file).is_some();
            let common: Vec<usize> = (0..self.set.files.len()).filter(both).collect();
            let cpu = |of: &Measured, file| of.reading(file).map_or(f64::NAN, |reading| reading.cpu);
            let ratios = common.iter().map(|file| cpu(theirs, *file) / cpu(ours, *file));
            let usual_ratio = Spread::of(ratios).median;
            let (ours, their_side) = (side(ours, &common), side(theirs, &common));
            (!common.is_empty()).then(|| Comparison {
                set: self.set.name.clone(),
                rival: theirs.engine,
                common: common.len(),
                ours,
                theirs: their_side,
                ratio: their_side.cpu_seconds / ours.cpu_seconds,
                usual_ratio,
                f1: Spread::of(agreement.iter().flatten().copied()),
            })
        });
        rows.collect()
    }

    /// Each engine beside the truth, if it is known, over the files that all engines have read.
    pub(super) fn truths(&self) -> Vec<Truth> {
        if self.set.truths.is_none() {
            return Vec::new();
        }
        let all = |file: &usize| self.measured.iter().all(|engine| engine.reading(*file).is_some());
        let common: Vec<usize> = (0..self.set.files.len()).filter(all).collect();
        let rows = self.measured.iter().zip(&self.truth).map(|(engine, scores)| {
            let scores = || common.iter().filter_map(|file| *scores.get(*file)?);
            Truth {
                set: self.set.name.clone(),
                engine: engine.engine,
                files: common.len(),
                f1: Spread::of(scores().map(|score| score.f1)),
                pairs_f1: Spread::of(scores().map(|score| score.pairs_f1)),
                plain_f1: Spread::of(scores().map(|score| score.plain_f1)),
            }
        });
        rows.collect()
    }
}

fn side(engine: &Measured, files: &[usize]) -> Side {
    let readings: Vec<_> = files.iter().filter_map(|file| engine.reading(*file)).collect();
    let cpu: f64 = readings.iter().map(|reading| reading.cpu).sum();
    let mut wall: Vec<f64> = readings.iter().map(|reading| reading.wall * 1e3).collect();
    wall.sort_by(f64::total_cmp);
    Side {
        cpu_seconds: cpu / readings.len() as f64 * 1e3,
        documents_per_cpu_minute: readings.len() as f64 / cpu * 60.0,
        p50: quantile(&wall, 0.5),
        p90: quantile(&wall, 0.9),
        p99: quantile(&wall, 0.99),
        failures: engine.failures().count(),
    }
}

/// The nearest rank; no number of no values.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    workspace::quantile(sorted, share).unwrap_or(f64::NAN)
}

impl Row for Comparison {
    const COLUMNS: &'static [&'static str] = &[
        "set",
        "rival",
        "#files",
        "#docs/CPU-min",
        "#theirs",
        "#ratio",
        "#usual",
        "#p50 ms",
        "#theirs",
        "#p99 ms",
        "#theirs",
        "#failed",
        "#theirs",
        "#F1",
        "#worst 5 %",
    ];

    fn cells(&self) -> Vec<String> {
        let Self { ours, theirs, .. } = self;
        vec![
            self.set.clone(),
            self.rival.to_owned(),
            self.common.to_string(),
            format!("{:.0}", ours.documents_per_cpu_minute),
            format!("{:.0}", theirs.documents_per_cpu_minute),
            format!("{:.2}", self.ratio),
            format!("{:.2}", self.usual_ratio),
            format!("{:.2}", ours.p50),
            format!("{:.2}", theirs.p50),
            format!("{:.1}", ours.p99),
            format!("{:.1}", theirs.p99),
            ours.failures.to_string(),
            theirs.failures.to_string(),
            format!("{:.3}", self.f1.median),
            format!("{:.3}", self.f1.worst),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::worker::{Outcome, Reading};
    use super::*;

    fn measured(engine: &'static str, cpu: &[Option<f64>]) -> Measured {
        let outcome = |cpu: &Option<f64>| -> Option<Outcome> {
            let reading = cpu.map(|cpu| Reading { wall: cpu, cpu, chars: 1 });
            Some(reading.ok_or_else(|| "damaged".to_owned()))
        };
        Measured { engine, files: cpu.iter().map(outcome).collect(), runs: 1 }
    }

    #[test]
    fn only_files_that_both_read_count() {
        let set = Set { name: "pdf".into(), format: "pdf".into(), files: vec!["a".into(); 3], truths: None };
        let compared = Compared {
            set,
            measured: vec![
                measured(super::super::OURS, &[Some(1.0), Some(1.0), Some(100.0)]),
                measured("other", &[Some(2.0), Some(4.0), None]),
            ],
            agreement: vec![vec![None; 3], vec![Some(1.0), Some(0.9), None]],
            truth: vec![vec![None; 3], vec![None; 3]],
        };
        let row = &compared.comparisons()[0];
        assert_eq!((row.common, row.ours.failures, row.theirs.failures), (2, 0, 1));
        assert!((row.ratio - 3.0).abs() < 1e-9);
        assert!((row.usual_ratio - 2.0).abs() < 1e-9);
        assert!((row.ours.documents_per_cpu_minute - 60.0).abs() < 1e-9);
        assert!((row.theirs.cpu_seconds - 3000.0).abs() < 1e-9);
    }

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=20).map(f64::from).collect();
        let at = |share| format!("{}", quantile(&values, share));
        assert_eq!([at(0.05), at(0.5), at(0.9), at(0.99)], ["1", "10", "18", "20"]);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
