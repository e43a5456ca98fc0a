//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use buttress_core::units::parse_duration;
use buttress_secrets::Stage;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Looks after a vault: secrets in an encrypted file.
#[derive(Debug, Parser)]
#[command(name = "secrets", max_term_width = 100)]
pub(crate) struct Cli {
    /// The vault file.
    #[arg(long, global = true, default_value = "secrets.vault", value_name = "FILE")]
    pub(crate) vault: PathBuf,
    #[command(flatten)]
    pub(crate) key: KeyArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where the vault's key is. Without any of these it is asked for on the terminal.
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// Read the passphrase from this file.
    #[arg(long, global = true, value_name = "FILE", conflicts_with_all = ["passphrase_variable", "key_file"])]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Read the passphrase from this environment variable.
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "key_file")]
    pub(crate) passphrase_variable: Option<String>,
    /// Take this file as the key: 32 bytes of chance or more.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
}

/// Where the new key is. Without any of these it is asked for on the terminal.
#[derive(Debug, Args)]
#[group(multiple = false)]
#[expect(clippy::struct_field_names, reason = "they are the names of the options")]
pub(crate) struct NewKeyArgs {
    /// Read the new passphrase from this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) new_passphrase_file: Option<PathBuf>,
    /// Read the new passphrase from this environment variable.
    #[arg(long, value_name = "NAME")]
    pub(crate) new_passphrase_variable: Option<String>,
    /// Take this file as the new key: 32 bytes of chance or more.
    #[arg(long, value_name = "FILE")]
    pub(crate) new_key_file: Option<PathBuf>,
}

/// Where a value comes from. Without any of these it is read from standard input, or asked for on the terminal.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct ValueArgs {
    /// Make a value from so many bytes of chance, as hexadecimal text.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u16).range(16..=1024))]
    pub(crate) random: Option<u16>,
    /// Read the value from this file, as it is.
    #[arg(long, value_name = "FILE")]
    pub(crate) from_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a vault with nothing in it.
    Init,
    /// Put a value in the place of the current one, at once. What rotates without failures is `rotate`.
    Set {
        /// Its name: db/password.
        name: String,
        #[command(flatten)]
        value: ValueArgs,
    },
    /// Write a value to standard output.
    Get {
        /// Its name.
        name: String,
        /// Which version.
        #[arg(long, value_enum, default_value = "current")]
        stage: StageArg,
        /// Also if standard output is a terminal, which remembers what it showed.
        #[arg(long)]
        reveal: bool,
    },
    /// Show the names and versions, without any value.
    List,
    /// Remove a secret in all its versions.
    Remove {
        /// Its name.
        name: String,
    },
    /// Go on with a rotation: do what is due, or the step that is named.
    Rotate {
        /// Its name.
        name: String,
        /// The step to make now, due or not. In order: create, switch, retire.
        #[arg(long, value_enum)]
        step: Option<StepArg>,
        /// So long after a value came into use the next one is made.
        #[arg(long, value_parser = parse_duration, default_value = "30d", value_name = "TIME")]
        every: Duration,
        /// So long both are accepted before the switch.
        #[arg(long, value_parser = parse_duration, default_value = "2h", value_name = "TIME")]
        overlap: Duration,
        /// So long both are accepted after the switch.
        #[arg(long, value_parser = parse_duration, default_value = "2h", value_name = "TIME")]
        grace: Duration,
        #[command(flatten)]
        value: ValueArgs,
    },
    /// Encrypt everything again, under a new key.
    Rekey {
        #[command(flatten)]
        key: NewKeyArgs,
    },
    /// Read and decrypt everything, as a check.
    Verify,
    /// Write shares of the vault's root key, for the day on which its key is lost.
    Export {
        /// How many shares open the vault.
        #[arg(long, value_parser = clap::value_parser!(u8).range(2..), value_name = "NUMBER")]
        threshold: u8,
        /// How many shares to make.
        #[arg(long, value_parser = clap::value_parser!(u8).range(2..), value_name = "NUMBER")]
        shares: u8,
        /// The folder to write them to, each as a file of its own.
        #[arg(long, value_name = "FOLDER")]
        into: PathBuf,
    },
    /// Open a vault with shares, and give it a new key.
    Recover {
        /// A file with a share; once for each.
        #[arg(long = "share", required = true, value_name = "FILE")]
        shares: Vec<PathBuf>,
        #[command(flatten)]
        key: NewKeyArgs,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum StageArg {
    Current,
    Previous,
    Next,
}

impl From<StageArg> for Stage {
    fn from(stage: StageArg) -> Self {
        match stage {
            StageArg::Current => Self::Current,
            StageArg::Previous => Self::Previous,
            StageArg::Next => Self::Next,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum StepArg {
    Create,
    Switch,
    Retire,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
