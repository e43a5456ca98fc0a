//! Permissions, times, owners and attributes. Of a new file most are right already, and asking what they are takes less than setting them.

use std::fs::File;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::{AtFlags, CWD, Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags};

use crate::format::tree::{ExtendedAttribute, Node, NodeKind};

/// What is set.
pub(super) struct Metadata {
    permissions: u32,
    owner: Uid,
    group: Gid,
    atime: Timestamp,
    mtime: Timestamp,
    extended_attributes: Vec<ExtendedAttribute>,
    is_link: bool,
}

impl From<Node> for Metadata {
    fn from(node: Node) -> Self {
        Self {
            permissions: node.permissions(),
            owner: Uid::from_raw(node.uid),
            group: Gid::from_raw(node.gid),
            atime: node.atime,
            mtime: node.mtime,
            extended_attributes: node.extended_attributes,
            is_link: node.kind == NodeKind::Symlink,
        }
    }
}

/// The permissions that a file is made with by a process of these numbers. Who may read it in the end may do so from the beginning, unless it has to
/// be given to somebody else first.
pub(super) fn mode_at_first(us: (Uid, Gid), to: &Metadata) -> u32 {
    let ours = us == (to.owner, to.group) && to.extended_attributes.is_empty();
    if ours { to.permissions & 0o777 } else { FOR_US }
}

/// The permissions of a file that is not whole yet.
pub(super) const FOR_US: u32 = 0o600;

/// Gives an open file its metadata.
pub(super) fn apply_to_file(file: &File, to: &Metadata) -> io::Result<()> {
    let is = rustix::fs::fstat(file)?;
    if let Some((owner, group)) = new_owner(&is, to) {
        rustix::fs::fchown(file, Some(owner), Some(group))?;
    }
    for ExtendedAttribute { name, value } in &to.extended_attributes {
        let set = rustix::fs::fsetxattr(file, name.as_str(), value, XattrFlags::empty());
        set.or_else(|error| tolerate(name, error))?;
    }
    if let Some(mode) = new_mode(&is, to) {
        rustix::fs::fchmod(file, mode)?;
    }
    Ok(rustix::fs::futimens(file, &times(to))?)
}

/// Gives what is at `path` its metadata. Never through a link.
pub(super) fn apply(path: &Path, to: &Metadata) -> io::Result<()> {
    let is = rustix::fs::lstat(path)?;
    if let Some((owner, group)) = new_owner(&is, to) {
        rustix::fs::chownat(CWD, path, Some(owner), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    for ExtendedAttribute { name, value } in &to.extended_attributes {
        let set = rustix::fs::lsetxattr(path, name.as_str(), value, XattrFlags::empty());
        set.or_else(|error| tolerate(name, error))?;
    }
    // A link has no permissions of its own.
    if !to.is_link
        && let Some(mode) = new_mode(&is, to)
    {
        rustix::fs::chmod(path, mode)?;
    }
    rustix::fs::utimensat(CWD, path, &times(to), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

/// The owner and the group, where they are others and may be set.
fn new_owner(is: &Stat, to: &Metadata) -> Option<(Uid, Gid)> {
    let other = (is.st_uid, is.st_gid) != (to.owner.as_raw(), to.group.as_raw());
    (other && rustix::process::geteuid().is_root()).then_some((to.owner, to.group))
}

/// The permissions, where they are others. They are set after the owner, whose change takes special bits away, and after attributes, which may
/// be permissions too.
fn new_mode(was: &Stat, to: &Metadata) -> Option<Mode> {
    let same = was.st_mode & 0o7777 == to.permissions
        && new_owner(was, to).is_none()
        && to.extended_attributes.is_empty();
    (!same).then(|| Mode::from_raw_mode(to.permissions))
}

/// Of the system's own attributes only root may set some, and not every file system takes them.
fn tolerate(name: &str, error: rustix::io::Errno) -> rustix::io::Result<()> {
    let known = matches!(error, rustix::io::Errno::PERM | rustix::io::Errno::NOTSUP);
    if known && !name.starts_with("user.") { Ok(()) } else { Err(error) }
}

fn times(to: &Metadata) -> Timestamps {
    Timestamps { last_access: timespec(to.atime), last_modification: timespec(to.mtime) }
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
