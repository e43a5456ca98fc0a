//! A master that sentinels know.

use std::time::Duration;

use buttress_core::{SystemClock, timeout};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value,
};

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
}

fn timed_out(told: &'static str) -> RedisError {
    std::io::Error::new(std::io::ErrorKind::TimedOut, told).into()
}
