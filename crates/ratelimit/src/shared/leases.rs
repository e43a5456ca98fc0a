//! Leases: blocks of a limit that are used up here without asking the server.
//!
//! A check takes from a block that this process has; only when it is used up, or older than `lease_keep`, the server is asked for another,
//! which is one `lease_share`-th of what is left, and the cost of the request at least. So blocks shrink towards the limit,
//! until every call asks. What is left of an old block goes back with the next call.
//!
//! # What is admitted
//!
//! Limits are counted by the windows of the calendar, on the server's time, whatever their algorithm. **In no window is more admitted than
//! the quota, however many processes there are.** For: what a window hands out, less what came back of it, never exceeds the quota, since one
//! script decides. A process uses a block only before its window ends: it takes the time left from the moment when it *sent* the
//! call, and the server read its clock after that, so by the server's clock the block ends no later than the window; and some milliseconds
//! are taken off for the clock's tick. And what comes
//! back counts only for the window that it was of, which the call names. So what is used in a window was handed out in it. The overshoot of
//! the calendar's windows is zero; over the edge of two windows it is that of [`FixedWindow`](crate::algorithm::FixedWindow).
//!
//! Less may be admitted: what processes hold and do not use, at most `1 / lease_share` of what was left for each of them, and for
//! at most `lease_keep`, since an active caller's block goes back then. A process that is killed keeps its blocks until their windows end, and
//! so does one whose answer comes later than `within`: nobody uses it. While the server does not answer, the calls that try it are for
//! no block, so that a server that is slow for long does not hand out all to nobody.
//!
//! Leases are kept for at most `max_keys` combinations, and for names of at most 512 bytes together; others ask the server each time.
//!
//! A block is of one combination of caller, tier and route, so a limit for all together is handed out in many blocks. A ban
//! made elsewhere is noticed when the server is asked next, after `lease_keep` at the latest. A refusal is remembered as long, without being
//! held against the caller each time.

use std::time::Duration;

use hashbrown::HashTable;

use super::call::Answer;
use crate::algorithm::{Algorithm, Nanos};
use crate::decision::{Decision, Quota};
use crate::fingerprint::{Fingerprint, shard};
use crate::plan::Plan;
use crate::request::OwnedRequest;
use crate::store::Identity;
use crate::sync::{Mutex, MutexGuard, lock};
use crate::{LimiterConfig, Policy, Request, WindowStatus};

const SHARDS: usize = 64;
/// Leases looked at for being over with each that comes.
const SWEEP: usize = 4;

/// All names of a request that has leases, together, in bytes.
const LONGEST_NAMES: usize = 512;

/// How much earlier than the server's window a block ends here: more than the clock's tick, by which times may be old, and than two
/// clocks drift apart within `lease_keep`.
const MARGIN: Nanos = 12_000_000;

/// What this process may use.
#[derive(Debug)]
struct Lease {
    print: Fingerprint,
    left: u32,
    /// When it is given back at the latest.
    until: Nanos,
    /// Until then somebody waits for a block, and the others ask for no more than they need.
    asking_until: Nanos,
    /// When its windows end, and nothing of it is worth anything.
    ends: Nanos,
    /// How the limits stood when it was granted.
    quota: Quota,
    /// When that was.
    asked: Nanos,
    /// Refused until then.
    refused: bool,
    starts: Box<[i64]>,
    /// How each limit stood then.
    windows: Box<[WindowStatus]>,
    /// Whose it is, for giving it back.
    whose: Box<OwnedRequest>,
}

/// What goes back with the next call.
#[derive(Debug, Default)]
pub(super) struct Back {
    pub(super) left: u32,
    pub(super) starts: Box<[i64]>,
}

/// What a lease had for a request.
#[derive(Debug)]
pub(super) enum Spent {
    /// It was decided here.
    Decided(Decision),
    /// The server has to be asked.
    UsedUp(Back),
}

/// The leases of a process.
pub(super) struct Leases {
    shards: Box<[Mutex<HashTable<Lease>>]>,
    most: usize,
    keep: Nanos,
    identity: Identity,
}

/// The configuration with all limits counted by the windows of the calendar.
pub(super) fn by_the_calendar(config: &LimiterConfig) -> LimiterConfig {
    let mut config = config.clone();
    let turn = |policy: &mut Policy| {
        let limits = policy.limits().iter().map(|limit| limit.algorithm(Algorithm::FixedWindow));
        *policy = Policy::new(limits);
    };
    config.tiers.values_mut().for_each(turn);
    config.routes.values_mut().map(|route| &mut route.limits).for_each(turn);
    [&mut config.anonymous, &mut config.known_address, &mut config.global].into_iter().for_each(turn);
    config
}

impl Leases {
    pub(super) fn new(max_keys: usize, keep: Duration) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            most: (max_keys / SHARDS).max(1),
            keep: Nanos::try_from(keep.as_nanos()).unwrap_or(Nanos::MAX / 4),
            identity: Identity::random(),
        }
    }

    /// What stands for the combination of subjects, tier and route.
    pub(super) fn print(&self, request: &Request<'_>, plan: &Plan) -> Fingerprint {
        let mut print = match plan.tier_name(request.tier) {
            // The default tier is worth no hash.
            "" => Fingerprint::default(),
            tier => self.identity.route.fingerprint(tier.as_bytes()),
        };
        for subject in request.subjects() {
            print = print.with(self.identity.subject(subject, plan));
        }
        match request.route.filter(|name| plan.routes.contains_key(*name)) {
            Some(route) => print.with(self.identity.route.fingerprint(route.as_bytes()).part(1)),
            None => print,
        }
    }

    fn shard(&self, print: Fingerprint) -> Option<MutexGuard<'_, HashTable<Lease>>> {
        #[allow(clippy::cast_possible_truncation, reason = "one of 64")]
        let shard = shard(print.place, SHARDS);
        self.shards.get(shard).map(lock)
    }

    /// Takes `cost` from the lease, if it has so much.
    pub(super) fn spend(&self, print: Fingerprint, now: Nanos, cost: u32) -> Spent {
        let nothing = Spent::UsedUp(Back::default());
        let Some(mut table) = self.shard(print) else { return nothing };
        let Some(lease) = table.find_mut(print.place, |lease| lease.print == print) else { return nothing };
        if now < lease.until {
            let quota = |remaining, retry_after| Quota {
                remaining,
                retry_after,
                reset_after: lease.ends.saturating_sub(now),
                ..lease.quota
            };
            if lease.refused && cost > 0 {
                let rest = lease.until.saturating_sub(now);
                return Spent::Decided(Decision::Limited(quota(0, rest)));
            }
            if let Some(left) = lease.left.checked_sub(cost) {
                lease.left = left;
                return Spent::Decided(Decision::Admitted(quota(left, 0)));
            }
        }
        // It is taken away here, so that nobody else uses what goes back.
        let left = if now < lease.ends { std::mem::take(&mut lease.left) } else { 0 };
        lease.left = 0;
        lease.until = 0;
        Spent::UsedUp(Back { left, starts: std::mem::take(&mut lease.starts) })
    }

    /// Whether a call that is sent now, and answered within so long, is for a block: only one is under way at a time, so that many
    /// callers at once do not lease the whole limit. The others ask for what they need.
    pub(super) fn asks_for_block(
        &self,
        print: Fingerprint,
        now: Nanos,
        within: Nanos,
        request: &Request<'_>,
    ) -> bool {
        if !is_kept(request) {
            return false;
        }
        let Some(mut table) = self.shard(print) else { return false };
        let asking_until = now.saturating_add(within);
        if let Some(lease) = table.find_mut(print.place, |lease| lease.print == print) {
            let alone = now >= lease.asking_until;
            if alone {
                lease.asking_until = asking_until;
            }
            return alone;
        }
        make_room(&mut table, now, self.most);
        let nothing = Lease {
            print,
            left: 0,
            until: 0,
            asking_until,
            ends: asking_until,
            quota: Quota::UNLIMITED,
            asked: now,
            refused: false,
            starts: Box::default(),
            windows: Box::default(),
            whose: Box::new(request.detached()),
        };
        table.insert_unique(print.place, nothing, |lease| lease.print.place);
        true
    }

    /// How the limits of a lease stand, as far as is known here: what the server had when it was asked, and what is left of the block.
    pub(super) fn windows(&self, print: Fingerprint, now: Nanos) -> Vec<WindowStatus> {
        let Some(table) = self.shard(print) else { return Vec::new() };
        let Some(lease) = table.find(print.place, |lease| lease.print == print) else { return Vec::new() };
        let age = Duration::from_nanos(now.saturating_sub(lease.asked));
        let stands = lease.windows.iter().cloned().map(|window| WindowStatus {
            remaining: window.remaining.saturating_add(lease.left),
            retry_after: window.retry_after.map(|wait| wait.saturating_sub(age)),
            reset_after: window.reset_after.saturating_sub(age),
            ..window
        });
        stands.collect()
    }

    /// Takes away what is left of leases that are older than they are kept, or of all, to be given back.
    pub(super) fn take(&self, now: Nanos, all: bool) -> Vec<(OwnedRequest, Back)> {
        let mut taken = Vec::new();
        for shard in &self.shards {
            let mut table = lock(shard);
            table.retain(|lease| {
                if now >= lease.ends {
                    return false;
                }
                if lease.left > 0 && (all || now >= lease.until) {
                    let back = Back { left: lease.left, starts: std::mem::take(&mut lease.starts) };
                    taken.push(((*lease.whose).clone(), back));
                    return false;
                }
                true
            });
        }
        taken
    }

    /// Keeps what the server has granted or refused to a call that was sent at `sent`, for a block or not; `cost` of it is used already.
    pub(super) fn granted(
        &self,
        print: Fingerprint,
        sent: Nanos,
        cost: u32,
        block: bool,
        answer: &Answer,
        request: &Request<'_>,
    ) {
        if !is_kept(request) {
            return;
        }
        let Some(mut table) = self.shard(print) else { return };
        if block && let Some(lease) = table.find_mut(print.place, |lease| lease.print == print) {
            lease.asking_until = 0;
        }
        let (left, refused, quota) = match &answer.decision {
            Decision::Admitted(quota) => (answer.granted.saturating_sub(cost), false, *quota),
            // What costs more than ever is there says nothing about less.
            Decision::Limited(quota) if quota.remaining == 0 => (0, true, *quota),
            _ => return,
        };
        let rests = answer.windows.iter().filter(|window| !refused || window.remaining == 0);
        let rest = rests.map(|window| window.reset_after).min().unwrap_or_default();
        let rest = Nanos::try_from(rest.as_nanos()).unwrap_or(Nanos::MAX / 4).saturating_sub(MARGIN);
        let ends = sent.saturating_add(rest);
        let until = ends.min(sent.saturating_add(self.keep));
        let starts = answer.starts.clone().into();
        if let Some(lease) = table.find_mut(print.place, |lease| lease.print == print) {
            // Another call may have been granted one meanwhile; of the same windows, both are used.
            let same = lease.starts == starts && sent < lease.ends;
            let known = if same { lease.left } else { 0 };
            let ends = if same { ends.min(lease.ends) } else { ends };
            let refused = refused && known == 0;
            lease.left = known.saturating_add(left);
            (lease.until, lease.ends, lease.quota) = (until.min(ends), ends, quota);
            lease.asked = sent;
            (lease.refused, lease.starts) = (refused, starts);
            lease.windows = answer.windows.clone().into();
            return;
        }
        make_room(&mut table, sent, self.most);
        let whose = Box::new(request.detached());
        let windows = answer.windows.clone().into();
        let (asking_until, asked) = (0, sent);
        let lease =
            Lease { print, left, until, asking_until, ends, quota, asked, refused, starts, windows, whose };
        table.insert_unique(print.place, lease, |lease| lease.print.place);
    }
}

/// Whether there are leases for a request: its names are kept for giving back, so those that are long are not.
fn is_kept(request: &Request<'_>) -> bool {
    let names = [request.user, request.api_key, request.route, request.tier];
    names.into_iter().flatten().map(str::len).sum::<usize>() <= LONGEST_NAMES
}

/// Forgets leases that are over; where all are worth something and there are too many, any one, whose rest is lost.
fn make_room(table: &mut HashTable<Lease>, now: Nanos, most: usize) {
    let buckets = table.num_buckets();
    let mut looked = 0;
    // A place that depends on nothing that a caller chooses.
    let first = usize::try_from(now >> 10).unwrap_or(0);
    for bucket in (0..buckets).map(|step| first.wrapping_add(step) % buckets) {
        if let Ok(found) = table.get_bucket_entry(bucket) {
            if found.get().ends <= now {
                found.remove();
            }
            looked += 1;
        }
        if looked >= SWEEP {
            break;
        }
    }
    if table.len() >= most
        && let Some(bucket) = (0..buckets)
            .map(|step| first.wrapping_add(step) % buckets)
            .find(|bucket| table.get_bucket(*bucket).is_some())
        && let Ok(found) = table.get_bucket_entry(bucket)
    {
        found.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::NEVER;

    #[test]
    fn a_million_callers_stay_within_the_bound() {
        let most = 10_000;
        let (leases, plan) =
            (Leases::new(most, Duration::from_secs(2)), crate::Limiter::new(crate::Limit::per_hour(10)));
        let plan = &plan.inner.plan;
        let answer = |granted| Answer {
            decision: Decision::Admitted(Quota::UNLIMITED),
            windows: Vec::new(),
            bans: Vec::new(),
            granted,
            starts: vec![0],
        };
        let count =
            || leases.shards.iter().map(|shard| shard.lock().map_or(0, |table| table.len())).sum::<usize>();
        for i in 0..1_000_000_u64 {
            let user = format!("user-{i}");
            let request = Request::user(&user);
            let print = leases.print(&request, plan);
            assert!(leases.asks_for_block(print, i, NEVER / 2, &request));
            assert!(!leases.asks_for_block(print, i, NEVER / 2, &request), "one at a time");
            // A third of them gets no answer.
            if i % 3 > 0 {
                leases.granted(print, i, 1, true, &answer(8), &request);
            }
        }
        assert!(count() <= most, "{}", count());
        let long = "x".repeat(1_000);
        let request = Request::user(&long);
        let print = leases.print(&request, plan);
        assert!(!leases.asks_for_block(print, 0, 1, &request));
        leases.granted(print, 0, 1, false, &answer(1), &request);
        assert!(matches!(leases.spend(print, 0, 1), Spent::UsedUp(_)));
    }
}
