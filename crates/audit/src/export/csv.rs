//! Rows of RFC 4180 that no spreadsheet takes for formulas.

use std::io::{self, Write};

use buttress_core::Outcome;

use crate::{Record, json, time};

const NAMES: &str = "sequence,recorded,at,action,outcome,actor,target,tenant,request_id,detail,data";

pub(super) fn head(out: &mut impl Write) -> io::Result<()> {
    write!(out, "{NAMES}\r\n")
}

pub(super) fn row(record: &Record, out: &mut impl Write) -> io::Result<()> {
    let entry = &record.entry;
    let outcome = match entry.outcome {
        Outcome::Success => "success",
        Outcome::Failure => "failure",
        Outcome::Denied => "denied",
    };
    let (recorded, at) = (time::format(record.recorded), time::format(entry.at));
    write!(out, "{},{recorded},{at},", record.sequence)?;
    cell(&entry.action, out)?;
    write!(out, ",{outcome}")?;
    for text in [&entry.actor, &entry.target, &entry.tenant, &entry.request_id, &entry.detail] {
        out.write_all(b",")?;
        if let Some(text) = text {
            cell(text, out)?;
        }
    }
    out.write_all(b",")?;
    if !entry.data.is_empty() {
        cell(&json::map(&entry.data).to_string(), out)?;
    }
    out.write_all(b"\r\n")
}

/// Quoted, so that a blank, a comma or a line's end in it stays one. What is there and empty is `""`, what is not there is
/// nothing.
fn cell(text: &str, out: &mut impl Write) -> io::Result<()> {
    let guard = if is_formula(text) { "'" } else { "" };
    write!(out, "\"{guard}{}\"", text.replace('"', "\"\""))
}

/// What spreadsheets begin to compute at (OWASP, CSV Injection), full-width signs too, and the guard itself.
fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\'', '＝', '＋', '－', '＠'])
}
