//! A real browser behind the guard.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "limits against hanging are in real time")]

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use browser::guard::{GuardConfig, Proxy, Reason};
use buttress_core::Ctx;
use buttress_testkit::Program;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server on 127.0.0.1 or 127.0.0.2 whose every answer is the page `body`; its address, and how often it was asked.
async fn serve(ip: &str, body: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((ip, 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && client.read_buf(&mut head).await.is_ok_and(|n| n > 0) {}
            let _ = client.write_all(answer.as_bytes()).await;
        }
    });
    (address, asked)
}

async fn proxy(json: Value) -> Proxy {
    let config: GuardConfig = serde_json::from_value(json).unwrap();
    Proxy::start(config, &Ctx::default()).await.unwrap()
}

/// The document that the browser has after loading `url`.
async fn dom(proxy: &Proxy, url: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
    let browser = tokio::process::Command::new(Program::HEADLESS_SHELL.path())
        .args(["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--dump-dom"])
        .args(["--virtual-time-budget=5000"])
        .args(proxy.chromium_flags())
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(url)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output =
        tokio::time::timeout(Duration::from_mins(2), browser).await.expect("it must not hang").unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_is_shown_why_a_page_is_refused() {
    let (address, asked) = serve("127.0.0.1", "the secret".to_owned()).await;
    let proxy = proxy(json!({})).await;
    let dom = dom(&proxy, &format!("http://{address}/")).await;
    assert!(dom.contains(&format!("{address} is refused: it is this machine itself")), "{dom}");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    assert_eq!(proxy.refusals()[0].reason, Reason::Loopback);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_allowed_page_loads_and_what_it_asks_of_private_servers_is_refused() {
    let (private, asked) = serve("127.0.0.1", "the secret".to_owned()).await;
    let port = private.rsplit(':').next().unwrap();
    let page = format!(
        "<p>the page</p><iframe src='http://{private}/frame'></iframe><img src='https://{private}/image'>
        <script>
        fetch('http://{private}/fetch', {{mode: 'no-cors'}});
        fetch('http://localhost:{port}/name', {{mode: 'no-cors'}});
        fetch('http://[::1]:{port}/six', {{mode: 'no-cors'}});
        new WebSocket('ws://{private}/socket');
        </script>"
    );
    let (public, _) = serve("127.0.0.2", page).await;
    let proxy = proxy(json!({ "allow": ["127.0.0.2"] })).await;
    let dom = dom(&proxy, &format!("http://{public}/")).await;
    assert!(dom.contains("<p>the page</p>"), "{dom}");
    assert!(!dom.contains("the secret"), "{dom}");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    let refusals = proxy.refusals();
    for host in ["127.0.0.1", "localhost", "[::1]"] {
        assert!(refusals.iter().any(|refusal| refusal.host == host), "{host}: {refusals:?}");
    }
    // The frame, the image, a fetch and the WebSocket each asked for the private server.
    assert!(refusals.iter().filter(|refusal| refusal.host == "127.0.0.1").count() >= 4, "{refusals:?}");
}
