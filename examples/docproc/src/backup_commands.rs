//! `docproc backup`: what is done with backups by hand.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use buttress_backup::mirror::{MirrorConfig, repair};
use buttress_backup::store::{DynStore, Store as _};
use buttress_backup::{Phase, Progress, Repository};
use buttress_core::{ByteSize, Ctx, Shutdown, chain};
use clap::Subcommand;
use docproc::backup::{Wanted, archive, keeper, restore};
use docproc::config::DocprocConfig;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::on_signal;

#[derive(Subcommand)]
pub(crate) enum BackupCommand {
    /// Makes the repository that `backup.store` names.
    Init,
    /// Makes a snapshot now, and brings replicas up to date. The service may be running.
    Run,
    /// Lists the snapshots, the oldest first.
    List,
    /// Restores the newest snapshot and an old one into a scratch folder and proves that they are what they were.
    ///
    /// Ends with 1 if they are not.
    Drill,
    /// Looks whether all is there and whole: the structure, and a share of the data that is another each time.
    Check,
    /// Mends the repository with what is good in its replicas: what is damaged, and what is lost, be it all of it.
    Heal,
    /// Restores the service's folder, ready to be served from.
    Restore {
        /// How the snapshot's id begins [default: the newest].
        snapshot: Option<String>,
        /// The newest snapshot that was made at this time or before, like 2026-05-01T12:00:00Z.
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_rfc3339_weak, conflicts_with = "snapshot")]
        at: Option<SystemTime>,
        /// The folder, which must be empty or not there [default: `store.folder`].
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
    },
}

pub(crate) async fn backup(config: &DocprocConfig, command: BackupCommand) -> Result<ExitCode> {
    if config.backup.store.is_none() {
        bail!(
            "no backups are configured: set `backup.store.url`, a folder or s3://bucket/prefix, and `backup.password`, like \
             {{ file = \"/etc/docproc/backup-password\" }}"
        );
    }
    let ctx = Ctx::default();
    // So that locks and scratch folders are removed.
    on_signal(&ctx, "stopping", Shutdown::stop);
    match command {
        BackupCommand::Init => {
            let (store, password) = config.backup.place(&ctx).await?;
            let repository = Repository::init(store, &password, &ctx).await?;
            println!(
                "There is a repository in {} now.\n\
                 Keep a copy of its password on another machine, or on paper: without it nothing comes back.",
                repository.place()
            );
            Ok(ExitCode::SUCCESS)
        }
        BackupCommand::Run => run(config, &[Phase::Backup, Phase::Replicate], &ctx).await,
        BackupCommand::Check => run(config, &[Phase::Check], &ctx).await,
        BackupCommand::Drill => drill(config, &ctx).await,
        BackupCommand::Heal => heal(config, &ctx).await,
        BackupCommand::List => {
            for snapshot in archive(config, &ctx).await?.repository().await?.snapshots().await? {
                let size = snapshot.summary.as_ref().map(|summary| size(summary.total_bytes_processed));
                let size = size.unwrap_or_default();
                println!(
                    "{}  {:.0}  {:<16}  {size:>10}  {}",
                    snapshot.id.short(),
                    snapshot.time,
                    snapshot.hostname,
                    snapshot.tags.join(" ")
                );
            }
            Ok(ExitCode::SUCCESS)
        }
        BackupCommand::Restore { snapshot, at, to } => {
            let wanted = match (snapshot, at) {
                (Some(id), _) => Wanted::Id(id),
                (None, Some(at)) => Wanted::At(at),
                (None, None) => Wanted::Newest,
            };
            let to = to.unwrap_or_else(|| config.store.folder.clone());
            let archive = archive(config, &ctx).await?;
            let progress = Progress::new();
            let restored = shown(&progress, restore(&archive, &wanted, &to, &progress), &ctx).await;
            let (snapshot, report) = restored?;
            println!(
                "Snapshot {} of {:.0} was restored to {} and verified: {} files, {}.",
                snapshot.id.short(),
                snapshot.time,
                to.display(),
                report.files,
                size(report.bytes)
            );
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn run(config: &DocprocConfig, phases: &[Phase], ctx: &Ctx) -> Result<ExitCode> {
    let keeper = keeper(config, ctx).await?;
    let mut failed = false;
    for phase in phases {
        for ran in keeper.run(*phase).await? {
            match ran.result {
                Ok(told) => println!("{}: {told}", ran.task),
                Err(error) => {
                    eprintln!("docproc: {} failed: {}", ran.task, chain(&error));
                    failed = true;
                }
            }
        }
    }
    Ok(ExitCode::from(u8::from(failed)))
}

async fn drill(config: &DocprocConfig, ctx: &Ctx) -> Result<ExitCode> {
    let keeper = keeper(config, ctx).await?;
    keeper.run(Phase::Drill).await?;
    let report = keeper.status().drill.context("the drill was interrupted")?;
    for restore in &report.restores {
        println!(
            "{}  {:.0}  {:>8} files  {:>10}  {:>7.1} s  {}",
            restore.snapshot.short(),
            restore.taken,
            restore.files,
            size(restore.bytes),
            restore.seconds,
            if restore.problems.is_empty() { "restored and verified" } else { "NOT what it was:" }
        );
        for problem in &restore.problems {
            println!("          {problem}");
        }
    }
    for problem in &report.problems {
        println!("{problem}");
    }
    Ok(ExitCode::from(u8::from(!report.passed())))
}

/// From one replica after the other, until nothing is wrong.
async fn heal(config: &DocprocConfig, ctx: &Ctx) -> Result<ExitCode> {
    let (store, _) = config.backup.place(ctx).await?;
    if config.backup.replicas.is_empty() {
        bail!("there is no replica to mend the repository with: `backup.replicas` names none");
    }
    let mut wrong = None;
    for replica in &config.backup.replicas {
        let replica = DynStore::open(replica, ctx).await?;
        match repair(&replica, &store, &MirrorConfig::default(), ctx).await {
            Ok(report) => {
                println!("from {}: {report}", replica.place());
                wrong = None;
            }
            Err(error) => {
                eprintln!("docproc: from {}: {}", replica.place(), chain(&error));
                wrong = Some(error);
            }
        }
    }
    Ok(ExitCode::from(u8::from(wrong.is_some())))
}

fn size(bytes: u64) -> String {
    ByteSize::b(bytes).human()
}

/// Shows on a terminal how far it is.
async fn shown<T>(progress: &Progress, work: impl Future<Output = T>, ctx: &Ctx) -> T {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
    // A fixed template that is known to be right; the plain bar would do as well.
    if let Ok(style) =
        ProgressStyle::with_template("{elapsed_precise} {bar:32} {bytes}/{total_bytes}, {eta} left")
    {
        bar.set_style(style.progress_chars("█▌ "));
    }
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => {
                bar.finish_and_clear();
                return done;
            }
            () = ctx.clock.sleep(Duration::from_millis(100)) => {
                bar.set_length(progress.total_bytes());
                bar.set_position(progress.bytes());
            }
        }
    }
}
