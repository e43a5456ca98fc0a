//! For how long what a node keeps may be believed: one rule, without clock and network.

use std::time::{Duration, Instant};

/// What a node knows about the news from the others.
///
/// Every entry was right when it was read from the second tier, or from where values come from. It stays right as long as no
/// news about it come. News may be late or lost, so an entry is served only while all news up to a moment no longer ago
/// than the staleness have been heard, or while it was itself read no longer ago than that. So whatever is lost, nothing is
/// served that was outdated for longer.
#[derive(Debug)]
pub(crate) struct Trust {
    staleness: Duration,
    /// Everything published before has been heard; `None` if nothing was, yet.
    heard: Option<Instant>,
    /// Whether news are being heard without a gap.
    listening: bool,
    /// Whether what was there was dropped since it was heard last.
    lapsed: bool,
    /// While that is so: since when loads under way may be joined.
    joined: Instant,
}

/// What to do before anything is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing: entries are served for as long as they live, and loads under way are joined.
    Trusted,
    /// Drop all entries there are; after that as [`Standing::Lapsed`].
    Lapse,
    /// Nothing: there are only entries that were read lately. New ones live for [`Trust::at_most`].
    Lapsed,
    /// Let nobody join the loads under way: they may have begun too long ago. The rest as [`Standing::Lapsed`].
    Part,
}

impl Trust {
    pub(crate) fn new(staleness: Duration, now: Instant) -> Self {
        Self { staleness, heard: None, listening: false, lapsed: true, joined: now }
    }

    /// News are heard from `now` on. All entries there are must be dropped. Says whether news were heard before, and lost.
    pub(crate) fn begin(&mut self, now: Instant) -> bool {
        (self.listening, self.lapsed) = (true, false);
        self.heard.replace(now).is_some()
    }

    /// Everything published before `moment` was heard.
    pub(crate) fn hear(&mut self, moment: Instant, now: Instant) {
        if self.listening && self.heard.is_none_or(|heard| heard < moment) {
            self.heard = Some(moment);
            // Nothing was missed, only late; but what was dropped stays dropped until that moment is near again.
            self.lapsed &= !self.is_near(now);
        }
    }

    /// News may be missed from now on.
    pub(crate) fn lose(&mut self) {
        self.listening = false;
    }

    pub(crate) fn stand(&mut self, now: Instant) -> Standing {
        if self.lapsed {
            if now < self.joined + self.staleness {
                return Standing::Lapsed;
            }
            self.joined = now;
            Standing::Part
        } else if self.is_near(now) {
            Standing::Trusted
        } else {
            (self.lapsed, self.joined) = (true, now);
            Standing::Lapse
        }
    }

    /// Whether the news are heard.
    pub(crate) fn is_trusted(&self, now: Instant) -> bool {
        !self.lapsed && self.is_near(now)
    }

    /// Until when entries may be served without asking again.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.heard.filter(|_| !self.lapsed).map(|heard| heard + self.staleness)
    }

    /// How long an entry may live from `now` on that was read at `read`; `None`: as long as it likes.
    pub(crate) fn at_most(&self, read: Instant, now: Instant) -> Option<Duration> {
        let left = || (read + self.staleness).saturating_duration_since(now);
        (!self.is_trusted(now)).then(left)
    }

    fn is_near(&self, now: Instant) -> bool {
        self.heard.is_some_and(|heard| now < heard + self.staleness)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What happens in a step of the simulation.
    #[derive(Debug, Clone)]
    enum Step {
        /// The value changes at its source, and news of it are published.
        Write,
        /// One message, or heartbeat, arrives.
        Deliver,
        /// The connection breaks; what was on its way is lost, and so is what is published until it is made again.
        Break,
        Connect,
        /// Somebody asks: for what is there, or for a load.
        Read,
        /// The load under way, if there is one, ends.
        Land,
        Pass(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            2 => Just(Step::Write),
            3 => Just(Step::Deliver),
            1 => Just(Step::Break),
            1 => Just(Step::Connect),
            4 => Just(Step::Read),
            2 => Just(Step::Land),
            4 => (1..1500_u64).prop_map(Step::Pass),
        ]
    }

    enum Sent {
        News,
        Beat(Instant),
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        /// One writer, one node with one entry, and a channel that delays and loses.
        #[test]
        fn nothing_is_served_that_was_outdated_for_longer_than_said(steps in prop::collection::vec(step(), 1..120)) {
            const STALENESS: Duration = Duration::from_secs(2);
            #[allow(clippy::disallowed_methods, reason = "only differences are looked at")]
            let start = Instant::now();
            let (mut now, mut trust) = (start, Trust::new(STALENESS, start));
            // When the present value was written, and the one before it outdated.
            let mut written = vec![start];
            let mut line: Option<std::collections::VecDeque<Sent>> = None;
            // The version that the node keeps, and until when.
            let mut entry: Option<(usize, Option<Instant>)> = None;
            // The version that is being loaded, and when it was read.
            let mut flight: Option<(usize, Instant)> = None;
            for step in steps {
                match step {
                    Step::Write => {
                        written.push(now);
                        if let Some(line) = &mut line {
                            line.push_back(Sent::News);
                        }
                    }
                    Step::Deliver => {
                        let Some(queue) = &mut line else { continue };
                        match queue.pop_front() {
                            Some(Sent::News) => (entry, flight) = (None, None),
                            Some(Sent::Beat(moment)) => trust.hear(moment, now),
                            None => queue.push_back(Sent::Beat(now)),
                        }
                    }
                    Step::Break => {
                        line = None;
                        trust.lose();
                    }
                    Step::Connect => {
                        line = Some(std::collections::VecDeque::new());
                        (entry, flight) = (None, None);
                        let _ = trust.begin(now);
                    }
                    Step::Pass(millis) => now += Duration::from_millis(millis),
                    Step::Land => {
                        let Some((version, read)) = flight.take() else { continue };
                        entry = Some((version, trust.at_most(read, now).map(|left| now + left)));
                    }
                    Step::Read => {
                        match trust.stand(now) {
                            Standing::Lapse => (entry, flight) = (None, None),
                            Standing::Part => flight = None,
                            Standing::Trusted | Standing::Lapsed => {}
                        }
                        let kept = entry.filter(|(_, end)| end.is_none_or(|end| now < end)).map(|(version, _)| version);
                        let joined = || flight.map(|(version, _)| version);
                        let version = kept.or_else(joined).unwrap_or_else(|| {
                            flight = Some((written.len() - 1, now));
                            written.len() - 1
                        });
                        if let Some(outdated) = written.get(version + 1) {
                            prop_assert!(now.duration_since(*outdated) <= STALENESS);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_healthy_channel_keeps_its_entries() {
        #[allow(clippy::disallowed_methods, reason = "only differences are looked at")]
        let start = Instant::now();
        let mut trust = Trust::new(Duration::from_secs(2), start);
        assert_eq!(trust.stand(start), Standing::Lapsed);
        trust.begin(start);
        for second in 1..100 {
            let now = start + Duration::from_secs(second);
            assert_eq!((trust.stand(now), trust.at_most(now, now)), (Standing::Trusted, None));
            trust.hear(now, now);
        }
        trust.lose();
        let now = start + Duration::from_secs(102);
        assert_eq!((trust.stand(now), trust.stand(now)), (Standing::Lapse, Standing::Lapsed));
    }
}
