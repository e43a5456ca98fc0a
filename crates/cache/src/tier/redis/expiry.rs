//! When a value ends: the last bytes of what Redis keeps, so that a plain `GET` tells it.
//!
//! | bytes from the end | |
//! |---|---|
//! | 20 | when it ends, by the clock of the server: milliseconds since 1970 in decimal digits; 0: never |
//! | 4 | `BTRX` |
//!
//! The server writes them, in the script that puts the value in, so they say what `PEXPIRETIME` would. What came before them, and what
//! knows them not, fails the frame's checksum with them: it is a miss.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::sync::lock;

const DIGITS: usize = 16;
const MARK: [u8; 4] = *b"BTRX";

/// Lua: puts `bytes` under `key` for `keep` milliseconds, or without an end for "0".
pub(super) const PUT: &str = "
local function put(key, bytes, keep)
  if keep == '0' then return redis.call('SET', key, bytes .. '0000000000000000BTRX') end
  local now = redis.call('TIME')
  local ends = now[1] * 1000 + math.floor(now[2] / 1000) + keep
  redis.call('SET', key, bytes .. string.format('%016.0fBTRX', ends), 'PXAT', string.format('%.0f', ends))
end";

/// Takes the end off a value: milliseconds since 1970, 0 for none. `None` if it does not tell one.
pub(super) fn split(bytes: &mut Vec<u8>) -> Option<u64> {
    let (rest, mark) = bytes.split_last_chunk()?;
    let (frame, digits) = rest.split_last_chunk::<DIGITS>()?;
    if *mark != MARK || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let ends = digits.iter().fold(0, |ends, digit| ends * 10 + u64::from(digit - b'0'));
    let length = frame.len();
    bytes.truncate(length);
    Some(ends)
}

/// For how long what the server's clock showed is counted on by our own.
const SAMPLE: Duration = Duration::from_secs(1);

/// What the clock of the server shows: asked for now and then, and counted on in between.
#[derive(Debug, Default)]
pub(super) struct ServerTime(Mutex<Option<Shown>>);

#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    /// Since 1970.
    server: Duration,
    /// When it was asked, by our clock.
    asked: Instant,
}

impl Shown {
    /// From the answer to `TIME`: seconds and microseconds.
    pub(super) fn new(seconds: u64, micros: u64, asked: Instant) -> Self {
        Self { server: Duration::from_secs(seconds).saturating_add(Duration::from_micros(micros)), asked }
    }

    /// How long a value is kept from `now` on that ends then; `None`: without an end. The server's clock was read after it was asked, so
    /// it is further behind than is said here, if anything, and nothing seems to be kept longer than it is.
    pub(super) fn left(self, ends: u64, now: Instant) -> Option<Duration> {
        let server = self.server.saturating_add(now.saturating_duration_since(self.asked));
        (ends != 0).then(|| Duration::from_millis(ends).saturating_sub(server))
    }
}

impl ServerTime {
    /// What it showed no longer ago than it may be.
    pub(super) fn shown(&self, now: Instant) -> Option<Shown> {
        lock(&self.0).filter(|shown| now.saturating_duration_since(shown.asked) < SAMPLE)
    }

    pub(super) fn show(&self, shown: Option<Shown>) {
        *lock(&self.0) = shown;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_end_is_told_and_taken_off(frame: Vec<u8>, ends in 0..10_u64.pow(16)) {
            let mut bytes = frame.clone();
            bytes.extend(format!("{ends:016}BTRX").bytes());
            prop_assert_eq!(split(&mut bytes), Some(ends));
            prop_assert_eq!(bytes, frame);
        }

        #[test]
        fn what_tells_none_is_left_as_it_is(bytes: Vec<u8>, digits in "[0-9 +-]{12,16}") {
            for end in ["", &*digits, "BTRX"] {
                let mut with = [&*bytes, end.as_bytes()].concat();
                let before = with.clone();
                prop_assert_eq!(split(&mut with), None);
                prop_assert_eq!(&with, &before);
            }
        }

        #[test]
        fn nothing_seems_to_be_kept_longer_than_it_is(
            (seconds, micros) in (1_u64..1 << 40, 0..1_000_000_u64),
            keep in 0_u64..1 << 40,
            (way, since) in (0_u64..1 << 33, 0_u64..1 << 33),
        ) {
            let (asked, nanos) = (now(), Duration::from_nanos);
            let shown = Shown::new(seconds, micros, asked);
            // It was asked, showed its time after `way`, when a value was put in, and `since` has passed since then.
            let ends = seconds * 1000 + micros / 1000 + keep;
            let left = shown.left(ends, asked + nanos(way) + nanos(since));
            prop_assert!(left.is_some_and(|left| left <= Duration::from_millis(keep).saturating_sub(nanos(since))));
            prop_assert_eq!(shown.left(0, asked), None);
        }
    }

    #[allow(clippy::disallowed_methods, reason = "only differences are looked at")]
    fn now() -> Instant {
        Instant::now()
    }

    #[test]
    fn what_was_shown_counts_for_a_moment() {
        let (time, asked) = (ServerTime::default(), now());
        assert!(time.shown(asked).is_none());
        time.show(Some(Shown::new(1, 0, asked)));
        assert!(time.shown(asked + SAMPLE / 2).is_some());
        assert!(time.shown(asked + SAMPLE).is_none());
        time.show(None);
        assert!(time.shown(asked).is_none());
    }
}
