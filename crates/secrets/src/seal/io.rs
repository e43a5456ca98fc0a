//! Streams over [`Read`] and [`Write`].

use std::fmt;
use std::io::{self, Read, Write};

use zeroize::Zeroizing;

use super::{Keyring, Opener, Resealed, SealError, Sealer};

/// How much is read at once.
const READ: usize = 64 << 10;

impl Keyring {
    /// Seals what is written, for the purpose `aad`, into `to`.
    ///
    /// # Errors
    ///
    /// [`SealError::NoRandom`].
    pub fn seal_to<W: Write>(&self, to: W, aad: &[u8]) -> Result<SealWriter<W>, SealError> {
        Ok(SealWriter { to, sealer: Some(self.sealer(aad)?), sealed: Vec::new() })
    }

    /// Opens what is read from `from`, sealed for the purpose `aad`.
    pub fn open_from<R: Read>(&self, from: R, aad: &[u8]) -> OpenReader<R> {
        OpenReader {
            from,
            state: Reading::Open(Box::new(self.opener(aad))),
            sealed: Vec::new(),
            plain: Zeroizing::new(Vec::new()),
            taken: 0,
        }
    }

    /// Seals with the current key what an older one has sealed, from `from` into `to`. Nothing is written if the current one has sealed
    /// it: then only the header is read and verified.
    ///
    /// # Errors
    ///
    /// Those of `from` and `to`; [`SealError`] inside of `InvalidData` when it does not open. What was written by then is no stream.
    pub fn reseal_stream<R: Read, W: Write>(
        &self,
        mut from: R,
        to: W,
        aad: &[u8],
    ) -> io::Result<Resealed<W>> {
        let mut header = [0; super::header::LENGTH];
        from.read_exact(&mut header).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => SealError::NotSealed.into(),
            _ => error,
        })?;
        if super::key_of(&header)? == self.current() {
            self.opener(aad).push(&header, &mut Vec::new())?;
            return Ok(Resealed::Current);
        }
        let mut plain = self.open_from(header.chain(from), aad);
        let mut writer = self.seal_to(to, aad)?;
        while plain.fill()? {
            writer.write_all(plain.ready())?;
            plain.taken = plain.plain.len();
        }
        writer.finish().map(Resealed::Renewed)
    }
}

/// Seals what is written. Only [`finish`](SealWriter::finish) makes the stream whole: dropped before, it does not open.
#[must_use = "a stream that is not finished does not open"]
pub struct SealWriter<W> {
    to: W,
    /// `None` after an error: then it is not known what has been written.
    sealer: Option<Sealer>,
    sealed: Vec<u8>,
}

impl<W> fmt::Debug for SealWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealWriter").field("sealer", &self.sealer).finish_non_exhaustive()
    }
}

impl<W: Write> SealWriter<W> {
    /// Writes the last segment, flushes, and gives the writer back.
    ///
    /// # Errors
    ///
    /// Those of the writer; also when a write failed before.
    pub fn finish(mut self) -> io::Result<W> {
        let sealer = self.sealer.take().ok_or_else(broken)?;
        self.sealed.clear();
        sealer.finish(&mut self.sealed)?;
        self.to.write_all(&self.sealed)?;
        self.to.flush()?;
        Ok(self.to)
    }
}

impl<W: Write> Write for SealWriter<W> {
    fn write(&mut self, plain: &[u8]) -> io::Result<usize> {
        // In pieces, so that the sealed form of a large buffer is not held at once.
        let piece = plain.get(..READ).unwrap_or(plain);
        let mut sealer = self.sealer.take().ok_or_else(broken)?;
        self.sealed.clear();
        sealer.push(piece, &mut self.sealed)?;
        self.to.write_all(&self.sealed)?;
        self.sealer = Some(sealer);
        Ok(piece.len())
    }

    /// Flushes what is written; what may still be the last segment waits.
    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "an earlier write of this stream failed")
}

/// Opens what is read: each segment when it is verified. The stream is whole only when a read has returned 0.
pub struct OpenReader<R> {
    from: R,
    state: Reading,
    sealed: Vec<u8>,
    plain: Zeroizing<Vec<u8>>,
    /// What the caller has of `plain`.
    taken: usize,
}

enum Reading {
    Open(Box<Opener>),
    Done,
    Failed(SealError),
}

impl<R> fmt::Debug for OpenReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenReader").finish_non_exhaustive()
    }
}

impl<R: Read> OpenReader<R> {
    /// Has verified text ready, or says that there is none any more.
    fn fill(&mut self) -> io::Result<bool> {
        while self.ready().is_empty() {
            let opener = match &mut self.state {
                Reading::Open(opener) => opener,
                Reading::Done => return Ok(false),
                Reading::Failed(error) => return Err((*error).into()),
            };
            self.plain.clear();
            self.taken = 0;
            self.sealed.resize(READ, 0);
            let length = match self.from.read(&mut self.sealed) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            let outcome = if length > 0 {
                opener.push(self.sealed.get(..length).unwrap_or_default(), &mut self.plain)
            } else if let Reading::Open(opener) = std::mem::replace(&mut self.state, Reading::Done) {
                opener.finish(&mut self.plain)
            } else {
                Ok(())
            };
            if let Err(error) = outcome {
                // Verified text before the error goes out first; the error is told then.
                self.state = Reading::Failed(error);
            }
        }
        Ok(true)
    }

    fn ready(&self) -> &[u8] {
        self.plain.get(self.taken..).unwrap_or_default()
    }
}

impl<R: Read> Read for OpenReader<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if to.is_empty() || !self.fill()? {
            return Ok(0);
        }
        let ready = self.ready();
        let length = ready.len().min(to.len());
        to.split_at_mut(length).0.copy_from_slice(ready.split_at(length).0);
        self.taken += length;
        Ok(length)
    }
}
