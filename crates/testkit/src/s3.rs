//! S3 on a free port: buckets are folders of a temporary one.

use std::future::{Future, pending, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_RANGE};
use hyper::service::service_fn;
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use s3s::access::S3Access;
use s3s::auth::SimpleAuth;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::dto::{DeleteObjectInput, DeleteObjectsInput, ListObjectsV2Input};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{HttpResponse, S3Request, S3Result};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// An S3 server in a thread of its own. Requests have to be signed with [`S3::ACCESS_KEY_ID`] and
/// [`S3::SECRET_ACCESS_KEY`].
#[derive(Debug)]
pub struct S3 {
    addr: SocketAddr,
    faults: Arc<Faults>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    folder: TempDir, // Last: it goes when nobody writes to it any more.
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum S3Fault {
    /// Nothing of it is done. It is answered with this status and code: `(503, "SlowDown")`. With 409 and 412, which only what is written can
    /// meet, none but PUTs are.
    Refused(u16, &'static str),
    /// It is done, and answered with 503.
    Unanswered,
    /// A GET that finds something is answered with 200, all headers, and no body.
    Empty,
    /// The answer to a GET ends in the middle of its body, and the connection with it.
    Cut,
    /// Nothing of it is done, and no answer comes; the connection stays open.
    Silence,
}

impl S3Fault {
    fn can_happen_to(self, method: &Method) -> bool {
        match self {
            Self::Refused(409 | 412, _) => method == Method::PUT,
            Self::Empty | Self::Cut => method == Method::GET,
            Self::Refused(..) | Self::Unanswered | Self::Silence => true,
        }
    }
}

/// A fault that is to come.
#[derive(Debug)]
struct Planned {
    fault: S3Fault,
    /// How many requests pass before.
    after: usize,
    /// To how many it happens.
    left: usize,
}

#[derive(Debug)]
struct Faults {
    /// How many requests the credentials are good for.
    good: AtomicUsize,
    planned: Mutex<Vec<Planned>>,
    requests: AtomicUsize,
    happened: AtomicUsize,
    keeps_all: AtomicBool,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            good: AtomicUsize::new(usize::MAX),
            planned: Mutex::default(),
            requests: AtomicUsize::default(),
            happened: AtomicUsize::default(),
            keeps_all: AtomicBool::default(),
        }
    }
}

impl Faults {
    fn planned(&self) -> MutexGuard<'_, Vec<Planned>> {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens to this request.
    fn next(&self, method: &Method) -> Option<S3Fault> {
        let mut planned = self.planned();
        let mut now = None;
        for one in &mut *planned {
            if one.after > 0 {
                one.after -= 1;
            } else if now.is_none() && one.left > 0 && one.fault.can_happen_to(method) {
                one.left -= 1;
                now = Some(one.fault);
            }
        }
        self.happened.fetch_add(usize::from(now.is_some()), Ordering::SeqCst);
        now
    }

    async fn answer(
        &self,
        service: &S3Service,
        request: hyper::Request<Incoming>,
    ) -> Result<HttpResponse, s3s::HttpError> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        if self.good.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |good| good.checked_sub(1)).is_err() {
            // As AWS answers: with 400.
            return Ok(refused(400, "ExpiredToken"));
        }
        let fault = self.next(request.method());
        match fault {
            Some(S3Fault::Refused(status, code)) => return Ok(refused(status, code)),
            Some(S3Fault::Silence) => return pending().await,
            _ => {}
        }
        let answer = service.call(request.map(s3s::Body::from)).await?;
        Ok(match fault {
            Some(S3Fault::Unanswered) => refused(503, "InternalError"),
            Some(S3Fault::Empty) if answer.status().is_success() => emptied(answer),
            Some(S3Fault::Cut) => cut(answer),
            _ => answer,
        })
    }

    fn delete(&self) -> S3Result<()> {
        if self.keeps_all.load(Ordering::SeqCst) {
            return Err(s3s::s3_error!(AccessDenied, "Access Denied"));
        }
        Ok(())
    }
}

impl S3 {
    /// Who may do everything.
    pub const ACCESS_KEY_ID: &str = "tester";
    /// How the tester proves it.
    pub const SECRET_ACCESS_KEY: &str = "testers-secret";

    /// Starts a server without buckets.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(S3Config::default())
    }

    /// Starts a server that finds the time of every request too far from its own, as it does when a clock is wrong.
    #[must_use]
    pub fn start_with_another_time() -> Self {
        let mut config = S3Config::default();
        // Times in requests are whole seconds, so that none is exactly the server's.
        config.presigned_url_max_skew_time_secs = 0;
        Self::start_with(config)
    }

    fn start_with(config: S3Config) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let mut service = S3ServiceBuilder::new(FileSystem::new(folder.path()).expect("the folder is there"));
        service.set_auth(SimpleAuth::from_single(Self::ACCESS_KEY_ID, Self::SECRET_ACCESS_KEY));
        let faults = Arc::new(Faults::default());
        service.set_access(Access(Arc::clone(&faults)));
        service.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        let service = service.build();
        let listener =
            std::net::TcpListener::bind(("127.0.0.1", 0)).expect("the loopback interface has a free port");
        listener.set_nonblocking(true).expect("a socket can be asynchronous");
        let addr = listener.local_addr().expect("it listens");
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&faults);
        let serve = async move {
            let listener = TcpListener::from_std(listener).expect("inside a runtime");
            while let Ok((stream, _)) = listener.accept().await {
                let (service, faults) = (service.clone(), Arc::clone(&serving));
                let answer = service_fn(move |request: hyper::Request<Incoming>| {
                    let (service, faults) = (service.clone(), Arc::clone(&faults));
                    async move { faults.answer(&service, request).await }
                });
                let connection =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
                // A client that hangs up is no concern of the server's.
                tokio::spawn(async move { connection.await.ok() });
            }
        };
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    () = serve => {}
                    _ = stopped => {}
                }
            });
        });
        Self { addr, faults, stop: Some(stop), thread: Some(thread), folder }
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where it listens, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Lets this happen to the next `requests` to which it can, after `after` others. Faults that were planned before come first.
    pub fn fail(&self, after: usize, requests: usize, fault: S3Fault) {
        self.faults.planned().push(Planned { fault, after, left: requests });
    }

    /// Takes back all faults that were planned.
    pub fn heal(&self) {
        self.faults.planned().clear();
    }

    /// How many faults have happened.
    #[must_use]
    pub fn faults(&self) -> usize {
        self.faults.happened.load(Ordering::SeqCst)
    }

    /// Refuses every delete from now on, as a bucket does whose policy or object lock forbids it.
    pub fn keep_all(&self) {
        self.faults.keeps_all.store(true, Ordering::SeqCst);
    }

    /// Lets the credentials expire after so many more requests, as those of a role do.
    pub fn let_credentials_expire_after(&self, requests: usize) {
        self.faults.good.store(requests, Ordering::SeqCst);
    }

    /// Takes the credentials for good again.
    pub fn renew_credentials(&self) {
        self.let_credentials_expire_after(usize::MAX);
    }

    /// How many requests have come.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.faults.requests.load(Ordering::SeqCst)
    }

    /// Makes an empty bucket.
    pub fn create_bucket(&self, name: &str) {
        std::fs::create_dir(self.bucket(name)).expect("a new name");
    }

    /// The folder whose files are the objects of a bucket.
    #[must_use]
    pub fn bucket(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

/// What is allowed, and one thing put right.
struct Access(Arc<Faults>);

type Decision<'a> = Pin<Box<dyn Future<Output = S3Result<()>> + Send + 'a>>;

// As `async_trait` writes it.
impl S3Access for Access {
    /// minio's client, as in restic, sends an empty delimiter for none, and the file system's listing takes it for one.
    fn list_objects_v2<'a, 'b, 'c>(&'a self, request: &'b mut S3Request<ListObjectsV2Input>) -> Decision<'c>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        request.input.delimiter.take_if(|delimiter| delimiter.is_empty());
        Box::pin(ready(Ok(())))
    }

    fn delete_object<'a, 'b, 'c>(&'a self, _request: &'b mut S3Request<DeleteObjectInput>) -> Decision<'c>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        Box::pin(ready(self.0.delete()))
    }

    fn delete_objects<'a, 'b, 'c>(&'a self, _request: &'b mut S3Request<DeleteObjectsInput>) -> Decision<'c>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        Box::pin(ready(self.0.delete()))
    }
}

fn refused(status: u16, code: &str) -> HttpResponse {
    let told = format!("<Error><Code>{code}</Code><Message>As planned.</Message></Error>");
    let mut answer = HttpResponse::new(s3s::Body::from(told));
    *answer.status_mut() = StatusCode::from_u16(status).expect("a status");
    answer
}

fn emptied(mut answer: HttpResponse) -> HttpResponse {
    *answer.status_mut() = StatusCode::OK;
    answer.headers_mut().remove(CONTENT_LENGTH);
    answer.headers_mut().remove(CONTENT_RANGE);
    answer.map(|_| s3s::Body::empty())
}

fn cut(answer: HttpResponse) -> HttpResponse {
    let told = answer.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let length: u64 = told.or(answer.body().size_hint().exact()).unwrap_or_default();
    let left = usize::try_from(length / 2).expect("it fits in memory");
    answer.map(|body| s3s::Body::http_body_unsync(Cut { body, left, is_sent: false }))
}

/// A body that breaks off.
struct Cut {
    body: s3s::Body,
    left: usize,
    /// Whether what came before the end had its chance to be sent.
    is_sent: bool,
}

impl Body for Cut {
    type Data = Bytes;
    type Error = s3s::StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, s3s::StdError>>> {
        if self.left == 0 && !std::mem::replace(&mut self.is_sent, true) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.left == 0 {
            return Poll::Ready(Some(Err("it ends here, as planned".into())));
        }
        let frame = Pin::new(&mut self.body).poll_frame(context);
        frame.map_ok(|frame| {
            let mut bytes = frame.into_data().unwrap_or_default();
            bytes.truncate(self.left);
            self.left -= bytes.len();
            Frame::data(bytes)
        })
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed.
            let _ = thread.join();
        }
    }
}
