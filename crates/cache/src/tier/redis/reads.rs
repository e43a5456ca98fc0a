//! Reading values: what many callers ask for at once goes in one command.
//!
//! Who asks while nothing is under way sends its own `GET`. Who asks meanwhile waits until the tasks that run now have asked too, and
//! all of that goes as one `MGET`; at most [`LANES`] commands are under way. So one caller waits for no other, and each of many costs
//! a name in a command and a value in an answer, instead of a command, an answer and a timer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use buttress_connect::Error;
use buttress_connect::redis::Redis;
use buttress_connect::redis::client::{Cmd, Value, cmd, pipe};
use buttress_core::{Classify, Clock, ErrorClass, SystemClock};
use tokio::sync::oneshot;

use super::super::{Stored, TierError};
use super::expiry::{ServerTime, Shown, split};
use crate::sync::lock;

/// Commands under way at once. Of a server far away, callers wait for the next answer of several, not for a whole round trip.
const LANES: usize = 6;
/// Names in a command.
const MOST_NAMES: usize = 128;
/// Bytes in an answer, so far as can be told from those before it: none is given out before the last has come.
const MOST_BYTES: usize = 256 << 10;
/// Callers that wait. More ask for themselves.
const MOST_WAITING: usize = 4096;

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Reads(Arc<Inner>);

struct Inner {
    redis: Redis,
    time: ServerTime,
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    waiting: VecDeque<Waiting>,
    under_way: usize,
    /// Whether a command is about to be sent with what waits.
    gathering: bool,
    /// About how many bytes a value has.
    length: usize,
}

struct Waiting {
    name: String,
    answer: oneshot::Sender<Answer>,
}

type Answer = Result<Option<Stored>, Failed>;

/// Why there is no answer; the same for all who waited for it.
#[derive(Debug, Clone, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Redis(Arc<Error>),
    #[error("the runtime is being shut down")]
    Dropped,
}

impl Classify for Failed {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Redis(error) => error.class(),
            Self::Dropped => ErrorClass::Unavailable,
        }
    }
}

impl Reads {
    pub(super) fn new(redis: Redis) -> Self {
        Self(Arc::new(Inner { redis, time: ServerTime::default(), line: Mutex::default() }))
    }

    pub(super) async fn get(&self, name: String) -> Result<Option<Stored>, TierError> {
        let answer = match self.0.wait(name) {
            Ok((waits, lane)) => {
                if let Some(lane) = lane {
                    lane.start();
                }
                waits.await.unwrap_or(Err(Failed::Dropped))
            }
            Err((name, _lane)) => self.0.read_one(&name).await.map_err(|error| Failed::Redis(error.into())),
        };
        answer.map_err(TierError::of)
    }
}

impl Line {
    /// Whether another can wait. Those who gave up make room.
    fn has_room(&mut self) -> bool {
        if self.waiting.len() >= MOST_WAITING {
            self.waiting.retain(|waiting| !waiting.answer.is_closed());
        }
        self.waiting.len() < MOST_WAITING
    }

    /// What goes in the next command.
    fn take(&mut self) -> (Vec<String>, Vec<oneshot::Sender<Answer>>) {
        let most = (MOST_BYTES / self.length.max(1)).clamp(1, MOST_NAMES);
        let many = self.waiting.len().min(most);
        let waiting = self.waiting.drain(..many).filter(|waiting| !waiting.answer.is_closed());
        waiting.map(|waiting| (waiting.name, waiting.answer)).unzip()
    }

    /// Remembers how long values are.
    fn note(&mut self, answers: &[Option<Stored>]) {
        let bytes: usize = answers.iter().flatten().map(|stored| stored.bytes.len()).sum();
        let mean = bytes / answers.len().max(1);
        // Larger ones are believed at once.
        self.length = mean.max((self.length * 7 + mean) / 8);
    }
}

impl Inner {
    /// Lets a caller wait, and begins a command for those who do where none is about to be; or gives it a command of its own.
    fn wait(
        self: &Arc<Self>,
        name: String,
    ) -> Result<(oneshot::Receiver<Answer>, Option<Lane>), (String, Lane)> {
        let mut line = lock(&self.line);
        let idle = line.under_way == 0 && line.waiting.is_empty();
        if idle || !line.has_room() {
            line.under_way += 1;
            return Err((name, Lane { inner: Arc::clone(self), gathering: false }));
        }
        let (answer, waits) = oneshot::channel();
        line.waiting.push_back(Waiting { name, answer });
        Ok((waits, self.gather(&mut line)))
    }

    /// A command for those who wait, if there is none yet and may be one. It is started when the lock is free again.
    fn gather(self: &Arc<Self>, line: &mut Line) -> Option<Lane> {
        if line.waiting.is_empty() || line.gathering || line.under_way >= LANES {
            return None;
        }
        (line.gathering, line.under_way) = (true, line.under_way + 1);
        Some(Lane { inner: Arc::clone(self), gathering: true })
    }

    async fn read_one(&self, name: &str) -> Result<Option<Stored>, Error> {
        let mut command = cmd("GET");
        command.arg(name);
        let (value, shown) = self.ask(command).await?;
        match stored(value, shown, SystemClock.now()) {
            Ok(stored) => Ok(stored),
            Err(bytes) => Ok(self.ask_for_ends(&[name], vec![Err(bytes)]).await?.pop().flatten()),
        }
    }

    /// Asks for all names at once. In the order of the names.
    async fn read(&self, names: &[String]) -> Result<Vec<Option<Stored>>, Error> {
        let mut command = cmd("MGET");
        for name in names {
            command.arg(name);
        }
        let (Value::Array(values), shown) = self.ask(command).await? else {
            return Ok(vec![None; names.len()]);
        };
        let now = SystemClock.now();
        let mut answers: Vec<_> = values.into_iter().map(|value| stored(value, shown, now)).collect();
        answers.resize_with(names.len(), || Ok(None));
        if answers.iter().any(Result::is_err) {
            return self.ask_for_ends(names, answers).await;
        }
        Ok(answers.into_iter().filter_map(Result::ok).collect())
    }

    /// The answer to a command, and what the server's clock has shown.
    async fn ask(&self, command: Cmd) -> Result<(Value, Shown), Error> {
        let asked = SystemClock.now();
        let answer = match self.time.shown(asked) {
            Some(shown) => self.redis.query(&command).await.map(|value| (value, shown)),
            None => self.ask_for_time(command, asked).await,
        };
        // After an error, who answers next may be another server.
        answer.inspect_err(|_| self.time.show(None))
    }

    async fn ask_for_time(&self, command: Cmd, asked: Instant) -> Result<(Value, Shown), Error> {
        let mut both = pipe();
        both.add_command(command).cmd("TIME");
        let (value, (seconds, micros)): (Value, (u64, u64)) = self.redis.pipe(&both).await?;
        let shown = Shown::new(seconds, micros, asked);
        self.time.show(Some(shown));
        Ok((value, shown))
    }

    /// For values that do not tell their end, since an older program has written them: the server is asked once more.
    #[cold]
    async fn ask_for_ends(
        &self,
        names: &[impl AsRef<str>],
        answers: Vec<Result<Option<Stored>, Vec<u8>>>,
    ) -> Result<Vec<Option<Stored>>, Error> {
        let mut ask = pipe();
        for (name, _) in names.iter().zip(&answers).filter(|(_, answer)| answer.is_err()) {
            ask.pttl(name.as_ref());
        }
        let ends: Vec<i64> = self.redis.pipe(&ask).await?;
        let mut ends = ends.into_iter();
        let mut with_end = |bytes| Some(Stored { bytes, left: super::left(ends.next().unwrap_or(GONE)) });
        Ok(answers.into_iter().map(|answer| answer.unwrap_or_else(&mut with_end)).collect())
    }
}

/// What `PTTL` says of what is not there.
const GONE: i64 = -2;

/// A value of an answer; its bytes alone if they do not tell when they end.
fn stored(value: Value, shown: Shown, now: Instant) -> Result<Option<Stored>, Vec<u8>> {
    let Value::BulkString(mut bytes) = value else { return Ok(None) };
    match split(&mut bytes) {
        Some(ends) => Ok(Some(Stored { left: shown.left(ends, now), bytes })),
        None => Err(bytes),
    }
}

/// A command that may be under way.
struct Lane {
    inner: Arc<Inner>,
    /// Whether it has yet to take what waits.
    gathering: bool,
}

impl Lane {
    fn start(mut self) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // It ends when nothing waits, and each command within the limit of an answer.
            runtime.spawn(async move { while self.carry().await {} });
        }
    }

    /// Sends what waits, and says whether there was anything.
    async fn carry(&mut self) -> bool {
        // What others ask for that run now goes along.
        tokio::task::yield_now().await;
        let (names, senders) = {
            let mut line = lock(&self.inner.line);
            if self.gathering {
                (line.gathering, self.gathering) = (false, false);
            }
            line.take()
        };
        if names.is_empty() {
            return false;
        }
        match self.inner.read(&names).await {
            Ok(answers) => {
                lock(&self.inner.line).note(&answers);
                for (sender, answer) in senders.into_iter().zip(answers) {
                    // Who asked may have given up.
                    let _ = sender.send(Ok(answer));
                }
            }
            Err(error) => {
                let failed = Failed::Redis(Arc::new(error));
                for sender in senders {
                    let _ = sender.send(Err(failed.clone()));
                }
            }
        }
        true
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let mut line = lock(&self.inner.line);
        line.under_way -= 1;
        if self.gathering {
            // It never ran: the runtime is gone. Those who wait are told so, instead of waiting for the next who asks.
            line.gathering = false;
            let waiting = std::mem::take(&mut line.waiting);
            drop(line);
            return drop(waiting);
        }
        let next = self.inner.gather(&mut line);
        drop(line);
        if let Some(next) = next {
            next.start();
        }
    }
}
