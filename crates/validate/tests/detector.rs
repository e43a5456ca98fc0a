//! How often the detector is right, on halves of the corpora that its rules were not tuned on.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, clippy::panic, missing_docs)] // Failing is what a test is for.

mod common;

use buttress_validate::detect::{AttackClass, Detector};
use common::{attacks, benign, corpus};

/// FNV-1a, mixed so that its top bit halves fairly: the rules were tuned on the half with the bit clear.
fn held_out(text: &str) -> bool {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 63 == 1
}

/// Lists the misses of the tuned half with `DETECTOR_SHOW=1 cargo nextest run --no-capture`.
fn shown() -> bool {
    std::env::var_os("DETECTOR_SHOW").is_some()
}

fn recall(name: &str, class: AttackClass, attacks: &[String], at_least: f64) {
    let detector = Detector::default();
    let (mut all, mut found) = (0_u32, 0_u32);
    for attack in attacks {
        let verdict = detector.inspect(attack);
        if verdict.is_none() && !held_out(attack) && shown() {
            println!("missed {class}: {attack:?} {:?}", detector.scores(attack)[class as usize]);
        }
        if held_out(attack) {
            all += 1;
            found += u32::from(verdict.is_some());
        }
    }
    let rate = f64::from(found) / f64::from(all) * 100.0;
    println!("{name}: {found} of {all} found, {rate:.2} %");
    assert!(rate >= at_least, "{name}: {rate:.2} %");
}

fn is_script(text: &str) -> bool {
    let text = text.to_lowercase();
    ["<script", "javascript:", "onerror=", "onload=", "onclick=", "onmouseover=", "vbscript:"]
        .iter()
        .any(|sign| text.contains(sign))
}

#[test]
fn sql() {
    recall("made SQL", AttackClass::Sql, &attacks::sql(), 95.0);
    recall("payloadforge SQL", AttackClass::Sql, &corpus("payloadforge_sqli"), 90.0);
}

#[test]
fn xss() {
    recall("made XSS", AttackClass::Xss, &attacks::xss(), 95.0);
    recall("payloadforge XSS", AttackClass::Xss, &corpus("payloadforge_xss"), 90.0);
    let lists: Vec<String> = ["xss_filters", "dompurify", "blns"]
        .into_iter()
        .flat_map(corpus)
        .filter(|text| is_script(text))
        .collect();
    recall("XSS lists", AttackClass::Xss, &lists, 85.0);
}

#[test]
fn traversal() {
    recall("made traversal", AttackClass::Traversal, &attacks::traversal(), 95.0);
}

#[test]
fn command() {
    recall("made commands", AttackClass::Command, &attacks::command(), 90.0);
    recall("payloadforge commands", AttackClass::Command, &corpus("payloadforge_cmdi"), 85.0);
}

#[test]
fn a_hundred_thousand_benign_texts() {
    let detector = Detector::default();
    let texts = benign::texts();
    assert!(texts.len() >= 100_000, "{}", texts.len());
    let (mut all, mut reported) = ([0_u32; 2], [0_u32; 2]);
    for text in &texts {
        let half = usize::from(held_out(text));
        all[half] += 1;
        let Some(verdict) = detector.inspect(text) else { continue };
        reported[half] += 1;
        if half == 0 && shown() {
            println!(
                "reported {} {} {}: {:?}",
                verdict.class,
                verdict.score,
                verdict.reason,
                text.chars().take(200).collect::<String>()
            );
        }
    }
    let rate = f64::from(reported[1]) / f64::from(all[1]) * 100.0;
    println!("benign: {reported:?} of {all:?} reported; held out {rate:.4} %");
    assert!(rate < 0.1, "{rate:.4} %");
}
