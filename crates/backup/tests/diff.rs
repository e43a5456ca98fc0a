//! What is between two snapshots, beside what restic says.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::Ordering;

use buttress_backup::store::DynStore;
use buttress_backup::{Change, Difference, NodeKind, Repository};
use buttress_core::Ctx;
use buttress_testkit::Random;
use support::{Bench, Watched, fill, noise, password};

fn told(difference: &Difference) -> Vec<(Change, &str)> {
    let entries = difference.entries.iter();
    entries.map(|entry| (entry.change, entry.path.to_str().expect("text"))).collect()
}

#[tokio::test]
async fn each_way_to_differ_is_told() {
    let bench = Bench::new().await;
    let files = bench.files();
    for (name, content) in
        [("same", "s"), ("longer", "l"), ("gone", "four"), ("mode", "m"), ("was a file", "f")]
    {
        fs::write(files.join(name), content).expect("a file");
    }
    fs::create_dir_all(files.join("was a folder/inside")).expect("folders");
    fs::write(files.join("was a folder/inside/deep"), "12345").expect("a file");
    std::os::unix::fs::symlink("here", files.join("link")).expect("a link");
    let before = bench.repository.backup(bench.job()).await.expect("a backup").snapshot;

    fs::write(files.join("longer"), "longer").expect("a file");
    fs::remove_file(files.join("gone")).expect("removed");
    fs::set_permissions(files.join("mode"), fs::Permissions::from_mode(0o600)).expect("permissions");
    fs::remove_file(files.join("was a file")).expect("removed");
    fs::create_dir(files.join("was a file")).expect("a folder");
    fs::write(files.join("was a file/new"), "123").expect("a file");
    fs::remove_dir_all(files.join("was a folder")).expect("removed");
    fs::write(files.join("was a folder"), "1234567").expect("a file");
    fs::remove_file(files.join("link")).expect("removed");
    std::os::unix::fs::symlink("there", files.join("link")).expect("a link");
    let after = bench.repository.backup(bench.job()).await.expect("a backup").snapshot;

    let there = bench.repository.diff(&before, &after).await.expect("a difference");
    let expected = [
        (Change::Metadata, "/files"),
        (Change::Removed, "/files/gone"),
        (Change::Content, "/files/link"),
        (Change::Content, "/files/longer"),
        (Change::Metadata, "/files/mode"),
        (Change::Kind, "/files/was a file"),
        (Change::Added, "/files/was a file/new"),
        (Change::Kind, "/files/was a folder"),
        (Change::Removed, "/files/was a folder/inside"),
        (Change::Removed, "/files/was a folder/inside/deep"),
    ];
    assert_eq!(told(&there), expected);
    assert_eq!((there.bytes_added, there.bytes_removed), (6 + 3 + 7, 1 + 4 + 1 + 5));
    let folder = &there.entries[7];
    assert_eq!((folder.kind, folder.bytes_before, folder.bytes_after), (NodeKind::File, 0, 7));

    // Seen from the other side it is the opposite.
    let back = bench.repository.diff(&after, &before).await.expect("a difference");
    assert_eq!((back.bytes_added, back.bytes_removed), (there.bytes_removed, there.bytes_added));
    assert_eq!(back.count(Change::Added), there.count(Change::Removed));
    assert_eq!(back.count(Change::Kind), 2);
}

#[tokio::test]
async fn what_is_the_same_is_not_read() {
    let bench = Bench::new().await;
    fill(&bench.files());
    let first = bench.repository.backup(bench.job()).await.expect("a backup").snapshot;
    let second = bench.repository.backup(bench.job()).await.expect("a backup").snapshot;
    let watched = Watched::new(&bench.place(), usize::MAX);
    let store = DynStore::new(watched.clone());
    let repository = Repository::open(store, &password(), &Ctx::default()).await.expect("opened");
    assert_eq!(repository.diff(&first, &second).await.expect("a difference"), Difference::default());
    assert_eq!(watched.packs_read.load(Ordering::Relaxed), 0);
}

/// A file or folder is made, changed or removed.
fn edit(folder: &Path, random: &mut Random) {
    let name = |random: &mut Random| format!("{}", random.number() % 6);
    let path = folder.join(name(random)).join(name(random));
    let above = path.parent().expect("a folder");
    if !above.is_dir() {
        fs::remove_file(above).ok();
        fs::create_dir_all(above).expect("a folder");
    }
    match random.number() % 5 {
        0 => {
            fs::remove_dir_all(above).expect("removed");
            fs::write(above, noise(random, 70)).expect("a file");
        }
        1 if path.exists() => fs::remove_file(path).expect("removed"),
        _ => {
            let length = 1 + usize::try_from(random.number() % 40_000).unwrap();
            fs::write(path, noise(random, length)).expect("a file");
        }
    }
}

#[tokio::test]
async fn restic_says_the_same() {
    let bench = Bench::new().await;
    let mut random = Random::new(11);
    let mut before = bench.repository.backup(bench.job()).await.expect("a backup").snapshot;
    for _ in 0..8 {
        (0..6).for_each(|_| edit(&bench.files(), &mut random));
        let after = bench.repository.backup(bench.job()).await.expect("a backup").snapshot;
        let ids = [before.id.to_string(), after.id.to_string()];
        let said = bench.restic_ok(&["diff", "--json", &ids[0], &ids[1]]);
        let messages =
            said.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
        let theirs: BTreeSet<(String, String)> = messages
            .filter(|message| message["message_type"] == "change")
            .map(|message| {
                let path = message["path"].as_str().expect("a path").trim_end_matches('/').to_owned();
                (message["modifier"].as_str().expect("one").to_owned(), path)
            })
            .collect();
        let there = bench.repository.diff(&before, &after).await.expect("a difference");
        // What is in a folder that became a file, or the other way round, it does not tell.
        let of_other_kind: Vec<_> =
            there.entries.iter().filter(|entry| entry.change == Change::Kind).collect();
        let below = |path: &Path| {
            of_other_kind.iter().any(|entry| path != entry.path && path.starts_with(&entry.path))
        };
        let ours: BTreeSet<(String, String)> = told(&there)
            .into_iter()
            .filter(|(_, path)| !below(Path::new(path)))
            .filter_map(|(change, path)| {
                let sign = match change {
                    Change::Added => "+",
                    Change::Removed => "-",
                    Change::Content => "M",
                    Change::Kind => "T",
                    _ => return None,
                };
                Some((sign.to_owned(), path.to_owned()))
            })
            .collect();
        assert_eq!(ours, theirs);
        assert!(!ours.is_empty());
        before = after;
    }
}
