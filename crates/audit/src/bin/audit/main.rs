//! `audit`: looks at a log, checks it, proves what is in it and hands it out. It only reads: what it is run on may be
//! written to meanwhile.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program prints")]
#![allow(clippy::disallowed_methods, reason = "a program lives in real time")]

mod args;
mod look;
mod prove;
mod show;
mod verify;

use std::io::ErrorKind;
use std::process::ExitCode;

use clap::Parser;

use self::args::{Args, Command};

/// Something was found that should not be: `verify`.
const FOUND: u8 = 1;
/// It could not be done.
const FAILED: u8 = 3;

/// Why it could not be done.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Log(#[from] buttress_audit::Error),
    #[error("cannot write the output")]
    Output(#[from] std::io::Error),
    #[error("{0}")]
    Other(String),
}

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match &args.command {
        Command::Tail(tail) => look::tail(tail).map(|()| true),
        Command::Search(search) => look::search(search).map(|()| true),
        Command::Export(export) => look::export(export).map(|()| true),
        Command::Verify(options) => verify::verify(options),
        Command::Prove(what) => prove::prove(what).map(|()| true),
        Command::Checkpoints(which) => prove::checkpoints(which).map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FOUND),
        // Whoever read has seen enough.
        Err(Failed::Output(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("audit: {}", show::clean(&buttress_core::chain(&error)));
            ExitCode::from(FAILED)
        }
    }
}
