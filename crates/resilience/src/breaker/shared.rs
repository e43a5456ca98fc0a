//! Replicas that tell each other when a circuit opens.
//!
//! No call waits for Redis: each breaker decides by what it knows. One that opens by its own calls reports for how long, and
//! each looks at short intervals whether others have. Without Redis each is on its own, and says so.
//!
//! Redis keeps a sorted set for each callee: replicas, by when their circuits try again, on Redis' own clock. What travels
//! is the time that is left, so the clocks of replicas need not agree.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Weak};
use std::time::Duration;

use buttress_connect::redis::{Redis, client};
use buttress_core::{Event, Outcome, Validate, Violations, chain, timeout, units};
use serde::{Deserialize, Serialize};

use super::{Breaker, Inner};
use crate::error::Error;

/// How replicas tell each other that a circuit has opened.
///
/// | field | default | |
/// |---|---|---|
/// | `prefix` | `"buttress:breaker:"` | before the breaker's name, in Redis' keys |
/// | `every` | `"1s"` | how often each breaker looks; the cost is one command |
/// | `agree` | 1 | so many others must have opened for this one to follow |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SharingConfig {
    /// Before the breaker's name, in Redis' keys.
    pub prefix: String,
    /// How often each breaker looks.
    #[serde(with = "units::duration")]
    pub every: Duration,
    /// So many others must have opened for this one to follow.
    pub agree: u32,
}

impl Default for SharingConfig {
    fn default() -> Self {
        Self { prefix: "buttress:breaker:".to_owned(), every: Duration::from_secs(1), agree: 1 }
    }
}

impl Validate for SharingConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let prefix = self.prefix.len() <= 128;
        wrong.require(prefix, "prefix", format!("\"{}\"", self.prefix), "must be at most 128 bytes");
        crate::config::time(&mut wrong, "every", self.every, Self::default().every);
        wrong.require((1..=1000).contains(&self.agree), "agree", self.agree, "must be 1 to 1000; 1 is usual");
        wrong.into_result()
    }
}

/// Reports a wait in milliseconds if there is one, and answers for how long so many others are open.
///
/// A report never shortens another of the same replica. The key goes with its last entry.
const EXCHANGE: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local key, me, wait, agree = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if wait > 0 then
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    redis.call('ZADD', key, 'GT', now + wait, me)
    local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
    redis.call('PEXPIREAT', key, last[2])
end
local seen = 0
local open = redis.call('ZRANGE', key, '+inf', '(' .. now, 'BYSCORE', 'REV', 'LIMIT', 0, agree + 1, 'WITHSCORES')
for i = 1, #open, 2 do
    if open[i] ~= me then
        seen = seen + 1
        if seen == agree then return tonumber(open[i + 1]) - now end
    end
end
return 0
";

impl Breaker {
    /// Tells other replicas of this program when this breaker opens by its own calls, and opens when they have; for all
    /// clones, until the last of them is gone or a stop.
    ///
    /// A breaker that follows opens for as long as the other is, at most `open_most`; its probes are its own. Redis that does
    /// not answer costs nothing but the sharing.
    ///
    /// # Errors
    ///
    /// [`Error::Config`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn share(&self, redis: Redis, config: &SharingConfig) -> Result<(), Error> {
        config.validate().map_err(Error::Config)?;
        let exchange = Exchange {
            redis,
            script: client::Script::new(EXCHANGE),
            key: format!("{}{}", config.prefix, self.0.name),
            me: format!("{:016x}", RandomState::new().build_hasher().finish()),
            config: config.clone(),
        };
        let task = exchange.run(Arc::downgrade(&self.0));
        self.0.metrics.shared(true);
        self.0.ctx.shutdown.spawn(task);
        Ok(())
    }
}

/// What a breaker needs to speak to others.
struct Exchange {
    redis: Redis,
    script: client::Script,
    key: String,
    me: String,
    config: SharingConfig,
}

impl Exchange {
    async fn run(self, breaker: Weak<Inner>) {
        let Some((ctx, mut opened)) =
            breaker.upgrade().map(|inner| (inner.ctx.clone(), inner.opened.subscribe()))
        else {
            return;
        };
        let mut reaches = true;
        loop {
            tokio::select! {
                () = ctx.clock.sleep(self.config.every) => {}
                changed = opened.changed() => if changed.is_err() { return },
                () = ctx.shutdown.stopped() => return,
            }
            let Some(inner) = breaker.upgrade() else { return };
            let mine = opened.borrow_and_update().map(|until| until.since(inner.now()));
            let answer = tokio::select! {
                answer = self.ask(mine.unwrap_or_default(), &inner) => answer,
                () = ctx.shutdown.stopped() => return,
            };
            match &answer {
                Ok(wait) if wait.is_zero() => {}
                Ok(wait) => drop(Breaker(Arc::clone(&inner)).open_for(*wait)),
                Err(_) => {}
            }
            if reaches != answer.is_ok() {
                reaches = answer.is_ok();
                inner.tell_sharing(answer.err());
            }
        }
    }

    /// Reports this breaker's wait, if it has one, and learns for how long others are open.
    async fn ask(&self, mine: Duration, inner: &Inner) -> Result<Duration, String> {
        let mine = u64::try_from(mine.as_millis()).unwrap_or(u64::MAX);
        let mut call = self.script.key(&self.key);
        call.arg(&self.me).arg(mine).arg(self.config.agree);
        // A look that takes longer is worth less than the next.
        let limit = self.config.every.max(Duration::from_secs(1));
        let asked = timeout(&*inner.ctx.clock, limit, self.redis.invoke::<u64>(&call)).await;
        match asked {
            Ok(Ok(wait)) => Ok(Duration::from_millis(wait)),
            Ok(Err(error)) => Err(chain(&error)),
            Err(elapsed) => Err(elapsed.to_string()),
        }
    }
}

impl Inner {
    /// Once when others cannot be reached any more, and once when they can again.
    fn tell_sharing(&self, problem: Option<String>) {
        self.metrics.shared(problem.is_none());
        let outcome = if problem.is_none() { Outcome::Success } else { Outcome::Failure };
        let detail = match problem {
            None => "shares with other replicas again".to_owned(),
            Some(problem) => format!("decides alone: {problem}"),
        };
        tracing::warn!(target: "buttress::resilience", policy = &*self.name, "breaker {detail}");
        let event = Event::new(self.ctx.clock.wall(), "breaker.sharing", outcome);
        self.ctx.events.emit(event.target(&*self.name).detail(detail));
    }
}
