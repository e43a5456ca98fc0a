//! One call of the script: what it is told, and what it answers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use buttress_connect::redis::client::{Script, ScriptInvocation};

use crate::algorithm::{Algorithm, NEVER, Nanos, Verdict};
use crate::caller::caller;
use crate::decision::{Decision, Quota};
use crate::plan::{Plan, Rules, Window};
use crate::status::WindowStatus;
use crate::view::View;
use crate::{PenaltyConfig, Request, Subject};

/// What the script does; numbered as there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Check = 1,
    Peek = 2,
    Refund = 3,
    Failure = 4,
    Pardon = 5,
    Ban = 6,
    /// As a check, but a refusal is held against nobody.
    Wait = 7,
    /// A lease, and what is left of the one before.
    Grant = 8,
    /// What is left of a lease.
    Return = 9,
}

/// What a call says of leases.
#[derive(Debug, Clone, Copy)]
pub(super) struct LeaseTerms<'l> {
    pub(super) share: u32,
    pub(super) most: u32,
    /// How much comes back, of the windows that began then.
    pub(super) back: u32,
    pub(super) starts: &'l [i64],
}

/// One subject with its limits, as the script is told of it.
struct Told<'p> {
    key: String,
    penalised: bool,
    group: u8,
    windows: Vec<&'p Window>,
}

/// A request as the script is told of it.
pub(super) struct Call<'p> {
    subjects: Vec<Told<'p>>,
    cost: u32,
}

/// What all keys of a limiter begin with. The braces keep them on one node of a cluster.
pub(super) fn prefix(limiter: &str) -> String {
    format!("{{buttress:{limiter}}}:")
}

/// What stands for a key in the server: nobody reads names or API keys there, and no key is long.
fn digest(kind: u8, text: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[kind]);
    for part in text {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let hash = hasher.finalize().to_hex();
    hash.as_str().get(..32).unwrap_or_default().to_owned()
}

fn subject_digest(subject: Subject<'_>, prefix: u8) -> String {
    let address = |address: IpAddr| caller(address, prefix).to_be_bytes();
    match subject {
        Subject::User(user) => digest(b'u', &[user.as_bytes()]),
        Subject::ApiKey(key) => digest(b'k', &[key.as_bytes()]),
        Subject::Ip(ip) => digest(b'a', &[&address(ip)]),
    }
}

impl<'p> Call<'p> {
    /// All that a request is about: its subjects first, as they are in the request, then the route and the global limit.
    pub(super) fn of(request: &Request<'_>, plan: &'p Plan) -> Self {
        let named = request.user.is_some() || request.api_key.is_some();
        let (tier, _) = plan.tier(request.tier);
        let mut subjects = Vec::with_capacity(5);
        let mut caller = String::new();
        for subject in request.subjects() {
            let key = subject_digest(subject, plan.ipv6_prefix);
            if caller.is_empty() {
                caller.clone_from(&key);
            }
            let rules = match subject {
                Subject::Ip(_) if named => &plan.known_address,
                Subject::Ip(_) => &plan.anonymous,
                _ => tier,
            };
            subjects.push(Told {
                key,
                penalised: true,
                group: rules.group,
                windows: rules.windows().collect(),
            });
        }
        let mut add = |key: String, rules: &'p Rules| {
            if !rules.is_empty() {
                subjects.push(Told { key, penalised: false, group: 0, windows: rules.windows().collect() });
            }
        };
        let route = request.route.and_then(|name| Some((name, plan.routes.get(name)?)));
        if let Some((name, route)) = route {
            let whose = if route.each_caller { caller.as_bytes() } else { &[] };
            add(digest(b'r', &[name.as_bytes(), whose]), &route.rules);
        }
        add("global".to_owned(), &plan.global);
        Self { subjects, cost: plan.cost(request, request.cost) }
    }

    /// A hash for each subject, then a list for each sliding log. What stands after the prefix has no brace, so no key of a limiter is one of
    /// another, whatever their names are.
    fn keys(&self, prefix: &str) -> Vec<String> {
        let hashes = self.subjects.iter().map(|subject| format!("{prefix}{}", subject.key));
        let lists = self.subjects.iter().flat_map(|subject| {
            let logs =
                subject.windows.iter().filter(|window| window.limit.counted_by() == Algorithm::SlidingLog);
            logs.map(move |window| {
                let micros = window.limit.window().as_micros();
                format!("{prefix}{}:{}:{micros}", subject.key, subject.group)
            })
        });
        hashes.chain(lists).collect()
    }

    /// The call of the script on keys that begin with `prefix`.
    pub(super) fn prepare<'a>(
        &self,
        script: &'a Script,
        prefix: &str,
        operation: Operation,
        penalties: &PenaltyConfig,
        amount: Option<u32>,
        lease: Option<LeaseTerms<'_>>,
    ) -> ScriptInvocation<'a> {
        let mut call = script.prepare_invoke();
        for key in self.keys(prefix) {
            call.key(key);
        }
        call.arg(operation as u8).arg(amount.unwrap_or(self.cost));
        if penalties.enabled {
            call.arg(1);
            call.arg(penalties.challenge_after)
                .arg(penalties.ban_after_violations)
                .arg(penalties.ban_after_failures);
            for time in [
                penalties.forget_violation,
                penalties.forget_failure,
                penalties.ban,
                penalties.ban_most,
                penalties.forget_ban,
            ] {
                call.arg(time.as_secs().max(1));
            }
        } else {
            call.arg(0);
        }
        call.arg(self.subjects.len());
        let mut lists = self.subjects.len()..;
        for subject in &self.subjects {
            call.arg(u8::from(subject.penalised)).arg(subject.group).arg(subject.windows.len());
            for window in &subject.windows {
                let (number, list) = match window.limit.counted_by() {
                    Algorithm::SlidingCounter => (1, 0),
                    Algorithm::SlidingLog => (2, lists.next().map_or(0, |before| before + 1)),
                    Algorithm::Gcra => (3, 0),
                    Algorithm::TokenBucket => (4, 0),
                    Algorithm::FixedWindow => (5, 0),
                };
                let micros = u64::try_from(window.limit.window().as_micros()).unwrap_or(u64::MAX);
                call.arg(number).arg(window.quota).arg(micros).arg(window.limit.at_once()).arg(list);
            }
        }
        if let Some(terms) = lease {
            call.arg(terms.share).arg(terms.most).arg(terms.back);
            let windows = self.subjects.iter().map(|subject| subject.windows.len()).sum();
            let starts = terms.starts.iter().copied().chain(std::iter::repeat(-1));
            for start in starts.take(windows) {
                call.arg(start);
            }
        }
        call
    }

    /// What the script has said.
    pub(super) fn read(&self, numbers: &[i64]) -> Option<Answer> {
        let mut numbers = numbers.iter().copied();
        let (outcome, wait) = (numbers.next()?, numbers.next()?);
        let bans =
            numbers.by_ref().take(self.subjects.len()).map(|ban| u64::try_from(ban).unwrap_or(0)).collect();
        let (mut view, mut windows) = (View::FREE, Vec::new());
        for window in self.subjects.iter().flat_map(|subject| &subject.windows) {
            let verdict = Verdict {
                allowed: numbers.next()? == 1,
                remaining: u32::try_from(numbers.next()?).unwrap_or(u32::MAX),
                retry_after: nanos(numbers.next()?),
                reset_after: nanos(numbers.next()?),
            };
            view.add(window, &verdict);
            windows.push(WindowStatus {
                name: Arc::clone(&window.name),
                limit: window.limit,
                remaining: verdict.remaining,
                retry_after: verdict.retry_after(),
                reset_after: verdict.reset_after(),
            });
        }
        let retry_after = Duration::from_nanos(nanos(wait));
        let decision = match outcome {
            0 => Decision::Admitted(view.quota),
            1 => Decision::Limited(Quota { ..view.quota }),
            2 => Decision::Challenge { retry_after },
            3 => Decision::Banned { retry_after },
            _ => return None,
        };
        if outcome > 1 {
            windows.clear();
        }
        let granted = u32::try_from(wait).unwrap_or(0);
        Some(Answer { decision, windows, bans, granted, starts: numbers.collect() })
    }
}

/// Microseconds of the script; less than none is never.
fn nanos(micros: i64) -> Nanos {
    u64::try_from(micros).map_or(NEVER, |micros| micros.saturating_mul(1_000))
}

/// What the script has said.
pub(super) struct Answer {
    pub(super) decision: Decision,
    pub(super) windows: Vec<WindowStatus>,
    /// For how many seconds each subject of the call is banned.
    pub(super) bans: Vec<u64>,
    /// How much a lease has, and when its windows began.
    pub(super) granted: u32,
    pub(super) starts: Vec<i64>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing expectation fails the test")]
mod tests {
    use std::collections::HashSet;

    use buttress_core::Ctx;
    use proptest::prelude::*;

    use super::*;
    use crate::{Limit, Limiter, LimiterConfig, RouteConfig};

    /// All kinds of limits, on all kinds of subjects.
    fn limiter() -> Limiter {
        let all = ["5/s", "6/m sliding_log", "7/h gcra", "9/d sliding_log"];
        let policy = || crate::Policy::new(all.map(|text| text.parse::<Limit>().unwrap()));
        let mut config = LimiterConfig::one(policy());
        (config.anonymous, config.known_address, config.global) = (policy(), policy(), policy());
        config.routes.insert("route".to_owned(), RouteConfig::new(policy()));
        Limiter::with(&config, &Ctx::default()).unwrap()
    }

    /// Texts that try to be another key, and any others.
    fn names() -> impl Strategy<Value = String> {
        prop_oneof!["[{}:ab0]{0,6}", "\\PC{0,20}", Just("global".to_owned()), Just("default".to_owned())]
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_refused(numbers in proptest::collection::vec(prop_oneof![Just(0), Just(1), Just(-1), any::<i64>()], 0..90)) {
            let limiter = limiter();
            let request = Request::user("user").with_key("key").from_ip([192, 0, 2, 1].into()).route("route");
            let call = Call::of(&request, &limiter.inner.plan);
            if let Some(answer) = call.read(&numbers) {
                prop_assert!(answer.bans.len() <= 3 + 2 && answer.windows.len() <= 4 * 5);
                let _ = (answer.decision.retry_after(), format!("{:?}", answer.windows));
            }
        }

        #[test]
        fn all_keys_of_a_decision_are_in_one_slot(name in names(), user in names(), key in names()) {
            let limiter = limiter();
            let prefix = prefix(&name);
            let request = Request::user(&user).with_key(&key).from_ip([192, 0, 2, 1].into()).route("route");
            let keys = Call::of(&request, &limiter.inner.plan).keys(&prefix);
            prop_assert_eq!(keys.len(), 5 + 5 * 2);
            prop_assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len(), "each is another");
            // The specification of Redis cluster: what stands between the first brace and the next that closes, if that is something.
            let tag = |key: &str| Some(key.split_once('{')?.1.split_once('}')?.0.to_owned()).filter(|tag| !tag.is_empty());
            prop_assert!(tag(&prefix).is_some());
            prop_assert!(keys.iter().all(|key| tag(key) == tag(&prefix)));
        }

        #[test]
        fn no_key_is_one_of_another_limiter_or_caller(one in (names(), names()), other in (names(), names())) {
            let limiter = limiter();
            let keys = |name: &str, request: &Request<'_>| -> HashSet<String> {
                Call::of(request, &limiter.inner.plan).keys(&prefix(name)).into_iter().collect()
            };
            let users = [&one, &other].map(|(name, user)| keys(name, &Request::user(user)));
            let shared = users[0].intersection(&users[1]).count();
            // Of one limiter, all have the global limits in common.
            let expected = match (one == other, one.0 == other.0) {
                (true, _) => 6,
                (_, true) => 3,
                _ => 0,
            };
            prop_assert_eq!(shared, expected);
            let [user, api_key] = [Request::user(&one.1), Request::api_key(&one.1)].map(|request| keys(&one.0, &request));
            prop_assert_eq!(user.intersection(&api_key).count(), 3, "a user is no API key");
        }
    }
}
