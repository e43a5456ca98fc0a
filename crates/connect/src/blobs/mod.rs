//! Bytes under names: in a folder, or in S3.
//!
//! ```
//! use buttress_connect::ConnectionConfig;
//! use buttress_connect::blobs::{Blobs, BlobsConfig};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), buttress_connect::Error> {
//! # let folder = tempfile::tempdir().expect("a temporary folder");
//! # let folder = folder.path().join("blobs");
//! let mut config = BlobsConfig::default();
//! config.url = folder.display().to_string(); // or "s3://bucket/prefix"
//! let blobs = Blobs::open(&config, &ConnectionConfig::default()).await?;
//!
//! assert!(blobs.put_new("results/1.json", "one".into()).await?);
//! assert!(!blobs.put_new("results/1.json", "other".into()).await?, "it is there already");
//! assert_eq!(blobs.get("results/1.json").await?, "one");
//! # Ok(())
//! # }
//! ```

mod folder;
#[cfg(feature = "s3")]
mod s3;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use buttress_core::{ByteSize, ErrorClass, Probe, Validate, Violations, Vitality, units};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use self::folder::Folder;
use crate::{ConnectionConfig, Error};

/// Where blobs are kept.
///
/// | field | default | |
/// |---|---|---|
/// | `url` | `"blobs"` | a folder, or `s3://bucket/prefix` |
/// | `max` | 256MiB | the largest blob that is written or read |
/// | `s3` | | see [`S3Config`]; only for `s3://…` |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BlobsConfig {
    /// A folder, or `s3://bucket/prefix`.
    pub url: String,
    /// The largest blob that is written or read.
    pub max: ByteSize,
    /// What `s3://…` needs beside.
    pub s3: S3Config,
}

impl Default for BlobsConfig {
    fn default() -> Self {
        Self { url: "blobs".to_owned(), max: ByteSize::mib(256), s3: S3Config::default() }
    }
}

/// How S3, or what speaks like it, is reached.
///
/// | field | default | |
/// |---|---|---|
/// | `endpoint` | – | `http://localhost:9000`; without it, Amazon's of the region |
/// | `region` | `"us-east-1"` | |
/// | `access_key_id`, `secret_access_key` | – | without them, those of the machine's role or pod |
/// | `stall` | `"2m"` | how long a request may go without a byte that moves; one that moves may take as long as it takes |
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct S3Config {
    /// Where the server is; Amazon's of the region, if not said.
    pub endpoint: Option<String>,
    /// The bucket's region.
    pub region: String,
    /// Who we are.
    pub access_key_id: Option<String>,
    /// How we prove it.
    pub secret_access_key: Option<String>,
    /// How long a request may go without a byte that moves, until it is given up (class `Timeout`) and perhaps made again. There is no limit on a
    /// request that moves, so that a slow line carries large blobs. What this machine has taken for sending and the line has not yet carried, some
    /// hundred KiB of each request, has to go through in this time, and then the answer to come: 10 KB/s for each do with the default.
    #[serde(with = "units::duration")]
    pub stall: Duration,
}

impl Default for S3Config {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: "us-east-1".to_owned(),
            access_key_id: None,
            secret_access_key: None,
            stall: Duration::from_mins(2),
        }
    }
}

// By hand, because of the secret.
impl std::fmt::Debug for S3Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3Config")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("access_key_id", &self.access_key_id)
            .field("stall", &self.stall)
            .finish_non_exhaustive()
    }
}

impl Validate for BlobsConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let url = &self.url;
        if let Some(rest) = url.strip_prefix("s3://") {
            wrong.require(
                !bucket_and_prefix(rest).0.is_empty(),
                "url",
                url,
                "names no bucket; \"s3://bucket/prefix\" does",
            );
        } else {
            let folder = !url.is_empty() && !url.contains("://");
            wrong.require(folder, "url", format!("\"{url}\""), "must be a folder, or \"s3://bucket/prefix\"");
        }
        wrong.require(
            self.max.bytes() >= 1024,
            "max",
            self.max,
            "must be at least \"1KiB\"; \"256MiB\" is usual",
        );
        let half = self.s3.access_key_id.is_some() != self.s3.secret_access_key.is_some();
        let remedy = "`access_key_id` and `secret_access_key` belong together: set both, or none";
        wrong.require(
            !half,
            "s3.access_key_id",
            self.s3.access_key_id.as_deref().unwrap_or("(unset)"),
            remedy,
        );
        let sensible = (Duration::from_millis(100)..=Duration::from_hours(1)).contains(&self.s3.stall);
        let shown = units::format_duration(self.s3.stall);
        wrong.require(sensible, "s3.stall", shown, "must be \"100ms\" to \"1h\"; \"2m\" is usual");
        wrong.into_result()
    }
}

/// Bytes under names. Cheap to clone.
///
/// A name is 1 to [`Blobs::MAX_NAME`] bytes of letters, digits and `. _ -`, in parts separated by `/`; no part begins
/// with a dot. A blob is seen whole or not at all: one that was being written when its writer was killed is not there.
/// What [`put`](Blobs::put) and [`put_new`](Blobs::put_new) have acknowledged is on the disk.
///
/// S3 is asked again after a failure that may pass, three times and for as long as [`ConnectionConfig::timeout`]; a request is given up when nothing of it
/// moves for [`S3Config::stall`].
/// A blob over 16 MiB is put in parts, each a request of its own; give the bucket a rule that removes unfinished uploads after some days, for
/// those of a writer that was killed. [`put_new`](Blobs::put_new) is always one request, since only that can be made to depend on what is there.
#[derive(Debug, Clone)]
pub struct Blobs {
    place: Place,
    max: ByteSize,
}

#[derive(Debug, Clone)]
enum Place {
    Folder(Arc<Folder>),
    #[cfg(feature = "s3")]
    S3(Arc<s3::S3>),
}

impl Blobs {
    /// The longest name, in bytes.
    pub const MAX_NAME: usize = 512;

    /// Opens the place that `config` names; a folder is made, a bucket has to be there.
    ///
    /// # Errors
    ///
    /// [`Error::BackendNotCompiled`] for `s3://…` without the feature `s3`, [`Error::Failed`] when the place cannot be
    /// used.
    pub async fn open(config: &BlobsConfig, connection: &ConnectionConfig) -> Result<Self, Error> {
        let place = match config.url.strip_prefix("s3://") {
            None => Place::Folder(Arc::new(Folder::open(PathBuf::from(&config.url)).await?)),
            #[cfg(feature = "s3")]
            Some(rest) => {
                let (bucket, prefix) = bucket_and_prefix(rest);
                Place::S3(Arc::new(s3::S3::open(bucket, prefix, &config.s3, connection)?))
            }
            #[cfg(not(feature = "s3"))]
            Some(_) => {
                let _ = connection; // Only a server needs it.
                return Err(Error::BackendNotCompiled { backend: "S3", feature: "s3" });
            }
        };
        Ok(Self { place, max: config.max })
    }

    /// Writes a blob, in place of another of that name.
    ///
    /// # Errors
    ///
    /// [`Error::BlobName`]; [`Error::Failed`], of class `TooLarge` for one over [`BlobsConfig::max`].
    pub async fn put(&self, name: &str, bytes: Bytes) -> Result<(), Error> {
        self.write(name, bytes, Existing::Replaced).await.map(drop)
    }

    /// Writes a blob if none has that name; whether it did. Of several writers at once one is told that it did.
    ///
    /// # Errors
    ///
    /// As [`put`](Blobs::put).
    pub async fn put_new(&self, name: &str, bytes: Bytes) -> Result<bool, Error> {
        self.write(name, bytes, Existing::Kept).await
    }

    async fn write(&self, name: &str, bytes: Bytes, existing: Existing) -> Result<bool, Error> {
        check_name(name)?;
        self.check_size(name, bytes.len() as u64)?;
        match &self.place {
            Place::Folder(folder) => folder.write(name, bytes, existing).await,
            #[cfg(feature = "s3")]
            Place::S3(s3) => s3.write(name, bytes, existing).await,
        }
    }

    /// Reads a blob.
    ///
    /// # Errors
    ///
    /// [`Error::BlobName`]; [`Error::NoBlob`]; [`Error::Failed`], of class `TooLarge` for one over
    /// [`BlobsConfig::max`], which is not read.
    pub async fn get(&self, name: &str) -> Result<Bytes, Error> {
        self.read(name, None).await
    }

    /// Reads the bytes of a blob from `range.start` up to `range.end`; fewer, or none, where the blob ends before.
    ///
    /// # Errors
    ///
    /// [`Error::BlobName`]; [`Error::NoBlob`]; [`Error::Failed`], of class `TooLarge` for a range over [`BlobsConfig::max`].
    pub async fn get_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, Error> {
        if range.is_empty() {
            // S3 has no empty ranges; that the blob is there is still part of the answer.
            return if self.has(name).await? { Ok(Bytes::new()) } else { Err(self.missing(name)) };
        }
        self.check_size(name, range.end - range.start)?;
        self.read(name, Some(range)).await
    }

    async fn read(&self, name: &str, range: Option<Range<u64>>) -> Result<Bytes, Error> {
        check_name(name)?;
        let max = self.max.bytes();
        let read = match &self.place {
            Place::Folder(folder) => folder.read(name, range, max).await?,
            #[cfg(feature = "s3")]
            Place::S3(s3) => s3.read(name, range, max).await?,
        };
        match read {
            Read::Bytes(bytes) => Ok(bytes),
            Read::Missing => Err(self.missing(name)),
            Read::TooLarge(size) => Err(self.too_large(name, size)),
        }
    }

    /// Whether there is a blob of that name.
    ///
    /// # Errors
    ///
    /// [`Error::BlobName`], [`Error::Failed`].
    pub async fn has(&self, name: &str) -> Result<bool, Error> {
        Ok(self.about(name).await?.is_some())
    }

    /// The size of a blob and when it was written; none if there is no blob of that name.
    ///
    /// # Errors
    ///
    /// [`Error::BlobName`], [`Error::Failed`].
    pub async fn about(&self, name: &str) -> Result<Option<BlobInfo>, Error> {
        check_name(name)?;
        match &self.place {
            Place::Folder(folder) => folder.about(name).await,
            #[cfg(feature = "s3")]
            Place::S3(s3) => s3.about(name).await,
        }
    }

    /// Removes a blob; one that is not there is removed already.
    ///
    /// # Errors
    ///
    /// [`Error::BlobName`], [`Error::Failed`].
    pub async fn delete(&self, name: &str) -> Result<(), Error> {
        check_name(name)?;
        match &self.place {
            Place::Folder(folder) => folder.delete(name).await,
            #[cfg(feature = "s3")]
            Place::S3(s3) => s3.delete(name).await,
        }
    }

    /// The names that begin with `part/`, in order.
    ///
    /// # Errors
    ///
    /// [`Error::BlobName`], [`Error::Failed`].
    pub async fn list(&self, part: &str) -> Result<Vec<String>, Error> {
        Ok(self.list_about(part).await?.into_iter().map(|blob| blob.name).collect())
    }

    /// The blobs whose names begin with `part/`, in order of their names, with what [`about`](Blobs::about) tells of each: from the listing
    /// alone, a request for each thousand of them in S3. Some hundred bytes of memory for each.
    ///
    /// # Errors
    ///
    /// [`Error::BlobName`], [`Error::Failed`].
    pub async fn list_about(&self, part: &str) -> Result<Vec<BlobInfo>, Error> {
        check_name(part)?;
        let mut blobs = match &self.place {
            Place::Folder(folder) => folder.list(part).await?,
            #[cfg(feature = "s3")]
            Place::S3(s3) => s3.list(part).await?,
        };
        blobs.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(blobs)
    }

    /// The place, for people: the folder, or `s3://bucket/prefix`.
    #[must_use]
    pub fn place(&self) -> String {
        self.shown().1
    }

    /// For people: the folder, or the bucket.
    fn shown(&self) -> (&'static str, String) {
        match &self.place {
            Place::Folder(folder) => ("the folder", folder.shown()),
            #[cfg(feature = "s3")]
            Place::S3(s3) => ("S3", s3.shown()),
        }
    }

    fn missing(&self, name: &str) -> Error {
        Error::NoBlob { place: self.shown().1, name: name.to_owned() }
    }

    fn check_size(&self, name: &str, bytes: u64) -> Result<(), Error> {
        if bytes <= self.max.bytes() { Ok(()) } else { Err(self.too_large(name, bytes)) }
    }

    fn too_large(&self, name: &str, bytes: u64) -> Error {
        let (backend, place) = self.shown();
        let source = format!("`{name}` has {bytes} bytes, more than `max` = {} allows", self.max);
        Error::Failed { backend, place, class: ErrorClass::TooLarge, source: source.into() }
    }
}

/// A blob without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlobInfo {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was written, by the clock of the place; in S3 to the second.
    pub modified: Option<SystemTime>,
}

/// What came of reading.
enum Read {
    Bytes(Bytes),
    Missing,
    /// It has so many bytes, and was not read.
    TooLarge(u64),
}

impl Probe for Blobs {
    fn name(&self) -> &'static str {
        "blobs"
    }

    async fn check(&self) -> Vitality {
        match self.has("probe").await {
            Ok(_) => Vitality::Pass,
            Err(error) => Vitality::Fail(error.to_string()),
        }
    }
}

/// What becomes of a blob that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Existing {
    Replaced,
    Kept,
}

fn bucket_and_prefix(rest: &str) -> (&str, &str) {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    (bucket, prefix.trim_matches('/'))
}

/// Names mean the same in every place: no way out of a folder, nothing that only some file systems or servers take.
fn check_name(name: &str) -> Result<(), Error> {
    let fail = |problem| Err(Error::BlobName { name: name.to_owned(), problem });
    if name.len() > Blobs::MAX_NAME {
        return fail("it is longer than 512 bytes; use a hash of it");
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    for part in name.split('/') {
        if part.is_empty() || part.starts_with('.') {
            return fail("each part between `/` needs a sign, and a dot cannot be its first");
        }
        if part.len() > 200 || !part.chars().all(allowed) {
            return fail("a part between `/` is at most 200 letters, digits, `.`, `_` and `-`");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        for name in ["a", "results/0af.json", "a-b_c.d/e"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "/a", "a/", "../a", "a/../b", "a//b", ".hidden", "a/.b", "a b", "ä", "a\\b", "a\0"]
        {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(check_name(&"a".repeat(201)).is_err());
        assert!(check_name(&"a/".repeat(300)).is_err());
    }
}
