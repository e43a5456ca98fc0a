//! `init`, `check`, `forget`, `prune` and `unlock`: the repository itself.

use buttress_backup::{CheckDepth, Progress, PruneReport, Repository};
use serde_json::json;

use crate::Failed;
use crate::args::{Check, Common, Forget, Unlock};
use crate::place::{self, open};
use crate::show;

pub(crate) async fn init(common: &Common) -> Result<(), Failed> {
    let repository = place::init(common).await?;
    let text = format!(
        "made a repository in {}\nWithout its password nobody can read it again, you neither: keep it at another place too.\n",
        show::clean(&repository.place())
    );
    show::answer(common, &text, &json!({ "id": repository.id(), "place": repository.place() }))
}

pub(crate) async fn check(common: &Common, depth: &Check) -> Result<(), Failed> {
    let depth = match depth.part {
        Some((part, of)) => CheckDepth::Part { part, of },
        None if depth.read_data => CheckDepth::Data,
        None => CheckDepth::Structure,
    };
    let repository = open(common).await?;
    let progress = Progress::new();
    let work = repository.check_with_progress(depth, &progress);
    let report = show::progress(common, &progress, "packs", work).await?;
    let mut text = String::new();
    for remark in &report.remarks {
        text.extend([format!("remark: {}\n", show::clean(remark))]);
    }
    let read = match report.packs_read {
        0 => "their content was not read, --read-data does that".to_owned(),
        packs => format!("{} of {packs} were read", show::size(report.bytes_read)),
    };
    text.extend([format!(
        "all is there: {}, {}, {}, {}; {read}\n",
        show::count(report.snapshots, "snapshot"),
        show::count(report.trees, "folder"),
        show::count(report.blobs, "blob"),
        show::count(report.packs, "pack"),
    )]);
    show::answer(common, &text, &json!(report))
}

pub(crate) async fn forget(common: &Common, which: &Forget) -> Result<(), Failed> {
    let repository = open(common).await?;
    let mut snapshots = Vec::new();
    for wanted in &which.snapshots {
        snapshots.push(repository.snapshot(wanted).await?);
    }
    let ids: Vec<_> = snapshots.iter().map(|snapshot| snapshot.id).collect();
    let mut text = String::new();
    for snapshot in &snapshots {
        let word = if which.dry_run { "would be" } else { "was" };
        let (id, time) = (snapshot.id.short(), show::time(snapshot.time));
        text.extend([format!("snapshot {id} of {time} {word} removed\n")]);
    }
    if !which.dry_run {
        repository.forget(&ids).await?;
    }
    let pruned = if which.prune { Some(pruned(common, &repository).await?) } else { None };
    text.push_str(&pruned.map(|report| tell(&report)).unwrap_or_default());
    show::answer(common, &text, &json!({ "removed": ids, "dry_run": which.dry_run, "pruned": pruned }))
}

pub(crate) async fn prune(common: &Common) -> Result<(), Failed> {
    let report = pruned(common, &open(common).await?).await?;
    show::answer(common, &tell(&report), &json!(report))
}

async fn pruned(common: &Common, repository: &Repository) -> Result<PruneReport, Failed> {
    Ok(show::progress(common, &Progress::new(), "packs", repository.prune()).await?)
}

fn tell(report: &PruneReport) -> String {
    format!(
        "{} and {} removed, {} written anew; packs took {} and take {}\n",
        show::count(report.blobs_removed, "blob"),
        show::count(report.packs_removed, "pack"),
        show::count(report.packs_rewritten, "pack"),
        show::size(report.bytes_before),
        show::size(report.bytes_after),
    )
}

pub(crate) async fn unlock(common: &Common, which: &Unlock) -> Result<(), Failed> {
    let removed = open(common).await?.unlock(which.all).await?;
    let text = format!("{} removed\n", show::count(removed as u64, "lock"));
    show::answer(common, &text, &json!({ "removed": removed }))
}
