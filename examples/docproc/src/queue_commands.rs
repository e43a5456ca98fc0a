//! What `docproc submit` and `docproc queue` print.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use buttress_core::{Ctx, Shutdown};
use clap::Subcommand;
use docproc::config::DocprocConfig;
use docproc::fleet::{self, Submission, Submitted};

use crate::on_signal;

#[derive(Subcommand)]
pub(crate) enum QueueCommand {
    /// Lists the documents that were given up, the oldest first.
    Dead {
        /// At most so many.
        #[arg(long, default_value_t = 100, value_name = "N")]
        limit: usize,
    },
    /// Puts documents that were given up back into the queue, after the cause has been mended.
    Retry {
        /// Their ids, as `docproc queue dead` lists them [default: all].
        ids: Vec<String>,
    },
}

/// Submits documents, and prints what became of each and how many of each kind there were.
pub(crate) async fn submit(config: &DocprocConfig, paths: &[PathBuf], json: bool) -> Result<ExitCode> {
    let ctx = Ctx::default();
    on_signal(&ctx, "finishing the documents in hand; submit again for the rest", Shutdown::drain);
    let mut counts =
        [Submitted::Queued, Submitted::Known, Submitted::Done, Submitted::Refused].map(|state| (state, 0));
    let mut tell = |submission: &Submission| {
        for (_, count) in counts.iter_mut().filter(|(state, _)| *state == submission.state) {
            *count += 1;
        }
        match (json, &submission.problem) {
            (true, _) => println!("{}", serde_json::to_string(submission).unwrap_or_default()),
            (false, None) => println!("{:<7}  {}", submission.state, submission.name),
            (false, Some(problem)) => println!("{:<7}  {}: {problem}", submission.state, submission.name),
        }
    };
    let finished = fleet::submit(config, paths, &ctx, &mut tell).await?;
    let refused = counts.iter().any(|(state, count)| *state == Submitted::Refused && *count > 0);
    let counted: Vec<_> = counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
    eprintln!("docproc: {}", counted.join(", "));
    Ok(match (finished, refused) {
        (false, _) => ExitCode::from(130),
        (true, refused) => ExitCode::from(u8::from(refused)),
    })
}

/// Prints what is in the queue, or does something about it.
pub(crate) async fn queue(
    config: &DocprocConfig,
    command: Option<QueueCommand>,
    json: bool,
) -> Result<ExitCode> {
    let ctx = Ctx::default();
    match command {
        None => {
            let stats = fleet::stats(config, &ctx).await?;
            if json {
                println!("{}", serde_json::to_string_pretty(&stats)?);
            } else {
                let oldest = format!("{} s", stats.oldest_ready_seconds);
                let head = ["ready", "leased", "delayed", "dead", "oldest ready"];
                let counts =
                    [stats.ready, stats.leased, stats.delayed, stats.dead].map(|count| count.to_string());
                print!("{}", table(&head, &[[counts.as_slice(), &[oldest]].concat()]));
            }
        }
        Some(QueueCommand::Dead { limit }) => {
            let documents = fleet::dead_letters(config, limit, &ctx).await?;
            if json {
                println!("{}", serde_json::to_string_pretty(&documents)?);
            } else if documents.is_empty() {
                println!("no document was given up");
            } else {
                let rows: Vec<_> = documents
                    .into_iter()
                    .map(|dead| {
                        vec![
                            dead.died_at,
                            dead.attempts.to_string(),
                            dead.class,
                            dead.name,
                            dead.reason,
                            dead.id,
                        ]
                    })
                    .collect();
                print!("{}", table(&["given up", "attempts", "class", "document", "reason", "id"], &rows));
            }
        }
        Some(QueueCommand::Retry { ids }) => {
            let retried = fleet::retry(config, &ids, &ctx).await?;
            if json {
                println!("{}", serde_json::json!({ "retried": retried }));
            } else {
                println!("{retried} put back into the queue");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Columns as wide as their widest cell; the last one as it is.
fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|name| (*name).to_owned()).collect();
    let lines = || std::iter::once(&head).chain(rows);
    let width =
        |column: usize| lines().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max();
    let mut text = String::new();
    for line in lines() {
        let cells = line.iter().enumerate().map(|(column, cell)| {
            let width = width(column).unwrap_or_default();
            format!("{cell:<width$}")
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}
