//! Making a log, and finding it again as the last process left it.

use std::fs::{self, File, TryLockError};
use std::io::{BufReader, Seek, SeekFrom};
use std::sync::{Arc, Mutex};

use zeroize::{Zeroize, Zeroizing};

use crate::Error;
use crate::disk::Disk;
use crate::layout::{Layout, Meta};
use crate::merkle::{CompactRange, Hash, root_at};
use crate::metrics::Metrics;
use crate::note::{NoteSigner, SignedCheckpoint, notes};
use crate::seal::{EpochKey, FssSeed, SLOT, Seal, seals};
use crate::segment::{HEADER, Header, Next, Scanner, entries, later_frame};
use crate::store::{Appended, KeyFile, Last, NEVER, Store, spanning, time_in};
use crate::tree::{StoredTree, Tree};

/// Takes the lock of the one writer. A process that died has left it: the system takes its locks back.
pub(crate) fn lock(layout: &Layout) -> Result<File, Error> {
    let path = layout.lock();
    let opened = File::options().create(true).truncate(false).write(true).open(&path);
    let file = opened.map_err(Error::disk("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked { path: layout.folder().to_owned() }),
        Err(TryLockError::Error(error)) => Err(Error::disk("lock", &path)(error)),
    }
}

/// Makes an empty log in a folder. The file that says so is the last to be written.
pub(crate) fn create(
    disk: &dyn Disk,
    layout: &Layout,
    origin: &str,
    signer: Option<&NoteSigner>,
) -> Result<FssSeed, Error> {
    if layout.meta().exists() || !layout.segments()?.is_empty() {
        return Err(Error::Exists { path: layout.folder().to_owned() });
    }
    let id = Meta::fresh_id()?;
    let write = |path: &std::path::Path, bytes: &[u8]| {
        let file = disk.create(path).map_err(Error::disk("create", path))?;
        file.write_at(bytes, 0).and_then(|()| file.sync()).map_err(Error::disk("write", path))
    };
    let verifier = if let Some(signer) = signer {
        signer.verifier()
    } else {
        let named = format!("buttress-audit/{}", data_encoding::HEXLOWER.encode(&id));
        let seed = NoteSigner::fresh_seed()?;
        write(&layout.checkpoint_key(), &*seed)?;
        NoteSigner::from_seed(if origin.is_empty() { &named } else { origin }, &seed)?.verifier()
    };
    let seed = FssSeed::generate()?;
    write(&layout.seal_key(), &*seed.first().slot())?;
    let fresh = layout.folder().join("log.new");
    write(&fresh, Meta { id, verifier }.encode().as_bytes())?;
    disk.rename(&fresh, &layout.meta()).map_err(Error::disk("name", &fresh))?;
    disk.sync_folder(layout.folder()).map_err(Error::disk("sync", layout.folder()))?;
    Ok(seed)
}

/// Finds the log as it is, cuts what a crash has torn, and refuses what no crash does.
pub(crate) fn open(
    disk: Arc<dyn Disk>,
    layout: Layout,
    segment_bytes: u64,
    signer: Option<NoteSigner>,
) -> Result<Store, Error> {
    let meta = layout.read_meta()?;
    let signer = match signer {
        Some(signer) => signer,
        None => read_signer(&layout, &meta)?,
    };
    if signer.verifier() != meta.verifier {
        return Err(Error::damaged(
            &layout.meta(),
            "the key given for its checkpoints is another than the log's",
        ));
    }
    let found = Found::read(&*disk, &layout, &meta)?;
    let (seal, seals_length) = last_seal(&layout)?;
    let (latest, notes_length) = last_checkpoint(&layout, &meta)?;
    let path = layout.segment(found.last.number);
    for (what, size, root) in seal
        .iter()
        .map(|seal| ("sealed", seal.stand.size, seal.stand.root))
        .chain(latest.iter().map(|note| ("signed", note.checkpoint().size, note.checkpoint().root)))
    {
        if size > found.range.size() {
            let have = found.range.size();
            return Err(Error::damaged(&path, format!("{size} entries were {what}, and {have} are there")));
        }
        if root_at(&found.tree, size)? != root {
            return Err(Error::damaged(
                &path,
                format!("the first {size} entries are not those that were {what}"),
            ));
        }
    }
    let key = open_key(&*disk, &layout, seal.as_ref())?;
    let appended = |path: std::path::PathBuf, length| {
        let file = disk.open(&path).map_err(Error::disk("open", &path))?;
        Ok::<_, Error>(Appended { file, path, length })
    };
    let (seals, checkpoints) =
        (appended(layout.seals(), seals_length)?, appended(layout.checkpoints(), notes_length)?);
    Ok(Store {
        session: found.session + 1,
        range: found.range,
        chain: found.chain,
        open: None,
        last: found.last,
        tree: Arc::new(Mutex::new(found.tree)),
        seals,
        checkpoints,
        key,
        signer,
        latest,
        sealed: seal.map_or(0, |seal| seal.stand.size),
        metrics: Metrics::new(),
        disk,
        layout,
        meta,
        segment_bytes,
    })
}

fn read_signer(layout: &Layout, meta: &Meta) -> Result<NoteSigner, Error> {
    let path = layout.checkpoint_key();
    let bytes = Zeroizing::new(fs::read(&path).map_err(Error::disk("read", &path))?);
    let seed: Result<Zeroizing<[u8; 32]>, _> = bytes.as_slice().try_into().map(Zeroizing::new);
    let seed = seed.map_err(|_| Error::damaged(&path, "it is no key"))?;
    NoteSigner::from_seed(meta.verifier.name(), &seed)
}

/// The log as its segments have it.
struct Found {
    range: CompactRange,
    chain: Hash,
    tree: Tree,
    last: Last,
    session: u64,
}

impl Found {
    fn read(disk: &dyn Disk, layout: &Layout, meta: &Meta) -> Result<Self, Error> {
        let mut numbers = layout.segments()?;
        if let Some(number) = numbers.last().copied()
            && torn_header(layout, number)?
        {
            let path = layout.segment(number);
            disk.remove(&path).map_err(Error::disk("remove", &path))?;
            numbers.pop();
        }
        if let Some((before, after)) =
            numbers.iter().zip(numbers.iter().skip(1)).find(|(a, b)| **a + 1 != **b)
        {
            let missing = layout.segment(before + 1);
            return Err(Error::damaged(&missing, format!("it is not there, and segment {after} is")));
        }
        let Some(number) = numbers.last().copied() else {
            let tree = Tree::open(disk, &layout.tree(), 0)?;
            let (range, last) = (CompactRange::default(), Last::default());
            return Ok(Self { range, chain: Hash::default(), tree, last, session: 0 });
        };
        Self::read_last(disk, layout, meta, number)
    }

    fn read_last(disk: &dyn Disk, layout: &Layout, meta: &Meta, number: u64) -> Result<Self, Error> {
        let path = layout.segment(number);
        let told = |doing| Error::disk(doing, &path);
        let file = File::open(&path).map_err(told("open"))?;
        let length = file.metadata().map_err(told("read"))?.len();
        let mut from = BufReader::new(file);
        let header = Header::read(&mut from).map_err(|error| Error::damaged(&path, error.to_string()))?;
        if header.log != meta.id || header.number != number {
            return Err(Error::damaged(&path, "it is a segment of another log, or another number"));
        }
        let stored = StoredTree::open(&layout.tree(), header.first)?;
        let mut range = stored.range(header.first)?;
        if range.root() != header.root {
            return Err(Error::damaged(
                &layout.tree(),
                "it does not have the root that the last segment says",
            ));
        }
        let mut tree = Tree::open(disk, &layout.tree(), header.first)?;
        let (session, marker) = (header.session, header.marker);
        let start = header.chain_start();
        let mut scanner = Scanner::new(&mut from, &header, start, length);
        let mut times = NEVER;
        let broken = loop {
            match scanner.next().map_err(|error| Error::damaged(&path, error.to_string()))? {
                Next::Frame(frame) => {
                    for entry in entries(&frame.payload).flatten() {
                        times = spanning(times, time_in(entry));
                    }
                    for leaf in frame.leaves {
                        range.push_into(leaf, |node| tree.push(node));
                    }
                }
                Next::End => break None,
                Next::Broken(problem) => break Some(problem),
            }
        };
        let (offset, chain, sequence) = (scanner.offset(), scanner.chain(), scanner.sequence());
        let writable = disk.open(&path).map_err(told("open"))?;
        if let Some(problem) = broken {
            from.seek(SeekFrom::Start(offset)).map_err(told("read"))?;
            if later_frame(&mut from, marker, sequence)? {
                let problem = format!("{problem} at byte {offset} (entry {sequence}), and more follows");
                return Err(Error::damaged(&path, problem));
            }
            let cut = length - offset;
            tracing::info!(target: "buttress::audit", segment = number, at = offset, cut, "the torn end of a crash is cut");
            writable.truncate(offset).map_err(told("cut"))?;
        }
        // Frames that were written and not acknowledged count from now on, so they have to be durable.
        writable.sync().map_err(told("sync"))?;
        let times = if times == NEVER { (0, 0) } else { times };
        let last = Last { number, length: offset, times, failed: false };
        Ok(Self { range, chain, tree, last, session })
    }
}

/// Whether a crash came between making a segment and its first frame. Its header is durable before any frame is written.
fn torn_header(layout: &Layout, number: u64) -> Result<bool, Error> {
    let path = layout.segment(number);
    let mut file = File::open(&path).map_err(Error::disk("open", &path))?;
    let length = file.metadata().map_err(Error::disk("read", &path))?.len();
    Ok(length <= HEADER as u64 && Header::read(&mut file).is_err())
}

/// The last seal, and the length of whole lines.
fn last_seal(layout: &Layout) -> Result<(Option<Seal>, u64), Error> {
    let path = layout.seals();
    let text = Layout::read_text(&path)?;
    let mut last = None;
    for (epoch, seal) in (0..).zip(seals(&text)) {
        let seal = seal.map_err(|error| Error::damaged(&path, error.to_string()))?;
        if seal.epoch != epoch {
            return Err(Error::damaged(&path, format!("seal {epoch} is not there")));
        }
        last = Some(seal);
    }
    Ok((last, text.rfind('\n').map_or(0, |end| end as u64 + 1)))
}

/// The last checkpoint, and the length of whole ones.
fn last_checkpoint(layout: &Layout, meta: &Meta) -> Result<(Option<SignedCheckpoint>, u64), Error> {
    let path = layout.checkpoints();
    let text = Layout::read_text(&path)?;
    let mut length = 0;
    let mut last = None;
    for note in notes(&text) {
        let note = note.map_err(|error| Error::damaged(&path, error.to_string()))?;
        length += note.to_string().len() as u64 + 1;
        last = Some(note);
    }
    // Of those before it `verify` checks the signatures.
    if let Some(Err(error)) = last.as_ref().map(|note: &SignedCheckpoint| note.verify(&meta.verifier)) {
        return Err(Error::damaged(&path, error.to_string()));
    }
    Ok((last, length))
}

/// The sealing key. It follows the last seal, or has made it and a crash came before it was replaced.
fn open_key(disk: &dyn Disk, layout: &Layout, last: Option<&Seal>) -> Result<KeyFile, Error> {
    let path = layout.seal_key();
    let mut bytes = fs::read(&path).map_err(Error::disk("read", &path))?;
    let slots =
        (0..).zip(bytes.chunks(SLOT)).filter_map(|(slot, bytes)| Some((slot, EpochKey::from_slot(bytes)?)));
    let newest = slots.max_by_key(|(_, key)| key.epoch());
    bytes.zeroize();
    let Some((slot, key)) = newest else { return Err(Error::damaged(&path, "it has no key")) };
    let used = match last {
        None if key.epoch() == 0 => false,
        Some(seal) if seal.epoch == key.epoch() => true,
        Some(seal) if seal.epoch + 1 == key.epoch() => false,
        _ => {
            let seals = last.map_or(0, |seal| seal.epoch + 1);
            let problem = format!("its key is that of epoch {}, and there are {seals} seals", key.epoch());
            return Err(Error::damaged(&path, problem));
        }
    };
    let file = disk.open(&path).map_err(Error::disk("open", &path))?;
    let mut file = KeyFile { file, path, key, slot, used, stale: true };
    file.advance_if_used()?;
    Ok(file)
}
