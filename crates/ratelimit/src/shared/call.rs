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
        let mut keys: Vec<String> =
            self.subjects.iter().map(|subject| format!("{prefix}{}", subject.key)).collect();
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
        for subject in &self.subjects {
            call.arg(u8::from(subject.penalised)).arg(subject.group).arg(subject.windows.len());
            for window in &subject.windows {
                let (number, list) = match window.limit.counted_by() {
                    Algorithm::SlidingCounter => (1, 0),
                    Algorithm::SlidingLog => {
                        let micros = window.limit.window().as_micros();
                        keys.push(format!("{prefix}{}:{}:{micros}", subject.key, subject.group));
                        (2, keys.len())
                    }
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
        for key in keys {
            call.key(key);
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
