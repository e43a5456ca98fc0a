//! Browsers that outlived the process that started them.
//!
//! A browser ends when its pipes close, but not one that is stopped or hangs. Each browser is therefore noted in a
//! folder, and who starts next ends the browsers of owners that are gone.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::{Error, Result};
use super::processes::{self, Member};

/// How often it is looked whether a killed browser has ended.
const LOOKS: usize = 300;

/// What is noted of a browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// The running system, [`processes::boot`].
    boot: String,
    /// The process that started the browser: its number, and when it began.
    owner: (i32, u64),
    /// The browser's argument that names its profile; no two browsers share it.
    profile: String,
    /// The folder to remove.
    folder: PathBuf,
    /// The group, and when its leader began; unknown in the moment before the browser starts.
    group: Option<(i32, u64)>,
}

/// The note of one browser.
#[derive(Debug)]
pub(super) struct Note {
    path: PathBuf,
    entry: Entry,
}

impl Note {
    /// Notes a browser that is about to start.
    pub(super) fn write(journal: &Path, profile: &str, folder: &Path) -> Result<Self> {
        fs::create_dir_all(journal).map_err(Error::system("make the folder", journal))?;
        let own = i32::try_from(std::process::id()).unwrap_or_default();
        let owner = (own, processes::process(own).map_or(0, |process| process.started));
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let entry = Entry {
            boot: processes::boot(),
            owner,
            profile: profile.to_owned(),
            folder: folder.to_owned(),
            group: None,
        };
        let note = Self { path: journal.join(format!("{name}.json")), entry };
        note.save()?;
        Ok(note)
    }

    /// Adds the group that the browser got.
    pub(super) fn started(&mut self, group: i32) -> Result<()> {
        self.entry.group = processes::process(group).map(|leader| (group, leader.started));
        self.save()
    }

    /// The browser is gone for certain.
    pub(super) fn remove(self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "a browser's note could not be removed");
        }
    }

    fn save(&self) -> Result<()> {
        // Renamed into place: a crash leaves the old note or the new one, not half of one.
        let partial = self.path.with_extension("partial");
        let text = serde_json::to_vec(&self.entry).map_err(std::io::Error::other);
        text.and_then(|text| fs::write(&partial, text))
            .and_then(|()| fs::rename(&partial, &self.path))
            .map_err(Error::system("write", &self.path))
    }
}

/// Ends browsers that outlived the process that started them.
#[derive(Debug)]
#[non_exhaustive]
pub struct Leftovers;

impl Leftovers {
    /// Kills every browser noted in `folder` whose owner does not run any more, removes its profile and its note, and
    /// returns how many there were. Browsers of other running processes stay. Call it before the first launch: what
    /// is noted as this process's own is killed too.
    ///
    /// Reads `/proc` and may take tens of milliseconds; call it where a thread may wait.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read. A folder that is not there holds nothing.
    pub fn reap(folder: &Path) -> Result<usize> {
        if !folder.exists() {
            return Ok(0);
        }
        let entries = fs::read_dir(folder).map_err(Error::system("list", folder))?;
        let boot = processes::boot();
        let mut reaped = 0;
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let text = fs::read(&path).map_err(Error::system("read", &path))?;
            let Ok(entry) = serde_json::from_slice::<Entry>(&text) else {
                tracing::warn!(path = %path.display(), "not a browser's note; it is left alone");
                continue;
            };
            if entry.boot == boot {
                if entry.owner_lives() {
                    continue;
                }
                reaped += usize::from(entry.kill());
            }
            entry.clear();
            fs::remove_file(&path).map_err(Error::system("remove", &path))?;
        }
        Ok(reaped)
    }
}

impl Entry {
    /// Whether another process that runs now started the browser.
    fn owner_lives(&self) -> bool {
        let (pid, started) = self.owner;
        let itself = u32::try_from(pid).is_ok_and(|pid| pid == std::process::id());
        !itself && processes::process(pid).is_some_and(|process| process.started == started)
    }

    /// Kills what is left of the browser. Returns whether anything was.
    fn kill(&self) -> bool {
        let mut groups: Vec<i32> =
            processes::with_argument(&self.profile).iter().map(|process| process.group).collect();
        if let Some((group, started)) = self.group
            && is_ours(group, started, &processes::members(group))
        {
            groups.push(group);
        }
        // The browser got its group before it got its arguments, so a found process is never in another's group.
        groups.retain(|group| *group > 1 && Some(*group) != own_group());
        groups.sort_unstable();
        groups.dedup();
        for group in &groups {
            processes::kill(*group);
        }
        // What still runs may still write to the profile, which is removed next. A look takes milliseconds by itself.
        let runs = |group: &i32| !processes::members(*group).is_empty();
        for _look in 0..LOOKS {
            if !groups.iter().any(runs) {
                break;
            }
        }
        !groups.is_empty()
    }

    /// Removes the profile, if the note names what is certainly one.
    fn clear(&self) {
        let name = self.folder.file_name().unwrap_or_default().to_string_lossy();
        let is_profile = self.profile == super::program::profile_argument(&self.folder.join("profile"));
        if name.starts_with("browser-") && is_profile {
            // Killed processes may take a moment to let go; what they write then is in files already removed.
            let _gone_already = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Whether the processes that have the noted group's number now are the browser's.
fn is_ours(group: i32, started: u64, members: &[Member]) -> bool {
    match members.iter().find(|member| member.pid == group) {
        Some(leader) => leader.started == started,
        // The leader is dead. While a member lives the number is not given to a new process; members of another
        // group of this number would be another program's, or hold files elsewhere.
        None => members.iter().any(|member| {
            member.started >= started
                && processes::executable(member.pid).is_some_and(|path| is_browser(&path))
        }),
    }
}

/// Whether an executable is a Chromium of some kind.
fn is_browser(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.contains("chrom")
}

fn own_group() -> Option<i32> {
    let own = i32::try_from(std::process::id()).ok()?;
    processes::process(own).map(|process| process.group)
}
