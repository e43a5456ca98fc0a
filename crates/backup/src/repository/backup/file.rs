//! Reading a file, in chunks that its content decides.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::Ordering;

use jiff::{SignedDuration, Timestamp};

use fastcdc::v2020::{FastCDC, Normalization};

use super::Shared;
use super::packer::Packer;
use super::walk::{People, attributes_of, look};
use crate::format::BlobKind;
use crate::format::tree::{Node, NodeKind};
use crate::{Error, Id};

/// The chunks that a file is cut into (`FastCDC`, Xia and others 2020). A file below the least size is one.
const LEAST: usize = 512 << 10;
const USUAL: usize = 1 << 20;
const MOST: usize = 4 << 20;
/// How much is read ahead. What is left of it, less than the longest chunk, is moved to the front before more is read.
const BUFFER: usize = MOST + MOST / 2;

/// Reads files and stores their chunks. One for each thread.
pub(super) struct Reader {
    buffer: Vec<u8>,
    seed: u64,
}

impl Reader {
    /// Two who write to one repository cut alike; who has not its key cannot tell from the lengths what was cut.
    pub(super) fn new(shared: &Shared<'_>) -> Self {
        let secret = Id::of(&[b"chunks".as_slice(), &shared.objects.key.encrypt].concat());
        let seed = u64::from_le_bytes(secret.as_bytes().first_chunk().copied().unwrap_or_default());
        Self { buffer: Vec::new(), seed }
    }

    /// Stores the content of the file at `path` and puts it down in `node`, which is what was seen there before. Whether
    /// it could be read to the end; what it was refused for is told.
    pub(super) fn store(
        &mut self,
        shared: &Shared<'_>,
        packer: &mut Packer,
        path: &Path,
        node: &mut Node,
    ) -> Result<bool, Error> {
        match self.try_store(shared, packer, path, node) {
            Ok(()) => Ok(true),
            // Deleted since it was seen, and so as good as never seen.
            Err(Failed::Read(error)) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(Failed::Read(error)) => {
                shared.fail(path.display().to_string(), &Error::file("read", path, error));
                Ok(false)
            }
            Err(Failed::Store(error)) => Err(error),
        }
    }

    fn try_store(
        &mut self,
        shared: &Shared<'_>,
        packer: &mut Packer,
        path: &Path,
        node: &mut Node,
    ) -> Result<(), Failed> {
        let (mut file, about) = open_described(path, node, &shared.people)?;
        node.extended_attributes = attributes_of(&file)?;
        let mut content = Vec::new();
        let mut size = 0;
        let mut begin = 0;
        let mut ended = false;
        self.buffer.clear();
        // What the file was said to have, and one byte to see its end.
        let expected = usize::try_from(about.len()).unwrap_or(BUFFER).saturating_add(1).min(BUFFER);
        loop {
            if !ended && self.buffer.len() - begin < MOST {
                self.buffer.drain(..begin);
                begin = 0;
                let wanted = if size == 0 { expected } else { BUFFER };
                ended = fill(&mut file, &mut self.buffer, wanted)?;
            }
            let left = self.buffer.get(begin..).unwrap_or_default();
            if left.is_empty() {
                break;
            }
            let length = if left.len() <= LEAST { left.len() } else { cut(left, self.seed) };
            let chunk = left.get(..length).unwrap_or(left);
            let (id, new) = packer.store(shared, BlobKind::Data, chunk)?;
            if new {
                shared.counts.data_blobs.fetch_add(1, Ordering::Relaxed);
                shared.counts.data_added.fetch_add(length as u64, Ordering::Relaxed);
            }
            content.push(id);
            begin += length;
            size += length as u64;
            shared.job.progress.done_bytes(length as u64);
            shared.lock.keep()?;
        }
        node.size = size;
        node.content = Some(content);
        Ok(())
    }
}

/// No file system of today has a coarser clock; Linux's ticks are 1 to 10 ms.
const TICK: SignedDuration = SignedDuration::from_millis(20);
/// How often a file may be replaced by another one between a look at it and its opening.
const LOOKS: usize = 20;

/// Opens what `node` describes. Where a program has put a new file in its place meanwhile, that one, and `node` becomes its.
fn open_described(path: &Path, node: &mut Node, people: &People) -> io::Result<(File, Metadata)> {
    for _ in 0..LOOKS {
        let file = open(path)?;
        let about = file.metadata()?;
        if about.is_file() && (about.dev(), about.ino()) == (node.device_id, node.inode) {
            return Ok((file, about));
        }
        *node = look(path, node.name.clone(), people)?;
        if node.kind != NodeKind::File {
            break;
        }
    }
    Err(io::Error::other("it was replaced by something else while it was read"))
}

fn cut(bytes: &[u8], seed: u64) -> usize {
    let chunker = FastCDC::with_level_and_seed(bytes, LEAST, USUAL, MOST, Normalization::Level1, seed);
    let (_, end) = chunker.cut(0, bytes.len());
    // A cut at nothing would never come to the end.
    if end == 0 { bytes.len() } else { end }
}

/// Why a file was not stored: it, or the repository.
enum Failed {
    Read(io::Error),
    Store(Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// Opens a file, not what a link leads to, and without waiting for somebody at the other end of a pipe.
fn open(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

/// Reads until the buffer has `wanted` bytes; whether the file ended before.
fn fill(file: &mut File, buffer: &mut Vec<u8>, wanted: usize) -> io::Result<bool> {
    let missing = wanted.saturating_sub(buffer.len());
    buffer.reserve_exact(missing);
    let read = file.take(missing as u64).read_to_end(buffer)?;
    Ok(read < missing)
}

/// Whether a file is as it was, so that it need not be read. `settled` is when the backup that read it began: what was changed right before may
/// have been changed again after it was read, at what a file system's clock takes for the same time.
pub(super) fn is_unchanged(node: &Node, before: &Node, settled: Timestamp) -> bool {
    before.kind == NodeKind::File
        && before.ctime.duration_until(settled) > TICK
        && node.size == before.size
        && node.mtime == before.mtime
        && node.ctime == before.ctime
        && node.inode == before.inode
        && before.content.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::expect_used, reason = "a test")]
    fn what_was_changed_within_a_tick_of_the_backup_is_read_again() {
        let at = |milliseconds| Timestamp::from_millisecond(milliseconds).expect("a time");
        let json = serde_json::json!({"name": "file", "type": "file", "content": [], "ctime": at(1_000)});
        let node: Node = serde_json::from_value(json).expect("a node");
        for (settled, unchanged) in [(900, false), (1_000, false), (1_010, false), (1_100, true)] {
            assert_eq!(is_unchanged(&node, &node, at(settled)), unchanged, "{settled}");
        }
        let other = Node { size: 1, ..node.clone() };
        assert!(!is_unchanged(&other, &node, at(1_100)));
    }
}
