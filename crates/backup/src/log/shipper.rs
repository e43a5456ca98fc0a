//! From a source into the log, every second, until it is told to stop.

use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use buttress_core::{Probe, Vitality, chain};
use tokio::sync::watch;

use super::metrics::Metrics;
use super::reader::Log;
use super::segment::{Fields, Kind, Piece, Position, Segment, Tip, from_nanos, to_nanos};
use crate::Error;
use crate::id::Id;

/// What writes a log: a database that tells what it has committed.
///
/// The only truth about what was shipped is the tip of the log in the store. So a source keeps no position of its own: asked again with the
/// same tip, after a failure or a kill, it answers with a piece that begins there.
pub trait LogSource: Send + 'static {
    /// What stands in each segment, so that no other kind of source continues the log.
    const KIND: Kind;

    /// The log goes on after its newest segment, which is given as it is in the store: at the begin, and after each failure. Nothing to do, unless the
    /// source has to know what stands in it.
    ///
    /// # Errors
    ///
    /// [`Error::Source`] if this source cannot go on from there.
    fn resume(&mut self, newest: Option<&Segment>) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = newest;
        std::future::ready(Ok(()))
    }

    /// What comes after `tip`; from the begin, without one.
    ///
    /// # Errors
    ///
    /// [`Error::Source`] where what follows the tip is no longer there, and for whatever else keeps it from being read.
    fn next(&mut self, tip: Option<&Tip>) -> impl Future<Output = Result<Next, Error>> + Send;

    /// The log has acknowledged all pieces up to `tip`: what was kept for them may go.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    fn shipped(&mut self, tip: &Tip) -> impl Future<Output = Result<(), Error>> + Send;
}

/// What a source has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Something new.
    Piece(Piece),
    /// The log has everything that was committed before that time.
    Complete(SystemTime),
    /// Nothing new came, and nothing is known about whether there is.
    Unknown,
}

/// How far shipping is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// The newest segment that the store has acknowledged.
    pub tip: Option<Tip>,
    /// Everything that was committed before that time is in the store.
    pub complete: Option<SystemTime>,
    /// Why the last round failed; `None` if it did not.
    pub failure: Option<String>,
}

/// Ships a source into its log in the background, until the context's shutdown asks it to stop; then it ships what is there, and ends.
///
/// Failures are tried again for ever, each later than the one before; [`status`](Shipper::status), the probe and the metrics tell. Keep the
/// shipper's `folder` on a disk that survives a restart: in `tip` it says how far the log went, so that a log whose end was lost is refused.
#[derive(Debug, Clone)]
pub struct Shipper {
    log: Log,
    status: watch::Receiver<Status>,
    stale: Duration,
}

impl Shipper {
    /// Begins. `folder` is made if it is not there; `stale` is how old what is complete may be before the probe fails, the RPO.
    ///
    /// # Errors
    ///
    /// [`Error::File`] when the folder cannot be made.
    pub fn start(
        log: Log,
        source: impl LogSource,
        folder: impl Into<PathBuf>,
        stale: Duration,
    ) -> Result<Self, Error> {
        let folder: PathBuf = folder.into();
        std::fs::create_dir_all(&folder).map_err(|error| Error::file("make", &folder, error))?;
        let (told, status) = watch::channel(Status::default());
        let metrics = Metrics::new(log.name());
        let task = Task { log: log.clone(), source, folder: folder.into(), told, metrics };
        log.ctx().shutdown.spawn(task.run());
        Ok(Self { log, status, stale })
    }

    /// How far it is.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Completes when everything that was committed before `time` is in the store; `false` if shipping ended before.
    pub async fn complete_at(&self, time: SystemTime) -> bool {
        let mut status = self.status.clone();
        status.wait_for(|status| status.complete.is_some_and(|at| at >= time)).await.is_ok()
    }
}

impl Probe for Shipper {
    fn name(&self) -> &'static str {
        "backup-log"
    }

    /// Asks the store, not our own memory, whether it has the newest segment, and how old it is.
    async fn check(&self) -> Vitality {
        let status = self.status();
        let why = status.failure.map(|failure| format!("; {failure}")).unwrap_or_default();
        let Some(complete) = status.complete else {
            return Vitality::Fail(format!("the log `{}` was never complete{why}", self.log.name()));
        };
        let age = self.log.ctx().clock.wall().duration_since(complete).unwrap_or_default();
        if age > self.stale {
            let shown = buttress_core::units::format_duration(Duration::from_secs(age.as_secs()));
            return Vitality::Fail(format!("the log `{}` is {shown} behind{why}", self.log.name()));
        }
        match self.log.check_known(status.tip.as_ref()).await {
            Ok(()) => Vitality::Pass,
            Err(error) => Vitality::Fail(chain(&error)),
        }
    }
}

struct Task<S> {
    log: Log,
    source: S,
    folder: Arc<Path>,
    told: watch::Sender<Status>,
    metrics: Metrics,
}

impl<S: LogSource> Task<S> {
    async fn run(mut self) {
        const SHORTEST: Duration = Duration::from_millis(250);
        let ctx = self.log.ctx().clone();
        let mut pause = SHORTEST;
        loop {
            let before = self.told.borrow().complete;
            let Err(error) = self.ship().await else { return };
            self.metrics.failures.increment(1);
            let failure = chain(&error);
            tracing::warn!(target: "buttress::backup", log = self.log.name(), failure, "a log is not shipped; trying again");
            // A time in which all was well begins anew.
            if self.told.borrow().complete != before {
                pause = SHORTEST;
            }
            self.told.send_modify(|status| status.failure = Some(failure));
            if ctx.shutdown.is_draining() {
                return;
            }
            tokio::select! {
                () = ctx.clock.sleep(pause) => {}
                () = ctx.shutdown.drained() => {}
            }
            pause = pause.saturating_mul(2).min(self.log.config().retry_most);
        }
    }

    /// Ships until it is told to stop, or something fails.
    async fn ship(&mut self) -> Result<(), Error> {
        let ctx = self.log.ctx().clone();
        let note = TipNote::new(&self.folder);
        let mut writer = self.log.writer(S::KIND, note.read()?.as_ref()).await?;
        if let Some(tip) = writer.tip() {
            note.write(tip)?;
            self.told.send_modify(|status| status.tip = Some(*tip));
        }
        self.source.resume(writer.take_found().as_ref()).await?;
        loop {
            // Asked before the round, so that the last one ships what came until then.
            let last = ctx.shutdown.is_draining();
            let mut more = true;
            while more && !ctx.shutdown.is_stopping() {
                match self.source.next(writer.tip()).await? {
                    Next::Piece(piece) => {
                        let before = writer.bytes();
                        let tip = writer.append(piece).await?;
                        self.metrics.segments.increment(1);
                        self.metrics.bytes.increment(writer.bytes().saturating_sub(before));
                        note.write(&tip)?;
                        self.told.send_modify(|status| status.tip = Some(tip));
                        self.source.shipped(&tip).await?;
                    }
                    Next::Complete(at) => {
                        let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                        self.metrics.complete.set(since.as_secs_f64());
                        let tip = writer.tip().copied();
                        self.told.send_replace(Status { tip, complete: Some(at), failure: None });
                        more = false;
                    }
                    Next::Unknown => {
                        self.told.send_modify(|status| status.failure = None);
                        more = false;
                    }
                }
            }
            if last || ctx.shutdown.is_stopping() {
                return Ok(());
            }
            tokio::select! {
                () = ctx.clock.sleep(self.log.config().interval) => {}
                () = ctx.shutdown.drained() => {}
            }
        }
    }
}

/// The file that says how far the log went. It may be behind, after a crash, and never ahead.
struct TipNote {
    path: PathBuf,
}

impl TipNote {
    fn new(folder: &Path) -> Self {
        Self { path: folder.join("tip") }
    }

    fn read(&self) -> Result<Option<Tip>, Error> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file("read", &self.path, error)),
        };
        let mut fields = Fields(&bytes);
        let tip = (|| {
            Some(Tip {
                sequence: fields.u64()?,
                hash: Id::new(fields.take()?),
                position: Position { epoch: fields.u64()?, offset: fields.u64()? },
                time: from_nanos(i64::from_be_bytes(fields.take()?)),
            })
        })();
        // Torn by the loss of power: we know less, and nothing wrong.
        Ok(tip)
    }

    fn write(&self, tip: &Tip) -> Result<(), Error> {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&tip.sequence.to_be_bytes());
        bytes.extend_from_slice(tip.hash.as_bytes());
        bytes.extend_from_slice(&tip.position.epoch.to_be_bytes());
        bytes.extend_from_slice(&tip.position.offset.to_be_bytes());
        bytes.extend_from_slice(&to_nanos(tip.time).to_be_bytes());
        let aside = self.path.with_extension("new");
        std::fs::write(&aside, bytes).map_err(|error| Error::file("write", &aside, error))?;
        std::fs::rename(&aside, &self.path).map_err(|error| Error::file("write", &self.path, error))
    }
}

impl<S> fmt::Debug for Task<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Task({})", self.log.name())
    }
}
