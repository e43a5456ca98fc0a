//! A store beside which something happens at a chosen moment.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use buttress_backup::store::{Existing, Listed, Store};
use buttress_backup::{Error, Object, ObjectKind};
use buttress_core::BoxFuture;
use bytes::Bytes;

type Hook = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// Calls `inner`, and something else before the one call that it was made for.
#[derive(Clone)]
pub(crate) struct Meddled<S> {
    inner: S,
    moment: Arc<Mutex<Moment>>,
    hook: Hook,
}

/// Before the call that so many others came before, of those that it asks for: "put", "get", "list", "delete", or any.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) call: Option<(&'static str, ObjectKind)>,
    pub(crate) after: u64,
}

impl<S: Store> Meddled<S> {
    pub(crate) fn new<F>(inner: S, moment: Moment, hook: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let hook: Hook = Arc::new(move || Box::pin(hook()));
        Self { inner, moment: Arc::new(Mutex::new(moment)), hook }
    }

    /// Whether there has been no such moment.
    pub(crate) fn never_came(&self) -> bool {
        self.moment.lock().expect("whole").after != u64::MAX
    }

    async fn meddle(&self, doing: &'static str, kind: ObjectKind) {
        let comes = {
            let mut moment = self.moment.lock().expect("whole");
            let counts = moment.call.is_none_or(|call| call == (doing, kind)) && moment.after != u64::MAX;
            if counts {
                // After 0 there is no other.
                moment.after = moment.after.wrapping_sub(1);
            }
            counts && moment.after == u64::MAX
        };
        if comes {
            (self.hook)().await;
        }
    }
}

impl<S: Store> Store for Meddled<S> {
    async fn put(&self, object: Object, bytes: Bytes, existing: Existing) -> Result<bool, Error> {
        self.meddle("put", object.kind()).await;
        self.inner.put(object, bytes, existing).await
    }

    async fn get(&self, object: Object, range: Option<Range<u64>>) -> Result<Bytes, Error> {
        self.meddle("get", object.kind()).await;
        self.inner.get(object, range).await
    }

    async fn list(&self, kind: ObjectKind) -> Result<Vec<Listed>, Error> {
        self.meddle("list", kind).await;
        self.inner.list(kind).await
    }

    async fn delete(&self, object: Object) -> Result<(), Error> {
        self.meddle("delete", object.kind()).await;
        self.inner.delete(object).await
    }

    fn place(&self) -> String {
        self.inner.place()
    }
}
