//! Tables, sizes and times for people; progress; what went wrong.

use std::future::Future;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use buttress_backup::{Error, Node, NodeKind, Progress, Snapshot};
use buttress_core::{ByteSize, Classify, ErrorClass};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};

use crate::Failed;
use crate::args::Common;

/// A text without what moves a cursor, changes colours or turns the direction of writing: names of files may be an attacker's.
pub(crate) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for sign in text.chars() {
        let bidi = matches!(sign, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if sign.is_control() || bidi {
            clean.extend(sign.escape_default());
        } else {
            clean.push(sign);
        }
    }
    clean
}

pub(crate) fn path(path: &Path) -> String {
    clean(&path.to_string_lossy())
}

pub(crate) fn size(bytes: u64) -> String {
    ByteSize::b(bytes).human()
}

/// By the clock of this machine: `2026-01-31 09:30:00`.
pub(crate) fn time(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `12 files`, `1 file`.
pub(crate) fn count(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{} {one}s", digits(number)) }
}

/// With a comma after each thousand.
fn digits(number: u64) -> String {
    let plain = number.to_string();
    let mut out = String::new();
    for (at, digit) in plain.chars().enumerate() {
        if at > 0 && (plain.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Rows whose columns line up. A head that begins with `>` is of a column of numbers, which end at one line.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let right = head.map(|name| name.starts_with('>'));
    let head = head.map(|name| name.trim_start_matches('>').to_owned());
    let mut widths = [0; N];
    for row in std::iter::once(&head).chain(rows) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut out = String::new();
    for row in std::iter::once(&head).chain(rows) {
        let cells = row.iter().zip(widths).zip(right).map(|((cell, width), right)| {
            if right { format!("{cell:>width$}") } else { format!("{cell:width$}") }
        });
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// That something was read without a lock, if it was.
pub(crate) fn without_lock(why: Option<&String>) -> String {
    let Some(why) = why else { return String::new() };
    let what = "nothing kept others from removing what was being read, as no lock could be written";
    format!("remark: {what}: {}\n", clean(why))
}

/// Writes the answer: as text, or as a document.
pub(crate) fn answer(common: &Common, text: &str, document: &Json) -> Result<(), Failed> {
    let mut out = io::stdout().lock();
    if common.json {
        writeln!(out, "{document:#}")?;
    } else {
        out.write_all(text.as_bytes())?;
    }
    Ok(out.flush()?)
}

/// A snapshot with its id, which its object has not.
pub(crate) fn snapshot(snapshot: &Snapshot) -> Json {
    let mut document = json!(snapshot);
    if let Some(fields) = document.as_object_mut() {
        fields.insert("id".to_owned(), json!(snapshot.id));
        let seen = snapshot.first_seen.and_then(|seen| Timestamp::try_from(seen).ok());
        fields.insert("first_seen".to_owned(), json!(seen));
    }
    document
}

/// The letter of what it is, and its permissions: `drwxr-xr-x`.
pub(crate) fn mode(node: &Node) -> String {
    let kind = match node.kind {
        NodeKind::Dir => 'd',
        NodeKind::Symlink => 'l',
        NodeKind::Dev => 'b',
        NodeKind::Chardev => 'c',
        NodeKind::Fifo => 'p',
        NodeKind::Socket => 's',
        _ => '-',
    };
    let bits = node.permissions();
    let mut mode = String::from(kind);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        mode.push(if bits >> shift & 4 == 0 { '-' } else { 'r' });
        mode.push(if bits >> shift & 2 == 0 { '-' } else { 'w' });
        mode.push(match (bits & special != 0, bits >> shift & 1 != 0) {
            (false, false) => '-',
            (false, true) => 'x',
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
        });
    }
    mode
}

/// Tells what went wrong, and every part that could not be done.
pub(crate) fn failed(error: &Failed, as_json: bool) {
    let told = clean(&buttress_core::chain(error));
    let (failures, what) = match error {
        Failed::Backup(Error::Incomplete { done, failures }) => {
            let many = count(failures.len() as u64, "thing");
            (failures.as_slice(), Some(format!("{}, but {many} could not be:", clean(done))))
        }
        Failed::Found { wrong, .. } => (wrong.as_slice(), Some(format!("{told}:"))),
        _ => (&[][..], None),
    };
    if as_json {
        let class = match error {
            Failed::Backup(error) => Some(error.class()),
            Failed::Found { .. } => Some(ErrorClass::Corrupt),
            _ => None,
        };
        let class = class.map(ErrorClass::as_str);
        println!("{:#}", json!({ "error": told, "class": class, "failures": failures }));
    }
    eprintln!("backup: {}", what.unwrap_or(told));
    if let Failed::Backup(Error::File { source, .. }) = error
        && source.kind() == io::ErrorKind::DirectoryNotEmpty
    {
        eprintln!("hint: --overwrite replaces what the snapshot has too, and leaves the rest");
    }
    for failure in failures {
        eprintln!("  {}: {}", clean(&failure.of), clean(&failure.problem));
    }
}

/// How often progress is shown on a terminal, and told as JSON.
const SHOWN_EVERY: Duration = Duration::from_millis(100);
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// Does the work, and shows meanwhile how far it is: a bar on a terminal, lines of JSON for programs, nothing else.
pub(crate) async fn progress<T>(
    common: &Common,
    progress: &Progress,
    unit: &str,
    work: impl Future<Output = T>,
) -> T {
    let shown = !common.quiet && !common.json && io::stderr().is_terminal();
    let told = !common.quiet && common.json;
    if !shown && !told {
        return work.await;
    }
    let begun = Instant::now();
    let bar = bar(shown);
    let mut timer = tokio::time::interval(if told { TOLD_EVERY } else { SHOWN_EVERY });
    // The first comes at once.
    timer.tick().await;
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => {
                bar.finish_and_clear();
                return done;
            }
            _ = timer.tick() => {}
        }
        let (files, total_files) = (progress.files(), progress.total_files());
        let (bytes, total_bytes) = (progress.bytes(), progress.total_bytes());
        if told {
            eprintln!(
                "{}",
                json!({ "progress": {
                    "seconds": begun.elapsed().as_secs(), unit: files, format!("total_{unit}"): total_files,
                    "bytes": bytes, "total_bytes": total_bytes,
                }})
            );
        } else {
            bar.set_length(total_bytes);
            bar.set_position(bytes);
            bar.set_message(format!("{} of {} {unit}", digits(files), digits(total_files)));
        }
    }
}

fn bar(shown: bool) -> ProgressBar {
    let target = if shown { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(0), target);
    // A fixed template that is known to be right; the plain bar would do as well.
    let template = "{elapsed_precise} {bar:24} {bytes} of {total_bytes}, {msg}, {bytes_per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("█▌ "));
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_turns_a_terminal_is_spelled_out() {
        assert_eq!(clean("a\x1b[31m\r\n\u{202e}ä\u{85}"), "a\\u{1b}[31m\\r\\n\\u{202e}ä\\u{85}");
    }

    #[test]
    fn columns_line_up() {
        let rows = [["ää", "7"], ["b", "1,234"]].map(|row| row.map(str::to_owned));
        assert_eq!(table(["NAME", ">SIZE"], &rows), "NAME   SIZE\nää        7\nb     1,234\n");
    }

    #[test]
    fn numbers_have_commas() {
        let numbers = [0, 999, 1_000, 1_234_567].map(digits);
        assert_eq!(numbers, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(count(1, "file"), "1 file");
    }
}
