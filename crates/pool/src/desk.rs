//! The lock around the state, and the way of one caller through it: ask, wait, be served or leave.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::state::State;
use crate::sync::{Mutex, MutexGuard, PoisonError};
use crate::time::Time;
use crate::verdict::{Ask, Effects, Served, Turn};
use crate::waiters::Seat;

/// The state behind its lock, which is held for a decision and never while anything waits.
pub(crate) struct Desk<T>(Mutex<State<T>>);

impl<T> Desk<T> {
    pub(crate) fn new(state: State<T>) -> Self {
        Self(Mutex::new(state))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No call of the state leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What stands around the desk.
pub(crate) trait Shell<T> {
    fn desk(&self) -> &Desk<T>;
    fn now(&self) -> Time;
    /// Whether somebody sees to it that deadlines are kept.
    fn is_attended(&self) -> bool;
    /// Does what a change of the state asks for.
    fn act(&self, effects: Effects<T>);
}

/// A caller's way to an object. Dropped at any point it leaves nothing behind, and what it had been granted goes to
/// the next.
pub(crate) struct InLine<'s, T, S: Shell<T> + ?Sized> {
    shell: &'s S,
    ask: Ask,
    step: Step<T>,
}

enum Step<T> {
    Ask,
    Wait(Arc<Seat<Served<T>>>),
    Over,
}

impl<'s, T, S: Shell<T> + ?Sized> InLine<'s, T, S> {
    pub(crate) fn new(shell: &'s S, ask: Ask) -> Self {
        Self { shell, ask, step: Step::Ask }
    }
}

impl<T, S: Shell<T> + ?Sized> Future for InLine<'_, T, S> {
    type Output = Served<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        match &this.step {
            Step::Ask => {
                let mut effects = Effects::default();
                let turn = this.shell.desk().lock().checkout(&this.ask, cx.waker(), &mut effects);
                let (step, poll) = match turn {
                    Turn::Lent(lent) => (Step::Over, Poll::Ready(Ok(lent))),
                    Turn::Refused(refusal) => (Step::Over, Poll::Ready(Err(refusal))),
                    Turn::Wait(seat) => (Step::Wait(seat), Poll::Pending),
                };
                this.step = step;
                this.shell.act(effects);
                poll
            }
            Step::Wait(seat) => {
                if let Some(served) = seat.poll(cx.waker()) {
                    this.step = Step::Over;
                    return Poll::Ready(served);
                }
                if !this.shell.is_attended() {
                    let mut effects = Effects::default();
                    effects.more().alarm = true;
                    this.shell.act(effects);
                }
                Poll::Pending
            }
            // Nobody polls a future that has ended.
            Step::Over => Poll::Pending,
        }
    }
}

impl<T, S: Shell<T> + ?Sized> Drop for InLine<'_, T, S> {
    fn drop(&mut self) {
        if let Step::Wait(seat) = &self.step {
            let mut effects = Effects::default();
            let now = self.shell.now();
            self.shell.desk().lock().leave(seat, now, &mut effects);
            self.shell.act(effects);
        }
    }
}
