//! A real browser behind the guard.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "limits against hanging are in real time")]

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use browser::guard::{GuardConfig, Proxy, Reason};
use buttress_core::Ctx;
use buttress_testkit::{ProcessGroup, Program};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;

const PATIENCE: Duration = Duration::from_mins(2);

/// A server whose every answer is a page.
struct Server {
    address: String,
    asked: Arc<AtomicUsize>,
    /// Lets the answer to `/held` go.
    release: Arc<Notify>,
}

impl Server {
    async fn start(ip: &str, body: String) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = Self { address, asked: Arc::default(), release: Arc::default() };
        let (asked, release) = (Arc::clone(&server.asked), Arc::clone(&server.release));
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                asked.fetch_add(1, Ordering::SeqCst);
                let (body, release) = (body.clone(), Arc::clone(&release));
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n")
                        && client.read_buf(&mut head).await.is_ok_and(|n| n > 0)
                    {}
                    if head.starts_with(b"GET /held ") {
                        release.notified().await;
                    }
                    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length";
                    let answer = format!("{head}: {}\r\n\r\n{body}", body.len());
                    let _ = client.write_all(answer.as_bytes()).await;
                });
            }
        });
        server
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn proxy(json: Value) -> Proxy {
    let config: GuardConfig = serde_json::from_value(json).unwrap();
    Proxy::start(config, &Ctx::default()).await.unwrap()
}

/// The document that the browser has after loading `url`, and what the browser logged.
async fn dom(proxy: &Proxy, url: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(Program::HEADLESS_SHELL.path());
    command
        .args(["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--dump-dom"])
        .args(browser::chromium::proxy_flags(proxy.address()))
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg(url);
    let mut browser = ProcessGroup::spawn(&mut command, &folder.path().join("log"));
    let ended = async {
        while browser.exited().is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("the browser ends by itself");
    browser.output()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_is_shown_why_a_page_is_refused() {
    let server = Server::start("127.0.0.1", "the secret".to_owned()).await;
    let proxy = proxy(json!({})).await;
    let dom = dom(&proxy, &format!("http://{}/", server.address)).await;
    let reason = format!("{} is refused: it is this machine itself", server.address);
    assert!(dom.contains(&reason), "{dom}");
    assert_eq!(server.asked(), 0);
    assert_eq!(proxy.refusals()[0].reason, Reason::Loopback);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_allowed_page_loads_and_what_it_asks_of_private_servers_is_refused() {
    let server = Server::start("127.0.0.1", "the secret".to_owned()).await;
    let private = &server.address;
    let port = private.rsplit(':').next().unwrap();
    // The page has loaded only when the held image came, and that is when all else was refused.
    let page = format!(
        "<p>the page</p><img src='/held'>
        <iframe src='http://{private}/frame'></iframe><img src='https://{private}/image'>
        <script>
        fetch('http://localhost:{port}/name', {{mode: 'no-cors'}});
        fetch('http://[::1]:{port}/six', {{mode: 'no-cors'}});
        new WebSocket('ws://127.0.0.3:{port}/socket');
        </script>"
    );
    let public = Server::start("127.0.0.2", page).await;
    let proxy = proxy(json!({ "allow": ["127.0.0.2"] })).await;
    let refused = async {
        let all_refused = || {
            let refusals = proxy.refusals();
            let count = |host: &str| refusals.iter().filter(|refusal| refusal.host == host).count();
            count("127.0.0.1") >= 2
                && count("127.0.0.3") >= 1
                && count("localhost") >= 1
                && count("[::1]") >= 1
        };
        let waited = async {
            while !all_refused() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE / 2, waited).await;
        public.release.notify_one();
        waited.unwrap_or_else(|_| panic!("not all was refused: {:?}", proxy.refusals()));
    };
    let url = format!("http://{}/", public.address);
    let (dom, ()) = tokio::join!(dom(&proxy, &url), refused);
    assert!(dom.contains("<p>the page</p>"), "{dom}");
    assert!(!dom.contains("the secret"), "{dom}");
    assert_eq!(server.asked(), 0);
}
