//! One pass over JSON, in pieces, that holds the limits.

use super::bytes::{Utf8, plain_run};
use super::keys::{Names, Seen};
use super::limits::JsonLimits;
use super::number::Number;
use super::problem::Problem;
use crate::error::Code;

/// Reads JSON in pieces of any size, and stops at the first thing that is wrong or past a limit.
///
/// What comes through is JSON in UTF-8, without halves of surrogate pairs. Numbers are not evaluated: `1e999` is JSON, and too large for most
/// types. Each byte is looked at once; memory as [`JsonLimits`] says.
#[derive(Debug)]
pub struct JsonLimiter {
    limits: JsonLimits,
    /// Bytes before the piece that is read.
    read: usize,
    state: State,
    open: Vec<Frame>,
    /// The names on the way to where we are, unescaped, one after the other.
    path: Vec<u8>,
    names: Names,
    nodes: usize,
    /// Bytes of the string or number that is read.
    token: usize,
    utf8: Utf8,
    /// The first half of a surrogate pair that is begun.
    high: Option<u16>,
    failed: Option<Box<Problem>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Value,
    /// A value, or the end of an array that has none.
    First,
    /// A name, or the end of an object that has none.
    FirstName,
    Name,
    Colon,
    /// After a value.
    After,
    Text(Role),
    Escape(Role),
    Hex(Role, u8, u16),
    Number(Number),
    Word(&'static [u8]),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Name,
    Value,
}

#[derive(Debug)]
struct Frame {
    /// `None` in an array.
    seen: Option<Seen>,
    count: usize,
    /// Where its name begins in `path`.
    name: usize,
}

/// What is wrong, before it is known where.
type Fault = (Code, &'static str, &'static str);

const SYNTAX: Fault = (Code::Syntax, "is not JSON", "write it as RFC 8259 says");
const EARLY: Fault = (Code::Syntax, "ends before its value does", "send the whole of it");
const UTF8: Fault = (Code::Encoding, "is not UTF-8", "encode it in UTF-8");
const SURROGATE: Fault =
    (Code::Encoding, "has half of a surrogate pair", "write both halves, or the character itself");

/// Checks a whole text.
///
/// # Errors
///
/// The first thing that is wrong or past a limit.
pub fn check_json(text: &[u8], limits: &JsonLimits) -> Result<(), Problem> {
    let mut limiter = JsonLimiter::new(limits.clone());
    limiter.push(text)?;
    limiter.finish()
}

impl JsonLimiter {
    /// A limiter at the beginning of a text.
    #[must_use]
    pub fn new(limits: JsonLimits) -> Self {
        Self {
            limits,
            read: 0,
            state: State::Value,
            open: Vec::new(),
            path: Vec::new(),
            names: Names::default(),
            nodes: 0,
            token: 0,
            utf8: Utf8::default(),
            high: None,
            failed: None,
        }
    }

    /// Reads the next piece.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong or past a limit; the same again when asked again.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), Problem> {
        if let Some(failed) = &self.failed {
            return Err((**failed).clone());
        }
        let most = self.limits.bytes.as_usize();
        let mut rest = piece.get(..most.saturating_sub(self.read)).unwrap_or(piece);
        let cut = rest.len() < piece.len();
        let length = rest.len();
        while !rest.is_empty() {
            if let Err(fault) = self.step(&mut rest) {
                // A step looks at one token; what it left is what it did not look at.
                let at = self.read + length - rest.len();
                return Err(self.fail(fault, at));
            }
        }
        self.read += length;
        if cut {
            return Err(self.fail((Code::TooLong, "is larger than the limit", "send less"), most));
        }
        Ok(())
    }

    /// Says that this was all.
    ///
    /// # Errors
    ///
    /// The text is not whole, or what was wrong before.
    pub fn finish(mut self) -> Result<(), Problem> {
        if let Some(failed) = self.failed {
            return Err(*failed);
        }
        let whole = match self.state {
            State::After => self.open.is_empty(),
            State::Number(number) => self.open.is_empty() && number.is_whole(),
            _ => false,
        };
        if whole {
            return Ok(());
        }
        let fault = if self.nodes == 0 { (Code::Empty, "is empty", "send a value") } else { EARLY };
        Err(self.fail(fault, self.read))
    }

    /// Where it reads, as a JSON pointer: the value that was read last, or is read.
    #[must_use]
    pub fn pointer(&self) -> String {
        let mut pointer = String::new();
        let ends = self.open.iter().skip(1).map(|inner| inner.name).chain([self.path.len()]);
        for (frame, end) in self.open.iter().zip(ends) {
            if frame.count == 0 {
                continue;
            }
            pointer.push('/');
            if frame.seen.is_some() {
                let name = self.path.get(frame.name..end).unwrap_or_default();
                pointer.push_str(&String::from_utf8_lossy(name).replace('~', "~0").replace('/', "~1"));
            } else {
                pointer.push_str(&(frame.count - 1).to_string());
            }
        }
        pointer
    }

    #[cold]
    fn fail(&mut self, (code, message, remedy): Fault, at: usize) -> Problem {
        let problem = Problem::new(self.pointer(), code, message, remedy).at_byte(at);
        self.failed = Some(Box::new(problem.clone()));
        problem
    }

    /// Reads one token or a part of it, at least one byte unless a number ends before it.
    #[inline]
    fn step(&mut self, rest: &mut &[u8]) -> Result<(), Fault> {
        match self.state {
            State::Text(role) => self.text(role, rest),
            State::Number(number) => self.number(number, rest),
            _ => {
                let [byte, tail @ ..] = *rest else { return Ok(()) };
                match self.state {
                    State::Escape(role) => self.escape(role, *byte)?,
                    State::Hex(role, left, value) => self.hex(role, left, value, *byte)?,
                    State::Word([expected, more @ ..]) if expected == byte => {
                        self.state = if more.is_empty() { State::After } else { State::Word(more) };
                    }
                    State::Word(_) => return Err(SYNTAX),
                    _ => self.structure(*byte)?,
                }
                *rest = tail;
                Ok(())
            }
        }
    }

    #[inline]
    fn structure(&mut self, byte: u8) -> Result<(), Fault> {
        match (self.state, byte) {
            (_, b' ' | b'\n' | b'\r' | b'\t') => {}
            (State::Colon, b':') => self.state = State::Value,
            (State::After, b',') => {
                let frame = self.open.last().ok_or(SYNTAX)?;
                self.state = if frame.seen.is_some() { State::Name } else { State::Value };
            }
            (State::FirstName | State::Name, b'"') => self.begin_name()?,
            (State::After | State::FirstName, b'}') => self.close(true)?,
            (State::After | State::First, b']') => self.close(false)?,
            (State::Value | State::First, _) => self.value(byte)?,
            _ => return Err(SYNTAX),
        }
        Ok(())
    }

    fn value(&mut self, byte: u8) -> Result<(), Fault> {
        if let Some(array) = self.open.last_mut().filter(|frame| frame.seen.is_none()) {
            array.count += 1;
            if array.count > self.limits.elements {
                return Err((
                    Code::TooMany,
                    "has more elements than the limit",
                    "send fewer, or in several requests",
                ));
            }
        }
        let next = match byte {
            b'"' => State::Text(Role::Value),
            b'{' => State::FirstName,
            b'[' => State::First,
            b't' => State::Word(b"rue"),
            b'f' => State::Word(b"alse"),
            b'n' => State::Word(b"ull"),
            _ => State::Number(Number::begun(byte).ok_or(SYNTAX)?),
        };
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            return Err((
                Code::TooMany,
                "has more values than the limit",
                "send fewer, or in several requests",
            ));
        }
        self.token = usize::from(matches!(next, State::Number(_)));
        if matches!(byte, b'{' | b'[') {
            if self.open.len() >= self.limits.depth {
                return Err((Code::TooDeep, "is nested deeper than the limit", "nest less"));
            }
            let seen = (byte == b'{').then(|| self.names.open());
            self.open.push(Frame { seen, count: 0, name: self.path.len() });
        }
        self.state = next;
        Ok(())
    }

    fn close(&mut self, object: bool) -> Result<(), Fault> {
        let frame = self.open.pop_if(|frame| frame.seen.is_some() == object).ok_or(SYNTAX)?;
        if let Some(seen) = &frame.seen {
            self.names.close(seen);
        }
        self.path.truncate(frame.name);
        self.state = State::After;
        Ok(())
    }

    fn begin_name(&mut self) -> Result<(), Fault> {
        let object = self.open.last_mut().ok_or(SYNTAX)?;
        self.path.truncate(object.name);
        if object.count >= self.limits.members {
            // The pointer leads to the object then, and not to a name that is not read.
            object.count = 0;
            return Err((
                Code::TooMany,
                "has more members than the limit",
                "send fewer, or in several requests",
            ));
        }
        object.count += 1;
        self.token = 0;
        self.state = State::Text(Role::Name);
        Ok(())
    }

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
    fn text(&mut self, role: Role, rest: &mut &[u8]) -> Result<(), Fault> {
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

    fn escape(&mut self, role: Role, byte: u8) -> Result<(), Fault> {
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

    fn hex(&mut self, role: Role, left: u8, value: u16, byte: u8) -> Result<(), Fault> {
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

    #[inline]
    fn number(&mut self, mut number: Number, rest: &mut &[u8]) -> Result<(), Fault> {
        while let [byte, tail @ ..] = *rest {
            let Some(next) = number.then(*byte) else {
                self.state = State::After;
                return if number.is_whole() { Ok(()) } else { Err(SYNTAX) };
            };
            number = next;
            self.token += 1;
            if self.token > self.limits.number_bytes.as_usize() {
                return Err((Code::TooLong, "is a number longer than the limit", "write fewer digits"));
            }
            *rest = tail;
        }
        self.state = State::Number(number);
        Ok(())
    }
}

#[cold]
fn too_long(role: Role) -> Fault {
    match role {
        Role::Name => (Code::TooLong, "has a name longer than the limit", "choose a shorter one"),
        Role::Value => (Code::TooLong, "is a string longer than the limit", "write less"),
    }
}
