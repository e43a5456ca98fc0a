//! `docproc init`: from no security to a first API key.

use anyhow::{Context, Error, Result};
use buttress_core::{Ctx, Key};
use buttress_service::{Security, SecurityConfig};

/// What somebody can do who runs this beside the service.
fn explain(error: buttress_service::Error) -> Error {
    let error = Error::new(error);
    let is_held = |cause: &(dyn std::error::Error + 'static)| {
        matches!(cause.downcast_ref(), Some(buttress_audit::Error::Locked { .. }))
    };
    if error.chain().any(is_held) {
        return error.context("the service is running; stop it, or have it make keys, by POST /v1/keys");
    }
    error
}

/// Makes what is missing, and prints what is shown this once.
pub(crate) async fn init(config: &SecurityConfig, owner: String, role: &str) -> Result<()> {
    let owner = Key::new(owner).context("--owner must be a name, such as ann")?;
    let made = Security::set_up(config, owner, role, &Ctx::default()).await;
    let made = made.map_err(explain)?;
    println!("{}", made.told("docproc", config));
    Ok(())
}
