//! Real documents, broken at random: whatever is done to one, it is read or refused by name, and its neighbours never
//! notice.
//!
//! The documents are the samples of docproc, or those below the folder that `BUTTRESS_DOCUMENTS` names.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use buttress_testkit::Random;
use serde::Deserialize;

use super::docproc::program;
use super::{Area, Outcome};
use crate::workspace::{Workspace, files_below, output};

/// Documents of one point.
const DOCUMENTS: usize = 500;

/// Larger documents are left alone: many small ones find more.
const LARGEST: u64 = 1 << 20;

/// Causes that no document may bring about, however broken: each is a fault of ours.
const FAULTS: [&str; 4] = ["panicked", "worker_died", "timed_out", "broken"];

pub(super) const AREA: Area = Area {
    name: "documents",
    cases: &["bits flipped", "numbers changed", "cut short", "pieces repeated", "pieces of another"],
    point: |case, random, workspace| {
        let program = program(workspace)?;
        let folder = workspace.scratch("faults-documents");
        let (input, out) = (folder.join("in"), folder.join("out"));
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&input)?;
        let sources = sources(workspace)?;
        for i in 0..DOCUMENTS {
            let (document, other) = (pick(&sources, random)?, pick(&sources, random)?);
            let extension = document.extension().unwrap_or_default().to_string_lossy();
            let broken = broken(case, fs::read(document)?, &fs::read(other)?, random);
            fs::write(input.join(format!("{i}.{extension}")), broken)?;
        }
        let mut run = Command::new(program);
        run.arg("process").arg(&input).arg("--out").arg(&out).args(["--quiet", "--json"]);
        let summary: Summary =
            serde_json::from_str(&output(&mut run)?).context("the summary does not read")?;
        let refused: u64 = summary.failures.values().sum();
        let faults: u64 = FAULTS.iter().filter_map(|cause| summary.failures.get(*cause)).sum();
        if faults > 0 {
            let kept = workspace.scratch("faults-documents-found").join(random.number().to_string());
            fs::create_dir_all(kept.parent().unwrap_or(&kept))?;
            fs::rename(out.join("dead-letter"), &kept)?;
            eprintln!("{case}: {:?}; the documents and their reasons: {}", summary.failures, kept.display());
        }
        let answered = summary.all.documents + summary.repeated + refused;
        Ok(Outcome { acknowledged: answered, lost: summary.found.saturating_sub(answered), violated: faults })
    },
};

/// What docproc says of a run.
#[derive(Debug, Deserialize)]
struct Summary {
    found: u64,
    repeated: u64,
    all: Read,
    failures: BTreeMap<String, u64>,
}

#[derive(Debug, Deserialize)]
struct Read {
    documents: u64,
}

fn sources(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let samples = workspace.root.join("examples/docproc/samples");
    let folder = std::env::var_os("BUTTRESS_DOCUMENTS").map_or(samples, PathBuf::from);
    let mut files = files_below(&folder)?;
    files.retain(|path| path.metadata().is_ok_and(|metadata| (1..=LARGEST).contains(&metadata.len())));
    ensure!(!files.is_empty(), "{} holds no document", folder.display());
    Ok(files)
}

fn pick<'s>(sources: &'s [PathBuf], random: &mut Random) -> Result<&'s Path> {
    Ok(sources.get(place(random, sources.len())).context("no document")?)
}

fn place(random: &mut Random, length: usize) -> usize {
    usize::try_from(random.below(length.max(1) as u64)).unwrap_or_default()
}

fn broken(case: &str, mut document: Vec<u8>, other: &[u8], random: &mut Random) -> Vec<u8> {
    let length = document.len();
    match case {
        "bits flipped" => {
            for _ in 0..=random.below(20) {
                if let Some(byte) = document.get_mut(place(random, length)) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
        "numbers changed" => change_numbers(&mut document, random),
        "cut short" => document.truncate(place(random, length)),
        "pieces repeated" => {
            let (from, to) = piece(random, length);
            let piece = document.get(from..to).unwrap_or_default().repeat(1 + place(random, 200));
            document.splice(from..from, piece);
        }
        _ => {
            let (from, to) = piece(random, length);
            let (begin, end) = piece(random, other.len());
            document.splice(from..to, other.get(begin..end).unwrap_or_default().iter().copied());
        }
    }
    document
}

/// A range of at most a few kilobytes.
fn piece(random: &mut Random, length: usize) -> (usize, usize) {
    let from = place(random, length);
    (from, (from + place(random, 4096)).min(length))
}

/// Puts numbers that readers trip over where there are digits, or four bytes that could be a size.
fn change_numbers(document: &mut [u8], random: &mut Random) {
    const TEXTS: [&[u8]; 5] = [b"0", b"-1", b"4294967295", b"99999999", b"65536"];
    const SIZES: [[u8; 4]; 4] = [[0xff; 4], [0; 4], [0xff, 0xff, 0xff, 0x7f], [0, 0, 0, 0x80]];
    for _ in 0..=random.below(10) {
        let from = place(random, document.len());
        let rest = document.get_mut(from..).unwrap_or_default();
        let digits = rest.iter().position(u8::is_ascii_digit).filter(|_| random.below(2) == 0);
        let number = match digits {
            Some(_) => TEXTS.get(place(random, TEXTS.len())).copied().unwrap_or_default(),
            None => SIZES.get(place(random, SIZES.len())).map(<[u8; 4]>::as_slice).unwrap_or_default(),
        };
        for (old, new) in rest.iter_mut().skip(digits.unwrap_or(0)).zip(number) {
            *old = *new;
        }
    }
}
