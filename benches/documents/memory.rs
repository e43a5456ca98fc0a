//! What documents cost a worker in memory, as the system counts it: `documents_memory LIST N` reads the files of the
//! list over and over, N documents in all, in one process with the allocator that `docproc` has. A line of JSON a
//! document tells how far memory in use rose while it was read, and what was in use after it.
#![allow(clippy::print_stdout, reason = "its answers go to standard output")]

use std::io::{BufWriter, Write};

use anyhow::Context;
use buttress_docpipeline::{Pipeline, PipelineConfig, Source, avoid_huge_pages};
use serde_json::json;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    avoid_huge_pages();
    let list = std::env::args().nth(1).context("name a list of files")?;
    let documents = std::env::args().nth(2).context("say how many documents to read")?.parse()?;
    let list = std::fs::read_to_string(list)?;
    let pipeline = Pipeline::new(PipelineConfig::default());
    let mut answers = BufWriter::new(std::io::stdout().lock());
    for path in list.lines().cycle().take(documents) {
        let source = Source { name: Some(path), bytes: std::fs::read(path)?.into() };
        // From here on the system notes the peak anew (proc_pid_clear_refs(5)).
        std::fs::write("/proc/self/clear_refs", "5")?;
        let before = in_use()?;
        let format = pipeline.process(&source).ok().map(|processed| processed.document.format);
        let answer = json!({
            "format": format,
            "grown": status("VmHWM:")?.saturating_sub(before),
            "after": in_use()?,
        });
        writeln!(answers, "{answer}")?;
    }
    Ok(answers.flush()?)
}

fn in_use() -> anyhow::Result<u64> {
    status("VmRSS:")
}

/// A field of `/proc/self/status`, in bytes.
fn status(field: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).context("no such field")?;
    let kib: u64 = line.split_whitespace().next().context("an empty field")?.parse()?;
    Ok(kib * 1024)
}
