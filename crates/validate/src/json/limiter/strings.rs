//! Strings and names: their length, their UTF-8 and what their escapes mean.

use super::{Fault, JsonLimiter, Role, SYNTAX, State};
use crate::error::Code;
use crate::json::bytes::plain_run;

const UTF8: Fault = (Code::Encoding, "is not UTF-8", "encode it in UTF-8");

const SURROGATE: Fault =
    (Code::Encoding, "has half of a surrogate pair", "write both halves, or the character itself");

impl JsonLimiter {
    /// How many bytes more a string may have, as it is written.
    fn room(&self, role: Role) -> usize {
        let most = match role {
            Role::Name => self.limits.key_bytes,
            Role::Value => self.limits.string_bytes,
        };
        most.as_usize().saturating_sub(self.token)
    }

    /// Counts an escape, and keeps what it means in a name.
    fn take(&mut self, role: Role, written: usize, means: &[u8]) -> Result<(), Fault> {
        if written > self.room(role) {
            return Err(too_long(role));
        }
        self.token += written;
        if role == Role::Name {
            self.path.extend_from_slice(means);
        }
        Ok(())
    }

    #[inline]
    pub(super) fn text(&mut self, role: Role, rest: &mut &[u8]) -> Result<(), Fault> {
        let (length, ascii) = plain_run(rest);
        let room = self.room(role);
        let (run, tail) = rest.split_at_checked(length.min(room)).unwrap_or((rest, &[]));
        if length > 0 && self.high.is_some() {
            return Err(SURROGATE);
        }
        let broken = if ascii && self.utf8.is_whole() { None } else { self.utf8.push(run).err() };
        let sound = broken.and_then(|at| run.get(..at)).unwrap_or(run);
        self.token += sound.len();
        if role == Role::Name {
            self.path.extend_from_slice(sound);
        }
        if let Some(at) = broken {
            *rest = rest.get(at..).unwrap_or_default();
            return Err(UTF8);
        }
        if length > room {
            *rest = tail;
            return Err(too_long(role));
        }
        *rest = tail;
        let [byte, tail @ ..] = tail else { return Ok(()) };
        if !self.utf8.is_whole() {
            return Err(UTF8);
        }
        match byte {
            b'\\' => self.state = State::Escape(role),
            _ if self.high.is_some() => return Err(SURROGATE),
            b'"' => self.end_text(role)?,
            _ => return Err((Code::Control, "has a control character in a string", "escape it")),
        }
        *rest = tail;
        Ok(())
    }

    #[inline]
    fn end_text(&mut self, role: Role) -> Result<(), Fault> {
        self.state = State::After;
        if role == Role::Name {
            self.state = State::Colon;
            let object = self.open.last_mut().ok_or(SYNTAX)?;
            let name = self.path.get(object.name..).unwrap_or_default();
            if let Some(seen) = object.seen.as_mut().filter(|_| self.limits.unique_keys)
                && !self.names.insert(seen, name)
            {
                return Err((Code::Duplicate, "is there twice", "send it once"));
            }
        }
        Ok(())
    }

    pub(super) fn escape(&mut self, role: Role, byte: u8) -> Result<(), Fault> {
        if byte == b'u' {
            self.state = State::Hex(role, 4, 0);
            return Ok(());
        }
        if self.high.is_some() {
            return Err(SURROGATE);
        }
        let means = match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            _ => {
                return Err((
                    Code::Syntax,
                    "has an escape that JSON does not know",
                    "write `\\u` and four digits",
                ));
            }
        };
        self.state = State::Text(role);
        self.take(role, 2, &[means])
    }

    pub(super) fn hex(&mut self, role: Role, left: u8, value: u16, byte: u8) -> Result<(), Fault> {
        let digit = char::from(byte).to_digit(16).and_then(|digit| u16::try_from(digit).ok());
        let value = value << 4
            | digit.ok_or((
                Code::Syntax,
                "has an escape without four digits",
                "write `\\u` and four digits",
            ))?;
        if left > 1 {
            self.state = State::Hex(role, left - 1, value);
            return Ok(());
        }
        self.state = State::Text(role);
        let units: &[u16] = match (self.high.take(), value) {
            (None, 0xd800..=0xdbff) => {
                self.high = Some(value);
                return self.take(role, 6, &[]);
            }
            (Some(high), 0xdc00..=0xdfff) => &[high, value],
            (Some(_), _) => return Err(SURROGATE),
            (None, _) => &[value],
        };
        let c = char::decode_utf16(units.iter().copied()).next().and_then(Result::ok).ok_or(SURROGATE)?;
        self.take(role, 6, c.encode_utf8(&mut [0; 4]).as_bytes())
    }
}

#[cold]
fn too_long(role: Role) -> Fault {
    match role {
        Role::Name => (Code::TooLong, "has a name longer than the limit", "choose a shorter one"),
        Role::Value => (Code::TooLong, "is a string longer than the limit", "write less"),
    }
}
