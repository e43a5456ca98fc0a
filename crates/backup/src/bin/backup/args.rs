//! What can be asked.

use std::path::PathBuf;
use std::time::Duration;

use buttress_core::units::parse_duration;
use clap::{Parser, Subcommand};
use jiff::Timestamp;

/// Backs up files into a repository: de-duplicated, compressed, encrypted, and readable by restic.
///
/// Ends with 0; with 1 when only a part could be done, or when a check finds something wrong; with 2 when the question is
/// wrong; with 3 when it could not be done; with 130 when it was interrupted.
#[derive(Debug, Parser)]
#[command(name = "backup", version, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    /// Where the repository is: a folder, or `s3://bucket/prefix`. Without it, what `BACKUP_REPOSITORY` says.
    ///
    /// For S3 the environment has the rest: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, and
    /// `AWS_ENDPOINT_URL` for a server that is not Amazon's.
    #[arg(short, long, global = true, value_name = "PLACE", help_heading = "Repository")]
    pub(crate) repo: Option<String>,
    /// A file whose first line is the password. Without it, that of `BACKUP_PASSWORD_FILE`; else it is asked for.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Repository")]
    pub(crate) password_file: Option<PathBuf>,
    /// Waits so long for somebody else who works on the repository: 10m. Without it, not at all.
    #[arg(long, global = true, value_name = "TIME", value_parser = parse_duration, help_heading = "Repository")]
    pub(crate) wait: Option<Duration>,
    /// The answer as one JSON document; progress as JSON lines on standard error.
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) json: bool,
    /// No progress.
    #[arg(short, long, global = true, help_heading = "Output")]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes a repository in an empty place.
    Init,
    /// Makes a snapshot of files and folders.
    Run(Run),
    /// The snapshots.
    Snapshots(Snapshots),
    /// What is in a snapshot, or in a folder of it.
    Ls(Ls),
    /// In which snapshots something is.
    Find(Find),
    /// What is other in a later snapshot.
    Diff(Diff),
    /// Writes a file of a snapshot to standard output.
    Cat(Cat),
    /// Brings files back.
    Restore(Restore),
    /// Looks whether all is there and whole.
    Check(Check),
    /// Removes snapshots. What only they needed is removed by `prune`.
    Forget(Forget),
    /// Removes what no snapshot needs.
    Prune,
    /// Copies snapshots to a repository with another key.
    Copy(Copy),
    /// Makes snapshots, checks them, proves them, brings replicas up to date and removes what is not kept, each when a
    /// configuration says, until it is stopped.
    Keep(Keep),
    /// Brings a database back to any second of a log that `keep` has shipped.
    Recover(Recover),
    /// Restores the newest snapshots and old ones into a scratch folder, and proves that they are what they were.
    Drill(Drill),
    /// Makes the best of a repository that has lost something.
    Repair(Repair),
    /// Removes locks that processes which are gone have left.
    Unlock(Unlock),
    /// The passwords of the repository.
    Keys(Keys),
    /// How much there is, and what it takes.
    Stats,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    /// Files and folders.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// A word to find the snapshot by; can be given more than once.
    #[arg(long, value_name = "WORD")]
    pub(crate) tag: Vec<String>,
    /// Leaves out what matches: `*.tmp` anywhere, `/srv/**/cache` from the root; can be given more than once.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude: Vec<String>,
    /// Another host's name than that of this machine.
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Option<String>,
    /// Reads every file, also those that look as they did.
    #[arg(long)]
    pub(crate) reread: bool,
}

/// Which snapshots: all that is given has to fit.
#[derive(Debug, clap::Args)]
pub(crate) struct Filter {
    /// Only those with this tag; given more than once, with all of them.
    #[arg(long, value_name = "WORD")]
    pub(crate) tag: Vec<String>,
    /// Only those of this host.
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Option<String>,
    /// Only those of this path.
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Snapshots {
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// Only the newest so many.
    #[arg(short = 'n', long, value_name = "NUMBER")]
    pub(crate) last: Option<usize>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Ls {
    /// How the snapshot's id begins, or `latest`.
    pub(crate) snapshot: String,
    /// A folder or file in it.
    #[arg(default_value = "/")]
    pub(crate) path: PathBuf,
    /// Also what is in the folders.
    #[arg(short = 'd', long)]
    pub(crate) deep: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Find {
    /// `*.txt` anywhere, `/srv/**/notes` from the root.
    pub(crate) pattern: String,
    #[command(flatten)]
    pub(crate) filter: Filter,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Diff {
    /// How the earlier snapshot's id begins.
    pub(crate) before: String,
    /// How the later one's begins, or `latest`.
    #[arg(default_value = "latest")]
    pub(crate) after: String,
    /// Also where only permissions, times, owners or attributes are others.
    #[arg(long)]
    pub(crate) metadata: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Cat {
    /// How the snapshot's id begins, or `latest`.
    pub(crate) snapshot: String,
    /// The file in it.
    pub(crate) path: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Restore {
    /// How the snapshot's id begins, or `latest`, of those that fit.
    #[arg(required_unless_present = "at")]
    pub(crate) snapshot: Option<String>,
    /// The newest snapshot that was begun at this time or before: `2026-01-31T09:30:00Z`, or with another offset.
    #[arg(long, value_name = "TIME", conflicts_with = "snapshot")]
    pub(crate) at: Option<Timestamp>,
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// The folder to restore into, which is made, or is empty.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) target: PathBuf,
    /// Only this file or folder of the snapshot. What is in the folder comes into the target itself.
    #[arg(long, value_name = "PATH")]
    pub(crate) only: Option<PathBuf>,
    /// Into a folder that has something in it: what the snapshot has replaces what is there, the rest stays.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Does not end before all is on the disk.
    #[arg(long)]
    pub(crate) synced: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// Reads every byte.
    #[arg(long)]
    pub(crate) read_data: bool,
    /// Reads a part of all bytes: 3/7 is the third of seven.
    #[arg(long, value_name = "N/M", value_parser = part, conflicts_with = "read_data")]
    pub(crate) part: Option<(u8, u8)>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Forget {
    /// How the ids of the snapshots begin.
    #[arg(value_name = "SNAPSHOT", required_unless_present = "Policy", conflicts_with = "Policy")]
    pub(crate) snapshots: Vec<String>,
    #[command(flatten)]
    pub(crate) policy: Policy,
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// Only says what would be removed.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Also removes what only they needed.
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) prune: bool,
}

/// What is kept of the snapshots of each host and its paths; all others are removed. The newest is kept anyway, and what is
/// tagged `pin` or `legal-hold`. Days, weeks and so on are those of UTC.
#[derive(Debug, clap::Args)]
#[group(id = "Policy", multiple = true)]
#[command(next_help_heading = "Policy")]
#[expect(clippy::struct_field_names, reason = "they are the names of the options")]
pub(crate) struct Policy {
    /// The newest so many.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) keep_last: Option<u32>,
    /// The last one of so many hours.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) keep_hourly: Option<u32>,
    /// The last one of so many days.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) keep_daily: Option<u32>,
    /// The last one of so many weeks.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) keep_weekly: Option<u32>,
    /// The last one of so many months.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) keep_monthly: Option<u32>,
    /// The last one of so many years.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) keep_yearly: Option<u32>,
    /// All that are not older than the newest by more than that: 12h, 30d.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) keep_within: Option<Duration>,
    /// Also those with this tag; can be given more than once.
    #[arg(long, value_name = "WORD")]
    pub(crate) keep_tag: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Copy {
    /// How the ids of the snapshots begin; without any, all that fit.
    #[arg(value_name = "SNAPSHOT")]
    pub(crate) snapshots: Vec<String>,
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// The repository to copy to.
    #[arg(long, value_name = "PLACE")]
    pub(crate) to: String,
    /// A file whose first line is the password of that repository. Without it, it is asked for.
    #[arg(long, value_name = "FILE")]
    pub(crate) to_password_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Keep {
    /// The configuration: the repository, sources, jobs, schedules, retention.
    #[arg(long, value_name = "FILE", default_value = "backup.toml")]
    pub(crate) config: PathBuf,
    /// Does what is due now, and ends: for a timer of the system.
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Drill {
    /// The configuration, as of `keep`.
    #[arg(long, value_name = "FILE", default_value = "backup.toml")]
    pub(crate) config: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Recover {
    /// The log's name in the configuration.
    pub(crate) log: String,
    /// SQLite: the file to make. PostgreSQL: the folder with a restored base backup, `restore --only /NAME/data`, that was
    /// made before; the files of the log are laid beside it, in FOLDER-wal.
    #[arg(long, value_name = "PATH")]
    pub(crate) to: PathBuf,
    /// All that was committed at this time or before: `2026-01-31T09:30:00Z`. Without it, all there is.
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<Timestamp>,
    /// The configuration, as of `keep`.
    #[arg(long, value_name = "FILE", default_value = "backup.toml")]
    pub(crate) config: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Repair {
    #[command(subcommand)]
    pub(crate) what: RepairCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RepairCommand {
    /// First: makes the index say what is there.
    Index {
        /// Reads every byte, and replaces packs that are damaged by what of them is whole.
        #[arg(long)]
        read_data: bool,
    },
    /// Then: makes new versions of snapshots without the files that are lost.
    Snapshots {
        /// How the ids of the snapshots begin; without any, all.
        #[arg(value_name = "SNAPSHOT")]
        snapshots: Vec<String>,
        /// Removes the old versions.
        #[arg(long)]
        forget: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Unlock {
    /// Also the locks of those who are at work: only where it is sure that nobody is.
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Keys {
    #[command(subcommand)]
    pub(crate) what: KeysCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// The passwords, without themselves.
    List,
    /// Adds a password. The old ones still open the repository.
    Add(NewPassword),
    /// Takes a password away.
    Remove {
        /// How its id begins.
        id: String,
    },
    /// Replaces the password that the repository was opened with.
    Change(NewPassword),
}

#[derive(Debug, clap::Args)]
pub(crate) struct NewPassword {
    /// A file whose first line is the new password. Without it, it is asked for.
    #[arg(long, value_name = "FILE")]
    pub(crate) new_password_file: Option<PathBuf>,
}

fn part(text: &str) -> Result<(u8, u8), String> {
    let numbers = text.split_once('/').and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
    let possible = numbers.filter(|(part, of)| (1..=*of).contains(part));
    possible.ok_or_else(|| "write it as 3/7: the third part of seven, of 255 at most".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Args::command().debug_assert();
    }

    #[test]
    fn parts_are_from_one_to_all() {
        assert_eq!(super::part("3/7"), Ok((3, 7)));
        for wrong in ["0/7", "8/7", "3", "3/0", "1/256", "/", "a/b"] {
            assert!(super::part(wrong).is_err(), "{wrong}");
        }
    }
}
