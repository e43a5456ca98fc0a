//! Objects that are not as they were: what is named, what is lost, what is refused, and what the next run puts back.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a test"
)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use buttress_backup::store::faulty::{Faults, Faulty};
use buttress_backup::store::{DynStore, Folder, RetryConfig, Retrying};
use buttress_backup::{
    BackupJob, BackupReport, CheckDepth, Error, Object, ObjectKind, Repository, RestoreJob, Snapshot,
};
use buttress_core::{Classify, Ctx};
use buttress_testkit::Random;
use bytes::{Bytes, BytesMut};
use secrecy::SecretString;
use support::memory::{Exchange, Memory};
use support::{noise, password, picture};

type Picture = BTreeMap<PathBuf, String>;

/// Two snapshots: of `old` and `both`, and of these with `new`.
struct Scene {
    folder: tempfile::TempDir,
    /// As it was when all was whole.
    whole: Memory,
    exchange: Exchange,
    repository: Repository,
    first: Snapshot,
    second: Snapshot,
    expected: Picture,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join("files");
        fs::create_dir_all(files.join("a")).unwrap();
        let whole = Memory::default();
        let exchange = Exchange::new(whole.clone());
        let store = DynStore::new(exchange.clone());
        let repository = Repository::init(store, &password(), &Ctx::default()).await.unwrap();
        let mut random = Random::new(3);
        for name in ["old", "a/both", "a/other"] {
            fs::write(files.join(name), noise(&mut random, 20_000)).unwrap();
        }
        let job = BackupJob::new().root(&files, "/files");
        let first = repository.backup(job.clone()).await.unwrap().snapshot;
        fs::write(files.join("new"), noise(&mut random, 20_000)).unwrap();
        let second = repository.backup(job).await.unwrap().snapshot;
        let expected = picture(&files);
        Self { folder, whole, exchange, repository, first, second, expected }
    }

    fn files(&self) -> PathBuf {
        self.folder.path().join("files")
    }

    /// A copy of the repository under the open handle.
    fn fresh(&self) -> Memory {
        let store = self.whole.copy();
        self.exchange.set(store.clone());
        store
    }

    async fn backup(&self) -> Result<BackupReport, Error> {
        self.repository.backup(BackupJob::new().root(self.files(), "/files")).await
    }

    /// What was restored, and what is said not to have been.
    async fn restore(&self, snapshot: &Snapshot) -> (Picture, Vec<(String, String)>) {
        let target = self.folder.path().join("restored");
        let failures = match self.repository.restore(snapshot, RestoreJob::new(&target)).await {
            Ok(_) => Vec::new(),
            Err(Error::Incomplete { failures, .. }) => {
                assert!(!failures.is_empty());
                failures.into_iter().map(|failure| (failure.of, failure.problem)).collect()
            }
            Err(error) => panic!("{error}"),
        };
        // Without the tree of the root there is nothing.
        let files = target.join("files");
        let restored = if files.exists() { picture(&files) } else { Picture::new() };
        fs::remove_dir_all(target).unwrap();
        (restored, failures)
    }

    /// That each file is there as it was, or is said not to be; how many are not.
    async fn loses_only_what_it_says(&self, of: &str) -> usize {
        let (restored, failures) = self.restore(&self.second).await;
        let mut lost = 0;
        for (path, looks) in &self.expected {
            let is_folder = looks.starts_with("folder");
            if restored.get(path) != Some(looks) && !is_folder {
                assert_eq!(restored.get(path), None, "{of}: {} is there, and is another", path.display());
                let inside =
                    |failure: &str| self.folder.path().join("restored/files").join(path).starts_with(failure);
                assert!(
                    failures.iter().any(|(failed, _)| inside(failed)),
                    "{of}: {} {failures:?}",
                    path.display()
                );
                lost += 1;
            }
        }
        lost
    }

    /// What a check finds wrong.
    async fn found(&self) -> Vec<(String, String)> {
        match self.repository.check(CheckDepth::Data).await {
            Ok(_) => Vec::new(),
            Err(Error::Incomplete { failures, .. }) => {
                failures.into_iter().map(|failure| (failure.of, failure.problem)).collect()
            }
            Err(error) => vec![(error.to_string(), String::new())],
        }
    }
}

/// What happens to an object.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Flip(f64),
    Cut,
    ZeroTail,
    Empty,
    Lost,
}

const ALL: [Damage; 9] = [
    Damage::Flip(0.0),
    Damage::Flip(0.1),
    Damage::Flip(0.5),
    Damage::Flip(0.9),
    Damage::Flip(1.0),
    Damage::Cut,
    Damage::ZeroTail,
    Damage::Empty,
    Damage::Lost,
];

fn damage(store: &Memory, object: Object, damage: Damage) {
    let bytes = store.bytes(object);
    let half = bytes.len() / 2;
    let mut other = BytesMut::from(bytes.as_ref());
    let damaged = match damage {
        Damage::Flip(share) => {
            let at = ((bytes.len() - 1) as f64 * share) as usize;
            other[at] ^= 4;
            Some(other.freeze())
        }
        Damage::Cut => Some(bytes.slice(..half)),
        Damage::ZeroTail => {
            other[half..].fill(0);
            Some(other.freeze())
        }
        Damage::Empty => Some(Bytes::new()),
        Damage::Lost => None,
    };
    store.set(object, damaged);
}

fn everything(store: &Memory) -> Vec<(Object, Bytes)> {
    [ObjectKind::Pack, ObjectKind::Index, ObjectKind::Snapshot]
        .into_iter()
        .flat_map(|kind| store.all(kind))
        .map(|object| (object, store.bytes(object)))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_to_backups_is_named_and_costs_only_what_it_hits() {
    let scene = Scene::new().await;
    let mut most_lost = 0;
    for kind in [ObjectKind::Pack, ObjectKind::Index, ObjectKind::Snapshot] {
        for object in scene.whole.all(kind) {
            for what in ALL {
                let of = format!("{what:?} of {object}");
                let store = scene.fresh();
                damage(&store, object, what);
                let found = scene.found().await;
                let named =
                    found.iter().any(|(of, problem)| format!("{of}: {problem}").contains(&object.path()));
                let forgotten = kind == ObjectKind::Snapshot && matches!(what, Damage::Lost);
                let gone_index = kind == ObjectKind::Index && matches!(what, Damage::Lost);
                // Nothing says that there was an index; its blobs are missed one by one. A snapshot that is gone was forgotten.
                assert!(named || forgotten || (gone_index && !found.is_empty()), "{of}: {found:?}");

                if kind != ObjectKind::Snapshot || object.id() != scene.second.id {
                    let lost = scene.loses_only_what_it_says(&of).await;
                    most_lost = most_lost.max(lost);
                    assert!(kind != ObjectKind::Snapshot || lost == 0, "{of}");
                    // Each file is one blob, and packs of trees are smaller than any of them.
                    let of_files = kind == ObjectKind::Pack && scene.whole.bytes(object).len() > 20_000;
                    assert!(!of_files || !matches!(what, Damage::Flip(_)) || lost <= 1, "{of}: {lost}");
                }
                // A prune may leave what is damaged as it is, but removes nothing that a snapshot needs.
                let before = everything(&store);
                match scene.repository.prune().await {
                    Err(_) => {
                        let after = everything(&store);
                        assert!(before.iter().all(|one| after.contains(one)), "{of}: something was removed");
                    }
                    // What only a forgotten snapshot needed goes.
                    Ok(_) if forgotten => {}
                    Ok(_) => {
                        assert_eq!(kind, ObjectKind::Pack, "{of}: pruned");
                        assert_eq!(store.all(kind).len(), scene.whole.all(kind).len(), "{of}");
                    }
                }
            }
        }
    }
    assert_eq!(most_lost, scene.expected.values().filter(|looks| !looks.starts_with("folder")).count());
}

/// A check does not look at the hash of a whole pack, as every byte of it is in something that is sealed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_byte_of_a_pack_counts() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["one", "another"] {
        fs::write(folder.path().join(name), format!("the content of {name}; ").repeat(9)).unwrap();
    }
    let store = Memory::default();
    let repository =
        Repository::init(DynStore::new(store.clone()), &password(), &Ctx::default()).await.unwrap();
    repository.backup(BackupJob::new().root(folder.path(), "/files")).await.unwrap();
    let packs = store.all(ObjectKind::Pack);
    assert_eq!(packs.len(), 2);
    for pack in packs {
        let whole = store.bytes(pack);
        for at in 0..whole.len() {
            let mut other = BytesMut::from(whole.as_ref());
            other[at] ^= 1 << (at % 8);
            store.set(pack, Some(other.freeze()));
            let found = repository.check(CheckDepth::Data).await.unwrap_err();
            assert!(
                matches!(&found, Error::Incomplete { failures, .. }
                if failures.iter().any(|failure| format!("{failure:?}").contains(&pack.path()))),
                "byte {at}: {found}"
            );
        }
        store.set(pack, Some(whole));
    }
    repository.check(CheckDepth::Data).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packs_that_are_gone_or_too_short_are_put_back_by_the_next_backup() {
    let scene = Scene::new().await;
    for object in scene.whole.all(ObjectKind::Pack) {
        for what in [Damage::Cut, Damage::Empty, Damage::Lost] {
            let store = scene.fresh();
            damage(&store, object, what);
            scene.backup().await.unwrap();
            // Trees of the first snapshot are nowhere on the disk any more.
            let (restored, failures) = scene.restore(&scene.second).await;
            assert_eq!(
                (&restored, failures.len()),
                (&scene.expected, 0),
                "{what:?} of {object}: {failures:?}"
            );
        }
    }
}

/// Two writers have stored the same; either's copy may be damaged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_copy_of_what_is_there_twice_costs_nothing_and_is_the_one_that_a_prune_removes() {
    let scene = Scene::new().await;
    fs::write(scene.files().join("twice"), noise(&mut Random::new(9), 600_000)).unwrap();
    let one = scene.fresh();
    scene.backup().await.unwrap();
    let other = scene.fresh();
    let report = scene.backup().await.unwrap();
    for object in
        [ObjectKind::Pack, ObjectKind::Index, ObjectKind::Snapshot].iter().flat_map(|kind| one.all(*kind))
    {
        other.set(object, Some(one.bytes(object)));
    }
    let new = |store: &Memory| -> Vec<_> {
        let old = scene.whole.all(ObjectKind::Pack);
        store.all(ObjectKind::Pack).into_iter().filter(|pack| !old.contains(pack)).collect()
    };
    assert_eq!(new(&other).len(), 4, "a pack of data and one of trees, twice");
    for pack in new(&other) {
        for what in [Damage::Flip(0.3), Damage::ZeroTail] {
            let store = other.copy();
            scene.exchange.set(store.clone());
            damage(&store, pack, what);
            let files = picture(&scene.files());
            let (restored, failures) = scene.restore(&report.snapshot).await;
            assert_eq!((&restored, failures.len()), (&files, 0), "{what:?} of {pack}: {failures:?}");
            let found = scene.found().await;
            assert!(found.iter().any(|(of, _)| *of == pack.path()), "{what:?} of {pack}: {found:?}");
            scene.repository.prune().await.unwrap();
            let found = scene.found().await;
            assert!(found.is_empty(), "{what:?} of {pack}: {found:?}");
            assert!(!store.all(ObjectKind::Pack).contains(&pack));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_to_what_opens_a_repository_is_a_clear_error() {
    let scene = Scene::new().await;
    let ctx = Ctx::default();
    let second = SecretString::from("another");
    let open = async |store: &Memory, password: &SecretString| {
        Repository::open(DynStore::new(store.clone()), password, &ctx).await
    };
    let kinds = [ObjectKind::Config, ObjectKind::Key];
    for object in kinds.iter().flat_map(|kind| scene.whole.all(*kind)) {
        for what in [Damage::Flip(0.5), Damage::Cut, Damage::Empty, Damage::Lost] {
            let store = scene.whole.copy();
            damage(&store, object, what);
            let error = open(&store, &password()).await.unwrap_err();
            let of = format!("{what:?} of {object}: {error}");
            match (object.kind(), what) {
                (ObjectKind::Key, Damage::Lost) => {
                    assert!(matches!(error, Error::WrongPassword { keys: 0, .. }), "{of}");
                }
                _ => assert!(
                    matches!(&error, Error::Damaged { object: named, .. } if *named == object.path()),
                    "{of}"
                ),
            }
            let made = Repository::init(DynStore::new(store), &password(), &ctx).await;
            assert!(matches!(made, Err(Error::RepositoryExists { .. })), "{of}");
        }
    }
    // Another key is another way in, and check names the damaged one.
    let store = scene.fresh();
    let first = store.all(ObjectKind::Key)[0];
    scene.repository.add_key(&second).await.unwrap();
    damage(&store, first, Damage::Flip(0.5));
    open(&store, &second).await.unwrap();
    assert!(scene.found().await.iter().any(|(of, _)| *of == first.path()));
}

/// Nobody knows whether its writer lives, so it keeps out whoever comes, until it is old or somebody removes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_lock_is_named_and_ends() {
    let scene = Scene::new().await;
    let lock = Object::new(ObjectKind::Lock, scene.first.id);
    for bytes in ["", "not a lock"] {
        let store = scene.fresh();
        store.set(lock, Some(bytes.into()));
        let refused = scene.backup().await.unwrap_err();
        assert!(
            matches!(refused, Error::Locked { .. }) && refused.to_string().contains(&lock.path()),
            "{refused}"
        );
        let found = scene.found().await;
        assert!(found[0].0.contains(&lock.path()), "{found:?}");
        store.age(lock, Duration::from_mins(31));
        scene.backup().await.unwrap();
        assert!(store.all(ObjectKind::Lock).is_empty());
        store.set(lock, Some(bytes.into()));
        assert_eq!(scene.repository.unlock(false).await.unwrap(), 1);
        scene.backup().await.unwrap();
    }
}

fn retries() -> RetryConfig {
    let mut config = RetryConfig::default();
    (config.attempts, config.first) = (8, Duration::ZERO);
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_call_of_twenty_fails_and_all_is_done_with_retries_or_fails_cleanly_without() {
    let scene = Scene::new().await;
    let (mut injected, mut failed) = (0, 0);
    for seed in 0..40 {
        let store = scene.fresh();
        let plan = Faults { seed, fails_before: 0.03, fails_after: 0.02, ..Faults::default() };
        let faulty = Faulty::new(store.clone(), plan, &Ctx::default());
        let retrying = seed % 2 == 0;
        if retrying {
            scene.exchange.set(Retrying::new(faulty.clone(), &retries(), &Ctx::default()).unwrap());
        } else {
            scene.exchange.set(faulty.clone());
        }
        let mut outcomes = vec![scene.backup().await.map(drop)];
        outcomes.push(scene.repository.forget(&[scene.first.id]).await);
        outcomes.push(scene.repository.prune().await.map(drop));
        outcomes.push(scene.repository.check(CheckDepth::Data).await.map(drop));
        injected += faulty.injected();
        for error in outcomes.into_iter().filter_map(Result::err) {
            assert!(!retrying, "{seed}: {error}");
            // A lock whose removal failed is of this process, which lives.
            assert!(error.class().is_transient() || matches!(error, Error::Locked { .. }), "{seed}: {error}");
            failed += 1;
        }
        faulty.calm_down();
        scene.repository.unlock(true).await.unwrap();
        scene.backup().await.unwrap();
        scene.repository.prune().await.unwrap();
        assert_eq!(scene.found().await, [], "{seed}");
        let (restored, _) = scene.restore(&scene.second).await;
        assert_eq!(restored, scene.expected);
    }
    assert!(injected > 20 && failed > 5, "{injected} {failed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listings_that_are_late_or_show_what_is_not_there_cost_no_snapshot() {
    let scene = Scene::new().await;
    let mut failed = 0;
    for seed in 0..40 {
        let store = scene.fresh();
        let plan = Faults { seed, stale: 0.3, stale_for: 2, junk: 0.2, ..Faults::default() };
        let faulty = Faulty::new(store.clone(), plan, &Ctx::default());
        scene.exchange.set(faulty.clone());
        let done = scene.backup().await;
        let pruned = scene.repository.prune().await;
        failed += [done.as_ref().err(), pruned.as_ref().err()].iter().flatten().count();
        faulty.calm_down();
        scene.repository.unlock(true).await.unwrap();
        let found = scene.found().await;
        assert_eq!(found, [], "{seed}: {pruned:?}");
        for snapshot in done.iter().map(|report| &report.snapshot).chain([&scene.second]) {
            assert_eq!(scene.restore(snapshot).await.0, scene.expected, "{seed}");
        }
    }
    println!("{failed} of 80 runs refused");
}

/// A prune after a backup by the same process: what it has reported done stays, however late the store lists it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_made_a_snapshot_does_not_prune_it_for_being_listed_late() {
    let scene = Scene::new().await;
    for late in 1..6 {
        let store = scene.fresh();
        let plan = Faults { seed: late.into(), stale: 1.0, stale_for: late, ..Faults::default() };
        let faulty = Faulty::new(store.clone(), plan, &Ctx::default());
        scene.exchange.set(faulty.clone());
        let new = noise(&mut Random::new(1_000 + u64::from(late)), 20_000);
        fs::write(scene.files().join("new"), new).unwrap();
        let made = scene.backup().await.unwrap().snapshot;
        let pruned = scene.repository.prune().await;
        assert!(scene.repository.snapshots().await.unwrap().iter().any(|one| one.id == made.id));
        faulty.calm_down();
        assert_eq!(scene.found().await, [], "{late}: {pruned:?}");
        assert_eq!(scene.restore(&made).await.0, picture(&scene.files()), "{late}");
        // What is forgotten is not believed to be there.
        scene.repository.forget(&[made.id]).await.unwrap();
        assert!(scene.repository.snapshots().await.unwrap().iter().all(|one| one.id != made.id));
    }
}

/// Files and folders of others in the place of a repository are none of its business.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn junk_in_the_folders_of_a_repository_is_let_lie() {
    let scene = Scene::new().await;
    let place = scene.folder.path().join("repository");
    scene.whole.write_to(&place);
    for kind in ["data", "data/00", "index", "keys", "locks", "snapshots", ""] {
        fs::create_dir_all(place.join(kind).join("folder of another")).unwrap();
        for name in [".DS_Store", "README", "0123", &"z".repeat(64)] {
            fs::write(place.join(kind).join(name), "junk").unwrap();
        }
    }
    fs::write(place.join("data/00").join("f".repeat(64)), "a pack in the wrong folder").unwrap();
    let repository =
        Repository::open(DynStore::new(Folder::new(&place)), &password(), &Ctx::default()).await.unwrap();
    repository.check(CheckDepth::Data).await.unwrap();
    repository.backup(BackupJob::new().root(scene.files(), "/files")).await.unwrap();
    repository.prune().await.unwrap();
    repository.check(CheckDepth::Data).await.unwrap();
    assert!(place.join("data/00/README").exists() && place.join("snapshots/0123").exists());
}

/// A file system of its own, of this size; gone when dropped. Needs root.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, kilobytes: u64) -> Self {
        fs::create_dir(at).unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kilobytes}k"), "none"])
            .arg(at)
            .status();
        let mounted = mounted.expect("`mount` runs");
        assert!(
            mounted.success(),
            "a tmpfs cannot be mounted: run the tests as root, or in `unshare --map-root-user --mount`"
        );
        Self(at.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_the_repository_costs_the_run_and_nothing_else() {
    let scene = Scene::new().await;
    let mut failed = 0;
    fs::write(scene.files().join("large"), noise(&mut Random::new(1), 400_000)).unwrap();
    // From too small for anything to large enough; what is there takes some 100 KB.
    for kilobytes in (160..760).step_by(40) {
        let disk = SmallDisk::mount(&scene.folder.path().join("disk"), kilobytes);
        scene.whole.write_to(&disk.0);
        scene.exchange.set(Folder::new(&disk.0));
        let done = scene.backup().await;
        if let Err(error) = &done {
            assert!(matches!(error, Error::Store { doing: "write", .. }), "{kilobytes}: {error:?}");
            failed += 1;
        }
        scene.repository.check(CheckDepth::Data).await.unwrap_or_else(|error| panic!("{kilobytes}: {error}"));
        assert_eq!(scene.restore(&scene.second).await.0, scene.expected);
        assert_eq!(fs::read_dir(disk.0.join("locks")).unwrap().count(), 0);
        assert_eq!(fs::read_dir(disk.0.join("tmp")).map_or(0, Iterator::count), 0, "half a file was left");
        drop(disk);
        fs::remove_dir(scene.folder.path().join("disk")).unwrap();
    }
    assert!((5..15).contains(&failed), "{failed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_onto_a_full_disk_says_what_is_missing() {
    let scene = Scene::new().await;
    let disk = SmallDisk::mount(&scene.folder.path().join("disk"), 60);
    let target = disk.0.join("target");
    let error = scene.repository.restore(&scene.second, RestoreJob::new(&target)).await.unwrap_err();
    let Error::Incomplete { failures, .. } = error else { panic!("{error}") };
    let restored = picture(&target.join("files"));
    let mut missing = 0;
    for (path, looks) in scene.expected.iter().filter(|(_, looks)| !looks.starts_with("folder")) {
        if restored.get(path) != Some(looks) {
            missing += 1;
            assert_eq!(restored.get(path), None, "{} is there, and is another", path.display());
            let of = target.join("files").join(path);
            assert!(
                failures.iter().any(|failure| Path::new(&failure.of) == of),
                "{} {failures:?}",
                path.display()
            );
        }
    }
    assert!(missing > 0);
}
