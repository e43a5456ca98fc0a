//! Deadlines: handed down, enforced, and told in headers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::time::Duration;

use buttress_core::{Clock, TestClock};
use buttress_resilience::deadline::header::Form;
use buttress_resilience::deadline::{self, Deadline};
use common::{polled, settle};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_child_never_outlives_its_parent() {
    let clock = TestClock::new();
    let parent = Deadline::within(&clock, 10 * SECOND);
    deadline::scope(parent, async {
        let longer = Deadline::within(&clock, 60 * SECOND);
        deadline::scope(longer, async { assert_eq!(Deadline::current(), Some(parent)) }).await;
        let shorter = Deadline::within(&clock, SECOND);
        deadline::scope(shorter, async { assert_eq!(Deadline::current(), Some(shorter)) }).await;
        assert_eq!(Deadline::current(), Some(parent));
    })
    .await;
    assert_eq!(Deadline::current(), None);
}

#[tokio::test]
async fn a_spawned_task_has_the_deadline_only_if_it_takes_it_along() {
    let deadline = Deadline::within(&TestClock::new(), SECOND);
    deadline::scope(deadline, async {
        let alone = tokio::spawn(async { Deadline::current() });
        let along = tokio::spawn(deadline::inherit(async { Deadline::current() }));
        assert_eq!((alone.await.unwrap(), along.await.unwrap()), (None, Some(deadline)));
    })
    .await;
}

#[tokio::test]
async fn work_is_given_up_at_the_deadline_and_not_begun_after_it() {
    let clock = TestClock::new();
    let deadline = Deadline::within(&clock, 10 * SECOND);
    let mut work = std::pin::pin!(deadline::enforce(&clock, deadline, std::future::pending::<()>()));
    assert!(polled(work.as_mut()).is_pending());
    clock.advance(9 * SECOND);
    settle().await;
    assert!(polled(work.as_mut()).is_pending());
    assert_eq!(deadline.remaining(&clock), SECOND);
    clock.advance(SECOND);
    assert_eq!(work.await.unwrap_err().0, 10 * SECOND);
    assert!(deadline.has_passed(&clock));
    let late = deadline::enforce(&clock, deadline, async { unreachable!("begun after its deadline") });
    assert_eq!(late.await.unwrap_err().0, Duration::ZERO);
}

#[tokio::test]
async fn an_answer_that_is_ready_at_the_deadline_is_an_answer() {
    let clock = TestClock::new();
    let work = clock.sleep(SECOND);
    let deadline = Deadline::within(&clock, SECOND);
    let mut work = std::pin::pin!(deadline::enforce(&clock, deadline, work));
    assert!(polled(work.as_mut()).is_pending());
    clock.advance(2 * SECOND);
    work.await.unwrap();
}

#[test]
fn a_deadline_may_be_asked_for_as_late_as_one_likes() {
    let clock = TestClock::new();
    assert!(Deadline::within(&clock, Duration::MAX).remaining(&clock) > Duration::from_hours(24 * 365));
}

proptest! {
    #[test]
    fn what_is_written_reads_back_and_is_never_longer(nanos: u64) {
        let left = Duration::from_nanos(nanos);
        for form in [Form::Millis, Form::Grpc] {
            let text = form.print(left);
            let read = form.parse(text.as_bytes(), Duration::MAX).unwrap();
            prop_assert!(read <= left, "{:?} {}", left, text);
            if form == Form::Grpc {
                // Eight digits are exact to one in ten million, where the number needs them all.
                prop_assert!(left.abs_diff(read) <= (left / 100_000).max(Duration::from_nanos(1)), "{:?} {}", left, text);
            } else if nanos < u64::from(u32::MAX) * 1_000_000 {
                prop_assert!(left.abs_diff(read) < Duration::from_millis(1));
            }
        }
    }

    #[test]
    fn nothing_but_the_form_is_read(text in prop::collection::vec(any::<u8>(), 0..16), most in 0_u64..1 << 50) {
        let most = Duration::from_nanos(most);
        let digits = |bytes: &[u8], most| (1..=most).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_digit);
        let millis = digits(&text, 10);
        let grpc = text.split_last().is_some_and(|(unit, rest)| b"HMSmun".contains(unit) && digits(rest, 8));
        for (form, fits) in [(Form::Millis, millis), (Form::Grpc, grpc)] {
            let read = form.parse(&text, most);
            prop_assert_eq!(read.is_ok(), fits);
            prop_assert!(read.is_ok_and(|read| read <= most) || !fits);
        }
    }
}

#[test]
fn headers_as_others_write_them() {
    let most = 3600 * SECOND;
    for (form, text, reads) in [
        (Form::Grpc, "1H", Some(3600 * SECOND)),
        (Form::Grpc, "2M", Some(120 * SECOND)),
        (Form::Grpc, "3S", Some(3 * SECOND)),
        (Form::Grpc, "00000100m", Some(Duration::from_millis(100))),
        (Form::Grpc, "5u", Some(Duration::from_micros(5))),
        (Form::Grpc, "99999999n", Some(Duration::from_nanos(99_999_999))),
        (Form::Grpc, "99999999H", Some(most)),
        (Form::Grpc, "100000000n", None),
        (Form::Grpc, "1 S", None),
        (Form::Grpc, "S", None),
        (Form::Grpc, "١S", None),
        (Form::Millis, "0", Some(Duration::ZERO)),
        (Form::Millis, "9999999999", Some(most)),
        (Form::Millis, "+1", None),
        (Form::Millis, "-1", None),
        (Form::Millis, "1e3", None),
        (Form::Millis, "1.5", None),
        (Form::Millis, "18446744073709551616", None),
        (Form::Millis, "", None),
    ] {
        assert_eq!(form.parse(text.as_bytes(), most).ok(), reads, "{form:?} {text}");
    }
}
