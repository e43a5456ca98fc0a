//! What is in the queue, and what became dead letters.

use anyhow::{Context, Result};
use buttress_core::{Ctx, Key};
use serde::Serialize;

use super::{Ticket, open_queue};
use crate::config::DocprocConfig;

/// A document that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadDocument {
    /// Its key in the queue, for [`retry`].
    pub id: String,
    /// What it is called.
    pub name: String,
    /// How often it was tried.
    pub attempts: u32,
    /// What its last failure means.
    pub class: String,
    /// Why it was given up.
    pub reason: String,
    /// When (RFC 3339).
    pub died_at: String,
}

/// Counts.
///
/// # Errors
///
/// When the queue fails.
pub async fn stats(config: &DocprocConfig, ctx: &Ctx) -> Result<buttress_queue::Stats> {
    Ok(open_queue(config, ctx).await?.stats().await?)
}

/// Up to `at_most` documents that were given up, the oldest first.
///
/// # Errors
///
/// When the queue fails.
pub async fn dead_letters(config: &DocprocConfig, at_most: usize, ctx: &Ctx) -> Result<Vec<DeadDocument>> {
    let letters = open_queue(config, ctx).await?.dead_letters(at_most).await?;
    let documents = letters.into_iter().map(|letter| DeadDocument {
        name: serde_json::from_slice(&letter.payload)
            .map_or_else(|_| "?".to_owned(), |ticket: Ticket| ticket.name),
        id: letter.key.to_string(),
        attempts: letter.attempts,
        class: letter.class,
        reason: letter.reason,
        died_at: humantime::format_rfc3339_seconds(letter.died_at).to_string(),
    });
    Ok(documents.collect())
}

/// Puts dead letters back into the queue, all of them if `ids` is empty; how many.
///
/// # Errors
///
/// When the queue fails, or knows no dead letter of an id.
pub async fn retry(config: &DocprocConfig, ids: &[String], ctx: &Ctx) -> Result<usize> {
    let queue = open_queue(config, ctx).await?;
    let mut keys = Vec::new();
    for id in ids {
        keys.push(Key::new(id).with_context(|| format!("`{id}` is no id; `docproc queue dead` lists them"))?);
    }
    if ids.is_empty() {
        // As many as there can be.
        let most = usize::try_from(queue.config().depth.saturating_mul(2)).unwrap_or(usize::MAX);
        keys.extend(queue.dead_letters(most).await?.into_iter().map(|letter| letter.key));
    }
    for key in &keys {
        queue.revive(key).await?;
    }
    Ok(keys.len())
}
