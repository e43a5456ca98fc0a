//! The command line of docproc.
#![allow(clippy::print_stdout, clippy::print_stderr)] // A program for people, who read what it prints.

mod backup_commands;
mod init;
mod queue_commands;
mod settings;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use backup_commands::{BackupCommand, backup};
use buttress_config::Loader;
use buttress_core::{Ctx, Shutdown};
use buttress_docpipeline::{Isolation, Pipeline, avoid_huge_pages, is_worker, serve_worker};
use clap::{Args, Parser, Subcommand};
use docproc::batch::{Run, Summary};
use docproc::config::DocprocConfig;
use docproc::fleet;
use queue_commands::{QueueCommand, queue, submit};

// Documents are many small allocations on several threads; libraries leave the choice to the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Documents in; clean text, chunks, metadata and fingerprints out.
#[derive(Parser)]
#[command(name = "docproc", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct ConfigArgs {
    /// Configuration file [default: docproc.toml, if there is one].
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, over the file and the environment: `--set workers.count=4`. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Reads every document at or below PATHS and writes one JSON line for each.
    ///
    /// A run that was interrupted, or killed, goes on where it stopped when it is started again with the same --out.
    /// Documents that cannot be read land in the folder dead-letter below it, each with its reason.
    Process {
        /// Files and folders.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Tries the documents of the dead-letter folder again, after the cause has been mended: a limit raised, say.
    Retry {
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Makes what `security.enabled=true` needs, and an API key: a vault, an audit log, keys.
    ///
    /// Run again, it leaves what is there as it is and issues another key. The service must not run meanwhile.
    Init {
        /// Whose key it is: a name, as it will stand in the audit log.
        #[arg(long, value_name = "NAME")]
        owner: String,
        /// What its owner may do: reader, writer or admin, or a role of `security.policy`.
        #[arg(long, default_value = "admin")]
        role: String,
    },
    /// Runs the HTTP service, with its page at /.
    Serve,
    /// Stores every document at or below PATHS and puts it into the queue, for workers on any host.
    ///
    /// A line for each file says what became of it, once it is safe. Waits while the queue is full. Submitting the same
    /// document again does no harm: it is read once.
    Submit {
        /// Files and folders.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Print a JSON line for each file.
        #[arg(long)]
        json: bool,
    },
    /// Reads documents from the queue until it is asked to stop, and leaves each result as the blob results/ID.json.
    ///
    /// On SIGTERM or Ctrl-C it finishes the documents in hand and gives back what is left.
    Worker {
        /// Address of probes and metrics; port 0 takes any free port.
        #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
        listen: SocketAddr,
        #[command(flatten)]
        workers: WorkerArgs,
    },
    /// Shows what is in the queue; `dead` lists the documents that were given up, `retry` puts them back.
    Queue {
        /// Print JSON.
        #[arg(long, global = true)]
        json: bool,
        #[command(subcommand)]
        command: Option<QueueCommand>,
    },
    /// Makes, proves and restores backups of all that the service keeps.
    Backup {
        #[command(subcommand)]
        command: BackupCommand,
    },
    /// Reads the documents at or below PATHS, keeps nothing, and prints the figures as JSON.
    Bench {
        /// Files and folders.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// How often each document is read.
        #[arg(long, default_value_t = 1)]
        passes: usize,
        #[command(flatten)]
        workers: WorkerArgs,
    },
    /// Prints the effective configuration and where each value comes from.
    Config,
}

#[derive(Args)]
struct OutputArgs {
    /// Folder for the results; made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
    /// No progress bar.
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    workers: WorkerArgs,
}

#[derive(Args)]
struct WorkerArgs {
    /// Workers [default: one a core].
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Read documents in threads of this process instead of worker processes: a little faster, for trusted documents.
    #[arg(long)]
    in_process: bool,
}

impl WorkerArgs {
    fn apply(&self, config: &mut DocprocConfig) {
        if let Some(count) = self.workers {
            config.workers.count = count;
        }
        if self.in_process {
            config.workers.isolation = Isolation::Thread;
        }
    }
}

fn main() -> ExitCode {
    if is_worker() {
        return match serve_worker(Pipeline::new) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    avoid_huge_pages();
    let (mut cli, settings) = settings::parse::<Cli>();
    cli.config.settings = settings;
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("docproc: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let loaded = load(&cli.config)?;
    let mut config = loaded.value().clone();
    // A batch is one task that dispatches: on a thread of its own it costs fewer wake-ups than on many.
    let mut runtime = match cli.command {
        Command::Process { .. } | Command::Retry { .. } | Command::Bench { .. } => {
            tokio::runtime::Builder::new_current_thread()
        }
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = runtime.enable_all().build()?;
    match cli.command {
        Command::Process { paths, output } => {
            output.workers.apply(&mut config);
            let run = batch_run(&config, !output.quiet);
            let summary = runtime
                .block_on(interruptible(|ctx| async move { run.process(&paths, &output.out, &ctx).await }))?;
            report(&summary, output.json)
        }
        Command::Retry { output } => {
            output.workers.apply(&mut config);
            let run = batch_run(&config, !output.quiet);
            let summary =
                runtime.block_on(interruptible(|ctx| async move { run.retry(&output.out, &ctx).await }))?;
            report(&summary, output.json)
        }
        Command::Bench { paths, passes, workers } => {
            workers.apply(&mut config);
            let run = batch_run(&config, false);
            let summary = runtime
                .block_on(interruptible(|ctx| async move { run.bench(&paths, passes, &ctx).await }))?;
            report(&summary, true)
        }
        Command::Init { owner, role } => {
            runtime.block_on(init::init(&config.security, owner, &role))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Serve => {
            runtime.block_on(docproc::serve::run(config))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Submit { paths, json } => runtime.block_on(submit(&config, &paths, json)),
        Command::Worker { listen, workers } => {
            workers.apply(&mut config);
            runtime.block_on(fleet::work(config, listen))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Queue { json, command } => runtime.block_on(queue(&config, command, json)),
        Command::Backup { command } => runtime.block_on(backup(&config, command)),
        Command::Config => {
            print!("{}", loaded.print());
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn load(args: &ConfigArgs) -> Result<buttress_config::Loaded<DocprocConfig>> {
    let loader = Loader::new("docproc").process_variables().flags(&args.settings);
    let loader = match &args.config {
        Some(path) => loader.file(path),
        None => loader.optional_file("docproc.toml"),
    };
    Ok(loader.load()?)
}

fn batch_run(config: &DocprocConfig, progress: bool) -> Run {
    Run { pipeline: config.pipeline.clone(), workers: config.workers.clone(), progress }
}

/// Asks the work of `ctx` to end in this way when this process is asked to stop.
fn on_signal(ctx: &Ctx, what: &'static str, ask: fn(&Shutdown)) {
    let shutdown = ctx.shutdown.clone();
    tokio::spawn(async move {
        if buttress_service::stop_signal().await.is_ok() {
            eprintln!("docproc: {what}");
            ask(&shutdown);
        }
    });
}

/// Runs a batch that finishes what it has in hand when it is asked to stop.
async fn interruptible<F: Future<Output = Result<Summary>>>(run: impl FnOnce(Ctx) -> F) -> Result<Summary> {
    let ctx = Ctx::default();
    let what = "finishing the documents in hand; what is left stays for the next run";
    on_signal(&ctx, what, Shutdown::drain);
    run(ctx).await
}

/// Prints the summary. A document that failed is accounted for, so it does not make the run a failure; stopping early
/// does.
fn report(summary: &Summary, json: bool) -> Result<ExitCode> {
    if json {
        println!("{}", serde_json::to_string_pretty(summary).context("cannot print the summary")?);
    } else {
        print!("{summary}");
    }
    Ok(if summary.interrupted { ExitCode::from(130) } else { ExitCode::SUCCESS })
}
