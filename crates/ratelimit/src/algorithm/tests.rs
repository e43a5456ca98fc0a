//! Every algorithm beside a reference that remembers all, on arrivals made to find the edges.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing expectation fails the test")]

use std::fmt::Debug;

use proptest::prelude::*;

use super::*;

/// Where a test begins: the middle of a window of most lengths.
const START: Nanos = 1_700_000_000_123_456_789;

/// Requests by the time since the one before, and their costs.
#[derive(Debug, Clone)]
struct Case {
    quota: u32,
    burst: u32,
    window: Nanos,
    arrivals: Vec<(Nanos, u32)>,
}

impl Case {
    fn duration(&self) -> Duration {
        Duration::from_nanos(self.window)
    }

    /// The arrivals by time.
    fn times(&self) -> impl Iterator<Item = (Nanos, u32)> + '_ {
        self.arrivals.iter().scan(START, |now, &(gap, cost)| {
            *now += gap;
            Some((*now, cost))
        })
    }
}

/// Gaps of nothing, of about a window, to the next edge of a window and a nanosecond around it, of a share of the even rate.
fn gaps(window: Nanos, quota: u32) -> impl Strategy<Value = Nanos> {
    let even = (window / u64::from(quota.max(1))).max(1);
    prop_oneof![
        6 => Just(0),
        4 => 0..=even * 2,
        2 => 0..=window,
        2 => (window - 1)..=(window + 1),
        2 => Just(window - START % window),
        1 => (window * 2 - 1)..=(window * 2 + 1),
        1 => 0..=window * 5,
    ]
}

fn cases() -> impl Strategy<Value = Case> {
    let windows = prop_oneof![
        2..100_u64,
        Just(1_000_000_000),
        Just(60_000_000_000),
        Just(3_600_000_000_000),
        1_000..LONGEST_WINDOW
    ];
    (0..40_u32, 1..40_u32, windows).prop_flat_map(|(quota, burst, window)| {
        let costs = prop_oneof![8 => Just(1_u32), 1 => Just(0), 2 => 2..6_u32, 1 => 0..50_u32];
        let arrivals = proptest::collection::vec((gaps(window, quota), costs), 1..120);
        arrivals.prop_map(move |arrivals| Case { quota, burst, window, arrivals })
    })
}

/// Those of `admitted` within the window that ends now, all of them.
fn within(admitted: &[(Nanos, u32)], now: Nanos, window: Nanos) -> u64 {
    admitted.iter().filter(|(at, _)| now - at < window).map(|&(_, cost)| u64::from(cost)).sum()
}

fn between(admitted: &[(Nanos, u32)], from: Nanos, to: Nanos) -> u64 {
    admitted.iter().filter(|(at, _)| (from..to).contains(at)).map(|&(_, cost)| u64::from(cost)).sum()
}

/// What holds for every rule: `peek` foretells, waiting as told helps and waiting less does not, refunding undoes.
fn laws<R: Rule>(rule: &R, case: &Case, full: u32) -> Result<(), TestCaseError>
where
    R::State: Clone + Debug,
{
    let mut state = R::State::default();
    for (now, cost) in case.times() {
        let before = state.clone();
        let foretold = rule.peek(now, &state, cost);
        let verdict = rule.decide(now, &mut state, cost);
        prop_assert_eq!(foretold, verdict);
        prop_assert_eq!(rule.peek(now, &state, 0).remaining, verdict.remaining);
        prop_assert!(verdict.remaining <= full);
        let reset = now + verdict.reset_after;
        prop_assert_eq!(rule.peek(reset, &state, 0).remaining, full, "not reset as told: {:?}", verdict);
        if verdict.reset_after > 0 && full > 0 {
            prop_assert!(rule.peek(reset - 1, &state, full).retry_after <= 1, "far from reset just before");
        }
        if verdict.allowed {
            prop_assert_eq!(verdict.retry_after, 0);
            let mut undone = state.clone();
            rule.refund(now, &mut undone, cost);
            prop_assert_eq!(
                rule.peek(now, &undone, 0).remaining,
                rule.peek(now, &before, 0).remaining,
                "refunded"
            );
        } else if verdict.retry_after == NEVER {
            prop_assert!(cost > full);
        } else {
            prop_assert!(cost <= full);
            let then = now + verdict.retry_after;
            prop_assert!(!rule.peek(then - 1, &state, cost).allowed, "one earlier would do: {:?}", verdict);
            prop_assert!(rule.peek(then, &state, cost).allowed, "told to come too early: {:?}", verdict);
        }
    }
    // However much is given back, there is never more than all.
    rule.refund(START * 2, &mut state, u32::MAX);
    prop_assert_eq!(rule.peek(START * 2, &state, 0).remaining, full);
    Ok(())
}

/// Runs the case on a clock that is set back now and then; returns what was admitted by true time.
fn set_back<R: Rule>(rule: &R, case: &Case, steps: &[(usize, Nanos)]) -> Vec<(Nanos, u32)> {
    let (mut state, mut admitted, mut behind) = (R::State::default(), Vec::new(), 0);
    for (i, (now, cost)) in case.times().enumerate() {
        behind += steps.iter().filter(|(at, _)| *at == i).map(|(_, by)| by).sum::<Nanos>();
        let read = now.saturating_sub(behind);
        let verdict = rule.decide(read, &mut state, cost);
        if verdict.allowed {
            admitted.push((now, cost));
        } else if verdict.retry_after != NEVER {
            assert!(rule.peek(read + verdict.retry_after, &state, cost).allowed, "told to come too early");
        }
    }
    admitted
}

fn steps() -> impl Strategy<Value = Vec<(usize, Nanos)>> {
    let by = prop_oneof![0..1_000_u64, 0..60_000_000_000_u64, 0..LONGEST_WINDOW * 3];
    proptest::collection::vec((0..120_usize, by), 0..4)
}

#[test]
fn a_fixed_window_that_is_set_back_far_opens_after_a_whole_one() {
    let rule = FixedWindow::new(1, Duration::from_nanos(100));
    let mut state = FixedState::default();
    assert!(rule.decide(1_000, &mut state, 1).allowed);
    // The window of 599 ends at once; that after it ends at 700.
    let verdict = rule.decide(599, &mut state, 1);
    assert_eq!((verdict.allowed, verdict.retry_after), (false, 101));
    assert!(!rule.decide(699, &mut state, 1).allowed);
    assert!(rule.decide(700, &mut state, 1).allowed);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_laws_hold(case in cases()) {
        let (quota, window) = (case.quota, case.duration());
        let burst = if quota == 0 { 0 } else { case.burst };
        laws(&SlidingCounter::new(quota, window), &case, quota)?;
        laws(&SlidingLog::new(quota, window), &case, quota)?;
        laws(&FixedWindow::new(quota, window), &case, quota)?;
        laws(&Gcra::new(quota, window, burst), &case, burst)?;
        laws(&TokenBucket::new(quota, window, burst), &case, burst)?;
    }

    #[test]
    fn the_log_is_exact(case in cases()) {
        let rule = SlidingLog::new(case.quota, case.duration());
        let (mut state, mut admitted) = (LogState::default(), Vec::new());
        for (now, cost) in case.times() {
            let used = within(&admitted, now, case.window);
            let verdict = rule.decide(now, &mut state, cost);
            prop_assert_eq!(verdict.allowed, used + u64::from(cost) <= u64::from(case.quota));
            if verdict.allowed {
                admitted.push((now, cost));
            }
        }
    }

    #[test]
    fn the_fixed_window_is_exact(case in cases()) {
        let rule = FixedWindow::new(case.quota, case.duration());
        let (mut state, mut admitted) = (FixedState::default(), Vec::new());
        for (now, cost) in case.times() {
            let start = now - now % case.window;
            let used = between(&admitted, start, start + case.window);
            let verdict = rule.decide(now, &mut state, cost);
            prop_assert_eq!(verdict.allowed, used + u64::from(cost) <= u64::from(case.quota));
            if verdict.allowed {
                admitted.push((now, cost));
            }
        }
    }

    #[test]
    fn the_counter_estimates_as_it_says_and_keeps_its_bounds(case in cases()) {
        let rule = SlidingCounter::new(case.quota, case.duration());
        let (mut state, mut admitted) = (CounterState::default(), Vec::new());
        let (quota, window) = (u64::from(case.quota), case.window);
        for (now, cost) in case.times() {
            let start = now - now % window;
            let current = between(&admitted, start, now + 1);
            let previous = between(&admitted, start.saturating_sub(window), start);
            let passed = now - start;
            // In parts of a request, of which there are `window` in one.
            let parts = u128::from(previous) * u128::from(window - passed)
                + u128::from(current + u64::from(cost)) * u128::from(window);
            let limit = u128::from(quota) * u128::from(window);
            let verdict = rule.decide(now, &mut state, cost);
            prop_assert!(!verdict.allowed || parts <= limit, "over the estimate");
            prop_assert!(verdict.allowed || parts + u128::from(window) > limit, "refused with one to spare");
            if verdict.allowed {
                admitted.push((now, cost));
            }
            let really = within(&admitted, now, window);
            let excess = u128::from(really.saturating_sub(quota)) * u128::from(window);
            prop_assert!(excess <= u128::from(previous) * u128::from(passed), "{} of {} over its bound", really, quota);
            prop_assert!(quota == 0 || really < 2 * quota);
            prop_assert!(between(&admitted, start, start + window) <= quota);
        }
    }

    #[test]
    fn gcra_is_a_rate_with_a_burst(case in cases()) {
        let rule = Gcra::new(case.quota, case.duration(), case.burst);
        let (mut state, mut admitted) = (GcraState::default(), Vec::<(Nanos, u32)>::new());
        for (now, cost) in case.times() {
            let used = rule.decide(now, &mut state, cost).allowed;
            if used {
                admitted.push((now, cost));
            }
            // In parts of which `window` are one: no span that ends now has had more than the burst and its share.
            let (window, quota) = (u128::from(case.window), u128::from(case.quota));
            let fits = |cost: u32| {
                let mut sum = u128::from(cost);
                admitted.iter().rev().all(|&(at, cost)| {
                    sum += u128::from(cost);
                    sum * window <= u128::from(case.burst) * window + u128::from(now - at) * quota
                })
            };
            prop_assert!(fits(0), "over the rate");
            // And what would fit is not refused, where the interval is whole.
            if !used && case.window.is_multiple_of(u64::from(case.quota.max(1))) && quota > 0 {
                prop_assert!(cost > case.burst || !fits(cost), "refused what fits");
            }
        }
    }

    #[test]
    fn a_token_bucket_admits_what_gcra_admits(case in cases()) {
        let bucket = TokenBucket::new(case.quota, case.duration(), case.burst);
        let gcra = Gcra::new(case.quota, case.duration(), case.burst);
        let (mut level, mut idle) = (BucketState::default(), GcraState::default());
        for (now, cost) in case.times() {
            prop_assert_eq!(bucket.decide(now, &mut level, cost), gcra.decide(now, &mut idle, cost));
        }
    }

    #[test]
    fn a_clock_that_is_set_back_admits_no_more(case in cases(), steps in steps()) {
        let (quota, window) = (u64::from(case.quota), case.window);
        let most = |admitted: &[(Nanos, u32)]| {
            admitted.iter().map(|&(at, _)| between(admitted, at, at + window)).max().unwrap_or(0)
        };
        let log = set_back(&SlidingLog::new(case.quota, case.duration()), &case, &steps);
        prop_assert!(most(&log) <= quota);
        let counter = set_back(&SlidingCounter::new(case.quota, case.duration()), &case, &steps);
        prop_assert!(most(&counter) <= 2 * quota);
        let fixed = set_back(&FixedWindow::new(case.quota, case.duration()), &case, &steps);
        prop_assert!(most(&fixed) <= 2 * quota);
        let bound = u64::from(case.burst) + quota;
        let gcra = set_back(&Gcra::new(case.quota, case.duration(), case.burst), &case, &steps);
        prop_assert!(most(&gcra) <= bound);
        let bucket = set_back(&TokenBucket::new(case.quota, case.duration(), case.burst), &case, &steps);
        prop_assert!(most(&bucket) <= bound);
    }

    #[test]
    fn no_number_is_too_large(
        now: u64, then: u64, quota: u32, burst: u32, window: u64, cost: u32, start: u64, counts: (u32, u32),
    ) {
        let window = Duration::from_nanos(window);
        let counter = SlidingCounter::new(quota, window);
        let mut state = CounterState { start, previous: counts.0, current: counts.1 };
        counter.decide(now, &mut state, cost);
        counter.refund(then, &mut state, cost);
        let fixed = FixedWindow::new(quota, window);
        let mut state = FixedState { start, used: counts.0 };
        fixed.decide(now, &mut state, cost);
        fixed.refund(then, &mut state, cost);
        let gcra = Gcra::new(quota, window, burst);
        let mut state = GcraState { idle_at: start };
        gcra.decide(now, &mut state, cost);
        gcra.refund(then, &mut state, cost);
        let bucket = TokenBucket::new(quota, window, burst);
        let mut state = BucketState { missing: then, at: start };
        bucket.decide(now, &mut state, cost);
        bucket.refund(then, &mut state, cost);
        let log = SlidingLog::new(quota, window);
        let mut state = LogState::default();
        for now in [start, now, then] {
            log.decide(now, &mut state, cost);
        }
        log.refund(then, &mut state, cost);
    }
}

#[test]
fn the_log_forgets() {
    let rule = SlidingLog::new(1_000, Duration::from_secs(1));
    let mut state = LogState::default();
    for i in 0..100_000 {
        rule.decide(START + i * 2_000_000, &mut state, 1);
    }
    assert!(state.heap_bytes() <= 1_024 * 16, "{} bytes", state.heap_bytes());
}
