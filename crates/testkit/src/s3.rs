//! S3 on a free port: buckets are folders of a temporary one.

use std::net::SocketAddr;
use std::thread::JoinHandle;

use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// An S3 server in a thread of its own. Requests have to be signed with [`S3::ACCESS_KEY_ID`] and
/// [`S3::SECRET_ACCESS_KEY`].
#[derive(Debug)]
pub struct S3 {
    addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    folder: TempDir, // Last: it goes when nobody writes to it any more.
}

impl S3 {
    /// Who may do everything.
    pub const ACCESS_KEY_ID: &str = "tester";
    /// How the tester proves it.
    pub const SECRET_ACCESS_KEY: &str = "testers-secret";

    /// Starts a server without buckets.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let mut service = S3ServiceBuilder::new(FileSystem::new(folder.path()).expect("the folder is there"));
        service.set_auth(SimpleAuth::from_single(Self::ACCESS_KEY_ID, Self::SECRET_ACCESS_KEY));
        let service = service.build();
        let listener =
            std::net::TcpListener::bind(("127.0.0.1", 0)).expect("the loopback interface has a free port");
        listener.set_nonblocking(true).expect("a socket can be asynchronous");
        let addr = listener.local_addr().expect("it listens");
        let (stop, stopped) = oneshot::channel();
        let serve = async move {
            let listener = TcpListener::from_std(listener).expect("inside a runtime");
            while let Ok((stream, _)) = listener.accept().await {
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service.clone());
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
        Self { addr, stop: Some(stop), thread: Some(thread), folder }
    }

    /// Where it listens, `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Makes an empty bucket.
    pub fn create_bucket(&self, name: &str) {
        std::fs::create_dir(self.folder.path().join(name)).expect("a new name");
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
