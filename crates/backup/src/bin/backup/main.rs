//! `backup`: snapshots of files in a repository that restic reads too.
//!
//! Standard output carries what was asked for; progress, questions and errors go to standard error. Passwords are never arguments, which
//! other users of the machine can read.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program prints")]
#![allow(clippy::disallowed_methods, reason = "a program lives in real time")]

mod args;
mod care;
mod forget;
mod keep;
mod keys;
mod look;
mod place;
mod recover;
mod repair;
mod show;
mod work;

use std::io::ErrorKind;
use std::process::ExitCode;

use buttress_backup::{Error, Failure};
use buttress_core::Shutdown;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use self::args::{Args, Command, Common};

/// Some of it was done and some could not be, or a check found something.
const PARTLY: u8 = 1;
/// It could not be done.
const FAILED: u8 = 3;
/// It was interrupted, as the shell has it for SIGINT.
const STOPPED: u8 = 130;

/// Why it could not be done.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Backup(#[from] Error),
    /// A check has found something.
    #[error("{done}; {} wrong", show::count(.wrong.len() as u64, "thing"))]
    Found { done: String, wrong: Vec<Failure> },
    /// A drill has; all of it was told.
    #[error("the drill failed")]
    Drill,
    #[error("cannot write the output")]
    Output(#[from] std::io::Error),
    #[error("{0}")]
    Other(String),
}

fn main() -> ExitCode {
    let Args { command, common } = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let done = runtime.map_err(Failed::Output).and_then(|runtime| runtime.block_on(run(command, &common)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            show::failed(&error, common.json);
            ExitCode::from(match error {
                Failed::Backup(Error::Incomplete { .. }) | Failed::Found { .. } | Failed::Drill => PARTLY,
                Failed::Backup(Error::Stopped) => STOPPED,
                _ => FAILED,
            })
        }
    }
}

fn is_broken_pipe(error: &Failed) -> bool {
    match error {
        Failed::Output(source) | Failed::Backup(Error::File { source, .. }) => {
            source.kind() == ErrorKind::BrokenPipe
        }
        _ => false,
    }
}

async fn run(command: Command, common: &Common) -> Result<(), Failed> {
    match command {
        Command::Init => care::init(common).await,
        Command::Run(what) => work::run(common, what).await,
        Command::Snapshots(which) => look::snapshots(common, &which).await,
        Command::Ls(what) => look::ls(common, &what).await,
        Command::Find(what) => look::find(common, &what).await,
        Command::Diff(which) => look::diff(common, &which).await,
        Command::Cat(what) => work::cat(common, &what).await,
        Command::Restore(what) => work::restore(common, what).await,
        Command::Check(depth) => care::check(common, &depth).await,
        Command::Forget(which) => forget::forget(common, &which).await,
        Command::Prune => care::prune(common).await,
        Command::Copy(what) => work::copy(common, &what).await,
        Command::Keep(what) => keep::keep(common, &what).await,
        Command::Drill(what) => keep::drill(common, &what).await,
        Command::Recover(what) => recover::recover(common, &what).await,
        Command::Repair(what) => repair::repair(common, &what).await,
        Command::Unlock(which) => care::unlock(common, &which).await,
        Command::Keys(what) => keys::keys(common, what).await,
        Command::Stats => look::stats(common).await,
    }
}

/// Stops what is under way at the first signal, so that locks are removed; a second one ends the program at once.
fn stop_on_signal(shutdown: &Shutdown) -> Result<(), Failed> {
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let mut signals = signal(kind)?;
        let shutdown = shutdown.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                if shutdown.is_stopping() {
                    std::process::exit(STOPPED.into());
                }
                eprintln!("stopping");
                shutdown.stop();
            }
        });
    }
    Ok(())
}
