//! Every engine over the same files, in turns, so that a slow minute of the machine hits all of them alike.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::corpus::Set;
use super::engines::{Engine, Ready};
use super::worker::{Outcome, Reading, Worker};

/// How long, and how often.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) runs: usize,
    /// For one engine on one set, all runs together.
    pub(super) budget: Duration,
    /// For one document.
    pub(super) deadline: Duration,
}

/// What one engine made of a set.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) engine: &'static str,
    /// Of each file: medians over the runs, or why it failed, or `None` where the budget ended before it.
    pub(super) files: Vec<Option<Outcome>>,
    /// Runs that reached every file.
    pub(super) runs: usize,
}

impl Measured {
    /// The file's medians, if it was read.
    pub(super) fn reading(&self, file: usize) -> Option<Reading> {
        self.files.get(file)?.as_ref()?.as_ref().ok().copied()
    }

    pub(super) fn reached(&self) -> usize {
        self.files.iter().flatten().count()
    }

    /// The files that were not read, and why.
    pub(super) fn failures(&self) -> impl Iterator<Item = (usize, &str)> {
        self.files
            .iter()
            .enumerate()
            .filter_map(|(file, outcome)| Some((file, outcome.as_ref()?.as_ref().err()?.as_str())))
    }
}

/// Has every engine that reads the set's format read all its files, `plan.runs` times.
pub(super) fn measure(set: &Set, ready: &Ready, plan: Plan, scratch: &Path) -> Result<Vec<Measured>> {
    let warm_up = set.files.first().context("a set has files")?;
    let mut runners = Vec::new();
    for (engine, _) in ready.engines.iter().filter(|(engine, _)| engine.reads(&set.format)) {
        std::fs::create_dir_all(set.text_file(scratch, engine.name, 0).with_file_name(""))?;
        let log = std::fs::File::create(scratch.join(&set.name).join(format!("{}.log", engine.name)))?;
        let worker = Worker::new(|| ready.command(*engine), warm_up, plan.deadline, log);
        runners.push(Runner::new(*engine, worker, set.files.len()));
    }
    for run in 0..plan.runs {
        for runner in &mut runners {
            let start = Instant::now();
            runner.run(set, plan, scratch)?;
            eprintln!("{}: run {} of {}: {:.1?}", set.name, run + 1, runner.engine.name, start.elapsed());
        }
    }
    Ok(runners.into_iter().map(Runner::finish).collect())
}

struct Runner<'c> {
    engine: Engine,
    worker: Worker<'c>,
    readings: BTreeMap<usize, Result<Vec<Reading>, String>>,
    count: usize,
    runs: usize,
    spent: Duration,
}

impl<'c> Runner<'c> {
    fn new(engine: Engine, worker: Worker<'c>, count: usize) -> Self {
        Self { engine, worker, readings: BTreeMap::new(), count, runs: 0, spent: Duration::ZERO }
    }

    /// Once over all files, but those that failed already, and only within the budget.
    fn run(&mut self, set: &Set, plan: Plan, scratch: &Path) -> Result<()> {
        for (file, path) in set.files.iter().enumerate() {
            if self.spent > plan.budget {
                return Ok(());
            }
            let earlier = self.readings.entry(file).or_insert_with(|| Ok(Vec::new()));
            let Ok(readings) = earlier else { continue };
            let text = readings.is_empty().then(|| set.text_file(scratch, self.engine.name, file));
            let start = Instant::now();
            match self.worker.read(path, text.as_deref())? {
                Ok(reading) => readings.push(reading),
                Err(error) => *earlier = Err(error),
            }
            self.spent += start.elapsed();
        }
        self.runs += 1;
        Ok(())
    }

    fn finish(mut self) -> Measured {
        let files =
            (0..self.count).map(|file| self.readings.remove(&file).map(|of| of.map(median))).collect();
        Measured { engine: self.engine.name, files, runs: self.runs }
    }
}

fn median(mut readings: Vec<Reading>) -> Reading {
    let mut middle = |of: fn(&Reading) -> f64| {
        readings.sort_by(|a, b| of(a).total_cmp(&of(b)));
        readings.get(readings.len().saturating_sub(1) / 2).map_or(0.0, of)
    };
    let (wall, cpu) = (middle(|reading| reading.wall), middle(|reading| reading.cpu));
    Reading { wall, cpu, chars: readings.first().map_or(0, |reading| reading.chars) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_of_each_clock_by_itself() {
        let reading = |wall: f64, cpu: f64| Reading { wall, cpu, chars: 7 };
        let all = vec![reading(3.0, 1.0), reading(9.0, 2.0), reading(4.0, 8.0)];
        assert_eq!(median(all), reading(4.0, 2.0));
    }
}
