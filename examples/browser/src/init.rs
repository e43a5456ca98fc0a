//! `browser init`: from no security to an API key.

use anyhow::{Context, Result};
use browser::config::BrowserConfig;
use buttress_core::{Ctx, Key};
use buttress_service::Security;

/// Makes what is missing, and prints what is shown this once.
pub(crate) async fn init(config: &BrowserConfig, owner: String, role: &str) -> Result<()> {
    let owner = Key::new(owner).context("--owner must be a name, such as ann")?;
    let security = config.placed_security();
    let made = Security::set_up(&security, owner, role, &Ctx::default()).await?;
    println!("{}", made.told("browser", &security));
    Ok(())
}
