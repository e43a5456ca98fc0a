//! Documents as they come in: to a file, hashed on the way, never whole in memory.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use buttress_core::{Classify, ErrorClass};
use buttress_docpipeline::{ContentHasher, Error as DocumentError, Limit};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::io::AsyncWriteExt;

/// Why an upload is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    /// The document is refused as it is.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The connection broke, or the body is no proper multipart form.
    #[error("the upload broke off or is not well-formed: {problem}")]
    Broken {
        /// What is wrong.
        problem: String,
    },
    /// The disk refuses.
    #[error("the upload cannot be written to the disk")]
    Disk(#[from] std::io::Error),
}

impl Classify for UploadError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Document(error) => error.class(),
            Self::Broken { .. } => ErrorClass::Invalid,
            Self::Disk(_) => ErrorClass::Unavailable,
        }
    }
}

/// A document on the disk that nobody has accepted yet; its file goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) path: PathBuf,
    pub(crate) content: String,
    pub(crate) bytes: u64,
}

impl Drop for Upload {
    fn drop(&mut self) {
        // Accepted, it is no longer there; refused, it is of no use.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Receives a document into a file below `folder`.
pub(crate) async fn receive(
    mut body: impl Stream<Item = Result<Bytes, UploadError>> + Unpin,
    folder: &Path,
    limit: u64,
) -> Result<Upload, UploadError> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let path = folder.join(format!("{:x}", NEXT.fetch_add(1, Ordering::Relaxed)));
    let mut file = tokio::fs::File::create(&path).await?;
    let mut upload = Upload { path, content: String::new(), bytes: 0 };
    let mut hasher = ContentHasher::default();
    while let Some(piece) = body.next().await {
        let piece = piece?;
        upload.bytes += piece.len() as u64;
        if upload.bytes > limit {
            return Err(DocumentError::OverLimit { limit: Limit::InputBytes, max: limit }.into());
        }
        hasher.update(&piece);
        file.write_all(&piece).await?;
    }
    if upload.bytes == 0 {
        return Err(DocumentError::Empty.into());
    }
    file.flush().await?;
    upload.content = hasher.finish();
    Ok(upload)
}
