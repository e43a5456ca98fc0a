//! What the disk says of a file or folder.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use jiff::Timestamp;

use crate::format::tree::{ExtendedAttribute, Name, Node, NodeKind};
use crate::repository::people::Names;

/// The names of users and groups, looked up once.
pub(super) struct People {
    users: Names,
    groups: Names,
}

impl People {
    pub(super) fn of_this_host() -> Self {
        Self { users: Names::users(), groups: Names::groups() }
    }
}

/// The entry at `path`, without content, and of a file without attributes: they are asked of it when it is open, or it is unchanged and so are they.
pub(super) fn look(path: &Path, name: Name, people: &People) -> io::Result<Node> {
    let about = fs::symlink_metadata(path)?;
    let mut node = describe(name, &about, people);
    if node.kind == NodeKind::Symlink {
        node.set_link_target(fs::read_link(path)?.as_os_str());
    }
    if node.kind != NodeKind::File {
        node.extended_attributes = extended_attributes(&Place::Path(path))?;
    }
    Ok(node)
}

/// The attributes of an open file.
pub(super) fn attributes_of(file: &File) -> io::Result<Vec<ExtendedAttribute>> {
    extended_attributes(&Place::File(file))
}

/// An entry as its metadata has it.
///
/// When it was read last is not kept: it changes by reading, and each snapshot would have new trees.
pub(super) fn describe(name: Name, about: &Metadata, people: &People) -> Node {
    let kind = kind_of(about);
    let mtime = time(about.mtime(), about.mtime_nsec());
    let is_device = matches!(kind, NodeKind::Dev | NodeKind::Chardev);
    let is_file = kind == NodeKind::File;
    Node {
        mtime,
        atime: mtime,
        ctime: time(about.ctime(), about.ctime_nsec()),
        uid: about.uid(),
        gid: about.gid(),
        user: people.users.get(about.uid()),
        group: people.groups.get(about.gid()),
        inode: about.ino(),
        device_id: about.dev(),
        size: if is_file { about.len() } else { 0 },
        // Of a folder they are the folders in it, which are told anyway.
        links: if kind == NodeKind::Dir { 0 } else { about.nlink() },
        device: if is_device { about.rdev() } else { 0 },
        ..Node::bare(name, kind, about.mode() & 0o7777)
    }
}

fn kind_of(about: &Metadata) -> NodeKind {
    let kind = about.file_type();
    match () {
        () if kind.is_file() => NodeKind::File,
        () if kind.is_dir() => NodeKind::Dir,
        () if kind.is_symlink() => NodeKind::Symlink,
        () if kind.is_fifo() => NodeKind::Fifo,
        () if kind.is_socket() => NodeKind::Socket,
        () if kind.is_block_device() => NodeKind::Dev,
        () if kind.is_char_device() => NodeKind::Chardev,
        () => NodeKind::Irregular,
    }
}

fn time(seconds: i64, nanoseconds: i64) -> Timestamp {
    // A file from before the year -9999 or after 9999 has a broken clock behind it.
    i32::try_from(nanoseconds)
        .ok()
        .and_then(|nanoseconds| Timestamp::new(seconds, nanoseconds).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The longest list of names, and the longest value, that Linux has.
const LONGEST: usize = 64 << 10;

/// What has attributes.
enum Place<'a> {
    /// Not what a link there leads to.
    Path(&'a Path),
    File(&'a File),
}

impl Place<'_> {
    fn list(&self, names: &mut [u8]) -> rustix::io::Result<usize> {
        match self {
            Self::Path(path) => rustix::fs::llistxattr(*path, names),
            Self::File(file) => rustix::fs::flistxattr(file, names),
        }
    }

    fn get(&self, name: &OsStr, value: &mut [u8]) -> rustix::io::Result<usize> {
        match self {
            Self::Path(path) => rustix::fs::lgetxattr(*path, name, value),
            Self::File(file) => rustix::fs::fgetxattr(file, name, value),
        }
    }
}

fn extended_attributes(place: &Place<'_>) -> io::Result<Vec<ExtendedAttribute>> {
    let unsupported = |error| match error {
        rustix::io::Errno::NOTSUP | rustix::io::Errno::PERM | rustix::io::Errno::NODATA => Ok(0),
        other => Err(io::Error::from(other)),
    };
    // Nearly no file has any: a small list is asked for first.
    let mut names = vec![0; 256];
    let length = match place.list(names.as_mut_slice()) {
        Err(rustix::io::Errno::RANGE) => {
            names.resize(LONGEST, 0);
            place.list(names.as_mut_slice()).or_else(unsupported)?
        }
        listed => listed.or_else(unsupported)?,
    };
    names.truncate(length);
    let mut attributes = Vec::new();
    let mut value = Vec::new();
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        // A name that is no text cannot be put down in this format.
        let Ok(text) = std::str::from_utf8(name) else { continue };
        value.resize(LONGEST, 0);
        let length = place.get(OsStr::from_bytes(name), value.as_mut_slice());
        match length {
            Ok(length) => {
                let value = value.get(..length).unwrap_or_default().to_vec();
                attributes.push(ExtendedAttribute { name: text.to_owned(), value });
            }
            // Removed meanwhile.
            Err(error) => drop(unsupported(error)?),
        }
    }
    attributes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(attributes)
}
