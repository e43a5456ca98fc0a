//! The commands that documents tell people to type.

use anyhow::Result;
use clap::Parser;
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser as Markdown, Tag, TagEnd};

use super::sources::Files;
use super::{Breach, Findings};
use crate::workspace::{Package, Workspace};
use crate::{Cli, Command, bench, faults};

/// Every `cargo xtask …` and `cargo run …` in a code block of a Markdown file is one that works today.
pub(super) fn exist(files: &Files, workspace: &Workspace) -> Result<Findings> {
    let areas = Areas { bench: bench::areas(workspace)?, faults: faults::areas() };
    let mut checked = 0;
    let mut problems = Vec::new();
    for (name, text) in files.ending(".md") {
        for (offset, command) in commands(text) {
            checked += 1;
            if let Err(problem) = check(&command, &workspace.packages, &areas) {
                let line = text.get(..offset).unwrap_or_default().lines().count() + 1;
                problems.push(Breach::new(
                    format!("{name}:{line}"),
                    format!("`{}`: {problem}", command.join(" ")),
                    "write the command as it is now",
                ));
            }
        }
    }
    Ok((checked, problems))
}

/// What can be named after `bench` and `faults`.
struct Areas {
    bench: Vec<String>,
    faults: Vec<&'static str>,
}

/// The cargo commands in a document's code blocks, with where they start.
fn commands(text: &str) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    let mut in_shell = false;
    for (event, range) in Markdown::new_ext(text, Options::empty()).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => in_shell = is_shell(&kind),
            Event::End(TagEnd::CodeBlock) => in_shell = false,
            Event::Text(block) if in_shell => {
                let mut offset = range.start;
                for line in block.split_inclusive('\n') {
                    found.extend(line.split("&&").filter_map(cargo_words).map(|words| (offset, words)));
                    offset += line.len();
                }
            }
            _ => {}
        }
    }
    found
}

fn is_shell(kind: &CodeBlockKind<'_>) -> bool {
    match kind {
        CodeBlockKind::Indented => false,
        CodeBlockKind::Fenced(language) => {
            ["", "sh", "bash", "shell", "console"].contains(&language.as_ref())
        }
    }
}

/// The words of a line that starts with cargo, perhaps after a prompt and variables; up to a comment or a pipe.
fn cargo_words(line: &str) -> Option<Vec<String>> {
    let line = line.trim().trim_start_matches("$ ");
    let is_variable = |word: &&str| {
        word.split_once('=')
            .is_some_and(|(name, _)| !name.is_empty() && !name.contains(|letter: char| letter.is_lowercase()))
    };
    let words = line.split_whitespace().skip_while(is_variable);
    let ends = |word: &&str| !matches!(*word, "|" | ">" | "2>&1" | ";" | "\\") && !word.starts_with('#');
    let words: Vec<String> = words.take_while(ends).map(str::to_owned).collect();
    let (cargo, rest) = words.split_first()?;
    let ours = rest.first().is_some_and(|word| word == "xtask" || word == "run");
    (cargo == "cargo" && ours).then_some(words)
}

fn check(command: &[String], packages: &[Package], areas: &Areas) -> Result<(), String> {
    match command.get(1).map(String::as_str) {
        Some("xtask") => check_xtask(command.iter().skip(1), areas),
        _ => check_run(command, packages),
    }
}

fn check_xtask<'a>(words: impl Iterator<Item = &'a String>, areas: &Areas) -> Result<(), String> {
    // Words in capitals or in brackets stand for what the reader chooses: any value does.
    let chosen = |word: &String| word.starts_with(['[', '<']) || *word == word.to_uppercase();
    let words: Vec<&String> = words.collect();
    let cli = match Cli::try_parse_from(&words) {
        Ok(cli) => cli,
        Err(error) if !error.use_stderr() => return Ok(()), // --help
        Err(_) if words.iter().any(|word| chosen(word)) => {
            let known = words.iter().copied().filter(|word| !chosen(word) && !word.starts_with("--"));
            return match Cli::try_parse_from(known) {
                Err(error) if error.use_stderr() => Err(error.kind().to_string()),
                _ => Ok(()),
            };
        }
        Err(error) => return Err(error.kind().to_string()),
    };
    let known = |area: &Option<String>, names: &[&str]| match area {
        Some(area) if !chosen(area) && !names.contains(&area.as_str()) => {
            Err(format!("there is no area {area}"))
        }
        _ => Ok(()),
    };
    match &cli.command {
        Command::Bench(args) => {
            known(&args.area, &areas.bench.iter().map(String::as_str).collect::<Vec<_>>())
        }
        Command::Faults(args) => known(&args.area, &areas.faults),
        _ => Ok(()),
    }
}

/// `cargo run` names a package, and a program or an example that the package has.
fn check_run(command: &[String], packages: &[Package]) -> Result<(), String> {
    let ours: Vec<&str> = command.iter().map(String::as_str).take_while(|word| *word != "--").collect();
    let value = |short: &str, long: &str| {
        let position = ours.iter().position(|word| *word == short || *word == long)?;
        ours.get(position + 1).copied()
    };
    let name = value("-p", "--package").ok_or("names no package: there are many, say `-p NAME`")?;
    let package =
        packages.iter().find(|package| package.name == name).ok_or(format!("there is no package {name}"))?;
    let has = |kind: &str, wanted: Option<&str>| {
        let mut targets = package.targets(kind);
        match wanted {
            Some(wanted) => targets.any(|target| target == wanted),
            None => targets.next().is_some(),
        }
    };
    if let Some(example) = value("--example", "--example") {
        return has("example", Some(example)).then_some(()).ok_or(format!("{name} has no example {example}"));
    }
    has("bin", value("--bin", "--bin")).then_some(()).ok_or(format!("{name} has no such program"))
}

#[cfg(test)]
mod tests {
    use super::super::sample::package;
    use super::*;
    use crate::workspace::Target;

    fn problems(text: &str) -> Vec<String> {
        let mut docproc = package("docproc", &[]);
        docproc.targets.push(Target { name: "docproc".to_owned(), kind: vec!["bin".to_owned()] });
        docproc.targets.push(Target { name: "show".to_owned(), kind: vec!["example".to_owned()] });
        let packages = [docproc, package("buttress-core", &[])];
        let areas = Areas { bench: vec!["config".to_owned()], faults: vec!["docproc"] };
        let check = |(_, command): (usize, Vec<String>)| check(&command, &packages, &areas).err();
        commands(text).into_iter().filter_map(check).collect()
    }

    #[test]
    fn commands_that_exist_are_fine() {
        let text = "```sh\ncargo xtask test   # everything\n$ RUST_LOG=debug cargo run --release -p docproc -- x --y\n\
            cargo run -p docproc --example show | less\ncargo xtask bench config --json && cargo xtask fuzz --seconds 5\n\
            cargo xtask bench AREA\ncargo xtask faults docproc --points 5\ncargo xtask tidy --help\ncargo build --whatever\n```\n";
        assert_eq!(commands(text).len(), 8);
        assert_eq!(problems(text), Vec::<String>::new());
    }

    #[test]
    fn commands_that_do_not_exist_are_found() {
        let text = "```console\n$ cargo xtask fly\n$ cargo xtask test-all\n$ cargo xtask bench lunch\n$ cargo run -p lunch\n\
            $ cargo run -p buttress-core\n$ cargo run -p docproc --example gone\n$ cargo run\n$ cargo xtask tidy --loud\n```\n";
        assert_eq!(problems(text).len(), 8);
    }

    #[test]
    fn only_shell_blocks_are_read() {
        assert!(commands("`cargo xtask fly`\n\n```rust\ncargo xtask fly\n```\n").is_empty());
    }
}
