//! What happens, as it happens: server-sent events.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use buttress_core::Key;
use futures_util::{Stream, stream};
use tokio::sync::broadcast::error::RecvError;

use super::api::Api;
use super::state::Pool;
use super::tenancy::Asker;
use crate::jobs::{Change, Summary};

/// How often the pool is looked at for a listener.
const LOOK: Duration = Duration::from_secs(1);

/// For how long somebody listens who had to show a key: then it is shown anew, and may have been revoked.
const KEY_HOLDS: Duration = Duration::from_mins(5);

/// Changes of jobs as they come, and of the pool at most once a second, until the service drains.
pub(super) async fn events(
    State(api): State<Api>,
    asker: Asker,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let key = asker.caller.principal.as_ref();
    let until = key.map(|_| api.runner.ctx.clock.now() + KEY_HOLDS);
    let seen = key.and_then(|_| asker.seen().cloned());
    let listener = Listener { changes: api.runner.store.changes(), api, seen, until, shown: None };
    let events = stream::unfold(listener, |mut listener| async {
        let event = listener.next().await?;
        Some((Ok(event), listener))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

struct Listener {
    api: Api,
    changes: tokio::sync::broadcast::Receiver<Change>,
    /// Whose jobs it hears of; none: everybody's.
    seen: Option<Key>,
    until: Option<Instant>,
    /// The pool as it was told last.
    shown: Option<Pool>,
}

impl Listener {
    /// The next event; `None` when there will be none.
    async fn next(&mut self) -> Option<Event> {
        let (clock, shutdown) = (self.api.runner.ctx.clock.clone(), self.api.runner.ctx.shutdown.clone());
        loop {
            if self.until.is_some_and(|until| clock.now() >= until) {
                return None;
            }
            if self.shown.is_none()
                && let Some(event) = self.pool().await
            {
                return Some(event);
            }
            tokio::select! {
                // What has happened is told before the end.
                biased;
                change = self.changes.recv() => match change {
                    Ok(change) if self.seen.as_ref().is_some_and(|seen| seen.as_str() != change.tenant) => {}
                    Ok(change) => {
                        // Forgotten meanwhile: there is nothing to tell.
                        let Ok(job) = self.api.runner.store.get(change.id, self.seen.as_ref()).await else { continue };
                        return Event::default().event("job").json_data(Summary::from(&job)).ok();
                    }
                    Err(RecvError::Lagged(_)) => return Some(Event::default().event("lagged").data("{}")),
                    Err(RecvError::Closed) => return None,
                },
                () = clock.sleep(LOOK) => {
                    if let Some(event) = self.pool().await {
                        return Some(event);
                    }
                }
                () = shutdown.drained() => return None,
            }
        }
    }

    /// The pool, if it is not as it was told last.
    async fn pool(&mut self) -> Option<Event> {
        let pool = self.api.state().await.ok()?;
        if self.shown.as_ref() == Some(&pool) {
            return None;
        }
        let event = Event::default().event("pool").json_data(&pool).ok();
        self.shown = Some(pool);
        event
    }
}
