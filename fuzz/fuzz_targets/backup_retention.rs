//! Any text as a policy of retention, over any snapshots: each is kept or removed and not both, and what is kept stays kept.
//!
//! The text ends with the first zero, and each 16 bytes after it are a snapshot.

#![no_main]

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use buttress_backup::{Id, Retention, SnapshotInfo};
use buttress_core::Validate;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (text, rest) = bytes.split_at(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
    let Ok(text) = std::str::from_utf8(text) else { return };
    let json = serde_json::from_str::<Retention>(text).ok();
    let Some(policy) = json.or_else(|| toml::from_str(text).ok()) else { return };
    let written = serde_json::to_string(&policy).expect("it is written");
    assert_eq!(serde_json::from_str::<Retention>(&written).expect("it is read back"), policy);

    let (records, _) = rest.get(1..).unwrap_or_default().as_chunks();
    let mut all: Vec<_> = records.iter().map(snapshot).collect();
    // The first says what time it is, too.
    let now = all.first().map_or(SystemTime::UNIX_EPOCH, |one| one.time);
    let plan = policy.plan(&all, now);
    assert_eq!(plan.is_ok(), policy.validate().is_ok());
    let Ok(plan) = plan else { return };

    let keep: BTreeSet<Id> = plan.keep.iter().map(|keep| keep.id).collect();
    let remove: BTreeSet<Id> = plan.remove.iter().copied().collect();
    let told: BTreeSet<Id> = all.iter().map(|one| one.id).collect();
    assert!(keep.is_disjoint(&remove));
    assert_eq!(keep.union(&remove).copied().collect::<BTreeSet<_>>(), told);
    assert_eq!(plan.keep.len() + plan.remove.len(), told.len());
    assert!(plan.keep.iter().all(|keep| !keep.reasons.is_empty()));
    all.retain(|one| keep.contains(&one.id));
    assert_eq!(policy.plan(&all, now).expect("it was taken before").remove, []);
});

fn snapshot(record: &[u8; 16]) -> SnapshotInfo {
    let [time @ .., a, b, c, d, size, flags, _, _] = *record;
    let time = i64::from_le_bytes(time);
    let mut info = SnapshotInfo::new(Id::of(record), moment(time));
    let later = i64::from(i32::from_le_bytes([a, b, c, d]));
    info.first_seen = (flags & 1 != 0).then(|| moment(time.saturating_add(later)));
    info.ended = (flags & 2 != 0).then(|| moment(time.saturating_add(later / 2)));
    info.size = (flags & 4 != 0).then_some(size.into());
    info.verified = flags & 8 != 0;
    info.tags.extend((flags & 16 != 0).then(|| "pin".to_owned()));
    info.host.push_str(if flags & 32 != 0 { "a" } else { "b" });
    info
}

/// So many seconds after 1970, or before it; 1970 if there is no such time.
fn moment(seconds: i64) -> SystemTime {
    let by = Duration::from_secs(seconds.unsigned_abs());
    let epoch = SystemTime::UNIX_EPOCH;
    let moment = if seconds < 0 { epoch.checked_sub(by) } else { epoch.checked_add(by) };
    moment.unwrap_or(epoch)
}
