//! The one door to every check of the workspace: `cargo xtask --help`.
//!
//! Standard output carries only our own tables, or with `--json` our own rows; whatever the tools print goes to
//! standard error. The exit status is 0 only if everything that was asked for was done and held.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people, who read what it prints"
)]
#![allow(clippy::disallowed_methods, reason = "it measures the real time that real tools take")]
#![cfg_attr(test, allow(clippy::indexing_slicing, reason = "a test that misses what it looks for fails"))]

mod backups;
mod bench;
mod ci;
mod documents;
mod faults;
mod fuzz;
mod memory;
mod output;
mod pgo;
mod setup;
mod test;
mod tidy;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Checks, tests, benches and faults of the buttress workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    /// Print rows as JSON instead of a table.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Setup(setup::Args),
    Test(test::Args),
    Tidy(tidy::Args),
    Bench(bench::Args),
    Faults(faults::Args),
    Fuzz(fuzz::Args),
    Pgo(pgo::Args),
    Ci(ci::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let passed = Workspace::here().and_then(|workspace| match &cli.command {
        Command::Setup(args) => setup::run(args, &workspace, cli.json),
        Command::Test(args) => test::run(args, &workspace, cli.json),
        Command::Tidy(args) => tidy::run(args, &workspace, cli.json),
        Command::Bench(args) => bench::run(args, &workspace, cli.json),
        Command::Faults(args) => faults::run(args, &workspace, cli.json),
        Command::Fuzz(args) => fuzz::run(args, &workspace, cli.json),
        Command::Pgo(args) => pgo::run(args, &workspace, cli.json),
        Command::Ci(args) => ci::run(args, &workspace, cli.json),
    });
    match passed {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
