//! Reading back what a store holds.

use std::fmt;

use buttress_core::{Ctx, Violations};
use serde::Serialize;

use super::each::{Next, each};
use super::{COPIED, MirrorConfig, failure, or_incomplete, read_whole};
use crate::Error;
use crate::error::Failure;
use crate::id::Object;
use crate::store::{DynStore, Store};

/// A part of all objects, always the same for the same numbers: `3/30` is the third of thirty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    part: u64,
    of: u64,
}

impl Share {
    /// All objects.
    pub const ALL: Self = Self { part: 1, of: 1 };

    /// The part of this number, from 1, of so many.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] unless `1 <= part <= of`.
    pub fn new(part: u64, of: u64) -> Result<Self, Error> {
        let mut wrong = Violations::new();
        let sensible = 1 <= part && part <= of;
        wrong.require(
            sensible,
            "share",
            format!("{part}/{of}"),
            "must be 1/n to n/n; \"1/30\" is the first of thirty parts",
        );
        wrong.into_result().map_err(Error::Config)?;
        Ok(Self { part, of })
    }

    fn takes(self, object: Object) -> bool {
        // Ids are hashes, so their first bytes spread evenly.
        let [a, b, c, d, ..] = *object.id().as_bytes();
        u64::from(u32::from_be_bytes([a, b, c, d])).checked_rem(self.of) == Some(self.part - 1)
    }
}

/// What was read back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Objects that are what their names say.
    pub good: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} objects read back ({} bytes)", self.good, self.bytes)
    }
}

/// Reads back a share of a store, and compares each object with its name. No key is needed, and what is in the objects is not looked at.
///
/// # Errors
///
/// [`Error::Incomplete`] names each object that is damaged or cannot be read, up to a hundred.
pub async fn verify(
    store: &DynStore,
    share: Share,
    config: &MirrorConfig,
    ctx: &Ctx,
) -> Result<VerifyReport, Error> {
    let (mut report, mut failures) = (VerifyReport::default(), Vec::new());
    look_at(store, share, config, ctx, &mut report, &mut failures).await?;
    or_incomplete(report, failures)
}

pub(super) async fn look_at(
    store: &DynStore,
    share: Share,
    config: &MirrorConfig,
    ctx: &Ctx,
    report: &mut VerifyReport,
    failures: &mut Vec<Failure>,
) -> Result<(), Error> {
    for kind in COPIED {
        let listed = match store.list(kind).await {
            Ok(listed) => listed,
            Err(error) => {
                failures.push(failure(kind.folder(), &store.place(), &error));
                continue;
            }
        };
        let chosen = listed.into_iter().map(|one| one.object).filter(|object| share.takes(*object));
        let read = |object| {
            let store = store.clone();
            async move { Ok(read_whole(&store, object).await?.len() as u64) }
        };
        each(chosen, config.concurrency, ctx, read, |object, read| {
            match read {
                Ok(bytes) => (report.good, report.bytes) = (report.good + 1, report.bytes + bytes),
                // Removed since by somebody who may.
                Err(Error::Missing { .. }) => {}
                Err(error) => failures.push(failure(object, &store.place(), &error)),
            }
            Next::after(failures.len())
        })
        .await?;
    }
    Ok(())
}
