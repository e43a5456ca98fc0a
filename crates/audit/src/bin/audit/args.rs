//! What can be asked.

use std::path::PathBuf;
use std::time::SystemTime;

use buttress_audit::export::Format;
use buttress_audit::query::{Filter, parse_time};
use buttress_audit::subject::{MasterKey, SubjectId, Subjects, SubjectsConfig};
use buttress_core::Outcome;
use clap::{Parser, Subcommand};

use crate::Failed;

/// Looks at an audit log, checks it, proves what is in it and hands it out.
///
/// Ends with 0; with 1 when `verify` finds something wrong; with 2 when the question is wrong; with 3 when it cannot be
/// answered.
#[derive(Debug, Parser)]
#[command(name = "audit", version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The last entries, and with --follow those that come.
    Tail(Tail),
    /// The entries that fit.
    Search(Search),
    /// Checks the whole log, and says exactly what is wrong and where.
    Verify(Verify),
    /// Proves that an entry is in the log, or that the log only grew.
    Prove(Prove),
    /// Writes the entries that fit for other programs.
    Export(Export),
    /// The signed checkpoints, and whether they are signed.
    Checkpoints(Checkpoints),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Tail {
    /// The folder of the log.
    pub(crate) folder: PathBuf,
    /// How many of the last entries.
    #[arg(short = 'n', long, default_value_t = 10)]
    pub(crate) lines: usize,
    /// Goes on with entries as they come, until it is interrupted.
    #[arg(short, long)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) keys: Keys,
    /// One object of JSON a line.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Search {
    /// The folder of the log.
    pub(crate) folder: PathBuf,
    /// The most that are shown; it says where to go on with --first.
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) keys: Keys,
    /// One object of JSON a line.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    /// The folder of the log.
    pub(crate) folder: PathBuf,
    /// jsonl, csv or ocsf.
    #[arg(long, default_value = "jsonl", value_parser = str::parse::<Format>)]
    pub(crate) format: Format,
    /// A new file; without it, standard output.
    #[arg(short, long)]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) keys: Keys,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    /// The folder of the log.
    pub(crate) folder: PathBuf,
    /// A file with the seed that was shown when the log was made.
    #[arg(long)]
    pub(crate) seed_file: Option<PathBuf>,
    /// The verifier key (NAME+ID+KEY) as it was kept elsewhere.
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// A file with a checkpoint that was kept elsewhere; can be given more than once.
    #[arg(long)]
    pub(crate) checkpoint: Vec<PathBuf>,
    /// The report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Prove {
    #[command(subcommand)]
    pub(crate) what: What,
}

#[derive(Debug, Subcommand)]
pub(crate) enum What {
    /// That an entry is in the log.
    Inclusion {
        /// The folder of the log.
        folder: PathBuf,
        /// The entry's number.
        sequence: u64,
        #[command(flatten)]
        out: ProofOut,
    },
    /// That the log of an earlier size is how the later one begins.
    Consistency {
        /// The folder of the log.
        folder: PathBuf,
        /// The earlier size.
        old: u64,
        #[command(flatten)]
        out: ProofOut,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct ProofOut {
    /// The size of the log that it is proved for; without it, that of the last checkpoint.
    #[arg(long)]
    pub(crate) size: Option<u64>,
    /// Writes the proof as JSON to a new file, beside the text.
    #[arg(short, long)]
    pub(crate) out: Option<PathBuf>,
    /// The proof as JSON instead of the text.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Checkpoints {
    /// The folder of the log.
    pub(crate) folder: PathBuf,
    /// One object of JSON a line, with the whole note.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is looked for: all that is given has to fit.
#[derive(Debug, clap::Args)]
pub(crate) struct FilterArgs {
    /// Who did it.
    #[arg(long)]
    actor: Option<String>,
    /// How the action begins.
    #[arg(long)]
    action: Option<String>,
    /// What it was done to.
    #[arg(long)]
    target: Option<String>,
    /// Whose data it was.
    #[arg(long)]
    tenant: Option<String>,
    /// The request it belongs to.
    #[arg(long)]
    request_id: Option<String>,
    /// success, failure or denied.
    #[arg(long, value_parser = outcome)]
    outcome: Option<Outcome>,
    /// For whom a field was sealed: the id of 32 digits; or the name, with --subjects.
    #[arg(long)]
    subject: Option<String>,
    /// Happened then or later: 2026-11-22T08:00:00Z, 2026-11-22, or 2h ago as 2h.
    #[arg(long, value_parser = time)]
    since: Option<SystemTime>,
    /// Happened before then.
    #[arg(long, value_parser = time)]
    until: Option<SystemTime>,
    /// The first number that is looked at.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// The number after the last that is looked at.
    #[arg(long)]
    end: Option<u64>,
}

impl FilterArgs {
    pub(crate) fn filter(&self, subjects: Option<&Subjects>) -> Result<Filter, Failed> {
        let subject = self.subject.as_ref().map(|name| {
            let known = SubjectId::parse(name).or_else(|| subjects?.find(name));
            known.ok_or_else(|| {
                Failed::Other("no such subject is known; give --subjects, or the subject's id".to_owned())
            })
        });
        Ok(Filter {
            actor: self.actor.clone(),
            action: self.action.clone(),
            target: self.target.clone(),
            tenant: self.tenant.clone(),
            request_id: self.request_id.clone(),
            outcome: self.outcome,
            subject: subject.transpose()?,
            since: self.since,
            until: self.until,
            first: self.first,
            end: self.end,
        })
    }
}

/// With both, sealed values are shown; without, they stay sealed.
#[derive(Debug, clap::Args)]
pub(crate) struct Keys {
    /// The key file of subjects.
    #[arg(long, requires = "master_key")]
    subjects: Option<PathBuf>,
    /// A file with the master key, 64 hexadecimal digits.
    #[arg(long, requires = "subjects")]
    master_key: Option<PathBuf>,
}

impl Keys {
    pub(crate) fn open(&self) -> Result<Option<Subjects>, Failed> {
        let (Some(path), Some(master)) = (&self.subjects, &self.master_key) else { return Ok(None) };
        let mut config = SubjectsConfig::default();
        config.path.clone_from(path);
        Ok(Some(Subjects::open_to_read(&config, &MasterKey::load(master)?)?))
    }
}

fn outcome(text: &str) -> Result<Outcome, String> {
    match text {
        "success" => Ok(Outcome::Success),
        "failure" => Ok(Outcome::Failure),
        "denied" => Ok(Outcome::Denied),
        _ => Err("`success`, `failure` and `denied` are outcomes".to_owned()),
    }
}

fn time(text: &str) -> Result<SystemTime, String> {
    let known = parse_time(text, SystemTime::now());
    known.ok_or_else(|| "write it as 2026-11-22T08:00:00Z, 2026-11-22, or 2h".to_owned())
}
