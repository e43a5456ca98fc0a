//! `keep` and `drill`: what a configuration says.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use buttress_backup::keeper::{Keeper, Lane, RepositoryArchive};
use buttress_backup::log::Shipper;
use buttress_backup::{BackupConfig, DrillReport, Phase};
use buttress_core::{Ctx, Event, Events, Outcome, Probe, Sink, Vitality};
use jiff::Timestamp;
use serde_json::json;

use crate::args::{Common, Drill, Keep};
use crate::{Failed, show, stop_on_signal};

/// Probes are asked so often for what has changed.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Does what is due, when it is due, or what is due now.
pub(crate) async fn keep(common: &Common, what: &Keep) -> Result<(), Failed> {
    let ctx = ctx(common)?;
    let config = config(&what.config)?;
    let keeper = keeper(&config, &ctx).await?;
    if what.once {
        for lane in [Lane::Backups, Lane::Upkeep] {
            while keeper.advance(lane).await.is_zero() && !ctx.shutdown.is_stopping() {}
        }
    } else {
        let shippers = shippers(&config, &ctx).await?;
        keeper.start();
        watch(&shippers, &ctx).await;
        ctx.shutdown.finished().await;
    }
    match keeper.status().vitality() {
        Vitality::Fail(why) | Vitality::Warn(why) => Err(Failed::Other(why)),
        Vitality::Pass => Ok(()),
    }
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
async fn shippers(config: &BackupConfig, ctx: &Ctx) -> Result<Vec<(String, Shipper)>, Failed> {
    let mut shippers = Vec::new();
    if !config.logs.is_empty() {
        let (_, password) = config.place(ctx).await?;
        for log in &config.logs {
            shippers.push((format!("log {}", log.log().name), log.start(&password, ctx).await?));
        }
    }
    Ok(shippers)
}

#[cfg(not(any(feature = "postgres", feature = "sqlite")))]
#[expect(clippy::unused_async, reason = "as where there are logs")]
async fn shippers(_: &BackupConfig, _: &Ctx) -> Result<Vec<(String, Shipper)>, Failed> {
    Ok(Vec::new())
}

/// Tells when a log is behind, and when it is no longer, until it is stopped.
async fn watch(shippers: &[(String, Shipper)], ctx: &Ctx) {
    let mut well = vec![None; shippers.len()];
    while !ctx.shutdown.is_stopping() {
        for ((name, shipper), well) in shippers.iter().zip(&mut well) {
            let vitality = shipper.check().await;
            let now = vitality == Vitality::Pass;
            if well.replace(now) != Some(now) {
                let (outcome, detail) = match vitality {
                    Vitality::Pass => {
                        (Outcome::Success, "everything that was committed is in the store".to_owned())
                    }
                    Vitality::Warn(why) | Vitality::Fail(why) => (Outcome::Failure, why),
                };
                let event = Event::new(ctx.clock.wall(), "backup.log", outcome);
                ctx.events.emit(event.actor("backup").target(name).detail(detail));
            }
        }
        tokio::select! {
            () = ctx.clock.sleep(LOOK_EVERY) => {}
            () = ctx.shutdown.stopped() => {}
        }
    }
}

/// Restores and verifies, now.
pub(crate) async fn drill(common: &Common, what: &Drill) -> Result<(), Failed> {
    let ctx = ctx(common)?;
    let keeper = keeper(&config(&what.config)?, &ctx).await?;
    keeper.run(Phase::Drill).await?;
    let report = keeper.status().drill;
    let report = report.ok_or_else(|| Failed::Other("the drill was given up".to_owned()))?;
    show::answer(common, &told(&report), &json!(report))?;
    if report.passed() { Ok(()) } else { Err(Failed::Drill) }
}

fn told(report: &DrillReport) -> String {
    let header = ["SNAPSHOT", "JOB", "TAKEN", ">FILES", ">SIZE", ">SECONDS", "RESULT"];
    let rows: Vec<_> = report
        .restores
        .iter()
        .map(|restore| {
            let good = restore.problems.is_empty();
            [
                restore.snapshot.short(),
                restore.job.clone(),
                show::time(restore.taken),
                show::count(restore.files, "file"),
                show::size(restore.bytes),
                format!("{:.1}", restore.seconds),
                if good { "restored and verified" } else { "NOT what it was" }.to_owned(),
            ]
        })
        .collect();
    let mut text = show::table(header, &rows);
    let of_restores = report.restores.iter().flat_map(|restore| {
        let of = restore.snapshot.short();
        restore.problems.iter().map(move |problem| format!("{of}: {problem}"))
    });
    for problem in of_restores.chain(report.problems.iter().cloned()) {
        text.extend([show::clean(&problem).as_str(), "\n"]);
    }
    text
}

async fn keeper(config: &BackupConfig, ctx: &Ctx) -> Result<Keeper<RepositoryArchive>, Failed> {
    let archive = RepositoryArchive::open(config, ctx).await?;
    Ok(Keeper::new(config.clone(), archive, ctx)?)
}

pub(crate) fn config(file: &Path) -> Result<BackupConfig, Failed> {
    let cannot = |why: String| Failed::Other(format!("{}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| cannot(error.to_string()))?;
    toml::from_str(&text).map_err(|error| cannot(error.to_string()))
}

/// What is done is told at once, as it is done.
pub(crate) fn ctx(common: &Common) -> Result<Ctx, Failed> {
    let mut ctx = Ctx::default();
    if !common.quiet {
        ctx.events = Events::to(Arc::new(Told { as_json: common.json }));
    }
    stop_on_signal(&ctx.shutdown)?;
    Ok(ctx)
}

struct Told {
    as_json: bool,
}

impl Sink for Told {
    fn emit(&self, event: Event) {
        if self.as_json {
            eprintln!("{}", json!(event));
            return;
        }
        let at = Timestamp::try_from(event.at).map(show::time).unwrap_or_default();
        let what = show::clean(event.target.as_deref().unwrap_or(event.action));
        let how = if event.outcome == Outcome::Success { "" } else { "FAILED: " };
        eprintln!("{at}  {what}: {how}{}", show::clean(event.detail.as_deref().unwrap_or_default()));
    }
}
