//! `browser init`: from no security to an API key.

use anyhow::{Context, Result};
use browser::config::BrowserConfig;
use buttress_core::{Ctx, Key};
use buttress_service::Security;

/// Makes what is missing, and prints what is shown this once.
pub(crate) async fn init(config: &BrowserConfig, owner: String, role: &str) -> Result<()> {
    let owner = Key::new(owner).context("--owner must be a name, such as ann")?;
    let security = config.placed_security();
    let folder = security.folder.display();
    let made = Security::set_up(&security, owner, role, &Ctx::default()).await;
    let made = made.with_context(|| {
        format!("{folder} cannot be set up; if a service uses it, stop that, or issue keys by POST /v1/keys")
    })?;
    println!("{}", made.told("browser", &security));
    Ok(())
}
