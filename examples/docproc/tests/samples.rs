//! The sample documents, held to what their manifest promises.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)] // Failing is what a test is for.

mod common;

use std::collections::BTreeMap;
use std::fs;

use buttress_testkit::Program;
use common::{dead_letters, folder, process, records, squeeze};
use serde_json::Value;
use tempfile::tempdir;

fn manifest() -> Vec<Value> {
    serde_json::from_slice(&fs::read(folder("samples/manifest.json")).unwrap()).unwrap()
}

fn strings<'v>(entry: &'v Value, field: &str) -> Vec<&'v str> {
    entry[field].as_array().into_iter().flatten().map(|value| value.as_str().unwrap()).collect()
}

/// All samples in one run; each record by its path below the folder of samples.
fn read_samples(more: &[&str]) -> BTreeMap<String, Value> {
    let (out, samples) = (tempdir().unwrap(), folder("samples"));
    let paths: Vec<_> =
        manifest().iter().map(|entry| samples.join(entry["path"].as_str().unwrap())).collect();
    let paths: Vec<_> = paths.iter().map(std::path::PathBuf::as_path).collect();
    process(&paths, out.path(), more);
    assert_eq!(dead_letters(out.path()), BTreeMap::new(), "every sample can be read");
    let prefix = format!("{}/", samples.display());
    records(out.path()).into_iter().map(|(name, record)| (name.replacen(&prefix, "", 1), record)).collect()
}

/// What is wrong with a record, by what the manifest promises.
fn complaints(entry: &Value, record: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |holds: bool, what: String| {
        if !holds {
            wrong.push(format!("{}: {what}", entry["path"]));
        }
    };
    let text = record["text"].as_str().unwrap();
    let squeezed = squeeze(text);
    check(record["format"] == entry["format"], format!("read as {}", record["format"]));
    for phrase in strings(entry, "contains") {
        // Scripts without spaces may be broken into lines anywhere.
        let found = squeezed.contains(phrase) || squeezed.replace(' ', "").contains(&phrase.replace(' ', ""));
        check(found, format!("{phrase:?} is missing"));
    }
    for phrase in strings(entry, "absent") {
        check(!squeezed.contains(phrase), format!("{phrase:?} is there"));
    }
    let headings: Vec<&str> =
        record["headings"].as_array().unwrap().iter().map(|h| slice(text, &h["span"])).collect();
    for heading in strings(entry, "headings") {
        check(headings.contains(&heading), format!("heading {heading:?} is not among {headings:?}"));
    }
    let tables: Vec<&str> =
        record["tables"].as_array().unwrap().iter().map(|span| slice(text, span)).collect();
    for cell in strings(entry, "table_cells") {
        let found = tables.iter().any(|table| table.contains(&format!("| {cell} |")));
        check(found, format!("cell {cell:?} is in none of {tables:?}"));
    }
    let parts: Vec<_> =
        record["parts"].as_array().unwrap().iter().map(|part| part["name"].as_str().unwrap()).collect();
    for part in strings(entry, "parts") {
        check(parts.iter().any(|name| name.ends_with(part)), format!("part {part} is not among {parts:?}"));
    }
    let metadata = &record["metadata"];
    for field in ["title", "author", "pages"] {
        if !entry[field].is_null() {
            check(
                metadata[field] == entry[field],
                format!("{field} is {}, not {}", metadata[field], entry[field]),
            );
        }
    }
    if !entry["language"].is_null() {
        let code = &metadata["language"]["code"];
        check(*code == entry["language"], format!("language is {code}, not {}", entry["language"]));
    }
    check(!record["chunks"].as_array().unwrap().is_empty(), "it has no chunks".to_owned());
    check(record["content"] == record["fingerprint"]["content"], "its hashes differ".to_owned());
    wrong
}

fn slice<'t>(text: &'t str, span: &Value) -> &'t str {
    let offset = |end: &str| usize::try_from(span[end].as_u64().unwrap()).unwrap();
    &text[offset("start")..offset("end")]
}

#[test]
fn every_sample_keeps_what_it_says() {
    let program = format!("pipeline.ocr.program={}", Program::TESSERACT.path().display());
    let records = read_samples(&["--set", "pipeline.ocr.mode=auto", "--set", &program]);
    let wrong: Vec<_> = manifest()
        .iter()
        .flat_map(|entry| complaints(entry, &records[entry["path"].as_str().unwrap()]))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_scan_without_ocr_says_what_would_do() {
    let out = tempdir().unwrap();
    process(&[&folder("samples/pdf/scan.pdf")], out.path(), &[]);
    let record = records(out.path()).into_values().next().unwrap();
    assert_eq!(record["text"], "");
    let warning = record["warnings"][0].as_str().unwrap();
    assert!(
        warning.starts_with("pages 1 to 2 have no text") && warning.contains("set ocr.mode"),
        "{warning}"
    );
}

#[test]
fn the_main_text_of_a_page_is_what_it_is_about() {
    let records = read_samples(&["--set", "pipeline.main_text_only=true"]);
    let (main, whole) =
        (&records["html/article.html"], read_samples(&[]).remove("html/article.html").unwrap());
    let entry = manifest().into_iter().find(|entry| entry["path"] == "html/article.html").unwrap();
    assert_eq!(complaints(&entry, main), Vec::<String>::new());
    for phrase in strings(&entry, "boilerplate") {
        assert!(!main["text"].as_str().unwrap().contains(phrase), "{phrase:?} is around the text, not in it");
        assert!(whole["text"].as_str().unwrap().contains(phrase), "{phrase:?} is on the page");
    }
}

#[test]
fn there_are_samples_of_every_format() {
    let formats: std::collections::BTreeSet<_> =
        manifest().iter().map(|entry| entry["format"].as_str().unwrap().to_owned()).collect();
    let all = buttress_docpipeline::Format::ALL.map(|format| format.to_string()).into();
    assert_eq!(formats, all);
}
