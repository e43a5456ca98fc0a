//! Backups of all that the service keeps, made while it works, and proved by restoring them.
//!
//! In a snapshot, `/docproc` is the folder `store.folder` as the service wants to find it: restored, it is ready to be served.

mod data;
mod proof;
mod restore;

use buttress_backup::Error;
use buttress_backup::keeper::{Keeper, RepositoryArchive};
use buttress_core::Ctx;

pub use restore::{Wanted, restore};

use crate::config::DocprocConfig;
use data::Data;
use proof::Proof;

/// The source's name, and the folder of a snapshot in which its files are.
const SOURCE: &str = "docproc";

/// The repository with all that goes into it, as configured.
///
/// # Errors
///
/// What is wrong with `backup` of the configuration.
pub async fn archive(config: &DocprocConfig, ctx: &Ctx) -> Result<RepositoryArchive, Error> {
    let data = Data::new(config, ctx)?;
    let of_proof = ctx.clone();
    let archive = RepositoryArchive::open(&config.backup, ctx).await?;
    Ok(archive.proved(data, move |record| Ok(Proof::new(record, &of_proof))))
}

/// What makes, checks and proves backups when it is time.
///
/// # Errors
///
/// What is wrong with `backup` of the configuration.
pub async fn keeper(config: &DocprocConfig, ctx: &Ctx) -> Result<Keeper<RepositoryArchive>, Error> {
    Keeper::new(config.backup.clone(), archive(config, ctx).await?, ctx)
}
