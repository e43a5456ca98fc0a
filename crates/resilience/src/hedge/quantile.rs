//! How long most calls take: a quantile of recent times, to an eighth. No clock.

/// Sizes within one doubling.
const STEPS: usize = 4;
/// Doublings that are told apart: up to 2^44 nanoseconds, five hours.
const DOUBLINGS: usize = 44;
/// So many times count fully; older ones by half, then a quarter.
const MEMORY: u32 = 1000;

/// Times by size, which forgets.
#[derive(Debug)]
pub(crate) struct Quantile {
    counts: Box<[u32; STEPS * DOUBLINGS]>,
    noted: u32,
}

impl Quantile {
    pub(crate) fn new() -> Self {
        Self { counts: Box::new([0; STEPS * DOUBLINGS]), noted: 0 }
    }

    pub(crate) fn note(&mut self, nanos: u64) {
        if let Some(count) = self.counts.get_mut(step(nanos)) {
            *count += 1;
        }
        self.noted += 1;
        if self.noted >= 2 * MEMORY {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.noted = self.counts.iter().sum();
        }
    }

    /// Times that it knows.
    pub(crate) fn noted(&self) -> u32 {
        self.noted
    }

    /// A time in nanoseconds that this share of the times is not over.
    pub(crate) fn at(&self, share: f64) -> u64 {
        let aim = f64::from(self.noted) * share;
        let mut sum = 0;
        for (step, count) in self.counts.iter().enumerate() {
            sum += count;
            if *count > 0 && f64::from(sum) >= aim {
                return upper(step);
            }
        }
        0
    }
}

/// The step that a time falls into. The first four are exact: 0, 1, 2 and 3 nanoseconds.
fn step(nanos: u64) -> usize {
    let small = nanos < STEPS as u64;
    let doubling = if small { 0 } else { nanos.ilog2() as usize - 1 };
    let within = if small { nanos } else { (nanos >> (doubling - 1)) & 3 };
    (doubling * STEPS + usize::try_from(within).unwrap_or(0)).min(STEPS * DOUBLINGS - 1)
}

/// The longest time of a step.
fn upper(step: usize) -> u64 {
    let (doubling, within) = (step / STEPS, (step % STEPS) as u64);
    if doubling == 0 { within } else { ((5 + within) << (doubling - 1)) - 1 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_quantile_is_known_to_a_quarter(mut times in prop::collection::vec(0_u64..1 << 40, 1..500), share in 0.01_f64..1.0) {
            let mut quantile = Quantile::new();
            for time in &times {
                quantile.note(*time);
            }
            times.sort_unstable();
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let rank = ((times.len() as f64 * share).ceil() as usize).clamp(1, times.len());
            let exact = times.get(rank - 1).copied().unwrap_or_default();
            let told = quantile.at(share);
            prop_assert!(told >= exact && told as f64 <= exact as f64 * 1.25 + 1.0, "{} told as {}", exact, told);
        }
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let mut quantile = Quantile::new();
        (0..2000).for_each(|_| quantile.note(1_000_000));
        (0..10_000).for_each(|_| quantile.note(1_000));
        assert!(quantile.at(0.95) < 2_000);
    }
}
