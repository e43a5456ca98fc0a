//! `cargo xtask bench backup`: our program and its rivals back up the same files.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

use crate::documents;
use crate::output::{self, Row};
use crate::workspace::{Workspace, files_below, succeeds};

/// The area's name.
pub(crate) const AREA: &str = "backup";
const PASSWORD: &str = "of a repository that is thrown away";
/// Of so many files one is changed.
const CHANGED: usize = 100;

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
    Borg,
    /// No backup, but what compressing alone costs.
    Tar,
}

impl Subject {
    const ALL: [Self; 4] = [Self::Ours, Self::Restic, Self::Borg, Self::Tar];

    fn name(self) -> &'static str {
        match self {
            Self::Ours => "buttress",
            Self::Restic => "restic",
            Self::Borg => "borg",
            Self::Tar => "tar | zstd -3",
        }
    }

    /// The command that makes an empty repository; none where there is nothing to make.
    fn init(self, place: &Place) -> Option<Command> {
        let repository = place.repository(self);
        match self {
            Self::Ours => Some(words(&place.ours, &["-q", "init"])),
            Self::Restic => Some(words("restic", &["-q", "init", "--repository-version", "2"])),
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
    ours: PathBuf,
}

impl Place {
    fn repository(&self, subject: Subject) -> PathBuf {
        self.folder.join(format!("{subject:?}"))
    }

    /// Runs a command; what it took.
    fn measure(&self, subject: Subject, command: &Command) -> Result<Taken> {
        let into = self.folder.join("restored");
        if into.exists() {
            fs::remove_dir_all(&into)?;
        }
        fs::create_dir(&into)?;
        // What the one before has left to write is not this one's.
        ensure!(succeeds(&mut Command::new("sync"))?, "sync failed");
        let told = self.folder.join("time");
        let status = Command::new("time")
            .args(["-f", "%e %U %S %M", "-o"])
            .arg(&told)
            .arg(command.get_program())
            .args(command.get_args())
            .current_dir(&into)
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

    fn environment(&self, subject: Subject) -> Vec<(&'static str, PathBuf)> {
        let (repository, password) = (self.repository(subject), PathBuf::from(PASSWORD));
        match subject {
            Subject::Ours => vec![
                ("BACKUP_REPOSITORY", repository),
                ("BACKUP_PASSWORD_FILE", self.folder.join("password")),
            ],
            Subject::Restic => vec![("RESTIC_REPOSITORY", repository), ("RESTIC_PASSWORD", password)],
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
    let mut build =
        workspace.cargo(["build", "--release", "--package", "buttress-backup", "--features", "cli"]);
    ensure!(succeeds(&mut build)?, "our program does not build");
    let place = prepare(options, workspace)?;
    let subjects: Vec<_> = Subject::ALL.into_iter().filter(|subject| is_there(*subject)).collect();
    let mut all: Vec<(Step, Subject, Vec<Taken>, f64)> = Vec::new();
    for run in 0..options.runs {
        for subject in &subjects {
            remove(&place.repository(*subject))?;
            if let Some(init) = subject.init(&place) {
                place.measure(*subject, &init)?;
            }
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
    remove(&place.folder)?;
    Ok(true)
}

/// Copies the files, so that some may be changed.
fn prepare(options: &documents::Options, workspace: &Workspace) -> Result<Place> {
    let corpus = match &options.corpus {
        Some(corpus) => corpus.clone(),
        None => bail!("name a folder of many files with `--corpus DIR`: cargo's own `registry` is one"),
    };
    let folder = workspace.scratch("bench backup");
    remove(&folder)?;
    fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;
    let files = folder.join("files");
    ensure!(succeeds(Command::new("cp").arg("-a").arg(&corpus).arg(&files))?, "the files cannot be copied");
    fs::write(folder.join("password"), PASSWORD)?;
    let all = files_below(&files)?;
    let bytes: u64 = all.iter().filter_map(|file| file.metadata().ok()).map(|about| about.len()).sum();
    eprintln!("{} files, {} MiB", all.len(), bytes >> 20);
    let ours = workspace.scratch("").join("../release/backup");
    Ok(Place { folder, files, ours: ours.canonicalize().context("our program was not found")? })
}

fn is_there(subject: Subject) -> bool {
    let program = match subject {
        Subject::Ours => return true,
        Subject::Restic => "restic",
        Subject::Borg => "borg",
        Subject::Tar => "zstd",
    };
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok();
    if !found {
        eprintln!(
            "{program} was not found and is left out: `apt-get install {program}`, borg is `borgbackup`"
        );
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
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}
