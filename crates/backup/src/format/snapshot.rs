//! Snapshots: the root of what was backed up at one time.

use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Id;

/// A snapshot object, and what its store says of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Snapshot {
    /// Its id. Not part of the object, whose hash it is.
    #[serde(skip, default = "nothing")]
    pub id: Id,
    /// When the store took it, by the store's clock. Not part of the object.
    #[serde(skip)]
    pub first_seen: Option<SystemTime>,
    /// When it was begun, by the clock of who made it.
    pub time: Timestamp,
    /// The snapshot it was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Id>,
    /// The tree of `/`.
    pub tree: Id,
    /// What was backed up, as paths in the tree.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Where.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    /// By whom.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// The number of that user.
    #[serde(default, skip_serializing_if = "super::lock::is_zero")]
    pub uid: u32,
    /// The number of that user's group.
    #[serde(default, skip_serializing_if = "super::lock::is_zero")]
    pub gid: u32,
    /// Patterns of what was left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excludes: Vec<String>,
    /// Words to find it by, and to keep it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The snapshot that this one is a copy or a new version of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<Id>,
    /// What made it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub program_version: String,
    /// What was found and what was new. Only newer programs say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
}

/// What a backup found, and what of it was new.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Summary {
    /// When it was begun.
    pub backup_start: Timestamp,
    /// When it was done.
    pub backup_end: Timestamp,
    /// Files that the parent does not have.
    pub files_new: u64,
    /// Files that are other than in the parent.
    pub files_changed: u64,
    /// Files that are as in the parent.
    pub files_unmodified: u64,
    /// Folders that the parent does not have.
    pub dirs_new: u64,
    /// Folders that are other than in the parent.
    pub dirs_changed: u64,
    /// Folders that are as in the parent.
    pub dirs_unmodified: u64,
    /// Blobs of files that the repository did not have.
    pub data_blobs: u64,
    /// Blobs of folders that it did not have.
    pub tree_blobs: u64,
    /// The bytes of these blobs.
    pub data_added: u64,
    /// The bytes that they take in the repository.
    pub data_added_packed: u64,
    /// All files.
    pub total_files_processed: u64,
    /// The bytes of all files.
    pub total_bytes_processed: u64,
}

fn nothing() -> Id {
    Id::new([0; 32])
}

impl Snapshot {
    /// Whether it has this tag.
    #[must_use]
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|one| one == tag)
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::format::unpacked;

    /// Go writes none, and refuses to read one; it is read as the second before it, as a clock that stands still would have said it.
    #[test]
    fn a_leap_second_is_the_second_before_it() {
        let read = |time: &str| {
            let json = serde_json::json!({"time": time, "tree": "0".repeat(64)}).to_string();
            unpacked::decode::<Snapshot>(json.as_bytes())
        };
        let snapshot = read("2016-12-31T23:59:60Z").expect("a snapshot");
        assert_eq!(snapshot.time.to_string(), "2016-12-31T23:59:59Z");
        assert_eq!(
            read("2017-01-01T00:59:60.5+01:00").expect("a snapshot").time.as_second(),
            snapshot.time.as_second()
        );
        for wrong in ["2016-12-31T23:59:61Z", "2016-12-31T23:60:00Z"] {
            let refused = read(wrong).expect_err("refused").to_string();
            assert!(refused.starts_with("its JSON: "), "{refused}");
        }
    }
}
