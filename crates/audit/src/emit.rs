//! Events of other components, logged.

use buttress_core::{Event, Probe, Sink, Vitality};

use crate::spill::Spilled;
use crate::{Entry, Error, Log, OnFull, Value};

/// To so many bytes the texts of an event are cut that is too long for the log otherwise.
const CUT: usize = 512;

/// A [`Sink`] that logs every event. [`emit`](Sink::emit) returns at once while the queue has room.
///
/// What happens without room is the configuration's [`OnFull`]: the thread blocks (also one of an async runtime; the log itself needs no
/// thread of it), or the event is spilled to a file. Nothing is dropped silently: an event that can be kept nowhere is counted
/// ([`LOST`](crate::metrics::LOST)), written to the program's own log at the level of errors, and shown by the [`LogProbe`].
///
/// An event in the queue is not on the disk yet: a crash loses it. Who has to know uses [`Log::append`]. Where a crash or a disk that fails
/// comes in between, some of what was spilled is logged twice.
#[derive(Debug, Clone)]
pub struct AuditSink(Log);

/// How a log is, as a [`Probe`] named `audit`: failing while entries cannot be written; a warning where it cannot be sealed, a witness does
/// not take checkpoints, events are spilled, or any were lost.
#[derive(Debug, Clone)]
pub struct LogProbe(Log);

impl Log {
    /// Logs events of other components.
    #[must_use]
    pub fn sink(&self) -> AuditSink {
        AuditSink(self.clone())
    }

    /// Tells how the log is.
    #[must_use]
    pub fn probe(&self) -> LogProbe {
        LogProbe(self.clone())
    }
}

impl Sink for AuditSink {
    fn emit(&self, event: Event) {
        let shared = self.0.shared();
        let mut entry = Entry::from(event);
        let encoded = match shared.encode(&entry) {
            Err(Error::TooLong { .. }) => {
                cut(&mut entry);
                shared.encode(&entry)
            }
            encoded => encoded,
        };
        let bytes = match encoded {
            Ok(bytes) => bytes,
            Err(error) => return shared.lose(&entry, &error.to_string()),
        };
        let kept = match shared.config.on_full {
            OnFull::Block => match shared.queue.try_push(bytes) {
                Ok(()) => Ok(()),
                Err(bytes) => shared.queue.push_blocking(bytes),
            },
            OnFull::Spill => shared.spill.put(bytes, |bytes| shared.queue.try_push(bytes)).map(|spilled| {
                if spilled == Spilled::Yes {
                    shared.metrics.spilled.increment(1);
                }
            }),
        };
        if let Err(error) = kept {
            shared.lose(&entry, &buttress_core::chain(&error));
        }
    }
}

/// Rather a short entry than none: who emits events may have taken their texts from anybody.
fn cut(entry: &mut Entry) {
    for text in
        [&mut entry.actor, &mut entry.target, &mut entry.request_id, &mut entry.detail].into_iter().flatten()
    {
        text.truncate(text.floor_char_boundary(CUT));
    }
    entry.data.insert("cut".to_owned(), Value::Bool(true));
}

impl Probe for LogProbe {
    fn name(&self) -> &'static str {
        "audit"
    }

    async fn check(&self) -> Vitality {
        let shared = self.0.shared();
        let status = shared.status(|status| status.clone());
        if *shared.done.borrow() {
            return Vitality::Fail("the audit log is closed".to_owned());
        }
        if let Some(problem) = status.disk {
            return Vitality::Fail(format!("entries cannot be written: {problem}"));
        }
        let mut warnings = Vec::new();
        if status.lost > 0 {
            warnings
                .push(format!("{} events could not be logged; the last: {}", status.lost, status.lost_why));
        }
        warnings.extend(status.sealing.map(|problem| format!("the log cannot be sealed: {problem}")));
        warnings.extend(
            status
                .witnesses
                .values()
                .map(|problem| format!("a witness does not take checkpoints: {problem}")),
        );
        if shared.spill.backlog() > 0 {
            warnings.push(format!("{} bytes of events are spilled and wait", shared.spill.backlog()));
        }
        if warnings.is_empty() { Vitality::Pass } else { Vitality::Warn(warnings.join("; ")) }
    }
}
