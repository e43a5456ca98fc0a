//! S3 on a free port: buckets are folders of a temporary one.

use std::future::{Future, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::access::S3Access;
use s3s::auth::SimpleAuth;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::dto::{DeleteObjectInput, DeleteObjectsInput, ListObjectsV2Input};
use s3s::service::S3ServiceBuilder;
use s3s::{S3Request, S3Result};
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

/// How many of the next requests go wrong.
#[derive(Debug)]
struct Faults {
    /// How many requests the credentials are good for.
    good: AtomicUsize,
    refused: AtomicUsize,
    unanswered: AtomicUsize,
    requests: AtomicUsize,
    keeps_all: AtomicBool,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            good: AtomicUsize::new(usize::MAX),
            refused: AtomicUsize::default(),
            unanswered: AtomicUsize::default(),
            requests: AtomicUsize::default(),
            keeps_all: AtomicBool::default(),
        }
    }
}

impl Faults {
    /// Whether this request is one of those that `left` counts down.
    fn takes_one(left: &AtomicUsize) -> bool {
        left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
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
                    async move {
                        faults.requests.fetch_add(1, Ordering::SeqCst);
                        if !Faults::takes_one(&faults.good) {
                            return Ok(expired());
                        }
                        if Faults::takes_one(&faults.refused) {
                            return Ok(unavailable());
                        }
                        let answer = service.call(request.map(s3s::Body::from)).await;
                        if Faults::takes_one(&faults.unanswered) { Ok(unavailable()) } else { answer }
                    }
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

    /// Where it listens, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Answers the next `requests` with 503, and does nothing of what they ask.
    pub fn refuse(&self, requests: usize) {
        self.faults.refused.store(requests, Ordering::SeqCst);
    }

    /// Does what the next `requests` ask, and answers them with 503.
    pub fn lose_answers(&self, requests: usize) {
        self.faults.unanswered.store(requests, Ordering::SeqCst);
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

fn unavailable() -> s3s::HttpResponse {
    let mut answer = s3s::HttpResponse::new(s3s::Body::empty());
    *answer.status_mut() = hyper::StatusCode::SERVICE_UNAVAILABLE;
    answer
}

/// As AWS answers: with 400.
fn expired() -> s3s::HttpResponse {
    let told = "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>";
    let mut answer = s3s::HttpResponse::new(s3s::Body::from(told.to_owned()));
    *answer.status_mut() = hyper::StatusCode::BAD_REQUEST;
    answer
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
