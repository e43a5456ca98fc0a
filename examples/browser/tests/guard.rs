//! The guard's proxy, over real sockets of loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "limits against hanging are in real time")]

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use browser::guard::{GuardConfig, Proxy, Reason, Resolve};
use buttress_core::{BoxFuture, Ctx};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const PATIENCE: Duration = Duration::from_secs(30);

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it must not hang")
}

/// A server that answers each connection with the same bytes, and keeps what it was sent.
struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Answers when it has read `until` past the head, and closes.
    async fn start(ip: &str, until: &'static str, answer: String) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            connections: Arc::default(),
        };
        let (seen, connections) = (Arc::clone(&server.seen), Arc::clone(&server.connections));
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (mut text, mut piece) = (String::new(), vec![0; 4096]);
                while !text.split_once("\r\n\r\n").is_some_and(|(_, body)| body.ends_with(until)) {
                    match client.read(&mut piece).await {
                        Ok(n) if n > 0 => text.push_str(&String::from_utf8_lossy(&piece[..n])),
                        _ => break,
                    }
                }
                seen.lock().unwrap().push(text);
                let _ = client.write_all(answer.as_bytes()).await;
            }
        });
        server
    }

    /// A server whose every answer is the page `body`.
    async fn page(body: &str) -> Self {
        Self::start("127.0.0.1", "", page(body)).await
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn page(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Gives the next of its answers to each question, and the last one from then on.
struct Answers(Mutex<VecDeque<Vec<IpAddr>>>, AtomicUsize);

impl Answers {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let read = |texts: &&[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Arc::new(Self(Mutex::new(answers.iter().map(read).collect()), AtomicUsize::new(0)))
    }
}

impl Resolve for Answers {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.0.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        Box::pin(std::future::ready(answer.ok_or_else(|| io::ErrorKind::NotFound.into())))
    }
}

fn config(json: Value) -> GuardConfig {
    serde_json::from_value(json).unwrap()
}

async fn proxy(json: Value) -> Proxy {
    Proxy::start(config(json), &Ctx::default()).await.unwrap()
}

async fn proxy_with(json: Value, resolver: Arc<Answers>) -> Proxy {
    Proxy::start_with(config(json), resolver, &Ctx::default()).await.unwrap()
}

/// Sends `bytes` to the proxy, and reads until it closes; a reset ends it too.
async fn send(proxy: &Proxy, bytes: &str) -> String {
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    client.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = soon(client.read_to_end(&mut answer)).await;
    String::from_utf8(answer).unwrap()
}

async fn get(proxy: &Proxy, url: &str) -> String {
    let host = url.split('/').nth(2).unwrap();
    send(proxy, &format!("GET {url} HTTP/1.1\r\nHost: {host}\r\nProxy-Connection: keep-alive\r\n\r\n")).await
}

#[track_caller]
fn assert_refused(answer: &str, reason: Reason) {
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
    assert!(answer.contains(&format!("\r\nx-guard-refused: {}\r\n", reason.as_str())), "{answer}");
    assert!(answer.contains(&format!("is refused: {reason}")), "{answer}");
}

#[tokio::test]
async fn an_allowed_server_is_reached() {
    let server = Server::page("hello").await;
    let proxy = proxy(json!({ "allow": [server.address.to_string()] })).await;
    let answer = get(&proxy, &format!("http://{}/a?b", server.address)).await;
    let expected = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
    assert_eq!(answer, expected);
    let asked = format!("GET /a?b HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.address);
    assert_eq!(server.seen(), [asked]);
    assert!(proxy.refusals().is_empty());
}

#[tokio::test]
async fn a_body_goes_through_and_nothing_behind_it() {
    let server = Server::start("127.0.0.1", "the body", page("thanks")).await;
    let proxy = proxy(json!({ "allow": ["127.0.0.1"] })).await;
    let second = "GET http://169.254.169.254/ HTTP/1.1\r\n\r\n";
    let head = format!("POST http://{}/ HTTP/1.1\r\nContent-Length: 8\r\n\r\n", server.address);
    assert!(send(&proxy, &format!("{head}the body{second}")).await.ends_with("\r\n\r\nthanks"));
    let seen = server.seen();
    assert!(seen[0].ends_with("\r\nContent-Length: 8\r\nConnection: close\r\n\r\nthe body"), "{seen:?}");
    // A body larger than every buffer.
    let large = format!("{}the body", "x".repeat(1 << 20));
    let head = format!("POST http://{}/ HTTP/1.1\r\nContent-Length: {}\r\n\r\n", server.address, large.len());
    assert!(send(&proxy, &(head + &large)).await.ends_with("\r\n\r\nthanks"));
    assert!(server.seen()[1].ends_with(&large));
}

#[tokio::test]
async fn a_second_request_on_the_connection_does_not_reach_the_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let proxy = proxy(json!({ "allow": ["127.0.0.1"] })).await;
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    let head = format!("POST http://{address}/ HTTP/1.1\r\nContent-Length: 8\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let (mut server, _) = soon(listener.accept()).await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        soon(server.read_buf(&mut seen)).await.unwrap();
    }
    client.write_all(b"the bodyGET / HTTP/1.1\r\n\r\n").await.unwrap();
    // The body is followed by nothing until the client leaves, which closes the connection.
    client.shutdown().await.unwrap();
    let mut body = Vec::new();
    let _ = soon(server.read_to_end(&mut body)).await;
    assert_eq!(body, b"the body");
}

#[tokio::test]
async fn a_tunnel_carries_bytes_both_ways_and_ends_on_either_side() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let (mut from, mut to) = client.split();
        tokio::io::copy(&mut from, &mut to).await.unwrap();
        to.write_all(b"end").await.unwrap();
    });
    let proxy = proxy(json!({ "allow": ["127.0.0.1"] })).await;
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    // The first bytes of the tunnel come along with the head.
    let head = format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n\r\nfirst ");
    client.write_all(head.as_bytes()).await.unwrap();
    client.write_all(b"second ").await.unwrap();
    client.shutdown().await.unwrap();
    let mut answer = String::new();
    soon(client.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(answer, "HTTP/1.1 200 Connection established\r\n\r\nfirst second end");
}

#[tokio::test]
async fn private_hosts_are_refused_in_any_spelling() {
    let server = Server::page("secret").await;
    let (proxy, port) = (proxy(json!({})).await, server.address.port());
    let hosts = [
        ("127.0.0.1", Reason::Loopback),
        ("127.1", Reason::Loopback),
        ("2130706433", Reason::Loopback),
        ("0x7f.1", Reason::Loopback),
        ("[::ffff:127.0.0.1]", Reason::Loopback),
        ("[::1]", Reason::Loopback),
        ("0.0.0.0", Reason::ThisHost),
        ("169.254.169.254", Reason::Metadata),
        ("localhost", Reason::LocalName),
        ("localhost.", Reason::LocalName),
        ("router", Reason::LocalName),
    ];
    for (host, reason) in hosts {
        assert_refused(&get(&proxy, &format!("http://{host}:{port}/latest/meta-data")).await, reason);
        let tunnel = send(&proxy, &format!("CONNECT {host}:{port} HTTP/1.1\r\n\r\n")).await;
        assert_refused(&tunnel, reason);
    }
    assert_eq!(server.connections(), 0);
    let refusals = proxy.refusals();
    assert_eq!(refusals.len(), 2 * hosts.len());
    assert_eq!((refusals[14].host.as_str(), refusals[14].port), ("169.254.169.254", port));
    assert_eq!(proxy.refused()[&Reason::Loopback], 12);
}

#[tokio::test]
async fn only_so_many_refusals_are_kept_and_all_are_counted() {
    let proxy = proxy(json!({})).await;
    for port in 1000..1070 {
        assert_refused(&get(&proxy, &format!("http://10.0.0.1:{port}/")).await, Reason::Private);
    }
    let kept = proxy.refusals();
    assert_eq!((kept.len(), kept[0].port, kept[63].port), (64, 1006, 1069));
    assert_eq!(proxy.refused()[&Reason::Private], 70);
}

#[tokio::test]
async fn one_private_address_refuses_the_name() {
    // 127.0.0.2 stands for a public server.
    let public = Server::start("127.0.0.2", "", page("public")).await;
    let resolver = Answers::new(&[&["127.0.0.2", "10.0.0.7"]]);
    let proxy = proxy_with(json!({ "allow": ["127.0.0.2"] }), resolver).await;
    let url = format!("http://mixed.example:{}/", public.address.port());
    assert_refused(&get(&proxy, &url).await, Reason::Private);
    assert_eq!(public.connections(), 0);
    assert_eq!(proxy.refusals()[0].host, "mixed.example");
}

#[tokio::test]
async fn a_name_that_changes_its_address_reaches_what_was_judged_or_nothing() {
    // 127.0.0.2 stands for a public server, and 127.0.0.1 for a private one, both at the same port.
    let (public, private) = loop {
        let public = Server::start("127.0.0.2", "", page("public")).await;
        // Another test may have the port.
        if let Ok(private) = TcpListener::bind(("127.0.0.1", public.address.port())).await {
            break (public, private);
        }
    };
    let resolver = Answers::new(&[&["127.0.0.2"], &["127.0.0.1"]]);
    let proxy = proxy_with(json!({ "allow": ["127.0.0.2"] }), Arc::clone(&resolver)).await;
    let url = format!("http://rebinding.example:{}/", public.address.port());
    assert!(get(&proxy, &url).await.ends_with("public"));
    assert_eq!(resolver.1.load(Ordering::SeqCst), 1);
    assert_refused(&get(&proxy, &url).await, Reason::Loopback);
    assert_eq!(resolver.1.load(Ordering::SeqCst), 2);
    let nobody = tokio::time::timeout(Duration::from_millis(100), private.accept()).await;
    assert!(nobody.is_err(), "the private server saw a connection");
}

#[tokio::test]
async fn a_redirect_to_a_private_server_is_refused() {
    let private = Server::page("secret").await;
    let location = format!("http://{}/", private.address);
    let redirect = format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    let public = Server::start("127.0.0.2", "", redirect).await;
    let proxy = proxy(json!({ "allow": ["127.0.0.2"] })).await;
    let answer = get(&proxy, &format!("http://{}/", public.address)).await;
    let target = answer.lines().find_map(|line| line.strip_prefix("Location: ")).unwrap();
    assert_refused(&get(&proxy, target).await, Reason::Loopback);
    assert_eq!(private.connections(), 0);
}

#[tokio::test]
async fn ports_of_other_services_are_refused_before_anything_is_resolved() {
    let resolver = Answers::new(&[&["127.0.0.1"]]);
    let proxy = proxy_with(json!({ "allow": ["127.0.0.1"] }), Arc::clone(&resolver)).await;
    for port in [22, 25, 110, 143, 465, 587, 993, 995, 2375, 3306, 5432, 6379, 9200, 11211, 27017] {
        let tunnel = format!("CONNECT a.example:{port} HTTP/1.1\r\n\r\n");
        assert_refused(&send(&proxy, &tunnel).await, Reason::Port);
    }
    assert_eq!(resolver.1.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_proxy_does_not_serve_itself() {
    let proxy = proxy(json!({ "allow": ["127.0.0.1", "0.0.0.0"], "deny": ["10.0.0.0/8"] })).await;
    for host in ["127.0.0.1", "0.0.0.0"] {
        let url = format!("http://{host}:{}/", proxy.address().port());
        assert_refused(&get(&proxy, &url).await, Reason::Itself);
    }
}

#[tokio::test]
async fn what_cannot_be_reached_is_a_bad_gateway() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxy = proxy_with(json!({ "allow": ["127.0.0.1"] }), Answers::new(&[])).await;
    assert!(get(&proxy, "http://nowhere.example/").await.starts_with("HTTP/1.1 502 "));
    assert!(get(&proxy, &format!("http://{nobody}/")).await.starts_with("HTTP/1.1 502 "));
    let ssh = Server::start("127.0.0.1", "", "SSH-2.0-x\r\n".to_owned()).await;
    let answer = get(&proxy, &format!("http://{}/", ssh.address)).await;
    assert!(answer.contains("does not answer in HTTP/1.1"), "{answer}");
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_does_not_answer() {
    let server = Server::page("here").await;
    let resolver = Answers::new(&[&["127.0.0.3", "127.0.0.1"]]);
    let proxy = proxy_with(json!({ "allow": ["127.0.0.0/8"] }), resolver).await;
    let url = format!("http://two.example:{}/", server.address.port());
    assert!(get(&proxy, &url).await.ends_with("here"));
}

#[tokio::test]
async fn a_head_has_limits() {
    let proxy = proxy(json!({ "head_within": "100ms" })).await;
    let long = format!("GET http://a.example/ HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(70_000));
    assert!(send(&proxy, &long).await.starts_with("HTTP/1.1 431 "));
    assert!(send(&proxy, "GET http://a.exam").await.starts_with("HTTP/1.1 408 "));
    assert!(send(&proxy, "hello\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
    let chunked = "POST http://a.example/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert!(send(&proxy, chunked).await.starts_with("HTTP/1.1 411 "));
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let proxy = proxy(json!({ "allow": ["127.0.0.1"], "idle": "100ms" })).await;
    assert!(get(&proxy, &format!("http://{address}/")).await.starts_with("HTTP/1.1 504 "));
    let tunnel = send(&proxy, &format!("CONNECT {address} HTTP/1.1\r\n\r\n")).await;
    assert_eq!(tunnel, "HTTP/1.1 200 Connection established\r\n\r\n");
}

#[tokio::test]
async fn a_connection_carries_so_many_bytes_and_is_then_reset() {
    let server =
        Server::start("127.0.0.1", "", "HTTP/1.1 200 OK\r\n\r\n".to_owned() + &page(&"x".repeat(1 << 20)))
            .await;
    let proxy = proxy(json!({ "allow": ["127.0.0.1"], "bytes": "64KiB" })).await;
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    let request = format!("GET http://{}/ HTTP/1.1\r\n\r\n", server.address);
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let end = soon(client.read_to_end(&mut answer)).await;
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert!(answer.len() <= 64 << 10, "{}", answer.len());
}

#[tokio::test]
async fn one_connection_too_many_is_turned_away() {
    let proxy = proxy(json!({ "connections": 2 })).await;
    let mut held = Vec::new();
    for expected in 1..=2 {
        held.push(TcpStream::connect(proxy.address()).await.unwrap());
        soon(async {
            while proxy.connections() < expected {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
    assert!(get(&proxy, "http://10.0.0.1/").await.starts_with("HTTP/1.1 503 "));
    drop(held);
    soon(async {
        while proxy.connections() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_refused(&get(&proxy, "http://10.0.0.1/").await, Reason::Private);
}

/// A client with an open tunnel to a server that says nothing.
async fn open_tunnel(proxy: &Proxy) -> (TcpStream, TcpListener) {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    let head = format!("CONNECT {} HTTP/1.1\r\n\r\n", silent.local_addr().unwrap());
    client.write_all(head.as_bytes()).await.unwrap();
    let mut established = [0; 39];
    soon(client.read_exact(&mut established)).await.unwrap();
    (client, silent)
}

#[tokio::test]
async fn all_ends_when_the_service_stops() {
    let ctx = Ctx::default();
    let proxy = Proxy::start(config(json!({ "allow": ["127.0.0.1"] })), &ctx).await.unwrap();
    let (mut client, _silent) = open_tunnel(&proxy).await;
    assert_eq!(ctx.shutdown.tasks(), 2);
    ctx.shutdown.stop();
    soon(ctx.shutdown.finished()).await;
    assert_eq!(soon(client.read(&mut [0; 9])).await.unwrap_or(0), 0);
    assert!(TcpStream::connect(proxy.address()).await.is_err());
}

#[tokio::test]
async fn all_ends_when_the_proxy_is_dropped() {
    let ctx = Ctx::default();
    let proxy = Proxy::start(config(json!({ "allow": ["127.0.0.1"] })), &ctx).await.unwrap();
    let (mut client, _silent) = open_tunnel(&proxy).await;
    let address = proxy.address();
    drop(proxy);
    assert_eq!(soon(client.read(&mut [0; 9])).await.unwrap_or(0), 0);
    soon(async {
        while ctx.shutdown.tasks() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(TcpStream::connect(address).await.is_err());
}
