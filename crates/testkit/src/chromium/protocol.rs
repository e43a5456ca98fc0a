//! One WebSocket to the browser: commands with a number, answers with the same number, events in between.

use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

/// How long the browser may take to answer one command.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Connection {
    socket: WebSocket<TcpStream>,
    last_id: u64,
    events: Vec<Value>,
}

impl Connection {
    /// Connects to `url`, `ws://127.0.0.1:PORT/PATH`.
    pub(super) fn open(url: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let authority = url.trim_start_matches("ws://").split('/').next().unwrap_or_default();
        let stream = TcpStream::connect(authority)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        stream.set_nodelay(true)?;
        let config = tungstenite::protocol::WebSocketConfig::default()
            // A screenshot of a long page comes as one message.
            .max_message_size(Some(256 << 20))
            .max_frame_size(Some(256 << 20));
        let (socket, _response) = tungstenite::client::client_with_config(url, stream, Some(config))?;
        Ok(Self { socket, last_id: 0, events: Vec::new() })
    }

    /// Sends a command and returns its result. Panics if the browser refuses it.
    pub(super) fn call(&mut self, method: &str, params: &Value) -> Value {
        self.last_id += 1;
        let request = json!({ "id": self.last_id, "method": method, "params": params });
        self.socket
            .send(Message::text(request.to_string()))
            .unwrap_or_else(|error| panic!("{method}: the browser is gone: {error}"));
        loop {
            let mut message = self.read(method);
            if message["id"] == self.last_id {
                assert!(message["error"].is_null(), "{method} {params}: {}", message["error"]);
                return message["result"].take();
            }
            self.events.push(message);
        }
    }

    /// The events that came with the answers so far; each is handed out once.
    pub(super) fn take_events(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.events)
    }

    fn read(&mut self, method: &str) -> Value {
        loop {
            let message = self.socket.read().unwrap_or_else(|error| {
                panic!("{method}: no answer from the browser within {ANSWER_WITHIN:?}: {error}")
            });
            if let Message::Text(text) = message {
                return serde_json::from_str(&text)
                    .unwrap_or_else(|error| panic!("{method}: {error}: {text}"));
            }
        }
    }
}
