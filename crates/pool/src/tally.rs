//! Times by size: what a histogram is told once in a while instead of at each checkout.

/// Sizes within one doubling: a time is known to an eighth of itself.
const STEPS: usize = 4;
/// Doublings that are told apart: up to 2^44 nanoseconds, five hours.
const DOUBLINGS: usize = 44;

/// Counts of times, in steps of a quarter of a doubling. Noting one takes a nanosecond.
pub(crate) struct Tally(Box<[u32; STEPS * DOUBLINGS]>);

impl Tally {
    pub(crate) fn new() -> Self {
        Self(Box::new([0; STEPS * DOUBLINGS]))
    }

    pub(crate) fn note(&mut self, nanos: u64) {
        if let Some(count) = self.0.get_mut(step(nanos)) {
            *count = count.saturating_add(1);
        }
    }

    /// Takes what was noted: times in seconds, and how often each.
    pub(crate) fn take(&mut self) -> Vec<(f64, usize)> {
        let noted = self.0.iter_mut().enumerate().filter(|(_, count)| **count > 0);
        noted.map(|(step, count)| (seconds(step), std::mem::take(count) as usize)).collect()
    }
}

/// The step that a time falls into. The first four are exact: 0, 1, 2 and 3 nanoseconds.
fn step(nanos: u64) -> usize {
    let small = nanos < STEPS as u64;
    let doubling = if small { 0 } else { nanos.ilog2() as usize - 1 };
    let within = if small { nanos } else { (nanos >> (doubling - 1)) & 3 };
    (doubling * STEPS + usize::try_from(within).unwrap_or(0)).min(STEPS * DOUBLINGS - 1)
}

/// The middle of a step.
fn seconds(step: usize) -> f64 {
    let (doubling, within) = (step / STEPS, (step % STEPS) as f64);
    let nanos = if doubling == 0 {
        within
    } else {
        let width = (1_u64 << (doubling - 1)) as f64;
        (4.0 + within) * width + (width - 1.0) / 2.0
    };
    nanos * 1e-9
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // Failing is what a test is for.
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_time_is_known_to_an_eighth(nanos in 0_u64..1 << 44) {
            let mut tally = Tally::new();
            tally.note(nanos);
            let noted = tally.take();
            prop_assert_eq!((noted.len(), noted[0].1), (1, 1));
            let told = noted[0].0 * 1e9;
            prop_assert!((told - nanos as f64).abs() <= nanos as f64 / 8.0 + 1e-6, "{} told as {}", nanos, told);
            prop_assert!(tally.take().is_empty());
        }

        #[test]
        fn longer_times_are_told_as_no_shorter(one: u64, other: u64) {
            let (less, more) = (one.min(other), one.max(other));
            prop_assert!(seconds(step(less)) <= seconds(step(more)));
        }
    }
}
