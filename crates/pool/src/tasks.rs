//! What a pool does in the background: create, reset, check, put away, and look after time.
//!
//! Every task is one of `Ctx::shutdown`, has a limit, and may be dropped with its runtime at any await: what it had in
//! hand is given up then, and its slot is free again.

use std::future::Future;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Instant;

use buttress_core::{Ctx, ErrorClass, Event, Outcome, chain, timeout, units};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::desk::Shell;
use crate::error::BoxedError;
use crate::guard::{Fate, Guard};
use crate::manager::{Condition, Manager};
use crate::pool::Inner;
use crate::retry::AfterFailure;
use crate::state::State;
use crate::status::Closed;
use crate::verdict::{Effects, Leak, More};

impl<M: Manager> Inner<M> {
    /// Does what a change of the state asks for.
    pub(crate) fn carry_out(&self, effects: Effects<M::Object>) {
        if let Some(waker) = effects.wake {
            waker.wake();
        }
        if let Some(more) = effects.more {
            self.carry_out_more(*more);
        }
    }

    fn carry_out_more(&self, more: More<M::Object>) {
        let More { wake, closed, create, inspect, leaks, alarm, news } = more;
        wake.into_iter().for_each(Waker::wake);
        for (object, reason) in closed {
            self.metrics.closed(reason);
            if let Some(object) = object {
                self.put_away(object);
            }
        }
        for leak in leaks {
            self.report(leak);
        }
        if news {
            self.news.notify_waiters();
        }
        for _ in 0..create {
            self.begin_creation();
        }
        if let Some((slot, object)) = inspect {
            self.begin_inspection(slot, object);
        }
        if alarm {
            self.attend();
        }
    }

    /// Runs a task in the background, if there is a runtime and the pool is not being dropped. If not, `task` is not
    /// called, and what it would have owned is dropped.
    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, task: impl FnOnce(Arc<Self>) -> F) {
        if let (Ok(_), Some(inner)) = (Handle::try_current(), self.me.upgrade()) {
            let shutdown = inner.ctx.shutdown.clone();
            shutdown.spawn(task(inner));
        }
    }

    fn begin_creation(&self) {
        let creation = Creation { inner: self.me.clone() };
        self.spawn(|inner| async move {
            // Nobody needs an object of a service that stops.
            let stopped = inner.ctx.shutdown.clone();
            tokio::select! {
                () = create(inner, creation) => {}
                () = stopped.stopped() => {}
            }
        });
    }

    /// Resets an object that came back, or checks it, or both, before the next caller gets it.
    pub(crate) fn refit(&self, slot: usize, object: M::Object, check: bool) {
        self.change(|state, now, _| state.begin_refit(slot, now));
        let Some(inner) = self.me.upgrade() else { return };
        let mut guard = Guard::new(inner, slot, object);
        guard.set_fate(Fate::Close(Closed::Cancelled));
        self.spawn(|inner| async move { inner.make_fit(guard, check).await });
    }

    /// Puts the object back where it is needed if it is fit, or closes it.
    async fn make_fit(&self, mut guard: Guard<M>, check: bool) {
        let condition = self.condition(&guard);
        if let Some(reason) = condition.closes() {
            guard.set_fate(Fate::Close(reason));
            return;
        }
        if condition == Condition::Dirty {
            let reset =
                timeout(&*self.ctx.clock, self.config.check_within, self.manager.reset(&mut guard)).await;
            let failure = match reset {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(chain(&error)),
                Err(elapsed) => Some(elapsed.to_string()),
            };
            if let Some(error) = failure {
                tracing::warn!(target: "buttress::pool", pool = %self.name, error, "an object could not be reset");
                guard.set_fate(Fate::Close(Closed::Reset));
                return;
            }
        }
        if check && !self.check(&mut guard).await {
            guard.set_fate(Fate::Close(Closed::Check));
            return;
        }
        let slot = guard.slot;
        if let Some(object) = guard.take() {
            self.change(|state, now, effects| state.refitted(slot, object, check, now, effects));
        }
    }

    /// Checks idle objects, one after the other, as long as one needs it.
    fn begin_inspection(&self, slot: usize, object: M::Object) {
        let Some(inner) = self.me.upgrade() else { return };
        let mut guard = Guard::new(inner, slot, object);
        guard.set_fate(Fate::Close(Closed::Cancelled));
        let inspection = Inspection { inner: self.me.clone() };
        self.spawn(|inner| async move {
            let _inspection = inspection;
            loop {
                inner.make_fit(guard, true).await;
                let next = inner.change(|state, now, _| state.begin_inspection(now));
                let Some((slot, object)) = next.filter(|_| !inner.ctx.shutdown.is_stopping()) else { return };
                guard = Guard::new(Arc::clone(&inner), slot, object);
                guard.set_fate(Fate::Close(Closed::Cancelled));
            }
        });
    }

    /// Closes an object that is no longer of the pool.
    pub(crate) fn put_away(&self, object: M::Object) {
        let closing = Closing { inner: self.me.clone() };
        self.spawn(|inner| async move {
            let _closing = closing;
            let limit = inner.config.check_within;
            if let Err(elapsed) = timeout(&*inner.ctx.clock, limit, inner.manager.close(object)).await {
                tracing::warn!(target: "buttress::pool", pool = %inner.name, error = %elapsed, "an object was dropped unclosed");
            }
        });
    }

    /// Sees to it that somebody looks after time, soon.
    fn attend(&self) {
        if self.attended.swap(true, Ordering::AcqRel) {
            self.bell.notify_one();
            return;
        }
        let post = Post { inner: self.me.clone() };
        let (bell, ctx) = (Arc::clone(&self.bell), self.ctx.clone());
        self.spawn(|_| keep_time(post, bell, ctx));
    }

    /// Tells the metrics how things are, and what happened since they were told last.
    fn tell(&self) {
        let now = self.now();
        let (status, times) = {
            let mut state = self.desk.lock();
            (state.status(now), state.take_times())
        };
        self.metrics.level(&status);
        self.metrics.times(times);
    }

    fn report(&self, leak: Leak) {
        let Leak { held, by } = leak;
        self.metrics.leaked();
        let held = units::format_duration(std::time::Duration::from_secs(held.as_secs()));
        tracing::warn!(target: "buttress::pool", pool = %self.name, held, taken_at = %by, "an object is held for long");
        self.emit("pool.leak", Outcome::Failure, format!("held for {held}, taken at {by}"));
    }

    fn emit(&self, action: &'static str, outcome: Outcome, detail: String) {
        let event = Event::new(self.ctx.clock.wall(), action, outcome).target(&*self.name).detail(detail);
        self.ctx.events.emit(event);
    }

    /// Tells how a creation failed, and whether to try again.
    fn creation_failed(&self, cause: BoxedError) -> AfterFailure {
        self.metrics.create_failed();
        let error = chain(&*cause.source);
        let after = self.change(|state, now, effects| state.create_failed(cause, now, effects));
        match after {
            AfterFailure::Retry(wait) => {
                let wait = units::format_duration(wait);
                tracing::debug!(target: "buttress::pool", pool = %self.name, error, wait, "creating failed; trying again");
            }
            AfterFailure::Open => {
                tracing::warn!(target: "buttress::pool", pool = %self.name, error, "creating failed; none is tried for a while");
                self.emit("pool.circuit_open", Outcome::Failure, error);
            }
        }
        after
    }
}

/// A creation that is counted. Dropped before its end, it is counted no longer.
struct Creation<M: Manager> {
    inner: Weak<Inner<M>>,
}

impl<M: Manager> Creation<M> {
    /// Its outcome has been told.
    fn over(mut self) {
        self.inner = Weak::new();
    }
}

impl<M: Manager> Drop for Creation<M> {
    fn drop(&mut self) {
        let Some(inner) = self.inner.upgrade() else { return };
        if std::thread::panicking() {
            let source = "the manager panicked".into();
            let after = inner.creation_failed(BoxedError { class: ErrorClass::Internal, source });
            if after == AfterFailure::Open {
                return;
            }
        }
        inner.desk.lock().create_abandoned();
    }
}

async fn create<M: Manager>(inner: Arc<Inner<M>>, creation: Creation<M>) {
    while try_once(&inner).await.is_continue() {}
    creation.over();
}

async fn try_once<M: Manager>(inner: &Inner<M>) -> ControlFlow<()> {
    let limit = inner.config.create_within;
    let cause = match timeout(&*inner.ctx.clock, limit, inner.manager.create()).await {
        Ok(Ok(object)) => {
            inner.metrics.created();
            if inner.change(|state, now, effects| state.created(object, now, effects)) {
                tracing::info!(target: "buttress::pool", pool = %inner.name, "creating works again");
                inner.emit("pool.circuit_closed", Outcome::Success, "an object was created".to_owned());
            }
            return ControlFlow::Break(());
        }
        Ok(Err(error)) => BoxedError::of(error),
        Err(elapsed) => BoxedError::of(elapsed),
    };
    match inner.creation_failed(cause) {
        AfterFailure::Open => ControlFlow::Break(()),
        AfterFailure::Retry(wait) => {
            inner.ctx.clock.sleep(wait).await;
            let goes_on = inner.change(|state, now, _| state.goes_on(now));
            if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        }
    }
}

/// An object on its way out, which the state has counted.
struct Closing<M: Manager> {
    inner: Weak<Inner<M>>,
}

impl<M: Manager> Drop for Closing<M> {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.upgrade() {
            inner.change(State::put_away);
        }
    }
}

/// The inspection under way.
struct Inspection<M: Manager> {
    inner: Weak<Inner<M>>,
}

impl<M: Manager> Drop for Inspection<M> {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.upgrade() {
            inner.desk.lock().end_inspections();
        }
    }
}

/// The post of the one who looks after time. Left, whoever waits sees to it that it is taken again.
struct Post<M: Manager> {
    inner: Weak<Inner<M>>,
}

impl<M: Manager> Drop for Post<M> {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.upgrade() {
            inner.attended.store(false, Ordering::Release);
            let wake = inner.desk.lock().unattended();
            wake.into_iter().for_each(Waker::wake);
        }
    }
}

/// Maintains the pool until it is gone or the service stops.
async fn keep_time<M: Manager>(post: Post<M>, bell: Arc<Notify>, ctx: Ctx) {
    loop {
        let next = {
            let Some(inner) = post.inner.upgrade() else { return };
            let tick = inner.config.tick;
            let next = inner.change(|state, now, effects| state.maintain(now, tick, effects));
            inner.tell();
            next.instant(inner.start)
        };
        tokio::select! {
            () = sleep_until(&ctx, next) => {}
            () = bell.notified() => {}
            () = ctx.shutdown.stopped() => {
                if let Some(inner) = post.inner.upgrade() {
                    inner.change(|state, _, effects| state.close(effects));
                    inner.tell();
                }
                return;
            }
        }
    }
}

async fn sleep_until(ctx: &Ctx, time: Option<Instant>) {
    match time {
        Some(time) => ctx.clock.sleep_until(time).await,
        None => std::future::pending().await,
    }
}
