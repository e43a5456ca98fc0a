//! Blobs in S3, or in what speaks like it.

mod stall;

use std::io::Read as _;
use std::ops::Range;
use std::time::Duration;

use buttress_core::{Clock, ErrorClass, SystemClock, unique_number};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::client::{HttpError, HttpErrorKind};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, BackoffConfig, Certificate, ClientOptions, Error as StoreError, GetOptions,
    GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, RetryConfig,
};

use self::stall::Watching;
use super::{BlobInfo, Existing, Read, S3Config};
use crate::error::Told;
use crate::{ConnectionConfig, Error, tls};

/// A blob over this size is put in parts, so that a lost one is sent again alone.
const IN_PARTS: usize = 16 << 20;
/// S3 takes no part under 5 MiB, but for the last.
const PART: usize = 8 << 20;
const PARTS_AT_ONCE: usize = 3;
/// A blob over this size is not sent to a name that is taken.
const LOOK_FIRST: usize = 64 << 10;

/// How long a server that refuses a blob as there, which is not there, is left alone before it is asked again.
const WAITS_FOR_ROOM: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(800)];

/// Who wrote a blob: a mark of the request that made it.
const MADE_BY: Attribute = Attribute::Metadata(std::borrow::Cow::Borrowed("made-by"));

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
        let mut client = ClientOptions::new()
            .with_connect_timeout(connection.timeout)
            .with_timeout_disabled()
            .with_allow_http(true);
        let mut uploads = reqwest::Client::builder()
            .connect_timeout(connection.timeout)
            .http1_only()
            .user_agent(concat!("buttress/", env!("CARGO_PKG_VERSION")));
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
            let certificates = reqwest::Certificate::from_pem_bundle(&pem);
            uploads = uploads.tls_certs_merge(certificates.map_err(|error| unusable(error.to_string()))?);
        }
        let uploads = uploads.build().map_err(|error| Error::Failed {
            backend: "S3",
            place: format!("s3://{bucket}"),
            class: ErrorClass::Internal,
            source: error.into(),
        })?;
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(&config.region)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_client_options(client)
            .with_http_connector(Watching { stall: config.stall, uploads })
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
        let path = self.path(name);
        let written = match existing {
            Existing::Kept => self.create(&path, bytes).await,
            Existing::Replaced if bytes.len() > IN_PARTS => {
                self.put_in_parts(&path, &bytes).await.map(|()| true)
            }
            Existing::Replaced => self.store.put(&path, bytes.into()).await.map(|_| true),
        };
        written.map_err(|error| failed(&self.bucket, &error))
    }

    /// Puts a blob that must be new. A server may have done it and answered with a failure, and then tell the next try that the blob is there:
    /// the mark says whether it is ours. One may also say so, or that others are writing it (409), of a blob that is not there: it is asked again.
    async fn create(&self, path: &Path, bytes: Bytes) -> Result<bool, StoreError> {
        // A server refuses before it has read a large blob, and hangs up: whoever is still sending may not hear why.
        if bytes.len() > LOOK_FIRST && self.store.head(path).await.is_ok() {
            return Ok(false);
        }
        let mark = format!("{:016x}", unique_number());
        let mut waits = WAITS_FOR_ROOM.into_iter();
        loop {
            let refused = match self.put_marked(path, bytes.clone(), &mark).await {
                Ok(()) => return Ok(true),
                Err(refused @ (StoreError::AlreadyExists { .. } | StoreError::Precondition { .. })) => {
                    refused
                }
                Err(error) => return Err(error),
            };
            let look = GetOptions { head: true, ..GetOptions::default() };
            match self.store.get_opts(path, look).await {
                Ok(there) => return Ok(there.attributes.get(&MADE_BY).is_some_and(|by| by.as_ref() == mark)),
                Err(StoreError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
            let Some(wait) = waits.next() else { return Err(refused) };
            SystemClock.sleep(wait).await;
        }
    }

    async fn put_marked(&self, path: &Path, bytes: Bytes, mark: &str) -> Result<(), StoreError> {
        let mut attributes = Attributes::new();
        attributes.insert(MADE_BY, mark.to_owned().into());
        let options = PutOptions { mode: PutMode::Create, attributes, ..PutOptions::default() };
        self.store.put_opts(path, PutPayload::from(bytes), options).await.map(drop)
    }

    async fn put_in_parts(&self, path: &Path, bytes: &Bytes) -> Result<(), StoreError> {
        let mut upload = self.store.put_multipart(path).await?;
        let starts = (0..bytes.len()).step_by(PART);
        let parts = starts.map(|start| bytes.slice(start..bytes.len().min(start + PART)));
        let sent = stream::iter(parts.map(|part| upload.put_part(part.into())))
            .buffer_unordered(PARTS_AT_ONCE)
            .try_collect::<()>()
            .await;
        let done = match sent {
            Ok(()) => upload.complete().await.map(drop),
            Err(error) => Err(error),
        };
        if done.is_err() {
            // What remains when this fails too is for the bucket's rule about unfinished uploads.
            let _ = upload.abort().await;
        }
        done
    }

    pub(super) async fn read(&self, name: &str, range: Option<Range<u64>>, max: u64) -> Result<Read, Error> {
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        let read = async {
            let found = self.store.get_opts(&self.path(name), options).await?;
            let length = found.range.end.saturating_sub(found.range.start);
            if length > max {
                return Ok(Read::TooLarge(length));
            }
            found.bytes().await.map(Read::Bytes)
        };
        match read.await {
            // The blob ends before the range begins.
            Err(error) if status(&error) == Some(416) => Ok(Read::Bytes(Bytes::new())),
            read => Ok(self.there(read)?.unwrap_or(Read::Missing)),
        }
    }

    pub(super) async fn about(&self, name: &str) -> Result<Option<BlobInfo>, Error> {
        let data = self.there(self.store.head(&self.path(name)).await)?;
        Ok(data.map(|data| about(name.to_owned(), &data)))
    }

    pub(super) async fn delete(&self, name: &str) -> Result<(), Error> {
        self.there(self.store.delete(&self.path(name)).await).map(drop)
    }

    pub(super) async fn list(&self, part: &str) -> Result<Vec<BlobInfo>, Error> {
        let below = self.path(part);
        let skip = if self.prefix.is_empty() { 0 } else { self.prefix.len() + 1 };
        self.store
            .list(Some(&below))
            .try_filter_map(async |data| {
                let name = data.location.as_ref().get(skip..).map(str::to_owned);
                Ok(name.map(|name| about(name, &data)))
            })
            .try_collect()
            .await
            .map_err(|error| failed(&self.bucket, &error))
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

fn about(name: String, data: &ObjectMeta) -> BlobInfo {
    BlobInfo { name, size: data.size, modified: Some(data.last_modified.into()) }
}

fn failed(bucket: &str, error: &StoreError) -> Error {
    let told: String = error.to_string().chars().take(LONGEST_TOLD).collect();
    let told = meaning(&told).map_or_else(|| told.clone(), |meaning| format!("{meaning}: {told}"));
    Error::Failed {
        backend: "S3",
        place: format!("s3://{bucket}"),
        class: class(error),
        source: Told(told).into(),
    }
}

/// A server's answer is part of the error, and may be a page.
const LONGEST_TOLD: usize = 2000;

fn class(error: &StoreError) -> ErrorClass {
    match error {
        StoreError::NotFound { .. } => ErrorClass::NotFound,
        StoreError::PermissionDenied { .. } => ErrorClass::Forbidden,
        StoreError::Unauthenticated { .. } => ErrorClass::Unauthenticated,
        // Of a blob that is not there, or of a put that asked for nothing of the kind: others write it at this moment.
        StoreError::AlreadyExists { .. } | StoreError::Precondition { .. } => ErrorClass::Unavailable,
        StoreError::Generic { .. } => match status(error) {
            Some(401) => ErrorClass::Unauthenticated,
            Some(403) => ErrorClass::Forbidden,
            Some(404) => ErrorClass::NotFound,
            Some(408) => ErrorClass::Timeout,
            Some(409 | 412) => ErrorClass::Unavailable,
            Some(429) => ErrorClass::Throttled,
            // The bucket is full.
            Some(507) => ErrorClass::Overloaded,
            Some(400) if error.to_string().contains("<Code>ExpiredToken</Code>") => {
                ErrorClass::Unauthenticated
            }
            Some(400..500) => ErrorClass::Invalid,
            _ if timed_out(error) => ErrorClass::Timeout,
            _ => ErrorClass::Unavailable,
        },
        _ => ErrorClass::Internal,
    }
}

/// The status that a server answered with. The client tells it of some requests, as a listing, in its text alone.
fn status(error: &StoreError) -> Option<u16> {
    let told = error.to_string();
    let (_, rest) = told.split_once("status code: ")?;
    rest.get(..3)?.parse().ok()
}

fn timed_out(error: &StoreError) -> bool {
    let first: Option<&(dyn std::error::Error + 'static)> = Some(error);
    std::iter::successors(first, |error| error.source())
        .filter_map(|error| error.downcast_ref::<HttpError>())
        .any(|error| error.kind() == HttpErrorKind::Timeout)
}

/// What people should do about a refusal, by its code.
fn meaning(told: &str) -> Option<&'static str> {
    let (_, rest) = told.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    Some(match code {
        "RequestTimeTooSkewed" => "the clocks of this machine and of the server differ by too much; set them",
        "SignatureDoesNotMatch" => "`secret_access_key` is not that of `access_key_id`",
        "InvalidAccessKeyId" | "NotSignedUp" => "the server does not know `access_key_id`",
        "ExpiredToken" | "TokenRefreshRequired" => "the credentials have expired",
        "AccessDenied" => "the credentials are good, but may not do this, or what is there is protected",
        "NoSuchBucket" => "there is no such bucket; make it first",
        _ => return None,
    })
}
