//! Turns spans and events into lines.

use std::cell::RefCell;
use std::fmt;

use buttress_core::{SharedClock, chain};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::line::{Line, SpanLine, Style};
use super::redact::{names_a_secret, redact};
use super::writer::LogWriter;

/// The longest text of one field, in bytes; the rest is cut off.
const MAX_TEXT: usize = 8 * 1024;

/// The field of a span that marks every line below it.
const REQUEST_ID: &str = "request_id";

/// Writes each event as one line, with the fields of the spans around it.
pub(crate) struct LogLayer {
    clock: SharedClock,
    writer: LogWriter,
    style: Style,
}

impl LogLayer {
    pub(crate) fn new(clock: SharedClock, writer: LogWriter, style: Style) -> Self {
        Self { clock, writer, style }
    }
}

impl<S> Layer<S> for LogLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Recorded::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Recorded>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Recorded::default();
        event.record(&mut fields);

        let mut spans = Vec::new();
        let mut request_id = fields.request_id.take();
        for span in context.event_scope(event).into_iter().flatten() {
            let mut line = SpanLine { name: span.name(), fields: Vec::new() };
            if let Some(outer) = span.extensions().get::<Recorded>() {
                line.fields.clone_from(&outer.fields);
                request_id = request_id.or_else(|| outer.request_id.clone());
            }
            spans.push(line);
        }
        spans.reverse(); // the outermost first, as a reader expects

        let line = Line {
            at: self.clock.wall(),
            level: *event.metadata().level(),
            target: event.metadata().target(),
            request_id: request_id.as_deref(),
            message: &fields.message,
            fields: &fields.fields,
            spans: &spans,
        };
        BUFFER.with_borrow_mut(|buffer| {
            buffer.clear();
            line.write(self.style, buffer);
            self.writer.write(buffer);
        });
    }
}

thread_local! {
    /// Each thread builds its lines in one buffer.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The value of a field. Text has been freed of secrets.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub(super) enum Value {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(String),
}

/// The fields of a span or an event, with the two that every line shows in a place of their own.
#[derive(Debug, Default)]
struct Recorded {
    message: String,
    request_id: Option<String>,
    fields: Vec<(&'static str, Value)>,
}

impl Recorded {
    fn put(&mut self, field: &Field, value: Value) {
        match self.fields.iter_mut().find(|(name, _)| *name == field.name()) {
            Some((_, old)) => *old = value,
            None => self.fields.push((field.name(), value)),
        }
    }

    fn put_text(&mut self, field: &Field, text: &str) {
        if names_a_secret(field.name()) {
            return self.put(field, Value::Text(super::redact::MASK.to_owned()));
        }
        // Cut after redacting: a cut token would no longer look like one.
        let mut text = redact(text).into_owned();
        if text.len() > MAX_TEXT {
            text.truncate(text.floor_char_boundary(MAX_TEXT));
            text.push('…');
        }
        match field.name() {
            "message" => self.message = text,
            REQUEST_ID => self.request_id = Some(text),
            _ => self.put(field, Value::Text(text)),
        }
    }
}

impl Visit for Recorded {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Bool(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::Int(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::Uint(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::Float(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put_text(field, &chain(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put_text(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // tests

    use std::io::Write;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use buttress_core::TestClock;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(style: Style, work: impl FnOnce()) -> String {
        let log = Log::default();
        let writer = LogWriter::start(log.clone(), 1 << 20).unwrap();
        let layer = LogLayer::new(TestClock::new().shared(), writer.clone(), style);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
        assert!(writer.flush(Duration::from_secs(10)));
        String::from_utf8(log.0.lock().unwrap().clone()).unwrap()
    }

    fn json(work: impl FnOnce()) -> serde_json::Value {
        serde_json::from_str(&logged(Style::Json, work)).unwrap()
    }

    #[test]
    fn a_json_line_carries_the_request_id_and_the_spans_around_it() {
        let line = json(|| {
            let request = tracing::info_span!(
                "request",
                request_id = "r-1",
                route = "/x",
                status = tracing::field::Empty
            );
            let _request = request.enter();
            request.record("status", 200);
            let _inner = tracing::info_span!("parse").entered();
            tracing::warn!(target: "docs", pages = 3, ok = true, "slow {}", "page");
        });
        assert_eq!(
            line,
            serde_json::json!({
                "timestamp": "2026-01-01T00:00:00.000Z",
                "level": "warn",
                "target": "docs",
                "request_id": "r-1",
                "message": "slow page",
                "fields": { "pages": 3, "ok": true },
                "spans": [
                    { "name": "request", "fields": { "route": "/x", "status": 200 } },
                    { "name": "parse" },
                ],
            })
        );
    }

    #[test]
    fn a_human_line_reads_from_left_to_right() {
        let line = logged(Style::Human { colour: false }, || {
            let _request = tracing::info_span!("request", request_id = "r-1", route = "/x").entered();
            tracing::info!(target: "docs", pages = 3, name = "a b", "done");
        });
        assert_eq!(
            line,
            "2026-01-01T00:00:00.000Z  INFO docs: done pages=3 name=\"a b\" request_id=r-1 in request{route=/x}\n"
        );
    }

    #[test]
    fn input_cannot_forge_a_line_or_drive_the_terminal() {
        let line = logged(Style::Human { colour: false }, || {
            tracing::info!("uploaded {}", "x\n2026-01-01 ERROR forged \u{1b}[2J");
        });
        assert_eq!(line.lines().count(), 1);
        assert!(!line.contains('\u{1b}'));
    }

    #[test]
    fn planted_secrets_reach_no_line() {
        for style in [Style::Json, Style::Human { colour: true }] {
            let log = logged(style, || {
                let _span = tracing::info_span!("login", password = "hunter2").entered();
                tracing::info!(
                    api_key = "hunter2",
                    url = "redis://u:hunter2@h/0",
                    "Authorization: Bearer hunter2"
                );
                let error = std::io::Error::other("no access with password=hunter2");
                tracing::error!(error = &error as &dyn std::error::Error, "failed");
            });
            assert!(!log.contains("hunter2"), "{log}");
        }
    }

    #[test]
    fn an_endless_value_is_cut() {
        let line = json(|| tracing::info!(text = "ä".repeat(MAX_TEXT), "x"));
        let text = line["fields"]["text"].as_str().unwrap();
        assert!(text.len() <= MAX_TEXT + '…'.len_utf8() && text.ends_with("ä…"));
    }
}
