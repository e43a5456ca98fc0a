//! Trees: the entries of a folder, as a blob holds them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Malformed, key_file::base64, quote};
use crate::{Error, Id};

/// The entries of a folder, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tree {
    /// The entries; no two have one name.
    #[serde(deserialize_with = "null_as_empty")]
    pub nodes: Vec<Node>,
}

/// An entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name, without any folder.
    pub name: Name,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: NodeKind,
    /// Permissions and kind as Go has them; see [`Node::permissions`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: u32,
    /// When its content was changed.
    #[serde(default = "never")]
    pub mtime: Timestamp,
    /// When it was read.
    #[serde(default = "never")]
    pub atime: Timestamp,
    /// When anything of it was changed.
    #[serde(default = "never")]
    pub ctime: Timestamp,
    /// The number of its owner.
    #[serde(default)]
    pub uid: u32,
    /// The number of its group.
    #[serde(default)]
    pub gid: u32,
    /// The name of its owner.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// The name of its group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The number of the file behind it; with `device_id` the same for all hard links to it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub inode: u64,
    /// The file system it is on.
    #[serde(default, skip_serializing_if = "is_default")]
    pub device_id: u64,
    /// Its length in bytes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub size: u64,
    /// How many names the file has.
    #[serde(default, skip_serializing_if = "is_default")]
    pub links: u64,
    /// Where a symbolic link leads, as far as that is text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub linktarget: String,
    /// Where it leads, if that is no text.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_base64")]
    pub linktarget_raw: Option<Vec<u8>>,
    /// Extended attributes.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_empty")]
    pub extended_attributes: Vec<ExtendedAttribute>,
    /// The number of a device.
    #[serde(default, skip_serializing_if = "is_default")]
    pub device: u64,
    /// The blobs of a file, in order. What is not a file has none.
    #[serde(default)]
    pub content: Option<Vec<Id>>,
    /// The tree of a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtree: Option<Id>,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    /// A regular file.
    File,
    /// A folder.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A block device.
    Dev,
    /// A character device.
    Chardev,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// Something else, which is not restored.
    #[serde(other)]
    Irregular,
}

/// An extended attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtendedAttribute {
    /// Its name: `user.comment`.
    pub name: String,
    /// Its value.
    #[serde(with = "base64")]
    pub value: Vec<u8>,
}

/// The name of an entry: bytes without `/` and 0, not empty, not `.` or `..`. Whoever has one may join it to a folder's path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

impl Name {
    /// The longest name, in bytes. Linux takes 255; others take more.
    pub const LONGEST: usize = 4096;

    /// A name; none if no entry of a folder can have it.
    #[must_use]
    pub fn new(name: &[u8]) -> Option<Self> {
        let impossible = matches!(name, b"" | b"." | b"..")
            || name.len() > Self::LONGEST
            || name.iter().any(|byte| matches!(byte, b'/' | 0));
        (!impossible).then(|| Self(name.into()))
    }

    /// As the system has it.
    #[must_use]
    pub fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(&self.0)
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.as_os_str().display(), f)
    }
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self.as_os_str(), f)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&quote::quote(&self.0))
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let quoted = std::borrow::Cow::<'de, str>::deserialize(from)?;
        let name = quote::unquote(&quoted).map_err(serde::de::Error::custom)?;
        Self::new(&name).ok_or_else(|| {
            serde::de::Error::custom(format!("no entry of a folder can have the name `{quoted}`"))
        })
    }
}

/// The bit of Go's modes for each that Unix has elsewhere.
const SETUID: (u32, u32) = (1 << 23, 0o4000);
const SETGID: (u32, u32) = (1 << 22, 0o2000);
const STICKY: (u32, u32) = (1 << 20, 0o1000);

impl Node {
    /// An entry of which nothing else is known.
    pub(crate) fn bare(name: Name, kind: NodeKind, permissions: u32) -> Self {
        Self {
            name,
            kind,
            mode: Self::mode_of(kind, permissions),
            mtime: never(),
            atime: never(),
            ctime: never(),
            uid: 0,
            gid: 0,
            user: String::new(),
            group: String::new(),
            inode: 0,
            device_id: 0,
            size: 0,
            links: 0,
            linktarget: String::new(),
            linktarget_raw: None,
            extended_attributes: Vec::new(),
            device: 0,
            content: None,
            subtree: None,
        }
    }

    /// The permissions as `chmod` takes them: nine bits, set-user, set-group, sticky.
    #[must_use]
    pub fn permissions(&self) -> u32 {
        let special = [SETUID, SETGID, STICKY].into_iter().filter(|(go, _)| self.mode & go != 0);
        self.mode & 0o777 | special.fold(0, |bits, (_, unix)| bits | unix)
    }

    /// The mode as Go has it, from permissions as `stat` gives them.
    #[must_use]
    pub fn mode_of(kind: NodeKind, permissions: u32) -> u32 {
        let kind = match kind {
            NodeKind::File => 0,
            NodeKind::Dir => 1 << 31,
            NodeKind::Symlink => 1 << 27,
            NodeKind::Dev => 1 << 26,
            NodeKind::Chardev => 1 << 26 | 1 << 21,
            NodeKind::Fifo => 1 << 25,
            NodeKind::Socket => 1 << 24,
            NodeKind::Irregular => 1 << 19,
        };
        let special = [SETUID, SETGID, STICKY].into_iter().filter(|(_, unix)| permissions & unix != 0);
        kind | permissions & 0o777 | special.fold(0, |bits, (go, _)| bits | go)
    }

    /// Where a symbolic link leads.
    #[must_use]
    pub fn link_target(&self) -> OsString {
        let raw = self.linktarget_raw.clone().map(OsString::from_vec);
        raw.unwrap_or_else(|| OsString::from(self.linktarget.clone()))
    }

    /// Puts down where a symbolic link leads.
    pub(crate) fn set_link_target(&mut self, target: &OsStr) {
        self.linktarget = target.to_string_lossy().into_owned();
        self.linktarget_raw = target.to_str().is_none().then(|| target.as_bytes().to_vec());
    }

    /// The blobs of a file.
    #[must_use]
    pub fn blobs(&self) -> &[Id] {
        self.content.as_deref().unwrap_or_default()
    }
}

impl Tree {
    /// Reads a tree. Its nodes are in order, and no two have one name.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let tree: Self =
            serde_json::from_slice(bytes).map_err(|error| Malformed::json("the JSON of the tree", &error))?;
        let disordered = |pair: &[Node]| matches!(pair, [a, b] if a.name >= b.name);
        if tree.nodes.windows(2).any(disordered) {
            return Err(Malformed::new("its names are not in order, or one is there twice"));
        }
        Ok(tree)
    }

    /// Writes it, byte for byte as restic does.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Error> {
        let json = serde_json::to_vec(self)
            .map_err(|error| Error::Internal { problem: format!("a tree cannot be written: {error}") })?;
        let mut json = escape_html(json);
        json.push(b'\n');
        Ok(json)
    }

    /// The entry of this name.
    #[must_use]
    pub fn find(&self, name: &Name) -> Option<&Node> {
        self.nodes.binary_search_by(|node| node.name.cmp(name)).ok().and_then(|at| self.nodes.get(at))
    }
}

/// Go writes three characters of HTML as escapes. Outside of strings JSON has none of them.
fn escape_html(json: Vec<u8>) -> Vec<u8> {
    if !json.iter().any(|byte| matches!(byte, b'<' | b'>' | b'&')) {
        return json;
    }
    let mut escaped = Vec::with_capacity(json.len() + 64);
    for byte in json {
        match byte {
            b'<' => escaped.extend_from_slice(b"\\u003c"),
            b'>' => escaped.extend_from_slice(b"\\u003e"),
            b'&' => escaped.extend_from_slice(b"\\u0026"),
            _ => escaped.push(byte),
        }
    }
    escaped
}

fn never() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn null_as_empty<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

mod optional_base64 {
    use serde::{Deserialize, Deserializer, Serializer};

    #[allow(clippy::ref_option, reason = "serde asks so")]
    pub(super) fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, to: S) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => super::base64::serialize(bytes, to),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<std::borrow::Cow<'de, str>>::deserialize(from)?;
        let decode = |text: std::borrow::Cow<'_, str>| data_encoding::BASE64.decode(text.as_bytes());
        text.map(decode).transpose().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_written_as_restic_writes_it() {
        let json = concat!(
            r#"{"nodes":[{"name":"a \u0026 b","type":"file","mode":420,"mtime":"2020-02-03T04:05:06.07+01:00","#,
            r#""atime":"2020-02-03T04:05:06Z","ctime":"2020-02-03T04:05:06.123456789Z","uid":0,"gid":0,"#,
            r#""user":"root","group":"root","inode":5,"device_id":2049,"size":3,"links":1,"content":"#,
            r#"["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]},"#,
            r#"{"name":"d","type":"dir","mode":2147484141,"mtime":"0001-01-01T00:00:00Z","#,
            r#""atime":"0001-01-01T00:00:00Z","ctime":"0001-01-01T00:00:00Z","uid":1000,"gid":7,"#,
            r#""content":null,"subtree":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]}"#,
            "\n"
        );
        let tree = Tree::decode(json.as_bytes()).expect("a tree");
        let written = String::from_utf8(tree.encode().expect("written")).expect("text");
        assert_eq!(written, json.replace("04:05:06.07+01:00", "03:05:06.07Z"));
        assert_eq!(tree.nodes[1].permissions(), 0o755);
    }

    #[test]
    fn names_that_leave_their_folder_are_refused() {
        for name in ["", ".", "..", "a/b", "/", "\\x00", "\\x2e\\x2e", "a\\x2fb"] {
            let json = format!(r#"{{"nodes":[{{"name":{},"type":"file"}}]}}"#, serde_json::json!(name));
            assert!(Tree::decode(json.as_bytes()).is_err(), "{name}");
        }
        let twice = r#"{"nodes":[{"name":"a","type":"file"},{"name":"a","type":"dir"}]}"#;
        assert!(Tree::decode(twice.as_bytes()).is_err());
        assert_eq!(Tree::decode(br#"{"nodes":null}"#), Ok(Tree::default()));
    }

    #[test]
    fn modes_are_translated_both_ways() {
        for permissions in [0, 0o644, 0o4755, 0o2750, 0o1777, 0o7777] {
            let mode = Node::mode_of(NodeKind::Dir, permissions);
            let json = format!(r#"{{"nodes":[{{"name":"d","type":"dir","mode":{mode}}}]}}"#);
            let tree = Tree::decode(json.as_bytes()).expect("a tree");
            assert_eq!(tree.nodes[0].permissions(), permissions);
        }
    }
}
