//! Blobs in S3, or in what speaks like it.

use std::io::Read;

use buttress_core::ErrorClass;
use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use object_store::{
    BackoffConfig, Certificate, ClientOptions, Error as StoreError, ObjectStore, ObjectStoreExt, PutMode,
    PutOptions, PutPayload, RetryConfig,
};

use super::{Existing, S3Config};
use crate::error::Told;
use crate::{ConnectionConfig, Error, tls};

#[derive(Debug)]
pub(super) struct S3 {
    store: AmazonS3,
    bucket: String,
    prefix: String,
}

impl S3 {
    pub(super) fn open(
        bucket: &str,
        prefix: &str,
        config: &S3Config,
        connection: &ConnectionConfig,
    ) -> Result<Self, Error> {
        tls::use_ring();
        let mut client = ClientOptions::new().with_connect_timeout(connection.timeout).with_allow_http(true);
        if let Some(path) = &connection.ca_file {
            let unusable = |problem: String| Error::File { path: path.display().to_string(), problem };
            let mut pem = Vec::new();
            std::fs::File::open(path)
                .and_then(|file| file.take(1 << 20).read_to_end(&mut pem))
                .map_err(|error| unusable(error.to_string()))?;
            let certificates =
                Certificate::from_pem_bundle(&pem).map_err(|error| unusable(error.to_string()))?;
            for certificate in certificates {
                client = client.with_root_certificate(certificate);
            }
        }
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(&config.region)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_client_options(client)
            .with_retry(RetryConfig {
                backoff: BackoffConfig::default(),
                max_retries: 3,
                retry_timeout: connection.timeout,
            });
        if let Some(endpoint) = &config.endpoint {
            builder = builder.with_endpoint(endpoint).with_virtual_hosted_style_request(false);
        }
        if let (Some(id), Some(secret)) = (&config.access_key_id, &config.secret_access_key) {
            builder = builder.with_access_key_id(id).with_secret_access_key(secret);
        }
        let store = builder.build().map_err(|error| failed(bucket, &error))?;
        Ok(Self { store, bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }

    pub(super) fn shown(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix)
    }

    pub(super) async fn write(&self, name: &str, bytes: Bytes, existing: Existing) -> Result<bool, Error> {
        let mode = match existing {
            Existing::Replaced => PutMode::Overwrite,
            Existing::Kept => PutMode::Create,
        };
        let options = PutOptions { mode, ..PutOptions::default() };
        match self.store.put_opts(&self.path(name), PutPayload::from(bytes), options).await {
            Ok(_) => Ok(true),
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => Ok(false),
            Err(error) => Err(failed(&self.bucket, &error)),
        }
    }

    pub(super) async fn read(&self, name: &str) -> Result<Option<Bytes>, Error> {
        let read = async { self.store.get(&self.path(name)).await?.bytes().await };
        self.there(read.await)
    }

    pub(super) async fn size(&self, name: &str) -> Result<Option<u64>, Error> {
        let data = self.there(self.store.head(&self.path(name)).await)?;
        Ok(data.map(|data| data.size))
    }

    pub(super) async fn delete(&self, name: &str) -> Result<(), Error> {
        self.there(self.store.delete(&self.path(name)).await).map(drop)
    }

    pub(super) async fn list(&self, part: &str) -> Result<Vec<String>, Error> {
        use futures_util::TryStreamExt;
        let below = self.path(part);
        let found: Vec<_> = self
            .store
            .list(Some(&below))
            .try_collect()
            .await
            .map_err(|error| failed(&self.bucket, &error))?;
        let skip = if self.prefix.is_empty() { 0 } else { self.prefix.len() + 1 };
        Ok(found
            .iter()
            .filter_map(|object| object.location.as_ref().get(skip..).map(str::to_owned))
            .collect())
    }

    fn path(&self, name: &str) -> Path {
        Path::from(if self.prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", self.prefix) })
    }

    fn there<T>(&self, outcome: Result<T, StoreError>) -> Result<Option<T>, Error> {
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(&self.bucket, &error)),
        }
    }
}

fn failed(bucket: &str, error: &StoreError) -> Error {
    let class = match error {
        StoreError::NotFound { .. } => ErrorClass::NotFound,
        StoreError::PermissionDenied { .. } => ErrorClass::Forbidden,
        StoreError::Unauthenticated { .. } => ErrorClass::Unauthenticated,
        StoreError::Generic { .. } => ErrorClass::Unavailable,
        _ => ErrorClass::Internal,
    };
    Error::Failed {
        backend: "S3",
        place: format!("s3://{bucket}"),
        class,
        source: Told(error.to_string()).into(),
    }
}
