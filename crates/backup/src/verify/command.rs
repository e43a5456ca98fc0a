//! A program of the user's.

use std::path::Path;
use std::time::{Duration, SystemTime};

use buttress_core::{Ctx, Validate, Violations, units};
use serde::{Deserialize, Serialize};

use super::{Verdict, Verifier};
use crate::source::require_name;
use crate::{Error, program};

/// Which program.
///
/// | field | default | |
/// |---|---|---|
/// | `name` | – | the verifier's name |
/// | `command` | – | the program and its arguments, without a shell |
/// | `timeout` | `"10m"` | how long it may run; then it is killed with all that it started, and has not passed |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CommandConfig {
    /// The verifier's name.
    pub name: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// How long it may run.
    #[serde(with = "units::duration")]
    pub timeout: Duration,
}

impl Default for CommandConfig {
    fn default() -> Self {
        Self { name: String::new(), command: Vec::new(), timeout: Duration::from_mins(10) }
    }
}

impl Validate for CommandConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        require_name(&self.name, &mut wrong);
        let named = self.command.first().is_some_and(|program| !program.is_empty());
        wrong.require(
            named,
            "command",
            format_args!("{:?}", self.command),
            "must be a program and its arguments",
        );
        wrong.require(!self.timeout.is_zero(), "timeout", "0s", "must be more than 0; \"10m\" is usual");
        wrong.into_result()
    }
}

/// A program of yours, run in the restored folder, whose name it is also told in `BUTTRESS_RESTORED`. It passes when it ends with status 0.
#[derive(Debug, Clone)]
pub struct Command {
    config: CommandConfig,
    ctx: Ctx,
}

impl Command {
    /// The verifier that `config` describes.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when something is wrong with it.
    pub fn new(config: CommandConfig, ctx: &Ctx) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        Ok(Self { config, ctx: ctx.clone() })
    }
}

impl Verifier for Command {
    fn name(&self) -> &str {
        &self.config.name
    }

    async fn verify(&self, restored: &Path, _made: SystemTime) -> Result<Verdict, Error> {
        let Self { config, ctx } = self;
        let (program, arguments) = config.command.split_first().map_or(("", &[][..]), |(p, a)| (p, a));
        let mut command = tokio::process::Command::new(program);
        command.args(arguments).current_dir(restored).env("BUTTRESS_RESTORED", restored);
        let (found, passed) = match program::run(&config.name, command, config.timeout, ctx).await {
            Ok(ended) if ended.status.success() => (ended.status.to_string(), true),
            Ok(ended) => (format!("{}: {}", ended.status, ended.complaint.trim()), false),
            Err(error @ Error::Timeout { .. }) => (error.to_string(), false),
            Err(error) => return Err(error),
        };
        let mut verdict = Verdict::new();
        verdict.add(format!("the command `{}`", config.command.join(" ")), "exit status: 0", found, passed);
        Ok(verdict)
    }
}
