//! Backups by the clock: sixty days with all that goes wrong in them, beside models of what should be there and what should be told.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::struct_excessive_bools,
    clippy::naive_bytecount,
    missing_docs
)]

mod model;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use buttress_backup::keeper::{
    Archive, BackedUp, Checked, Keeper, Lane, Part, RPO_EVENT, Removed, Replicated, Restored,
};
use buttress_backup::{BackupConfig, Error, Failure, Id, JobConfig, SKEW, SnapshotInfo};
use buttress_core::{
    Clock, Ctx, ErrorClass, Event, Events, Outcome, Probe, Random, Shutdown, Sink, TestClock, Validate,
    Vitality,
};
use model::model;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// A repository as it looks from outside. Clones share it.
#[derive(Clone)]
struct Fake(Arc<Mutex<World>>);

struct World {
    snapshots: Vec<SnapshotInfo>,
    made: u32,
    /// The store's own clock, which nobody sets: true time.
    store: TestClock,
    /// The clock of the machine.
    machine: TestClock,
    down: bool,
    /// Of a thousand calls so many fail.
    failing: u64,
    chance: Random,
    damaged: bool,
    empty: bool,
    wrong: bool,
    parts: Vec<u8>,
    replicated: u32,
    /// What was there before each removal, the time of the machine then, and what was there after it.
    removals: Vec<(Vec<SnapshotInfo>, SystemTime, BTreeSet<Id>)>,
    full: u32,
}

impl Fake {
    fn new(machine: &TestClock) -> Self {
        let store = TestClock::new();
        Self(Arc::new(Mutex::new(World {
            snapshots: Vec::new(),
            made: 0,
            store,
            machine: machine.clone(),
            down: false,
            failing: 0,
            chance: Random::new(7),
            damaged: false,
            empty: false,
            wrong: false,
            parts: Vec::new(),
            replicated: 0,
            removals: Vec::new(),
            full: 0,
        })))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    /// The world, if the store answers.
    fn reach(&self, doing: &'static str) -> Result<MutexGuard<'_, World>, Error> {
        let world = self.world();
        if world.down || world.chance.number() % 1_000 < world.failing {
            let (object, place, class) = ("snapshots".to_owned(), "here".to_owned(), ErrorClass::Unavailable);
            return Err(Error::Store { doing, object, place, class, source: "nobody answers".into() });
        }
        Ok(world)
    }
}

impl Archive for Fake {
    fn host(&self) -> &'static str {
        "host"
    }

    fn replicas(&self) -> Vec<String> {
        vec!["elsewhere".to_owned()]
    }

    async fn snapshots(&self) -> Result<Vec<SnapshotInfo>, Error> {
        Ok(self.reach("list")?.snapshots.clone())
    }

    async fn back_up(&self, _: &JobConfig, tags: &[String], full: bool) -> Result<BackedUp, Error> {
        let mut world = self.reach("write")?;
        world.made += 1;
        world.full += u32::from(full);
        let mut info = SnapshotInfo::new(Id::of(&world.made.to_be_bytes()), world.machine.wall());
        info.first_seen = Some(world.store.wall());
        info.host.push_str("host");
        info.tags = tags.to_vec();
        let id = info.id;
        world.snapshots.push(info);
        Ok(BackedUp { id, read: 1_000, added: 10 })
    }

    async fn remove(&self, snapshots: &[Id]) -> Result<Removed, Error> {
        let mut world = self.reach("delete")?;
        let before = world.snapshots.clone();
        world.snapshots.retain(|one| !snapshots.contains(&one.id));
        let after = world.snapshots.iter().map(|one| one.id).collect();
        let now = world.machine.wall();
        world.removals.push((before, now, after));
        Ok(Removed::default())
    }

    async fn check(&self, part: Option<Part>) -> Result<Checked, Error> {
        let mut world = self.reach("read")?;
        if world.damaged {
            let (object, place) = ("data/00".to_owned(), "here".to_owned());
            return Err(Error::Damaged { object, place, problem: "a bit is flipped".to_owned() });
        }
        world.parts.extend(part.map(|part| part.number));
        Ok(Checked::default())
    }

    async fn restore(&self, snapshot: Id, into: &Path) -> Result<Restored, Error> {
        let world = self.reach("read")?;
        assert!(world.snapshots.iter().any(|one| one.id == snapshot));
        assert_eq!(into.read_dir().unwrap().count(), 0);
        if world.empty {
            return Ok(Restored::default());
        }
        let content = if world.wrong { "another database".to_owned() } else { snapshot.to_string() };
        std::fs::write(into.join("data"), content).unwrap();
        Ok(Restored { files: 1, bytes: 64 })
    }

    async fn verify(&self, snapshot: &SnapshotInfo, restored: &Path) -> Result<Vec<Failure>, Error> {
        let found = std::fs::read_to_string(restored.join("data")).unwrap_or_default();
        let failure = Failure { of: "data".to_owned(), problem: "is not what was backed up".to_owned() };
        Ok(if found == snapshot.id.to_string() { Vec::new() } else { vec![failure] })
    }

    async fn replicate(&self, _: usize) -> Result<Replicated, Error> {
        self.reach("write")?.replicated += 1;
        Ok(Replicated::default())
    }
}

/// Counts what it is told, and keeps the details of failures.
#[derive(Clone, Default)]
struct Tally(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    counts: BTreeMap<(&'static str, bool), usize>,
    problems: Vec<(&'static str, String)>,
}

impl Sink for Tally {
    fn emit(&self, event: Event) {
        let mut told = self.0.lock().unwrap();
        let success = event.outcome == Outcome::Success;
        *told.counts.entry((event.action, success)).or_default() += 1;
        if !success {
            told.problems.push((event.action, event.detail.unwrap()));
        }
    }
}

/// A service with backups, and the time around it.
struct Service {
    clock: TestClock,
    fake: Fake,
    events: Tally,
    ctx: Ctx,
    scratch: tempfile::TempDir,
    config: BackupConfig,
}

impl Service {
    fn new(change: impl FnOnce(&mut BackupConfig)) -> Self {
        let (clock, events) = (TestClock::new(), Tally::default());
        let scratch = tempfile::tempdir().unwrap();
        let mut config = BackupConfig::default();
        config.jobs = vec![JobConfig::new("main")];
        config.jitter = Duration::ZERO;
        config.drill = Some("0 6 * * *".parse().unwrap());
        scratch.path().clone_into(&mut config.scratch);
        change(&mut config);
        let ctx = Ctx {
            clock: clock.shared(),
            events: Events::to(Arc::new(events.clone())),
            shutdown: Shutdown::new(),
        };
        Self { fake: Fake::new(&clock), clock, events, ctx, scratch, config }
    }

    fn keeper(&self) -> Keeper<Fake> {
        Keeper::new(self.config.clone(), self.fake.clone(), &self.ctx).unwrap()
    }

    /// Time goes on, for everybody.
    fn pass(&self, by: Duration) {
        self.clock.advance(by);
        self.fake.world().store.advance(by);
    }

    /// Does all that is due.
    async fn work(&self, keeper: &Keeper<Fake>) {
        for lane in [Lane::Backups, Lane::Upkeep] {
            while keeper.advance(lane).await.is_zero() {}
        }
    }

    async fn run(&self, keeper: &Keeper<Fake>, time: Duration) {
        let steps = time.as_secs() / 300;
        for _ in 0..steps {
            self.pass(5 * MINUTE);
            self.work(keeper).await;
        }
    }

    fn count(&self, action: &str, outcome: Outcome) -> usize {
        let told = self.events.0.lock().unwrap();
        told.counts.get(&(action, outcome == Outcome::Success)).copied().unwrap_or(0)
    }

    /// How many snapshots were made, and how many of them full ones.
    fn made(&self) -> (u32, u32) {
        let world = self.fake.world();
        (world.made, world.full)
    }

    /// Whether the newest snapshot in the store, so far as the clock of the machine allows, is too old.
    fn should_be_late(&self) -> bool {
        let (world, now) = (self.fake.world(), self.clock.wall());
        let moments =
            world.snapshots.iter().map(|one| one.time.min(one.stored())).filter(|at| *at <= now + SKEW);
        moments.max().is_some_and(|newest| now.duration_since(newest).unwrap_or_default() > self.config.rpo)
    }
}

fn is_fail(vitality: &Vitality) -> bool {
    matches!(vitality, Vitality::Fail(_))
}

fn is_warn(vitality: &Vitality) -> bool {
    matches!(vitality, Vitality::Warn(_))
}

/// What the policy keeps, by the model: by the store's time, and for those whose time is disputed by the client's as well.
fn expected(
    config: &BackupConfig,
    before: &[SnapshotInfo],
    verified: &BTreeSet<Id>,
    now: SystemTime,
) -> BTreeSet<Id> {
    let mut stored = before.to_vec();
    for one in &mut stored {
        one.time = one.stored();
        one.verified = verified.contains(&one.id);
    }
    let said =
        before.iter().filter(|one| !one.is_disputed() || one.time <= now + SKEW).cloned().map(|mut one| {
            one.time = if one.is_disputed() { one.time } else { one.stored() };
            one.verified = false;
            one
        });
    let said: Vec<_> = said.filter(|one| one.time <= now + SKEW).collect();
    let mut keep = model(&config.retention, &stored, now);
    if before.iter().any(SnapshotInfo::is_disputed) {
        keep.extend(model(&config.retention, &said, now));
    }
    keep
}

#[tokio::test]
async fn sixty_days() {
    let service = Service::new(|config| {
        let memory = config.scratch.join("memory.json");
        config.memory = Some(memory);
    });
    let start = service.clock.wall();
    let mut keeper = service.keeper();
    let (mut alarms, mut cleared, mut late) = (0, 0, false);
    let (mut verified, mut removals) = (BTreeSet::new(), 0);
    let mut drilled_on: BTreeMap<u64, usize> = BTreeMap::new();
    // Hours since the beginning in which something is wrong.
    let troubled = |hour: u64| {
        [(240, 250), (480, 490), (720, 726), (960, 966), (1_200, 1_248), (1_320, 1_326)]
            .iter()
            .any(|(from, to)| (*from..*to).contains(&hour))
    };
    for step in 0..60 * 24 * 4_u64 {
        let hour = step / 4;
        match step as f64 / 4.0 {
            // The store is down for seven hours.
            240.5 => service.fake.world().down = true,
            247.5 => service.fake.world().down = false,
            // The clock is put back by a day, and put right three hours later.
            720.5 => service.clock.set_wall(service.clock.wall() - DAY),
            723.5 => service.clock.set_wall(service.clock.wall() + DAY),
            // Ten days forward for an hour.
            960.5 => service.clock.set_wall(service.clock.wall() + 10 * DAY),
            961.5 => service.clock.set_wall(service.clock.wall() - 10 * DAY),
            // The service is started anew.
            1_080.25 => keeper = service.keeper(),
            // Two days on which every twentieth call fails.
            1_200.0 => service.fake.world().failing = 50,
            1_247.0 => service.fake.world().failing = 0,
            // Ten years forward for an hour.
            1_320.5 => service.clock.set_wall(service.clock.wall() + 3_650 * DAY),
            1_321.5 => service.clock.set_wall(service.clock.wall() - 3_650 * DAY),
            _ => {}
        }
        // The service is off for eight hours.
        if (480..488).contains(&hour) {
            service.pass(15 * MINUTE);
            continue;
        }
        let before = service.should_be_late();
        service.work(&keeper).await;
        let status = keeper.status();
        let should = service.should_be_late();
        assert_eq!(status.jobs[0].late, should, "hour {hour}");
        assert!(!should || troubled(hour), "late without a reason in hour {hour}");
        assert_eq!(is_fail(&keeper.check().await), should, "hour {hour}: {:?}", keeper.check().await);
        for now in [before, should] {
            alarms += usize::from(now && !late);
            cleared += usize::from(!now && late);
            late = now;
        }
        assert_eq!(service.count_rpo(), (alarms, cleared), "hour {hour}");
        let drills = service.count("backup.drill", Outcome::Success);
        *drilled_on.entry(hour / 24).or_default() = drills;
        // What each removal left is what the model keeps. Verified is what passed a drill before.
        for (before, now, after) in std::mem::take(&mut service.fake.world().removals) {
            assert_eq!(after, expected(&service.config, &before, &verified, now), "hour {hour}");
            removals += 1;
        }
        if let Some(drill) = &status.drill {
            let good = drill.restores.iter().filter(|restore| restore.problems.is_empty());
            verified.extend(good.map(|restore| restore.snapshot));
        }
        service.pass(15 * MINUTE);
    }
    // The store's seven hours, the service's eight, and each of the clock's three steps until a snapshot was made; nothing else.
    assert_eq!((alarms, cleared), (5, 5));
    assert!(!late);
    let (made, full) = service.made();
    let days = service.clock.wall().duration_since(start).unwrap().as_secs() / 86_400;
    assert_eq!(days, 60);
    // 1,440 hours, less those of the troubles, and a few beside for the clock.
    assert!((1_415..1_445).contains(&made), "{made}");
    // Each of the clock's steps makes one more of each due, there and back.
    assert!((58..=66).contains(&full), "{full}");
    assert!((58..=66).contains(&removals), "{removals}");
    // A drill on each day, and the store's hours and the days of failures did not prevent it.
    let counts: Vec<_> = drilled_on.values().copied().collect();
    assert!(counts.windows(2).all(|pair| pair[1] > pair[0]), "{counts:?}");
    let left = service.fake.world().snapshots.len();
    assert!((50..100).contains(&left), "{left}");
    // Each part of the data was read twice.
    let parts = service.fake.world().parts.clone();
    assert!((1..=30).all(|part| parts.iter().filter(|read| **read == part).count() >= 2), "{parts:?}");
    assert!(service.fake.world().replicated >= 60 * 4 - 4);
    let left: Vec<_> =
        service.scratch.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["memory.json"]);
}

impl Service {
    fn count_rpo(&self) -> (usize, usize) {
        (self.count(RPO_EVENT, Outcome::Failure), self.count(RPO_EVENT, Outcome::Success))
    }
}

#[tokio::test]
async fn what_was_missed_is_made_up_for_once() {
    let service = Service::new(|_| {});
    let keeper = service.keeper();
    service.work(&keeper).await;
    assert_eq!(service.fake.world().made, 1);
    service.pass(10 * DAY + MINUTE);
    service.work(&keeper).await;
    assert_eq!(service.made(), (2, 2));
    service.run(&keeper, HOUR).await;
    assert_eq!(service.made(), (3, 2));
}

#[tokio::test]
async fn two_processes_make_one_snapshot() {
    let service = Service::new(|_| {});
    let (one, other) = (service.keeper(), service.keeper());
    for _ in 0..48 {
        service.pass(30 * MINUTE);
        service.work(&one).await;
        service.work(&other).await;
    }
    assert!((24..=25).contains(&service.fake.world().made), "{}", service.fake.world().made);
}

#[tokio::test]
async fn a_restart_does_not_repeat_what_is_remembered() {
    for remembers in [true, false] {
        let service = Service::new(|config| {
            config.memory = remembers.then(|| config.scratch.join("memory.json"));
        });
        service.work(&service.keeper()).await;
        let drills = service.count("backup.drill", Outcome::Success);
        assert_eq!(drills, 1);
        service.pass(5 * MINUTE);
        service.work(&service.keeper()).await;
        // Snapshots are known from the store either way.
        assert_eq!(service.fake.world().made, 1);
        assert_eq!(service.count("backup.drill", Outcome::Success), if remembers { 1 } else { 2 });
    }
}

#[tokio::test]
async fn a_drill_of_what_cannot_be_relied_on_fails() {
    type Change = fn(&Service);
    let sabotages: [(&str, Change); 3] = [
        ("it is empty", |service| service.fake.world().empty = true),
        ("is not what was backed up", |service| service.fake.world().wrong = true),
        ("it is stale", |service| {
            // Snapshots go on being listed, and are all of yesterday.
            let mut world = service.fake.world();
            world.snapshots.iter_mut().for_each(|one| one.time -= DAY);
        }),
    ];
    for (problem, sabotage) in sabotages {
        let service = Service::new(|_| {});
        let keeper = service.keeper();
        service.work(&keeper).await;
        assert_eq!(keeper.check().await, Vitality::Pass);
        service.pass(23 * HOUR);
        assert!(keeper.advance(Lane::Backups).await.is_zero() || service.fake.world().made == 2);
        sabotage(&service);
        service.pass(5 * MINUTE);
        while keeper.advance(Lane::Upkeep).await.is_zero() {}
        assert_eq!(service.count("backup.drill", Outcome::Failure), 1, "{problem}");
        let problems = &service.events.0.lock().unwrap().problems.clone();
        assert!(
            problems.iter().any(|(of, why)| *of == "backup.drill" && why.contains(problem)),
            "{problems:?}"
        );
        let status = keeper.status();
        assert!(!status.drill.as_ref().unwrap().passed());
        let vitality = keeper.check().await;
        assert!(is_warn(&vitality) || is_fail(&vitality), "{vitality:?}");
        let json = serde_json::to_value(&status).unwrap();
        assert_eq!(json["drill"]["restores"][0]["newest"], true);
        assert_eq!(service.scratch.path().read_dir().unwrap().count(), 0);
    }
}

#[tokio::test]
async fn a_drill_that_could_not_reach_the_store_is_tried_again() {
    let service = Service::new(|_| {});
    let keeper = service.keeper();
    while keeper.advance(Lane::Backups).await.is_zero() {}
    service.fake.world().down = true;
    while keeper.advance(Lane::Upkeep).await.is_zero() {}
    assert_eq!(service.count("backup.drill", Outcome::Failure), 1);
    service.fake.world().down = false;
    service.run(&keeper, 10 * MINUTE).await;
    assert_eq!(service.count("backup.drill", Outcome::Success), 1);
    assert_eq!(keeper.check().await, Vitality::Pass);
}

#[tokio::test]
async fn damage_that_a_check_finds_is_a_failure_until_it_is_mended() {
    let service = Service::new(|_| {});
    let keeper = service.keeper();
    service.fake.world().damaged = true;
    service.work(&keeper).await;
    let vitality = keeper.check().await;
    assert!(matches!(&vitality, Vitality::Fail(why) if why.contains("a bit is flipped")), "{vitality:?}");
    // It is not looked for every minute.
    service.run(&keeper, 3 * HOUR).await;
    assert_eq!(service.count("backup.check", Outcome::Failure), 2);
    service.fake.world().damaged = false;
    service.run(&keeper, DAY).await;
    assert_eq!(keeper.check().await, Vitality::Pass);
}

#[tokio::test]
async fn a_store_that_was_never_reached_is_told_of() {
    let service = Service::new(|_| {});
    let keeper = service.keeper();
    service.fake.world().down = true;
    service.work(&keeper).await;
    assert!(is_warn(&keeper.check().await));
    service.run(&keeper, 2 * HOUR).await;
    assert!(is_fail(&keeper.check().await));
    assert_eq!(service.count_rpo(), (1, 0));
    service.fake.world().down = false;
    service.run(&keeper, 10 * MINUTE).await;
    assert_eq!((keeper.check().await, service.count_rpo()), (Vitality::Pass, (1, 1)));
}

#[tokio::test]
async fn it_runs_until_the_service_stops() {
    let service = Service::new(|_| {});
    let keeper = service.keeper();
    keeper.start();
    let shutdown = service.ctx.shutdown.clone();
    while service.count("backup.prune", Outcome::Success) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!((service.fake.world().made, shutdown.tasks()), (1, 2));
    shutdown.stop();
    shutdown.finished().await;
    assert_eq!(shutdown.tasks(), 0);
}

#[test]
fn a_configuration_says_what_is_wrong_with_it() {
    let read = |json: &str| serde_json::from_str::<BackupConfig>(json).map_err(|error| error.to_string());
    let violations = |json| read(json).unwrap().validate().unwrap_err().to_string();
    assert!(violations("{}").contains("jobs = 0: must be 1 to 64 jobs"));
    assert!(read(r#"{"jobs": [{}]}"#).unwrap().validate().is_ok());
    let late = violations(r#"{"jobs": [{}], "rpo": "1h"}"#);
    assert!(
        late.contains("rpo = 1h: must be more than 1h, the longest time between two runs of `main`"),
        "{late}"
    );
    assert!(read(r#"{"jobs": [{"incremental": "*/30 * * * *"}], "rpo": "1h"}"#).unwrap().validate().is_ok());
    let daily = violations(r#"{"jobs": [{"incremental": null}]}"#);
    assert!(daily.contains("must be more than 1d"), "{daily}");
    assert!(
        violations(r#"{"jobs": [{}, {}]}"#).contains("jobs.1.name = main: is the name of another job too")
    );
    assert!(violations(r#"{"jobs": [{"name": "a/b"}]}"#).contains("jobs.0.name = a/b"));
    assert!(violations(r#"{"jobs": [{}], "read_parts": 0}"#).contains("read_parts = 0"));
    let none =
        violations(r#"{"jobs": [{}], "retention": {"last": 0, "hourly": 0, "daily": 0, "yearly": 0}}"#);
    assert!(none.contains("retention.last = 0: nothing would be kept"), "{none}");
    for wrong in [r#"{"job": []}"#, r#"{"drill": "0 25 * * *"}"#, r#"{"password": "secret"}"#] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
    let config = read(r#"{"jobs": [{}], "password": {"file": "/run/secrets/backup"}}"#).unwrap();
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(read(&text).unwrap(), config);
}
