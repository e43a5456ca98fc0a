//! A sink of whatever kind the configuration names.

use std::sync::Arc;

use buttress_connect::Backend;
use buttress_connect::blobs::{Blobs, BlobsConfig};
use buttress_core::{BoxFuture, Ctx, Validate};

use super::config::Place;
use super::{BlobSink, Committed, LineSink, Replica, Searchable, SinkConfig};
use crate::Error;
use crate::query::{Filter, Page};

/// Any [`Replica`] behind a pointer. Cheap to clone.
#[derive(Clone)]
pub struct AnySink(Arc<dyn Erased>);

impl std::fmt::Debug for AnySink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AnySink")
    }
}

impl AnySink {
    /// The sink that `config` names.
    ///
    /// # Errors
    ///
    /// [`Error::Config`]; [`Error::Backend`], also for a back end that is not compiled in, which it names with its
    /// feature.
    pub async fn open(config: &SinkConfig, ctx: &Ctx) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        let blobs = |url: String| {
            let mut blobs = BlobsConfig::default();
            blobs.url = url;
            blobs.s3 = config.s3.clone();
            blobs
        };
        Ok(match &config.to {
            Place::Stdout => Self::new(LineSink::to(std::io::stdout(), 0)),
            Place::Lines(path) => Self::new(LineSink::open(path)?),
            Place::Folder(path) => Self::of_blobs(&blobs(path.display().to_string()), config).await?,
            Place::S3(rest) => Self::of_blobs(&blobs(format!("s3://{rest}")), config).await?,
            Place::Database(address) => match address.backend() {
                #[cfg(feature = "sqlite")]
                Backend::Sqlite => {
                    let log = config.log.clone();
                    Self::searchable(super::SqliteSink::open(address, &config.connection, log).await?)
                }
                #[cfg(feature = "postgres")]
                Backend::Postgres => {
                    let log = config.log.clone();
                    Self::searchable(
                        super::PostgresSink::connect(address, &config.connection, ctx, log).await?,
                    )
                }
                other => {
                    let _ = ctx; // With no database compiled in, nobody asks for it.
                    return Err(Backend::not_compiled(other).into());
                }
            },
        })
    }

    async fn of_blobs(blobs: &BlobsConfig, config: &SinkConfig) -> Result<Self, Error> {
        Ok(Self::new(BlobSink::new(Blobs::open(blobs, &config.connection).await?, config.log.clone())))
    }

    /// A sink that takes entries and answers no questions.
    #[must_use]
    pub fn new(sink: impl Replica + 'static) -> Self {
        Self(Arc::new(Plain(sink)))
    }

    /// A sink that answers questions too.
    #[must_use]
    pub fn searchable(sink: impl Searchable + 'static) -> Self {
        Self(Arc::new(Search(sink)))
    }

    /// The first `most` entries that fit; `None` when this kind of sink answers no questions.
    ///
    /// # Errors
    ///
    /// As [`Searchable::search`].
    pub async fn search(&self, filter: &Filter, most: usize) -> Result<Option<Page>, Error> {
        self.0.search(filter, most).await
    }
}

impl Replica for AnySink {
    async fn next(&self) -> Result<u64, Error> {
        self.0.next().await
    }

    async fn put(&self, batch: &[Committed]) -> Result<(), Error> {
        self.0.put(batch).await
    }
}

trait Erased: Send + Sync {
    fn next(&self) -> BoxFuture<'_, Result<u64, Error>>;
    fn put<'a>(&'a self, batch: &'a [Committed]) -> BoxFuture<'a, Result<(), Error>>;
    fn search<'a>(&'a self, filter: &'a Filter, most: usize) -> BoxFuture<'a, Result<Option<Page>, Error>>;
}

struct Plain<S>(S);
struct Search<S>(S);

impl<S: Replica> Erased for Plain<S> {
    fn next(&self) -> BoxFuture<'_, Result<u64, Error>> {
        Box::pin(self.0.next())
    }

    fn put<'a>(&'a self, batch: &'a [Committed]) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.0.put(batch))
    }

    fn search<'a>(&'a self, _: &'a Filter, _: usize) -> BoxFuture<'a, Result<Option<Page>, Error>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

impl<S: Searchable> Erased for Search<S> {
    fn next(&self) -> BoxFuture<'_, Result<u64, Error>> {
        Box::pin(self.0.next())
    }

    fn put<'a>(&'a self, batch: &'a [Committed]) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.0.put(batch))
    }

    fn search<'a>(&'a self, filter: &'a Filter, most: usize) -> BoxFuture<'a, Result<Option<Page>, Error>> {
        Box::pin(async move { self.0.search(filter, most).await.map(Some) })
    }
}
