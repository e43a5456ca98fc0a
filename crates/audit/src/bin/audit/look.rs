//! `tail`, `search` and `export`.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use buttress_audit::query::{Filter, find};
use buttress_audit::subject::Subjects;
use buttress_audit::{LogReader, Record, export, json};

use crate::Failed;
use crate::args::{Export, Search, Tail};
use crate::show::{Progress, Table, head, row};

/// How often a log is looked at that is followed.
const POLL: Duration = Duration::from_millis(500);

pub(crate) fn search(args: &Search) -> Result<(), Failed> {
    let subjects = args.keys.open()?;
    let filter = args.filter.filter(subjects.as_ref())?;
    let reader = LogReader::open(&args.folder)?;
    let mut records = Vec::new();
    let mut next = None;
    for found in find(&reader, &filter)? {
        let (record, _) = found?;
        if records.len() >= args.limit.max(1) {
            next = Some(record.sequence);
            break;
        }
        records.push(revealed(record, subjects.as_ref()));
    }
    let mut out = BufWriter::new(io::stdout().lock());
    Printer::new(args.json).print(&records, &mut out)?;
    out.flush()?;
    if let Some(next) = next {
        eprintln!("there is more: go on with --first {next}");
    }
    Ok(())
}

pub(crate) fn tail(args: &Tail) -> Result<(), Failed> {
    let subjects = args.keys.open()?;
    let mut filter = args.filter.filter(subjects.as_ref())?;
    let mut printer = Printer::new(args.json);
    let mut last = VecDeque::new();
    let seen = state(&args.folder);
    let mut next = look_on(&args.folder, &filter, |record| {
        last.push_back(record);
        if last.len() > args.lines {
            last.pop_front();
        }
    })?;
    let records: Vec<Record> = last.into_iter().map(|record| revealed(record, subjects.as_ref())).collect();
    printer.print(&records, &mut io::stdout().lock())?;
    let mut seen = seen;
    if !args.follow {
        return Ok(());
    }
    loop {
        std::thread::sleep(POLL);
        let now = state(&args.folder);
        if now == seen {
            continue;
        }
        seen = now;
        filter.first = next.max(filter.first);
        let mut records = Vec::new();
        next = look_on(&args.folder, &filter, |record| records.push(revealed(record, subjects.as_ref())))?;
        printer.print(&records, &mut io::stdout().lock())?;
    }
}

/// Tells what fits; answers the sequence after the last entry that there is.
fn look_on(folder: &Path, filter: &Filter, mut tell: impl FnMut(Record)) -> Result<u64, Failed> {
    let reader = LogReader::open(folder)?;
    let mut next = filter.first;
    // What does not fit moves the beginning of the next look too.
    let all = Filter { first: filter.first, end: filter.end, ..Filter::default() };
    for found in find(&reader, &all)? {
        let (record, _) = found?;
        next = record.sequence + 1;
        if filter.matches(&record) {
            tell(record);
        }
    }
    Ok(next)
}

/// What changes when the log grows: the names and lengths of its segments.
fn state(folder: &Path) -> Vec<(std::ffi::OsString, u64)> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut state: Vec<_> = files
        .filter(|file| file.path().extension().is_some_and(|end| end == "segment"))
        .filter_map(|file| Some((file.file_name(), file.metadata().ok()?.len())))
        .collect();
    state.sort();
    state
}

pub(crate) fn export(args: &Export) -> Result<(), Failed> {
    let subjects = args.keys.open()?;
    let filter = args.filter.filter(subjects.as_ref())?;
    let reader = LogReader::open(&args.folder)?;
    let count = match &args.out {
        None => write(&reader, &filter, args, subjects.as_ref(), io::stdout().lock())?,
        Some(path) => {
            let file = OpenOptions::new().write(true).create_new(true).open(path);
            let file =
                file.map_err(|error| Failed::Other(format!("cannot make {}: {error}", path.display())))?;
            let count = write(&reader, &filter, args, subjects.as_ref(), &file)?;
            file.sync_all()?;
            count
        }
    };
    eprintln!("{count} entries");
    Ok(())
}

fn write(
    reader: &LogReader,
    filter: &Filter,
    args: &Export,
    subjects: Option<&Subjects>,
    out: impl Write,
) -> Result<u64, Failed> {
    let mut progress = Progress::new("entries");
    let mut export = export::Export::new(BufWriter::new(out), args.format);
    let mut count = 0;
    for found in find(reader, filter)? {
        export.write(&revealed(found?.0, subjects))?;
        count += 1;
        progress.at(count);
    }
    export.finish()?;
    Ok(count)
}

fn revealed(mut record: Record, subjects: Option<&Subjects>) -> Record {
    if let Some(subjects) = subjects {
        subjects.reveal(&mut record.entry);
    }
    record
}

/// Prints batches of entries, the table's head once.
struct Printer {
    json: bool,
    table: Table,
    begun: bool,
}

impl Printer {
    fn new(json: bool) -> Self {
        Self { json, table: Table::default(), begun: false }
    }

    fn print(&mut self, records: &[Record], out: &mut impl Write) -> io::Result<()> {
        if self.json {
            for record in records {
                writeln!(out, "{}", serde_json::Value::Object(json::record(record)))?;
            }
            return out.flush();
        }
        let mut rows = Vec::with_capacity(records.len() + 1);
        if !self.begun {
            rows.push(head());
            self.begun = true;
        }
        rows.extend(records.iter().map(row));
        self.table.fit(&rows);
        self.table.write(&rows, out)?;
        out.flush()
    }
}
