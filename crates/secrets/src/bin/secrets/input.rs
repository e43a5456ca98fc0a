//! What people and other programs give: keys and values, never as arguments.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::path::Path;

use buttress_secrets::vault::KeySource;
use buttress_secrets::{RandomValue, Secret};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::Failure;
use crate::cli::{KeyArgs, NewKeyArgs, ValueArgs};

/// Where the key is; asked for if nothing says so.
pub(crate) fn key(args: &KeyArgs) -> Result<KeySource, Failure> {
    source(args.passphrase_file.as_ref(), args.passphrase_variable.as_ref(), args.key_file.as_ref())
        .map_or_else(|| Ok(KeySource::Passphrase(ask("passphrase of the vault: ", Times::Once)?)), Ok)
}

/// Where the key of a vault that is made is; asked for twice if nothing says so.
pub(crate) fn first_key(args: &KeyArgs) -> Result<KeySource, Failure> {
    source(args.passphrase_file.as_ref(), args.passphrase_variable.as_ref(), args.key_file.as_ref())
        .map_or_else(|| Ok(KeySource::Passphrase(ask("new passphrase: ", Times::Twice)?)), Ok)
}

/// Where the new key is; asked for twice if nothing says so.
pub(crate) fn new_key(args: &NewKeyArgs) -> Result<KeySource, Failure> {
    let (file, variable) = (args.new_passphrase_file.as_ref(), args.new_passphrase_variable.as_ref());
    source(file, variable, args.new_key_file.as_ref())
        .map_or_else(|| Ok(KeySource::Passphrase(ask("new passphrase: ", Times::Twice)?)), Ok)
}

fn source(
    passphrase: Option<&std::path::PathBuf>,
    variable: Option<&String>,
    key: Option<&std::path::PathBuf>,
) -> Option<KeySource> {
    let passphrase = passphrase.cloned().map(KeySource::PassphraseFile);
    let variable = variable.cloned().map(KeySource::PassphraseVariable);
    passphrase.or(variable).or_else(|| key.cloned().map(KeySource::KeyFile))
}

/// The value that was asked for.
pub(crate) fn value(args: &ValueArgs) -> Result<Secret, Failure> {
    if let Some(bytes) = args.random {
        return Ok(RandomValue::of_bytes(bytes.into()).value()?);
    }
    if let Some(path) = &args.from_file {
        return file(path);
    }
    if std::io::stdin().is_terminal() {
        return ask("value: ", Times::Twice);
    }
    let value = all(std::io::stdin().lock(), "standard input")?;
    // `echo value | secrets set` means the value.
    Ok(value.expose().strip_suffix(b"\n").map_or_else(|| value.clone(), |line| Secret::new(line.to_vec())))
}

/// All of a file.
pub(crate) fn file(path: &Path) -> Result<Secret, Failure> {
    let shown = path.display().to_string();
    let file = File::open(path).map_err(|error| Failure(format!("{shown} cannot be read: {error}")))?;
    all(file, &shown)
}

fn all(from: impl Read, shown: &str) -> Result<Secret, Failure> {
    // One byte over the limit, so that the store refuses what is too large; reserved, so that no part is moved and left behind.
    let most = Secret::MAX_BYTES + 2;
    let mut bytes = Vec::with_capacity(most + 64);
    from.take(most as u64)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure(format!("{shown} cannot be read: {error}")))?;
    Ok(Secret::new(bytes))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Times {
    Once,
    Twice,
}

/// A line from the terminal, which does not show it.
fn ask(question: &str, times: Times) -> Result<Secret, Failure> {
    let terminal = File::options().read(true).write(true).open("/dev/tty").map_err(|_| {
        Failure(format!(
            "there is no terminal to ask for the {question}use --passphrase-file, --passphrase-variable or --key-file, or give \
             the value on standard input"
        ))
    })?;
    let failed = |error: std::io::Error| Failure(format!("the terminal cannot be used: {error}"));
    let _quiet = Quiet::on(&terminal).map_err(failed)?;
    let mut lines = BufReader::new(&terminal);
    let mut line = |question: &str| -> std::io::Result<Secret> {
        (&terminal).write_all(question.as_bytes())?;
        let mut text = Vec::with_capacity(Secret::MAX_BYTES);
        let read = (&mut lines).take(Secret::MAX_BYTES as u64).read_until(b'\n', &mut text);
        (&terminal).write_all(b"\n")?;
        read?;
        if text.last() == Some(&b'\n') {
            text.pop();
        }
        Ok(Secret::new(text))
    };
    let answer = line(question).map_err(failed)?;
    if times == Times::Twice && !line("again: ").map_err(failed)?.matches(answer.expose()) {
        return Err(Failure("the two are not the same; nothing was done".to_owned()));
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
