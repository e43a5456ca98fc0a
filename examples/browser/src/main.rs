//! The command line of browser.
#![allow(clippy::print_stdout, clippy::print_stderr)] // A program for people, who read what it prints.
#![allow(clippy::disallowed_methods, reason = "a program measures real time")]

mod bench;
mod command_line;
mod init;
mod settings;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use browser::config::BrowserConfig;
use buttress_config::{Loaded, Loader};
use clap::{Args, Parser, Subcommand};

// The service's own memory is small; libraries leave the choice of an allocator to the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Workflows for a web browser, run on pooled Chromium.
#[derive(Parser)]
#[command(name = "browser", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct ConfigArgs {
    /// Configuration file [default: browser.toml, if there is one].
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, over the file and the environment: `--set fleet.browsers=4`. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a workflow here and now, and prints what its steps did and read.
    ///
    /// Screenshots, printed pages and downloads land in the folder --out. Ends with 1 if a step failed.
    Run {
        #[command(flatten)]
        flow: FlowArgs,
        /// Folder for the files that the workflow makes.
        #[arg(long, default_value = ".", value_name = "DIR")]
        out: PathBuf,
        /// Let pages reach this address, name or network besides public ones: `--allow 127.0.0.1:8000`. May be repeated.
        #[arg(long, value_name = "ADDRESS")]
        allow: Vec<String>,
        /// Print the report as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Makes what `security.enabled` needs, and an API key: a vault, an audit log, keys.
    ///
    /// Run again, it leaves what is there as it is and issues another key. The service must not run meanwhile.
    Init {
        /// Whose key it is: a name, as the audit log will have it.
        #[arg(long, value_name = "NAME")]
        owner: String,
        /// What its owner may do: viewer, operator or admin, or a role of `security.policy`.
        #[arg(long, default_value = "admin")]
        role: String,
    },
    /// Runs the HTTP service, with its page at /.
    Serve,
    /// Says what is wrong with a workflow, if anything is, and runs nothing.
    Check {
        /// Workflows, YAML or JSON.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Prints the workflow that a plain command means: `browser plan "open https://example.com, then take a screenshot"`.
    Plan {
        /// The command.
        text: String,
    },
    /// Measures what pooling gains and what the service adds, on a page of its own.
    Bench {
        /// How often a browser is launched, and a context taken.
        #[arg(long, default_value_t = 15, value_name = "N")]
        rounds: usize,
        /// Workflows in a row.
        #[arg(long, default_value_t = 500, value_name = "N")]
        workflows: usize,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Prints the effective configuration and where each value comes from.
    Config,
}

#[derive(Args)]
struct FlowArgs {
    /// A workflow, YAML or JSON; `-` reads it from standard input.
    #[arg(required_unless_present = "command")]
    file: Option<PathBuf>,
    /// A plain command instead of a file.
    #[arg(long, short, conflicts_with = "file", value_name = "TEXT")]
    command: Option<String>,
    /// A value for an input of the workflow, as JSON or else as text: `--input page=https://example.com`. May be repeated.
    #[arg(long = "input", value_name = "NAME=VALUE")]
    inputs: Vec<String>,
}

fn main() -> ExitCode {
    let (mut cli, settings) = settings::parse::<Cli>();
    cli.config.settings = settings;
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("browser: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let loaded = load(&cli.config)?;
    let config = loaded.value().clone();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match cli.command {
        Command::Run { flow, out, allow, json } => {
            runtime.block_on(command_line::run(config, &flow, &out, &allow, json))
        }
        Command::Init { owner, role } => {
            runtime.block_on(init::init(&config, owner, &role))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Serve => {
            runtime.block_on(browser::serve::run(config))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Check { files } => command_line::check(&files),
        Command::Plan { text } => command_line::plan(&text),
        Command::Bench { rounds, workflows, json } => {
            runtime.block_on(bench::bench(config, rounds, workflows, json))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Config => {
            print!("{}", loaded.print());
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn load(args: &ConfigArgs) -> Result<Loaded<BrowserConfig>> {
    let loader = Loader::new("browser").process_variables().flags(&args.settings);
    let loader = match &args.config {
        Some(path) => loader.file(path),
        None => loader.optional_file("browser.toml"),
    };
    Ok(loader.load()?)
}
