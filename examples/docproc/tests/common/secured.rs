//! Security, set up in a folder.

use std::path::{Path, PathBuf};

use super::docproc;
use super::service::Service;

/// What `docproc init` printed.
pub(crate) struct Secured {
    pub(crate) folder: PathBuf,
    pub(crate) key: String,
    pub(crate) seed: Option<String>,
    pub(crate) shown: String,
}

/// Runs `docproc init` for Ann, an administrator.
pub(crate) fn init(folder: &Path) -> Secured {
    let security = folder.join("security");
    let mut command = docproc();
    command.args(["init", "--owner", "ann", "--set", &setting(&security)]);
    let output = command.output().unwrap();
    let shown = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{shown}");
    let indented =
        |is: &dyn Fn(&str) -> bool| shown.lines().map(str::trim).find(|line| is(line)).map(str::to_owned);
    let key = indented(&|line| line.starts_with("docproc_")).unwrap();
    let seed = indented(&|line| line.len() == 64 && line.bytes().all(|byte| byte.is_ascii_hexdigit()));
    Secured { folder: security, key, seed, shown }
}

fn setting(folder: &Path) -> String {
    format!("security.folder={}", folder.display())
}

impl Secured {
    /// Starts the service with security on.
    pub(crate) fn start(&self, folder: &Path, more: &[&str]) -> Service {
        let place = setting(&self.folder);
        Service::start(folder, &[&["--set", "security.enabled=true", "--set", &place], more].concat())
    }
}
