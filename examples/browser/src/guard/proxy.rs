//! The listener: who is served, and until when.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use buttress_core::{Ctx, SharedClock, Shutdown};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::Reason;
use super::config::GuardConfig;
use super::connection;
use super::error::{Error, Result};
use super::policy::Guard;
use super::refusals::{Refusal, Refusals};
use super::{Resolve, SystemResolver};

/// Clients that are told at once that there is no room; the next ones are cut off without an answer.
const TURNED_AWAY: usize = 64;
/// The wait after a connection could not be accepted, as when the process is out of file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// A forward proxy on loopback that reaches only what its [`Guard`] lets through.
///
/// It ends with all its connections when it is dropped, and when the shutdown of its [`Ctx`] stops.
pub struct Proxy {
    shared: Arc<Shared>,
    /// Connections end when this goes.
    _life: watch::Sender<()>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").field("address", &self.shared.address).finish_non_exhaustive()
    }
}

/// What all connections use.
pub(crate) struct Shared {
    pub(crate) guard: Guard,
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) clock: SharedClock,
    pub(crate) refusals: Refusals,
    pub(crate) address: SocketAddr,
    slots: Arc<Semaphore>,
    turned_away: Arc<Semaphore>,
    shutdown: Shutdown,
}

impl Proxy {
    /// Starts a proxy on a free port of `127.0.0.1`, with the system's resolver.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] or [`Error::Listen`].
    pub async fn start(config: GuardConfig, ctx: &Ctx) -> Result<Self> {
        Self::start_with(config, Arc::new(SystemResolver::default()), ctx).await
    }

    /// Starts a proxy that resolves names by `resolver`.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] or [`Error::Listen`].
    pub async fn start_with(config: GuardConfig, resolver: Arc<dyn Resolve>, ctx: &Ctx) -> Result<Self> {
        let guard = Guard::new(config)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(Error::Listen)?;
        let shared = Arc::new(Shared {
            address: listener.local_addr().map_err(Error::Listen)?,
            slots: Arc::new(Semaphore::new(guard.config().connections)),
            turned_away: Arc::new(Semaphore::new(TURNED_AWAY)),
            guard,
            resolver,
            clock: ctx.clock.clone(),
            refusals: Refusals::new(),
            shutdown: ctx.shutdown.clone(),
        });
        let (life, alive) = watch::channel(());
        ctx.shutdown.spawn(until_the_end(ctx.shutdown.clone(), alive.clone(), {
            let shared = Arc::clone(&shared);
            async move { shared.listen(listener, alive).await }
        }));
        Ok(Self { shared, _life: life })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// What it decides by; [`Guard::check_url`] judges a URL before a browser opens it.
    #[must_use]
    pub fn guard(&self) -> &Guard {
        &self.shared.guard
    }

    /// The last 64 refusals, the oldest first.
    #[must_use]
    pub fn refusals(&self) -> Vec<Refusal> {
        self.shared.refusals.last()
    }

    /// How many connections were refused, by reason.
    #[must_use]
    pub fn refused(&self) -> BTreeMap<Reason, u64> {
        self.shared.refusals.counts()
    }

    /// Connections that are open now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.guard.config().connections.saturating_sub(self.shared.slots.available_permits())
    }
}

impl Shared {
    async fn listen(self: Arc<Self>, listener: TcpListener, alive: watch::Receiver<()>) {
        loop {
            match listener.accept().await {
                Ok((client, _)) => self.take(client, &alive),
                Err(error) => {
                    tracing::warn!(%error, "the guard's proxy cannot accept a connection");
                    self.clock.sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    }

    /// Gives a client a task of its own, of which there are only so many.
    fn take(self: &Arc<Self>, client: TcpStream, alive: &watch::Receiver<()>) {
        let shared = Arc::clone(self);
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            let serve = async move {
                connection::serve(&shared, client).await;
                drop(slot);
            };
            self.shutdown.spawn(until_the_end(self.shutdown.clone(), alive.clone(), serve));
        } else if let Ok(slot) = Arc::clone(&self.turned_away).try_acquire_owned() {
            let turn_away = async move {
                connection::turn_away(&shared, client).await;
                drop(slot);
            };
            self.shutdown.spawn(until_the_end(self.shutdown.clone(), alive.clone(), turn_away));
        }
    }
}

/// Does `work` until the shutdown stops or the proxy is dropped.
async fn until_the_end(shutdown: Shutdown, mut alive: watch::Receiver<()>, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        () = shutdown.stopped() => {}
        // Nothing is ever sent: this completes when the sender goes.
        _ = alive.changed() => {}
    }
}
