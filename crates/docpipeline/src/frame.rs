//! Messages between a worker process and the one that feeds it: two lengths, a JSON header, a body.

use std::io::{self, IoSlice};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Larger headers than this are not ours; bodies are bounded by the limits on documents.
const MAX_HEADER_BYTES: u32 = 256 << 20;

/// The lengths of header and body, little endian.
const PREFIX_BYTES: usize = 12;

/// A message as it came.
pub(crate) struct Message {
    header: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    pub(crate) fn header<H: DeserializeOwned>(&self) -> io::Result<H> {
        Ok(serde_json::from_slice(&self.header)?)
    }
}

/// Writes a message.
pub(crate) fn write(to: &mut impl io::Write, header: &impl Serialize, body: &[u8]) -> io::Result<()> {
    let head = head(header, body)?;
    let mut parts = [IoSlice::new(&head), IoSlice::new(body)];
    let mut parts = parts.as_mut_slice();
    while !parts.is_empty() {
        match to.write_vectored(parts) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut parts, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    to.flush()
}

/// Reads a message; `None` at the end of the stream.
pub(crate) fn read(from: &mut impl io::Read) -> io::Result<Option<Message>> {
    let mut prefix = [0; PREFIX_BYTES];
    match from.read_exact(&mut prefix) {
        Err(end) if end.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        outcome => outcome?,
    }
    let (header_length, body_length) = lengths(prefix)?;
    Ok(Some(Message { header: take(from, header_length)?, body: take(from, body_length)? }))
}

/// Builds the prefix and header of a message.
fn head(header: &impl Serialize, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; PREFIX_BYTES];
    serde_json::to_writer(&mut bytes, header)?;
    let header_length = u32::try_from(bytes.len() - PREFIX_BYTES).map_err(io::Error::other)?;
    let lengths = header_length.to_le_bytes().into_iter().chain((body.len() as u64).to_le_bytes());
    for (slot, byte) in bytes.iter_mut().zip(lengths) {
        *slot = byte;
    }
    Ok(bytes)
}

/// Reads the lengths of header and body.
fn lengths(prefix: [u8; PREFIX_BYTES]) -> io::Result<(u32, u64)> {
    let [a, b, c, d, body @ ..] = prefix;
    let header = u32::from_le_bytes([a, b, c, d]);
    if header > MAX_HEADER_BYTES {
        return Err(io::Error::other("not a message of a document worker"));
    }
    Ok((header, u64::from_le_bytes(body)))
}

fn take(from: &mut impl io::Read, length: impl Into<u64>) -> io::Result<Vec<u8>> {
    let length = usize::try_from(length.into()).map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    // A length that is nonsense is an error here, and nothing worse.
    bytes.try_reserve_exact(length)?;
    bytes.resize(length, 0);
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)] // Failing is what a test is for.
mod tests {
    use super::{read, write};

    #[test]
    fn what_is_written_is_read() {
        let mut pipe = Vec::new();
        write(&mut pipe, &"header", b"body").unwrap();
        write(&mut pipe, &7, b"").unwrap();
        let mut from = pipe.as_slice();
        let first = read(&mut from).unwrap().unwrap();
        assert_eq!(
            (first.header::<String>().unwrap().as_str(), first.body.as_slice()),
            ("header", &b"body"[..])
        );
        assert_eq!(read(&mut from).unwrap().unwrap().header::<u8>().unwrap(), 7);
        assert!(read(&mut from).unwrap().is_none());
        assert!(read(&mut &pipe[..pipe.len() - 1]).is_ok());
        assert!(read(&mut &pipe[..20]).is_err(), "a message that breaks off is an error");
    }
}
