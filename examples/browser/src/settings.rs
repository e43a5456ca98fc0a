//! `--set`, which may stand before and behind each word of a command, in part here and in part there.
//!
//! A global argument of clap's loses what stands before a subcommand if more stands behind it (clap issue 1570). So each command has an argument
//! of its own, and all of them are collected.

use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches};

/// Of the field of the command line that all are to be in.
const ID: &str = "settings";

/// The command line, and all its settings in their order.
pub(crate) fn parse<T: CommandFactory + FromArgMatches>() -> (T, Vec<String>) {
    let command = T::command();
    let set = command.get_arguments().find(|argument| argument.get_id() == ID).cloned();
    let command = if let Some(set) = set { with(command, &set) } else { command };
    let matches = command.get_matches();
    let parsed = T::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    (parsed, collected(&matches))
}

/// The command, each of whose subcommands has the argument too.
fn with(command: Command, set: &Arg) -> Command {
    command.mut_subcommands(|subcommand| with(subcommand.arg(set), set))
}

fn collected(matches: &ArgMatches) -> Vec<String> {
    let here = matches.try_get_many::<String>(ID).ok().flatten().into_iter().flatten().cloned();
    let below = matches.subcommand().map(|(_, matches)| collected(matches));
    here.chain(below.unwrap_or_default()).collect()
}
