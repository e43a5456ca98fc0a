//! A second tier for the nodes of one process: for tests, and for caches that share nothing but this.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use buttress_core::{BoxFuture, Classify, ErrorClass, Key, SharedClock};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Receiver, Sender, channel};

use super::{Answer, Heard, Lease, News, Stored, Tier, TierError};
use crate::sync::lock;

/// Keeps bytes in this process. It grows with what is put in: names past their time go when they are met, or by
/// [`sweep`](MemoryTier::sweep).
#[derive(Debug, Clone)]
pub struct MemoryTier {
    shared: Arc<Shared>,
    clock: SharedClock,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    news: Sender<Arc<[u8]>>,
}

#[derive(Debug, Default)]
struct State {
    values: HashMap<String, (Vec<u8>, Option<Instant>)>,
    leases: HashMap<String, (u64, Instant)>,
    marks: HashMap<Key, (u64, Option<Instant>)>,
    down: bool,
}

/// News that wait for one node; more, and it is told that it lost some.
const MOST_WAITING: usize = 4096;

#[derive(Debug, thiserror::Error)]
#[error("it is switched off")]
struct SwitchedOff;

impl Classify for SwitchedOff {
    fn class(&self) -> ErrorClass {
        ErrorClass::Unavailable
    }
}

impl MemoryTier {
    /// An empty tier.
    #[must_use]
    pub fn new(clock: SharedClock) -> Self {
        Self { shared: Arc::new(Shared { state: Mutex::default(), news: channel(MOST_WAITING).0 }), clock }
    }

    /// From now on it does not answer, or does again: for tests of what happens then.
    pub fn set_down(&self, down: bool) {
        self.state().down = down;
    }

    /// Takes out what is past its time.
    pub fn sweep(&self) {
        let (now, mut state) = (self.clock.now(), self.state());
        state.values.retain(|_, (_, end)| end.is_none_or(|end| end > now));
        state.leases.retain(|_, (_, end)| *end > now);
        state.marks.retain(|_, (_, end)| end.is_none_or(|end| end > now));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.shared.state)
    }

    /// Does `work` at once, if it is not switched off.
    fn answer<T: Send + 'static>(&self, work: impl FnOnce(&mut State, Instant) -> T) -> Answer<'static, T> {
        let mut state = self.state();
        let answer =
            if state.down { Err(TierError::of(SwitchedOff)) } else { Ok(work(&mut state, self.clock.now())) };
        drop(state);
        Box::pin(std::future::ready(answer))
    }

    fn tell(&self, news: &[u8]) {
        // Nobody may listen.
        let _ = self.shared.news.send(news.into());
    }
}

impl State {
    fn holds(&self, name: &str, token: u64, now: Instant) -> bool {
        self.leases.get(name).is_some_and(|(holder, end)| *holder == token && *end > now)
    }

    fn is_there(&self, name: &str, now: Instant) -> bool {
        self.values.get(name).is_some_and(|(_, end)| end.is_none_or(|end| end > now))
    }
}

impl Tier for MemoryTier {
    fn get<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Stored>> {
        self.answer(|state, now| {
            if !state.is_there(name, now) {
                state.values.remove(name);
            }
            let stored = |(bytes, end): &(Vec<u8>, Option<Instant>)| Stored {
                bytes: bytes.clone(),
                left: end.map(|end| end.saturating_duration_since(now)),
            };
            state.values.get(name).map(stored)
        })
    }

    fn lease<'a>(
        &'a self,
        name: &'a str,
        token: u64,
        length: Duration,
        over: Option<&'a [u8]>,
    ) -> Answer<'a, Lease> {
        self.answer(|state, now| {
            let will_do = |bytes: &[u8]| over.is_none_or(|over| !bytes.starts_with(over));
            if state.is_there(name, now) && state.values.get(name).is_some_and(|(bytes, _)| will_do(bytes)) {
                return Lease::Needless;
            }
            if state.leases.get(name).is_some_and(|(_, end)| *end > now) {
                return Lease::Taken;
            }
            state.leases.insert(name.to_owned(), (token, now + length));
            Lease::Given
        })
    }

    fn extend<'a>(&'a self, name: &'a str, token: u64, length: Duration) -> Answer<'a, bool> {
        self.answer(|state, now| {
            let holds = state.holds(name, token, now);
            if holds {
                state.leases.insert(name.to_owned(), (token, now + length));
            }
            holds
        })
    }

    fn release<'a>(&'a self, name: &'a str, token: u64) -> Answer<'a, ()> {
        self.answer(|state, now| {
            if state.holds(name, token, now) {
                state.leases.remove(name);
            }
        })
    }

    fn fill<'a>(
        &'a self,
        name: &'a str,
        token: u64,
        bytes: &'a [u8],
        keep: Option<Duration>,
    ) -> Answer<'a, bool> {
        self.answer(|state, now| {
            let holds = state.holds(name, token, now);
            if holds {
                state.leases.remove(name);
                state.values.insert(name.to_owned(), (bytes.to_vec(), keep.map(|keep| now + keep)));
            }
            holds
        })
    }

    fn write<'a>(
        &'a self,
        name: &'a str,
        bytes: &'a [u8],
        keep: Option<Duration>,
        news: &'a [u8],
    ) -> Answer<'a, ()> {
        self.answer(|state, now| {
            state.leases.remove(name);
            state.values.insert(name.to_owned(), (bytes.to_vec(), keep.map(|keep| now + keep)));
            self.tell(news);
        })
    }

    fn remove<'a>(&'a self, name: &'a str, news: &'a [u8]) -> Answer<'a, ()> {
        self.answer(|state, _| {
            state.leases.remove(name);
            state.values.remove(name);
            self.tell(news);
        })
    }

    fn mark<'a>(&'a self, tags: &'a [Key], keep: Option<Duration>) -> Answer<'a, Vec<u64>> {
        self.answer(|state, now| {
            let mark = |tag: &Key| {
                let end = keep.map(|keep| now + keep);
                let known = state.marks.get(tag).filter(|(_, end)| end.is_none_or(|end| end > now));
                let (mark, end) = match known {
                    // Without an end is longer than any.
                    Some((mark, known)) => (*mark, known.zip(end).map(|(known, end)| known.max(end))),
                    None => (buttress_core::unique_number(), end),
                };
                state.marks.insert(tag.clone(), (mark, end));
                mark
            };
            tags.iter().map(mark).collect()
        })
    }

    fn marks<'a>(&'a self, tags: &'a [Key]) -> Answer<'a, Vec<Option<u64>>> {
        self.answer(|state, now| {
            let known = |tag| state.marks.get(tag).filter(|(_, end)| end.is_none_or(|end| end > now));
            tags.iter().map(|tag| known(tag).map(|(mark, _)| *mark)).collect()
        })
    }

    fn unmark<'a>(&'a self, tag: &'a Key, news: &'a [u8]) -> Answer<'a, ()> {
        self.answer(|state, _| {
            state.marks.remove(tag);
            self.tell(news);
        })
    }

    fn publish<'a>(&'a self, news: &'a [u8]) -> Answer<'a, ()> {
        self.answer(|_, _| self.tell(news))
    }

    fn listen(&self, beat: Duration, clock: SharedClock) -> Box<dyn News> {
        Box::new(Listening { tier: self.clone(), receiver: None, beat, clock, was_lost: false })
    }
}

struct Listening {
    tier: MemoryTier,
    receiver: Option<Receiver<Arc<[u8]>>>,
    beat: Duration,
    clock: SharedClock,
    was_lost: bool,
}

impl News for Listening {
    fn next(&mut self) -> BoxFuture<'_, Heard> {
        Box::pin(async move {
            loop {
                let down = self.tier.state().down;
                let Some(receiver) = &mut self.receiver else {
                    if !down {
                        self.receiver = Some(self.tier.shared.news.subscribe());
                        self.was_lost = false;
                        return Heard::Begun;
                    }
                    if !self.was_lost {
                        self.was_lost = true;
                        return Heard::Lost(SwitchedOff.to_string());
                    }
                    self.clock.sleep(self.beat).await;
                    continue;
                };
                let asked_at = self.clock.now();
                // What came is told before what time it is.
                let lost = tokio::select! {
                    biased;
                    message = receiver.recv() => match message {
                        Ok(message) => return Heard::Message(message.to_vec()),
                        Err(RecvError::Lagged(_) | RecvError::Closed) => "news came faster than they were taken",
                    },
                    () = self.clock.sleep(self.beat) => {
                        if !self.tier.state().down && receiver.is_empty() {
                            return Heard::UpTo(asked_at);
                        }
                        if !self.tier.state().down {
                            continue;
                        }
                        "it is switched off"
                    }
                };
                self.receiver = None;
                self.was_lost = true;
                return Heard::Lost(lost.to_owned());
            }
        })
    }
}
