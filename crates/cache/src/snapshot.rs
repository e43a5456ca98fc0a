//! A cache on disk: written when a service stops, read when it starts, so that it starts warm.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::Xxh3;

use crate::cache::{CacheValue, Inner};
use crate::codec::{Codec, Record};
use crate::engine::CacheKey;
use crate::{Cache, Error, Lifetime};

const MAGIC: [u8; 8] = *b"BTRSNAP1";
/// The longest key, as JSON.
const LONGEST_KEY: usize = 64 << 10;

/// What [`Cache::restore`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Restored {
    /// There is no snapshot.
    Nothing,
    /// Entries that were put in. Those past their time, or of another schema, were left out.
    Entries(usize),
    /// The snapshot cannot be used: the cache starts cold. A warning was logged.
    Damaged(String),
}

impl<K: CacheKey + Serialize + DeserializeOwned, V: CacheValue> Cache<K, V> {
    /// Writes all entries to a file, and says how many. The file is replaced as a whole, or not at all.
    ///
    /// Entries with tags are left out: that a tag was invalidated later could not be seen in the file.
    ///
    /// # Errors
    ///
    /// [`Error::Snapshot`] when the file cannot be written; [`Error::Encode`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn save(&self, path: impl AsRef<Path>, codec: &Codec<V>) -> Result<usize, Error> {
        let (inner, path, codec) = (Arc::clone(&self.0), path.as_ref().to_owned(), codec.clone());
        blocking(path.clone(), move || inner.write_snapshot(&path, &codec)).await
    }

    /// Reads what [`save`](Cache::save) wrote. The time since then counts as time lived; the wall clock tells it. A snapshot that
    /// is damaged in any bit is left alone and the cache is as it was.
    ///
    /// # Errors
    ///
    /// [`Error::Snapshot`] when the file is there and cannot be read.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn restore(&self, path: impl AsRef<Path>, codec: &Codec<V>) -> Result<Restored, Error> {
        let (inner, path, codec) = (Arc::clone(&self.0), path.as_ref().to_owned(), codec.clone());
        let (name, shown) = (Arc::clone(&self.0.name), path.display().to_string());
        let restored = blocking(path.clone(), move || inner.read_snapshot(&path, &codec)).await?;
        if let Restored::Damaged(problem) = &restored {
            tracing::warn!(target: "buttress::cache", cache = %name, path = shown, problem, "a snapshot cannot be used");
        }
        Ok(restored)
    }
}

/// Files block, so they are read and written on a thread for that.
async fn blocking<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Error::snapshot(&path, io::Error::other(error))),
    }
}

impl<K: CacheKey + Serialize + DeserializeOwned, V: CacheValue> Inner<K, V> {
    fn write_snapshot(&self, path: &Path, codec: &Codec<V>) -> Result<usize, Error> {
        let told = |error| Error::snapshot(path, error);
        let mut name = path.file_name().unwrap_or_default().to_owned();
        // Two who save at once do not write the same file.
        name.push(format!(".{:016x}.new", self.random.number()));
        let fresh = Fresh(path.with_file_name(name));
        let mut file = Hashing::new(BufWriter::new(File::create_new(&fresh.0).map_err(told)?));
        file.write_all(&MAGIC).map_err(told)?;
        let (now, wall, mut entries) = (self.now(), self.ctx.clock.wall(), 0);
        for (key, entry) in self.engine.iter() {
            if self.stands(&entry, now).is_err() || entry.extra().is_some_and(|extra| !extra.tags.is_empty())
            {
                continue;
            }
            let stamp = self.rules.stamp_of(&entry);
            let fresh = stamp.fresh_for(now);
            let expires = stamp.served_for(now).unwrap_or_default();
            let kept = expires.saturating_sub(fresh.unwrap_or_default());
            let (cost, tags) = (Duration::ZERO, Vec::new());
            let record = Record { value: entry.into_value(), written: wall, fresh, kept, cost, tags };
            let key = serde_json::to_vec(&key).map_err(|error| Error::encode(error.into()))?;
            let bytes = codec.encode(&key, &record)?;
            for part in [&key, &bytes] {
                let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
                file.write_all(&length.to_le_bytes()).and_then(|()| file.write_all(part)).map_err(told)?;
            }
            entries += 1;
        }
        let (mut file, sum) = (file.inner, file.hasher.digest());
        file.write_all(&sum.to_le_bytes()).map_err(told)?;
        let file = file.into_inner().map_err(|error| told(error.into_error()))?;
        file.sync_all().map_err(told)?;
        std::fs::rename(&fresh.0, path).map_err(told)?;
        // The folder holds the name.
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(told)?;
        }
        Ok(entries)
    }

    fn read_snapshot(&self, path: &Path, codec: &Codec<V>) -> Result<Restored, Error> {
        let told = |error| Error::snapshot(path, error);
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Restored::Nothing),
            Err(error) => return Err(told(error)),
        };
        let mut file = BufReader::new(file);
        // All of it is looked at before any of it is believed.
        let length = match checked(&mut file).map_err(told)? {
            Ok(length) => length,
            Err(problem) => return Ok(Restored::Damaged(problem.to_owned())),
        };
        file.seek(SeekFrom::Start(MAGIC.len() as u64)).map_err(told)?;
        let mut records = file.take(length - MAGIC.len() as u64);
        let mut entries = 0;
        while records.limit() > 0 {
            let (key, bytes) = (part(&mut records, LONGEST_KEY), part(&mut records, codec.longest()));
            let (Some(key), Some(bytes)) = (key.map_err(told)?, bytes.map_err(told)?) else {
                return Ok(Restored::Damaged("a record in it is longer than may be".to_owned()));
            };
            let Ok(record) = codec.decode(&key, &bytes) else { continue };
            let Ok(key) = serde_json::from_slice(&key) else { continue };
            entries += usize::from(self.take_back(key, record));
        }
        Ok(Restored::Entries(entries))
    }

    /// Puts in what is left of a record's life. What was put in meanwhile is newer, and stays.
    fn take_back(&self, key: K, record: Record<V>) -> bool {
        let age = self.ctx.clock.wall().duration_since(record.written).unwrap_or_default();
        let lifetime = match record.fresh {
            None => Lifetime::unlimited(),
            Some(fresh) => match fresh.checked_sub(age) {
                Some(left) if !left.is_zero() => Lifetime::of(left).exactly(),
                _ => return false,
            },
        };
        if self.engine.peek(&key).is_some() {
            return false;
        }
        self.put(key, record.value, lifetime, crate::tags::Seen::default(), record.cost, self.generation());
        true
    }
}

/// The length of what the checksum at the end is of, if it fits.
fn checked(file: &mut BufReader<File>) -> io::Result<Result<u64, &'static str>> {
    let whole = file.seek(SeekFrom::End(0))?;
    let Some(length) = whole.checked_sub(8).filter(|length| *length >= MAGIC.len() as u64) else {
        return Ok(Err("it is cut short"));
    };
    file.seek(SeekFrom::Start(0))?;
    let (mut hasher, mut left, mut buffer) = (Xxh3::new(), length, [0; 16 << 10]);
    let mut first = true;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(buffer.len()).min(buffer.len());
        let Some(chunk) = buffer.get_mut(..most) else { break };
        file.read_exact(chunk)?;
        if first && !chunk.starts_with(&MAGIC) {
            return Ok(Err("it is no snapshot, or of another version"));
        }
        first = false;
        hasher.update(chunk);
        left -= most as u64;
    }
    let mut told = [0; 8];
    file.read_exact(&mut told)?;
    Ok(if u64::from_le_bytes(told) == hasher.digest() {
        Ok(length)
    } else {
        Err("its checksum does not fit")
    })
}

/// Bytes behind their length; `None` if there are more than may be, or fewer than told.
fn part(from: &mut io::Take<BufReader<File>>, most: usize) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    if from.limit() < 4 {
        return Ok(None);
    }
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > most || length as u64 > from.limit() {
        return Ok(None);
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

/// A file that is not finished, and goes unless it was renamed.
struct Fresh(PathBuf);

impl Drop for Fresh {
    fn drop(&mut self) {
        let _gone_when_it_was_renamed = std::fs::remove_file(&self.0);
    }
}

/// Hashes what is written.
struct Hashing<W> {
    inner: W,
    hasher: Xxh3,
}

impl<W: Write> Hashing<W> {
    fn new(inner: W) -> Self {
        Self { inner, hasher: Xxh3::new() }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.inner.write_all(bytes)
    }
}
