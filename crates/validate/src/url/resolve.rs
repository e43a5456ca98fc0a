//! From names to addresses, once for each connection.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;

use buttress_core::BoxFuture;
use tokio::sync::Semaphore;

/// Lookups that run at once; each holds a thread until the system's resolver gives up.
const LOOKUPS: usize = 32;

/// Resolves names for whoever sets the limit of time and judges every address.
pub trait Resolve: Send + Sync + 'static {
    /// All addresses of `name`. Asked once for each connection, which goes to one of the answer's addresses;
    /// to ask again would be to trust the second answer by the first.
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The system's own resolver: `/etc/hosts`, and the name servers of `/etc/resolv.conf`.
#[derive(Debug)]
pub struct SystemResolver {
    lookups: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self { lookups: Arc::new(Semaphore::new(LOOKUPS)) }
    }
}

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let slot = Arc::clone(&self.lookups).acquire_owned().await.map_err(io::Error::other)?;
            let name = name.to_owned();
            // The thread goes on when the caller has stopped waiting, so it takes the slot with it.
            let lookup = tokio::task::spawn_blocking(move || {
                let _slot = slot;
                (name.as_str(), 0_u16).to_socket_addrs().map(|found| found.map(|at| at.ip()).collect())
            });
            lookup.await.map_err(io::Error::other)?
        })
    }
}
