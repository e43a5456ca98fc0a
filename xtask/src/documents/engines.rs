//! Who takes part: our pipeline, and rivals from their registries.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::workspace::{self, Workspace, succeeds};

/// The example in `buttress-benches` that is our worker.
const OURS: &str = "documents_worker";
/// The versions of the Python rivals.
const REQUIREMENTS: &str = "benches/documents/requirements.txt";

/// Something that makes text of documents.
#[derive(Debug, Clone, Copy)]
pub(super) struct Engine {
    /// As tables name it.
    pub(super) name: &'static str,
    start: Start,
    /// The formats it is measured on.
    pub(super) formats: &'static [&'static str],
}

#[derive(Debug, Clone, Copy)]
enum Start {
    /// Our worker, with this argument.
    Ours(&'static str),
    /// A Python package.
    Package(&'static str),
    /// A program, started for each document, and the argument that makes it say its version.
    Program(&'static str, &'static str),
}

const ALL_FORMATS: &[&str] = &[
    "pdf", "docx", "xlsx", "pptx", "doc", "xls", "ppt", "odt", "ods", "odp", "rtf", "epub", "html", "md",
    "eml",
];

/// The first is the side that all others are compared with, the second the same with all stages. Of the rivals, the
/// first that reads a format is the one to look at when texts differ.
pub(super) const ENGINES: [Engine; 10] = [
    Engine { name: "buttress", start: Start::Ours("text"), formats: ALL_FORMATS },
    Engine { name: "buttress, all stages", start: Start::Ours("whole"), formats: ALL_FORMATS },
    Engine { name: "pdfium", start: Start::Package("pypdfium2"), formats: &["pdf"] },
    Engine { name: "mupdf", start: Start::Package("pymupdf"), formats: &["pdf"] },
    Engine { name: "pdftotext", start: Start::Program("pdftotext", "-v"), formats: &["pdf"] },
    Engine { name: "kreuzberg", start: Start::Package("kreuzberg"), formats: ALL_FORMATS },
    Engine {
        name: "pandoc",
        start: Start::Program("pandoc", "--version"),
        formats: &["docx", "odt", "rtf", "epub", "html", "md"],
    },
    Engine { name: "extractous", start: Start::Package("extractous"), formats: ALL_FORMATS },
    Engine {
        name: "markitdown",
        start: Start::Package("markitdown"),
        formats: &["pdf", "docx", "xlsx", "pptx", "epub", "html", "md"],
    },
    Engine { name: "pypdf", start: Start::Package("pypdf"), formats: &["pdf"] },
];

impl Engine {
    pub(super) fn is_ours(&self) -> bool {
        matches!(self.start, Start::Ours(_))
    }

    pub(super) fn reads(&self, format: &str) -> bool {
        self.formats.contains(&format)
    }
}

/// The engines, installed and ready to start.
#[derive(Debug)]
pub(super) struct Ready {
    /// Each with its version.
    pub(super) engines: Vec<(Engine, String)>,
    /// Those that are not there, and why.
    pub(super) missing: Vec<String>,
    worker: PathBuf,
    python: PathBuf,
    script: PathBuf,
}

impl Ready {
    /// Builds ours, installs the rivals. With names in `wanted`, only those (and ours) take part.
    pub(super) fn make(workspace: &Workspace, wanted: &[String]) -> Result<Self> {
        let build = ["build", "--quiet", "--release", "--package", "buttress-benches", "--example", OURS];
        ensure!(succeeds(&mut workspace.cargo(build))?, "our worker does not build");
        let requirements = std::fs::read_to_string(workspace.root.join(REQUIREMENTS))?;
        let python = install(workspace, &requirements)?;
        let mut engines = Vec::new();
        let mut missing = Vec::new();
        for engine in ENGINES {
            if !engine.is_ours() && !wanted.is_empty() && !wanted.iter().any(|name| name == engine.name) {
                continue;
            }
            match version(engine, &requirements) {
                Some(version) => engines.push((engine, version)),
                None => missing.push(format!("{}: not on this machine", engine.name)),
            }
        }
        Ok(Self {
            engines,
            missing,
            worker: workspace.target.join("release/examples").join(OURS),
            python,
            script: workspace.root.join("benches/documents/rivals.py"),
        })
    }

    /// What starts a worker of the engine.
    pub(super) fn command(&self, engine: Engine) -> Command {
        match engine.start {
            Start::Ours(mode) => {
                let mut command = Command::new(&self.worker);
                command.arg(mode);
                command
            }
            Start::Package(_) | Start::Program(..) => {
                let mut command = Command::new(&self.python);
                command.arg("-B").arg(&self.script).arg(engine.name);
                command
            }
        }
    }
}

fn version(engine: Engine, requirements: &str) -> Option<String> {
    match engine.start {
        Start::Ours(_) => Some(env!("CARGO_PKG_VERSION").to_owned()),
        Start::Package(package) => requirements
            .lines()
            .filter_map(|line| line.split_once("=="))
            .find(|(name, _)| *name == package)
            .map(|(_, version)| version.to_owned()),
        Start::Program(program, argument) => {
            let said = Command::new(program).arg(argument).output().ok()?;
            // Some tell it on standard output, some on standard error.
            let text = [said.stdout, said.stderr].concat();
            let text = String::from_utf8_lossy(&text);
            text.lines().next()?.split_whitespace().last().map(str::to_owned)
        }
    }
}

/// A Python with the rivals in it. Does nothing if it has them already.
fn install(workspace: &Workspace, requirements: &str) -> Result<PathBuf> {
    let folder = workspace.scratch("rivals");
    let python = folder.join("bin/python");
    let installed = folder.join("requirements.txt");
    if std::fs::read_to_string(&installed).is_ok_and(|has| has == requirements) && python.exists() {
        return Ok(python);
    }
    eprintln!("installing the rivals into {}", folder.display());
    workspace::output(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))
        .context("the rivals need python3 with its venv module (on Debian: apt-get install python3-venv)")?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
        .arg(workspace.root.join(REQUIREMENTS));
    ensure!(succeeds(&mut pip)?, "pip could not install the rivals");
    std::fs::write(&installed, requirements)?;
    Ok(python)
}

/// What the machine is, for the report.
pub(super) fn machine() -> String {
    let processors = std::fs::read_to_string(Path::new("/proc/cpuinfo")).unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("{}, {cores} cores", model.map_or(std::env::consts::ARCH, |(_, model)| model))
}
