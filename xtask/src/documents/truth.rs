//! PDFs whose text is known, because we wrote it: LaTeX sources beside their plain text, compiled on this machine.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::corpus::Set;
use crate::workspace::{self, Workspace};

const SCRIPT: &str = "benches/documents/truth.py";

/// The set of made PDFs, and what is not in it for which reason.
pub(super) fn make(workspace: &Workspace, count: usize, seed: u64) -> Result<(Option<Set>, Vec<String>)> {
    let missing: Vec<_> = ["pdflatex", "xelatex"]
        .into_iter()
        .filter(|program| workspace::output(Command::new(program).arg("--version")).is_err())
        .collect();
    if !missing.is_empty() {
        let packages = "texlive-latex-extra texlive-fonts-recommended texlive-xetex texlive-lang-european \
                        texlive-lang-german texlive-lang-french texlive-lang-spanish lmodern";
        let reason = format!(
            "PDFs of known text: {} not on this machine (on Debian: apt-get install {packages})",
            missing.join(" and ")
        );
        return Ok((None, vec![reason]));
    }
    let folder = workspace.scratch("truth");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    let mut script = Command::new("python3");
    script
        .arg("-B")
        .arg(workspace.root.join(SCRIPT))
        .arg(&folder)
        .args([count.to_string(), seed.to_string()]);
    let list = workspace::output(&mut script)?;
    eprintln!("making {count} PDFs of known text");
    let (mut files, mut truths, mut remarks) = (Vec::new(), Vec::new(), Vec::new());
    for line in list.lines() {
        let (compiler, name) = line.split_once(' ').context("the script names a compiler and a document")?;
        if compiles(&folder, compiler, name) {
            files.push(folder.join(format!("{name}.pdf")));
            truths.push(std::fs::read_to_string(folder.join(format!("{name}.txt")))?);
        } else {
            let log = folder.join(format!("{name}.log"));
            eprintln!("{compiler} failed: see {}", log.display());
            remarks.push(format!("PDF {name} of known text: this machine's {compiler} cannot make it"));
        }
    }
    let set =
        Set { name: "pdf of known text".to_owned(), format: "pdf".to_owned(), files, truths: Some(truths) };
    Ok(((!set.files.is_empty()).then_some(set), remarks))
}

/// Whether it could be done: one TeX has fonts and languages that another has not.
fn compiles(folder: &Path, compiler: &str, name: &str) -> bool {
    let mut latex = Command::new(compiler);
    latex
        .args(["-interaction=batchmode", "-halt-on-error", "-no-shell-escape", name])
        .current_dir(folder)
        // The same bytes for the same source.
        .envs([("SOURCE_DATE_EPOCH", "0"), ("FORCE_SOURCE_DATE", "1")]);
    workspace::output(&mut latex).is_ok()
}
