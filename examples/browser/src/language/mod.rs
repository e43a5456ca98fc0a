//! Plain sentences turned into workflow steps.
//!
//! [`grammar`] is tried first: fixed rules, free of cost, the same outcome each time.

mod budget;
mod config;
mod element;
mod error;
pub mod grammar;
mod key;
mod optimise;
mod outline;
mod prompt;
mod relevance;
mod scan;
mod store;
mod tokens;

pub use budget::{Budget, BudgetStatus, Reservation, Spend, Standing};
pub use config::LanguageConfig;
pub use error::{Error, ModelError, Result};
pub use optimise::PageHint;
pub use outline::outline;
pub use tokens::estimate_tokens;
