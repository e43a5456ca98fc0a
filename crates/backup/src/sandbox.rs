//! Folders for what is there for a while only.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::Error;

/// How the names of all of them begin.
const PREFIX: &str = "buttress-";
/// The last part of the name of one that is not locked yet.
const UNLOCKED: &str = "new";

/// A folder that only its owner enters and that goes with this value, whatever happens: after `kill -9`, when the next one is made beside it.
#[derive(Debug)]
pub(crate) struct Sandbox {
    path: PathBuf,
    /// Locked as long as the process lives.
    _folder: File,
}

impl Sandbox {
    /// A folder in `scratch`, which is made if it is not there. Its name says what it is for.
    pub(crate) fn make(scratch: &Path, purpose: &str) -> Result<Self, Error> {
        let cannot_make = |path: &Path, error| Error::file("make", path, error);
        fs::create_dir_all(scratch).map_err(|error| cannot_make(scratch, error))?;
        remove_abandoned(scratch);
        let path = scratch.join(format!("{PREFIX}{purpose}-{:016x}", buttress_core::unique_number()));
        // Only one that is locked has a name that others look at.
        let unlocked = path.with_extension(UNLOCKED);
        let made = make_own(&unlocked).and_then(|folder| fs::rename(&unlocked, &path).map(|()| folder));
        Ok(Self { _folder: made.map_err(|error| cannot_make(&path, error))?, path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn make_own(path: &Path) -> io::Result<File> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)?;
    let folder = File::open(path)?;
    flock(&folder, FlockOperation::NonBlockingLockExclusive)?;
    Ok(folder)
}

/// Removes those whose process is gone. Others' may not be ours to look at, which is no reason not to go on.
fn remove_abandoned(scratch: &Path) {
    let Ok(entries) = fs::read_dir(scratch) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let number = name.strip_prefix(PREFIX).and_then(|name| name.rsplit_once('-'));
        let one_of_us = number.is_some_and(|(_, number)| {
            number.len() == 16 && number.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        let folder = one_of_us.then(|| File::open(&path).ok()).flatten();
        if folder.is_some_and(|folder| flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok()) {
            remove(&path);
        }
    }
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_dir_all(path) {
        let path = path.display();
        tracing::warn!(target: "buttress::backup", %path, %error, "a folder could not be removed");
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_process_has_left_goes_and_all_else_stays() {
        let scratch = tempfile::tempdir().unwrap();
        let living = Sandbox::make(scratch.path(), "drill").unwrap();
        let abandoned = scratch.path().join("buttress-drill-0123456789abcdef");
        fs::create_dir(&abandoned).unwrap();
        fs::write(abandoned.join("restored"), "content").unwrap();
        let foreign = scratch.path().join("buttress-of-somebody-else");
        fs::create_dir(&foreign).unwrap();

        let next = Sandbox::make(scratch.path(), "drill").unwrap();
        assert!(living.path().is_dir() && next.path().is_dir() && foreign.is_dir());
        assert!(!abandoned.exists());
        let paths = [living.path().to_owned(), next.path().to_owned()];
        drop((living, next));
        assert!(paths.iter().all(|path| !path.exists()));
    }
}
