//! What may be spent on the model in a day, and what was.
//!
//! Before a call the most that it may cost is reserved, and refused if that is more than is left; afterwards what it
//! did cost is settled. So calls at the same time never spend more than the budget together, as long as a service
//! reports no more than was asked for; what it reports beyond that counts too. Reservations are in the file while
//! they last: those of a process that died count as spent, since the service may charge for them.
//!
//! A day is one of UTC, by the time of day of the clock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use buttress_core::{Ctx, Event, Events, Outcome, Rejection, RejectionReason, SharedClock, Validate};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::Serialize;

use super::config::LanguageConfig;
use super::error::{Error, Result};
use super::store::{Store, seconds, signed, unsigned};

const DAY: u64 = 24 * 60 * 60;
/// Days whose spending is remembered.
const REMEMBERED: u64 = 400;
/// The event that warns, once a day.
pub(crate) const WARNING: &str = "language.budget_warning";

/// An amount.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Spend {
    /// Tokens of prompts and answers.
    pub tokens: u64,
    /// Micro-dollars.
    pub micros: u64,
}

/// How one of the two budgets of a day stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// What was spent.
    pub spent: u64,
    /// What calls under way may spend at most.
    pub reserved: u64,
    /// What may be spent; nothing is no limit.
    pub limit: Option<u64>,
}

/// How a day's budget stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BudgetStatus {
    /// The day in UTC: `"2026-01-31"`.
    pub day: String,
    /// Tokens.
    pub tokens: Standing,
    /// Micro-dollars.
    pub micros: Standing,
    /// Whether the day's warning was given.
    pub warned: bool,
    /// The time until midnight UTC, when it begins anew.
    #[serde(with = "buttress_core::units::duration")]
    pub resets_in: Duration,
}

/// The budget. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    clock: SharedClock,
    events: Events,
    limit: Spend,
    has_micros: bool,
    warn_at: u64,
    /// Reservations that came to an end and are still to be written.
    ended: Mutex<Vec<Ended>>,
}

#[derive(Debug, Clone, Copy)]
struct Ended {
    day: u64,
    held: Spend,
    spent: Spend,
}

/// What one call may cost, held until it is settled. Dropped, it costs what [`sent`](Self::sent) said, else nothing.
#[derive(Debug)]
#[must_use = "a reservation that is dropped holds nothing"]
pub struct Reservation {
    budget: Arc<Inner>,
    ended: Ended,
}

impl Budget {
    /// Opens the budget that is kept in the configuration's folder. It may wait for the disk.
    ///
    /// # Errors
    ///
    /// When the configuration is wrong or the file cannot be used.
    pub fn open(config: &LanguageConfig, ctx: &Ctx) -> Result<Self> {
        config.validate().map_err(Error::Config)?;
        Self::of(Store::open(&config.folder)?, config, ctx)
    }

    pub(crate) fn of(store: Store, config: &LanguageConfig, ctx: &Ctx) -> Result<Self> {
        let today = seconds(ctx.clock.wall()) / DAY;
        store.run_here(|connection| {
            connection.execute(
                "UPDATE spending SET tokens = tokens + reserved_tokens, micros = micros + reserved_micros,
                    reserved_tokens = 0, reserved_micros = 0
                 WHERE reserved_tokens > 0 OR reserved_micros > 0",
                (),
            )?;
            let oldest = today.saturating_sub(REMEMBERED);
            connection.execute("DELETE FROM spending WHERE day < ?1", [signed(oldest)])
        })?;
        Ok(Self(Arc::new(Inner {
            store,
            clock: ctx.clock.clone(),
            events: ctx.events.clone(),
            limit: Spend {
                tokens: config.budget_daily_tokens,
                micros: config.budget_daily_micros.unwrap_or(u64::MAX),
            },
            has_micros: config.budget_daily_micros.is_some(),
            warn_at: u64::from(config.warn_at),
            ended: Mutex::default(),
        })))
    }

    /// Holds `most` for one call.
    ///
    /// # Errors
    ///
    /// [`Error::Budget`] when that is not left today, [`Error::Busy`] when it would be but for other calls under way,
    /// and when the file cannot be used.
    pub async fn reserve(&self, most: Spend) -> Result<Reservation> {
        let inner = Arc::clone(&self.0);
        let decided = self.0.store.run(move |connection| inner.decide(connection, most)).await?;
        decided.map_err(|refused| *refused)
    }

    /// How the budget stands now.
    ///
    /// # Errors
    ///
    /// When the file cannot be used.
    pub async fn status(&self) -> Result<BudgetStatus> {
        let inner = Arc::clone(&self.0);
        self.0.store.run(move |connection| inner.status(connection)).await
    }
}

impl Reservation {
    /// Says that the call is under way: if nothing else is heard of it, it costs this.
    pub fn sent(&mut self, likely: Spend) {
        self.ended.spent = likely;
    }

    /// Ends the reservation with what the call did cost.
    ///
    /// # Errors
    ///
    /// When the file cannot be used. What was spent is written with the next reservation then.
    pub async fn settle(mut self, spent: Spend) -> Result<()> {
        self.ended.spent = spent;
        let inner = Arc::clone(&self.budget);
        drop(self);
        let store = inner.store.clone();
        store.run(move |connection| inner.write_ended(connection)).await
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.ended().push(self.ended);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Where that fails, the reservations stay in the file and count as spent.
        let _ = self.store.clone().run_here(|connection| self.write_ended(connection));
    }
}

/// A day's row.
#[derive(Debug, Clone, Copy, Default)]
struct Row {
    spent: Spend,
    reserved: Spend,
    warned: bool,
}

impl Inner {
    fn ended(&self) -> MutexGuard<'_, Vec<Ended>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn today(&self) -> u64 {
        seconds(self.clock.wall()) / DAY
    }

    fn until_midnight(&self) -> Duration {
        Duration::from_secs(DAY - seconds(self.clock.wall()) % DAY)
    }

    /// Writes reservations that came to an end, and warns if the day's spending calls for it.
    fn write_ended(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        let ended = self.ended().clone();
        if ended.is_empty() {
            return Ok(());
        }
        let transaction = connection.transaction()?;
        for Ended { day, held, spent } in &ended {
            transaction
                .prepare_cached(
                    "UPDATE spending SET tokens = tokens + ?2, micros = micros + ?3,
                        reserved_tokens = MAX(0, reserved_tokens - ?4),
                        reserved_micros = MAX(0, reserved_micros - ?5)
                     WHERE day = ?1",
                )?
                .execute(params![
                    signed(*day),
                    amount(spent.tokens),
                    amount(spent.micros),
                    amount(held.tokens),
                    amount(held.micros)
                ])?;
        }
        let today = self.today();
        let row = row(&transaction, today)?;
        let warns = !row.warned && self.is_near(row.spent);
        if warns {
            note_warning(&transaction, today)?;
        }
        transaction.commit()?;
        // The connection was ours alone meanwhile, so only others' ends were added behind these.
        self.ended().drain(..ended.len());
        if warns {
            self.warn(row.spent);
        }
        Ok(())
    }

    /// Reserves or refuses. The reservation is made here, so that it is given back if nobody waits for it any more.
    fn decide(
        self: &Arc<Self>,
        connection: &mut Connection,
        most: Spend,
    ) -> rusqlite::Result<Result<Reservation, Box<Error>>> {
        self.write_ended(connection)?;
        let today = self.today();
        let transaction = connection.transaction()?;
        let row = row(&transaction, today)?;
        if let Some(refusal) = self.refusal(row, most) {
            let warns = !row.warned && matches!(refusal, Error::Budget { .. });
            if warns {
                note_warning(&transaction, today)?;
            }
            transaction.commit()?;
            if warns {
                self.warn(row.spent);
            }
            return Ok(Err(Box::new(refusal)));
        }
        transaction
            .prepare_cached(
                "INSERT INTO spending (day, reserved_tokens, reserved_micros) VALUES (?1, ?2, ?3)
                 ON CONFLICT (day) DO UPDATE SET reserved_tokens = reserved_tokens + ?2,
                    reserved_micros = reserved_micros + ?3",
            )?
            .execute(params![signed(today), amount(most.tokens), amount(most.micros)])?;
        transaction.commit()?;
        let ended = Ended { day: today, held: most, spent: Spend::default() };
        Ok(Ok(Reservation { budget: Arc::clone(self), ended }))
    }

    fn refusal(&self, row: Row, most: Spend) -> Option<Error> {
        let budgets = [
            (row.spent.tokens, row.reserved.tokens, most.tokens, self.limit.tokens, "tokens"),
            (row.spent.micros, row.reserved.micros, most.micros, self.limit.micros, "micro-dollars"),
        ];
        let mut busy = None;
        for (spent, reserved, most, limit, unit) in budgets {
            let with = spent.saturating_add(most);
            if with > limit {
                return Some(Error::Budget { spent, limit, unit, retry_after: self.until_midnight() });
            }
            if with.saturating_add(reserved) > limit {
                let rejection = Rejection::new(RejectionReason::Full).after(Duration::from_secs(1));
                busy = Some(Error::Busy(rejection));
            }
        }
        busy
    }

    fn is_near(&self, spent: Spend) -> bool {
        let near =
            |spent: u64, limit: u64| u128::from(spent) * 100 >= u128::from(limit) * u128::from(self.warn_at);
        near(spent.tokens, self.limit.tokens) || (self.has_micros && near(spent.micros, self.limit.micros))
    }

    fn warn(&self, spent: Spend) {
        let mut detail = format!("{} of {} tokens", spent.tokens, self.limit.tokens);
        if self.has_micros {
            detail = format!("{detail} and {} of {} micro-dollars", spent.micros, self.limit.micros);
        }
        let detail = format!("{detail} were spent on {}", date(self.today()));
        tracing::warn!(%detail, "the day's budget for the model is nearly used up");
        self.events.emit(Event::new(self.clock.wall(), WARNING, Outcome::Success).detail(detail));
    }

    fn status(&self, connection: &mut Connection) -> rusqlite::Result<BudgetStatus> {
        self.write_ended(connection)?;
        let today = self.today();
        let row = row(connection, today)?;
        let tokens = Standing {
            spent: row.spent.tokens,
            reserved: row.reserved.tokens,
            limit: Some(self.limit.tokens),
        };
        let micros = Standing {
            spent: row.spent.micros,
            reserved: row.reserved.micros,
            limit: self.has_micros.then_some(self.limit.micros),
        };
        let resets_in = self.until_midnight();
        Ok(BudgetStatus { day: date(today), tokens, micros, warned: row.warned, resets_in })
    }
}

fn row(connection: &Connection, day: u64) -> rusqlite::Result<Row> {
    let row = connection
        .prepare_cached(
            "SELECT tokens, micros, reserved_tokens, reserved_micros, warned FROM spending WHERE day = ?1",
        )?
        .query_row([signed(day)], |row| {
            let number = |at: usize| row.get(at).map(unsigned);
            Ok(Row {
                spent: Spend { tokens: number(0)?, micros: number(1)? },
                reserved: Spend { tokens: number(2)?, micros: number(3)? },
                warned: row.get(4)?,
            })
        })
        .optional()?;
    Ok(row.unwrap_or_default())
}

/// An amount as SQLite holds it, so that sums stay whole numbers.
fn amount(number: u64) -> i64 {
    signed(number.min(1 << 48))
}

fn note_warning(transaction: &Transaction<'_>, day: u64) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT INTO spending (day, warned) VALUES (?1, 1) ON CONFLICT (day) DO UPDATE SET warned = 1",
        [signed(day)],
    )?;
    Ok(())
}

/// A day since 1970 as `2026-01-31` (Howard Hinnant's `civil_from_days`).
fn date(day: u64) -> String {
    let day = day.saturating_add(719_468);
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn days_are_written_as_dates() {
        for (day, shown) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (20_454, "2026-01-01"),
            (20_484, "2026-01-31"),
        ] {
            assert_eq!(date(day), shown);
        }
    }
}
