//! What happens, as it happens: server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, stream};
use tokio::sync::broadcast::error::RecvError;

use super::api::Api;
use super::state::Pool;
use crate::jobs::{Change, Summary};

/// How often the pool is looked at for a listener.
const LOOK: Duration = Duration::from_secs(1);

/// Changes of jobs as they come, and of the pool at most once a second, until the service drains.
pub(super) async fn events(State(api): State<Api>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let listener = Listener { changes: api.runner.store.changes(), api, shown: None };
    let events = stream::unfold(listener, |mut listener| async {
        let event = listener.next().await?;
        Some((Ok(event), listener))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

struct Listener {
    api: Api,
    changes: tokio::sync::broadcast::Receiver<Change>,
    /// The pool as it was told last.
    shown: Option<Pool>,
}

impl Listener {
    /// The next event; `None` when there will be none.
    async fn next(&mut self) -> Option<Event> {
        let (clock, shutdown) = (self.api.runner.ctx.clock.clone(), self.api.runner.ctx.shutdown.clone());
        loop {
            if self.shown.is_none()
                && let Some(event) = self.pool().await
            {
                return Some(event);
            }
            tokio::select! {
                // What has happened is told before the end.
                biased;
                change = self.changes.recv() => match change {
                    Ok(change) => {
                        // Forgotten meanwhile: there is nothing to tell.
                        let Ok(job) = self.api.runner.store.get(change.id, None).await else { continue };
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
