//! One version of a KV secret, as the stages of ours. Pure.
//!
//! The whole of a secret is in the newest version of its KV secret, so that each change is one write with check-and-set: the current
//! value in the member that others read, and in the member [`STATE`] what a rotation needs. That member says at which version it was
//! written; where it is of another one, or missing, somebody has put a value by hand, and that counts as a
//! [put](crate::SecretStore::put).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

use super::STATE;
use crate::Secret;
use crate::lifecycle::Standing;
use crate::slots::{Slot, Slots};

/// A version of a KV secret as it was read.
#[derive(Clone)]
pub(super) struct Document {
    /// Its number at the server.
    pub(super) version: u64,
    pub(super) created: Option<SystemTime>,
    pub(super) members: Map<String, Value>,
}

impl Drop for Document {
    fn drop(&mut self) {
        for member in self.members.values_mut() {
            if let Value::String(text) = member {
                text.zeroize();
            }
        }
    }
}

/// The content of [`STATE`], as JSON in a text, which no tool that rewrites JSON changes.
#[derive(Serialize, Deserialize)]
struct State {
    /// The version of the KV secret that it was written as.
    at: u64,
    /// The highest number given out.
    last: u64,
    /// Whether the member with the current value is base 64.
    base64: bool,
    current: Place,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<Held>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<Held>,
}

#[derive(Serialize, Deserialize)]
struct Place {
    version: u64,
    /// Nanoseconds since 1970.
    since: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct Held {
    #[serde(flatten)]
    place: Place,
    /// In base 64.
    value: Zeroizing<String>,
}

/// Why a document holds no secret.
pub(super) type Problem = &'static str;

impl Document {
    /// Whether what a rotation needs is to be seen in the version before this one: this one was put by hand.
    pub(super) fn is_by_hand(&self) -> bool {
        self.state().is_none()
    }

    /// The stages in this document. `former` is the version before it, for one that was put by hand.
    pub(super) fn slots(&self, field: &str, former: Option<&Self>) -> Result<Slots<Secret>, Problem> {
        let current = self.value(field)?;
        let Some(state) = self.state() else {
            let standing = Standing { version: self.version, since: self.created };
            // What does not read as a secret was none.
            let previous = former.and_then(|former| Some((former, former.value(field).ok()?)));
            let previous = previous.map(|(former, value)| {
                let version = former.state().map_or(former.version, |state| state.current.version);
                Slot { standing: Standing { version, since: self.created }, value }
            });
            return Ok(Slots {
                current: Slot { standing, value: current },
                previous,
                next: None,
                last: self.version,
            });
        };
        Ok(Slots {
            current: Slot { standing: state.current.standing(), value: current },
            previous: state.previous.map(Held::slot).transpose()?,
            next: state.next.map(Held::slot).transpose()?,
            last: state.last,
        })
    }

    fn value(&self, field: &str) -> Result<Secret, Problem> {
        let text = self
            .members
            .get(field)
            .and_then(Value::as_str)
            .ok_or("the configured field is missing, or no text")?;
        if self.state().is_some_and(|state| state.base64) {
            return BASE64.decode(text.as_bytes()).map(Secret::new).map_err(|_| "its value is no base 64");
        }
        Ok(Secret::from(text.to_owned()))
    }

    fn state(&self) -> Option<State> {
        let text = self.members.get(STATE)?.as_str()?;
        let state: State = serde_json::from_str(text).ok()?;
        (state.at == self.version).then_some(state)
    }
}

/// The members of the document that is to be version `at`; those of `members` that are not ours stay.
pub(super) fn members(
    slots: &Slots<Secret>,
    at: u64,
    field: &str,
    mut members: Map<String, Value>,
) -> Map<String, Value> {
    let bytes = slots.current.value.expose();
    // Text with control characters would be six times as long in JSON.
    let text = std::str::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control));
    let state = State {
        at,
        last: slots.last,
        base64: text.is_none(),
        current: Place::of(&slots.current),
        previous: slots.previous.as_ref().map(Held::of),
        next: slots.next.as_ref().map(Held::of),
    };
    let value = text.map_or_else(|| BASE64.encode(bytes), str::to_owned);
    members.insert(field.to_owned(), Value::String(value));
    // Numbers and texts in base 64 always are JSON.
    members.insert(STATE.to_owned(), Value::String(serde_json::to_string(&state).unwrap_or_default()));
    members
}

impl Place {
    fn of(slot: &Slot<Secret>) -> Self {
        let nanos = |at: SystemTime| u64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok();
        Self { version: slot.standing.version, since: slot.standing.since.and_then(nanos) }
    }

    fn standing(&self) -> Standing {
        let since = self.since.and_then(|nanos| UNIX_EPOCH.checked_add(Duration::from_nanos(nanos)));
        Standing { version: self.version, since }
    }
}

impl Held {
    fn of(slot: &Slot<Secret>) -> Self {
        Self { place: Place::of(slot), value: Zeroizing::new(BASE64.encode(slot.value.expose())) }
    }

    fn slot(self) -> Result<Slot<Secret>, Problem> {
        let bytes =
            BASE64.decode(self.value.as_bytes()).map_err(|_| "a value of its rotation is no base 64")?;
        Ok(Slot { standing: self.place.standing(), value: Secret::new(bytes) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)] // A failing expectation fails the test.
    use proptest::prelude::*;

    use super::*;

    fn slot() -> impl Strategy<Value = Slot<Secret>> {
        let value = prop_oneof![any::<Vec<u8>>(), "\\PC*".prop_map(String::into_bytes)];
        (any::<u64>(), proptest::option::of(any::<u64>()), value).prop_map(|(version, since, value)| {
            let since = since.map(|nanos| UNIX_EPOCH + Duration::from_nanos(nanos));
            Slot { standing: Standing { version, since }, value: Secret::new(value) }
        })
    }

    fn same(a: &Slots<Secret>, b: &Slots<Secret>) -> bool {
        let values = |slots: &Slots<Secret>| {
            [Some(&slots.current), slots.previous.as_ref(), slots.next.as_ref()]
                .map(|slot| slot.map(|slot| slot.value.expose().to_vec()))
        };
        a.lifecycle() == b.lifecycle() && a.last == b.last && values(a) == values(b)
    }

    fn by_hand(version: u64, value: &str) -> Document {
        let members =
            [("value".to_owned(), value.into()), ("user".to_owned(), "app".into())].into_iter().collect();
        Document { version, created: Some(UNIX_EPOCH), members }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            current in slot(), previous in proptest::option::of(slot()), next in proptest::option::of(slot()),
            last: u64, at: u64,
        ) {
            let slots = Slots { current, previous, next, last };
            let members = members(&slots, at, "value", by_hand(1, "x").members.clone());
            prop_assert_eq!(&members["user"], "app");
            let document = Document { version: at, created: None, members };
            prop_assert!(!document.is_by_hand());
            prop_assert!(same(&document.slots("value", None).unwrap(), &slots));
        }

        #[test]
        fn no_state_is_a_panic(state in "\\PC*", version: u64) {
            let mut document = by_hand(version, "x");
            document.members.insert(STATE.to_owned(), state.into());
            prop_assert!(document.slots("value", None).is_ok());
        }
    }

    #[test]
    fn a_value_that_was_put_by_hand_is_the_current_one() {
        let first = by_hand(4, "old");
        let ours = Document {
            members: members(&first.slots("value", None).unwrap(), 5, "value", Map::new()),
            version: 5,
            created: None,
        };
        let patched = {
            // `kv patch` leaves the other members, ours among them.
            let mut members = ours.members.clone();
            members.insert("value".to_owned(), "new".into());
            Document { version: 6, created: Some(UNIX_EPOCH), members }
        };
        for by_hand in [by_hand(6, "new"), patched] {
            assert!(by_hand.is_by_hand());
            let slots = by_hand.slots("value", Some(&ours)).unwrap();
            assert_eq!((slots.current.standing.version, slots.last), (6, 6));
            assert!(slots.next.is_none());
            assert!(slots.current.value.matches(b"new"));
            let previous = slots.previous.unwrap();
            assert_eq!((previous.standing.version, previous.standing.since), (4, Some(UNIX_EPOCH)));
            assert!(previous.value.matches(b"old"));
        }
    }

    #[test]
    fn what_holds_no_secret_says_why() {
        assert!(by_hand(1, "x").slots("password", None).is_err_and(|problem| problem.contains("missing")));
        let mut document = by_hand(1, "x");
        document.members.insert("value".to_owned(), Value::Null);
        assert!(document.slots("value", None).is_err());
    }
}
