//! A process that is killed with SIGKILL at any moment of backup, forget, prune, copy and changes of keys loses nothing that it reported done.
//!
//! The test runs itself again as the process that is killed. `BUTTRESS_BACKUP_KILLS=500` kills more often than the tests of a day do, and
//! tells how often each kind of work was.
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
#![allow(clippy::disallowed_methods, reason = "a test waits in real time, and its child tells")]

mod support;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use buttress_backup::store::{DynStore, Folder};
use buttress_backup::{BackupJob, CheckDepth, Error, Id, Progress, Repository, RestoreJob};
use buttress_core::Ctx;
use buttress_testkit::Random;
use secrecy::SecretString;
use support::{noise, picture};

const FOLDER: &str = "BUTTRESS_BACKUP_CRASH_FOLDER";
const PASSWORD: &str = "BUTTRESS_BACKUP_CRASH_PASSWORD";
const KILLS: &str = "BUTTRESS_BACKUP_KILLS";
/// How many times it is killed, and for how long, unless more is asked for.
const USUALLY: usize = 40;
const LOOK_EACH: usize = 5;
const LIMIT: Duration = Duration::from_mins(1);

fn password(number: u64) -> SecretString {
    SecretString::from(format!("password {number}"))
}

/// The password that is added and removed.
const SECOND: u64 = 1_000_000;

/// The repository, and the one that its snapshots are copied to.
const ORIGINAL: &str = "repository";
const COPY: &str = "copy";

fn store(folder: &Path, which: &str) -> DynStore {
    DynStore::new(Folder::new(folder.join(which)))
}

async fn open(folder: &Path, password: &SecretString) -> Result<Repository, Error> {
    Repository::open(store(folder, ORIGINAL), password, &Ctx::default()).await
}

/// Its password stays.
async fn open_copy(folder: &Path) -> Repository {
    Repository::open(store(folder, COPY), &password(0), &Ctx::default()).await.expect("the copy opens")
}

/// Opens it with the first of these passwords that does.
async fn open_with_any(folder: &Path, numbers: &[u64]) -> (Repository, u64) {
    for number in numbers {
        match open(folder, &password(*number)).await {
            Ok(repository) => return (repository, *number),
            Err(Error::WrongPassword { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("it opens with none of the passwords {numbers:?}");
}

/// What a folder looks like, in short.
fn digest(folder: &Path) -> Id {
    Id::of(format!("{:?}", picture(folder)).as_bytes())
}

fn tell(line: &str) {
    // In one call, so that a line is whole or not there.
    std::io::stdout().lock().write_all(format!("told {line}\n").as_bytes()).unwrap();
}

/// The process that is killed: it changes files, backs up, copies, forgets, prunes, changes the password, adds and removes another, as fast as it can.
#[test]
fn child() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let folder = PathBuf::from(folder);
    let perhaps: Vec<u64> =
        env::var(PASSWORD).unwrap().split(' ').map(|number| number.parse().unwrap()).collect();
    let mut random = Random::new(u64::from(std::process::id()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let (mut repository, mut number) = open_with_any(&folder, &perhaps).await;
        let copy = open_copy(&folder).await;
        tell(&format!("rotated {number}"));
        tell("ready");
        // What one who was killed has added, or not removed.
        let others = repository.keys().await.unwrap().into_iter().filter(|key| !key.current);
        let mut second: Vec<Id> = others.map(|key| key.id).collect();
        let files = folder.join("files");
        loop {
            match random.below(5) {
                0 => {
                    tell("begin rotation");
                    tell(&format!("rotate {}", number + 1));
                    repository.change_password(&password(number + 1)).await.unwrap();
                    number += 1;
                    tell(&format!("rotated {number}"));
                }
                1 => keep_three(&repository).await,
                3 if second.is_empty() => {
                    tell("begin adding");
                    second.push(repository.add_key(&password(SECOND)).await.unwrap());
                    tell("added");
                }
                3 => {
                    tell("begin removal");
                    for key in second.drain(..) {
                        repository.remove_key(key).await.unwrap();
                    }
                    tell("removed");
                }
                2 => {
                    tell("begin copy");
                    let all = newest_first(&repository).await;
                    let report = repository.copy_to(&copy, &all, &Progress::new()).await.unwrap();
                    for copied in report.snapshots {
                        tell(&format!("copied {} {}", copied.from, copied.to));
                    }
                    keep_three(&copy).await;
                }
                _ => {}
            }
            let name = format!("{}/{}", random.below(3), random.below(8));
            let length = usize::try_from(random.below(200_000)).unwrap();
            fs::create_dir_all(files.join(&name).parent().unwrap()).unwrap();
            fs::write(files.join(name), noise(&mut random, length)).unwrap();
            let looks = digest(&files);
            tell("begin backup");
            let report = repository.backup(BackupJob::new().root(&files, "/files")).await.unwrap();
            tell(&format!("done {} {looks}", report.id));
        }
    });
}

async fn newest_first(repository: &Repository) -> Vec<Id> {
    repository.snapshots().await.unwrap().iter().rev().map(|snapshot| snapshot.id).collect()
}

/// Forgets all but the newest, and removes what only they needed.
async fn keep_three(repository: &Repository) {
    let all = newest_first(repository).await;
    let gone = all.get(3..).unwrap_or_default();
    for id in gone {
        tell(&format!("forget {id}"));
    }
    tell("begin forgetting");
    repository.forget(gone).await.unwrap();
    tell("begin prune");
    repository.prune().await.unwrap();
}

/// What the repositories have to have, by what their processes told.
#[derive(Default)]
struct Told {
    /// How each snapshot looks.
    done: BTreeMap<String, String>,
    copies: BTreeMap<String, String>,
    /// What the process is at.
    doing: String,
    password: u64,
    /// The one that it was being changed to.
    perhaps: u64,
    /// Whether a second password opens it too, if that is known.
    second: Option<bool>,
    ready: bool,
}

impl Told {
    fn hear(&mut self, line: &str) {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["ready"] => self.ready = true,
            ["begin", what] => {
                what.clone_into(&mut self.doing);
                if ["adding", "removal"].contains(&what) {
                    self.second = None;
                }
            }
            ["added"] => self.second = Some(true),
            ["removed"] => self.second = Some(false),
            ["done", id, looks] => drop(self.done.insert(id.to_owned(), looks.to_owned())),
            ["copied", from, to] => {
                // One whose process was killed before it could tell of it was not reported.
                if let Some(looks) = self.done.get(from) {
                    self.copies.insert(to.to_owned(), looks.clone());
                }
            }
            // No snapshot of one has the name of one of the other.
            ["forget", id] => {
                self.done.remove(id);
                self.copies.remove(id);
            }
            ["rotate", number] => self.perhaps = number.parse().unwrap(),
            ["rotated", number] => self.password = number.parse().unwrap(),
            _ => panic!("{line}"),
        }
    }
}

/// Runs the child, and kills it some time after it has opened the repository.
fn kill(folder: &Path, told: &mut Told, after: Duration) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(PASSWORD, format!("{} {}", told.password, told.perhaps))
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut lines =
        std::iter::from_fn(|| lines.find_map(|line| Some(line.split_once("told ")?.1.to_owned())));
    told.ready = false;
    "nothing".clone_into(&mut told.doing);
    while !told.ready {
        told.hear(&lines.next().expect("the child opens the repository"));
    }
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    lines.for_each(|line| told.hear(&line));
}

/// That all is there. How many snapshots were compared.
async fn look(folder: &Path, told: &mut Told) -> usize {
    let (repository, number) = open_with_any(folder, &[told.password, told.perhaps]).await;
    told.password = number;
    if let Some(opens) = told.second {
        assert_eq!(open(folder, &password(SECOND)).await.is_ok(), opens, "the second password");
    }
    for (repository, done) in [(repository, &told.done), (open_copy(folder).await, &told.copies)] {
        repository.check(CheckDepth::Data).await.expect("whole");
        for (id, looks) in done {
            let snapshot = repository.snapshot(id).await.expect("a snapshot that was reported done");
            let target = folder.join("restored");
            repository.restore(&snapshot, RestoreJob::new(&target)).await.expect("restored");
            assert_eq!(&digest(&target.join("files")).to_string(), looks, "snapshot {id}");
            fs::remove_dir_all(target).unwrap();
        }
    }
    told.done.len() + told.copies.len()
}

#[test]
fn killed_anywhere_it_keeps_every_snapshot_that_it_reported() {
    let asked = env::var(KILLS).ok().map(|kills| kills.parse::<usize>().expect("a number"));
    let mut random = Random::new(u64::from(std::process::id()));
    let began = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut killed: BTreeMap<String, usize> = BTreeMap::new();
    let (mut kills, mut compared) = (0, 0);
    let is_enough = |kills| asked.map_or(kills >= USUALLY || began.elapsed() > LIMIT, |asked| kills >= asked);
    while !is_enough(kills) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("files")).unwrap();
        for which in [ORIGINAL, COPY] {
            let store = store(folder.path(), which);
            runtime.block_on(Repository::init(store, &password(0), &Ctx::default())).unwrap();
        }
        let mut told = Told::default();
        for _ in 0..25 {
            kill(folder.path(), &mut told, random.duration(Duration::ZERO, Duration::from_millis(900)));
            kills += 1;
            *killed.entry(told.doing.clone()).or_default() += 1;
            if kills % LOOK_EACH == 0 {
                compared += runtime.block_on(look(folder.path(), &mut told));
            }
            if is_enough(kills) {
                break;
            }
        }
    }
    println!("{kills} kills, {killed:?}, {compared} snapshots restored and compared, 0 lost");
    assert!(kills >= 10 && compared > 5 && killed.len() > 2, "{killed:?} {compared}");
}
