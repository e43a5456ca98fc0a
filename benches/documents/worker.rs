//! The document pipeline as a worker process: `documents_worker text|whole`.
//!
//! It speaks as `rivals.py` does: a line of JSON asks for a document, a line of JSON answers. `text` ends with tidy
//! text, which is what the rivals give; `whole` goes on to language, chunks and fingerprint.
#![allow(clippy::print_stdout, reason = "its answers go to standard output")]
#![allow(clippy::disallowed_methods, reason = "it measures real time")]

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use buttress_docpipeline::{NormaliseStage, Pipeline, PipelineConfig, Source};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

// As in `docproc`, the application that ships the pipeline.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Deserialize)]
struct Request {
    path: PathBuf,
    /// Where the text goes, after the clocks have stopped.
    text: Option<PathBuf>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Read { wall: f64, cpu: f64, chars: usize },
    Failed { error: String },
}

fn main() -> anyhow::Result<()> {
    buttress_docpipeline::avoid_huge_pages();
    let whole = Pipeline::new(PipelineConfig::default());
    let pipeline = match std::env::args().nth(1).as_deref() {
        Some("text") => whole.without_stages().with_stage(NormaliseStage),
        Some("whole") => whole,
        other => anyhow::bail!("say `text` or `whole`, not {other:?}"),
    };
    let mut answers = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let answer = answer(&pipeline, &serde_json::from_str(&line?)?);
        writeln!(answers, "{}", serde_json::to_string(&answer)?)?;
    }
    Ok(())
}

fn answer(pipeline: &Pipeline, request: &Request) -> Answer {
    let (wall, cpu) = (Instant::now(), cpu_time());
    let text = read(pipeline, &request.path);
    let (wall, cpu) = (wall.elapsed(), cpu_time().saturating_sub(cpu));
    let written = text.and_then(|text| match &request.text {
        Some(file) => std::fs::write(file, &text).map(|()| text).map_err(|error| error.to_string()),
        None => Ok(text),
    });
    match written {
        Ok(text) => {
            let chars = text.trim().chars().count();
            Answer::Read { wall: wall.as_secs_f64(), cpu: cpu.as_secs_f64(), chars }
        }
        Err(error) => Answer::Failed { error },
    }
}

fn read(pipeline: &Pipeline, path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?.into();
    let name = path.file_name().and_then(|name| name.to_str());
    let processed = pipeline.process(&Source { name, bytes }).map_err(|error| error.to_string())?;
    Ok(processed.document.text)
}

/// Of all threads of this process.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}
