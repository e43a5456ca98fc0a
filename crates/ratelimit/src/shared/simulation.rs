//! Simulated processes that lease from a simulated server over a network that delays, and what they admit by the server's clock.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing expectation fails the test")]

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::call::Answer;
use super::leases::{Back, Leases, Spent};
use crate::algorithm::Nanos;
use crate::decision::{Decision, Quota};
use crate::fingerprint::Fingerprint;
use crate::{Limit, Request, WindowStatus};

const WINDOW: Nanos = 1_000_000_000;
const START: Nanos = 1_700_000_000_300_000_000;
const MILLISECOND: Nanos = 1_000_000;
/// The tick of a process's clock, by which what it reads may be old.
const TICK: Nanos = 10 * MILLISECOND;

/// How long a process waits for an answer.
const WITHIN: Nanos = 50 * MILLISECOND;

/// From here on, a gap is counted from where the next window begins.
const EDGE: Nanos = 1 << 60;

/// The script, for one fixed window.
struct Server {
    quota: u32,
    share: u32,
    start: Nanos,
    used: u32,
}

impl Server {
    fn grant(&mut self, now: Nanos, cost: u32, block: bool, back: &Back) -> Answer {
        if now - self.start >= WINDOW {
            (self.start, self.used) = (now - now % WINDOW, 0);
        }
        let start = i64::try_from(self.start).unwrap();
        if back.starts.first() == Some(&start) {
            self.used -= back.left;
        }
        let allowed = self.used + cost <= self.quota;
        let granted = if allowed {
            cost.max(((self.quota - self.used) / self.share).min(if block { 1_000 } else { 0 }))
        } else {
            0
        };
        self.used += granted;
        let rest = self.start + WINDOW - now;
        let quota = Quota {
            limit: self.quota,
            remaining: self.quota - self.used,
            window: WINDOW,
            retry_after: if allowed { 0 } else { rest },
            reset_after: rest,
        };
        let window = WindowStatus {
            name: "simulated".into(),
            limit: Limit::new(self.quota, Duration::from_nanos(WINDOW)),
            remaining: quota.remaining,
            retry_after: quota.retry_after(),
            reset_after: Duration::from_nanos(rest),
        };
        let decision = if allowed { Decision::Admitted(quota) } else { Decision::Limited(quota) };
        Answer { decision, windows: vec![window], bans: Vec::new(), granted, starts: vec![start] }
    }
}

/// What happens at a time.
enum Event {
    /// A process is asked for so much; the way to the server and back takes so long.
    Ask { process: usize, cost: u32, there: Nanos, back: Nanos },
    /// A call comes to the server.
    Call { process: usize, cost: u32, block: bool, sent: Nanos, brings: Back, back: Nanos },
    /// An answer comes back.
    Answer { process: usize, cost: u32, block: bool, sent: Nanos, answer: Answer },
    /// A process gives back what it has.
    GiveBack { process: usize },
}

/// Runs the asks, and returns what was admitted in each window of the server.
fn run(quota: u32, share: u32, keep: Nanos, asks: Vec<(Nanos, Event)>) -> BTreeMap<Nanos, u32> {
    // Each process has a clock of its own, and reads it at its last tick.
    let read = |process: usize, now: Nanos| now + process as Nanos * 7_777_777_777 - (now / 3) % TICK;
    let processes: Vec<_> = (0..4).map(|_| Leases::new(1_000, Duration::from_nanos(keep))).collect();
    let print = Fingerprint { place: 1, rest: 2 };
    let mut server = Server { quota, share, start: 0, used: 0 };
    let mut admitted = BTreeMap::<Nanos, u32>::new();
    let mut events = BTreeMap::new();
    let (mut now, mut number) = (START, 0_usize);
    for (gap, event) in asks {
        now = if gap >= EDGE { now - now % WINDOW + WINDOW + (gap - EDGE) } else { now + gap };
        number += 1;
        events.insert((now, number), event);
    }
    while let Some(((now, _), event)) = events.pop_first() {
        number += 1;
        match event {
            Event::Ask { process, cost, there, back } => {
                let sent = read(process, now);
                match processes[process].spend(print, sent, cost) {
                    Spent::Decided(Decision::Admitted(_)) => {
                        *admitted.entry(now / WINDOW).or_default() += cost;
                    }
                    Spent::Decided(_) => {}
                    Spent::UsedUp(brings) => {
                        let block = processes[process].asks_for_block(print, sent, WITHIN, &Request::new());
                        let call = Event::Call { process, cost, block, sent, brings, back };
                        events.insert((now + there, number), call);
                    }
                }
            }
            Event::Call { process, cost, block, sent, brings, back } => {
                let answer = server.grant(now, cost, block, &brings);
                if answer.decision.is_admitted() {
                    *admitted.entry(now / WINDOW).or_default() += cost;
                }
                events.insert((now + back, number), Event::Answer { process, cost, block, sent, answer });
            }
            Event::Answer { process, cost, block, sent, answer } => {
                processes[process].granted(print, sent, cost, block, &answer, &Request::new());
            }
            Event::GiveBack { process } => {
                for (_, brings) in processes[process].take(read(process, now), true) {
                    let (cost, block, sent, back) = (0, false, read(process, now), MILLISECOND);
                    events.insert(
                        (now + 5 * MILLISECOND, number),
                        Event::Call { process, cost, block, sent, brings, back },
                    );
                }
            }
        }
    }
    admitted
}

fn delays() -> impl Strategy<Value = Nanos> {
    prop_oneof![8 => 0..3 * MILLISECOND, 1 => 0..WINDOW / 10, 1 => 0..WINDOW * 3]
}

fn events() -> impl Strategy<Value = Vec<(Nanos, Event)>> {
    let ask = (0..4_usize, prop_oneof![6 => Just(1_u32), 1 => 0..8_u32], delays(), delays())
        .prop_map(|(process, cost, there, back)| Event::Ask { process, cost, there, back })
        .boxed();
    let give = (0..4_usize).prop_map(|process| Event::GiveBack { process });
    let event = prop_oneof![30 => ask, 1 => give];
    let gap =
        prop_oneof![20 => 0..MILLISECOND, 2 => 0..30 * MILLISECOND, 1 => 0..WINDOW, 2 => EDGE..EDGE + TICK];
    proptest::collection::vec((gap, event), 1..1_500)
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ask { process, cost, there, back } => write!(f, "ask {process} {cost} {there} {back}"),
            Self::GiveBack { process } => write!(f, "give back {process}"),
            _ => f.write_str("on the way"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_window_of_the_server_has_more_than_the_quota(
        quota in 1..60_u32, share in 1..8_u32, keep in 20..2_000_u64, asks in events(),
    ) {
        let admitted = run(quota, share, keep * MILLISECOND, asks);
        prop_assert!(admitted.values().all(|used| *used <= quota), "{:?} of {}", admitted, quota);
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn where_all_ask_for_more_than_there_is_all_of_it_is_used(quota in 1..2_000_u32, share in 1..40_u32) {
        let asks = (0..16_000_usize).map(|i| {
            let event = Event::Ask { process: i % 4, cost: 1, there: MILLISECOND / 4, back: MILLISECOND / 4 };
            (MILLISECOND / 8, event)
        });
        let admitted = run(quota, share, WINDOW * 2, asks.collect());
        // The first and the last window are not whole.
        let whole: Vec<_> = admitted.values().skip(1).take(1).collect();
        prop_assert!(whole.iter().all(|used| **used * 100 >= quota * 99), "{:?} of {}", admitted, quota);
    }
}
