//! Opening a log, with what a configuration file cannot say.

use std::sync::{Arc, Mutex};

use buttress_core::{Ctx, Validate};
use tokio::sync::watch;

use crate::disk::{Disk, RealDisk};
use crate::layout::Layout;
use crate::log::{Shared, Status};
use crate::note::NoteSigner;
use crate::queue::Queue;
use crate::spill::{self, Spill};
use crate::witness::{Witness, Witnesses};
use crate::{AuditConfig, Error, FssSeed, Log, recover, tick, writer};

/// How a log is opened.
///
/// ```
/// use buttress_audit::{AuditConfig, LogOptions, NoteSigner};
///
/// # fn key_from_a_vault() -> [u8; 32] { [7; 32] }
/// let signer = NoteSigner::from_seed("example.com/audit", &key_from_a_vault())?;
/// let options = LogOptions::new(&AuditConfig::new("/var/lib/app/audit")).signer(signer);
/// # Ok::<(), buttress_audit::Error>(())
/// ```
#[derive(Debug)]
pub struct LogOptions {
    config: AuditConfig,
    disk: Arc<dyn Disk>,
    signer: Option<NoteSigner>,
    witnesses: Witnesses,
}

impl LogOptions {
    /// As the configuration says.
    #[must_use]
    pub fn new(config: &AuditConfig) -> Self {
        Self {
            config: config.clone(),
            disk: Arc::new(RealDisk),
            signer: None,
            witnesses: Witnesses::default(),
        }
    }

    /// Signs checkpoints by this key. By default a key is made with the log, and kept in its folder.
    #[must_use]
    pub fn signer(mut self, signer: NoteSigner) -> Self {
        self.signer = Some(signer);
        self
    }

    /// Tells checkpoints elsewhere.
    #[must_use]
    pub fn witness(mut self, witness: impl Witness) -> Self {
        self.witnesses.add(witness);
        self
    }

    /// Writes to another disk than the file system. What is read is read from the file system.
    #[must_use]
    pub fn disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = disk;
        self
    }

    /// Makes the log, and opens it. See [`Log::create`].
    pub async fn create(self, ctx: &Ctx) -> Result<(Log, FssSeed), Error> {
        let (log, seed) = self.start(ctx, How::Create).await?;
        Ok((log, seed.ok_or(Error::Random)?))
    }

    /// Opens the log. See [`Log::open`].
    pub async fn open(self, ctx: &Ctx) -> Result<Log, Error> {
        Ok(self.start(ctx, How::Open).await?.0)
    }

    /// Opens the log, or makes it and tells the seed, for the offline keeping.
    pub async fn open_or_create(self, ctx: &Ctx, keep: impl FnOnce(&FssSeed)) -> Result<Log, Error> {
        let (log, seed) = self.start(ctx, How::Either).await?;
        if let Some(seed) = &seed {
            keep(seed);
        }
        Ok(log)
    }

    async fn start(self, ctx: &Ctx, how: How) -> Result<(Log, Option<FssSeed>), Error> {
        self.config.validate().map_err(Error::Config)?;
        let Self { config, disk, signer, witnesses } = self;
        let layout = Layout::new(&config.folder);
        let (origin, segment) = (config.origin.clone(), config.segment.bytes());
        let most_spilled = config.spill.bytes();
        let opening = move || {
            let folder = layout.folder();
            if how != How::Open {
                std::fs::create_dir_all(folder).map_err(Error::disk("make", folder))?;
            } else if !folder.is_dir() {
                return Err(Error::Missing { path: folder.to_owned() });
            }
            let lock = recover::lock(&layout)?;
            let seed = if how == How::Create || (how == How::Either && !layout.meta().exists()) {
                Some(recover::create(&*disk, &layout, &origin, signer.as_ref())?)
            } else {
                None
            };
            let spill = Spill::open(Arc::clone(&disk), layout.spill(), most_spilled)?;
            Ok((recover::open(disk, layout, segment, signer)?, spill, lock, seed))
        };
        let opened = tokio::task::spawn_blocking(opening).await;
        let (store, spill, lock, seed) = opened.map_err(|_| Error::Closed)??;
        let shared = Arc::new(Shared {
            ctx: ctx.clone(),
            layout: store.layout.clone(),
            meta: store.meta.clone(),
            queue: Queue::new(config.queue.as_usize()),
            spill,
            group: config.group.as_usize(),
            checkpoint_entries: config.checkpoint_entries,
            tree: Arc::clone(&store.tree),
            committed: watch::Sender::new(store.size()),
            signed: watch::Sender::new(store.latest.clone()),
            done: watch::Sender::new(false),
            metrics: store.metrics.clone(),
            status: Mutex::new(Status::default()),
            config,
        });
        let writing = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("audit-log".to_owned()).spawn(move || {
            writer::run(store, &writing, lock);
        });
        thread.map_err(Error::disk("begin a thread for", &shared.config.folder))?;
        ctx.shutdown.spawn(tick::run(Arc::clone(&shared)));
        ctx.shutdown.spawn(spill::drain(Arc::clone(&shared)));
        witnesses.start(&shared);
        Ok((Log::of(shared), seed))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Open,
    Create,
    Either,
}
