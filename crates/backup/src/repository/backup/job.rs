//! What is to be backed up.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::Progress;
use crate::Error;
use crate::format::tree::Name;

/// What is to be backed up, and how.
///
/// ```
/// use buttress_backup::BackupJob;
///
/// let job = BackupJob::new()
///     .folder("/srv/blobs") // as /srv/blobs in the snapshot
///     .root("/var/tmp/copy-17/jobs.db", "/databases/jobs.db") // a copy, under the name that it is restored by
///     .tag("hourly");
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct BackupJob {
    pub(super) roots: Vec<Root>,
    pub(super) tags: Vec<String>,
    pub(super) excludes: Vec<String>,
    pub(super) hostname: Option<String>,
    pub(super) time: Option<Timestamp>,
    pub(super) reread: bool,
    pub(super) progress: Progress,
}

/// A file or folder of this machine, and its path in the snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Where it is.
    pub on_disk: PathBuf,
    /// What it is called: an absolute path.
    pub in_snapshot: PathBuf,
}

impl BackupJob {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file or folder, under its own absolute path.
    pub fn folder(self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let path = std::path::absolute(&path).unwrap_or(path);
        self.root(path.clone(), path)
    }

    /// Adds a file or folder under another path, which is absolute.
    pub fn root(mut self, on_disk: impl Into<PathBuf>, in_snapshot: impl Into<PathBuf>) -> Self {
        self.roots.push(Root { on_disk: on_disk.into(), in_snapshot: in_snapshot.into() });
        self
    }

    /// Adds a word to find the snapshot by.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Leaves out what a pattern matches: `*` any characters of a name, `?` one, `**` any folders. A pattern without `/` matches names anywhere,
    /// one that begins with `/` whole paths in the snapshot.
    pub fn exclude(mut self, pattern: impl Into<String>) -> Self {
        self.excludes.push(pattern.into());
        self
    }

    /// Another host's name than that of this machine: where replicas share their snapshots' history.
    pub fn hostname(mut self, hostname: impl Into<String>) -> Self {
        self.hostname = Some(hostname.into());
        self
    }

    /// Another time than now: that of the state, where it is older than the run.
    pub fn time(mut self, time: Timestamp) -> Self {
        self.time = Some(time);
        self
    }

    /// Reads every file, also those that look as they did.
    pub fn reread(mut self) -> Self {
        self.reread = true;
        self
    }

    /// Tells here how far it is.
    pub fn progress(mut self, progress: &Progress) -> Self {
        self.progress = progress.clone();
        self
    }

    /// The paths in the snapshot, in order.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths: Vec<_> =
            self.roots.iter().map(|root| root.in_snapshot.to_string_lossy().into_owned()).collect();
        paths.sort();
        paths.dedup();
        paths
    }

    /// The folders above the roots, as a tree.
    pub(super) fn plan(&self) -> Result<Plan, Error> {
        let refuse = |path: &Path, problem: &str| Error::Source {
            of: path.display().to_string(),
            problem: problem.to_owned(),
            source: None,
        };
        if self.roots.is_empty() {
            return Err(refuse(Path::new("the backup"), "it names nothing to back up"));
        }
        let mut plan = BTreeMap::new();
        for root in &self.roots {
            let path = &root.in_snapshot;
            let names = names(path).ok_or_else(|| {
                refuse(path, "the path in the snapshot must be absolute, and without `.` and `..`")
            })?;
            insert(&mut plan, &names, root, path)
                .ok_or_else(|| refuse(path, "it lies in another path of the same backup, or is the same"))?;
        }
        Ok(Plan(plan))
    }

    /// Whether the entry at this path in the snapshot is left out.
    pub(super) fn excludes(&self, path: &Path) -> bool {
        self.excludes.iter().any(|pattern| matches(pattern, path))
    }
}

/// What the root of a snapshot holds.
pub(super) struct Plan(pub(super) BTreeMap<Name, Planned>);

pub(super) enum Planned {
    /// A folder that is there because of what lies in it, with the folder on the disk whose times and owner it has.
    Above { like: Option<PathBuf>, holds: Plan },
    /// What lies at this path on the disk.
    OnDisk(PathBuf),
}

fn names(path: &Path) -> Option<Vec<Name>> {
    let bytes = path.as_os_str().as_bytes().strip_prefix(b"/")?;
    bytes.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).map(Name::new).collect()
}

fn insert(plan: &mut BTreeMap<Name, Planned>, names: &[Name], root: &Root, at: &Path) -> Option<()> {
    let (first, rest) = names.split_first()?;
    if rest.is_empty() {
        return match plan.insert(first.clone(), Planned::OnDisk(root.on_disk.clone())) {
            None => Some(()),
            Some(_) => None,
        };
    }
    // Where the snapshot has the disk's own path, the folders above are those of the disk.
    let above = at.ancestors().nth(rest.len())?;
    let like = (root.on_disk == root.in_snapshot).then(|| above.to_owned());
    let new = || Planned::Above { like, holds: Plan(BTreeMap::new()) };
    match plan.entry(first.clone()).or_insert_with(new) {
        Planned::Above { holds: Plan(inner), .. } => insert(inner, rest, root, at),
        Planned::OnDisk(_) => None,
    }
}

pub(crate) fn matches(pattern: &str, path: &Path) -> bool {
    let path: Vec<&[u8]> = path.as_os_str().as_bytes().split(|byte| *byte == b'/').skip(1).collect();
    let parts: Vec<&[u8]> = pattern.trim_matches('/').split('/').map(str::as_bytes).collect();
    if pattern.starts_with('/') {
        return parts_match(&parts, &path);
    }
    // What lies in a folder that is left out is never asked for, so the end of the path decides.
    (0..path.len()).any(|begin| path.get(begin..).is_some_and(|rest| parts_match(&parts, rest)))
}

fn parts_match(pattern: &[&[u8]], path: &[&[u8]]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((&b"**", rest)), _) => {
            (0..=path.len()).any(|skip| path.get(skip..).is_some_and(|path| parts_match(rest, path)))
        }
        (Some((part, pattern)), Some((name, path))) => name_matches(part, name) && parts_match(pattern, path),
        _ => false,
    }
}

/// Matches `*` and `?`, in time that is the product of both lengths at most.
fn name_matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut in_name) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = name.get(in_name) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, in_name));
                at += 1;
            }
            Some(one) if *one == b'?' || one == byte => {
                at += 1;
                in_name += 1;
            }
            // The last star takes one more.
            _ => match star {
                Some((after, taken)) => {
                    star = Some((after, taken + 1));
                    (at, in_name) = (after, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_what_they_say() {
        let cases = [
            ("*.tmp", "/a/b.tmp", true),
            ("*.tmp", "/a/b.tmp.txt", false),
            ("target", "/work/target", true),
            ("/target", "/work/target", false),
            ("/work/**/target", "/work/a/b/target", true),
            ("/work/**/target", "/work/target", true),
            ("a/b?", "/x/a/bc", true),
            ("a/b?", "/x/a/b", false),
            ("*a*b*", "/xaybz", true),
            ("*", "/anything", true),
        ];
        for (pattern, path, matching) in cases {
            assert_eq!(matches(pattern, Path::new(path)), matching, "{pattern} on {path}");
        }
    }

    #[test]
    fn roots_may_not_lie_in_each_other() {
        assert!(BackupJob::new().plan().is_err());
        assert!(BackupJob::new().root("/a", "a").plan().is_err());
        assert!(BackupJob::new().root("/a", "/a/../b").plan().is_err());
        assert!(BackupJob::new().root("/a", "/").plan().is_err());
        assert!(BackupJob::new().root("/a", "/x").root("/b", "/x").plan().is_err());
        assert!(BackupJob::new().root("/a", "/x").root("/b", "/x/y").plan().is_err());
        assert!(BackupJob::new().root("/b", "/x/y").root("/a", "/x").plan().is_err());
        assert!(BackupJob::new().root("/a", "/x/a").root("/b", "/x/b").plan().is_ok());
    }
}
