//! Division by a number that is known long before: two multiplications.

/// Divides by one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Divider {
    by: u64,
    /// 2^64 / by, rounded down; for 1 one less, so that it fits.
    inverse: u64,
}

impl Divider {
    /// Divides by `by`, or by one if that is zero.
    pub(crate) fn new(by: u64) -> Self {
        let by = by.max(1);
        Self { by, inverse: u64::MAX / by }
    }

    pub(crate) fn by(self) -> u64 {
        self.by
    }

    /// The whole part of `number / by`.
    ///
    /// `inverse` is too small by at most one part in 2^64 / by, so the first guess is right or one too small.
    #[inline]
    pub(crate) fn quotient(self, number: u64) -> u64 {
        let high = (u128::from(number) * u128::from(self.inverse)) >> 64;
        // The upper half of a product of two numbers of 64 bits.
        #[allow(clippy::cast_possible_truncation)]
        let guess = high as u64;
        let rest = number.wrapping_sub(guess.wrapping_mul(self.by));
        guess + u64::from(rest >= self.by)
    }

    #[inline]
    pub(crate) fn remainder(self, number: u64) -> u64 {
        number.wrapping_sub(self.quotient(number).wrapping_mul(self.by))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers() -> impl Strategy<Value = u64> {
        prop_oneof![any::<u64>(), 0..100_u64, (0..64_u32).prop_map(|bit| 1 << bit), u64::MAX - 100..=u64::MAX]
    }

    proptest! {
        #[test]
        fn divides_as_the_processor_does(number in numbers(), by in numbers(), near in 0..3_u64) {
            let by = by.max(1);
            let divider = Divider::new(by);
            for number in [number, number / by * by, (number / by * by).wrapping_sub(near)] {
                prop_assert_eq!(divider.quotient(number), number / by);
                prop_assert_eq!(divider.remainder(number), number % by);
            }
        }
    }
}
