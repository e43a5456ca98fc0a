//! Documents as they come in: to a file, hashed and looked at on the way, never whole in memory.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use buttress_core::{Classify, ErrorClass};
use buttress_docpipeline::{ContentHasher, Error as DocumentError, Limit, Limits};
use buttress_validate::upload::{Kind, UploadCheck, UploadPolicy};
use buttress_validate::{Code, Invalid, SafeFileName};
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
    /// What it is, by its content; none where that is for its worker to say.
    pub(crate) kind: Option<Kind>,
}

impl Drop for Upload {
    fn drop(&mut self) {
        // Accepted, it is no longer there; refused, it is of no use.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What a document may not be more than, before a worker has it.
#[derive(Clone)]
pub(crate) struct Bounds(UploadPolicy);

impl Bounds {
    pub(crate) fn of(limits: &Limits) -> Self {
        let mut policy = UploadPolicy::default();
        // Which kinds can be read, and what is wrong with those that cannot, workers tell.
        policy.kinds = Kind::ALL.to_vec();
        policy.refuse.clear();
        (policy.match_name, policy.match_type) = (false, false);
        (policy.max_bytes, policy.max_inflated) = (limits.input_bytes, limits.expanded_bytes);
        policy.max_ratio = limits.expansion_ratio;
        policy.max_entries = usize::try_from(limits.entries).unwrap_or(usize::MAX);
        Self(policy)
    }

    /// Which of them was reached, in the words of the pipeline.
    fn reached(&self, wrong: &Invalid) -> Option<DocumentError> {
        let (limit, max) = match wrong.code() {
            Code::Ratio => (Limit::ExpansionRatio, self.0.max_ratio),
            Code::TooLong => (Limit::ExpandedBytes, self.0.max_inflated.bytes()),
            Code::TooMany => (Limit::Entries, self.0.max_entries as u64),
            _ => return None,
        };
        Some(DocumentError::OverLimit { limit, max })
    }
}

/// Looks at a document piece by piece.
struct Look<'a> {
    bounds: &'a Bounds,
    /// None once it has seen what it cannot follow.
    check: Option<UploadCheck>,
}

impl<'a> Look<'a> {
    fn at(name: &SafeFileName, bounds: &'a Bounds) -> Self {
        Self { bounds, check: bounds.0.begin(name.clone(), None).ok() }
    }

    async fn push(&mut self, piece: &[u8]) -> Result<(), UploadError> {
        /// What is inflated before others have their turn: times the ratio, a few milliseconds at worst.
        const TURN: usize = 16 << 10;
        for part in piece.chunks(TURN) {
            let Some(check) = &mut self.check else { return Ok(()) };
            if let Err(wrong) = check.push(part) {
                self.check = None;
                return self.bounds.reached(&wrong).map_or(Ok(()), |reached| Err(reached.into()));
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn finish(self) -> Result<Option<Kind>, UploadError> {
        let Some(check) = self.check else { return Ok(None) };
        match check.finish() {
            Ok(taken) => Ok(Some(taken.kind)),
            Err(wrong) => self.bounds.reached(&wrong).map_or(Ok(None), |reached| Err(reached.into())),
        }
    }
}

/// What somebody said of a document that its content belies, for people.
pub(crate) fn belied(kind: Kind, name: &SafeFileName, mime: Option<&str>) -> Option<String> {
    let claimed = |claims: &dyn Fn(&Kind) -> bool| {
        let known = Kind::ALL.iter().find(|kind| claims(kind));
        known.filter(|_| !claims(&kind))
    };
    let by_name = name.extension().and_then(|e| claimed(&|kind| kind.has_extension(e)));
    let by_type = || mime.and_then(|mime| claimed(&|kind| kind.has_mime(mime)));
    by_name.or_else(by_type).map(|said| format!("it was sent as {said} and is {kind}"))
}

/// Receives a document into a file below `folder`.
pub(crate) async fn receive(
    mut body: impl Stream<Item = Result<Bytes, UploadError>> + Unpin,
    name: &SafeFileName,
    folder: &Path,
    bounds: &Bounds,
) -> Result<Upload, UploadError> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let path = folder.join(format!("{:x}", NEXT.fetch_add(1, Ordering::Relaxed)));
    let mut file = tokio::fs::File::create(&path).await?;
    let mut upload = Upload { path, content: String::new(), bytes: 0, kind: None };
    let limit = bounds.0.max_bytes.bytes();
    let mut look = Look::at(name, bounds);
    let mut hasher = ContentHasher::default();
    while let Some(piece) = body.next().await {
        let piece = piece?;
        upload.bytes += piece.len() as u64;
        if upload.bytes > limit {
            return Err(DocumentError::OverLimit { limit: Limit::InputBytes, max: limit }.into());
        }
        look.push(&piece).await?;
        hasher.update(&piece);
        file.write_all(&piece).await?;
    }
    if upload.bytes == 0 {
        return Err(DocumentError::Empty.into());
    }
    upload.kind = look.finish()?;
    file.flush().await?;
    upload.content = hasher.finish();
    Ok(upload)
}
