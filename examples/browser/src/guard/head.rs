//! The head of a request to the proxy: read strictly, and written anew for the server.
//!
//! Two programs that read one head differently are how requests are smuggled, so nothing is passed on as it came:
//! fields are taken apart, and those of the connection or the proxy are left out.

use url::Host;

use super::policy::normal;

/// The longest head, in bytes, its empty line included.
pub const LONGEST_HEAD: usize = 64 << 10;

/// What a client asks of the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHead {
    /// The host; a name is in lower case and punycode, without a final dot.
    pub host: Host,
    /// The port.
    pub port: u16,
    /// What to do there.
    pub ask: Ask,
}

/// What to do at a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// `CONNECT`: carry bytes.
    Tunnel,
    /// Send one request and its body.
    Forward {
        /// The head for the server, whole.
        head: Vec<u8>,
        /// Bytes of the body that follows.
        body: u64,
    },
}

/// Why a head is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// Not as RFC 9112 has it.
    #[error("the request is malformed: {0}")]
    Malformed(&'static str),
    /// Longer than [`LONGEST_HEAD`].
    #[error("the request's head is longer than 64 KiB")]
    TooLong,
    /// A body of unknown length.
    #[error("the request's body has no length; send it with `content-length`")]
    NoLength,
    /// A URL of another kind.
    #[error("the proxy forwards http: only; other kinds go through CONNECT")]
    Scheme,
    /// Neither HTTP/1.0 nor HTTP/1.1.
    #[error("the proxy speaks HTTP/1.1")]
    Version,
}

/// Takes the pieces of a head as they come in. However a head is cut, the result is the same.
#[derive(Debug, Default)]
pub struct HeadReader {
    bytes: Vec<u8>,
    /// The empty line does not begin before this.
    scanned: usize,
}

impl HeadReader {
    /// Takes the next piece; `None` while the head is not whole.
    ///
    /// # Errors
    ///
    /// When the head is whole and wrong, or has become too long.
    pub fn push(&mut self, piece: &[u8]) -> Result<Option<RequestHead>, HeadError> {
        self.bytes.extend_from_slice(piece);
        let head = self.bytes.get(..LONGEST_HEAD.min(self.bytes.len())).unwrap_or_default();
        let fresh = head.get(self.scanned..).unwrap_or_default();
        let Some(found) = fresh.windows(4).position(|window| window == b"\r\n\r\n") else {
            self.scanned = head.len().saturating_sub(3);
            return if self.bytes.len() >= LONGEST_HEAD { Err(HeadError::TooLong) } else { Ok(None) };
        };
        let rest = self.bytes.split_off(self.scanned + found + 4);
        let head = std::mem::replace(&mut self.bytes, rest);
        self.scanned = 0;
        parse(&head).map(Some)
    }

    /// Whether nothing has come yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What came after the head: the beginning of the body or of the tunnel.
    #[must_use]
    pub fn into_rest(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads a head, whole with its empty line.
fn parse(head: &[u8]) -> Result<RequestHead, HeadError> {
    let head = head.strip_suffix(b"\r\n").ok_or(HeadError::Malformed("it has no end"))?;
    let no_return = HeadError::Malformed("a line ends without a carriage return");
    let mut lines =
        head.split_inclusive(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r\n").ok_or(no_return));
    let line = lines.next().unwrap_or(Err(no_return))?;
    let line = std::str::from_utf8(line).map_err(|_| HeadError::Malformed("its first line is not ASCII"))?;
    if !line.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Err(HeadError::Malformed("its first line has characters that must be encoded"));
    }
    let mut parts = line.split(' ');
    let (Some(method), Some(url), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(HeadError::Malformed("its first line is not a method, a target and a version"));
    };
    if !(1..=32).contains(&method.len()) || !method.bytes().all(is_token) {
        return Err(HeadError::Malformed("its method is none"));
    }
    if !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
        return Err(HeadError::Version);
    }
    let fields = lines.map(|line| field(line?)).collect::<Result<Vec<_>, _>>()?;
    if method == "CONNECT" {
        let (host, port) = authority(url, None)?;
        return Ok(RequestHead { host, port, ask: Ask::Tunnel });
    }
    let (scheme, rest) = url.split_once("://").ok_or(HeadError::Malformed("its target is no whole URL"))?;
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(HeadError::Scheme);
    }
    let (place, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if path.contains('#') {
        return Err(HeadError::Malformed("its target has a fragment"));
    }
    let (host, port) = authority(place, Some(80))?;
    let body = length(&fields)?;
    let head = rewritten(method, path, &host, port, body, &fields);
    Ok(RequestHead { host, port, ask: Ask::Forward { head, body: body.unwrap_or(0) } })
}

/// A field's name and its value without the spaces around it.
fn field(line: &[u8]) -> Result<(&str, &[u8]), HeadError> {
    let wrong = HeadError::Malformed("a field is not a name, a colon and a value");
    let colon = line.iter().position(|byte| *byte == b':').ok_or(wrong)?;
    let (name, value) = line.split_at(colon);
    let value = value.get(1..).unwrap_or_default();
    let name = std::str::from_utf8(name).map_err(|_| wrong)?;
    let is_value = |byte: u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
    if name.is_empty() || !name.bytes().all(is_token) || !value.iter().copied().all(is_value) {
        return Err(wrong);
    }
    Ok((name, value.trim_ascii()))
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// `host:port`. Without a port it is `usual`, if there is one.
fn authority(text: &str, usual: Option<u16>) -> Result<(Host, u16), HeadError> {
    let wrong = HeadError::Malformed("its target has no host, or a port that is none");
    if text.contains('@') {
        return Err(HeadError::Malformed("its target has credentials"));
    }
    // The colons of an IPv6 address are in brackets.
    let (host, port) = match text.rfind(':') {
        Some(colon) if !text.ends_with(']') => text.split_at(colon),
        _ => (text, ""),
    };
    let port = match port.trim_start_matches(':') {
        "" => usual.ok_or(wrong)?,
        digits if digits.len() <= 5 && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map_err(|_| wrong)?
        }
        _ => return Err(wrong),
    };
    let host = Host::parse(host).ok().and_then(normal).ok_or(wrong)?;
    if port == 0 { Err(wrong) } else { Ok((host, port)) }
}

/// The length of the body; `None` when there is no field for it.
fn length(fields: &[(&str, &[u8])]) -> Result<Option<u64>, HeadError> {
    let wrong = HeadError::Malformed("its content-length is no number, or there are two");
    let mut length = None;
    for (name, value) in fields {
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(HeadError::NoLength);
        }
        if name.eq_ignore_ascii_case("content-length") {
            let digits = std::str::from_utf8(value).map_err(|_| wrong)?;
            let is_number =
                (1..=19).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
            let number: u64 = if is_number { digits.parse().map_err(|_| wrong)? } else { return Err(wrong) };
            if length.replace(number).is_some_and(|before| before != number) {
                return Err(wrong);
            }
        }
    }
    Ok(length)
}

/// The head as the server gets it.
fn rewritten(
    method: &str,
    path: &str,
    host: &Host,
    port: u16,
    body: Option<u64>,
    fields: &[(&str, &[u8])],
) -> Vec<u8> {
    let slash = if path.starts_with('/') { "" } else { "/" };
    let place = if port == 80 { host.to_string() } else { format!("{host}:{port}") };
    let mut head = format!("{method} {slash}{path} HTTP/1.1\r\nHost: {place}\r\n").into_bytes();
    // Fields that the client's connection names are for the proxy alone.
    let named: Vec<&[u8]> = fields
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("connection"))
        .flat_map(|(_, value)| value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii))
        .collect();
    for (name, value) in fields {
        let is_named = named.iter().any(|named| named.eq_ignore_ascii_case(name.as_bytes()));
        if is_named || is_hop_by_hop(name) {
            continue;
        }
        head.extend_from_slice(name.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    }
    if let Some(body) = body {
        head.extend_from_slice(format!("Content-Length: {body}\r\n").as_bytes());
    }
    head.extend_from_slice(b"Connection: close\r\n\r\n");
    head
}

/// Fields of one connection (RFC 9110, 7.6.1), and those that are written anew.
fn is_hop_by_hop(name: &str) -> bool {
    const NAMES: [&str; 8] =
        ["host", "connection", "content-length", "keep-alive", "te", "trailer", "upgrade", "http2-settings"];
    let proxy = name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("proxy-"));
    proxy || NAMES.iter().any(|own| own.eq_ignore_ascii_case(name))
}
