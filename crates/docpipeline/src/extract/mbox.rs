//! Mailboxes: messages one after another in one file.

use bytes::Bytes;
use memchr::memmem;

use crate::budget::Budget;
use crate::draft::{Draft, Source};
use crate::error::{Error, Result};
use crate::extract::Extractor;
use crate::format::Format;

/// Mailboxes in all their dialects (RFC 4155, appendix A): mboxrd, mboxo, and mboxcl, whose messages tell their length.
pub(crate) struct Mbox;

impl Extractor for Mbox {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let budget = draft.budget();
        let (mut rest, mut count) = (without_leading_space(&source.bytes), 0_usize);
        while let Some(start) = after_separator(&rest) {
            budget.tick()?;
            let end = message_end(&rest, start, budget)?;
            let message = rest.slice(start..end);
            if !message.trim_ascii().is_empty() {
                count += 1;
                draft.embed_as(Format::Eml, &format!("message {count}"), unquoted(message, budget)?)?;
            }
            rest = without_leading_space(&rest.slice(end..));
        }
        if draft.parts.is_empty() {
            return Err(Error::malformed(Format::Mbox, "no message in it can be read"));
        }
        Ok(())
    }
}

/// Where the message begins, if a separator stands first: `From`, who sent it, and when.
///
/// A sentence may begin with the same word, so the time is asked for; years and zones are written in many ways.
pub(crate) fn after_separator(bytes: &[u8]) -> Option<usize> {
    let line = bytes.strip_prefix(b"From ")?;
    let line = line.get(..memchr::memchr(b'\n', line)?)?;
    let digit = |at: Option<&u8>| at.is_some_and(u8::is_ascii_digit);
    let is_time = |colon: usize| {
        digit(colon.checked_sub(1).and_then(|before| line.get(before))) && digit(line.get(colon + 1))
    };
    memchr::memchr_iter(b':', line).any(is_time).then_some(b"From ".len() + line.len() + 1)
}

fn without_leading_space(bytes: &Bytes) -> Bytes {
    bytes.slice(bytes.len() - bytes.trim_ascii_start().len()..)
}

/// Where the message that begins at `start` ends.
fn message_end(bytes: &[u8], start: usize, budget: &Budget) -> Result<usize> {
    if let Some(end) = declared_end(bytes, start) {
        return Ok(end);
    }
    let message = bytes.get(start..).unwrap_or_default();
    for at in memmem::find_iter(message, b"\nFrom ") {
        budget.tick()?;
        let before = message.get(..at).unwrap_or_default();
        let blank_before = before.is_empty() || before.ends_with(b"\n") || before.ends_with(b"\n\r");
        if blank_before && after_separator(message.get(at + 1..).unwrap_or_default()).is_some() {
            return Ok(start + at);
        }
    }
    Ok(bytes.len())
}

/// The end that `Content-Length` tells, where another message, or none, begins there. The field outlives the mailbox
/// that it was true in, so it is not believed without that.
fn declared_end(bytes: &[u8], start: usize) -> Option<usize> {
    const FIELD: &[u8] = b"content-length:";
    let mut at = start;
    let mut length: Option<usize> = None;
    loop {
        let rest = bytes.get(at..)?;
        let line_length = memchr::memchr(b'\n', rest)? + 1;
        let line = rest.get(..line_length)?;
        at += line_length;
        match line.trim_ascii_end() {
            [] => break,
            field => {
                let value = field.get(FIELD.len()..).unwrap_or_default();
                if field.get(..FIELD.len()).is_some_and(|name| name.eq_ignore_ascii_case(FIELD)) {
                    length = std::str::from_utf8(value).ok()?.trim().parse().ok();
                }
            }
        }
    }
    let end = at.checked_add(length?)?;
    let after = bytes.get(end..)?;
    let next = after.trim_ascii_start();
    (next.is_empty() || after.len() - next.len() <= 4 && after_separator(next).is_some()).then_some(end)
}

/// The message with one `>` less before lines that began with `From `, or with `>From ` and so on.
fn unquoted(message: Bytes, budget: &Budget) -> Result<Bytes> {
    if memmem::find(&message, b"\n>").is_none() || memmem::find(&message, b">From ").is_none() {
        return Ok(message);
    }
    budget.expanded(message.len())?;
    let mut plain = Vec::with_capacity(message.len());
    for line in message.split_inclusive(|b| *b == b'\n') {
        budget.tick()?;
        let marks = line.iter().take_while(|b| **b == b'>').count();
        let quoted = marks > 0 && line.get(marks..).is_some_and(|rest| rest.starts_with(b"From "));
        plain.extend_from_slice(line.get(usize::from(quoted)..).unwrap_or_default());
    }
    Ok(plain.into())
}
