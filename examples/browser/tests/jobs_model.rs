#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
//! Whatever is done in whatever order, the store is as a simple model of it says.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use browser::jobs::{Claimed, Error, Filter, JobId, JobsConfig, NewJob, State, Store};
use browser::report::{Failure, Report};
use buttress_core::{Clock, Ctx, ErrorClass, Key, TestClock};
use proptest::prelude::*;
use serde_json::Map;

const ATTEMPTS: u32 = 3;
const WAITING: usize = 6;
const WAITING_PER_TENANT: usize = 4;
const RUNNING_PER_TENANT: usize = 2;

#[derive(Debug, Clone)]
enum Step {
    /// A tenant, and a key if any.
    Submit(u8, Option<u8>),
    Claim,
    /// Which of those held, and why it failed if it did.
    Finish(usize, Option<ErrorClass>),
    GiveBack(usize),
    /// Dropped without a word.
    Drop(usize),
    /// Which of all.
    Cancel(usize),
    /// Milliseconds.
    Pass(u64),
    /// The process dies, and another opens the store.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop::option::of(prop::sample::select(vec![ErrorClass::Timeout, ErrorClass::Invalid]));
    prop_oneof![
        6 => (0_u8..3, prop::option::weighted(0.3, 0_u8..2)).prop_map(|(tenant, key)| Step::Submit(tenant, key)),
        6 => Just(Step::Claim),
        4 => (0_usize..8, outcome).prop_map(|(which, class)| Step::Finish(which, class)),
        1 => (0_usize..8).prop_map(Step::GiveBack),
        1 => (0_usize..8).prop_map(Step::Drop),
        2 => (0_usize..20).prop_map(Step::Cancel),
        2 => (0_u64..3_000).prop_map(Step::Pass),
        1 => Just(Step::Crash),
    ]
}

struct ModelJob {
    id: JobId,
    tenant: u8,
    key: Option<u8>,
    state: State,
    attempt: u32,
    cancel_asked: bool,
    next_try_at: Option<SystemTime>,
}

#[derive(Default)]
struct Model {
    jobs: Vec<ModelJob>,
    /// The number of the last turn of each tenant.
    served: HashMap<u8, usize>,
    turns: usize,
}

impl Model {
    fn of(&mut self, id: JobId) -> &mut ModelJob {
        self.jobs.iter_mut().find(|job| job.id == id).unwrap()
    }

    fn count(&self, state: State, tenant: Option<u8>) -> usize {
        let one = |job: &&ModelJob| job.state == state && tenant.is_none_or(|tenant| tenant == job.tenant);
        self.jobs.iter().filter(one).count()
    }

    /// The job that a claim takes.
    fn next(&self, now: SystemTime) -> Option<usize> {
        let due = |job: &ModelJob| job.state == State::Waiting && job.next_try_at.is_none_or(|at| at <= now);
        (0..self.jobs.len())
            .filter(|at| due(&self.jobs[*at]))
            .filter(|at| self.count(State::Running, Some(self.jobs[*at].tenant)) < RUNNING_PER_TENANT)
            .min_by_key(|at| {
                let tenant = self.jobs[*at].tenant;
                let served = self.served.get(&tenant).copied().unwrap_or(0);
                (self.count(State::Running, Some(tenant)), served, *at)
            })
    }
}

impl ModelJob {
    fn interrupted(&mut self) {
        self.state = match (self.cancel_asked, self.attempt < ATTEMPTS) {
            (true, _) => State::Cancelled,
            (false, true) => State::Waiting,
            (false, false) => State::Failed,
        };
    }
}

fn open(config: &JobsConfig, clock: &TestClock) -> Store {
    Store::open(config, &Ctx { clock: clock.shared(), ..Ctx::default() }).unwrap()
}

fn new(tenant: u8, key: Option<u8>) -> NewJob {
    let key_of = |text: String| Key::new(text).unwrap();
    NewJob {
        tenant: key_of(format!("tenant {tenant}")),
        flow: String::new(),
        name: String::new(),
        inputs: Map::new(),
        key: key.map(|key| key_of(format!("key {key}"))),
    }
}

fn report(class: Option<ErrorClass>) -> Report {
    let failure = class.map(|class| Failure { step: None, class, message: "why".into() });
    Report { failure, ..Report::default() }
}

async fn follow(steps: Vec<Step>) {
    let folder = tempfile::tempdir().unwrap();
    let mut config = JobsConfig::default();
    folder.path().clone_into(&mut config.folder);
    (config.attempts, config.running_per_tenant) = (ATTEMPTS, RUNNING_PER_TENANT as u64);
    (config.waiting, config.waiting_per_tenant) = (WAITING as u64, WAITING_PER_TENANT as u64);
    let clock = TestClock::new();
    let mut store = open(&config, &clock);
    let mut model = Model::default();
    let mut held: Vec<Claimed> = Vec::new();
    for step in steps {
        match step {
            Step::Submit(tenant, key) => submit(&store, &mut model, tenant, key).await,
            Step::Claim => {
                // Those that were dropped come first.
                let dropped: Vec<JobId> = model
                    .jobs
                    .iter()
                    .filter(|job| {
                        job.state == State::Running && held.iter().all(|held| held.job().id != job.id)
                    })
                    .map(|job| job.id)
                    .collect();
                for id in dropped {
                    model.of(id).interrupted();
                }
                let expected = model.next(clock.wall());
                let claimed = store.claim().await.unwrap();
                assert_eq!(claimed.as_ref().map(|it| it.job().id), expected.map(|at| model.jobs[at].id));
                if let (Some(claimed), Some(at)) = (claimed, expected) {
                    model.turns += 1;
                    let job = &mut model.jobs[at];
                    (job.state, job.attempt, job.next_try_at) = (State::Running, job.attempt + 1, None);
                    model.served.insert(job.tenant, model.turns);
                    held.push(claimed);
                }
            }
            Step::Finish(which, class) if which < held.len() => {
                let claimed = held.swap_remove(which);
                let job = store.finish(&claimed, report(class)).await.unwrap();
                let expected = model.of(job.id);
                expected.state = match class {
                    _ if expected.cancel_asked => State::Cancelled,
                    None => State::Done,
                    Some(ErrorClass::Timeout) if expected.attempt < ATTEMPTS => State::Waiting,
                    Some(_) => State::Failed,
                };
                expected.next_try_at = job.next_try_at;
                assert_eq!(job.next_try_at.is_some(), job.state == State::Waiting);
                let again = store.finish(&claimed, report(None)).await;
                assert!(matches!(again, Err(Error::NotHeld(_))));
            }
            Step::GiveBack(which) if which < held.len() => {
                let claimed = held.swap_remove(which);
                let job = store.give_back(&claimed).await.unwrap();
                let expected = model.of(job.id);
                if expected.cancel_asked {
                    expected.state = State::Cancelled;
                } else {
                    (expected.state, expected.attempt) = (State::Waiting, expected.attempt - 1);
                }
            }
            Step::Drop(which) if which < held.len() => drop(held.swap_remove(which)),
            Step::Cancel(which) if which < model.jobs.len() => {
                let job = store.cancel(model.jobs[which].id, None).await.unwrap();
                let expected = &mut model.jobs[which];
                expected.cancel_asked |= !expected.state.is_end();
                if expected.state == State::Waiting {
                    (expected.state, expected.next_try_at) = (State::Cancelled, None);
                }
                assert_eq!((job.state, job.cancel_asked), (expected.state, expected.cancel_asked));
                let told = held
                    .iter()
                    .filter(|held| held.is_cancelled())
                    .all(|it| model.of(it.job().id).cancel_asked);
                assert!(told);
            }
            Step::Pass(millis) => clock.advance(Duration::from_millis(millis)),
            Step::Crash => {
                held.clear();
                drop(store);
                store = open(&config, &clock);
                model
                    .jobs
                    .iter_mut()
                    .filter(|job| job.state == State::Running)
                    .for_each(ModelJob::interrupted);
            }
            _ => {}
        }
        let mut found = store.list(Filter::default()).await.unwrap();
        found.reverse();
        let found: Vec<_> =
            found.iter().map(|it| (it.id, it.state, it.attempt, it.cancel_asked, it.next_try_at)).collect();
        let jobs = model.jobs.iter();
        let expected: Vec<_> =
            jobs.map(|it| (it.id, it.state, it.attempt, it.cancel_asked, it.next_try_at)).collect();
        assert_eq!(found, expected);
    }
}

async fn submit(store: &Store, model: &mut Model, tenant: u8, key: Option<u8>) {
    let answer = store.submit(new(tenant, key)).await;
    let known = model.jobs.iter().find(|job| job.tenant == tenant && key.is_some() && job.key == key);
    let own = model.count(State::Waiting, Some(tenant)) >= WAITING_PER_TENANT;
    let full = model.count(State::Waiting, None) >= WAITING;
    match answer {
        Ok((job, false)) => assert_eq!(Some(job.id), known.map(|known| known.id)),
        Ok((job, true)) => {
            assert!(known.is_none() && !own && !full);
            let (id, state) = (job.id, State::Waiting);
            model.jobs.push(ModelJob {
                id,
                tenant,
                key,
                state,
                attempt: 0,
                cancel_asked: false,
                next_try_at: None,
            });
        }
        Err(Error::Full { tenant, .. }) => assert!(known.is_none() && tenant == own && (own || full)),
        Err(error) => unreachable!("{error}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_store_is_as_the_model_says(steps in prop::collection::vec(step(), 1..60)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(follow(steps));
    }
}
