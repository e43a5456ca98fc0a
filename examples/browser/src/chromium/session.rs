//! What the driver knows of a page from the browser's events.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::connection::Connection;
use super::dialog::{Dialog, DialogPolicy, REMEMBERED};
use super::download::Transfer;
use super::error::{Error, Result};

/// How many documents, downloads and frames in processes of their own a page keeps track of.
const DOCUMENTS: usize = 8;
const TRANSFERS: usize = 16;
const FRAMES: usize = 256;

/// A string of an event; empty where there is none.
pub(super) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// One page, with the sessions of its frames that run in other processes.
#[derive(Debug, Clone)]
pub(super) struct PageState(Arc<watch::Sender<Known>>);

/// What is known of a page.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The page's target, which is also the name of its main frame.
    pub(super) target: String,
    pub(super) life: Life,
    /// The documents of the main frame, oldest first.
    documents: VecDeque<Document>,
    pub(super) motion: Motion,
    pub(super) policy: DialogPolicy,
    pub(super) dialogs: VecDeque<Dialog>,
    pub(super) transfers: VecDeque<Transfer>,
    /// Frames in processes of their own, by name: their sessions.
    pub(super) frames: HashMap<String, String>,
    /// The worlds of the page's own scripts, by frame; filled while somebody asks.
    pub(super) worlds: HashMap<String, i64>,
}

/// Whether a page can be spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Life {
    #[default]
    Alive,
    Crashed,
    Closed,
}

/// What the main frame is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Motion {
    #[default]
    Rest,
    /// The page has asked for a navigation that has not begun.
    Requested,
    /// A navigation has begun whose document is not loaded.
    Loading,
}

#[derive(Debug)]
struct Document {
    loader: String,
    loaded: bool,
}

impl Known {
    /// Whether the document that `loader` brought, or one that has replaced it, is loaded.
    pub(super) fn has_loaded(&self, loader: &str) -> bool {
        self.documents.iter().any(|document| document.loader == loader)
            && self.documents.back().is_some_and(|newest| newest.loaded)
    }

    /// The page is gone; what it died of first counts.
    pub(super) fn end(&mut self, how: Life) {
        if self.life == Life::Alive {
            self.life = how;
        }
    }

    /// Fails when the page will never answer again.
    pub(super) fn alive(&self) -> Result<()> {
        match self.life {
            Life::Alive => Ok(()),
            Life::Crashed => Err(Error::PageCrashed),
            Life::Closed => Err(Error::PageClosed),
        }
    }

    fn document(&mut self, loader: &str) -> Option<&mut Document> {
        if !self.documents.iter().any(|document| document.loader == loader) {
            if self.documents.len() >= DOCUMENTS {
                self.documents.pop_front();
            }
            self.documents.push_back(Document { loader: loader.to_owned(), loaded: false });
        }
        self.documents.iter_mut().find(|document| document.loader == loader)
    }

    /// Takes note of an event of the main frame's loading.
    fn main_frame(&mut self, method: &str, params: &Value) {
        match method {
            "Page.frameRequestedNavigation"
                if self.motion == Motion::Rest && text(params, "disposition") == "currentTab" =>
            {
                self.motion = Motion::Requested;
            }
            "Page.frameStartedNavigating" => {
                // A navigation within the document loads nothing.
                let same = text(params, "navigationType").contains("ameDocument");
                self.motion = if same { Motion::Rest } else { Motion::Loading };
            }
            "Page.frameStartedLoading" => self.motion = Motion::Loading,
            "Page.frameStoppedLoading" => self.motion = Motion::Rest,
            "Page.navigatedWithinDocument" if self.motion == Motion::Requested => self.motion = Motion::Rest,
            "Page.lifecycleEvent" => {
                let name = text(params, "name");
                if let Some(document) = self.document(text(params, "loaderId")) {
                    document.loaded |= name == "load";
                }
            }
            _ => {}
        }
    }

    /// Takes note of a world that scripts run in, if it is that of the page's own ones.
    fn world(&mut self, world: &Value) {
        let about = world.get("auxData").unwrap_or(&Value::Null);
        let id = world.get("id").and_then(Value::as_i64);
        if let (Some(id), Some(Value::Bool(true))) = (id, about.get("isDefault"))
            && self.worlds.len() < FRAMES
        {
            self.worlds.insert(text(about, "frameId").to_owned(), id);
        }
    }

    /// Takes note of a step of a download.
    fn transfer(&mut self, method: &str, params: &Value) {
        let guid = text(params, "guid");
        if method == "Page.downloadWillBegin" {
            if self.transfers.len() >= TRANSFERS {
                self.transfers.pop_front();
            }
            self.transfers.push_back(Transfer::begun(
                guid,
                text(params, "url"),
                text(params, "suggestedFilename"),
            ));
        } else if let Some(transfer) = self.transfers.iter_mut().find(|transfer| transfer.guid == guid) {
            transfer.went_on(params);
        }
    }
}

impl PageState {
    pub(super) fn new(target: &str) -> Self {
        let known = Known { target: target.to_owned(), ..Known::default() };
        Self(Arc::new(watch::Sender::new(known)))
    }

    /// Reads what is known.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Known) -> T) -> T {
        read(&self.0.borrow())
    }

    /// Changes what is known, and wakes those who wait for a change.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        let mut result = None;
        self.0.send_modify(|known| result = Some(change(known)));
        // `send_modify` always calls its closure, once.
        #[allow(clippy::unreachable)]
        result.unwrap_or_else(|| unreachable!())
    }

    /// Completes when `condition` holds, or when the page is gone.
    pub(super) async fn wait_until(&self, mut condition: impl FnMut(&Known) -> bool) {
        // Fails only when the sender is gone, and `self` holds it.
        let _ = self.0.subscribe().wait_for(|known| known.life != Life::Alive || condition(known)).await;
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Takes note of an event of one of the page's sessions, and does at once what cannot wait.
    pub(super) fn event(&self, connection: &Connection, session: &str, method: &str, params: &Value) {
        match method {
            "Page.javascriptDialogOpening" => {
                let answer = self.change(|known| {
                    let (dialog, answer) = known.policy.answer(params);
                    if known.dialogs.len() >= REMEMBERED {
                        known.dialogs.pop_front();
                    }
                    known.dialogs.push_back(dialog);
                    answer
                });
                connection.post(Some(session), "Page.handleJavaScriptDialog", &answer);
            }
            "Page.downloadWillBegin" | "Page.downloadProgress" => {
                self.change(|known| known.transfer(method, params));
            }
            "Runtime.executionContextCreated" => {
                self.change(|known| known.world(params.get("context").unwrap_or(&Value::Null)));
            }
            "Target.attachedToTarget" => self.frame_attached(connection, params),
            "Inspector.targetCrashed" if self.has_frame_session(session) => connection.detached(session),
            "Inspector.targetCrashed" => connection.crashed(self),
            _ if self.read(|known| known.target == text(params, "frameId")) => {
                self.change(|known| known.main_frame(method, params));
            }
            _ => {}
        }
    }

    /// A frame of another site got a process, and with it a session, of its own.
    fn frame_attached(&self, connection: &Connection, params: &Value) {
        let session = text(params, "sessionId");
        let frame = params.get("targetInfo").map(|info| text(info, "targetId")).unwrap_or_default();
        let room = self.change(|known| {
            let room = known.frames.len() < FRAMES;
            if room {
                known.frames.insert(frame.to_owned(), session.to_owned());
            }
            room
        });
        if room {
            connection.add_session(session, self.clone());
            for (method, params) in set_up() {
                connection.post(Some(session), method, &params);
            }
        } else {
            connection.post(None, "Target.detachFromTarget", &json!({ "sessionId": session }));
        }
    }

    fn has_frame_session(&self, session: &str) -> bool {
        self.read(|known| known.frames.values().any(|of_frame| of_frame == session))
    }

    /// One of the page's sessions has ended.
    pub(super) fn detached(&self, session: &str) {
        self.change(|known| {
            let before = known.frames.len();
            known.frames.retain(|_, of_frame| of_frame != session);
            if before == known.frames.len() {
                known.end(Life::Closed);
            }
        });
    }
}

/// What a new session is told before it is used.
pub(super) fn set_up() -> [(&'static str, Value); 2] {
    let frames = json!([{ "type": "iframe" }]);
    let attach =
        json!({ "autoAttach": true, "waitForDebuggerOnStart": false, "flatten": true, "filter": frames });
    [("Page.enable", json!({})), ("Target.setAutoAttach", attach)]
}
