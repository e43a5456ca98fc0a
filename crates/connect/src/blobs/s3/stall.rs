//! Requests take as long as they move, and are given up when they do not.
//!
//! A limit on a whole request is one on the size of blobs that a slow line can carry. What is bounded here is the time in which nothing moves: no
//! piece of an upload is taken, and nothing of an answer is heard.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use buttress_core::{BoxFuture, Clock, SystemClock};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
    HttpResponseBody, HttpService, ReqwestConnector,
};
use tokio::sync::Notify;

/// So much of an upload is handed over at a time.
const PIECE: usize = 16 << 10;

/// Makes clients that give up a request on which nothing moves for so long.
#[derive(Debug)]
pub(super) struct Watching {
    pub(super) stall: Duration,
    /// What has a body is sent by a client that can be told what to do as it is taken; `object_store`'s cannot.
    pub(super) uploads: reqwest::Client,
}

impl HttpConnector for Watching {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Watched { client, uploads: self.uploads.clone(), stall: self.stall }))
    }
}

#[derive(Debug)]
struct Watched {
    client: HttpClient,
    uploads: reqwest::Client,
    stall: Duration,
}

#[derive(Debug, thiserror::Error)]
#[error("nothing moved for {}", buttress_core::units::format_duration(*.0))]
struct Stalled(Duration);

impl Stalled {
    fn error(stall: Duration) -> HttpError {
        HttpError::new(HttpErrorKind::Timeout, Self(stall))
    }
}

// As `async_trait` writes it.
impl HttpService for Watched {
    fn call<'s, 'f>(
        &'s self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'f>>
    where
        's: 'f,
        Self: 'f,
    {
        Box::pin(self.send(request))
    }
}

impl Watched {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let taken = Arc::new(Notify::new());
        let (head, body) = request.into_parts();
        let mut answer: BoxFuture<'_, _> = match whole(&body) {
            Some(bytes) if bytes.len() > PIECE => {
                let body = Upload { rest: bytes, taken: Arc::clone(&taken) };
                Box::pin(self.upload(http::Request::from_parts(head, body)))
            }
            _ => Box::pin(self.client.execute(HttpRequest::from_parts(head, body))),
        };
        let answer = loop {
            tokio::select! {
                biased;
                answer = &mut answer => break answer?,
                () = taken.notified() => {}
                () = SystemClock.sleep(self.stall) => return Err(Stalled::error(self.stall)),
            }
        };
        let (head, body) = answer.into_parts();
        let body = Heard { body, stall: self.stall, alarm: None };
        Ok(HttpResponse::from_parts(head, HttpResponseBody::new(body)))
    }

    async fn upload(&self, request: http::Request<Upload>) -> Result<HttpResponse, HttpError> {
        let request = request.map(reqwest::Body::wrap).try_into().map_err(failed)?;
        let answer: http::Response<reqwest::Body> =
            self.uploads.execute(request).await.map_err(failed)?.into();
        Ok(answer.map(|body| HttpResponseBody::new(body.map_err(failed))))
    }
}

/// The bytes of a body, which are there already.
fn whole(body: &HttpRequestBody) -> Option<Bytes> {
    Some(body.clone().collect().now_or_never()?.ok()?.to_bytes())
}

fn failed(error: reqwest::Error) -> HttpError {
    let kind = match () {
        () if error.is_timeout() => HttpErrorKind::Timeout,
        () if error.is_connect() => HttpErrorKind::Connect,
        // It is asked again: what is put may be put twice, and what must be new has a mark.
        () => HttpErrorKind::Request,
    };
    HttpError::new(kind, error.without_url())
}

/// A body that is taken in pieces, and tells of each.
struct Upload {
    rest: Bytes,
    taken: Arc<Notify>,
}

impl Body for Upload {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::convert::Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        self.taken.notify_one();
        let length = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

/// An answer, as it is heard.
struct Heard {
    body: HttpResponseBody,
    stall: Duration,
    /// While the next piece is waited for. Never locked: it makes this `Sync`, which a body has to be.
    alarm: Option<Mutex<BoxFuture<'static, ()>>>,
}

impl Body for Heard {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            this.alarm = None;
            return Poll::Ready(frame);
        }
        let alarm = this.alarm.get_or_insert_with(|| Mutex::new(SystemClock.sleep(this.stall)));
        let alarm = alarm.get_mut().unwrap_or_else(PoisonError::into_inner);
        alarm.as_mut().poll(context).map(|()| Some(Err(Stalled::error(this.stall))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
