//! `cargo xtask bench backup`: our program and its rivals back up the same files.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

use crate::documents;
use crate::output::{self, Row};
use crate::workspace::{Workspace, files_below, quantile, succeeds};

/// The area's name.
pub(crate) const AREA: &str = "backup";
const PASSWORD: &str = "of a repository that is thrown away";
/// Of so many files one is changed.
const CHANGED: usize = 100;
/// Where files are restored to, if it is there: into memory. On a disk with ext4, which for some minutes does not use the number of a deleted file
/// again and searches for another one, what the program before has left would cost many times what restoring does.
const IN_MEMORY: &str = "/dev/shm";
/// How many bytes of files are backed up to see whether memory grows with them.
const GROWS: [u64; 2] = [1_000_000_000, 10_000_000_000];

/// What is done with a repository, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    First,
    Unchanged,
    Changed,
    Check,
    Restore,
}

impl Step {
    const ALL: [Self; 5] = [Self::First, Self::Unchanged, Self::Changed, Self::Check, Self::Restore];

    fn name(self) -> &'static str {
        match self {
            Self::First => "first backup",
            Self::Unchanged => "nothing changed",
            Self::Changed => "1 % changed",
            Self::Check => "every byte checked",
            Self::Restore => "restored",
        }
    }
}

/// A program that backs up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Ours,
    Restic,
    Rustic,
    Borg,
    /// No backup, but what compressing alone costs.
    Tar,
}

impl Subject {
    const ALL: [Self; 5] = [Self::Ours, Self::Restic, Self::Rustic, Self::Borg, Self::Tar];

    fn name(self) -> &'static str {
        match self {
            Self::Ours => "buttress",
            Self::Restic => "restic",
            Self::Rustic => "rustic",
            Self::Borg => "borg",
            Self::Tar => "tar | zstd -3",
        }
    }

    /// The program that has to be there, and where it comes from.
    fn program(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Ours => None,
            Self::Restic => Some(("restic", "apt-get install restic")),
            Self::Rustic => Some(("rustic", "cargo install --locked --no-default-features rustic-rs")),
            Self::Borg => Some(("borg", "apt-get install borgbackup")),
            Self::Tar => Some(("zstd", "apt-get install zstd")),
        }
    }

    /// The command that makes an empty repository; none where there is nothing to make.
    fn init(self, place: &Place) -> Option<Command> {
        let repository = place.repository(self);
        match self {
            Self::Ours => Some(words(&place.ours, &["-q", "init"])),
            Self::Restic => Some(words("restic", &["-q", "init", "--repository-version", "2"])),
            Self::Rustic => Some(words("rustic", &["--no-progress", "--log-level", "error", "init"])),
            Self::Borg => {
                let mut borg = words("borg", &["init", "-e", "repokey-blake2"]);
                borg.arg(repository);
                Some(borg)
            }
            Self::Tar => None,
        }
    }

    /// The command of a step; none if it has no such thing.
    fn command(self, step: Step, place: &Place) -> Option<Command> {
        let (repository, files) = (place.repository(self), &place.files);
        let mut command = match (self, step) {
            (Self::Ours, Step::First | Step::Unchanged | Step::Changed) => words(&place.ours, &["-q", "run"]),
            (Self::Ours, Step::Check) => words(&place.ours, &["-q", "check", "--read-data"]),
            (Self::Ours, Step::Restore) => words(&place.ours, &["-q", "restore", "latest", "--target", "."]),
            (Self::Restic, Step::First | Step::Unchanged | Step::Changed) => {
                words("restic", &["-q", "--no-cache", "backup"])
            }
            (Self::Restic, Step::Check) => words("restic", &["-q", "--no-cache", "check", "--read-data"]),
            (Self::Restic, Step::Restore) => {
                words("restic", &["-q", "--no-cache", "restore", "latest", "--target", "."])
            }
            (Self::Rustic, step) => {
                let what: &[&str] = match step {
                    Step::First | Step::Unchanged | Step::Changed => &["backup"],
                    Step::Check => &["check", "--read-data"],
                    Step::Restore => &["restore", "latest", "."],
                };
                let mut rustic = words("rustic", &["--no-progress", "--log-level", "error"]);
                rustic.args(what);
                rustic
            }
            (Self::Borg, Step::First | Step::Unchanged | Step::Changed) => {
                let mut borg = words("borg", &["create", "-C", "zstd,3"]);
                borg.arg(format!("{}::{}", repository.display(), step.name().replace(' ', "-")));
                borg
            }
            (Self::Borg, Step::Check) => {
                let mut borg = words("borg", &["check", "--verify-data"]);
                borg.arg(&repository);
                borg
            }
            (Self::Borg, Step::Restore) => {
                let mut borg = words("borg", &["extract"]);
                borg.arg(format!("{}::{}", repository.display(), Step::Changed.name().replace(' ', "-")));
                borg
            }
            (Self::Tar, Step::First) => {
                let mut shell =
                    words("sh", &["-c", "tar -cf - \"$1\" 2> /dev/null | zstd -3 -q -f -o \"$2\"", "-"]);
                shell.arg(files).arg(&repository);
                return Some(shell);
            }
            (Self::Tar, _) => return None,
        };
        if matches!(step, Step::First | Step::Unchanged | Step::Changed) {
            command.arg(files);
        }
        Some(command)
    }
}

fn words(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// Where things are.
struct Place {
    folder: PathBuf,
    files: PathBuf,
    restored: PathBuf,
    ours: PathBuf,
}

impl Place {
    fn repository(&self, subject: Subject) -> PathBuf {
        self.folder.join(format!("{subject:?}"))
    }

    /// Runs a command; what it took.
    fn measure(&self, subject: Subject, command: &Command) -> Result<Taken> {
        remove(&self.restored)?;
        fs::create_dir(&self.restored)?;
        // What the one before has left to write is not this one's.
        ensure!(succeeds(&mut Command::new("sync"))?, "sync failed");
        let told = self.folder.join("time");
        let status = Command::new("time")
            .args(["-f", "%e %U %S %M", "-o"])
            .arg(&told)
            .arg(command.get_program())
            .args(command.get_args())
            .current_dir(&self.restored)
            .envs(self.environment(subject))
            .stdout(Stdio::null())
            .status()
            .context("`time` was not found: install it with `apt-get install time`")?;
        if !status.success() {
            bail!("{} failed: {command:?}", subject.name());
        }
        let told = fs::read_to_string(&told)?;
        let numbers: Vec<f64> = told.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        let [wall, user, system, peak] = numbers.as_slice() else { bail!("`time` says {told:?}") };
        Ok(Taken { wall: *wall, cpu: user + system, peak: peak / 1024.0 })
    }

    /// Removes all of it.
    fn remove(&self) -> Result<()> {
        remove(&self.restored)?;
        remove(&self.folder)
    }

    fn environment(&self, subject: Subject) -> Vec<(&'static str, PathBuf)> {
        let (repository, password) = (self.repository(subject), PathBuf::from(PASSWORD));
        match subject {
            Subject::Ours => vec![
                ("BACKUP_REPOSITORY", repository),
                ("BACKUP_PASSWORD_FILE", self.folder.join("password")),
            ],
            Subject::Restic => vec![("RESTIC_REPOSITORY", repository), ("RESTIC_PASSWORD", password)],
            Subject::Rustic => vec![
                ("RUSTIC_REPOSITORY", repository),
                ("RUSTIC_PASSWORD", password),
                ("RUSTIC_NO_CACHE", "true".into()),
            ],
            Subject::Borg => {
                vec![("BORG_BASE_DIR", self.folder.join("borg base")), ("BORG_PASSPHRASE", password)]
            }
            Subject::Tar => Vec::new(),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Taken {
    wall: f64,
    cpu: f64,
    /// MiB.
    peak: f64,
}

/// What a program took for a step, in the middle of all runs, and the first of the rivals beside it.
#[derive(Debug, Serialize)]
struct Line {
    step: &'static str,
    subject: &'static str,
    wall: f64,
    cpu: f64,
    peak: f64,
    /// MiB of the repository after the step.
    size: f64,
    /// Our time to its time: below 1 is ahead.
    wall_ratio: Option<f64>,
    cpu_ratio: Option<f64>,
}

impl Row for Line {
    const COLUMNS: &'static [&'static str] = &[
        "step",
        "subject",
        "#wall s",
        "#CPU s",
        "#peak MiB",
        "#repository MiB",
        "#ours to its wall",
        "#ours to its CPU",
    ];

    fn cells(&self) -> Vec<String> {
        let ratio = |ratio: Option<f64>| ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        vec![
            self.step.to_owned(),
            self.subject.to_owned(),
            format!("{:.2}", self.wall),
            format!("{:.2}", self.cpu),
            format!("{:.0}", self.peak),
            format!("{:.0}", self.size),
            ratio(self.wall_ratio),
            ratio(self.cpu_ratio),
        ]
    }
}

/// Every program with every step, in turns, so that a slow minute of the machine hits all of them alike.
pub(crate) fn run(options: &documents::Options, workspace: &Workspace, json: bool) -> Result<bool> {
    let place = prepare(workspace)?;
    copy_corpus(options, &place)?;
    let subjects: Vec<_> = Subject::ALL.into_iter().filter(|subject| is_there(*subject)).collect();
    let mut all: Vec<(Step, Subject, Vec<Taken>, f64)> = Vec::new();
    for run in 0..options.runs {
        for subject in &subjects {
            begin(*subject, &place)?;
        }
        for step in Step::ALL {
            if step == Step::Changed {
                change(&place.files, run)?;
            }
            for subject in &subjects {
                let Some(command) = subject.command(step, &place) else { continue };
                let taken = place.measure(*subject, &command)?;
                eprintln!("run {}: {}, {}: {:.2} s", run + 1, step.name(), subject.name(), taken.wall);
                let size = size(&place.repository(*subject))?;
                match all.iter_mut().find(|(s, by, ..)| (*s, *by) == (step, *subject)) {
                    Some((_, _, runs, last)) => {
                        runs.push(taken);
                        *last = size;
                    }
                    None => all.push((step, *subject, vec![taken], size)),
                }
            }
        }
    }
    output::print(&lines(&all), json)?;
    place.remove()?;
    Ok(true)
}

/// How much memory ours takes for little and for much, made up half of text and half of noise.
pub(crate) fn run_growing(workspace: &Workspace, json: bool) -> Result<bool> {
    let mut place = prepare(workspace)?;
    // More than there may be memory for.
    place.restored = place.folder.join("restored");
    fs::create_dir(&place.files)?;
    let (mut lines, mut made) = (Vec::new(), Made::default());
    for bytes in GROWS {
        made.fill(&place.files, bytes)?;
        begin(Subject::Ours, &place)?;
        for step in [Step::First, Step::Unchanged, Step::Check, Step::Restore] {
            let Some(command) = Subject::Ours.command(step, &place) else { continue };
            let taken = place.measure(Subject::Ours, &command)?;
            eprintln!(
                "{} GB, {}: {:.1} s, {:.0} MiB",
                bytes / 1_000_000_000,
                step.name(),
                taken.wall,
                taken.peak
            );
            let size = size(&place.repository(Subject::Ours))?;
            lines.extend(self::lines(&[(step, Subject::Ours, vec![taken], size)]));
        }
    }
    output::print(&lines, json)?;
    place.remove()?;
    Ok(true)
}

/// Files that were made up.
#[derive(Default)]
struct Made {
    files: u64,
    bytes: u64,
    random: u64,
}

impl Made {
    /// Adds files to a folder until they have so many bytes: of 64 KiB to 1 MiB, a hundred in a folder.
    fn fill(&mut self, folder: &Path, bytes: u64) -> Result<()> {
        while self.bytes < bytes {
            let folder = folder.join((self.files / 100).to_string());
            fs::create_dir_all(&folder)?;
            let mut file = BufWriter::new(File::create(folder.join(self.files.to_string()))?);
            for _ in 0..=self.files % 16 {
                for _ in 0..(32 << 10) / 8 {
                    // xorshift64 (Marsaglia 2003)
                    self.random = if self.random == 0 { 1 } else { self.random };
                    self.random ^= self.random << 13;
                    self.random ^= self.random >> 7;
                    self.random ^= self.random << 17;
                    file.write_all(&self.random.to_le_bytes())?;
                }
                file.write_all(&b"the same thirty-two bytes again\n".repeat(1 << 10))?;
                self.bytes += 64 << 10;
            }
            file.flush()?;
            self.files += 1;
        }
        Ok(())
    }
}

/// An empty repository.
fn begin(subject: Subject, place: &Place) -> Result<()> {
    remove(&place.repository(subject))?;
    if let Some(init) = subject.init(place) {
        place.measure(subject, &init)?;
    }
    Ok(())
}

/// Builds our program, and makes an empty folder for all.
fn prepare(workspace: &Workspace) -> Result<Place> {
    let mut build =
        workspace.cargo(["build", "--release", "--package", "buttress-backup", "--features", "cli"]);
    ensure!(succeeds(&mut build)?, "our program does not build");
    let folder = workspace.scratch("bench backup");
    remove(&folder)?;
    fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;
    fs::write(folder.join("password"), PASSWORD)?;
    let in_memory = Path::new(IN_MEMORY).is_dir().then(|| {
        let name = format!("buttress-bench-{}", std::process::id());
        Path::new(IN_MEMORY).join(name)
    });
    let restored = in_memory.unwrap_or_else(|| folder.join("restored"));
    Ok(Place { files: folder.join("files"), folder, restored, ours: workspace.target.join("release/backup") })
}

/// Copies the files, so that some may be changed.
fn copy_corpus(options: &documents::Options, place: &Place) -> Result<()> {
    let Some(corpus) = &options.corpus else {
        bail!("name a folder of many files with `--corpus DIR`: cargo's own `registry` is one")
    };
    let mut copy = Command::new("cp");
    copy.arg("-a").arg(corpus).arg(&place.files);
    ensure!(succeeds(&mut copy)?, "the files cannot be copied");
    let all = files_below(&place.files)?;
    let bytes: u64 = all.iter().filter_map(|file| file.metadata().ok()).map(|about| about.len()).sum();
    eprintln!("{} files, {} MiB", all.len(), bytes >> 20);
    Ok(())
}

fn is_there(subject: Subject) -> bool {
    let Some((program, install)) = subject.program() else { return true };
    let found =
        Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        eprintln!("{program} was not found and is left out: `{install}`");
    }
    found
}

/// Adds a line to every hundredth file: other ones in each run.
fn change(files: &Path, run: u32) -> Result<()> {
    let mut all = files_below(files)?;
    all.sort();
    for path in all.iter().skip(run as usize % CHANGED).step_by(CHANGED) {
        // A registry's files cannot be written by all.
        if let Ok(mut file) = fs::OpenOptions::new().append(true).open(path) {
            writeln!(file, "changed in run {run}")?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn size(path: &Path) -> Result<f64> {
    let files = if path.is_dir() { files_below(path)? } else { vec![path.to_owned()] };
    let bytes: u64 = files.iter().filter_map(|file| file.metadata().ok()).map(|about| about.len()).sum();
    Ok(bytes as f64 / f64::from(1 << 20))
}

fn lines(all: &[(Step, Subject, Vec<Taken>, f64)]) -> Vec<Line> {
    let taken = |runs: &[Taken]| Taken {
        wall: median(runs, |taken| taken.wall),
        cpu: median(runs, |taken| taken.cpu),
        peak: median(runs, |taken| taken.peak),
    };
    let mut lines = Vec::new();
    for (step, subject, runs, size) in all {
        let its = taken(runs);
        let ours =
            all.iter().find(|(s, by, ..)| (s, *by) == (step, Subject::Ours)).map(|(.., runs, _)| taken(runs));
        let ours = ours.filter(|_| *subject != Subject::Ours);
        lines.push(Line {
            step: step.name(),
            subject: subject.name(),
            wall: its.wall,
            cpu: its.cpu,
            peak: its.peak,
            size: *size,
            wall_ratio: ours.map(|ours| ours.wall / its.wall.max(0.001)),
            cpu_ratio: ours.map(|ours| ours.cpu / its.cpu.max(0.001)),
        });
    }
    lines
}

fn median(runs: &[Taken], of: fn(&Taken) -> f64) -> f64 {
    let mut values: Vec<f64> = runs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    quantile(&values, 0.5).unwrap_or_default()
}
