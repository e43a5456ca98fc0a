//! Which store, by configuration.

use buttress_connect::blobs::{Blobs, BlobsConfig, S3Config};
use buttress_connect::{ConnectionConfig, Error as ConnectError};
use buttress_core::{Classify, Ctx, Validate, Violations};
use serde::{Deserialize, Serialize};

use super::{AppendOnly, BlobStore, DynStore, Folder, RetryConfig, Retrying};
use crate::Error;

/// Where a repository is.
///
/// | field | default | |
/// |---|---|---|
/// | `url` | `"backup"` | a folder, or `s3://bucket/prefix` |
/// | `append_only` | `false` | objects are added, never replaced or removed; see [`AppendOnly`] |
/// | `s3` | | see [`S3Config`]; only for `s3://…` |
/// | `connection` | | see [`ConnectionConfig`]; only for `s3://…` |
/// | `retry` | | see [`RetryConfig`]; only for `s3://…` |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StoreConfig {
    /// A folder, or `s3://bucket/prefix`.
    pub url: String,
    /// Whether what is there stays as it is.
    pub append_only: bool,
    /// What `s3://…` needs beside.
    pub s3: S3Config,
    /// How a server is spoken to.
    pub connection: ConnectionConfig,
    /// How often a server is asked again.
    pub retry: RetryConfig,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            url: "backup".to_owned(),
            append_only: false,
            s3: S3Config::default(),
            connection: ConnectionConfig::default(),
            retry: RetryConfig::default(),
        }
    }
}

impl StoreConfig {
    fn blobs(&self) -> BlobsConfig {
        let mut blobs = BlobsConfig::default();
        blobs.url.clone_from(&self.url);
        blobs.s3 = self.s3.clone();
        blobs
    }
}

impl Validate for StoreConfig {
    fn validate(&self) -> Result<(), Violations> {
        // What `url` and `s3` may be is said where they are used.
        let mut wrong = self.blobs().validate().err().unwrap_or_default();
        wrong.nest("connection", &self.connection);
        wrong.nest("retry", &self.retry);
        wrong.into_result()
    }
}

impl DynStore {
    /// Opens the store that `config` names. A folder is made when something is written to it, a bucket has to be there.
    ///
    /// # Errors
    ///
    /// [`Error::Config`]; [`Error::Unsupported`] for `s3://…` without the feature `s3`; [`Error::Store`] if the client cannot be made.
    pub async fn open(config: &StoreConfig, ctx: &Ctx) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        if !config.url.starts_with("s3://") {
            return Ok(Self::perhaps_append_only(Folder::new(&config.url), config));
        }
        let blobs = Blobs::open(&config.blobs(), &config.connection).await.map_err(|error| match error {
            ConnectError::BackendNotCompiled { .. } => {
                Error::Unsupported { what: config.url.clone(), problem: error.to_string() }
            }
            error => Error::Store {
                doing: "open",
                object: "repository".to_owned(),
                place: config.url.clone(),
                class: error.class(),
                source: error.into(),
            },
        })?;
        let store = Retrying::new(BlobStore::new(blobs), &config.retry, ctx)?;
        Ok(Self::perhaps_append_only(store, config))
    }

    fn perhaps_append_only(store: impl super::Store, config: &StoreConfig) -> Self {
        if config.append_only { Self::new(AppendOnly::new(store)) } else { Self::new(store) }
    }
}
