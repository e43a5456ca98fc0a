//! The decisions, without time or tasks in them: what a run of results means, and how old a result may be.

use std::time::Duration;

use buttress_core::Vitality;

/// How many results in a row it takes to turn a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Thresholds {
    pub(crate) failure: u32,
    pub(crate) success: u32,
}

/// What is believed of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Belief {
    /// It has not answered yet.
    Unknown,
    /// It works, perhaps with a warning.
    Well(Option<String>),
    /// It does not work, and why.
    Ill(String),
}

/// A check's belief, and the results in a row that speak against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) belief: Belief,
    against: u32,
}

impl Tally {
    pub(crate) const NEW: Self = Self { belief: Belief::Unknown, against: 0 };

    /// Takes one more result into account.
    ///
    /// A belief turns after its threshold of contrary results in a row. Nothing is believed of a check that has not
    /// answered, so its first failure counts at once and its first passes count as much as any.
    pub(crate) fn observe(&mut self, result: Vitality, thresholds: Thresholds) {
        let (belief, threshold) = match result {
            Vitality::Pass => (Belief::Well(None), thresholds.success),
            Vitality::Warn(reason) => (Belief::Well(Some(reason)), thresholds.success),
            Vitality::Fail(reason) => (Belief::Ill(reason), thresholds.failure),
        };
        match (&self.belief, &belief) {
            (Belief::Well(_), Belief::Well(_)) | (Belief::Ill(_) | Belief::Unknown, Belief::Ill(_)) => {
                *self = Self { belief, against: 0 };
            }
            _ => {
                self.against += 1;
                if self.against >= threshold {
                    *self = Self { belief, against: 0 };
                }
            }
        }
    }
}

/// How far a result of a given age can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Freshness {
    Fresh,
    /// Over three rounds old: the checks do not keep up.
    Stale,
    /// Over six rounds old: nothing is known any more.
    Lost,
}

/// Judges the age of a result by the time that a round of its check may take.
pub(crate) fn freshness(age: Duration, round: Duration) -> Freshness {
    if age > round.saturating_mul(6) {
        Freshness::Lost
    } else if age > round.saturating_mul(3) {
        Freshness::Stale
    } else {
        Freshness::Fresh
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)] // tests

    use proptest::prelude::*;

    use super::*;

    fn results() -> impl Strategy<Value = Vec<bool>> {
        proptest::collection::vec(any::<bool>(), 1..60)
    }

    proptest! {
        /// Says the rule in another way: after each result, look back over all of them.
        #[test]
        fn a_belief_turns_after_its_threshold_of_contrary_results_in_a_row(
            results in results(),
            failure in 1_u32..5,
            success in 1_u32..5,
        ) {
            let mut tally = Tally::NEW;
            let mut well: Option<bool> = None;
            for end in 1..=results.len() {
                let (history, last) = (&results[..end], results[end - 1]);
                let run = history.iter().rev().take_while(|result| **result == last).count();
                let needed = match (well, last) {
                    (None, false) => 1,
                    (_, true) => success,
                    (_, false) => failure,
                };
                if run >= needed as usize {
                    well = Some(last);
                }
                let result = if last { Vitality::Pass } else { Vitality::Fail("no".to_owned()) };
                tally.observe(result, Thresholds { failure, success });
                let expected = match well {
                    None => Belief::Unknown,
                    Some(true) => Belief::Well(None),
                    Some(false) => Belief::Ill("no".to_owned()),
                };
                prop_assert_eq!(&tally.belief, &expected);
            }
        }

        #[test]
        fn trust_only_shrinks_with_age(a in 0_u64..1000, b in 0_u64..1000, round in 1_u64..50) {
            let judge = |age| freshness(Duration::from_secs(age), Duration::from_secs(round));
            prop_assert!(judge(a.min(b)) <= judge(a.max(b)));
        }
    }
}
