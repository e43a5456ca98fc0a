//! `repair`: making the best of a repository that has lost something.

use buttress_backup::{Progress, RepairIndexReport, RepairSnapshotsReport};
use serde_json::json;

use crate::Failed;
use crate::args::{Common, Repair, RepairCommand};
use crate::place::open;
use crate::show;

pub(crate) async fn repair(common: &Common, what: &Repair) -> Result<(), Failed> {
    let repository = open(common).await?;
    let progress = Progress::new();
    match &what.what {
        RepairCommand::Index { read_data } => {
            let work = repository.repair_index(*read_data);
            let report = show::progress(common, &progress, "packs", work).await?;
            show::answer(common, &tell_index(&report), &json!(report))
        }
        RepairCommand::Snapshots { snapshots, forget } => {
            let mut ids = Vec::new();
            for wanted in snapshots {
                ids.push(repository.snapshot(wanted).await?.id);
            }
            let work = repository.repair_snapshots(&ids, *forget);
            let report = show::progress(common, &progress, "snapshots", work).await?;
            show::answer(common, &tell_snapshots(&report, *forget), &json!(report))
        }
    }
}

fn tell_index(report: &RepairIndexReport) -> String {
    let mut text = String::new();
    for (many, one, became) in [
        (report.indexes_damaged, "index object", "not to be read, and replaced"),
        (report.packs_gone, "pack", "gone that the index named"),
        (report.packs_found, "pack", "in the index again"),
        (report.blobs_saved, "blob", "of damaged packs saved"),
        (report.blobs_lost, "blob", "of damaged packs lost"),
    ] {
        if many > 0 {
            text.extend([format!("{} {became}\n", show::count(many, one))]);
        }
    }
    for damaged in &report.packs_damaged {
        text.extend([format!(
            "{} is damaged: {}\n",
            show::clean(&damaged.of),
            show::clean(&damaged.problem)
        )]);
    }
    if report.repaired {
        text.push_str("the index says what is there; next: `backup repair snapshots`\n");
    } else {
        text.push_str("the index is in order; nothing was written\n");
    }
    text
}

fn tell_snapshots(report: &RepairSnapshotsReport, forget: bool) -> String {
    let mut text = String::new();
    for damaged in &report.damaged {
        let old = damaged.old.short();
        let kept = if forget { "was removed" } else { "stays" };
        match damaged.new {
            Some(new) => text
                .extend([format!("snapshot {} is {old} without what is lost; {old} {kept}\n", new.short())]),
            None => text.extend([format!("nothing is left of snapshot {old}; it {kept}\n")]),
        }
        for path in &damaged.lost {
            text.extend([format!("  lost: {}\n", show::clean(path))]);
        }
    }
    text + &format!("whole: {}\n", show::count(report.whole, "snapshot"))
}
