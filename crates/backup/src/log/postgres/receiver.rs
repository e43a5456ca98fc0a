//! `pg_receivewal`, kept running.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use buttress_connect::Address;
use buttress_core::Ctx;
use metrics::{counter, describe_counter};
use tokio::io::{AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use super::source::PostgresWalConfig;
use super::wal;
use crate::Error;

/// How often `pg_receivewal` was started again. Label `log`: the slot.
pub const RESTARTS: &str = "buttress_backup_log_receiver_restarts_total";

/// Starts the program, and kills it when the pipe from us closes, whatever became of us.
const GUARD: &str = r#"exec 3<&0
"$@" </dev/null 3<&- &
child=$!
{ cat <&3; kill -KILL "$child"; } >/dev/null 2>&1 &
guard=$!
exec 3<&-
wait "$child"
status=$?
kill -KILL "$guard" 2>/dev/null
exit "$status""#;

const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(10);
/// A run that lasted this long was well, and the next failure is a new one.
const WELL_AFTER: Duration = Duration::from_mins(1);
/// How much of what the program says is kept, from its end.
const WORDS: usize = 2 << 10;

/// Why the receiver does not run, if it does not.
#[derive(Debug, Clone, Default)]
pub(super) struct Receiver(Arc<Mutex<Option<String>>>);

impl Receiver {
    /// Runs it in the background until the shutdown says drain.
    pub(super) fn start(config: PostgresWalConfig, ctx: &Ctx) -> Self {
        describe_counter!(RESTARTS, "How often pg_receivewal was started again");
        let receiver = Self::default();
        ctx.shutdown.spawn(receiver.clone().run(config, ctx.clone()));
        receiver
    }

    /// Why it does not run.
    pub(super) fn trouble(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tell(&self, trouble: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    async fn run(self, config: PostgresWalConfig, ctx: Ctx) {
        let restarts = counter!(RESTARTS, "log" => config.slot.clone());
        let mut pause = SHORTEST;
        loop {
            let began = ctx.clock.now();
            let ended = tokio::select! {
                ended = self.once(&config) => ended,
                // What it has received is in its folder; the rest the slot keeps.
                () = ctx.shutdown.drained() => return,
            };
            if ctx.clock.now().saturating_duration_since(began) > WELL_AFTER {
                pause = SHORTEST;
            }
            tracing::warn!(target: "buttress::backup", slot = config.slot, ended, "pg_receivewal ended; starting it again");
            self.tell(Some(ended));
            restarts.increment(1);
            tokio::select! {
                () = ctx.clock.sleep(pause) => {}
                () = ctx.shutdown.drained() => return,
            }
            pause = pause.saturating_mul(2).min(LONGEST);
        }
    }

    /// Runs it once; how it ended.
    async fn once(&self, config: &PostgresWalConfig) -> String {
        let folder = config.folder.clone();
        let cleared = tokio::task::spawn_blocking(move || remove_empty(&folder)).await;
        if let Ok(Err(error)) = cleared {
            return format!("the folder {} cannot be read: {error}", config.folder.display());
        }
        let arguments = ["--no-loop", "--synchronous", "--status-interval=1"];
        match command(config, &arguments)
            .and_then(|mut command| command.spawn().map_err(|error| error.to_string()))
        {
            Ok(child) => {
                self.tell(None);
                words(child).await
            }
            Err(problem) => format!("{} does not start: {problem}", config.program.display()),
        }
    }
}

/// Makes the slot, if it is not there.
pub(super) async fn make_slot(config: &PostgresWalConfig, ctx: &Ctx) -> Result<(), Error> {
    let fail = |problem: String| Error::Source { of: config.slot.clone(), problem, source: None };
    let made = async {
        let child = command(config, &["--create-slot", "--if-not-exists"])?.spawn().map_err(|error| {
            format!(
                "{} does not start: {error}; install Debian's `postgresql-client`, or set `program`",
                config.program.display()
            )
        })?;
        let said = words(child).await;
        if said.starts_with(WELL) { Ok(()) } else { Err(format!("the slot cannot be made: {said}")) }
    };
    let limit = config.connection.timeout;
    let made = buttress_core::timeout(&*ctx.clock, limit, made).await;
    made.map_err(|_| Error::Timeout { what: "making the replication slot".to_owned(), limit })?.map_err(fail)
}

const WELL: &str = "exit status: 0";

/// Waits for the end; the status, and the last words.
async fn words(mut child: Child) -> String {
    let mut kept = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        let mut stderr = BufReader::new(stderr);
        let mut part = vec![0; 1024];
        while let Ok(read @ 1..) = stderr.read(&mut part).await {
            kept.extend_from_slice(part.get(..read).unwrap_or_default());
            kept.drain(..kept.len().saturating_sub(WORDS));
        }
    }
    let status = child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string());
    format!("{status}, {}", String::from_utf8_lossy(&kept).trim())
}

fn command(config: &PostgresWalConfig, arguments: &[&str]) -> Result<Command, String> {
    let (url, password) = without_password(&config.url)?;
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", GUARD, "sh"])
        .arg(&config.program)
        .arg("--directory")
        .arg(&config.folder)
        .args([&format!("--slot={}", config.slot), &format!("--dbname={url}"), "--no-password"])
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if let Some(password) = password {
        command.env("PGPASSWORD", password);
    }
    if let Some(file) = &config.connection.ca_file {
        command.env("PGSSLROOTCERT", file);
    }
    Ok(command)
}

/// The address as everybody on the machine may see it, and the password, which nobody may.
fn without_password(address: &Address) -> Result<(String, Option<String>), String> {
    let text = address.expose();
    let (scheme, rest) = text.split_once("://").ok_or("the address has no `://`")?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if path.contains("password=") {
        return Err("put the password before the host, `postgres://user:password@host`, not behind the `?`"
            .to_owned());
    }
    let Some((login, host)) = authority.rsplit_once('@') else { return Ok((text.to_owned(), None)) };
    let (user, password) = login.split_once(':').map_or((login, None), |(user, word)| (user, Some(word)));
    let password = password.map(percent_decoded).transpose()?;
    Ok((format!("{scheme}://{user}@{host}{path}"), password))
}

fn percent_decoded(text: &str) -> Result<String, String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(digits.ok_or("the password has a `%` without two hexadecimal digits; write it `%25`")?);
        bytes.extend_from_slice(part.get(2..).unwrap_or_default().as_bytes());
    }
    String::from_utf8(bytes).map_err(|_| "the password is not UTF-8".to_owned())
}

/// Removes a file that was made and not yet written to: one that was cut short while it was filled with zeros keeps `pg_receivewal` from starting.
fn remove_empty(folder: &Path) -> std::io::Result<()> {
    for file in wal::files(folder)? {
        let shape = wal::Shape::read(&file.path);
        if file.partial && matches!(shape, Ok(None)) {
            std::fs::remove_file(&file.path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_password_is_not_on_the_command_line() {
        let parts = |text: &str| without_password(&text.parse().unwrap());
        let whole = parts("postgres://me:a%40b%25@host:5432/db?sslmode=require").unwrap();
        assert_eq!(whole, ("postgres://me@host:5432/db?sslmode=require".to_owned(), Some("a@b%".to_owned())));
        assert_eq!(parts("postgres://me@host/db").unwrap(), ("postgres://me@host/db".to_owned(), None));
        assert!(parts("postgres://me@host/db?password=x").is_err());
        assert!(parts("postgres://me:100%@host/db").is_err());
    }
}
