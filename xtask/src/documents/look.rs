//! Where to look next: every figure of every file, and the files that cost most or read worst.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::compare::Compared;
use super::{Findings, OURS};

/// How many files of a kind are listed.
const LISTED: usize = 20;

/// Writes `files.json` and `look.md` into the scratch folder.
pub(super) fn write(findings: &Findings, scratch: &Path) -> Result<()> {
    let files: Vec<Value> = findings.sets.iter().flat_map(files).collect();
    let lines: Vec<String> = files.iter().map(Value::to_string).collect();
    std::fs::write(scratch.join("files.json"), format!("[\n{}\n]\n", lines.join(",\n")))?;
    std::fs::write(scratch.join("look.md"), findings.sets.iter().map(lists).collect::<String>())?;
    Ok(())
}

/// One object a file.
fn files(set: &Compared) -> Vec<Value> {
    let of_file = |file: usize, path: &Path| {
        let mut engines = Map::new();
        let scores = set.agreement.iter().zip(&set.truth);
        for (engine, (agreement, truth)) in set.measured.iter().zip(scores) {
            let Some(Some(outcome)) = engine.files.get(file) else { continue };
            let value = match outcome {
                Ok(reading) => json!({
                    "cpu_ms": reading.cpu * 1e3,
                    "wall_ms": reading.wall * 1e3,
                    "chars": reading.chars,
                    "f1": agreement.get(file),
                    "truth": truth.get(file),
                }),
                Err(error) => json!({ "error": error }),
            };
            engines.insert(engine.engine.to_owned(), value);
        }
        json!({ "set": set.set.name, "file": file, "path": path, "engines": engines })
    };
    set.set.files.iter().enumerate().map(|(file, path)| of_file(file, path)).collect()
}

/// The slowest of ours, those least like the first rival's, those furthest from the truth, and what failed.
fn lists(set: &Compared) -> String {
    let mut page = format!("# {}\n", set.set.name);
    let measured = || set.measured.iter().enumerate();
    let Some((ours, our_side)) = measured().find(|(_, engine)| engine.engine == OURS) else { return page };
    let Some((rival, their_side)) = measured().find(|(_, engine)| !engine.engine.starts_with(OURS)) else {
        return page;
    };
    let name = their_side.engine;
    let score = |scores: &[Vec<Option<f64>>], engine: usize, file: usize| *scores.get(engine)?.get(file)?;
    let truth = |engine: usize, file: usize| Some(set.truth.get(engine)?.get(file)?.as_ref()?.f1);
    let line = |file: usize| {
        let cpu = |side: &super::measure::Measured| {
            side.reading(file).map_or("-".to_owned(), |reading| format!("{:.1}", reading.cpu * 1e3))
        };
        let number = |score: Option<f64>| score.map_or("-".to_owned(), |score| format!("{score:.3}"));
        let path = set.set.files.get(file).map(|path| path.display().to_string()).unwrap_or_default();
        format!(
            "| {} | {} | {} | {} | {} | {path} |\n",
            cpu(our_side),
            cpu(their_side),
            number(score(&set.agreement, rival, file)),
            number(truth(ours, file)),
            number(truth(rival, file)),
        )
    };
    let mut list = |title: &str, key: &dyn Fn(usize) -> Option<f64>| {
        let mut found: Vec<_> =
            (0..set.set.files.len()).filter_map(|file| Some((key(file)?, file))).collect();
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        if !found.is_empty() {
            let head = "CPU ms | theirs | F1 to theirs | F1 to the truth | theirs | file";
            let _ = write!(page, "\n## {title} (beside {name})\n\n| {head} |\n|--:|--:|--:|--:|--:|---|\n");
            page.extend(found.into_iter().take(LISTED).map(|(_, file)| line(file)));
        }
    };
    list("The slowest", &|file| Some(-our_side.reading(file)?.cpu));
    list("Slowest for their length", &|file| {
        our_side.reading(file).map(|reading| -reading.cpu / reading.chars as f64)
    });
    list("Slower than theirs", &|file| Some(their_side.reading(file)?.cpu / our_side.reading(file)?.cpu));
    list("Least like theirs", &|file| score(&set.agreement, rival, file));
    list("Furthest from the truth", &|file| truth(ours, file));
    let _ = writeln!(page, "\n## Failed\n");
    for engine in &set.measured {
        for (file, error) in engine.failures() {
            let path = set.set.files.get(file).map(|path| path.display().to_string()).unwrap_or_default();
            let _ =
                writeln!(page, "- {}: {path}: {}", engine.engine, error.lines().next().unwrap_or_default());
        }
    }
    page.push('\n');
    page
}
