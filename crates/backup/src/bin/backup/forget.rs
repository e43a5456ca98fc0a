//! `forget`: by name, or by a policy.

use std::collections::HashMap;
use std::time::SystemTime;

use buttress_backup::{Error, Id, Repository, Retention, Snapshot, SnapshotInfo};
use serde_json::json;

use crate::Failed;
use crate::args::{Common, Forget, Policy};
use crate::care::{pruned, tell};
use crate::place::open;
use crate::show;

pub(crate) async fn forget(common: &Common, which: &Forget) -> Result<(), Failed> {
    let repository = open(common).await?;
    let (snapshots, kept) = choose(&repository, which).await?;
    let removed: Vec<Id> =
        snapshots.iter().map(|snapshot| snapshot.id).filter(|id| !kept.contains_key(id)).collect();
    if !which.dry_run {
        repository.forget(&removed).await?;
    }
    let pruned = if which.prune { Some(pruned(common, &repository).await?) } else { None };
    let rows: Vec<_> = snapshots
        .iter()
        .map(|snapshot| {
            let reasons = kept.get(&snapshot.id);
            [
                snapshot.id.short(),
                show::time(snapshot.time),
                show::clean(&snapshot.hostname),
                if reasons.is_some() { "kept" } else { "removed" }.to_owned(),
                show::clean(&reasons.map(|reasons| reasons.join(", ")).unwrap_or_default()),
            ]
        })
        .collect();
    let mut text = show::table(["ID", "TIME", "HOST", "", "WHY"], &rows);
    let word = if which.dry_run { "would be removed" } else { "removed" };
    text.extend([format!("\n{} {word}\n", show::count(removed.len() as u64, "snapshot"))]);
    text.push_str(&pruned.map(|report| tell(&report)).unwrap_or_default());
    let kept: Vec<_> = kept.iter().map(|(id, reasons)| json!({ "id": id, "reasons": reasons })).collect();
    let document = json!({ "kept": kept, "removed": removed, "dry_run": which.dry_run, "pruned": pruned });
    show::answer(common, &text, &document)
}

/// The snapshots that are looked at, and why some of them are kept.
async fn choose(
    repository: &Repository,
    which: &Forget,
) -> Result<(Vec<Snapshot>, HashMap<Id, Vec<String>>), Failed> {
    if !which.snapshots.is_empty() {
        let mut snapshots = Vec::new();
        for wanted in &which.snapshots {
            snapshots.push(repository.snapshot(wanted).await?);
        }
        return Ok((snapshots, HashMap::new()));
    }
    let snapshots = which.filter.of(repository).await?;
    let infos: Vec<SnapshotInfo> = snapshots.iter().map(SnapshotInfo::from).collect();
    let plan = retention(&which.policy).plan(&infos, SystemTime::now()).map_err(Error::Config)?;
    let kept = plan.keep.into_iter();
    let kept = kept.map(|keep| (keep.id, keep.reasons.iter().map(ToString::to_string).collect()));
    Ok((snapshots, kept.collect()))
}

fn retention(policy: &Policy) -> Retention {
    let mut retention = Retention::none();
    retention.tags = Retention::default().tags;
    retention.tags.extend(policy.keep_tag.iter().cloned());
    retention.last = policy.keep_last.unwrap_or_default();
    retention.hourly = policy.keep_hourly.unwrap_or_default();
    retention.daily = policy.keep_daily.unwrap_or_default();
    retention.weekly = policy.keep_weekly.unwrap_or_default();
    retention.monthly = policy.keep_monthly.unwrap_or_default();
    retention.yearly = policy.keep_yearly.unwrap_or_default();
    retention.within = policy.keep_within;
    retention
}
