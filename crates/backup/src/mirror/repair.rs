//! One store healed from another.

use std::collections::HashSet;
use std::fmt;

use buttress_core::Ctx;
use serde::Serialize;

use super::each::{Next, each};
use super::{COPIED, MirrorConfig, failure, or_incomplete, read_whole};
use crate::Error;
use crate::error::Failure;
use crate::id::{Object, ObjectKind};
use crate::store::{DynStore, Existing, Store};

/// What a repair found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RepairReport {
    /// Objects that were good.
    pub good: u64,
    /// Objects that were damaged and are good now.
    pub healed: u64,
    /// Objects that were lost and are there now.
    pub brought_back: u64,
}

impl fmt::Display for RepairReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { good, healed, brought_back } = self;
        write!(f, "{healed} objects healed, {brought_back} brought back, {good} were good")
    }
}

/// Heals what is damaged in `to`, and brings back what it has lost, from what is good in `from`: packs first, then indexes, then snapshots. Reads
/// all of `to`. Nothing good is touched.
///
/// A store cannot tell what was lost from what was removed: what was forgotten or pruned in `to` and is still in `from` comes back, takes room, and may
/// be forgotten again. Keys come back only to a store that has none left, so that a revoked one stays so.
///
/// # Errors
///
/// [`Error::Incomplete`] names what neither store has good. A config that differs is among them: nobody can tell which is good without a password;
/// open both, delete the damaged one, and repair again.
pub async fn repair(
    from: &DynStore,
    to: &DynStore,
    config: &MirrorConfig,
    ctx: &Ctx,
) -> Result<RepairReport, Error> {
    let (mut report, mut failures) = (RepairReport::default(), Vec::new());
    compare_configs(from, to).await?;
    for kind in COPIED {
        let there = names(to, kind).await?;
        let mut lost = names(from, kind).await?;
        lost.retain(|object| !there.contains(object));
        if kind == ObjectKind::Key && !there.is_empty() {
            lost.clear();
        }
        let heal = |object| {
            let (from, to) = (from.clone(), to.clone());
            async move { heal(&from, &to, object).await }
        };
        let all = there.iter().chain(&lost).copied();
        each(all, config.concurrency, ctx, heal, |object, healed| {
            match healed {
                Ok(Was::Good) => report.good += 1,
                Ok(Was::Damaged) => report.healed += 1,
                Ok(Was::Lost) => report.brought_back += 1,
                Err(error) => failures.push(failure(object, &to.place(), &error)),
            }
            Next::after(failures.len())
        })
        .await?;
        if Next::after(failures.len()) == Next::Stop {
            break;
        }
    }
    or_incomplete(report, failures)
}

async fn names(store: &DynStore, kind: ObjectKind) -> Result<HashSet<Object>, Error> {
    Ok(store.list(kind).await?.into_iter().map(|listed| listed.object).collect())
}

async fn compare_configs(from: &DynStore, to: &DynStore) -> Result<(), Error> {
    let ours = match read_whole(to, Object::CONFIG).await {
        Err(Error::Missing { .. }) => return Ok(()),
        read => read?,
    };
    if read_whole(from, Object::CONFIG).await? == ours {
        return Ok(());
    }
    let problem =
        format!("it is not that of {}: open both, delete the damaged one, repair again", from.place());
    let of = format!("{} in {}", Object::CONFIG, to.place());
    Err(Error::Incomplete {
        done: "nothing was repaired".to_owned(),
        failures: vec![Failure { of, problem }],
    })
}

enum Was {
    Good,
    Damaged,
    Lost,
}

async fn heal(from: &DynStore, to: &DynStore, object: Object) -> Result<Was, Error> {
    let was = match read_whole(to, object).await {
        Ok(_) => return Ok(Was::Good),
        Err(Error::Missing { .. }) => Was::Lost,
        Err(Error::Damaged { .. }) => Was::Damaged,
        Err(error) => return Err(error),
    };
    let good = read_whole(from, object).await?;
    to.put(object, good, Existing::Replaced).await?;
    Ok(was)
}
