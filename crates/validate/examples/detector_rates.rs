//! How often the detector reports texts of a folder: `cargo run --release --example detector_rates -- [--show N] PATH...`.
//!
//! Each line and each paragraph of each UTF-8 file is a text, once. They are halved by a hash: rules were tuned on the first
//! half, and the second says how they do.
#![allow(clippy::print_stdout, clippy::disallowed_methods)] // A program for people, which measures real time.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use buttress_validate::detect::{AttackClass, Detector};

#[derive(Default)]
struct Half {
    texts: usize,
    by_class: [usize; 4],
    reported: usize,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut show = 0_usize;
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--show" {
            show = arguments.next().unwrap_or_default().parse()?;
        } else {
            paths.push(argument.into());
        }
    }
    if paths.is_empty() {
        return Err("name files or folders with texts".into());
    }
    let detector = Detector::default();
    let mut seen: HashSet<u64> = HashSet::new();
    let mut halves = [Half::default(), Half::default()];
    let (mut bytes, mut took) = (0, Duration::ZERO);
    let mut files = Vec::new();
    for path in paths {
        list(&path, &mut files)?;
    }
    for file in files {
        let Ok(content) = std::fs::read_to_string(&file) else { continue };
        let lines = content.lines();
        let paragraphs = content.split("\n\n").filter(|paragraph| paragraph.contains('\n'));
        for text in lines.chain(paragraphs).map(str::trim).filter(|text| text.len() > 2) {
            let hash = fnv(text.as_bytes());
            if !seen.insert(hash) {
                continue;
            }
            let start = Instant::now();
            let verdict = detector.inspect(text);
            took += start.elapsed();
            bytes += text.len();
            let [first, second] = &mut halves;
            let (half, tuned) = if hash >> 63 == 0 { (first, true) } else { (second, false) };
            half.texts += 1;
            let Some(verdict) = verdict else { continue };
            half.reported += 1;
            for (class, count) in AttackClass::ALL.into_iter().zip(&mut half.by_class) {
                *count += usize::from(class == verdict.class);
            }
            // Of the other half nothing is shown, so that nothing can be tuned on it.
            if tuned && show > 0 {
                show -= 1;
                let text: String = text.chars().take(160).collect();
                println!("{} {} {}: {text:?}", verdict.class, verdict.score, verdict.reason);
            }
        }
    }
    for (name, half) in ["tuned on", "held out"].into_iter().zip(halves) {
        let rate = half.reported as f64 / half.texts.max(1) as f64 * 100.0;
        println!("{name}: {} of {} texts reported, {rate:.4} %", half.reported, half.texts);
        for (class, count) in AttackClass::ALL.into_iter().zip(half.by_class) {
            println!("  {class}: {count}");
        }
    }
    println!("{:.0} MB/s", bytes as f64 / took.as_secs_f64() / 1e6);
    Ok(())
}

fn list(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries = std::fs::read_dir(path)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    entries.sort();
    entries.iter().try_for_each(|entry| list(entry, files))
}

/// FNV-1a, mixed so that its top bit halves fairly.
fn fnv(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}
