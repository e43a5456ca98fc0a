//! Replicas are kept in step, whatever fails, and are at any moment a repository that restores.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing expectation fails the test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use buttress_backup::mirror::{Mirror, MirrorConfig, Share, repair, verify};
use buttress_backup::store::faulty::{Faults, Faulty, Kill};
use buttress_backup::store::{DynStore, Existing, Folder, Listed, Store, contract};
use buttress_backup::{Error, Id, Object, ObjectKind};
use buttress_core::Ctx;
use bytes::Bytes;
use proptest::prelude::*;

type BeforeRead = Arc<dyn Fn(u64, &Memory) + Send + Sync>;
type AfterWrite = Arc<dyn Fn(&Memory) + Send + Sync>;

/// A store in memory: what the tests look at after each call. `after_write` is told of each write, `before_read` of each read and its number.
#[derive(Clone, Default)]
struct Memory {
    objects: Arc<Mutex<BTreeMap<Object, Bytes>>>,
    reads: Arc<AtomicU64>,
    before_read: Option<BeforeRead>,
    after_write: Option<AfterWrite>,
}

impl Memory {
    fn objects(&self) -> BTreeMap<Object, Bytes> {
        self.objects.lock().unwrap().clone()
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<Object, Bytes>) -> T) -> T {
        change(&mut self.objects.lock().unwrap())
    }

    fn reads(&self) {
        let number = self.reads.fetch_add(1, Ordering::SeqCst);
        if let Some(before) = &self.before_read {
            before(number, self);
        }
    }

    fn written(&self) {
        if let Some(after) = &self.after_write {
            after(self);
        }
    }
}

impl Store for Memory {
    async fn put(&self, object: Object, bytes: Bytes, existing: Existing) -> Result<bool, Error> {
        let written = self.change(|objects| {
            let writes = existing == Existing::Replaced || !objects.contains_key(&object);
            if writes {
                objects.insert(object, bytes);
            }
            writes
        });
        self.written();
        Ok(written)
    }

    async fn get(&self, object: Object, range: Option<Range<u64>>) -> Result<Bytes, Error> {
        self.reads();
        let bytes = self.objects().get(&object).cloned();
        let bytes = bytes.ok_or_else(|| Error::Missing { object, place: self.place() })?;
        let at = |position| usize::try_from(position).unwrap();
        let range = range.map_or(0..bytes.len(), |range| at(range.start)..at(range.end));
        if range.end > bytes.len() {
            let problem = "it ends before".to_owned();
            return Err(Error::Damaged { object: object.path(), place: self.place(), problem });
        }
        Ok(bytes.slice(range))
    }

    async fn list(&self, kind: ObjectKind) -> Result<Vec<Listed>, Error> {
        self.reads();
        let all = self.objects().into_iter().filter(|(object, _)| object.kind() == kind);
        Ok(all.map(|(object, bytes)| Listed { object, size: bytes.len() as u64, modified: None }).collect())
    }

    async fn delete(&self, object: Object) -> Result<(), Error> {
        self.change(|objects| objects.remove(&object));
        self.written();
        Ok(())
    }

    fn place(&self) -> String {
        "memory".to_owned()
    }
}

#[tokio::test]
async fn the_store_of_these_tests_keeps_the_contract() {
    let memory = Memory::default();
    contract::holds(async || memory.clone()).await;
}

/// A repository without seals: a pack is a list of items, an index one of packs, a snapshot one of items.
struct World {
    primary: Memory,
    next: AtomicU64,
}

fn object(kind: ObjectKind, lines: &[String]) -> (Object, Bytes) {
    // Some are longer than others, so that sizes tell little.
    let bytes = Bytes::from(lines.join("\n"));
    (Object::new(kind, Id::of(&bytes)), bytes)
}

fn lines(bytes: &Bytes) -> Vec<String> {
    std::str::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
}

impl World {
    fn new() -> Self {
        let world = Self { primary: Memory::default(), next: AtomicU64::new(0) };
        world.primary.change(|objects| {
            // Its name does not tell whether it is whole, two reads that agree do. So long that no two of them are spoiled in the same bit.
            objects.insert(Object::CONFIG, "the config of the world ".repeat(1 << 10).into());
            objects.extend([object(ObjectKind::Key, &["a key".to_owned()])]);
            objects.extend([object(ObjectKind::Lock, &["a lock".to_owned()])]);
        });
        world
    }

    fn backup(&self) {
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        self.primary.change(|objects| {
            let items: Vec<String> =
                (0..6).map(|item| format!("item {number}.{item} of the world")).collect();
            let packs: Vec<_> = items.chunks(2).map(|items| object(ObjectKind::Pack, items)).collect();
            let names: Vec<String> = packs.iter().map(|(pack, _)| pack.id().to_string()).collect();
            objects.extend(packs);
            objects.extend([object(ObjectKind::Index, &names)]);
            objects.extend([object(ObjectKind::Snapshot, &items)]);
        });
    }

    /// Writes the items of the oldest two indexes into one new pack, names it in a new index, and removes the old.
    fn prune(primary: &Memory) {
        primary.change(|objects| {
            let old = of_kind(objects, ObjectKind::Index).into_iter().take(2).collect::<Vec<_>>();
            let old_packs: Vec<Object> = old.iter().flat_map(|index| packs_of(&objects[index])).collect();
            let items: BTreeSet<String> = old_packs.iter().flat_map(|pack| lines(&objects[pack])).collect();
            let pack = object(ObjectKind::Pack, &items.into_iter().collect::<Vec<_>>());
            let index = object(ObjectKind::Index, &[pack.0.id().to_string()]);
            let (new_pack, new_index) = (pack.0, index.0);
            objects.extend([pack, index]);
            objects.retain(|object, _| *object == new_index || !old.contains(object));
            objects.retain(|object, _| *object == new_pack || !old_packs.contains(object));
        });
    }

    fn forget(primary: &Memory) {
        primary.change(|objects| {
            if let Some(oldest) = of_kind(objects, ObjectKind::Snapshot).first() {
                objects.remove(oldest);
            }
        });
    }
}

fn of_kind(objects: &BTreeMap<Object, Bytes>, kind: ObjectKind) -> Vec<Object> {
    objects.keys().copied().filter(|object| object.kind() == kind).collect()
}

fn packs_of(index: &Bytes) -> Vec<Object> {
    lines(index).iter().map(|id| Object::new(ObjectKind::Pack, Id::parse(id).unwrap())).collect()
}

/// Every snapshot and index has all that it refers to, whole.
fn restores(objects: &BTreeMap<Object, Bytes>) -> Result<(), String> {
    let whole = |object: &Object| objects.get(object).filter(|bytes| Id::of(bytes) == object.id());
    let mut items = BTreeSet::new();
    for index in of_kind(objects, ObjectKind::Index) {
        let Some(packs) = whole(&index).map(packs_of) else { continue }; // Torn, and said so to who wrote it.
        for pack in packs {
            items.extend(lines(whole(&pack).ok_or_else(|| format!("{index} refers to {pack}"))?));
        }
    }
    for snapshot in of_kind(objects, ObjectKind::Snapshot) {
        for item in whole(&snapshot).map(lines).into_iter().flatten() {
            if !items.contains(&item) {
                return Err(format!("{snapshot} refers to {item}"));
            }
        }
    }
    Ok(())
}

/// A replica that is looked at after each write.
fn watched() -> (Memory, Arc<Mutex<Vec<String>>>) {
    let broken = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&broken);
    let after_write = Arc::new(move |replica: &Memory| {
        if let Err(problem) = restores(&replica.objects()) {
            seen.lock().unwrap().push(problem);
        }
    });
    (Memory { after_write: Some(after_write), ..Memory::default() }, broken)
}

fn config(delete: bool) -> MirrorConfig {
    let mut config = MirrorConfig::default();
    (config.delete, config.most_deleted) = (delete, 100);
    config
}

fn without_locks(store: &Memory) -> BTreeMap<Object, Bytes> {
    store.objects().into_iter().filter(|(object, _)| object.kind() != ObjectKind::Lock).collect()
}

fn mirror(primary: &(impl Store + Clone), replicas: Vec<DynStore>, delete: bool) -> Mirror {
    Mirror::new(DynStore::new(primary.clone()), replicas, &config(delete), &Ctx::default()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn whatever_fails_replicas_restore_at_any_moment_and_are_in_step_at_last(
        seed in any::<u64>(),
        share in 0.0..0.3_f64,
        torn in 0.0..0.2_f64,
        flips in 0.0..0.2_f64,
        steps in proptest::collection::vec(0..4_u8, 1..12),
        delete in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let ctx = Ctx::default();
            let world = World::new();
            let of_primary = Faults { seed, fails_before: share, fails_after: share, flips, ..Faults::default() };
            let primary = Faulty::new(world.primary.clone(), of_primary, &ctx);
            let (watched, broken): (Vec<_>, Vec<_>) = [watched(), watched()].into_iter().unzip();
            let replicas: Vec<_> = watched.iter().enumerate().map(|(i, memory)| {
                let faults = Faults {
                    seed: !seed ^ i as u64, fails_before: share, fails_after: share, torn,
                    // Removing needs listings that show what was written; copying does not.
                    stale: if delete { 0.0 } else { share }, stale_for: 2, ..Faults::default()
                };
                Faulty::new(memory.clone(), faults, &ctx)
            }).collect();
            let stores = replicas.iter().cloned().map(DynStore::new).collect();
            let mirror = mirror(&primary, stores, delete);
            for step in steps {
                match step {
                    0 | 1 => world.backup(),
                    2 => World::prune(&world.primary),
                    _ => World::forget(&world.primary),
                }
                // Fails or not, and names what failed.
                if let Err(error) = mirror.sync().await {
                    prop_assert!(matches!(&error, Error::Incomplete { failures, .. } if !failures.is_empty()), "{error:?}");
                }
            }
            primary.calm_down();
            replicas.iter().for_each(Faulty::calm_down);
            let report = mirror.sync().await.unwrap();
            let expected = without_locks(&world.primary);
            for (replica, one) in watched.iter().zip(&report.replicas) {
                prop_assert_eq!(one.in_step, expected.len() as u64);
                let mut there = replica.objects();
                if !delete {
                    there.retain(|object, _| expected.contains_key(object));
                }
                prop_assert_eq!(&there, &expected);
            }
            for broken in broken {
                prop_assert_eq!(&*broken.lock().unwrap(), &[] as &[String]);
            }
            let all = mirror.verify(Share::ALL).await.unwrap();
            prop_assert!(all.good >= 2 * expected.len() as u64);
            Ok(())
        })?;
    }
}

/// A prune at each moment of a sync, between any two calls to the primary.
#[tokio::test]
async fn a_prune_at_any_moment_of_a_sync_leaves_a_replica_that_restores() {
    for (delete, in_step_before) in [(false, false), (false, true), (true, false), (true, true)] {
        for moment in 0.. {
            let world = World::new();
            (0..3).for_each(|_| world.backup());
            let (replica, broken) = watched();
            let plain = world.primary.clone();
            if in_step_before {
                mirror(&plain, vec![DynStore::new(replica.clone())], delete).sync().await.unwrap();
                world.backup();
            }
            world.primary.reads.store(0, Ordering::SeqCst);
            let prune = move |number, primary: &Memory| {
                if number == moment {
                    World::prune(primary);
                    World::forget(primary);
                }
            };
            let pruned = Memory { before_read: Some(Arc::new(prune)), ..world.primary.clone() };
            // What vanishes while it is copied is looked for anew; what vanishes after that is for the next sync.
            mirror(&pruned, vec![DynStore::new(replica.clone())], delete).sync().await.unwrap();
            let reads = world.primary.reads.load(Ordering::SeqCst);
            mirror(&plain, vec![DynStore::new(replica.clone())], delete).sync().await.unwrap();
            assert_eq!(
                *broken.lock().unwrap(),
                [] as [String; 0],
                "prune before read {moment}, delete {delete}"
            );
            let expected = without_locks(&world.primary);
            let there = replica.objects();
            assert!(expected.iter().all(|(object, bytes)| there.get(object) == Some(bytes)));
            assert!(!delete || there.len() == expected.len());
            if moment > reads {
                assert!(moment > 12, "{moment}");
                break;
            }
        }
    }
}

/// The mirroring process dies in each of its calls to the replica; another one goes on.
#[tokio::test]
async fn a_killed_sync_is_continued_and_copies_only_what_is_missing() {
    let world = World::new();
    (0..3).for_each(|_| world.backup());
    let expected = without_locks(&world.primary);
    let ctx = Ctx::default();
    for at in 0.. {
        for kill in [Kill::Before(at), Kill::After(at)] {
            let (replica, broken) = watched();
            let dying = Faulty::new(replica.clone(), Faults { kill: Some(kill), ..Faults::default() }, &ctx);
            let died = mirror(&world.primary, vec![DynStore::new(dying.clone())], true).sync().await.is_err();
            let before = replica.objects().len() as u64;
            let report =
                mirror(&world.primary, vec![DynStore::new(replica.clone())], true).sync().await.unwrap();
            assert_eq!(replica.objects(), expected);
            assert_eq!(report.replicas[0].copied, expected.len() as u64 - before);
            assert_eq!(*broken.lock().unwrap(), [] as [String; 0]);
            if !died {
                assert!(at > expected.len() as u64);
                return;
            }
        }
    }
}

fn damage(store: &Memory, kind: ObjectKind) -> Object {
    store.change(|objects| {
        let object = of_kind(objects, kind)[0];
        let mut bytes = objects[&object].to_vec();
        bytes[0] ^= 1;
        objects.insert(object, bytes.into());
        object
    })
}

fn failures(error: Error) -> Vec<String> {
    match error {
        Error::Incomplete { failures, .. } => failures.into_iter().map(|one| one.of).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_damaged_object_is_named_and_never_copied_and_healed_from_where_it_is_good() {
    let world = World::new();
    (0..3).for_each(|_| world.backup());
    let (first, second) = (Memory::default(), Memory::default());
    let stores = vec![DynStore::new(first.clone()), DynStore::new(second.clone())];
    let mirror = mirror(&world.primary, stores, false);
    mirror.sync().await.unwrap();

    let (config, ctx) = (MirrorConfig::default(), Ctx::default());
    let good = without_locks(&world.primary);
    let damaged = damage(&world.primary, ObjectKind::Pack);
    // The replica has it, of the same size: nothing is copied. One that lacks it does not get it, nor what comes after.
    mirror.sync().await.unwrap();
    second.change(BTreeMap::clear);
    assert_eq!(failures(mirror.sync().await.unwrap_err()), [format!("{damaged} in memory")]);
    assert_eq!(first.objects(), good);
    assert!(!second.objects().contains_key(&damaged));
    for kind in [ObjectKind::Index, ObjectKind::Snapshot] {
        assert_eq!(of_kind(&second.objects(), kind), []);
    }

    let primary = DynStore::new(world.primary.clone());
    let named = failures(verify(&primary, Share::ALL, &config, &ctx).await.unwrap_err());
    assert_eq!(named, [format!("{damaged} in memory")]);
    // Not from a replica that does not have it.
    let cannot = repair(&DynStore::new(second.clone()), &primary, &config, &ctx).await.unwrap_err();
    assert_eq!(failures(cannot), [format!("{damaged} in memory")]);

    let lost = of_kind(&good, ObjectKind::Snapshot)[1];
    let revoked = of_kind(&good, ObjectKind::Key)[0];
    world.primary.change(|objects| {
        objects.remove(&lost);
        objects.remove(&revoked);
        objects.extend([object(ObjectKind::Key, &["a new key".to_owned()])]);
    });
    let report = repair(&DynStore::new(first.clone()), &primary, &config, &ctx).await.unwrap();
    assert_eq!((report.healed, report.brought_back), (1, 1));
    let healed = without_locks(&world.primary);
    assert!(!healed.contains_key(&revoked), "a key that was removed stays so");
    assert!(
        good.iter().filter(|(object, _)| **object != revoked).all(|(object, bytes)| healed[object] == bytes)
    );
    mirror.sync().await.unwrap();
    assert!(healed.iter().all(|(object, bytes)| second.objects()[object] == bytes));
}

#[tokio::test]
async fn each_share_reads_another_part_and_all_shares_read_all() {
    let world = World::new();
    (0..20).for_each(|_| world.backup());
    let damaged: Vec<Object> = [ObjectKind::Key, ObjectKind::Pack, ObjectKind::Index, ObjectKind::Snapshot]
        .map(|kind| damage(&world.primary, kind))
        .into();
    let (store, config, ctx) =
        (DynStore::new(world.primary.clone()), MirrorConfig::default(), Ctx::default());
    let (mut named, mut good) = (Vec::new(), 0);
    for part in 1..=7 {
        match verify(&store, Share::new(part, 7).unwrap(), &config, &ctx).await {
            Ok(report) => good += report.good,
            Err(error) => named.extend(failures(error)),
        }
    }
    named.sort();
    let mut expected: Vec<String> = damaged.iter().map(|object| format!("{object} in memory")).collect();
    expected.sort();
    assert_eq!(named, expected);
    assert!(good > 20 && good < without_locks(&world.primary).len() as u64);
    for (part, of) in [(0, 1), (2, 1), (0, 0)] {
        assert!(matches!(Share::new(part, of), Err(Error::Config(_))));
    }
}

#[tokio::test]
async fn a_replica_is_not_emptied_by_a_primary_that_is_empty_or_another() {
    let world = World::new();
    (0..4).for_each(|_| world.backup());
    let replica = Memory::default();
    let mut config = config(true);
    config.most_deleted = 50;
    let mirror = |primary: &Memory| {
        let replicas = vec![DynStore::new(replica.clone())];
        Mirror::new(DynStore::new(primary.clone()), replicas, &config, &Ctx::default()).unwrap()
    };
    mirror(&world.primary).sync().await.unwrap();
    let before = replica.objects();

    let nothing = mirror(&Memory::default()).sync().await.unwrap_err();
    assert!(nothing.to_string().contains("no repository"), "{nothing}");
    let other = World::new();
    other.primary.change(|objects| objects.insert(Object::CONFIG, "the config of another".into()));
    let another = mirror(&other.primary).sync().await.unwrap_err();
    assert!(another.to_string().contains("another repository"), "{another}");
    world.primary.change(|objects| objects.retain(|object, _| object.kind() != ObjectKind::Pack));
    let too_much = mirror(&world.primary).sync().await.unwrap_err();
    assert!(too_much.to_string().contains("`most_deleted` = 50"), "{too_much}");
    assert_eq!(replica.objects(), before);
}

#[tokio::test]
async fn a_sync_stops_when_it_is_asked_to() {
    let world = World::new();
    world.backup();
    let ctx = Ctx::default();
    let replica = DynStore::new(Memory::default());
    let mirror =
        Mirror::new(DynStore::new(world.primary.clone()), vec![replica], &MirrorConfig::default(), &ctx)
            .unwrap();
    ctx.shutdown.stop();
    assert!(matches!(mirror.sync().await, Err(Error::Stopped)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_folders_are_kept_in_step() {
    let world = World::new();
    (0..5).for_each(|_| world.backup());
    let folders = tempfile::tempdir().unwrap();
    let replicas: Vec<Folder> = ["a", "b"].map(|name| Folder::new(folders.path().join(name))).into();
    let stores = replicas.iter().cloned().map(DynStore::new).collect();
    mirror(&world.primary, stores, true).sync().await.unwrap();
    for replica in replicas {
        for (object, bytes) in without_locks(&world.primary) {
            assert_eq!(replica.get(object, None).await.unwrap(), bytes);
        }
    }
}
