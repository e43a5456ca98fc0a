//! `docproc init`: from no security to a first API key.

use anyhow::{Context, Error, Result};
use buttress_core::{Ctx, Key};
use buttress_service::{Security, SecurityConfig, SetUp};

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
    let (name, folder) = (owner.to_string(), config.folder.display());
    let made = Security::set_up(config, owner, role, &Ctx::default()).await;
    let SetUp { seed, key, .. } = made.map_err(explain)?;
    println!("Security of docproc is set up in {folder}.\n");
    println!("API key of {name}, role {role}. It is shown only now:\n\n    {}\n", key.expose());
    match seed {
        Some(seed) => println!(
            "Seed of the audit log. It is shown only now; keep it on paper or on another machine. With it\n\
             `audit verify --seed-file` finds what somebody changed who had everything on this one:\n\n    {}\n",
            *seed.reveal()
        ),
        None => println!("The audit log is there already, and its seed was shown when it was made.\n"),
    }
    if config.secrets.is_none() {
        println!("Keep a copy of {folder}/secrets.key apart from the rest: it opens the vault beside it.\n");
    }
    if config.enabled {
        println!("Start the service: docproc serve");
    } else {
        println!("Switch it on: docproc serve --set security.enabled=true");
        println!("or in docproc.toml:\n\n    [security]\n    enabled = true");
    }
    Ok(())
}
