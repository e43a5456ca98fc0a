//! What is done before and after files are read, so that they hold still.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use buttress_core::{BoxFuture, Ctx, Shutdown, Validate, Violations, timeout, units};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::{Hold, failed};
use crate::{Error, program};

/// Two commands, without a shell: the program and its arguments.
///
/// | field | default | |
/// |---|---|---|
/// | `before` | none | what holds still: `["fsfreeze", "--freeze", "/srv"]` |
/// | `after` | none | what lets go; run also when `before` failed or was cut off, so it must bear that nothing was held |
/// | `limit` | `"1m"` | how long each may take |
/// | `longest` | `"15m"` | how long it may be held; then it is let go, and the snapshot does not count |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HooksConfig {
    /// What holds still.
    pub before: Vec<String>,
    /// What lets go.
    pub after: Vec<String>,
    /// How long each may take.
    #[serde(with = "units::duration")]
    pub limit: Duration,
    /// How long it may be held.
    #[serde(with = "units::duration")]
    pub longest: Duration,
}

impl Default for HooksConfig {
    fn default() -> Self {
        let (limit, longest) = (Duration::from_mins(1), Duration::from_mins(15));
        Self { before: Vec::new(), after: Vec::new(), limit, longest }
    }
}

impl Validate for HooksConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let any = !(self.before.is_empty() && self.after.is_empty());
        wrong.require(any, "before", "[]", "must be a program and its arguments, or `after` must");
        for (field, command) in [("before", &self.before), ("after", &self.after)] {
            let named = command.first().is_none_or(|program| !program.is_empty());
            wrong.require(named, field, format_args!("{command:?}"), "must begin with a program");
        }
        for (field, time) in [("limit", self.limit), ("longest", self.longest)] {
            wrong.require(!time.is_zero(), field, units::format_duration(time), "must be more than 0");
        }
        wrong.into_result()
    }
}

type Action = dyn Fn() -> BoxFuture<'static, Result<(), BoxError>> + Send + Sync;
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Something done before and something done after, which is done whatever happens: see [`Hold`].
#[derive(Clone)]
pub struct Hooks {
    name: String,
    before: Arc<Action>,
    after: Arc<Action>,
    limit: Duration,
    longest: Duration,
    ctx: Ctx,
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hooks({})", self.name)
    }
}

impl Hooks {
    /// The commands of `config`. `name` is theirs in errors.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when something is wrong with it.
    pub fn commands(name: impl Into<String>, config: HooksConfig, ctx: &Ctx) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        let name = name.into();
        let before = command(&name, config.before, config.limit, ctx.clone());
        // A stopping service still lets go.
        let unstopped = Ctx { shutdown: Shutdown::new(), ..ctx.clone() };
        let after = command(&name, config.after, config.limit, unstopped);
        let (limit, longest) = (config.limit, config.longest);
        Ok(Self { name, before, after, limit, longest, ctx: ctx.clone() })
    }

    /// Calls of the service's own, with the limits of [`HooksConfig::default`].
    pub fn calls<B, A>(
        name: impl Into<String>,
        before: impl Fn() -> B + Send + Sync + 'static,
        after: impl Fn() -> A + Send + Sync + 'static,
        ctx: &Ctx,
    ) -> Self
    where
        B: Future<Output = Result<(), BoxError>> + Send + 'static,
        A: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let HooksConfig { limit, longest, .. } = HooksConfig::default();
        Self {
            name: name.into(),
            before: Arc::new(move || Box::pin(before())),
            after: Arc::new(move || Box::pin(after())),
            limit,
            longest,
            ctx: ctx.clone(),
        }
    }

    /// Other limits: how long each call may take, and how long it may be held.
    #[must_use]
    pub fn limits(mut self, limit: Duration, longest: Duration) -> Self {
        (self.limit, self.longest) = (limit, longest);
        self
    }

    /// Does what comes before. What comes after is done when the hold is released or dropped, when it has lasted for as long as it may,
    /// and also when this fails or is dropped itself.
    ///
    /// # Errors
    ///
    /// [`Error::Source`] or [`Error::Timeout`] of what came before; what came after has been done then. [`Error::Stopped`] after a shutdown.
    pub async fn hold(&self) -> Result<Hold, Error> {
        if self.ctx.shutdown.is_stopping() {
            return Err(Error::Stopped);
        }
        let after = {
            let hooks = self.clone();
            async move { hooks.done("let go", (hooks.after)()).await }
        };
        // First, so that there is no moment in which something is held and nobody lets go.
        let hold = Hold::begin(&self.name, self.longest, &self.ctx, after);
        let before = tokio::select! {
            before = self.done("hold still", (self.before)()) => before,
            () = self.ctx.shutdown.stopped() => Err(Error::Stopped),
        };
        match before {
            Ok(()) => Ok(hold),
            Err(error) => {
                // The first error is told; that of the letting go belongs to it.
                let _ = hold.release().await;
                Err(error)
            }
        }
    }

    async fn done(
        &self,
        what: &str,
        action: impl Future<Output = Result<(), BoxError>>,
    ) -> Result<(), Error> {
        match timeout(&*self.ctx.clock, self.limit, action).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(failed(&self.name, format!("cannot {what}"), error)),
            Err(_) => Err(Error::Timeout { what: format!("{}: to {what}", self.name), limit: self.limit }),
        }
    }
}

/// A command as a call; none is done at once.
fn command(name: &str, words: Vec<String>, limit: Duration, ctx: Ctx) -> Arc<Action> {
    let name = name.to_owned();
    Arc::new(move || {
        let (name, words, ctx) = (name.clone(), words.clone(), ctx.clone());
        Box::pin(async move {
            let Some((program, arguments)) = words.split_first() else { return Ok(()) };
            let mut command = Command::new(program);
            command.args(arguments);
            program::run_well(&name, command, limit, &ctx).await?;
            Ok(())
        })
    })
}
