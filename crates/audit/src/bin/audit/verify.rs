//! `verify`.

use std::io::{self, Write};
use std::path::Path;

use buttress_audit::verify::{Report, VerifyOptions, verify_with};
use serde_json::json;

use crate::Failed;
use crate::args::Verify;
use crate::show::{Progress, Table, clean};

/// Whether nothing is wrong.
pub(crate) fn verify(args: &Verify) -> Result<bool, Failed> {
    let mut options = VerifyOptions::new();
    if let Some(path) = &args.seed_file {
        options = options.seed(read(path)?.parse()?);
    }
    if let Some(key) = &args.key {
        options = options.verifier(key.parse()?);
    }
    for path in &args.checkpoint {
        options = options.checkpoint(read(path)?.parse()?);
    }
    let mut progress = Progress::new("entries checked");
    let report = verify_with(&args.folder, &options, |count| progress.at(count))?;
    drop(progress);
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{:#}", json!(report))?;
    } else {
        tell(&report, &mut out)?;
    }
    Ok(report.is_clean())
}

fn tell(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let mut rows = vec![
        vec!["entries".to_owned(), report.size.to_string()],
        vec!["first kept".to_owned(), report.first.to_string()],
        vec!["segments".to_owned(), report.segments.to_string()],
        vec!["root".to_owned(), report.root.to_base64()],
        vec!["signed".to_owned(), format!("{} entries, by the log's own last checkpoint", report.signed)],
    ];
    let known = |count: Option<u64>, without: &str| {
        count.map_or_else(|| without.to_owned(), |count| format!("{count} entries"))
    };
    rows.push(vec!["sealed".to_owned(), known(report.sealed, "not checked: give --seed-file")]);
    rows.push(vec!["elsewhere".to_owned(), known(report.witnessed, "not checked: give --checkpoint")]);
    if let Some(whole) = report.end_of_seals {
        let word = if whole { "none is missing" } else { "some are missing at the end" };
        rows.push(vec!["seals".to_owned(), word.to_owned()]);
    }
    if report.torn > 0 {
        rows.push(vec!["torn end".to_owned(), format!("{} bytes, which are no entries", report.torn)]);
    }
    let mut table = Table::default();
    table.fit(&rows);
    table.write(&rows, out)?;
    if report.is_clean() {
        return writeln!(out, "\nnothing is wrong");
    }
    writeln!(out, "\n{} things are wrong:\n", report.found)?;
    let mut rows = vec![["FILE", "ENTRY", "KIND", "PROBLEM"].map(str::to_owned).to_vec()];
    rows.extend(report.findings.iter().map(|finding| {
        let kind = json!(finding.kind).as_str().unwrap_or_default().to_owned();
        let entry = finding.sequence.map_or_else(|| "-".to_owned(), |sequence| sequence.to_string());
        vec![clean(&finding.file), entry, kind, clean(&finding.problem)]
    }));
    let mut table = Table::default();
    table.fit(&rows);
    table.write(&rows, out)?;
    let more = report.found - report.findings.len() as u64;
    if more > 0 {
        writeln!(out, "and {more} more")?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, Failed> {
    let text = std::fs::read_to_string(path);
    text.map_err(|error| Failed::Other(format!("cannot read {}: {error}", path.display())))
}
