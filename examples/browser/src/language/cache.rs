//! Answers of the model, kept in the file: the same question makes no second call.
//!
//! Kept are workflows only, under a hash of what was asked; neither pages nor commands are.

use std::time::Duration;

use buttress_core::SharedClock;
use rusqlite::{OptionalExtension, params};

use super::error::Result;
use super::optimise::Prompt;
use super::prompt;
use super::store::{Store, seconds, signed};
use crate::flow::Flow;

/// BLAKE3 of the model, the prompt and the version of our instructions.
pub(crate) type Key = [u8; 32];

/// The key of what is asked of a model.
pub(crate) fn key(model: &str, prompt: &Prompt) -> Key {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&prompt::VERSION.to_le_bytes());
    let mut part = |text: &str| {
        // The length first, so that no two questions run together into the same bytes.
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    part(model);
    for message in &prompt.messages {
        part(message.role);
        part(&message.content);
    }
    *hasher.finalize().as_bytes()
}

/// The kept answers.
#[derive(Debug)]
pub(crate) struct Cache {
    store: Store,
    clock: SharedClock,
    most: u64,
    age: Duration,
}

impl Cache {
    pub(crate) fn new(store: Store, clock: SharedClock, most: u64, age: Duration) -> Self {
        Self { store, clock, most, age }
    }

    /// The workflow that was the answer, unless it is too old.
    pub(crate) async fn get(&self, key: Key) -> Result<Option<Flow>> {
        if self.most == 0 {
            return Ok(None);
        }
        let oldest = seconds(self.clock.wall()).saturating_sub(self.age.as_secs());
        let plan = self.store.run(move |connection| {
            connection
                .prepare_cached("SELECT plan FROM answers WHERE key = ?1 AND made_at > ?2")?
                .query_row(params![key, signed(oldest)], |row| row.get::<_, String>(0))
                .optional()
        });
        // A plan that another version kept, and that is none to this one, is asked for anew.
        let value = plan.await?.and_then(|plan| serde_json::from_str(&plan).ok());
        Ok(value.and_then(|value| Flow::from_value(value).ok()))
    }

    /// Keeps an answer, and lets go of those that are too old or too many.
    pub(crate) async fn put(&self, key: Key, flow: &Flow) -> Result<()> {
        if self.most == 0 {
            return Ok(());
        }
        // A workflow that was checked can be written.
        let Ok(plan) = serde_json::to_string(flow) else { return Ok(()) };
        let now = seconds(self.clock.wall());
        let oldest = now.saturating_sub(self.age.as_secs());
        let most = self.most;
        self.store
            .run(move |connection| {
                let transaction = connection.transaction()?;
                transaction.execute(
                    "INSERT OR REPLACE INTO answers (key, plan, made_at) VALUES (?1, ?2, ?3)",
                    params![key, plan, signed(now)],
                )?;
                transaction.execute("DELETE FROM answers WHERE made_at <= ?1", [signed(oldest)])?;
                transaction.execute(
                    "DELETE FROM answers WHERE key IN (
                        SELECT key FROM answers ORDER BY made_at DESC, key = ?2 DESC LIMIT -1 OFFSET ?1)",
                    params![signed(most), key],
                )?;
                transaction.commit()
            })
            .await
    }
}
