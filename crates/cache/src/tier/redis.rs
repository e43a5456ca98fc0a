//! A second tier in Redis: one server, a master with sentinels, or a cluster.

mod expiry;
mod reads;

use std::time::Duration;

use buttress_connect::redis::client::{Pipeline, Script, ScriptInvocation, cmd, pipe};
use buttress_connect::redis::{Redis, Subscription, Told};
use buttress_core::{BoxFuture, Key, SharedClock};
use futures_util::future::try_join_all;

use self::reads::Reads;
use super::{Answer, Heard, Lease, News, Stored, Tier, TierError};

/// Keeps bytes in Redis (7.0 or newer), under names that begin with the namespace. A value and its lease are of one slot, so it
/// works in a cluster.
///
/// # Reading
///
/// What many callers ask one server for at once goes as one `MGET` (up to 128 names; fewer where values are large), two of them under
/// way at most: at 64 callers a value costs half of what a `GET` of each does. One caller alone waits for no other.
///
/// The last 20 bytes of a value say when it ends by the server's clock, so that reading it is a plain `GET`; the clock (`TIME`) is asked
/// with the reads once a second. An end that somebody else gives to a name, by `EXPIRE`, is not seen by nodes that keep its value. A
/// value of a program before that has no such bytes: its end is asked for (`PTTL`). Such a program takes a value with them for damaged,
/// which is a miss, and writes it anew. In a cluster each server has its own clock, and each read is a `GET` and a `PTTL`.
pub struct RedisTier {
    redis: Redis,
    /// Where there is one server; in a cluster each has its own values and its own clock.
    reads: Option<Reads>,
    namespace: String,
    channel: String,
    scripts: Scripts,
}

struct Scripts {
    lease: Script,
    extend: Script,
    release: Script,
    fill: Script,
    write: Script,
    remove: Script,
    mark: Script,
    unmark: Script,
}

/// KEYS: value, lease. ARGV: token, milliseconds; the first bytes of a value that will not do, if there is one. 0 given, 1 taken,
/// 2 needless.
const LEASE: &str = "
if redis.call('STRLEN', KEYS[1]) > 0 and
  (not ARGV[3] or #ARGV[3] > 0 and redis.call('GETRANGE', KEYS[1], 0, #ARGV[3] - 1) ~= ARGV[3]) then return 2 end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return 0 end
return 1";

/// KEYS: lease. ARGV: token, milliseconds.
const EXTEND: &str = "
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])";

/// KEYS: lease. ARGV: token.
const RELEASE: &str = "
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 0";

/// After [`expiry::PUT`]. KEYS: value, lease. ARGV: token, bytes, milliseconds or 0.
const FILL: &str = "
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2])
put(KEYS[1], ARGV[2], ARGV[3])
return 1";

/// After [`expiry::PUT`]. KEYS: value, lease. ARGV: bytes, milliseconds or 0, channel, news.
const WRITE: &str = "
redis.call('DEL', KEYS[2])
put(KEYS[1], ARGV[1], ARGV[2])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 0";

/// KEYS: value, lease. ARGV: channel, news.
const REMOVE: &str = "
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('PUBLISH', ARGV[1], ARGV[2])
return 0";

/// KEYS: mark. ARGV: a new mark, milliseconds or 0. The mark that the tag has now.
const MARK: &str = "
local mark = redis.call('GET', KEYS[1])
if not mark then
  mark = ARGV[1]
  if ARGV[2] == '0' then redis.call('SET', KEYS[1], mark) else redis.call('SET', KEYS[1], mark, 'PX', ARGV[2]) end
elseif ARGV[2] == '0' then
  redis.call('PERSIST', KEYS[1])
else
  redis.call('PEXPIRE', KEYS[1], ARGV[2], 'GT')
end
return mark";

/// KEYS: mark. ARGV: channel, news.
const UNMARK: &str = "
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[1], ARGV[2])
return 0";

impl std::fmt::Debug for RedisTier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RedisTier({} in {:?})", self.namespace, self.redis)
    }
}

impl RedisTier {
    /// Under names that begin with `namespace`, which all nodes of the fleet have in common. Two caches on one Redis need two.
    #[must_use]
    pub fn new(redis: Redis, namespace: &str) -> Self {
        let scripts = Scripts {
            lease: Script::new(LEASE),
            extend: Script::new(EXTEND),
            release: Script::new(RELEASE),
            fill: Script::new(&[expiry::PUT, FILL].concat()),
            write: Script::new(&[expiry::PUT, WRITE].concat()),
            remove: Script::new(REMOVE),
            mark: Script::new(MARK),
            unmark: Script::new(UNMARK),
        };
        let reads = (!redis.is_cluster()).then(|| Reads::new(redis.clone()));
        Self { redis, reads, namespace: namespace.to_owned(), channel: format!("{namespace}:news"), scripts }
    }

    /// The name of a value. What stands in braces decides about the slot.
    fn value_name(&self, name: &str) -> String {
        [&self.namespace, ":{", name, "}"].concat()
    }

    /// The names of a value and of its lease.
    fn names(&self, name: &str) -> (String, String) {
        let value = self.value_name(name);
        let lease = [&value, ":lease"].concat();
        (value, lease)
    }

    /// The name of a tag's mark.
    fn mark_name(&self, tag: &Key) -> String {
        format!("{}:{{{tag}}}:tag", self.namespace)
    }

    async fn run<T>(&self, script: &ScriptInvocation<'_>) -> Result<T, TierError>
    where
        T: buttress_connect::redis::client::FromRedisValue,
    {
        self.redis.invoke(script).await.map_err(TierError::of)
    }
}

/// In milliseconds: so long that it does not matter, and the sum with any date is exact in Lua's numbers.
const LONGEST: u64 = 1 << 52;

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).clamp(1, LONGEST)
}

/// What `PTTL` said.
fn left(millis: i64) -> Option<Duration> {
    // -1: no end; -2: it went meanwhile.
    (millis != -1).then(|| Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
}

/// 0: without an end.
fn millis_or_none(duration: Option<Duration>) -> u64 {
    duration.map_or(0, millis)
}

impl Tier for RedisTier {
    fn get<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Stored>> {
        Box::pin(async move {
            let value = self.value_name(name);
            if let Some(reads) = &self.reads {
                return reads.get(value).await;
            }
            let mut both: Pipeline = pipe();
            both.get(&value).pttl(&value);
            let (bytes, ends_in): (Option<Vec<u8>>, i64) =
                self.redis.pipe(&both).await.map_err(TierError::of)?;
            // -1: no end; -2: it went between the two.
            Ok(bytes.map(|mut bytes| {
                // A cluster's servers have a clock each, so here what the server says counts.
                expiry::split(&mut bytes);
                Stored { bytes, left: left(ends_in) }
            }))
        })
    }

    fn lease<'a>(
        &'a self,
        name: &'a str,
        token: u64,
        length: Duration,
        over: Option<&'a [u8]>,
    ) -> Answer<'a, Lease> {
        Box::pin(async move {
            let (value, lease) = self.names(name);
            let mut script = self.scripts.lease.prepare_invoke();
            script.key(value).key(lease).arg(token).arg(millis(length)).arg(over);
            let answer: i64 = self.run(&script).await?;
            Ok(match answer {
                0 => Lease::Given,
                1 => Lease::Taken,
                _ => Lease::Needless,
            })
        })
    }

    fn extend<'a>(&'a self, name: &'a str, token: u64, length: Duration) -> Answer<'a, bool> {
        Box::pin(async move {
            let mut script = self.scripts.extend.prepare_invoke();
            script.key(self.names(name).1).arg(token).arg(millis(length));
            self.run(&script).await
        })
    }

    fn release<'a>(&'a self, name: &'a str, token: u64) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut script = self.scripts.release.prepare_invoke();
            script.key(self.names(name).1).arg(token);
            self.run::<i64>(&script).await.map(drop)
        })
    }

    fn fill<'a>(
        &'a self,
        name: &'a str,
        token: u64,
        bytes: &'a [u8],
        keep: Option<Duration>,
    ) -> Answer<'a, bool> {
        Box::pin(async move {
            let (value, lease) = self.names(name);
            let mut script = self.scripts.fill.prepare_invoke();
            script.key(value).key(lease).arg(token).arg(bytes).arg(millis_or_none(keep));
            self.run(&script).await
        })
    }

    fn write<'a>(
        &'a self,
        name: &'a str,
        bytes: &'a [u8],
        keep: Option<Duration>,
        news: &'a [u8],
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let (value, lease) = self.names(name);
            let mut script = self.scripts.write.prepare_invoke();
            script.key(value).key(lease).arg(bytes).arg(millis_or_none(keep)).arg(&self.channel).arg(news);
            self.run::<i64>(&script).await.map(drop)
        })
    }

    fn remove<'a>(&'a self, name: &'a str, news: &'a [u8]) -> Answer<'a, ()> {
        Box::pin(async move {
            let (value, lease) = self.names(name);
            let mut script = self.scripts.remove.prepare_invoke();
            script.key(value).key(lease).arg(&self.channel).arg(news);
            self.run::<i64>(&script).await.map(drop)
        })
    }

    fn mark<'a>(&'a self, tags: &'a [Key], keep: Option<Duration>) -> Answer<'a, Vec<u64>> {
        Box::pin(async move {
            // Each by itself, since in a cluster each is of a slot of its own; all of them at once.
            let mark = async |tag| {
                let mut script = self.scripts.mark.prepare_invoke();
                script.key(self.mark_name(tag)).arg(buttress_core::unique_number()).arg(millis_or_none(keep));
                self.run(&script).await
            };
            try_join_all(tags.iter().map(mark)).await
        })
    }

    fn marks<'a>(&'a self, tags: &'a [Key]) -> Answer<'a, Vec<Option<u64>>> {
        Box::pin(async move {
            let mut command = cmd("MGET");
            for tag in tags {
                command.arg(self.mark_name(tag));
            }
            self.redis.query(&command).await.map_err(TierError::of)
        })
    }

    fn unmark<'a>(&'a self, tag: &'a Key, news: &'a [u8]) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut script = self.scripts.unmark.prepare_invoke();
            script.key(self.mark_name(tag)).arg(&self.channel).arg(news);
            self.run::<i64>(&script).await.map(drop)
        })
    }

    fn publish<'a>(&'a self, news: &'a [u8]) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut command = cmd("PUBLISH");
            command.arg(&self.channel).arg(news);
            self.redis.query::<i64>(&command).await.map(drop).map_err(TierError::of)
        })
    }

    fn listen(&self, beat: Duration, clock: SharedClock) -> Box<dyn News> {
        Box::new(Listening(self.redis.subscribe([self.channel.clone()], beat, clock)))
    }
}

struct Listening(Subscription);

impl News for Listening {
    fn next(&mut self) -> BoxFuture<'_, Heard> {
        Box::pin(async move {
            match self.0.next().await {
                Told::Subscribed => Heard::Begun,
                Told::Message { payload, .. } => Heard::Message(payload),
                Told::Heard(moment) => Heard::UpTo(moment),
                Told::Lost(why) => Heard::Lost(why),
                // What is not known may be anything that was missed.
                _ => Heard::Lost("the subscription told something unknown".to_owned()),
            }
        })
    }
}
