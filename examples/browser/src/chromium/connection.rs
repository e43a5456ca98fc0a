//! The conversation with one browser: commands with a number, answers with the same number, events in between.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use buttress_core::{ByteSize, Elapsed, SharedClock, timeout};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{Notify, mpsc, oneshot};

use super::context::ContextState;
use super::error::{Error, Result};
use super::message::{self, Message, Messages};
use super::session::{Known, Life, PageState, text};
use super::stderr::LastWords;

/// Commands that wait for the browser to read them. A browser that reads fills this never.
const UNREAD: usize = 512;
/// The largest answer to a command whose caller asks for no more.
pub(super) const ANSWER: ByteSize = ByteSize::mib(4);

/// A connection. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Connection(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    outgoing: mpsc::Sender<Vec<u8>>,
    routes: Mutex<Routes>,
    ended: Notify,
    words: LastWords,
    clock: SharedClock,
}

/// Where answers and events go.
#[derive(Debug, Default)]
struct Routes {
    last_id: u64,
    gone: bool,
    pending: HashMap<u64, Pending>,
    sessions: HashMap<String, PageState>,
    contexts: HashMap<String, ContextState>,
}

#[derive(Debug)]
struct Pending {
    session: Option<String>,
    method: &'static str,
    most: ByteSize,
    answer: oneshot::Sender<Result<Value>>,
}

/// A place in the table of pending calls, given back on drop: a cancelled call leaves nothing behind.
struct Ticket<'a> {
    connection: &'a Connection,
    id: u64,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.connection.routes().pending.remove(&self.id);
    }
}

impl Connection {
    /// Talks through these pipes until the browser closes them.
    pub(super) fn open(stdin: ChildStdin, stdout: ChildStdout, words: LastWords, clock: SharedClock) -> Self {
        let (outgoing, unsent) = mpsc::channel(UNREAD);
        let inner = Inner { outgoing, routes: Mutex::default(), ended: Notify::new(), words, clock };
        let connection = Self(Arc::new(inner));
        tokio::spawn(write(stdin, unsent));
        tokio::spawn(connection.clone().read(stdout));
        connection
    }

    pub(super) fn clock(&self) -> &SharedClock {
        &self.0.clock
    }

    fn routes(&self) -> MutexGuard<'_, Routes> {
        // No code that holds the lock panics.
        self.0.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a command and waits for its result, `within` at most. Larger answers than `most` are an error.
    pub(super) async fn call(
        &self,
        session: Option<&str>,
        method: &'static str,
        params: &Value,
        within: Duration,
        most: ByteSize,
    ) -> Result<Value> {
        let (ticket, answer) = self.register(session, method, most)?;
        let bytes = message::command(ticket.id, session, method, params);
        let exchange = async {
            if self.0.outgoing.send(bytes).await.is_err() {
                return Err(self.gone());
            }
            answer.await.unwrap_or_else(|_| Err(self.gone()))
        };
        let limit = |_| Error::Limit { what: method.to_owned(), limit: within };
        at_most(self.clock(), within, exchange).await.map_err(limit)?
    }

    /// Sends a command whose answer nobody waits for. A browser that does not read is not told.
    pub(super) fn post(&self, session: Option<&str>, method: &'static str, params: &Value) {
        let id = {
            let mut routes = self.routes();
            routes.last_id += 1;
            routes.last_id
        };
        if let Err(error) = self.0.outgoing.try_send(message::command(id, session, method, params)) {
            tracing::debug!(method, %error, "the browser could not be told");
        }
    }

    fn register(
        &self,
        session: Option<&str>,
        method: &'static str,
        most: ByteSize,
    ) -> Result<(Ticket<'_>, oneshot::Receiver<Result<Value>>)> {
        let mut routes = self.routes();
        if routes.gone {
            drop(routes);
            return Err(self.gone());
        }
        if let Some(session) = session {
            let page = routes.sessions.get(session).ok_or(Error::PageClosed)?;
            page.read(Known::alive)?;
        }
        routes.last_id += 1;
        let id = routes.last_id;
        let (answer, receiver) = oneshot::channel();
        routes.pending.insert(id, Pending { session: session.map(str::to_owned), method, most, answer });
        drop(routes);
        Ok((Ticket { connection: self, id }, receiver))
    }

    /// How many calls wait for an answer.
    pub(super) fn pending(&self) -> usize {
        self.routes().pending.len()
    }

    pub(super) fn is_gone(&self) -> bool {
        self.routes().gone
    }

    pub(super) fn gone(&self) -> Error {
        Error::Gone { words: self.0.words.text() }
    }

    /// Completes when the browser has closed its end.
    pub(super) async fn ended(&self) {
        let ended = self.0.ended.notified();
        if !self.is_gone() {
            ended.await;
        }
    }

    pub(super) fn add_session(&self, session: &str, page: PageState) {
        self.routes().sessions.insert(session.to_owned(), page);
    }

    /// Forgets a page and all its sessions.
    pub(super) fn forget_page(&self, page: &PageState) {
        self.routes().sessions.retain(|_, other| !other.is(page));
    }

    pub(super) fn add_context(&self, id: &str, context: ContextState) {
        self.routes().contexts.insert(id.to_owned(), context);
    }

    pub(super) fn forget_context(&self, id: &str) {
        self.routes().contexts.remove(id);
    }

    async fn read(self, stdout: ChildStdout) {
        let mut messages = Messages::new(stdout);
        while let Some(bytes) = messages.next().await {
            self.receive(bytes);
        }
        let pending = {
            let mut routes = self.routes();
            routes.gone = true;
            std::mem::take(&mut routes.pending)
        };
        for call in pending.into_values() {
            let _nobody_waits = call.answer.send(Err(self.gone()));
        }
        let pages: Vec<PageState> = self.routes().sessions.values().cloned().collect();
        for page in pages {
            page.change(|known| known.end(Life::Closed));
        }
        self.0.ended.notify_waiters();
    }

    fn receive(&self, bytes: &[u8]) {
        if let Some(id) = message::answered(bytes) {
            // Whoever has dropped its call since wants no answer; it is not even parsed.
            let Some(call) = self.routes().pending.remove(&id) else { return };
            let _nobody_waits = call.answer.send(outcome(bytes, call.method, call.most));
            return;
        }
        match serde_json::from_slice::<Message>(bytes) {
            Ok(event) => self.event(&event),
            Err(error) => tracing::debug!(%error, "an event does not read"),
        }
    }

    fn event(&self, event: &Message) {
        let params = &event.params;
        if event.method == "Target.detachedFromTarget" {
            return self.detached(text(params, "sessionId"));
        }
        if let Some(session) = &event.session_id {
            let page = self.routes().sessions.get(session).cloned();
            if let Some(page) = page {
                page.event(self, session, &event.method, params);
            }
            return;
        }
        match event.method.as_str() {
            "Target.targetCreated" => {
                let info = params.get("targetInfo").unwrap_or(&Value::Null);
                let context = self.routes().contexts.get(text(info, "browserContextId")).cloned();
                if let Some(context) = context {
                    context.target_created(self, info);
                }
            }
            "Target.targetDestroyed" => {
                let contexts: Vec<ContextState> = self.routes().contexts.values().cloned().collect();
                for context in contexts {
                    context.target_destroyed(text(params, "targetId"));
                }
            }
            "Target.targetCrashed" => {
                let target = text(params, "targetId");
                let page = {
                    let routes = self.routes();
                    let mut pages = routes.sessions.values();
                    pages.find(|page| page.read(|known| known.target == target)).cloned()
                };
                if let Some(page) = page {
                    self.crashed(&page);
                }
            }
            _ => {}
        }
    }

    /// The page's renderer died: all calls to the page fail.
    pub(super) fn crashed(&self, page: &PageState) {
        page.change(|known| known.end(Life::Crashed));
        let sessions: Vec<String> = {
            let routes = self.routes();
            let of_page = routes.sessions.iter().filter(|(_, other)| other.is(page));
            of_page.map(|(session, _)| session.clone()).collect()
        };
        for session in sessions {
            self.fail(&session, || Error::PageCrashed);
        }
    }

    /// A session ended: a page was closed, or a frame went or crashed.
    pub(super) fn detached(&self, session: &str) {
        let Some(page) = self.routes().sessions.remove(session) else { return };
        page.detached(session);
        let closed = page.read(|known| known.life != Life::Alive);
        self.fail(session, || if closed { Error::PageClosed } else { Error::FrameGone });
    }

    fn fail(&self, session: &str, error: impl Fn() -> Error) {
        let failed: Vec<Pending> = {
            let mut routes = self.routes();
            let of_session = routes.pending.extract_if(|_, call| call.session.as_deref() == Some(session));
            of_session.map(|(_, call)| call).collect()
        };
        for call in failed {
            let _nobody_waits = call.answer.send(Err(error()));
        }
    }
}

/// What an answer says.
fn outcome(bytes: &[u8], method: &'static str, most: ByteSize) -> Result<Value> {
    if bytes.len() > most.as_usize() {
        return Err(Error::TooLarge { what: format!("the answer to {method}"), limit: most });
    }
    let answer: Message = serde_json::from_slice(bytes)
        .map_err(|error| Error::Unreadable { method, problem: error.to_string() })?;
    match answer.error {
        None => Ok(answer.result),
        Some(refusal) => Err(Error::Refused { method, message: refusal.message }),
    }
}

/// Writes commands until nobody sends any, or the browser reads no more. Closing the pipe ends the browser.
async fn write(mut stdin: ChildStdin, mut unsent: mpsc::Receiver<Vec<u8>>) {
    while let Some(bytes) = unsent.recv().await {
        if stdin.write_all(&bytes).await.is_err() {
            break;
        }
    }
}

/// Waits for work `within` a limit. A limit past what a clock can count is a day.
pub(super) async fn at_most<T>(
    clock: &SharedClock,
    within: Duration,
    work: impl Future<Output = T>,
) -> Result<T, Elapsed> {
    timeout(&**clock, within.min(Duration::from_hours(24)), work).await
}

/// Nothing to say, for commands without parameters.
pub(super) fn nothing() -> Value {
    json!({})
}
