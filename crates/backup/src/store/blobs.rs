//! A repository in S3, or wherever else blobs are.

use std::ops::Range;

use buttress_connect::blobs::{BlobInfo, Blobs};
use buttress_core::Classify;
use bytes::Bytes;

use super::{Existing, Listed, Store};
use crate::Error;
use crate::id::{Object, ObjectKind};

/// A bucket, under a prefix of its own, with the names that restic gives objects in S3: `restic -r s3:http://host/bucket/prefix` opens it.
///
/// S3 shows an object whole or not at all and lists what it has acknowledged. An object over 16 MiB that may be replaced goes in parts.
///
/// # Objects that nobody can take back
///
/// A bucket with versions and a default retention (Object Lock, mode COMPLIANCE) keeps what it has been given for that time, whoever asks: a
/// delete hides the object and leaves the version, or is refused, which is an [`Error::Store`] of class `Forbidden`. There is no request here that
/// sets a retention: set the bucket's default to more than the time between two full checks of the replica, and let nobody who writes backups
/// hold a key that may change it.
#[derive(Debug, Clone)]
pub struct BlobStore {
    blobs: Blobs,
}

impl BlobStore {
    /// The repository among these blobs.
    #[must_use]
    pub fn new(blobs: Blobs) -> Self {
        Self { blobs }
    }

    fn failed(&self, doing: &'static str, object: String, error: buttress_connect::Error) -> Error {
        let class = error.class();
        Error::Store { doing, object, place: self.place(), class, source: error.into() }
    }
}

impl Store for BlobStore {
    async fn put(&self, object: Object, bytes: Bytes, existing: Existing) -> Result<bool, Error> {
        let name = object.path();
        let written = match existing {
            Existing::Replaced => self.blobs.put(&name, bytes).await.map(|()| true),
            Existing::Kept => self.blobs.put_new(&name, bytes).await,
        };
        written.map_err(|error| self.failed("write", name, error))
    }

    async fn get(&self, object: Object, range: Option<Range<u64>>) -> Result<Bytes, Error> {
        let name = object.path();
        let read = match range.clone() {
            Some(range) => self.blobs.get_range(&name, range).await,
            None => self.blobs.get(&name).await,
        };
        let bytes = read.map_err(|error| match error {
            buttress_connect::Error::NoBlob { .. } => Error::Missing { object, place: self.place() },
            error => self.failed("read", name, error),
        })?;
        super::check_range(object, &self.place(), range.as_ref(), &bytes)?;
        Ok(bytes)
    }

    async fn list(&self, kind: ObjectKind) -> Result<Vec<Listed>, Error> {
        let found = match kind {
            ObjectKind::Config => self.blobs.about(kind.folder()).await.map(Vec::from_iter),
            _ => self.blobs.list_about(kind.folder()).await,
        };
        let found = found.map_err(|error| self.failed("list", kind.folder().to_owned(), error))?;
        Ok(found.iter().filter_map(listed).collect())
    }

    async fn delete(&self, object: Object) -> Result<(), Error> {
        let name = object.path();
        self.blobs.delete(&name).await.map_err(|error| self.failed("delete", name, error))
    }

    fn place(&self) -> String {
        self.blobs.place()
    }
}

fn listed(blob: &BlobInfo) -> Option<Listed> {
    Some(Listed { object: Object::at(&blob.name)?, size: blob.size, modified: blob.modified })
}
