//! Messages of channels, and the knowledge that none was missed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use buttress_core::{SharedClock, timeout};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Msg, ProtocolVersion, PushInfo, PushKind};
use tokio::sync::mpsc::{Receiver, channel, error::TryRecvError};

use super::{Servers, failed};
use crate::Error;

/// Messages that wait for [`Subscription::next`]. More are not kept: the subscription counts as lost then.
pub const MOST_WAITING: usize = 16_384;

/// The first wait after a failed connection; each further one is twice as long, to a sixteenfold.
const PAUSE: Duration = Duration::from_millis(50);

/// What a [`Subscription`] has to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Told {
    /// The channels are heard from now on. What was sent before was not: read anew what depends on it.
    Subscribed,
    /// A message of a channel, in the order of the server.
    Message {
        /// The channel's name.
        channel: String,
        /// What was published.
        payload: Vec<u8>,
    },
    /// Every message that the server took before this moment has been told.
    Heard(Instant),
    /// The connection is gone, or messages came faster than they were taken; some may be missed until the next
    /// [`Told::Subscribed`]. Says why, in one line for people.
    Lost(String),
}

/// Hears channels of Redis on a connection of its own, which it makes again whenever it is lost.
///
/// ```no_run
/// use buttress_connect::redis::{Redis, Told};
/// use buttress_core::SystemClock;
/// use std::time::Duration;
///
/// # async fn example(redis: Redis) {
/// let mut news = redis.subscribe(["prices"], Duration::from_secs(1), SystemClock::shared());
/// loop {
///     match news.next().await {
///         Told::Message { payload, .. } => println!("{} bytes", payload.len()),
///         Told::Subscribed | Told::Lost(_) => println!("look at all prices again"),
///         Told::Heard(_) => {}
///         _ => {}
///     }
/// }
/// # }
/// ```
///
/// Redis delivers a message at most once. What makes up for that: [`Told::Heard`] comes after every heartbeat and says
/// up to when nothing is missing, and [`Told::Lost`] says from when on something may be.
pub struct Subscription {
    servers: Servers,
    channels: Vec<String>,
    beat: Duration,
    limit: Duration,
    clock: SharedClock,
    line: Option<Line>,
    failures: u32,
    waiting: VecDeque<Told>,
}

/// A connection that is subscribed.
struct Line {
    connection: MultiplexedConnection,
    pushes: Receiver<PushInfo>,
    next_beat: Instant,
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription")
            .field("channels", &self.channels)
            .field("connected", &self.line.is_some())
            .finish_non_exhaustive()
    }
}

impl Subscription {
    pub(super) fn new(
        servers: Servers,
        channels: Vec<String>,
        beat: Duration,
        limit: Duration,
        clock: SharedClock,
    ) -> Self {
        Self { servers, channels, beat, limit, clock, line: None, failures: 0, waiting: VecDeque::new() }
    }

    /// Waits for what there is to tell. May be dropped at any time, and asked again.
    ///
    /// Nothing is connected, heard or found to be lost but in here: whoever subscribes calls it in a loop.
    pub async fn next(&mut self) -> Told {
        loop {
            if let Some(told) = self.waiting.pop_front() {
                return told;
            }
            match &mut self.line {
                None => {
                    if self.failures > 0 {
                        self.clock.sleep(PAUSE * 2_u32.pow((self.failures - 1).min(4))).await;
                    }
                    match self.subscribed().await {
                        Ok(line) => {
                            self.line = Some(line);
                            self.failures = 0;
                            return Told::Subscribed;
                        }
                        Err(error) => {
                            self.failures = self.failures.saturating_add(1);
                            // Told once; it is no news that it still is lost.
                            if self.failures == 1 {
                                return Told::Lost(buttress_core::chain(&error));
                            }
                        }
                    }
                }
                Some(line) => {
                    let heartbeat = self.clock.sleep_until(line.next_beat);
                    let pushed = tokio::select! {
                        biased;
                        pushed = line.pushes.recv() => Some(pushed),
                        () = heartbeat => None,
                    };
                    match pushed {
                        Some(pushed) => self.take(pushed),
                        None => self.beat().await,
                    }
                }
            }
        }
    }

    /// Keeps what was pushed, if it is for us.
    fn take(&mut self, pushed: Option<PushInfo>) {
        match pushed {
            Some(push) if push.kind == PushKind::Message => {
                let Some(message) = Msg::from_push_info(push) else { return };
                let payload = message.get_payload_bytes().to_vec();
                self.waiting
                    .push_back(Told::Message { channel: message.get_channel_name().to_owned(), payload });
            }
            Some(push) if push.kind == PushKind::Disconnection => self.lose("the connection is gone"),
            // The sender went when the channel was full, or with the connection.
            None => self.lose("the connection is gone, or messages came faster than they were taken"),
            Some(_) => {}
        }
    }

    fn lose(&mut self, why: &str) {
        self.line = None;
        self.failures = self.failures.max(1);
        self.waiting.push_back(Told::Lost(why.to_owned()));
    }

    /// Asks the server whether it is there. Its answer comes after every message that it sent before.
    async fn beat(&mut self) {
        let Some(line) = &mut self.line else { return };
        let asked_at = self.clock.now();
        let answer = redis::cmd("PING").query_async::<redis::Value>(&mut line.connection).await;
        if let Err(error) = answer {
            return self.lose(&error.to_string());
        }
        line.next_beat = asked_at + self.beat;
        loop {
            let Some(line) = &mut self.line else { return };
            match line.pushes.try_recv() {
                Ok(push) => self.take(Some(push)),
                Err(TryRecvError::Disconnected) => self.take(None),
                Err(TryRecvError::Empty) => break,
            }
        }
        self.waiting.push_back(Told::Heard(asked_at));
    }

    async fn subscribed(&self) -> Result<Line, Error> {
        let connect = async {
            let client = self.servers.pick(self.failures, ProtocolVersion::RESP3).await?;
            // What does not fit ends the line: the receiver hears of it when it has read the rest.
            let (sender, pushes) = channel(MOST_WAITING);
            let sender = std::sync::Mutex::new(Some(sender));
            let push = move |push: PushInfo| {
                let mut sender = sender.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let sent = sender.as_ref().map(|sender| sender.try_send(push));
                if matches!(sent, Some(Err(_))) {
                    *sender = None;
                }
                Ok::<(), ()>(())
            };
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(self.limit))
                // A server that hangs is noticed by its heart.
                .set_response_timeout(Some(self.limit.min(self.beat * 4)))
                .set_push_sender(push);
            let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
            connection.subscribe(&self.channels).await?;
            Ok((connection, pushes))
        };
        let connected = timeout(&*self.clock, self.limit, connect).await;
        let timed_out = |_| {
            let told = std::io::Error::new(std::io::ErrorKind::TimedOut, "no server answered in time");
            Err(told.into())
        };
        match connected.unwrap_or_else(timed_out) {
            Ok((connection, pushes)) => {
                Ok(Line { connection, pushes, next_beat: self.clock.now() + self.beat })
            }
            Err(error) => Err(failed(self.servers.address(), &error)),
        }
    }
}
