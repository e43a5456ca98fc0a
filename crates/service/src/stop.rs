//! How a service is told to stop: by a signal, or by a handle.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;

use crate::error::Error;

/// Where a service listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bound {
    /// The service.
    pub main: SocketAddr,
    /// Probes and metrics; the same as `main` where no admin address is configured.
    pub admin: SocketAddr,
}

/// Stops a service and tells where it listens. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    stops: watch::Sender<u32>,
    phase: watch::Sender<Phase>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Starting,
    Bound(Bound),
    Ended,
}

impl Handle {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared { stops: watch::Sender::new(0), phase: watch::Sender::new(Phase::Starting) }))
    }

    /// Asks the service to stop in order, as SIGTERM does. Asked a second time, it stops at once.
    pub fn stop(&self) {
        self.0.stops.send_modify(|stops| *stops = stops.saturating_add(1));
    }

    /// Where the service listens, once it serves; `None` when it ended first.
    pub async fn bound(&self) -> Option<Bound> {
        let mut phase = self.0.phase.subscribe();
        // Fails only when the sender is gone, and `self` holds it.
        let known = phase.wait_for(|phase| !matches!(phase, Phase::Starting)).await.ok()?;
        match *known {
            Phase::Bound(bound) => Some(bound),
            Phase::Starting | Phase::Ended => None,
        }
    }

    pub(crate) fn serves(&self, bound: Bound) {
        self.0.phase.send_replace(Phase::Bound(bound));
    }

    pub(crate) fn ended(&self) {
        self.0.phase.send_replace(Phase::Ended);
    }

    /// Completes once the service has been asked to stop `times` times.
    pub(crate) async fn asked(&self, times: u32) {
        // Fails only when the sender is gone, and `self` holds it.
        let _ = self.0.stops.subscribe().wait_for(|stops| *stops >= times).await;
    }
}

/// A signal that asks a process to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signal {
    /// SIGTERM: from a service manager.
    Terminate,
    /// SIGINT, or Ctrl-C: from a terminal.
    Interrupt,
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        })
    }
}

/// Waits for the next SIGTERM or SIGINT, for programs that are no service. From then on, these signals do not end the
/// process by themselves.
pub async fn stop_signal() -> Result<Signal, Error> {
    Ok(Signals::listen()?.next().await)
}

/// The signals that ask this process to stop.
pub(crate) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub(crate) fn listen() -> Result<Self, Error> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(Error::Signals)?,
            interrupt: signal(SignalKind::interrupt()).map_err(Error::Signals)?,
        })
    }

    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn listen() -> Result<Self, Error> {
        Ok(Self {})
    }

    pub(crate) async fn next(&mut self) -> Signal {
        if tokio::signal::ctrl_c().await.is_err() {
            // Without the signal there is nothing to wait for.
            std::future::pending::<()>().await;
        }
        Signal::Interrupt
    }
}
