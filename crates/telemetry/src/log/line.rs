//! How a line looks, for machines and for people.

use std::io::Write;
use std::time::SystemTime;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use tracing::Level;

use super::layer::Value;

/// For whom lines are written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Style {
    /// Text for people.
    Human {
        /// Whether their terminal shows colours.
        colour: bool,
    },
    /// One JSON object a line.
    Json,
}

/// One event and where it happened.
pub(super) struct Line<'a> {
    pub(super) at: SystemTime,
    pub(super) level: Level,
    pub(super) target: &'a str,
    pub(super) request_id: Option<&'a str>,
    pub(super) message: &'a str,
    pub(super) fields: &'a [(&'static str, Value)],
    pub(super) spans: &'a [SpanLine],
}

/// One of the spans around an event.
pub(super) struct SpanLine {
    pub(super) name: &'static str,
    pub(super) fields: Vec<(&'static str, Value)>,
}

impl Line<'_> {
    /// Appends the line, with its line feed.
    pub(super) fn write(&self, style: Style, out: &mut Vec<u8>) {
        // Writing into memory does not fail, and serialising these types does not either.
        let _ = match style {
            Style::Json => serde_json::to_writer(&mut *out, self).map_err(std::io::Error::from),
            Style::Human { colour } => self.write_human(colour, out),
        };
        out.push(b'\n');
    }

    fn write_human(&self, colour: bool, out: &mut Vec<u8>) -> std::io::Result<()> {
        let paint = |code: &'static str| if colour { code } else { "" };
        let (dim, bold, reset) = (paint("\u{1b}[2m"), paint("\u{1b}[1m"), paint("\u{1b}[0m"));
        let level = paint(match self.level {
            Level::ERROR => "\u{1b}[31m",
            Level::WARN => "\u{1b}[33m",
            Level::INFO => "\u{1b}[32m",
            _ => "\u{1b}[34m",
        });
        write!(
            out,
            "{dim}{}{reset} {level}{:>5}{reset} {dim}{}:{reset} {bold}{}{reset}",
            humantime::format_rfc3339_millis(self.at),
            self.level,
            self.target,
            Visible(self.message),
        )?;
        for (name, value) in self.fields {
            write!(out, " {dim}{name}={reset}{}", Human(value))?;
        }
        if let Some(id) = self.request_id {
            write!(out, " {dim}request_id={reset}{}", Visible(id))?;
        }
        for (i, span) in self.spans.iter().enumerate() {
            write!(out, "{dim}{}{}", if i == 0 { " in " } else { ":" }, span.name)?;
            for (i, (name, value)) in span.fields.iter().enumerate() {
                write!(out, "{}{name}={}", if i == 0 { "{" } else { " " }, Human(value))?;
            }
            write!(out, "{}{reset}", if span.fields.is_empty() { "" } else { "}" })?;
        }
        Ok(())
    }
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("timestamp", &format_args!("{}", humantime::format_rfc3339_millis(self.at)))?;
        map.serialize_entry("level", level_name(self.level))?;
        map.serialize_entry("target", self.target)?;
        if let Some(id) = self.request_id {
            map.serialize_entry("request_id", id)?;
        }
        map.serialize_entry("message", self.message)?;
        if !self.fields.is_empty() {
            map.serialize_entry("fields", &Fields(self.fields))?;
        }
        if !self.spans.is_empty() {
            map.serialize_entry("spans", self.spans)?;
        }
        map.end()
    }
}

impl Serialize for SpanLine {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("name", self.name)?;
        if !self.fields.is_empty() {
            map.serialize_entry("fields", &Fields(&self.fields))?;
        }
        map.end()
    }
}

struct Fields<'a>(&'a [(&'static str, Value)]);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// A value for people; text is quoted where it would not read as one word.
struct Human<'a>(&'a Value);

impl std::fmt::Display for Human<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Value::Bool(value) => value.fmt(f),
            Value::Int(value) => value.fmt(f),
            Value::Uint(value) => value.fmt(f),
            Value::Float(value) => value.fmt(f),
            Value::Text(text) if text.is_empty() || text.contains([' ', '"', '=']) => {
                write!(f, "\"{}\"", Visible(text))
            }
            Value::Text(text) => Visible(text).fmt(f),
        }
    }
}

/// Text whose control characters are shown instead of obeyed, so that input can neither forge a line nor drive the
/// terminal of whoever reads it.
struct Visible<'a>(&'a str);

impl std::fmt::Display for Visible<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(char::is_control) {
            let (plain, tail) = rest.split_at(at);
            f.write_str(plain)?;
            let mut chars = tail.chars();
            if let Some(control) = chars.next() {
                write!(f, "{}", control.escape_default())?;
            }
            rest = chars.as_str();
        }
        f.write_str(rest)
    }
}
