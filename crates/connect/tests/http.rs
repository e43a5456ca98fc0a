//! The handle on a server that speaks HTTP, before servers that misbehave.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use buttress_connect::http::{Http, Request};
use buttress_connect::{ConnectionConfig, Error};
use buttress_core::{ByteSize, Classify, Ctx, ErrorClass, Probe, Vitality};
use buttress_testkit::FaultProxy;

/// A server that gives each connection the same `answer`, byte by byte as it is, and tells what it was asked.
fn server(answer: impl Fn(&mut TcpStream) + Send + 'static) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (tell, told) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _gone = tell.send(request(&mut stream));
            answer(&mut stream);
        }
    });
    (addr, told)
}

/// The whole request as text.
fn request(stream: &mut TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut text = String::new();
    while reader.read_line(&mut text).unwrap_or(0) > 2 {}
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    text + &String::from_utf8(body).unwrap()
}

fn text(answer: &'static str) -> impl Fn(&mut TcpStream) + Send {
    move |stream| {
        let _gone = stream.write_all(answer.as_bytes());
    }
}

fn open(base: &str) -> Http {
    open_within(base, Duration::from_secs(30))
}

fn open_within(base: &str, limit: Duration) -> Http {
    let mut config = ConnectionConfig::default();
    config.timeout = limit;
    Http::open("test server", base, &config, &Ctx::default()).unwrap()
}

#[tokio::test]
async fn it_sends_what_it_is_told_and_nothing_else() {
    let (addr, told) =
        server(text("HTTP/1.1 201 Created\r\nx-one: 1\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"));
    let http = open(&format!("http://user:hunter2@{addr}/v1/"));
    let request = Request::put("/secret?cas=1").header("x-vault-token", "t0ken").json("{\"a\":1}");
    assert_eq!(format!("{request:?}"), "Request(PUT /secret?cas=1)");
    let answer = http.send(request).await.unwrap();
    assert_eq!((answer.status, &answer.body[..], answer.class()), (201, &b"ok"[..], None));
    assert_eq!((answer.header("x-one"), answer.header("x-two")), (Some("1"), None));
    let asked = told.recv().unwrap();
    assert!(asked.starts_with("PUT /v1/secret?cas=1 HTTP/1.1\r\n"), "{asked}");
    for part in
        ["x-vault-token: t0ken", "content-type: application/json", "authorization: Basic", "{\"a\":1}"]
    {
        assert!(asked.contains(part), "{asked}");
    }
    assert!(!asked.contains("cookie") && !asked.contains("referer"), "{asked}");
    assert!(!format!("{http:?} {answer:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (other, followed) = server(text("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
    let (addr, _) = server(move |stream| {
        let answer = format!(
            "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{other}/\r\ncontent-length: 0\r\n\r\n"
        );
        let _gone = stream.write_all(answer.as_bytes());
    });
    let http = open(&format!("http://{addr}"));
    let answer = http.send(Request::get("/")).await.unwrap();
    assert_eq!((answer.status, answer.class()), (307, Some(ErrorClass::Invalid)));
    assert!(followed.try_recv().is_err());
}

#[tokio::test]
async fn an_answer_over_the_limit_is_refused_told_or_not() {
    let (told, _) = server(text("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n"));
    let (endless, _) = server(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        while stream.write_all(b"10\r\n0123456789abcdef\r\n").is_ok() {}
    });
    for addr in [told, endless] {
        let http = open(&format!("http://{addr}")).limited(ByteSize::kib(4));
        let error = http.send(Request::get("/")).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::TooLarge, "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_stalls_is_left_in_time() {
    let (addr, _) = server(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf");
        let _ = stream.read(&mut [0; 1]); // until we go
    });
    let proxy = FaultProxy::to(addr);
    let patience = Duration::from_millis(200);
    let halfway = open_within(&format!("http://{addr}"), patience);
    assert_eq!(halfway.send(Request::get("/")).await.unwrap_err().class(), ErrorClass::Timeout);
    let silent = open_within(&format!("http://{}", proxy.addr()), patience);
    proxy.stall();
    assert_eq!(silent.send(Request::get("/")).await.unwrap_err().class(), ErrorClass::Timeout);
    assert!(matches!(silent.check().await, Vitality::Fail(told) if !told.contains("127.0.0.1")));
}

#[tokio::test]
async fn nobody_there_is_told_without_the_password() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let http = open(&format!("http://user:hunter2@{free}/base"));
    let error = http.send(Request::get("/x?key=hunter2")).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable);
    let told = format!("{error} {error:?} {}", buttress_core::chain(&error));
    assert!(told.contains("user:***@127.0.0.1") && !told.contains("hunter2"), "{told}");
}

#[tokio::test]
async fn no_path_leads_to_another_server() {
    let http = open("http://127.0.0.1:1");
    for path in ["@evil.example/", "evil", "", ":80/", ".evil.example/"] {
        let error = http.send(Request::get(path)).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Invalid, "{path}");
    }
    let error = http.send(Request::get("/").header("x-token", "a\r\nhost: b")).await.unwrap_err();
    assert!(!format!("{error:?}").contains("host: b"));
    assert_eq!(error.class(), ErrorClass::Invalid);
}

#[test]
fn an_address_is_checked() {
    for (base, told) in [
        ("vault:8200", "https://"),
        ("hunter2", "write it like"),
        ("redis://user:hunter2@x", "user:***@x"),
        ("https://user:hunter2@host/?x=hunter2", "leave out"),
        ("https://", "write it like"),
    ] {
        let error = Http::open("x", base, &ConnectionConfig::default(), &Ctx::default()).unwrap_err();
        assert!(matches!(error, Error::Address { .. }));
        let shown = error.to_string();
        assert!(shown.contains(told) && !shown.contains("hunter2"), "{shown}");
    }
}

#[tokio::test]
async fn a_probe_passes_while_the_server_answers() {
    let (fine, _) = server(text("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"));
    let (ill, _) = server(text("HTTP/1.1 503 Sealed\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"));
    assert_eq!(open(&format!("http://{fine}")).check().await, Vitality::Pass);
    assert!(
        matches!(open(&format!("http://{ill}")).check().await, Vitality::Fail(told) if told.contains("503"))
    );
}
