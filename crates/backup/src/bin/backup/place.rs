//! The repository, and its password: from a file, or from a terminal that does not show it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use buttress_backup::store::{DynStore, StoreConfig};
use buttress_backup::{Repository, Snapshot};
use buttress_core::Ctx;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::args::{Common, Filter};
use crate::{Failed, stop_on_signal};

/// The longest password.
const LONGEST: u64 = 64 << 10;

/// Opens the repository.
pub(crate) async fn open(common: &Common) -> Result<Repository, Failed> {
    let place = place(common)?;
    let password = password(common, "password of the repository: ", Times::Once)?;
    let ctx = ctx()?;
    let repository = Repository::open(store(&place, &ctx).await?, &password, &ctx).await?;
    Ok(repository.patience(common.wait.unwrap_or_default()))
}

/// Makes the repository.
pub(crate) async fn init(common: &Common) -> Result<Repository, Failed> {
    let place = place(common)?;
    let password = password(common, "new password: ", Times::Twice)?;
    let ctx = ctx()?;
    Ok(Repository::init(store(&place, &ctx).await?, &password, &ctx).await?)
}

/// Opens the one to copy to.
pub(crate) async fn open_other(place: &str, password_file: Option<&Path>) -> Result<Repository, Failed> {
    let password = match password_file {
        Some(file) => read_password(file)?,
        None => ask(&format!("password of {place}: "), Times::Once)?,
    };
    let ctx = ctx()?;
    Ok(Repository::open(store(place, &ctx).await?, &password, &ctx).await?)
}

/// The surroundings, which stop on a signal. Made after passwords are asked for, which a signal ends at once.
fn ctx() -> Result<Ctx, Failed> {
    let ctx = Ctx::default();
    stop_on_signal(&ctx.shutdown)?;
    Ok(ctx)
}

fn place(common: &Common) -> Result<String, Failed> {
    let said = common.repo.clone().or_else(|| std::env::var("BACKUP_REPOSITORY").ok());
    said.filter(|place| !place.is_empty()).ok_or_else(|| {
        Failed::Other("which repository? say it with --repo PLACE, or set BACKUP_REPOSITORY".to_owned())
    })
}

async fn store(place: &str, ctx: &Ctx) -> Result<DynStore, Failed> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let mut config = StoreConfig::default();
    place.clone_into(&mut config.url);
    if place.starts_with("s3://") {
        config.s3.endpoint = variable("AWS_ENDPOINT_URL");
        config.s3.access_key_id = variable("AWS_ACCESS_KEY_ID");
        config.s3.secret_access_key = variable("AWS_SECRET_ACCESS_KEY");
        if let Some(region) = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")) {
            config.s3.region = region;
        }
    } else if let Some((scheme, _)) = place.split_once("://") {
        let problem = "a place is the path of a folder, or s3://bucket/prefix";
        return Err(Failed::Other(format!("{scheme}:// is not known: {problem}")));
    }
    Ok(DynStore::open(&config, ctx).await?)
}

fn password(common: &Common, question: &str, times: Times) -> Result<SecretString, Failed> {
    let variable = || std::env::var_os("BACKUP_PASSWORD_FILE").map(PathBuf::from);
    match common.password_file.clone().or_else(variable) {
        Some(file) => read_password(&file),
        None => ask(question, times),
    }
}

/// A new password: from a file, or asked for twice.
pub(crate) fn new_password(file: Option<&Path>) -> Result<SecretString, Failed> {
    file.map_or_else(|| ask("new password: ", Times::Twice), read_password)
}

/// The first line of a file.
fn read_password(path: &Path) -> Result<SecretString, Failed> {
    let cannot = |why: &dyn std::fmt::Display| {
        Failed::Other(format!("cannot read the password from {}: {why}", path.display()))
    };
    let file = File::open(path).map_err(|error| cannot(&error))?;
    let line = read_line(&mut BufReader::new(file)).map_err(|error| cannot(&error))?;
    if line.expose_secret().is_empty() { Err(cannot(&"its first line is empty")) } else { Ok(line) }
}

fn read_line(from: &mut impl BufRead) -> std::io::Result<SecretString> {
    let mut line = Zeroizing::new(String::with_capacity(1 << 10));
    from.take(LONGEST).read_line(&mut line)?;
    Ok(SecretString::from(line.trim_end_matches(['\n', '\r'])))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Times {
    Once,
    Twice,
}

fn ask(question: &str, times: Times) -> Result<SecretString, Failed> {
    let terminal = File::options().read(true).write(true).open("/dev/tty").map_err(|_| {
        let question = question.trim_end_matches([' ', ':']);
        Failed::Other(format!(
            "there is no terminal to ask for the {question}; give a file with it, by its option or by BACKUP_PASSWORD_FILE"
        ))
    })?;
    let failed = |error: std::io::Error| Failed::Other(format!("the terminal cannot be used: {error}"));
    let _quiet = Quiet::on(&terminal).map_err(failed)?;
    let mut lines = BufReader::new(&terminal);
    let mut line = |question: &str| -> std::io::Result<SecretString> {
        (&terminal).write_all(question.as_bytes())?;
        let answer = read_line(&mut lines);
        (&terminal).write_all(b"\n")?;
        answer
    };
    let answer = line(question).map_err(failed)?;
    if answer.expose_secret().is_empty() {
        return Err(Failed::Other("no password was given".to_owned()));
    }
    if times == Times::Twice && line("again: ").map_err(failed)?.expose_secret() != answer.expose_secret() {
        return Err(Failed::Other("the two are not the same; nothing was done".to_owned()));
    }
    Ok(answer)
}

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Quiet<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Quiet<'a> {
    fn on(terminal: &'a File) -> std::io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(terminal, OptionalActions::Flush, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

impl Filter {
    /// Whether a snapshot is one of those that were asked for.
    pub(crate) fn fits(&self, snapshot: &Snapshot) -> bool {
        let path = self.path.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
        self.tag.iter().all(|tag| snapshot.has_tag(tag))
            && self.host.as_ref().is_none_or(|host| snapshot.hostname == *host)
            && path.is_none_or(|path| snapshot.paths.iter().any(|one| Path::new(one) == path))
    }

    /// Those snapshots of the repository, the oldest first.
    pub(crate) async fn of(&self, repository: &Repository) -> Result<Vec<Snapshot>, Failed> {
        let mut snapshots = repository.snapshots().await?;
        snapshots.retain(|snapshot| self.fits(snapshot));
        Ok(snapshots)
    }
}
