//! What retention keeps, too simple to be wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use buttress_backup::{Id, Retention, SKEW, SnapshotInfo};
use jiff::{Timestamp, tz::TimeZone};

/// By labels and counting, in quadratic time. A snapshot stays if it is the last with its label, and fewer than `count` labels
/// are newer or it is younger than `span`.
pub(crate) fn model(policy: &Retention, all: &[SnapshotInfo], now: SystemTime) -> BTreeSet<Id> {
    let zone = TimeZone::get(policy.time_zone.name()).unwrap();
    let groups: BTreeSet<_> = all.iter().map(|one| (one.host.clone(), one.paths.clone())).collect();
    let mut keep = BTreeSet::new();
    for group in groups {
        let of_group: Vec<_> =
            all.iter().filter(|one| (one.host.clone(), one.paths.clone()) == group).collect();
        let (past, future): (Vec<&SnapshotInfo>, Vec<&SnapshotInfo>) =
            of_group.iter().partition(|one| one.time <= now + SKEW);
        keep.extend(future.iter().map(|one| one.id));
        let held = |one: &SnapshotInfo| one.tags.iter().any(|tag| policy.tags.contains(tag));
        keep.extend(past.iter().filter(|one| held(one)).map(|one| one.id));
        let newer = |a: &SnapshotInfo, b: &SnapshotInfo| (a.time, a.id) > (b.time, b.id);
        let Some(newest) = past.iter().copied().reduce(|a, b| if newer(a, b) { a } else { b }) else {
            continue;
        };
        keep.insert(newest.id);
        let verified = past.iter().copied().filter(|one| one.verified);
        keep.extend(verified.reduce(|a, b| if newer(a, b) { a } else { b }).map(|one| one.id));
        let unlabelled = [(policy.last, policy.within, "")];
        let labelled = [
            (policy.hourly, policy.within_hourly, "%F %H %z"),
            (policy.daily, policy.within_daily, "%F"),
            (policy.weekly, policy.within_weekly, "%G week %V"),
            (policy.monthly, policy.within_monthly, "%Y-%m"),
            (policy.yearly, policy.within_yearly, "%Y"),
        ];
        for (count, within, format) in unlabelled.into_iter().chain(labelled) {
            let text = |one: &SnapshotInfo| match format {
                "" => one.id.to_string(),
                format => {
                    Timestamp::try_from(one.time).unwrap().to_zoned(zone.clone()).strftime(format).to_string()
                }
            };
            let texts: BTreeMap<Id, String> = past.iter().map(|one| (one.id, text(one))).collect();
            let label = |one: &SnapshotInfo| texts[&one.id].as_str();
            for one in &past {
                let newer: Vec<_> = past.iter().filter(|other| newer(other, one)).collect();
                let mine = label(one);
                let labels: BTreeSet<_> = newer.iter().map(|other| label(other)).collect();
                let last = !labels.contains(mine);
                let young = within.is_some_and(|span| one.time > newest.time - span);
                if last && (labels.len() < count as usize || young) {
                    keep.insert(one.id);
                    let same: Vec<_> =
                        past.iter().filter(|other| !format.is_empty() && label(other) == mine).collect();
                    let first = same
                        .iter()
                        .copied()
                        .reduce(|a, b| if (b.time, b.id) > (a.time, a.id) { a } else { b });
                    if let Some(first) = first
                        && let (Some(a), Some(b)) = (first.size, one.size)
                        && 2 * a.abs_diff(b) > a.max(b)
                    {
                        keep.insert(first.id);
                    }
                }
            }
        }
    }
    keep
}
