//! Looks after a vault file: `secrets --help`.
//!
//! Standard output carries what was asked for; questions and errors go to standard error. Passphrases and values are never arguments,
//! which other users of the machine can read.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people, who read what it prints"
)]

mod cli;
mod commands;
mod input;
mod output;

use std::process::ExitCode;

use buttress_core::Classify;
use clap::Parser;

use crate::cli::Cli;

/// What stops the program: one line with what to do.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

impl From<buttress_secrets::Error> for Failure {
    fn from(error: buttress_secrets::Error) -> Self {
        use buttress_secrets::Error;
        let hint = match &error {
            Error::WrongKey { .. } => {
                "\nhint: if the key is lost, `secrets recover` opens the vault with the shares of `secrets export`"
            }
            Error::Damaged { .. } => {
                "\nhint: put back a copy of the file; `secrets verify` tells whether it is whole"
            }
            Error::NotFound { .. } => "\nhint: `secrets list` has the names",
            Error::Store { .. } if error.class() == buttress_core::ErrorClass::NotFound => {
                "\nhint: `secrets init` makes a vault"
            }
            _ => "",
        };
        Self(format!("{}{hint}", buttress_core::chain(&error)))
    }
}

impl From<buttress_secrets::shamir::ShareError> for Failure {
    fn from(error: buttress_secrets::shamir::ShareError) -> Self {
        Self(error.to_string())
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime
        .map_err(|error| Failure(error.to_string()))
        .and_then(|runtime| runtime.block_on(commands::run(&cli)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(told)) => {
            eprintln!("error: {told}");
            ExitCode::FAILURE
        }
    }
}
