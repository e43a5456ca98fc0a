//! A service of the form that models are asked in, on loopback: real HTTP, answers as a test scripts them.

#![allow(dead_code, reason = "not every test needs all of it")]
#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use browser::language::LanguageConfig;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What the service does with one request.
#[derive(Clone)]
pub(crate) enum Script {
    /// Answers with this text of the model and this usage.
    Says(String, Value),
    /// As `Says`, once it is let go.
    Held(Arc<Notify>, String),
    /// A status, lines of the head, a body.
    Status(u16, &'static str, String),
    /// Never answers.
    Hangs,
    /// A body without an end.
    Huge,
    /// Hangs up in the middle of the body.
    Cut,
    /// Hangs up without a word.
    HangsUp,
}

/// One request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: Value,
}

impl Seen {
    /// What all its messages say.
    pub(crate) fn text(&self) -> String {
        let messages = self.body["messages"].as_array().unwrap();
        messages.iter().map(|message| message["content"].as_str().unwrap()).collect::<Vec<_>>().join("\n")
    }
}

#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    hanging: Arc<AtomicUsize>,
}

/// A workflow that a model could answer with.
pub(crate) const PLAN: &str = r##"{"name":"buy","steps":[{"click":"#buy"},{"screenshot":"receipt"}]}"##;

pub(crate) fn usual_usage() -> Value {
    json!({ "prompt_tokens": 900, "completion_tokens": 50, "total_tokens": 950 })
}

pub(crate) fn says(text: &str) -> Script {
    Script::Says(text.to_owned(), usual_usage())
}

impl Service {
    pub(crate) async fn start(scripts: impl IntoIterator<Item = Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let service = Self { port, seen: Arc::default(), hanging: Arc::default() };
        let scripts: Arc<Mutex<VecDeque<Script>>> = Arc::new(Mutex::new(scripts.into_iter().collect()));
        let server = service.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(server.clone().serve(stream, Arc::clone(&scripts)));
            }
        });
        service
    }

    pub(crate) fn config(&self, folder: &Path) -> LanguageConfig {
        let mut config = LanguageConfig::default();
        config.url = Some(format!("http://127.0.0.1:{}/v1", self.port));
        config.model = String::from("small");
        config.folder = PathBuf::from(folder);
        config
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn calls(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// How many requests were left without an answer.
    pub(crate) fn hanging(&self) -> usize {
        self.hanging.load(Ordering::SeqCst)
    }

    /// Waits until so many requests have come in.
    pub(crate) async fn has_seen(&self, calls: usize) {
        for _ in 0..2_000 {
            if self.calls() >= calls {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} of {calls} requests came in", self.calls());
    }

    async fn serve(self, mut stream: TcpStream, scripts: Arc<Mutex<VecDeque<Script>>>) {
        let Some(seen) = request(&mut stream).await else { return };
        let script = scripts.lock().unwrap().pop_front();
        self.seen.lock().unwrap().push(seen);
        let script = script.unwrap_or(Script::Status(418, "", "no more scripts".to_owned()));
        let answer = match script {
            Script::Says(text, usage) => chat(&text, &usage),
            Script::Held(go, text) => {
                go.notified().await;
                chat(&text, &usual_usage())
            }
            Script::Status(status, head, body) => response(status, head, &body),
            Script::Hangs => {
                self.hanging.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_mins(5)).await;
                return;
            }
            Script::Huge => {
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
                let _ = stream.write_all(head.as_bytes()).await;
                let more = vec![b' '; 64 << 10];
                // Until the client has enough of it.
                while stream.write_all(&more).await.is_ok() {}
                return;
            }
            Script::Cut => {
                let whole = chat(PLAN, &usual_usage());
                whole[..whole.len() - 20].to_owned()
            }
            Script::HangsUp => return,
        };
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
    }
}

fn chat(text: &str, usage: &Value) -> String {
    let choice =
        json!({ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" });
    let body = json!({ "id": "x", "object": "chat.completion", "choices": [choice], "usage": usage });
    response(200, "", &body.to_string())
}

fn response(status: u16, head: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n{head}\r\n{body}")
}

async fn request(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    })?;
    while bytes.len() < end + 4 + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(Seen { head, body: serde_json::from_slice(&bytes[end + 4..]).ok()? })
}
