//! Jobs in Redis Streams. Every operation is one Lua script, so it happens as a whole or not at all.
//!
//! | key | holds |
//! |---|---|
//! | `{buttress:NAME}:ready` | the stream: one entry a job that is ready or in hand; its consumer group is `workers` |
//! | `{buttress:NAME}:delayed` | sorted set: job keys by the time at which they are ready again |
//! | `{buttress:NAME}:jobs` | hash: job key to payload; a job is known while it is here |
//! | `{buttress:NAME}:attempts` | hash: job key to how often it was given out |
//! | `{buttress:NAME}:dead` | sorted set: job keys of dead letters by the time at which they were given up |
//! | `{buttress:NAME}:reasons` | hash: job key to class and reason of a dead letter |
//!
//! The braces keep them on one node of a cluster. Time is the server's.

use buttress_connect::redis::Redis;
use buttress_connect::redis::client::{Script, ScriptInvocation};
use buttress_core::{Ctx, Key, SharedClock};
use bytes::Bytes;

use super::shared::{full, key, millis};
use crate::{DeadLetter, DeadLetters, Error, Job, Pushed, Queue, QueueConfig, Stats, Verdict};

/// Names for the keys, and the time.
const PRELUDE: &str = "
local ready, delayed, jobs, attempts, dead, reasons = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
";

/// Arguments: job key, payload, depth.
const PUSH: &str = "
if redis.call('HEXISTS', jobs, ARGV[1]) == 1 then return 'known' end
local buried = redis.call('ZCARD', dead)
if redis.call('HLEN', jobs) - buried >= tonumber(ARGV[3]) then return 'full' end
if buried >= tonumber(ARGV[3]) then return 'full of dead letters' end
redis.call('HSET', jobs, ARGV[1], ARGV[2])
redis.call('XADD', ready, '*', 'key', ARGV[1])
return 'new'
";

/// Arguments: how many, lease. First those whose time has come go back into the stream; then leases that have run out
/// are taken over; then new entries are read.
const CLAIM: &str = "
local most, lease = tonumber(ARGV[1]), tonumber(ARGV[2])
for _, key in ipairs(redis.call('ZRANGE', delayed, '-inf', now, 'BYSCORE', 'LIMIT', 0, most)) do
    redis.call('ZREM', delayed, key)
    redis.call('XADD', ready, '*', 'key', key)
end
if redis.call('EXISTS', ready) == 0 then return {} end
pcall(redis.call, 'XGROUP', 'CREATE', ready, 'workers', '0')
local entries, cursor = {}, '0-0'
repeat
    local taken = redis.call('XAUTOCLAIM', ready, 'workers', 'all', lease, cursor, 'COUNT', most - #entries)
    for _, entry in ipairs(taken[2]) do entries[#entries + 1] = entry end
    cursor = taken[1]
until cursor == '0-0' or #entries >= most
if #entries < most then
    local read = redis.call('XREADGROUP', 'GROUP', 'workers', 'all', 'COUNT', most - #entries, 'STREAMS', ready, '>')
    if read then
        for _, entry in ipairs(read[1][2]) do entries[#entries + 1] = entry end
    end
end
local claimed = {}
for _, entry in ipairs(entries) do
    local key = entry[2][2]
    local attempt = redis.call('HINCRBY', attempts, key, 1)
    claimed[#claimed + 1] = {entry[1], key, redis.call('HGET', jobs, key), attempt}
end
return claimed
";

/// Arguments: entry, job key, attempt, verdict, and what the verdict needs. An entry that was given out again since has
/// another attempt; one that was settled is not pending.
const SETTLE: &str = "
local entry, key, verdict = ARGV[1], ARGV[2], ARGV[4]
if redis.call('HGET', attempts, key) ~= ARGV[3] then return 0 end
local pending = redis.pcall('XPENDING', ready, 'workers', entry, entry, 1)
if pending.err or #pending == 0 then return 0 end
if verdict == 'extend' then
    redis.call('XCLAIM', ready, 'workers', 'all', 0, entry, 'JUSTID')
    return 1
end
redis.call('XACK', ready, 'workers', entry)
redis.call('XDEL', ready, entry)
if verdict == 'done' then
    redis.call('HDEL', jobs, key)
    redis.call('HDEL', attempts, key)
elseif verdict == 'retry' then
    if tonumber(ARGV[5]) == 0 then
        redis.call('XADD', ready, '*', 'key', key)
    else
        redis.call('ZADD', delayed, now + ARGV[5], key)
    end
else
    redis.call('ZADD', dead, now, key)
    redis.call('HSET', reasons, key, ARGV[5])
end
return 1
";

/// Argument: lease. A stream's entry ids are the times at which they came.
const STATS: &str = "
local lease = tonumber(ARGV[1])
local due = redis.call('ZCOUNT', delayed, '-inf', now)
local waiting = redis.call('ZCARD', delayed) - due
local in_stream, in_hand, oldest = redis.call('XLEN', ready), 0, now
local groups = redis.pcall('XINFO', 'GROUPS', ready)
local last = '-'
if not groups.err and #groups > 0 then
    local group = {}
    for i = 1, #groups[1], 2 do group[groups[1][i]] = groups[1][i + 1] end
    last = '(' .. group['last-delivered-id']
    in_hand = group['pending']
    local overdue = redis.call('XPENDING', ready, 'workers', 'IDLE', lease, '-', '+', in_hand + 1)
    in_hand = in_hand - #overdue
    for _, entry in ipairs(overdue) do oldest = math.min(oldest, now - entry[3] + lease) end
end
local first = redis.call('XRANGE', ready, last, '+', 'COUNT', 1)
if #first > 0 then oldest = math.min(oldest, tonumber(string.match(first[1][1], '%d+'))) end
local first_due = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
if due > 0 then oldest = math.min(oldest, tonumber(first_due[2])) end
return {in_stream - in_hand + due, in_hand, waiting, redis.call('ZCARD', dead), now - oldest}
";

/// Argument: how many.
const DEAD: &str = "
local letters = {}
for _, key in ipairs(redis.call('ZRANGE', dead, 0, ARGV[1] - 1)) do
    letters[#letters + 1] = {
        key, redis.call('HGET', jobs, key), tonumber(redis.call('HGET', attempts, key)),
        redis.call('HGET', reasons, key), tonumber(redis.call('ZSCORE', dead, key)),
    }
end
return letters
";

/// Argument: job key.
const REVIVE: &str = "
if redis.call('ZREM', dead, ARGV[1]) == 0 then return 0 end
redis.call('HDEL', attempts, ARGV[1])
redis.call('HDEL', reasons, ARGV[1])
redis.call('XADD', ready, '*', 'key', ARGV[1])
return 1
";

pub(crate) struct RedisQueue {
    redis: Redis,
    config: QueueConfig,
    clock: SharedClock,
    push: Script,
    claim: Script,
    settle: Script,
    stats: Script,
    dead: Script,
    revive: Script,
}

impl RedisQueue {
    pub(crate) async fn open(config: &QueueConfig, ctx: &Ctx) -> Result<Self, Error> {
        let script = |body: &str| Script::new(&format!("{PRELUDE}{body}"));
        Ok(Self {
            redis: Redis::connect(&config.url, &config.connection).await?,
            config: config.clone(),
            clock: ctx.clock.clone(),
            push: script(PUSH),
            claim: script(CLAIM),
            settle: script(SETTLE),
            stats: script(STATS),
            dead: script(DEAD),
            revive: script(REVIVE),
        })
    }

    /// A call of `script` on this queue's keys.
    fn on_keys<'a>(&self, script: &'a Script) -> ScriptInvocation<'a> {
        let mut call = script.prepare_invoke();
        for part in ["ready", "delayed", "jobs", "attempts", "dead", "reasons"] {
            call.key(format!("{{buttress:{}}}:{part}", self.config.name));
        }
        call
    }
}

impl Queue for RedisQueue {
    async fn push(&self, key: &Key, payload: Bytes) -> Result<Pushed, Error> {
        let mut call = self.on_keys(&self.push);
        call.arg(key.as_str()).arg(&*payload).arg(self.config.depth);
        match self.redis.invoke::<String>(&call).await?.as_str() {
            "new" => Ok(Pushed::New),
            "known" => Ok(Pushed::Known),
            "full" => Err(full(&self.config, "jobs are unfinished")),
            _ => Err(full(&self.config, "dead letters wait for somebody")),
        }
    }

    async fn claim(&self, at_most: usize) -> Result<Vec<Job>, Error> {
        if at_most == 0 {
            return Ok(Vec::new());
        }
        let held_since = self.clock.now();
        let mut call = self.on_keys(&self.claim);
        call.arg(at_most).arg(millis(self.config.lease));
        let claimed: Vec<(String, String, Vec<u8>, u32)> = self.redis.invoke(&call).await?;
        claimed
            .into_iter()
            .map(|(entry, name, payload, attempt)| {
                Ok(Job::new(key(&name)?, payload.into(), attempt, entry, held_since))
            })
            .collect()
    }

    async fn settle(&self, job: &Job, verdict: Verdict) -> Result<(), Error> {
        let mut call = self.on_keys(&self.settle);
        call.arg(&job.token).arg(job.key.as_str()).arg(job.attempt);
        match verdict {
            Verdict::Done => call.arg("done"),
            Verdict::Extend => call.arg("extend"),
            Verdict::Retry { after } => call.arg("retry").arg(millis(after)),
            Verdict::Dead { class, reason } => call.arg("dead").arg(format!("{class} {reason}")),
        };
        match self.redis.invoke::<u8>(&call).await? {
            1 => Ok(()),
            _ => Err(Error::LeaseLost { key: job.key.to_string(), attempt: job.attempt }),
        }
    }

    async fn stats(&self) -> Result<Stats, Error> {
        let mut call = self.on_keys(&self.stats);
        call.arg(millis(self.config.lease));
        let (ready, leased, delayed, dead, oldest) = self.redis.invoke(&call).await?;
        Ok(Stats::new(ready, leased, delayed, dead, oldest))
    }
}

impl DeadLetters for RedisQueue {
    async fn dead_letters(&self, at_most: usize) -> Result<Vec<DeadLetter>, Error> {
        if at_most == 0 {
            return Ok(Vec::new());
        }
        let mut call = self.on_keys(&self.dead);
        call.arg(at_most);
        let letters: Vec<(String, Vec<u8>, u32, String, u64)> = self.redis.invoke(&call).await?;
        letters
            .into_iter()
            .map(|(name, payload, attempts, told, died_at)| {
                let (class, reason) = told.split_once(' ').unwrap_or(("internal", &told));
                Ok(DeadLetter::new(
                    key(&name)?,
                    payload.into(),
                    attempts,
                    class.to_owned(),
                    reason.to_owned(),
                    died_at,
                ))
            })
            .collect()
    }

    async fn revive(&self, key: &Key) -> Result<(), Error> {
        let mut call = self.on_keys(&self.revive);
        call.arg(key.as_str());
        match self.redis.invoke::<u8>(&call).await? {
            1 => Ok(()),
            _ => Err(Error::NoDeadLetter { key: key.to_string() }),
        }
    }
}
