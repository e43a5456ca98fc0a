//! From a folder's handle to a file below it, without following a link.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::{Errno, Result};

use super::safe::SafePath;

/// A folder as a step to what is in it: nothing is read from it.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) const STEP: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) const STEP: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// How a path is resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Walk {
    /// By the kernel in one call: `openat2` of Linux 5.6.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Whole,
    /// Part by part, each opened by the handle of the one before, with `O_NOFOLLOW`.
    Parts,
}

impl Walk {
    /// What the system has, asked at the folder itself.
    pub(super) fn of(root: BorrowedFd<'_>) -> Self {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        // Old kernels do not know the call, and old sandboxes forbid it.
        if whole(root, ".", STEP, Mode::empty()).is_ok() {
            return Self::Whole;
        }
        let _ = root;
        Self::Parts
    }

    /// Opens `path` below `root`. A link anywhere on it is `ELOOP` or `ENOTDIR`.
    pub(super) fn open(
        self,
        root: BorrowedFd<'_>,
        path: &SafePath,
        flags: OFlags,
        mode: Mode,
    ) -> Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        match self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Self::Whole => whole(root, path.as_str(), flags, mode),
            Self::Parts => {
                let mut parts = path.parts();
                let mut next = parts.next().ok_or(Errno::NOENT)?;
                let mut folder: Option<OwnedFd> = None;
                for following in parts {
                    let at = folder.as_ref().map_or(root, AsFd::as_fd);
                    folder = Some(openat(at, next, STEP | OFlags::NOFOLLOW, Mode::empty())?);
                    next = following;
                }
                openat(folder.as_ref().map_or(root, AsFd::as_fd), next, flags, mode)
            }
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn whole(root: BorrowedFd<'_>, path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    use rustix::fs::{ResolveFlags, openat2};

    /// The kernel asks to try again when a folder was moved meanwhile.
    const TRIES: usize = 16;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let mut result = Err(Errno::AGAIN);
    for _ in 0..TRIES {
        result = openat2(root, path, flags, mode, resolve);
        if !matches!(result, Err(Errno::AGAIN | Errno::INTR)) {
            break;
        }
    }
    result
}
