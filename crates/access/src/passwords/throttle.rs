//! How failures slow down attempts. Pure, but for the lock around it: a function of the time, the state and who tries.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::config::ThrottleConfig;

/// Failures of accounts and addresses, by a keyed hash: names are not kept.
pub(super) struct Throttle {
    config: ThrottleConfig,
    hasher: RandomState,
    generations: Mutex<Generations>,
}

/// Two, each with half of the room: when the younger is full, it becomes the older one, and that is forgotten.
#[derive(Default)]
struct Generations {
    young: HashMap<u64, Failures>,
    old: HashMap<u64, Failures>,
}

/// What somebody has failed so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failures {
    count: u32,
    last: Instant,
}

/// An attempt that counts as failed until it is known to be none.
#[must_use]
pub(super) struct Attempt {
    account: u64,
    address: Option<u64>,
}

/// How long the next attempt waits after so many failures.
pub(super) fn wait(failures: u32, free: u32, config: &ThrottleConfig) -> Duration {
    let Some(beyond) = failures.checked_sub(free) else { return Duration::ZERO };
    let factor = 1_u32.checked_shl(beyond).unwrap_or(u32::MAX);
    config.first.saturating_mul(factor).min(config.longest)
}

impl Throttle {
    pub(super) fn new(config: &ThrottleConfig) -> Self {
        let (config, hasher) = (config.clone(), RandomState::new());
        Self { config, hasher, generations: Mutex::default() }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Generations) -> T) -> T {
        work(&mut self.generations.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn half(&self) -> usize {
        (self.config.most / 2).max(1)
    }

    /// Begins an attempt, or says when to come back. It counts at once: attempts that begin together do not all count as the first.
    pub(super) fn begin(
        &self,
        account: &str,
        address: Option<IpAddr>,
        now: Instant,
    ) -> Result<Attempt, Duration> {
        let attempt = Attempt {
            account: self.hasher.hash_one(("account", account)),
            address: address.map(|address| self.hasher.hash_one(("address", place(address)))),
        };
        self.with(|generations| {
            let free = (attempt.account, self.config.free);
            let subjects =
                [Some(free), attempt.address.map(|address| (address, self.config.free_for_address))];
            let subjects = subjects.into_iter().flatten();
            let left = subjects.clone().filter_map(|(subject, free)| {
                let failures = generations.get(subject, now, &self.config)?;
                let passed = now.saturating_duration_since(failures.last);
                wait(failures.count, free, &self.config).checked_sub(passed).filter(|left| !left.is_zero())
            });
            if let Some(left) = left.max() {
                return Err(left);
            }
            for (subject, _) in subjects {
                let count = generations.get(subject, now, &self.config).map_or(0, |failures| failures.count);
                generations.put(subject, Failures { count: count.saturating_add(1), last: now }, self.half());
            }
            Ok(attempt)
        })
    }

    /// It was the right password: the account begins anew, and the address has one failure less.
    pub(super) fn succeeded(&self, attempt: &Attempt) {
        self.with(|generations| {
            generations.young.remove(&attempt.account);
            generations.old.remove(&attempt.account);
            generations.take_back(attempt.address);
        });
    }

    /// It was not looked at.
    pub(super) fn undecided(&self, attempt: &Attempt) {
        self.with(|generations| {
            generations.take_back(Some(attempt.account));
            generations.take_back(attempt.address);
        });
    }
}

impl Generations {
    fn get(&self, subject: u64, now: Instant, config: &ThrottleConfig) -> Option<Failures> {
        let failures = self.young.get(&subject).or_else(|| self.old.get(&subject)).copied()?;
        (now.saturating_duration_since(failures.last) < config.forget_after).then_some(failures)
    }

    fn put(&mut self, subject: u64, failures: Failures, half: usize) {
        if self.young.len() >= half && !self.young.contains_key(&subject) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(subject, failures);
    }

    fn take_back(&mut self, subject: Option<u64>) {
        let Some(subject) = subject else { return };
        let (young, old) = (&mut self.young, &mut self.old);
        if let Some(failures) = young.get_mut(&subject).or_else(|| old.get_mut(&subject)) {
            failures.count = failures.count.saturating_sub(1);
        }
    }
}

/// The address, or the network that one subscriber has.
fn place(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn config() -> ThrottleConfig {
        ThrottleConfig::default()
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let waits: Vec<_> = (4..9).map(|failures| wait(failures, 5, &config()).as_secs()).collect();
        assert_eq!(waits, [0, 1, 2, 4, 8]);
        assert_eq!(wait(u32::MAX, 5, &config()), config().longest);
    }

    #[test]
    fn attempts_that_begin_together_are_all_counted() {
        let (throttle, now) = (Throttle::new(&config()), Instant::now());
        let begun = (0..100).filter(|_| throttle.begin("user", None, now).is_ok()).count();
        assert_eq!(begun, 5);
    }

    #[test]
    fn an_address_is_held_for_many_accounts_and_a_network_for_many_addresses() {
        let (throttle, now) = (Throttle::new(&config()), Instant::now());
        let begun = |network: &str| {
            let attempt = |host: u32| {
                let address = format!("{network}{host:x}").parse().unwrap();
                throttle.begin(&format!("user-{network}-{host}"), Some(address), now).is_ok()
            };
            (0..100).filter(|host| attempt(*host)).count()
        };
        assert_eq!(begun("2001:db8:0:1::"), 20);
        assert_eq!(begun("2001:db8:0:2::"), 20);
    }

    #[test]
    fn memory_is_bounded() {
        let mut small = config();
        small.most = 100;
        let (throttle, now) = (Throttle::new(&small), Instant::now());
        for user in 0..10_000 {
            let _ = throttle.begin(&user.to_string(), None, now);
        }
        throttle.with(|generations| assert!(generations.young.len() + generations.old.len() <= 100));
    }

    proptest! {
        /// Beside a model that keeps everything: one account, failures and successes at any time.
        #[test]
        fn decisions_are_those_of_the_model(steps in prop::collection::vec((0_u64..700, 0_u8..10), 1..60)) {
            let (throttle, config) = (Throttle::new(&config()), config());
            let mut now = Instant::now();
            let (mut count, mut last) = (0_u32, now);
            for (seconds, kind) in steps {
                now += Duration::from_secs(seconds);
                if now - last >= config.forget_after {
                    count = 0;
                }
                let due = last + wait(count, config.free, &config);
                match throttle.begin("user", None, now) {
                    Err(left) => {
                        prop_assert!(count > 0 && now < due);
                        prop_assert_eq!(left, due - now);
                    }
                    Ok(attempt) => {
                        prop_assert!(count == 0 || now >= due);
                        (count, last) = (count + 1, now);
                        match kind {
                            0 => { throttle.succeeded(&attempt); count = 0; }
                            1 => { throttle.undecided(&attempt); count -= 1; }
                            _ => (),
                        }
                    }
                }
            }
        }
    }
}
