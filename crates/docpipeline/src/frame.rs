//! Messages between a worker process and the one that feeds it: two lengths, a JSON header, a body.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Larger headers than this are not ours; bodies are bounded by the limits on documents.
const MAX_HEADER_BYTES: u32 = 256 << 20;

/// The lengths of header and body, little endian.
const PREFIX_BYTES: usize = 12;

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
fn lengths(prefix: [u8; PREFIX_BYTES]) -> io::Result<(usize, usize)> {
    let [a, b, c, d, body @ ..] = prefix;
    let header = u32::from_le_bytes([a, b, c, d]);
    if header > MAX_HEADER_BYTES {
        return Err(io::Error::other("not a message of a document worker"));
    }
    let body = usize::try_from(u64::from_le_bytes(body)).map_err(io::Error::other)?;
    Ok((usize::try_from(header).map_err(io::Error::other)?, body))
}

/// Writes a message.
pub(crate) fn write(to: &mut impl io::Write, header: &impl Serialize, body: &[u8]) -> io::Result<()> {
    to.write_all(&head(header, body)?)?;
    to.write_all(body)?;
    to.flush()
}

/// Reads a message; `None` at the end of the stream.
pub(crate) fn read<H: DeserializeOwned>(from: &mut impl io::Read) -> io::Result<Option<(H, Vec<u8>)>> {
    let mut prefix = [0; PREFIX_BYTES];
    match from.read_exact(&mut prefix) {
        Err(end) if end.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        outcome => outcome?,
    }
    let (header_length, body_length) = lengths(prefix)?;
    let mut header = vec![0; header_length];
    from.read_exact(&mut header)?;
    let mut body = vec![0; body_length];
    from.read_exact(&mut body)?;
    Ok(Some((serde_json::from_slice(&header)?, body)))
}

/// Writes a message without blocking the thread.
pub(crate) async fn send(
    to: &mut (impl AsyncWrite + Unpin),
    header: &impl Serialize,
    body: &[u8],
) -> io::Result<()> {
    to.write_all(&head(header, body)?).await?;
    to.write_all(body).await?;
    to.flush().await
}

/// Reads a message without blocking the thread.
pub(crate) async fn receive<H: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
) -> io::Result<(H, Vec<u8>)> {
    let mut prefix = [0; PREFIX_BYTES];
    from.read_exact(&mut prefix).await?;
    let (header_length, body_length) = lengths(prefix)?;
    let mut header = vec![0; header_length];
    from.read_exact(&mut header).await?;
    let mut body = vec![0; body_length];
    from.read_exact(&mut body).await?;
    Ok((serde_json::from_slice(&header)?, body))
}
