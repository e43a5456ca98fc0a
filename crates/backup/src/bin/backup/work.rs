//! `run`, `restore`, `cat` and `copy`: what moves content.

use std::io::IsTerminal;
use std::time::Instant;

use buttress_backup::{BackupJob, Progress, Repository, RestoreJob, Snapshot};
use buttress_core::units::format_duration;
use serde_json::json;

use crate::Failed;
use crate::args::{Cat, Common, Copy, Restore, Run};
use crate::place::{open, open_other};
use crate::show;

pub(crate) async fn run(common: &Common, what: Run) -> Result<(), Failed> {
    let mut job = what.paths.iter().fold(BackupJob::new(), BackupJob::folder);
    job = what.tag.into_iter().fold(job, BackupJob::tag);
    job = what.exclude.into_iter().fold(job, BackupJob::exclude);
    if let Some(host) = what.host {
        job = job.hostname(host);
    }
    if what.reread {
        job = job.reread();
    }
    let repository = open(common).await?;
    let (begun, progress) = (Instant::now(), Progress::new());
    let job = job.progress(&progress);
    let report = show::progress(common, &progress, "files", repository.backup(job)).await?;
    let found = &report.summary;
    let unlike = |new: u64, changed: u64| format!("{new} new, {changed} changed");
    let rows = [
        [
            "files",
            &show::count(found.total_files_processed, "file"),
            &unlike(found.files_new, found.files_changed),
        ],
        ["content", &show::size(found.total_bytes_processed), ""],
        [
            "added",
            &show::size(found.data_added),
            &format!("{} in the repository", show::size(found.data_added_packed)),
        ],
    ];
    let mut text = format!("snapshot {} was made in {}\n", report.id.short(), took(begun));
    for [name, much, more] in rows {
        let more = if more.is_empty() { String::new() } else { format!("  ({more})") };
        text.extend([format!("  {name:7}  {much}{more}\n")]);
    }
    show::answer(common, &text, &show::snapshot(&report.snapshot))
}

pub(crate) async fn restore(common: &Common, what: Restore) -> Result<(), Failed> {
    let repository = open(common).await?;
    let snapshot = chosen(&repository, &what).await?;
    let (begun, progress) = (Instant::now(), Progress::new());
    let mut job = RestoreJob::new(&what.target).progress(&progress);
    if let Some(path) = what.only {
        job = job.only(path);
    }
    if what.overwrite {
        job = job.overwrite();
    }
    if what.synced {
        job = job.synced();
    }
    let report = show::progress(common, &progress, "files", repository.restore(&snapshot, job)).await?;
    let others = match report.others {
        0 => String::new(),
        others => format!(", {} beside", show::count(others, "link or device")),
    };
    let text = format!(
        "{}snapshot {} was restored to {} in {}: {}, {}, {}{others}\n",
        show::without_lock(report.without_lock.as_ref()),
        snapshot.id.short(),
        show::path(&what.target),
        took(begun),
        show::count(report.files, "file"),
        show::size(report.bytes),
        show::count(report.folders, "folder"),
    );
    let document =
        json!({ "snapshot": snapshot.id, "target": what.target.to_string_lossy(), "restored": report });
    show::answer(common, &text, &document)
}

/// The snapshot that was asked for, by its id or by its time.
async fn chosen(repository: &Repository, what: &Restore) -> Result<Snapshot, Failed> {
    if let Some(id) = what.snapshot.as_deref().filter(|id| *id != "latest") {
        return Ok(repository.snapshot(id).await?);
    }
    let mut snapshots = what.filter.of(repository).await?;
    snapshots.retain(|snapshot| what.at.is_none_or(|at| snapshot.time <= at));
    snapshots.pop().ok_or_else(|| {
        let place = show::clean(&repository.place());
        let before = what.at.map(|at| format!(" of {} or before", show::time(at))).unwrap_or_default();
        Failed::Other(format!("{place} has no such snapshot{before}"))
    })
}

pub(crate) async fn cat(common: &Common, what: &Cat) -> Result<(), Failed> {
    let repository = open(common).await?;
    let snapshot = repository.snapshot(&what.snapshot).await?;
    let progress = Progress::new();
    let read = repository.read_file(&snapshot, &what.path, std::io::stdout(), &progress);
    // On a terminal the file itself is shown there.
    if std::io::stdout().is_terminal() {
        read.await?;
    } else {
        show::progress(common, &progress, "files", read).await?;
    }
    Ok(())
}

pub(crate) async fn copy(common: &Common, what: &Copy) -> Result<(), Failed> {
    let repository = open(common).await?;
    let to = open_other(&what.to, what.to_password_file.as_deref()).await?;
    let mut ids = Vec::new();
    if what.snapshots.is_empty() {
        ids.extend(what.filter.of(&repository).await?.iter().map(|snapshot| snapshot.id));
    }
    for wanted in &what.snapshots {
        ids.push(repository.snapshot(wanted).await?.id);
    }
    let (begun, progress) = (Instant::now(), Progress::new());
    let work = repository.copy_to(&to, &ids, &progress);
    let report = show::progress(common, &progress, "blobs", work).await?;
    let rows: Vec<_> = report
        .snapshots
        .iter()
        .map(|copied| {
            let word = if copied.already { "was there" } else { "copied" };
            [copied.from.short(), copied.to.short(), word.to_owned()]
        })
        .collect();
    let mut text =
        if rows.is_empty() { String::new() } else { show::table(["FROM", "TO", ""], &rows) + "\n" };
    text += &show::without_lock(report.without_lock.as_ref());
    text.extend([format!(
        "{} of content copied to {} in {}, where it takes {}\n",
        show::size(report.bytes),
        show::clean(&what.to),
        took(begun),
        show::size(report.bytes_packed),
    )]);
    show::answer(common, &text, &json!(report))
}

/// `1m 3s`, in whole seconds from one on.
fn took(begun: Instant) -> String {
    let took = begun.elapsed();
    if took.as_secs() == 0 {
        format!("{} ms", took.as_millis())
    } else {
        format_duration(std::time::Duration::from_secs(took.as_secs()))
    }
}
