//! Restored files, against a list of what they were.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use buttress_core::{Ctx, Validate, Violations, units};
use ring::digest;
use serde::{Deserialize, Serialize};

use super::query::fresh;
use super::{Verdict, Verifier, require_inside};
use crate::Error;
use crate::source::{failed, require_name};

/// What lies in a folder: each path in it, with what is there.
///
/// Paths have `/` between their parts; bytes that are not ASCII, and backslashes, are written as in a string of Rust (`\xe4`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Manifest(BTreeMap<String, Entry>);

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
enum Entry {
    Folder,
    File {
        bytes: u64,
        sha256: String,
    },
    Link {
        to: String,
    },
    /// A socket, a pipe, a device: that it is there.
    Other,
}

impl Manifest {
    /// Reads all files in `folder` and hashes them. Waits for the disk.
    ///
    /// # Errors
    ///
    /// [`Error::File`] for what cannot be read.
    pub fn of(folder: &Path) -> Result<Self, Error> {
        Self::read(folder, &mut Look { stop: &AtomicBool::new(false), newest: None })
    }

    /// How many paths there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn read(folder: &Path, look: &mut Look<'_>) -> Result<Self, Error> {
        let mut manifest = Self::default();
        manifest.add(folder, "", look)?;
        Ok(manifest)
    }

    fn add(&mut self, folder: &Path, prefix: &str, look: &mut Look<'_>) -> Result<(), Error> {
        let cannot_list = |error| Error::file("list", folder, error);
        for entry in fs::read_dir(folder).map_err(cannot_list)? {
            let entry = entry.map_err(cannot_list)?;
            let path = entry.path();
            let cannot_read = |error| Error::file("read", &path, error);
            if look.stop.load(Ordering::Relaxed) {
                return Err(Error::Stopped);
            }
            let about = entry.metadata().map_err(cannot_read)?;
            let name = format!("{prefix}{}", entry.file_name().as_encoded_bytes().escape_ascii());
            let found = if about.is_dir() {
                self.add(&path, &format!("{name}/"), look)?;
                Entry::Folder
            } else if about.is_file() {
                look.newest = look.newest.max(about.modified().ok());
                hash(&path, look.stop).map_err(cannot_read)?
            } else if about.is_symlink() {
                let to = fs::read_link(&path).map_err(cannot_read)?;
                Entry::Link { to: to.as_os_str().as_encoded_bytes().escape_ascii().to_string() }
            } else {
                Entry::Other
            };
            self.0.insert(name, found);
        }
        Ok(())
    }
}

struct Look<'a> {
    stop: &'a AtomicBool,
    /// When the newest file was changed.
    newest: Option<SystemTime>,
}

fn hash(path: &Path, stop: &AtomicBool) -> io::Result<Entry> {
    let (mut file, mut sum) = (fs::File::open(path)?, digest::Context::new(&digest::SHA256));
    let (mut buffer, mut bytes) = (vec![0; 256 << 10], 0_u64);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 || stop.load(Ordering::Relaxed) {
            break;
        }
        sum.update(buffer.get(..read).unwrap_or_default());
        bytes = bytes.saturating_add(read as u64);
    }
    Ok(Entry::File { bytes, sha256: data_encoding::HEXLOWER.encode(sum.finish().as_ref()) })
}

/// Which files.
///
/// | field | default | |
/// |---|---|---|
/// | `name` | – | the verifier's name |
/// | `path` | – | the restored folder, `files/srv/blobs` |
/// | `at_least_files` | 1 | how many files there must be |
/// | `newest_within` | none | how long before the backup the newest file may have been changed |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct FilesConfig {
    /// The verifier's name.
    pub name: String,
    /// The restored folder.
    pub path: PathBuf,
    /// How many files there must be.
    pub at_least_files: u64,
    /// How long ago the newest file may have been changed.
    #[serde(with = "units::optional_duration")]
    pub newest_within: Option<Duration>,
}

impl Default for FilesConfig {
    fn default() -> Self {
        Self { name: String::new(), path: PathBuf::new(), at_least_files: 1, newest_within: None }
    }
}

impl Validate for FilesConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        require_name(&self.name, &mut wrong);
        require_inside(&self.path, &mut wrong);
        wrong.into_result()
    }
}

/// Reads all restored files.
#[derive(Debug, Clone)]
pub struct Files {
    config: FilesConfig,
    manifest: Option<Arc<Manifest>>,
    ctx: Ctx,
}

impl Files {
    /// The verifier that `config` describes.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when something is wrong with it.
    pub fn new(config: FilesConfig, ctx: &Ctx) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        Ok(Self { config, manifest: None, ctx: ctx.clone() })
    }

    /// The files must be those of the manifest, and no others.
    #[must_use]
    pub fn against(mut self, manifest: Manifest) -> Self {
        self.manifest = Some(Arc::new(manifest));
        self
    }

    fn look(&self, folder: &Path, made: SystemTime, stop: &AtomicBool) -> Result<Verdict, Error> {
        let (config, mut verdict) = (&self.config, Verdict::new());
        if !folder.is_dir() {
            verdict.add(format!("the folder {}", config.path.display()), "a folder", "no folder", false);
            return Ok(verdict);
        }
        let mut look = Look { stop, newest: None };
        let found = Manifest::read(folder, &mut look)?;
        let files = found.0.values().filter(|entry| matches!(entry, Entry::File { .. })).count() as u64;
        let least = config.at_least_files;
        verdict.add("files", format!("at least {least}"), files.to_string(), files >= least);
        if let Some(within) = config.newest_within {
            fresh("the newest file", look.newest, within, made, &mut verdict);
        }
        if let Some(expected) = &self.manifest {
            compare(expected, &found, &mut verdict);
        }
        Ok(verdict)
    }
}

fn compare(expected: &Manifest, found: &Manifest, verdict: &mut Verdict) {
    let mut add = |what: &str, wrong: Vec<&String>| {
        verdict.add(format!("{what} of {} paths", expected.len()), "none", listed(&wrong), wrong.is_empty());
    };
    add("missing", expected.0.keys().filter(|path| !found.0.contains_key(*path)).collect());
    let changed = |(path, entry): &(&String, &Entry)| found.0.get(*path).is_some_and(|other| other != *entry);
    add("changed", expected.0.iter().filter(changed).map(|(path, _)| path).collect());
    add("unexpected, beside those", found.0.keys().filter(|path| !expected.0.contains_key(*path)).collect());
    verdict.add("paths in the manifest", "at least 1", expected.len().to_string(), !expected.is_empty());
}

/// How many they are, and the first of them.
fn listed(paths: &[&String]) -> String {
    if paths.is_empty() {
        return "none".to_owned();
    }
    let first: Vec<&str> = paths.iter().take(10).map(|path| path.as_str()).collect();
    let more = if paths.len() > first.len() { ", …" } else { "" };
    format!("{}: {}{more}", paths.len(), first.join(", "))
}

/// Tells the thread to stop when it is dropped.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Verifier for Files {
    fn name(&self) -> &str {
        &self.config.name
    }

    async fn verify(&self, restored: &Path, made: SystemTime) -> Result<Verdict, Error> {
        let stop = Stop(Arc::default());
        let (looking, folder, stopping) =
            (self.clone(), restored.join(&self.config.path), Arc::clone(&stop.0));
        let look = tokio::task::spawn_blocking(move || looking.look(&folder, made, &stopping));
        tokio::select! {
            () = self.ctx.shutdown.stopped() => Err(Error::Stopped),
            looked = look => looked.unwrap_or_else(|gone| {
                Err(failed(&self.config.name, "the look was given up", gone))
            }),
        }
    }
}
