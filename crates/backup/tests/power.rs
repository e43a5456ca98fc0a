//! A folder after a loss of power: names that were not synced are there or not, content that was not synced is not, and nothing that was acknowledged is
//! lost over it.
//!
//! A process makes a repository, backs up, forgets and prunes under `strace`. From its calls follows what the disk is bound to have at each moment,
//! by POSIX alone: an entry of a folder after an fsync of that folder, the content of a file after an fsync of that file. File systems mostly
//! keep more, in an order; here every entry for itself is kept or dropped at random.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test"
)]

mod support;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use buttress_backup::store::{DynStore, Folder};
use buttress_backup::{BackupJob, CheckDepth, Repository, RestoreJob};
use buttress_core::Ctx;
use buttress_testkit::{Program, Random};
use support::memory::{Exchange, Memory};
use support::{noise, password, picture};

const FOLDER: &str = "BUTTRESS_POWER_FOLDER";
const KILLED: &str = "BUTTRESS_POWER_KILLED";
const ROUNDS: u64 = 4;

/// The process under the tracer. It tells what was done when it is done, and what goes before it goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the others run it under a tracer"]
async fn at_work() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let place = folder.join("repository");
    let mut told = fs::File::create(folder.join("told")).unwrap();
    let mut tell = |what: String| told.write_all(what.as_bytes()).unwrap();
    let one_was_killed = std::env::var_os(KILLED).is_some();
    if one_was_killed {
        // One who was killed has made the folders, and has not come to sync them.
        for number in (0..=255).step_by(8) {
            fs::create_dir_all(place.join(format!("data/{number:02x}"))).unwrap();
        }
        for kind in ["tmp", "keys", "locks", "snapshots", "index"] {
            fs::create_dir(place.join(kind)).unwrap();
        }
    }
    let store = || DynStore::new(Folder::new(&place));
    let mut repository = Repository::init(store(), &password(), &Ctx::default()).await.unwrap();
    tell("made".to_owned());
    let mut all = Vec::new();
    for round in 0..ROUNDS {
        let job = BackupJob::new().root(folder.join(format!("files/{round}")), "/files");
        all.push(repository.backup(job).await.unwrap().id);
        tell(format!("done {round} {}", all.last().unwrap()));
        if round == 2 {
            tell(format!("forget {} {}", all[0], all[1]));
            if one_was_killed {
                // While it forgot, before the sync. This is the next one.
                for id in &all[..2] {
                    fs::remove_file(place.join(format!("snapshots/{id}"))).unwrap();
                }
                repository = Repository::open(store(), &password(), &Ctx::default()).await.unwrap();
            } else {
                repository.forget(&all[..2]).await.unwrap();
            }
            repository.prune().await.unwrap();
        }
    }
}

/// A call that was made, and when, in lines of the trace.
struct Call {
    begun: usize,
    ended: usize,
    what: What,
}

enum What {
    Mkdir(PathBuf),
    Create(PathBuf),
    Write(PathBuf, Vec<u8>),
    Link(PathBuf, PathBuf),
    Rename(PathBuf, PathBuf),
    Unlink(PathBuf),
    Sync(PathBuf),
}

/// The calls of a trace in the order of their ends. With `-xx` all strings are in hexadecimal, with `-y` descriptors have their paths.
fn calls(trace: &str) -> Vec<Call> {
    let (mut begun, mut calls) = (HashMap::new(), Vec::new());
    for (now, line) in trace.lines().enumerate() {
        let (process, call) = line.split_once(' ').unwrap();
        let call = call.trim_start();
        let (since, call) = if let Some(beginning) = call.strip_suffix(" <unfinished ...>") {
            begun.insert(process, (now, beginning));
            continue;
        } else if let Some((_, rest)) =
            call.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>"))
        {
            let (since, beginning) = begun.remove(process).unwrap();
            (since, format!("{beginning}{rest}"))
        } else {
            (now, call.to_owned())
        };
        let Some((name, rest)) = call.split_once('(') else { continue };
        let Some((arguments, result)) = rest.rsplit_once(" = ") else { continue };
        if result.starts_with('-') {
            continue;
        }
        let strings: Vec<_> = arguments.split('"').skip(1).step_by(2).map(bytes_of).collect();
        let path = |at: usize| PathBuf::from(String::from_utf8(strings[at].clone()).unwrap());
        let descriptor = || {
            let path = arguments.split_once('<')?.1.split_once('>')?.0;
            Some(PathBuf::from(String::from_utf8(bytes_of(path)).unwrap()))
        };
        let what = match name {
            "mkdir" | "mkdirat" => What::Mkdir(path(0)),
            "open" | "openat" if arguments.contains("O_CREAT") => What::Create(path(0)),
            "write" | "pwrite64" => match descriptor() {
                Some(path) => {
                    let length = result.trim().parse().unwrap();
                    What::Write(path, strings[0][..length].to_vec())
                }
                None => continue,
            },
            "link" | "linkat" => What::Link(path(0), path(1)),
            "rename" | "renameat" | "renameat2" => What::Rename(path(0), path(1)),
            "unlink" | "unlinkat" => What::Unlink(path(0)),
            "fsync" | "fdatasync" => What::Sync(descriptor().unwrap()),
            _ => continue,
        };
        calls.push(Call { begun: since, ended: now, what });
    }
    calls
}

fn bytes_of(hexadecimal: &str) -> Vec<u8> {
    let digits = hexadecimal.split("\\x").skip(1);
    digits.map(|byte| u8::from_str_radix(byte, 16).unwrap_or_else(|_| panic!("{hexadecimal}"))).collect()
}

/// A file or a folder, with all that was ever done to it.
#[derive(Default)]
struct Inode {
    is_folder: bool,
    /// Names that came, with what they name, and that went.
    entries: Vec<(Done, String, Option<usize>)>,
    writes: Vec<(Done, Vec<u8>)>,
    syncs: Vec<Done>,
}

#[derive(Clone, Copy)]
struct Done {
    begun: usize,
    ended: usize,
}

impl Inode {
    /// Whether something that was done to it outlives a loss of power at this time for sure.
    fn is_kept(&self, done: Done, time: usize) -> bool {
        self.syncs.iter().any(|sync| done.ended < sync.begun && sync.ended <= time)
    }
}

/// A disk, of which the first inode is the folder that there was before.
struct Disk {
    inodes: Vec<Inode>,
    /// Where everything is now.
    names: HashMap<PathBuf, usize>,
}

impl Disk {
    fn new(root: &Path, calls: &[Call]) -> Self {
        let inodes = vec![Inode { is_folder: true, ..Inode::default() }];
        let names = HashMap::from([(root.to_owned(), 0)]);
        let mut disk = Self { inodes, names };
        for Call { begun, ended, what } in calls {
            disk.apply(Done { begun: *begun, ended: *ended }, what);
        }
        disk
    }

    fn apply(&mut self, done: Done, what: &What) {
        match what {
            What::Mkdir(path) => self.make(done, path, true),
            What::Create(path) => self.make(done, path, false),
            What::Write(path, bytes) => {
                if let Some(inode) = self.names.get(path) {
                    self.inodes[*inode].writes.push((done, bytes.clone()));
                }
            }
            What::Link(from, to) => self.name(done, to, self.names.get(from).copied()),
            What::Rename(from, to) => {
                self.name(done, to, self.names.get(from).copied());
                self.name(done, from, None);
            }
            What::Unlink(path) => self.name(done, path, None),
            What::Sync(path) => {
                if let Some(inode) = self.names.get(path) {
                    self.inodes[*inode].syncs.push(done);
                }
            }
        }
    }

    fn make(&mut self, done: Done, path: &Path, is_folder: bool) {
        if !self.names.contains_key(path) {
            self.inodes.push(Inode { is_folder, ..Inode::default() });
            self.name(done, path, Some(self.inodes.len() - 1));
        }
    }

    /// Gives a name, or takes it away.
    fn name(&mut self, done: Done, path: &Path, inode: Option<usize>) {
        // What is elsewhere is not looked at.
        let Some(above) = path.parent().and_then(|above| self.names.get(above)) else { return };
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        self.inodes[*above].entries.push((done, name, inode));
        match inode {
            Some(inode) => self.names.insert(path.to_owned(), inode),
            None => self.names.remove(path),
        };
    }

    /// What may be there after a loss of power at this time. What goes on at the time has happened or has not.
    fn after(&self, time: usize, random: &mut Random, to: &Path) {
        let mut open = vec![(0, to.to_owned())];
        while let Some((number, path)) = open.pop() {
            let inode = &self.inodes[number];
            let mut kept =
                |done: Done| done.begun <= time && (inode.is_kept(done, time) || random.below(2) == 0);
            if inode.is_folder {
                fs::create_dir_all(&path).unwrap();
                let mut entries = BTreeMap::new();
                for (_, name, of) in inode.entries.iter().filter(|(done, ..)| kept(*done)) {
                    entries.insert(name, *of);
                }
                open.extend(entries.into_iter().filter_map(|(name, of)| Some((of?, path.join(name)))));
            } else {
                let written = inode.writes.iter().filter(|(done, _)| done.begun <= time);
                let mut bytes = written.clone().flat_map(|(_, bytes)| bytes.clone()).collect::<Vec<_>>();
                if !written.clone().all(|(done, _)| inode.is_kept(*done, time)) {
                    match random.below(3) {
                        0 => bytes.clear(),
                        1 => bytes.fill(0),
                        _ => bytes.truncate(bytes.len() / 2),
                    }
                }
                fs::write(path, bytes).unwrap();
            }
        }
    }

    /// When something happened that may matter.
    fn times(&self) -> Vec<usize> {
        let done = self.inodes.iter().flat_map(|inode| {
            let entries = inode.entries.iter().map(|(done, ..)| *done);
            entries.chain(inode.writes.iter().map(|(done, _)| *done)).chain(inode.syncs.iter().copied())
        });
        let mut times: Vec<_> = done.flat_map(|done| [done.begun, done.ended]).collect();
        times.sort_unstable();
        times.dedup();
        times
    }
}

/// What the process told, and when it began to tell it.
fn told(root: &Path, calls: &[Call]) -> Vec<(usize, Vec<String>)> {
    let file = root.join("told");
    let lines = calls.iter().filter_map(|call| match &call.what {
        What::Write(path, bytes) if *path == file => {
            let words = String::from_utf8(bytes.clone()).unwrap();
            Some((call.begun, words.split(' ').map(str::to_owned).collect()))
        }
        _ => None,
    });
    lines.collect()
}

async fn losses_of_power(one_was_killed: bool) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let mut random = Random::new(8);
    for round in 0..ROUNDS {
        let files = root.join(format!("files/{round}"));
        fs::create_dir_all(files.join("a")).unwrap();
        // What stays and what goes lies in the same packs, so that the prune has something to write again.
        fs::write(files.join("stays"), noise(&mut Random::new(1), 20_000)).unwrap();
        fs::write(files.join("a/changes"), noise(&mut random, 20_000)).unwrap();
        fs::write(files.join("of two"), noise(&mut Random::new(50 + round / 2), 10_000)).unwrap();
    }
    let expected: Vec<_> = (0..ROUNDS).map(|round| picture(&root.join(format!("files/{round}")))).collect();
    let traced = "trace=mkdir,mkdirat,open,openat,write,pwrite64,rename,renameat,renameat2,link,linkat,unlink,unlinkat,fsync,fdatasync";
    let trace = root.join("trace");
    let mut tracer = Command::new(Program::STRACE.path());
    tracer.args(["-f", "-y", "-xx", "-s", "1000000", "-e", traced, "-o"]).arg(&trace);
    tracer.arg(std::env::current_exe().unwrap());
    tracer.args(["--exact", "--ignored", "--nocapture", "--test-threads=1", "at_work"]).env(FOLDER, &root);
    if one_was_killed {
        tracer.env(KILLED, "");
    }
    let done = tracer.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));

    let calls = calls(&fs::read_to_string(trace).unwrap());
    let told = told(&root, &calls);
    assert_eq!(told.len() as u64, ROUNDS + 2);
    let disk = Disk::new(&root, &calls);
    // The password is tried once, and the repository then looked at as it is at each time.
    let exchange = Exchange::new(Folder::new(root.join("repository")));
    let opened = DynStore::new(exchange.clone());
    let repository = Repository::open(opened, &password(), &Ctx::default()).await.unwrap();
    let key = repository.keys().await.unwrap()[0].id.to_string();
    let (mut losses, mut restored) = (0, 0);
    for time in disk.times().into_iter().filter(|time| *time >= told[0].0).step_by(4) {
        let state = root.join("state");
        disk.after(time, &mut Random::new(time as u64), &state);
        let place = state.join("repository");
        for needed in ["config".to_owned(), format!("keys/{key}")] {
            let now = fs::read(place.join(&needed)).unwrap_or_default();
            assert!(now == fs::read(root.join("repository").join(&needed)).unwrap(), "{time}: {needed}");
        }
        exchange.set(Folder::new(&place));
        repository.check(CheckDepth::Data).await.unwrap_or_else(|error| panic!("{time}: {error}"));
        let past = told.iter().take_while(|(at, _)| *at < time);
        let (mut done, mut gone) = (Vec::new(), Vec::new());
        for (_, words) in past {
            match &words[..] {
                [word, round, id] if word == "done" => done.push((round.parse::<usize>().unwrap(), id)),
                [word, ids @ ..] if word == "forget" => gone.extend(ids),
                _ => {}
            }
        }
        for (round, id) in done.into_iter().filter(|(_, id)| !gone.contains(id)) {
            let snapshot = repository.snapshot(id).await.unwrap_or_else(|error| panic!("{time}: {error}"));
            let target = root.join("restored");
            repository.restore(&snapshot, RestoreJob::new(&target)).await.unwrap();
            assert!(picture(&target.join("files")) == expected[round], "{time}: snapshot {id}");
            fs::remove_dir_all(target).unwrap();
            restored += 1;
        }
        if losses % 10 == 0 {
            // The next run heals what was left.
            let job = BackupJob::new().root(root.join("files/0"), "/files");
            repository.backup(job).await.unwrap_or_else(|error| panic!("{time}: {error}"));
            repository.prune().await.unwrap_or_else(|error| panic!("{time}: {error}"));
            let report = repository.check(CheckDepth::Data).await.unwrap();
            assert!(report.remarks.is_empty(), "{time}: {report:?}");
        }
        losses += 1;
        exchange.set(Memory::default());
        fs::remove_dir_all(state).unwrap();
    }
    println!("{losses} losses of power, {restored} snapshots restored and compared, 0 lost");
    assert!(losses > 40 && restored > 30, "{losses} {restored}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_a_loss_of_power_at_any_moment() {
    losses_of_power(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_who_was_killed_did_not_sync_is_kept_too() {
    losses_of_power(true).await;
}
