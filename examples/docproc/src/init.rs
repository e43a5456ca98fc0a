//! `docproc init`: from no security to a first API key.

use anyhow::{Context, Result};
use buttress_core::{Ctx, Key};
use buttress_service::{Security, SecurityConfig};

/// Makes what is missing, and prints what is shown this once.
pub(crate) async fn init(config: &SecurityConfig, owner: String, role: &str) -> Result<()> {
    let owner = Key::new(owner).context("--owner must be a name, such as ann")?;
    let made = Security::set_up(config, owner, role, &Ctx::default()).await?;
    println!("{}", made.told("docproc", config));
    Ok(())
}
