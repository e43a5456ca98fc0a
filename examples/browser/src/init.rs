//! `browser init`: from no security to an API key.

use anyhow::{Context, Result};
use browser::config::BrowserConfig;
use buttress_core::{Ctx, Key};
use buttress_service::{Security, SetUp};

/// Makes what is missing, and prints what is shown this once.
pub(crate) async fn init(config: &BrowserConfig, owner: String, role: &str) -> Result<()> {
    let owner = Key::new(owner).context("--owner must be a name, such as ann")?;
    let (security, name) = (config.placed_security(), owner.to_string());
    let folder = security.folder.display();
    let made = Security::set_up(&security, owner, role, &Ctx::default()).await;
    let SetUp { seed, key, .. } = made.with_context(|| {
        format!("{folder} cannot be set up; if a service uses it, stop that, or issue keys by POST /v1/keys")
    })?;
    println!("Security of browser is set up in {folder}.\n");
    println!("API key of {name}, role {role}. It is shown only now:\n\n    {}\n", key.expose());
    match seed {
        Some(seed) => println!(
            "Seed of the audit log. It is shown only now; keep it on paper or on another machine. With it\n\
             `audit verify --seed-file` finds what somebody changed who had everything on this one:\n\n    {}\n",
            *seed.reveal()
        ),
        None => println!("The audit log was there already; its seed was shown when it was made.\n"),
    }
    if security.secrets.is_none() {
        println!("Keep a copy of {folder}/secrets.key apart from the rest: it opens the vault beside it.\n");
    }
    if security.enabled {
        println!("Start the service: browser serve");
    } else {
        println!("Switch it on: browser serve --set security.enabled=true");
        println!("or in browser.toml:\n\n    [security]\n    enabled = true");
    }
    Ok(())
}
