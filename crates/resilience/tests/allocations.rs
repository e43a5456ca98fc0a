//! What a call costs in memory while nothing is wrong: nothing.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::pin::pin;
use std::time::Duration;

use allocation_counter::measure;
use buttress_core::Ctx;
use buttress_resilience::{Adapt, Part, Policy, ResilienceConfig, WindowConfig};
use common::{Wrong, polled};

#[test]
fn a_call_that_answers_at_once_allocates_nothing() {
    let usual = ResilienceConfig::default();
    let mut all = usual.clone();
    all.breaker.window = WindowConfig::Time(Duration::from_secs(10));
    all.breaker.slow_after = Some(Duration::from_secs(1));
    all.bulkhead.adapt = Adapt::Gradient2;
    all.parts.push(Part::Hedge);
    for config in [usual, all] {
        let policy = Policy::new(&config, &Ctx::default()).unwrap().idempotent();
        let call = || {
            let call = pin!(policy.run(|attempt| async move { Ok::<_, Wrong>(attempt.number) }));
            assert_eq!(polled(call), std::task::Poll::Ready(Ok(1)));
        };
        call();
        let info = measure(|| (0..1000).for_each(|_| call()));
        assert_eq!(info.count_total, 0, "{:?}", config.parts);
    }
}
