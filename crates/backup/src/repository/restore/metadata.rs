//! Permissions, times, owners and attributes.

use std::io;
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::{AtFlags, CWD, Gid, Timespec, Timestamps, Uid, XattrFlags};

use crate::format::tree::{Node, NodeKind};

/// Gives what is at `path` the metadata of `node`. Never through a link.
pub(super) fn apply(path: &Path, node: &Node) -> io::Result<()> {
    if rustix::process::geteuid().is_root() {
        let (owner, group) = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
        rustix::fs::chownat(CWD, path, Some(owner), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    for attribute in &node.extended_attributes {
        let set = rustix::fs::lsetxattr(path, attribute.name.as_str(), &attribute.value, XattrFlags::empty());
        match set {
            // Of the system's own only root may set some, and not every file system takes them.
            Err(rustix::io::Errno::PERM | rustix::io::Errno::NOTSUP)
                if !attribute.name.starts_with("user.") => {}
            set => set?,
        }
    }
    // After the owner, whose change takes special bits away. A link has no permissions of its own.
    if node.kind != NodeKind::Symlink {
        rustix::fs::chmod(path, rustix::fs::Mode::from_raw_mode(node.permissions()))?;
    }
    let times = Timestamps { last_access: timespec(node.atime), last_modification: timespec(node.mtime) };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

fn timespec(time: Timestamp) -> Timespec {
    let (mut seconds, mut nanoseconds) = (time.as_second(), i64::from(time.subsec_nanosecond()));
    // Before 1970 both are negative; the system wants the nanoseconds forward.
    if nanoseconds < 0 {
        seconds -= 1;
        nanoseconds += 1_000_000_000;
    }
    Timespec { tv_sec: seconds, tv_nsec: nanoseconds }
}
