//! Where key sets come from.

use std::path::PathBuf;

use buttress_core::BoxFuture;

use super::set::KeySet;
use crate::Error;

/// Fetches the text of a key set (JWKS). Any closure that answers bytes does: one that asks a server of HTTPS, for example.
///
/// The source is configured; what a token says of it is never looked at. It should read no more than [`KeySet::LONGEST`] bytes, and may
/// be dropped at any await.
pub trait JwksSource: Send + Sync + 'static {
    /// The text as it is now.
    fn fetch(&self) -> BoxFuture<'_, Result<Vec<u8>, Error>>;
}

impl<F, A> JwksSource for F
where
    F: Fn() -> A + Send + Sync + 'static,
    A: Future<Output = Result<Vec<u8>, Error>> + Send + 'static,
{
    fn fetch(&self) -> BoxFuture<'_, Result<Vec<u8>, Error>> {
        Box::pin(self())
    }
}

/// A file that holds a key set, read each time: a mount that changes, for example.
#[derive(Debug, Clone)]
pub struct JwksFile(pub PathBuf);

impl JwksSource for JwksFile {
    fn fetch(&self) -> BoxFuture<'_, Result<Vec<u8>, Error>> {
        let path = self.0.clone();
        Box::pin(async move {
            let read = tokio::task::spawn_blocking(move || {
                use std::io::Read as _;
                let mut bytes = Vec::new();
                // One more than may be, so that a longer file is refused and not cut.
                let most = u64::try_from(KeySet::LONGEST).unwrap_or(u64::MAX) + 1;
                std::fs::File::open(path)?.take(most).read_to_end(&mut bytes).map(|_| bytes)
            });
            let failed = |problem: String| Error::Unavailable { what: "the file of the key set", problem };
            match read.await {
                Ok(read) => read.map_err(|error| failed(error.kind().to_string())),
                Err(_) => Err(failed("the runtime is ending".to_owned())),
            }
        })
    }
}
