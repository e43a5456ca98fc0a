//! `init`, `check`, `prune` and `unlock`: the repository itself.

use buttress_backup::{CheckDepth, Error, Progress, PruneReport, Repository};
use serde_json::json;

use crate::Failed;
use crate::args::{Check, Common, Unlock};
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
    let report = show::progress(common, &progress, "packs", work).await.map_err(|error| match error {
        Error::Incomplete { done, failures } => Failed::Found { done, wrong: failures },
        error => error.into(),
    })?;
    let mut text = show::without_lock(report.without_lock.as_ref());
    for remark in &report.remarks {
        text.extend([format!("remark: {}\n", show::clean(remark))]);
    }
    let read = match report.packs_read {
        0 => "their content was not read, --read-data does that".to_owned(),
        packs => format!("{} read whole, {}", show::count(packs, "pack"), show::size(report.bytes_read)),
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

pub(crate) async fn prune(common: &Common) -> Result<(), Failed> {
    let report = pruned(common, &open(common).await?).await?;
    show::answer(common, &tell(&report), &json!(report))
}

pub(crate) async fn pruned(common: &Common, repository: &Repository) -> Result<PruneReport, Failed> {
    Ok(show::progress(common, &Progress::new(), "packs", repository.prune()).await?)
}

pub(crate) fn tell(report: &PruneReport) -> String {
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
