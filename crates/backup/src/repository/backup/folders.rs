//! From folders on the disk to trees.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jiff::Timestamp;

use super::Shared;
use super::file::{Reader, is_unchanged};
use super::job::{Plan, Planned};
use super::packer::Packer;
use super::walk::look;
use crate::format::BlobKind;
use crate::format::snapshot::Snapshot;
use crate::format::tree::{Name, Node, NodeKind, Tree};
use crate::repository::blobs::Trees;
use crate::{Error, Id, threads};

/// How many files are handed on together, and how many bytes: to wake a reader for each of many small ones would take longer than to read it.
const TOGETHER: usize = 32;
const TOGETHER_BYTES: u64 = 256 << 10;
/// How many such parts wait to be read: so far the walk is ahead.
const AHEAD: usize = 8;

/// For the walk, which goes down by recursion: folders are some 2,000 deep at most, where paths end. Memory is used as far as it is needed.
const STACK: usize = 64 << 20;

/// Stores all that is planned. The tree of `/`.
pub(super) fn store(
    shared: &Shared<'_>,
    trees: &Trees<'_>,
    plan: &Plan,
    parent: Option<&Snapshot>,
) -> Result<Id, Error> {
    let (jobs, received) = sync_channel(AHEAD);
    let received = Mutex::new(received);
    let done = Done { packer: Mutex::new(Packer::new()?), root: OnceLock::new() };
    let failed = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads::count()).map(|_| scope.spawn(|| work(shared, &done, &received, &failed))).collect();
        let settled =
            parent.map(|parent| parent.summary.as_ref().map_or(parent.time, |summary| summary.backup_start));
        let settled = settled.unwrap_or(Timestamp::MIN);
        let batch = RefCell::default();
        let walk = Walk { shared, trees, jobs, batch, settled, done: &done, failed: &failed };
        let root = Folder::new(None, None, parent.map(|parent| parent.tree));
        let done = &done;
        // With the walk goes this end of the queue; without it, the readers end when it is empty.
        let walker = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, move || {
            walk.planned(&root, plan, Path::new("/"))?;
            walk.hand_on()?;
            done.release(shared, root)
        });
        let walker = walker.map_err(|error| Error::Internal {
            problem: format!("there is no room for a thread: {error}"),
        })?;
        let walked = threads::join(walker);
        let ended: Vec<_> = workers.into_iter().map(threads::join).collect();
        // What a reader failed with is why the walk stopped.
        ended.into_iter().collect::<Result<(), Error>>()?;
        walked
    })?;
    let unfinished = || Error::Internal { problem: "a folder was not finished".to_owned() };
    done.root.into_inner().ok_or_else(unfinished)
}

/// A folder some of whose entries are still being worked on.
struct Folder {
    node: Option<Node>,
    entries: Mutex<Vec<Option<Node>>>,
    /// How many entries are not done; and one, for as long as not all are known.
    open: AtomicUsize,
    above: Option<(Arc<Folder>, usize)>,
    before: Option<Id>,
}

impl Folder {
    fn new(node: Option<Node>, above: Option<(Arc<Self>, usize)>, before: Option<Id>) -> Arc<Self> {
        Arc::new(Self { node, entries: Mutex::default(), open: AtomicUsize::new(1), above, before })
    }

    fn expect(&self, entries: usize) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).resize(entries, None);
        self.open.fetch_add(entries, Ordering::Relaxed);
    }

    fn set(&self, at: usize, node: Node) {
        if let Some(entry) = self.entries.lock().unwrap_or_else(PoisonError::into_inner).get_mut(at) {
            *entry = Some(node);
        }
    }
}

/// A file that has to be read.
struct FileJob {
    path: PathBuf,
    node: Node,
    folder: Arc<Folder>,
    at: usize,
}

/// Where trees go when all their entries are done.
struct Done {
    packer: Mutex<Packer>,
    root: OnceLock<Id>,
}

impl Done {
    /// One thing less to wait for. The last one stores the tree, and so is done with an entry of the folder above.
    fn release(&self, shared: &Shared<'_>, mut folder: Arc<Folder>) -> Result<(), Error> {
        while folder.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            let entries = std::mem::take(&mut *folder.entries.lock().unwrap_or_else(PoisonError::into_inner));
            let bytes = Tree { nodes: entries.into_iter().flatten().collect() }.encode()?;
            let mut packer = self.packer.lock().unwrap_or_else(PoisonError::into_inner);
            let (id, new) = packer.store(shared, BlobKind::Tree, &bytes)?;
            drop(packer);
            if new {
                shared.counts.tree_blobs.fetch_add(1, Ordering::Relaxed);
                shared.counts.data_added.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
            let Some((above, at)) = &folder.above else {
                let _ = self.root.set(id);
                return Ok(());
            };
            let counts = &shared.counts;
            let count = match folder.before {
                None => &counts.dirs_new,
                Some(before) if before == id => &counts.dirs_unmodified,
                Some(_) => &counts.dirs_changed,
            };
            count.fetch_add(1, Ordering::Relaxed);
            if let Some(node) = &folder.node {
                above.set(*at, Node { subtree: Some(id), ..node.clone() });
            }
            let above = Arc::clone(above);
            folder = above;
        }
        Ok(())
    }
}

/// Reads files until there are no more. After an error the rest is taken and left, so that the walk does not wait for ever.
fn work(
    shared: &Shared<'_>,
    done: &Done,
    jobs: &Mutex<Receiver<Vec<FileJob>>>,
    failed: &AtomicBool,
) -> Result<(), Error> {
    let mut reader = Reader::new(shared);
    let mut packer = Packer::new()?;
    let mut outcome = Ok(());
    loop {
        let batch = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(batch) = batch else { break };
        for FileJob { path, mut node, folder, at } in batch {
            if outcome.is_err() {
                break;
            }
            outcome = reader.store(shared, &mut packer, &path, &mut node).and_then(|read| {
                if read {
                    shared.counts.total_bytes.fetch_add(node.size, Ordering::Relaxed);
                    shared.job.progress.done_file();
                    folder.set(at, node);
                }
                done.release(shared, folder)
            });
        }
        if outcome.is_err() {
            failed.store(true, Ordering::Relaxed);
        }
    }
    outcome
}

/// Goes through folders and hands out files.
struct Walk<'a, 't> {
    shared: &'a Shared<'a>,
    trees: &'a Trees<'t>,
    jobs: SyncSender<Vec<FileJob>>,
    /// Files that are handed on when there are enough.
    batch: RefCell<Vec<FileJob>>,
    /// When the snapshot before was begun.
    settled: Timestamp,
    done: &'a Done,
    /// Whether a reader has failed.
    failed: &'a AtomicBool,
}

impl Walk<'_, '_> {
    /// The entries that the job names, and the folders above them.
    fn planned(&self, folder: &Arc<Folder>, plan: &Plan, at: &Path) -> Result<(), Error> {
        let before = self.before(folder)?;
        folder.expect(plan.0.len());
        for (number, (name, planned)) in plan.0.iter().enumerate() {
            let path = at.join(name.as_os_str());
            let before = before.find(name);
            match planned {
                Planned::OnDisk(on_disk) => {
                    let node = look(on_disk, name.clone(), &self.shared.people)
                        .map_err(|error| Error::file("read", on_disk, error))?;
                    self.entry(folder, number, node, on_disk, &path, before)?;
                }
                Planned::Above { like, holds } => {
                    let node =
                        like.as_ref().and_then(|like| look(like, name.clone(), &self.shared.people).ok());
                    let node = node.unwrap_or_else(|| made_up(name.clone()));
                    let subtree = before.and_then(|before| before.subtree);
                    let inner = Folder::new(Some(node), Some((Arc::clone(folder), number)), subtree);
                    self.planned(&inner, holds, &path)?;
                    self.done.release(self.shared, inner)?;
                }
            }
        }
        Ok(())
    }

    /// What is in a folder of the disk.
    fn folder(&self, folder: &Arc<Folder>, on_disk: &Path, path: &Path) -> Result<(), Error> {
        let names = match list(on_disk) {
            Ok(names) => names,
            Err(error) => {
                self.shared.fail(on_disk.display().to_string(), &Error::file("list", on_disk, error));
                return Ok(());
            }
        };
        let before = self.before(folder)?;
        folder.expect(names.len());
        for (number, name) in names.into_iter().enumerate() {
            let (on_disk, path) = (on_disk.join(name.as_os_str()), path.join(name.as_os_str()));
            if self.shared.job.excludes(&path) {
                self.done.release(self.shared, Arc::clone(folder))?;
                continue;
            }
            let before = before.find(&name);
            match look(&on_disk, name, &self.shared.people) {
                Ok(node) => self.entry(folder, number, node, &on_disk, &path, before)?,
                Err(error) => {
                    // What is gone since it was listed was deleted, and needs no backup.
                    if error.kind() != io::ErrorKind::NotFound {
                        self.shared
                            .fail(on_disk.display().to_string(), &Error::file("read", &on_disk, error));
                    }
                    self.done.release(self.shared, Arc::clone(folder))?;
                }
            }
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments, reason = "what an entry is, where it is twice, and where it goes")]
    fn entry(
        &self,
        folder: &Arc<Folder>,
        at: usize,
        mut node: Node,
        on_disk: &Path,
        path: &Path,
        before: Option<&Node>,
    ) -> Result<(), Error> {
        self.shared.lock.keep()?;
        if self.failed.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        match node.kind {
            NodeKind::Dir => {
                let subtree = before.and_then(|before| before.subtree);
                let inner = Folder::new(Some(node), Some((Arc::clone(folder), at)), subtree);
                self.folder(&inner, on_disk, path)?;
                return self.done.release(self.shared, inner);
            }
            NodeKind::File => {
                let counts = &self.shared.counts;
                self.shared.job.progress.found(node.size);
                let unchanged =
                    before.filter(|before| is_unchanged(&node, before, self.settled) && self.has_all(before));
                let Some(before) = unchanged else {
                    let count = if before.is_some() { &counts.files_changed } else { &counts.files_new };
                    count.fetch_add(1, Ordering::Relaxed);
                    let job = FileJob { path: on_disk.to_owned(), node, folder: Arc::clone(folder), at };
                    self.batch.borrow_mut().push(job);
                    return if self.is_enough() { self.hand_on() } else { Ok(()) };
                };
                counts.files_unmodified.fetch_add(1, Ordering::Relaxed);
                counts.total_bytes.fetch_add(node.size, Ordering::Relaxed);
                self.shared.job.progress.done_bytes(node.size);
                self.shared.job.progress.done_file();
                node.content.clone_from(&before.content);
                // Who changes them changes the time of the change too.
                node.extended_attributes.clone_from(&before.extended_attributes);
            }
            // Whoever listens at a socket makes it anew.
            NodeKind::Socket | NodeKind::Irregular => {
                return self.done.release(self.shared, Arc::clone(folder));
            }
            _ => {}
        }
        folder.set(at, node);
        self.done.release(self.shared, Arc::clone(folder))
    }

    /// Whether it is time to hand on the files that were found.
    fn is_enough(&self) -> bool {
        let batch = self.batch.borrow();
        batch.len() >= TOGETHER || batch.iter().map(|job| job.node.size).sum::<u64>() >= TOGETHER_BYTES
    }

    fn hand_on(&self) -> Result<(), Error> {
        // The readers go on until this end is closed.
        self.jobs.send(self.batch.take()).map_err(|_| Error::Stopped)
    }

    /// Whether everything of a file is in the repository still.
    fn has_all(&self, before: &Node) -> bool {
        before.blobs().iter().all(|id| self.shared.index.contains(BlobKind::Data, id))
    }

    /// The tree of this folder in the snapshot before; an empty one if it cannot be read, so that all is read anew.
    fn before(&self, folder: &Folder) -> Result<Tree, Error> {
        match folder.before.map(|id| self.trees.read(&id)) {
            Some(Err(Error::Stopped)) => Err(Error::Stopped),
            Some(read) => Ok(read.unwrap_or_default()),
            None => Ok(Tree::default()),
        }
    }
}

/// A folder that is nowhere on the disk: of whoever restores it, and nobody else.
fn made_up(name: Name) -> Node {
    Node::bare(name, NodeKind::Dir, 0o700)
}

/// The names in a folder, in order.
fn list(folder: &Path) -> io::Result<Vec<Name>> {
    use std::os::unix::ffi::OsStrExt;
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.extend(Name::new(entry?.file_name().as_bytes()));
    }
    names.sort_unstable();
    Ok(names)
}
