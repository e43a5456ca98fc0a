//! How many calls at once a callee can take, found out from how long they take. No clock, no I/O.

use serde::{Deserialize, Serialize};

use crate::time::Time;

/// How a limit follows what calls tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Adapt {
    /// It stays as it is.
    #[default]
    Fixed,
    /// One more for each round of calls that went well, a tenth less for a round in which the callee was overloaded or
    /// took too long. Needs failures to find its level (Chiu and Jain, 1989).
    Aimd,
    /// Less as calls take longer than they did in the long run, more by the square root while they do not; finds its level
    /// before calls fail. As Gradient2 of Netflix's concurrency-limits, but for this: what is taken for the long run does not
    /// rise while calls queue, so that an overload that lasts is not taken for the usual.
    Gradient2,
}

/// What one call tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) started: Time,
    pub(crate) ended: Time,
    /// Calls within when it ended, itself too.
    pub(crate) within: u64,
    /// The callee was overloaded, or took too long.
    pub(crate) overload: bool,
}

#[derive(Debug)]
pub(crate) struct Limit {
    adapt: Adapt,
    value: f64,
    least: f64,
    most: f64,
    /// The time of a call in nanoseconds, in the long run and of late; none before the first.
    usual: f64,
    late: f64,
    samples: u32,
    /// Calls that started before have been answered for.
    lessened: Time,
}

/// Calls that the average of late looks back on, and the one of the long run at first.
const OF_LATE: f64 = 10.0;
/// Calls that the average of the long run looks back on.
const LONG_RUN: f64 = 300.0;
/// A call may take so many times the long-run time before the limit falls.
const TOLERANCE: f64 = 1.5;
/// How much of a step is taken at once.
const SMOOTHING: f64 = 0.2;
/// What is left of a limit after an overload.
const LESSENED: f64 = 0.9;

impl Limit {
    pub(crate) fn new(adapt: Adapt, first: u32, least: u32, most: u32) -> Self {
        let (value, least, most) = (f64::from(first), f64::from(least), f64::from(most));
        Self {
            adapt,
            value: value.clamp(least, most),
            least,
            most,
            usual: 0.0,
            late: 0.0,
            samples: 0,
            lessened: Time(0),
        }
    }

    /// The limit after this call.
    pub(crate) fn note(&mut self, sample: Sample) -> u64 {
        let busy = sample.within as f64 * 2.0 >= self.value;
        if sample.overload {
            // Once for all calls that were under way together.
            if sample.started >= self.lessened {
                self.value *= LESSENED;
                self.lessened = sample.ended;
            }
        } else {
            match self.adapt {
                // Calls that do not use the limit say nothing about it.
                Adapt::Aimd if busy => self.value += 1.0 / self.value,
                Adapt::Aimd | Adapt::Fixed => {}
                Adapt::Gradient2 => self.follow(sample, busy),
            }
        }
        self.value = self.value.clamp(self.least, self.most);
        self.rounded()
    }

    fn follow(&mut self, sample: Sample, busy: bool) {
        let time = (sample.ended.since(sample.started).as_nanos() as f64).max(1.0);
        self.samples = self.samples.saturating_add(1);
        let known = f64::from(self.samples);
        self.late += (time - self.late) / known.min(OF_LATE);
        let queueing = self.late > TOLERANCE * self.usual;
        if !queueing || known <= OF_LATE {
            self.usual += (time - self.usual) / known.min(LONG_RUN);
        } else if self.value <= self.least {
            // Nobody queues here, and still it takes so long: the callee has become slower.
            self.usual += (time - self.usual) / OF_LATE;
        }
        if !busy {
            return;
        }
        let gradient = (TOLERANCE * self.usual / self.late).clamp(0.5, 1.0);
        let aim = self.value * gradient + self.value.sqrt();
        self.value += (aim - self.value) * SMOOTHING;
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between two u32")]
    fn rounded(&self) -> u64 {
        self.value.round() as u64
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    /// A callee that takes 10 ms for up to `room` calls at once and gets slower in proportion beyond.
    fn level(adapt: Adapt, room: f64, fails: bool) -> f64 {
        let mut limit = Limit::new(adapt, 10, 1, 1000);
        let mut now = Time(0);
        let mut sum = 0.0;
        for round in 0..20_000_u32 {
            let within = limit.rounded();
            let time = Duration::from_millis(10).mul_f64((within as f64 / room).max(1.0));
            let ended = now.after(time);
            let overload = fails && within as f64 > room;
            limit.note(Sample { started: now, ended, within, overload });
            now = now.after(time / u32::try_from(within).unwrap_or(1));
            sum += if round >= 10_000 { limit.value } else { 0.0 };
        }
        sum / 10_000.0
    }

    #[test]
    fn a_limit_finds_what_the_callee_can_take() {
        let found = level(Adapt::Aimd, 50.0, true);
        assert!((35.0..=55.0).contains(&found), "AIMD: {found}");
        // Half as much again is tolerated, and some may queue.
        let found = level(Adapt::Gradient2, 50.0, false);
        assert!((50.0..=120.0).contains(&found), "gradient: {found}");
        assert!((level(Adapt::Fixed, 5.0, false) - 10.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn a_limit_stays_within_its_bounds(
            gradient: bool,
            samples in prop::collection::vec((0_u64..1 << 40, 0_u64..1 << 40, 0_u64..2000, prop::bool::ANY), 0..200)
        ) {
            let adapt = if gradient { Adapt::Gradient2 } else { Adapt::Aimd };
            let mut limit = Limit::new(adapt, 10, 2, 100);
            for (started, time, within, overload) in samples {
                let (started, ended) = (Time(started), Time(started + time));
                let value = limit.note(Sample { started, ended, within, overload });
                prop_assert!((2..=100).contains(&value));
            }
        }
    }
}
