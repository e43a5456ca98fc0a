//! Where a request stands in a distributed trace (W3C Trace Context, level 1).

use std::fmt;

use buttress_core::unique_number;

/// The trace that a request belongs to, and this process's place in it.
///
/// ```
/// use buttress_telemetry::TraceContext;
///
/// let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let here = TraceContext::from_header(Some(header));
/// assert!(here.to_string().starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
/// assert!(here.is_sampled());
///
/// let root = TraceContext::from_header(Some("nonsense"));
/// assert_ne!(root.trace_id(), here.trace_id());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    parent_id: Option<u64>,
    sampled: bool,
}

impl TraceContext {
    /// The start of a new trace.
    #[must_use]
    pub fn root() -> Self {
        // Zero means "no trace" in the header, so it is never an identifier.
        Self {
            trace_id: ((u128::from(unique_number()) << 64) | u128::from(unique_number())).max(1),
            span_id: unique_number().max(1),
            parent_id: None,
            sampled: true,
        }
    }

    /// Continues the trace that a `traceparent` header names. A header that is missing or malformed starts a new trace:
    /// a caller's mistake in tracing must not cost an answer.
    #[must_use]
    pub fn from_header(traceparent: Option<&str>) -> Self {
        traceparent.and_then(Self::parse).map_or_else(Self::root, |caller| caller.child())
    }

    /// A step below this one in the same trace, for a call to somebody else.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { span_id: unique_number().max(1), parent_id: Some(self.span_id), ..*self }
    }

    /// The trace, as 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// This step, as 16 hexadecimal digits.
    #[must_use]
    pub fn span_id(&self) -> String {
        format!("{:016x}", self.span_id)
    }

    /// The caller's step, as 16 hexadecimal digits.
    #[must_use]
    pub fn parent_id(&self) -> Option<String> {
        self.parent_id.map(|id| format!("{id:016x}"))
    }

    /// Whether the caller keeps this trace.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// The caller's own context: `version "-" trace-id "-" parent-id "-" flags`, lower-case hexadecimal.
    fn parse(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let version = hex(parts.next()?, 2)?;
        let trace_id = hex(parts.next()?, 32)?;
        let span_id = u64::try_from(hex(parts.next()?, 16)?).ok()?;
        let flags = hex(parts.next()?, 2)?;
        // Version 255 is forbidden; version 0 ends here; later ones may go on.
        let ends = version != 0 || parts.next().is_none();
        (version != 0xFF && ends && trace_id != 0 && span_id != 0).then_some(Self {
            trace_id,
            span_id,
            parent_id: None,
            sampled: flags & 1 == 1,
        })
    }
}

impl fmt::Display for TraceContext {
    /// The `traceparent` header to send on.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

fn hex(text: &str, digits: usize) -> Option<u128> {
    let lower_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() == digits && text.bytes().all(lower_hex) {
        u128::from_str_radix(text, 16).ok()
    } else {
        None
    }
}
