//! Plain sentences turned into workflow steps.
//!
//! [`grammar`] is tried first: fixed rules, free of cost, the same outcome each time. What it does not understand goes
//! to a model, if [`LanguageConfig`] names one; without one, [`grammar::NotUnderstood`] is the answer. A [`Translator`]
//! does both:
//!
//! 1. The prompt is made: the form of workflows, the command, and the page shrunk to an [`outline`], within
//!    `prompt_tokens` by [`estimate_tokens`].
//! 2. An answer to the same prompt that was kept makes no call. Equal commands at the same time make one call. Both hold for
//!    one instance, and with [`SharedAnswersConfig`] for all that share them.
//! 3. A call is paid from the day's [`Budget`]: its worst case is reserved before, what it took is settled after.
//! 4. The answer must be one JSON workflow. It is checked as any other is; what is wrong is told to the model once.
//!
//! So nothing comes out of it but the steps that workflows have, and their addresses are judged by the guard when
//! they are opened. What pages say may still mislead a model: a page that is not trusted should not be shown with a
//! command whose steps nobody looks at. Parts of the page go to the service at `url`.
//!
//! ```
//! use browser::language::{LanguageConfig, Request, Source, Translator};
//! use buttress_core::Ctx;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! let translator = Translator::open(&LanguageConfig::default(), &Ctx::default()).await?;
//! let translation = translator.translate(&Request::new("go to example.com and take a screenshot")).await?;
//! assert_eq!((translation.source, translation.flow.steps.len()), (Source::Grammar, 2));
//! # Ok::<(), browser::language::Error>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
mod answers;
mod budget;
mod call;
mod callers;
mod config;
mod element;
mod error;
pub mod grammar;
mod key;
pub mod metrics;
mod model;
mod optimise;
mod outline;
mod prompt;
mod relevance;
mod scan;
mod store;
mod tokens;
mod translator;

pub use budget::{Budget, BudgetStatus, Reservation, Spend, Standing};
pub use config::{LanguageConfig, SharedAnswersConfig};
pub use error::{Error, ModelError, Result};
pub use optimise::PageHint;
pub use outline::outline;
pub use tokens::estimate_tokens;
pub use translator::{Request, Source, TokenReport, Translation, Translator};
