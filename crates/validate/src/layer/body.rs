//! A body that is checked as it is read.

use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};

use super::answer::Refusal;
use crate::error::Code;
use crate::json::JsonLimiter;

/// What went wrong with a body, of whatever kind.
type BoxError = Box<dyn Error + Send + Sync>;

/// The body of a request within limits of size and, in JSON, of shape. Who reads it gets an error where it is past a limit, and the client
/// the answer of the layer, whatever the service makes of the error.
#[derive(Debug)]
pub struct LimitedBody<B> {
    inner: B,
    most: u64,
    read: u64,
    json: Option<Box<JsonLimiter>>,
    refused: Arc<OnceLock<Refusal>>,
}

/// The error of a body that is past a limit.
#[derive(Debug, thiserror::Error)]
#[error("the body of the request is past a limit")]
pub struct Refused;

impl<B> LimitedBody<B> {
    pub(super) fn new(
        inner: B,
        most: u64,
        json: Option<JsonLimiter>,
        refused: Arc<OnceLock<Refusal>>,
    ) -> Self {
        Self { inner, most, read: 0, json: json.map(Box::new), refused }
    }

    fn check(&mut self, data: &Bytes) -> Result<(), Refusal> {
        self.read = self.read.saturating_add(data.len() as u64);
        if self.read > self.most {
            return Err(too_large(self.most));
        }
        match &mut self.json {
            Some(json) => json.push(data).map_err(Refusal::json),
            None => Ok(()),
        }
    }

    fn end(&mut self) -> Result<(), Refusal> {
        match self.json.take() {
            // Whether a body must be there, the service knows.
            Some(json) if self.read > 0 => json.finish().map_err(Refusal::json),
            _ => Ok(()),
        }
    }
}

pub(super) fn too_large(most: u64) -> Refusal {
    let detail = format!("the body is larger than {most} bytes; send less");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, Code::TooLong, detail)
}

impl<B> Body for LimitedBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if this.refused.get().is_some() {
            return Poll::Ready(Some(Err(Refused.into())));
        }
        let frame = match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            None => {
                return Poll::Ready(this.end().err().map(|refusal| {
                    let _ = this.refused.set(refusal);
                    Err(Refused.into())
                }));
            }
        };
        if let Some(data) = frame.data_ref()
            && let Err(refusal) = this.check(data)
        {
            let _ = this.refused.set(refusal);
            return Poll::Ready(Some(Err(Refused.into())));
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        // The end of JSON has to be read to be judged.
        self.inner.is_end_stream() && (self.json.is_none() || self.read == 0) && self.refused.get().is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
