//! What happened, told to whoever wants to know.

use std::sync::Arc;
use std::time::SystemTime;

/// How an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was tried and failed.
    Failure,
    /// It was not allowed.
    Denied,
}

/// Who did what to what, how it ended, and when.
///
/// ```
/// use buttress_core::{Event, Outcome};
/// use std::time::SystemTime;
///
/// let event = Event::new(SystemTime::UNIX_EPOCH, "config.reload", Outcome::Failure)
///     .actor("file-watcher")
///     .target("docproc.toml")
///     .detail("line 3: unknown key `prot`");
/// assert_eq!(event.action, "config.reload");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Event {
    /// When it happened, by the clock of the emitting component.
    pub at: SystemTime,
    /// What was done, as `noun.verb` in lower case: `"secret.read"`.
    pub action: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// Who did it, where known: a user, a key's prefix, a component.
    pub actor: Option<String>,
    /// What it was done to.
    pub target: Option<String>,
    /// The request it belongs to.
    pub request_id: Option<String>,
    /// One line for people. Never a secret.
    pub detail: Option<String>,
}

impl Event {
    /// An event with nothing but the essentials.
    #[must_use]
    pub fn new(at: SystemTime, action: &'static str, outcome: Outcome) -> Self {
        Self { at, action, outcome, actor: None, target: None, request_id: None, detail: None }
    }

    /// Says who did it.
    #[must_use]
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.actor = Some(actor.into());
        self
    }

    /// Says what it was done to.
    #[must_use]
    pub fn target(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// Says which request it belongs to.
    #[must_use]
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.request_id = Some(id.into());
        self
    }

    /// Adds one line for people.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// Receives events: an audit log, an alert engine, a test.
///
/// Called on the path of the work itself, so it must return at once; a sink that writes to a disk or a network
/// takes the event into a bounded queue of its own.
pub trait Sink: Send + Sync + 'static {
    /// Takes one event.
    fn emit(&self, event: Event);
}

/// Where a component sends its events; cheap to clone. The default drops them.
#[derive(Clone, Default)]
pub struct Events(Option<Arc<dyn Sink>>);

impl Events {
    /// Sends events to `sink`.
    #[must_use]
    pub fn to(sink: Arc<dyn Sink>) -> Self {
        Self(Some(sink))
    }

    /// Sends one event.
    pub fn emit(&self, event: Event) {
        if let Some(sink) = &self.0 {
            sink.emit(event);
        }
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Events(sink)" } else { "Events(dropped)" })
    }
}
