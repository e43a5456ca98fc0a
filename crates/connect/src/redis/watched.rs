//! One server, made out anew when it is lost: it hung up, is master no more, or says nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use buttress_core::{BoxFuture, Clock, SystemClock};
use futures_util::FutureExt;
use futures_util::future::Shared;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, ServerErrorKind,
    Value,
};

use super::servers::Servers;

/// How long a search waits after one that failed, so that servers are not asked without a pause.
const PAUSE: Duration = Duration::from_millis(100);

/// One connection to the server. All who need it wait for the same search.
///
/// Whoever gives up waiting for an answer drops the command, and so nobody would see that a server never answers again whose host has
/// vanished, or which hangs: nothing closes the connection then. So what is remembered is since when a command is unanswered,
/// whoever has sent it; after the limit of an answer, the next command begins a search.
#[derive(Clone)]
pub(super) struct Watched {
    servers: Servers,
    /// How long connecting may take, and an answer.
    limit: Duration,
    current: Arc<Mutex<Current>>,
    database: i64,
}

struct Current {
    /// Of the search: who finds its outcome bad begins the next, unless another has.
    number: u64,
    search: Search,
    /// What it found.
    found: Option<MultiplexedConnection>,
    /// When the oldest command was sent after which nothing was heard, by the coarse clock.
    unanswered_since: Option<u64>,
}

type Search = Shared<BoxFuture<'static, RedisResult<MultiplexedConnection>>>;

impl Watched {
    pub(super) async fn connect(servers: &Servers, limit: Duration, database: i64) -> RedisResult<Self> {
        let search = search(servers, limit, Duration::ZERO);
        let found = Some(search.clone().await?);
        let current = Arc::new(Mutex::new(Current { number: 0, search, found, unanswered_since: None }));
        Ok(Self { servers: servers.clone(), limit, current, database })
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that a command is sent down now, and the number of its search.
    async fn connection(&self) -> RedisResult<(u64, MultiplexedConnection)> {
        let (number, search) = {
            let mut current = self.current();
            let now = SystemClock.coarse_nanos();
            let silent = current.unanswered_since.map_or(0, |since| now.saturating_sub(since));
            if Duration::from_nanos(silent) > self.limit {
                self.begin_search(&mut current, Duration::ZERO);
            }
            if let Some(connection) = &current.found {
                let found = (current.number, connection.clone());
                current.unanswered_since.get_or_insert(now);
                return Ok(found);
            }
            (current.number, current.search.clone())
        };
        match search.await {
            Ok(connection) => {
                let mut current = self.current();
                if current.number == number {
                    current.found = Some(connection.clone());
                    current.unanswered_since.get_or_insert_with(|| SystemClock.coarse_nanos());
                }
                Ok((number, connection))
            }
            Err(error) => {
                self.search_again(number, PAUSE);
                Err(error)
            }
        }
    }

    fn begin_search(&self, current: &mut Current, pause: Duration) {
        let search = search(&self.servers, self.limit, pause);
        *current = Current { number: current.number + 1, search, found: None, unanswered_since: None };
    }

    fn search_again(&self, after: u64, pause: Duration) {
        let mut current = self.current();
        if current.number == after {
            self.begin_search(&mut current, pause);
        }
    }

    fn answered<T>(&self, number: u64, answer: RedisResult<T>) -> RedisResult<T> {
        if answer.as_ref().is_err_and(is_lost) {
            self.search_again(number, Duration::ZERO);
        } else {
            let mut current = self.current();
            if current.number == number {
                current.unanswered_since = None;
            }
        }
        answer
    }
}

/// Goes on by itself: those who wait for it may each have less patience than it takes.
fn search(servers: &Servers, limit: Duration, pause: Duration) -> Search {
    let servers = servers.clone();
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(limit)).set_response_timeout(Some(limit));
    let search: BoxFuture<'static, _> = Box::pin(async move {
        SystemClock.sleep(pause).await;
        servers.find().await?.get_multiplexed_async_connection_with_config(&config).await
    });
    let search = search.shared();
    // It ends within its limits.
    tokio::spawn(search.clone());
    search
}

/// Whether who answered, or did not, is not the master any more.
fn is_lost(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Io
            | ErrorKind::Parse
            | ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
    ) || error.is_connection_dropped()
        || error.is_timeout()
}

impl ConnectionLike for Watched {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let (number, mut connection) = self.connection().await?;
            let answer = connection.req_packed_command(command).await;
            self.answered(number, answer)
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let (number, mut connection) = self.connection().await?;
            let answer = connection.req_packed_commands(pipeline, offset, count).await;
            self.answered(number, answer)
        })
    }

    fn get_db(&self) -> i64 {
        self.database
    }
}
