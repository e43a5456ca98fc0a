//! The protocol's messages: JSON, each ended by a NUL byte.

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest message that is read. A long page's screenshot comes as one message.
const LONGEST: usize = 256 << 20;
/// How much is read at once.
const CHUNK: usize = 64 << 10;

/// An answer or an event; which of them its first bytes tell, see [`answered`].
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message {
    #[serde(default)]
    pub(super) method: String,
    pub(super) session_id: Option<String>,
    #[serde(default)]
    pub(super) params: Value,
    #[serde(default)]
    pub(super) result: Value,
    pub(super) error: Option<Refusal>,
}

/// Why the browser refused a command.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    #[serde(default)]
    pub(super) message: String,
}

/// A command as it is written to the browser.
pub(super) fn command(id: u64, session: Option<&str>, method: &str, params: &Value) -> Vec<u8> {
    let mut message = json!({ "id": id, "method": method, "params": params });
    if let (Some(session), Some(fields)) = (session, message.as_object_mut()) {
        fields.insert("sessionId".to_owned(), session.into());
    }
    let mut bytes = message.to_string().into_bytes();
    bytes.push(0);
    bytes
}

/// The number of the command that a message answers, read from its first bytes only.
pub(super) fn answered(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.strip_prefix(br#"{"id":"#)?;
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(digits.get(..end)?).ok()?.parse().ok()
}

/// Splits what comes through a pipe into messages.
#[derive(Debug)]
pub(super) struct Messages<R> {
    pipe: R,
    buffer: Vec<u8>,
    /// How much of the buffer was handed out already.
    taken: usize,
    /// Up to where no end of a message is.
    searched: usize,
}

impl<R: AsyncRead + Unpin> Messages<R> {
    pub(super) fn new(pipe: R) -> Self {
        Self { pipe, buffer: Vec::with_capacity(CHUNK), taken: 0, searched: 0 }
    }

    /// The next message without its NUL, or `None` when the pipe has ended or a message is too long.
    pub(super) async fn next(&mut self) -> Option<&[u8]> {
        let end = loop {
            let unseen = self.buffer.get(self.searched..).unwrap_or_default();
            if let Some(at) = unseen.iter().position(|byte| *byte == 0) {
                break self.searched + at;
            }
            self.buffer.drain(..self.taken);
            self.taken = 0;
            self.searched = self.buffer.len();
            if self.searched > LONGEST {
                return None;
            }
            if self.buffer.is_empty() {
                // One large answer does not keep its memory for ever.
                self.buffer.shrink_to(16 * CHUNK);
            }
            self.buffer.reserve(CHUNK);
            if !self.pipe.read_buf(&mut self.buffer).await.is_ok_and(|read| read > 0) {
                return None;
            }
        };
        let start = self.taken;
        self.taken = end + 1;
        self.searched = self.taken;
        self.buffer.get(start..end)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[test]
    fn the_number_of_an_answer_is_read_from_its_beginning() {
        assert_eq!(answered(br#"{"id":17,"result":{}}"#), Some(17));
        assert_eq!(answered(br#"{"method":"Page.loadEventFired"}"#), None);
        assert_eq!(answered(br#"{"id":"#), None);
        assert_eq!(answered(br#"{"id":99999999999999999999999,"#), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn messages_come_out_whole_however_the_pipe_cuts_them(
            messages in prop::collection::vec("[a-z]{0,40}", 0..20),
            capacity in 1_usize..64,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (mut writer, reader) = tokio::io::duplex(capacity);
            let read = runtime.block_on(async {
                let write = async {
                    for message in &messages {
                        writer.write_all(message.as_bytes()).await.unwrap();
                        writer.write_all(&[0]).await.unwrap();
                    }
                    drop(writer);
                };
                let read = async {
                    let mut source = Messages::new(reader);
                    let mut read = Vec::new();
                    while let Some(message) = source.next().await {
                        read.push(String::from_utf8(message.to_vec()).unwrap());
                    }
                    read
                };
                tokio::join!(write, read).1
            });
            prop_assert_eq!(read, messages);
        }
    }
}
