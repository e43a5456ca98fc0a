//! The names of things: a hash of what they hold.

use std::fmt;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The SHA-256 of a blob or of an object: its name, and the proof that it is whole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id([u8; 32]);

impl Id {
    /// The id of what has this hash.
    #[must_use]
    pub fn new(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// The id of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut hash = [0; 32];
        let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
        // Both are 32 bytes long.
        hash.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        Self(hash)
    }

    /// Reads the 64 hexadecimal digits in lower case that [`Display`](fmt::Display) writes.
    #[must_use]
    pub fn parse(hex: &str) -> Option<Self> {
        let mut hash = [0; 32];
        let digits = hex.as_bytes();
        let fits = data_encoding::HEXLOWER.decode_len(digits.len()) == Ok(hash.len());
        (fits && data_encoding::HEXLOWER.decode_mut(digits, &mut hash).is_ok()).then_some(Self(hash))
    }

    /// The hash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first eight digits, as people see it in lists.
    #[must_use]
    pub fn short(&self) -> String {
        let [a, b, c, d, ..] = self.0;
        data_encoding::HEXLOWER.encode(&[a, b, c, d])
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        data_encoding::HEXLOWER.encode_display(&self.0).fmt(f)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(Hex)
    }
}

/// Reads an id from where its digits are: an index has a hundred thousand, and a string of its own for each takes longer than the id.
struct Hex;

impl Visitor<'_> for Hex {
    type Value = Id;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("64 hexadecimal digits")
    }

    fn visit_str<E: serde::de::Error>(self, hex: &str) -> Result<Id, E> {
        Id::parse(hex).ok_or_else(|| E::custom(format_args!("`{hex}` is no id: 64 hexadecimal digits")))
    }
}

/// What an object of a repository is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// The one object that makes a place a repository.
    Config,
    /// The master key, sealed with a password.
    Key,
    /// Somebody works on the repository.
    Lock,
    /// The root of what was backed up at one time.
    Snapshot,
    /// Where blobs are in packs.
    Index,
    /// Sealed blobs, one after the other.
    Pack,
}

impl ObjectKind {
    /// All kinds, in the order in which they are copied so that nothing refers to what is not there yet.
    pub const ALL: [Self; 6] = [Self::Config, Self::Key, Self::Pack, Self::Index, Self::Snapshot, Self::Lock];

    /// The folder of such objects; of the one config, its name.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Key => "keys",
            Self::Lock => "locks",
            Self::Snapshot => "snapshots",
            Self::Index => "index",
            Self::Pack => "data",
        }
    }
}

/// An object of a repository: what a [`Store`](crate::store::Store) keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Object {
    kind: ObjectKind,
    id: Id,
}

impl Object {
    /// The config, the only object whose name is not the hash of its content.
    pub const CONFIG: Self = Self { kind: ObjectKind::Config, id: Id([0; 32]) };

    /// The object of this kind and name. There is one config, whatever `id` says.
    #[must_use]
    pub fn new(kind: ObjectKind, id: Id) -> Self {
        if kind == ObjectKind::Config { Self::CONFIG } else { Self { kind, id } }
    }

    /// What it is for.
    #[must_use]
    pub fn kind(&self) -> ObjectKind {
        self.kind
    }

    /// Its name, the hash of its content (of the config: nothing).
    #[must_use]
    pub fn id(&self) -> Id {
        self.id
    }

    /// Its path in the layout of restic's repositories: `config`, `keys/…`, `data/0f/0f…`.
    #[must_use]
    pub fn path(&self) -> String {
        let folder = self.kind.folder();
        match self.kind {
            ObjectKind::Config => folder.to_owned(),
            ObjectKind::Pack => {
                let name = self.id.to_string();
                format!("{folder}/{}/{name}", name.get(..2).unwrap_or_default())
            }
            _ => format!("{folder}/{}", self.id),
        }
    }

    /// The object at a path of [`path`](Self::path); none if there could be no such object.
    #[must_use]
    pub fn at(path: &str) -> Option<Self> {
        let (folder, rest) = path.split_once('/').unwrap_or((path, ""));
        let kind = ObjectKind::ALL.into_iter().find(|kind| kind.folder() == folder)?;
        let object = match kind {
            ObjectKind::Config => Self::CONFIG,
            _ => Self::new(kind, Id::parse(rest.rsplit('/').next()?)?),
        };
        (object.path() == path).then_some(object)
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_objects_are_the_same_thing() {
        let id = Id::of(b"");
        assert_eq!(id.short(), "e3b0c442");
        for kind in ObjectKind::ALL {
            let object = Object::new(kind, id);
            assert_eq!(Object::at(&object.path()), Some(object));
        }
        for path in ["", "data", "data/e3", "keys/e3b0", "config/x", "data/00/e3b0", "tmp/x"] {
            assert_eq!(Object::at(path), None, "{path}");
        }
        let wrong_folder = format!("data/00/{id}");
        assert_eq!(Object::at(&wrong_folder), None);
    }

    #[test]
    fn an_id_is_read_as_it_is_written() {
        let id = Id::of(b"x");
        assert_eq!(Id::parse(&id.to_string()), Some(id));
        assert_eq!(Id::parse(&id.to_string().to_uppercase()), None);
        assert_eq!(Id::parse("00"), None);
        assert_eq!(Id::parse(&"g".repeat(64)), None);
    }
}
