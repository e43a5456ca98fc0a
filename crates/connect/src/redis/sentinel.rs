//! A master that sentinels know: found again when it is lost or is master no more.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use buttress_core::{BoxFuture, Clock, SystemClock, timeout};
use futures_util::FutureExt;
use futures_util::future::Shared;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, Pipeline, RedisError, RedisFuture,
    RedisResult, ServerErrorKind, Value,
};

/// How long a search waits after one that failed, so that sentinels are not asked without a pause.
const PAUSE: Duration = Duration::from_millis(100);

/// Asks sentinels who the master is.
pub(super) struct Finder {
    pub(super) sentinels: Vec<Client>,
    pub(super) master: String,
    /// What every server of the group has in common; its host is not used.
    pub(super) server: Client,
    /// How long a search may take, and an answer.
    pub(super) limit: Duration,
}

impl Finder {
    /// The master, as the first sentinel says that knows it and whose word holds: a server just demoted may still be
    /// named, and would refuse every write.
    pub(super) async fn find(&self) -> RedisResult<Client> {
        let mut last =
            RedisError::from((ErrorKind::MasterNameNotFoundBySentinel, "no sentinel knows the master"));
        // All together take no longer than a server may, so a sentinel that hangs leaves time for the next.
        let each = self.limit / u32::try_from(self.sentinels.len()).unwrap_or(u32::MAX).max(1);
        for sentinel in &self.sentinels {
            let asked = timeout(&SystemClock, each, self.ask(sentinel)).await;
            match asked.unwrap_or_else(|_| Err(timed_out("a sentinel did not answer in time"))) {
                Ok(client) => return Ok(client),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn ask(&self, sentinel: &Client) -> RedisResult<Client> {
        let mut connection = sentinel.get_multiplexed_async_connection_with_config(&self.config()).await?;
        let mut question = redis::cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.master);
        let answer: Option<(String, u16)> = question.query_async(&mut connection).await?;
        let (host, port) = answer
            .ok_or((ErrorKind::MasterNameNotFoundBySentinel, "a sentinel does not know the master's name"))?;
        let client = self.server_at(host, port)?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&self.config()).await?;
        let role: Vec<Value> = redis::cmd("ROLE").query_async(&mut connection).await?;
        match role.first().map(redis::from_redis_value_ref::<String>) {
            Some(Ok(role)) if role == "master" => Ok(client),
            _ => Err((ErrorKind::Server(ServerErrorKind::MasterDown), "a failover is under way").into()),
        }
    }

    fn server_at(&self, host: String, port: u16) -> RedisResult<Client> {
        let like = self.server.get_connection_info();
        let address = match like.addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
            }
            _ => ConnectionAddr::Tcp(host, port),
        };
        Client::open(like.clone().set_addr(address))
    }

    fn config(&self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.limit))
            .set_response_timeout(Some(self.limit))
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        self.find().await?.get_multiplexed_async_connection_with_config(&self.config()).await
    }
}

fn timed_out(told: &'static str) -> RedisError {
    std::io::Error::new(std::io::ErrorKind::TimedOut, told).into()
}

type Search = Shared<BoxFuture<'static, RedisResult<MultiplexedConnection>>>;

/// One connection to the present master. All who need it wait for the same search.
#[derive(Clone)]
pub(super) struct Watched {
    finder: Arc<Finder>,
    /// The search, with its number: who finds its outcome bad begins the next, unless another has.
    search: Arc<Mutex<(u64, Search)>>,
    database: i64,
}

impl Watched {
    pub(super) async fn connect(finder: &Arc<Finder>) -> RedisResult<Self> {
        let database = finder.server.get_connection_info().redis_settings().db();
        let search = Arc::new(Mutex::new((0, search(finder, Duration::ZERO))));
        let watched = Self { finder: Arc::clone(finder), search, database };
        watched.connection().await.map(|_| watched)
    }

    async fn connection(&self) -> RedisResult<(u64, MultiplexedConnection)> {
        let (number, search) = self.search.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match search.await {
            Ok(connection) => Ok((number, connection)),
            Err(error) => {
                self.search_again(number, PAUSE);
                Err(error)
            }
        }
    }

    fn search_again(&self, after: u64, pause: Duration) {
        let mut current = self.search.lock().unwrap_or_else(PoisonError::into_inner);
        if current.0 == after {
            *current = (after + 1, search(&self.finder, pause));
        }
    }

    fn note<T>(&self, number: u64, answer: RedisResult<T>) -> RedisResult<T> {
        if answer.as_ref().is_err_and(is_lost) {
            self.search_again(number, Duration::ZERO);
        }
        answer
    }
}

fn search(finder: &Arc<Finder>, pause: Duration) -> Search {
    let finder = Arc::clone(finder);
    let search: BoxFuture<'static, _> = Box::pin(async move {
        SystemClock.sleep(pause).await;
        finder.connect().await
    });
    search.shared()
}

/// Whether who answered, or did not, is not the master any more.
fn is_lost(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Io | ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
    ) || error.is_connection_dropped()
        || error.is_timeout()
}

impl ConnectionLike for Watched {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let (number, mut connection) = self.connection().await?;
            let answer = connection.req_packed_command(command).await;
            self.note(number, answer)
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
            self.note(number, answer)
        })
    }

    fn get_db(&self) -> i64 {
        self.database
    }
}
