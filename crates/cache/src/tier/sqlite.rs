//! A second tier in a file: what is kept survives a restart, and the processes of a machine may share it.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use buttress_connect::sqlite::Sqlite;
use buttress_connect::sqlite::client::{self, Connection, OptionalExtension, Transaction, params};
use buttress_core::{BoxFuture, Key, SharedClock, chain, unique_number};

use super::{Answer, Heard, Lease, News, Stored, Tier, TierError};

/// Keeps bytes in a SQLite file, one cache a file, at most so many names: for one more, the one that was written longest ago goes.
/// Of as many tags the marks are kept; for one more, what was put in under the tag that was marked first is not found any more.
///
/// Several processes of one machine may share the file. News are looked for once a `beat`. Times are those of the clock on the
/// wall: set back, it makes what is kept live longer.
#[derive(Debug, Clone)]
pub struct SqliteTier {
    sqlite: Sqlite,
    clock: SharedClock,
    most: i64,
}

/// `number` is the order in which values were written. SQLite does not know how many rows a table has, so they are counted.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS cache_values (
        number INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        bytes BLOB NOT NULL,
        ends INTEGER
    );
    CREATE INDEX IF NOT EXISTS cache_values_by_end ON cache_values (ends) WHERE ends IS NOT NULL;
    CREATE TABLE IF NOT EXISTS cache_room (id INTEGER PRIMARY KEY CHECK (id = 0), used INTEGER NOT NULL);
    INSERT OR IGNORE INTO cache_room SELECT 0, count(*) FROM cache_values;
    CREATE TRIGGER IF NOT EXISTS cache_value_came AFTER INSERT ON cache_values
        BEGIN UPDATE cache_room SET used = used + 1; END;
    CREATE TRIGGER IF NOT EXISTS cache_value_went AFTER DELETE ON cache_values
        BEGIN UPDATE cache_room SET used = used - 1; END;
    CREATE TABLE IF NOT EXISTS cache_leases (
        name TEXT PRIMARY KEY,
        token INTEGER NOT NULL,
        begins INTEGER NOT NULL,
        ends INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS cache_marks (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        tag TEXT NOT NULL UNIQUE,
        mark INTEGER NOT NULL,
        ends INTEGER
    );
    CREATE TABLE IF NOT EXISTS cache_news (number INTEGER PRIMARY KEY AUTOINCREMENT, bytes BLOB NOT NULL);";

/// News that are kept for those who look for them; whoever is further behind is told that it lost some.
const NEWS: i64 = 4096;
/// Values past their time that one change takes out.
const SWEPT: i64 = 100;

impl SqliteTier {
    /// In this file, of which nothing else is known; at most `most` values, and one at least.
    ///
    /// # Errors
    ///
    /// When the file does not take the tables.
    pub async fn open(sqlite: Sqlite, most: u64, clock: SharedClock) -> Result<Self, TierError> {
        let made = sqlite.run(|connection| {
            let transaction = immediate(connection)?;
            transaction.execute_batch(SCHEMA)?;
            transaction.commit()
        });
        made.await.map_err(TierError::of)?;
        Ok(Self { sqlite, clock, most: i64::try_from(most).unwrap_or(i64::MAX).max(1) })
    }

    /// Does `work` at the time that it is now, whole or not at all.
    fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>, i64) -> client::Result<T> + Send + 'static,
    ) -> Answer<'_, T> {
        let clock = SharedClock::clone(&self.clock);
        let changed = self.sqlite.run(move |connection| {
            let transaction = immediate(connection)?;
            let answer = work(&transaction, millis_of(clock.wall()))?;
            transaction.commit()?;
            Ok(answer)
        });
        Box::pin(async move { changed.await.map_err(TierError::of) })
    }
}

/// A transaction that writes from its beginning: one that begins by reading is refused when another process writes meanwhile.
fn immediate(connection: &mut Connection) -> client::Result<Transaction<'_>> {
    connection.transaction_with_behavior(client::TransactionBehavior::Immediate)
}

/// Milliseconds since 1970.
fn millis_of(time: SystemTime) -> i64 {
    millis(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

fn millis(duration: Duration) -> i64 {
    // Half of what there is: two of them can be added.
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).min(i64::MAX / 2)
}

/// When something ends that lasts from now on; it lasts for something.
fn end(now: i64, duration: Duration) -> i64 {
    now.saturating_add(millis(duration).max(1))
}

/// Whether a value stands under this name that does not begin with `over`.
fn is_there(
    transaction: &Transaction<'_>,
    name: &str,
    over: Option<&[u8]>,
    now: i64,
) -> client::Result<bool> {
    let sql = "SELECT 1 FROM cache_values WHERE name = ?1 AND (ends IS NULL OR ends > ?2)
        AND (?3 IS NULL OR substr(bytes, 1, length(?3)) <> ?3)";
    transaction.prepare_cached(sql)?.exists(params![name, now, over])
}

/// Ends the lease of `token`; whether it was that.
fn end_lease(transaction: &Transaction<'_>, name: &str, token: i64, now: i64) -> client::Result<bool> {
    let sql = "DELETE FROM cache_leases WHERE name = ?1 AND token = ?2 AND ends > ?3";
    Ok(transaction.prepare_cached(sql)?.execute(params![name, token, now])? > 0)
}

fn end_any_lease(transaction: &Transaction<'_>, name: &str) -> client::Result<()> {
    transaction.prepare_cached("DELETE FROM cache_leases WHERE name = ?1")?.execute([name]).map(drop)
}

fn forget(transaction: &Transaction<'_>, name: &str) -> client::Result<()> {
    transaction.prepare_cached("DELETE FROM cache_values WHERE name = ?1")?.execute([name]).map(drop)
}

/// Puts a value in, and lets go of those that are past their time or too many.
fn put(
    transaction: &Transaction<'_>,
    (name, bytes, ends): (&str, &[u8], Option<i64>),
    (now, most): (i64, i64),
) -> client::Result<()> {
    forget(transaction, name)?;
    let sql = "INSERT INTO cache_values (name, bytes, ends) VALUES (?1, ?2, ?3)";
    transaction.prepare_cached(sql)?.execute(params![name, bytes, ends])?;
    let sql = "DELETE FROM cache_values WHERE number IN (SELECT number FROM cache_values WHERE ends <= ?1 LIMIT ?2)";
    transaction.prepare_cached(sql)?.execute([now, SWEPT])?;
    let sql = "SELECT used FROM cache_room";
    let used: i64 = transaction.prepare_cached(sql)?.query_row((), |row| row.get(0))?;
    if used > most {
        let sql = "DELETE FROM cache_values WHERE number IN (SELECT number FROM cache_values ORDER BY number LIMIT ?1)";
        transaction.prepare_cached(sql)?.execute([used - most])?;
    }
    Ok(())
}

/// The mark of a tag, which is kept until `ends` at least; a new one, if it has none.
fn mark(
    transaction: &Transaction<'_>,
    tag: &str,
    ends: Option<i64>,
    (now, most): (i64, i64),
) -> client::Result<u64> {
    let sql = "SELECT mark, ends FROM cache_marks WHERE tag = ?1 AND (ends IS NULL OR ends > ?2)";
    let known = transaction
        .prepare_cached(sql)?
        .query_row(params![tag, now], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?)))
        .optional()?;
    if let Some((mark, known)) = known {
        // Without an end is longer than any.
        let ends = known.zip(ends).map(|(known, ends)| known.max(ends));
        let sql = "UPDATE cache_marks SET ends = ?2 WHERE tag = ?1";
        transaction.prepare_cached(sql)?.execute(params![tag, ends])?;
        return Ok(mark.cast_unsigned());
    }
    let mark = unique_number();
    unmark(transaction, tag)?;
    let sql = "INSERT INTO cache_marks (tag, mark, ends) VALUES (?1, ?2, ?3)";
    transaction.prepare_cached(sql)?.execute(params![tag, mark.cast_signed(), ends])?;
    let sql = "DELETE FROM cache_marks WHERE number <= ?1";
    transaction.prepare_cached(sql)?.execute([transaction.last_insert_rowid().saturating_sub(most)])?;
    Ok(mark)
}

fn unmark(transaction: &Transaction<'_>, tag: &str) -> client::Result<()> {
    transaction.prepare_cached("DELETE FROM cache_marks WHERE tag = ?1")?.execute([tag]).map(drop)
}

fn tell(transaction: &Transaction<'_>, news: &[u8]) -> client::Result<()> {
    transaction.prepare_cached("INSERT INTO cache_news (bytes) VALUES (?1)")?.execute([news])?;
    let sql = "DELETE FROM cache_news WHERE number <= ?1";
    transaction.prepare_cached(sql)?.execute([transaction.last_insert_rowid() - NEWS]).map(drop)
}

impl Tier for SqliteTier {
    fn get<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Stored>> {
        Box::pin(async move {
            let name = name.to_owned();
            let found = self.sqlite.run(move |connection| {
                connection
                    .prepare_cached("SELECT bytes, ends FROM cache_values WHERE name = ?1")?
                    .query_row([name], |row| Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?)))
                    .optional()
            });
            let now = millis_of(self.clock.wall());
            let Some((bytes, ends)) = found.await.map_err(TierError::of)? else { return Ok(None) };
            let left = ends.map(|ends| u64::try_from(ends - now).unwrap_or(0));
            Ok((left != Some(0)).then(|| Stored { bytes, left: left.map(Duration::from_millis) }))
        })
    }

    fn lease<'a>(
        &'a self,
        name: &'a str,
        token: u64,
        length: Duration,
        over: Option<&'a [u8]>,
    ) -> Answer<'a, Lease> {
        let (name, over) = (name.to_owned(), over.map(<[u8]>::to_vec));
        self.change(move |transaction, now| {
            if is_there(transaction, &name, over.as_deref(), now)? {
                return Ok(Lease::Needless);
            }
            // One that began later than now is of a clock that was set back, and would not end for long.
            let sql = "DELETE FROM cache_leases WHERE ends <= ?1 OR begins > ?1";
            transaction.prepare_cached(sql)?.execute([now])?;
            let sql =
                "INSERT OR IGNORE INTO cache_leases (name, token, begins, ends) VALUES (?1, ?2, ?3, ?4)";
            let lease = params![name, token.cast_signed(), now, end(now, length)];
            let given = transaction.prepare_cached(sql)?.execute(lease)? > 0;
            Ok(if given { Lease::Given } else { Lease::Taken })
        })
    }

    fn extend<'a>(&'a self, name: &'a str, token: u64, length: Duration) -> Answer<'a, bool> {
        let name = name.to_owned();
        self.change(move |transaction, now| {
            let sql =
                "UPDATE cache_leases SET begins = ?3, ends = ?4 WHERE name = ?1 AND token = ?2 AND ends > ?3";
            let lease = params![name, token.cast_signed(), now, end(now, length)];
            Ok(transaction.prepare_cached(sql)?.execute(lease)? > 0)
        })
    }

    fn release<'a>(&'a self, name: &'a str, token: u64) -> Answer<'a, ()> {
        let name = name.to_owned();
        self.change(move |transaction, now| end_lease(transaction, &name, token.cast_signed(), now).map(drop))
    }

    fn fill<'a>(
        &'a self,
        name: &'a str,
        token: u64,
        bytes: &'a [u8],
        keep: Option<Duration>,
    ) -> Answer<'a, bool> {
        let (name, bytes, most) = (name.to_owned(), bytes.to_vec(), self.most);
        self.change(move |transaction, now| {
            let holds = end_lease(transaction, &name, token.cast_signed(), now)?;
            if holds {
                put(transaction, (&name, &bytes, keep.map(|keep| end(now, keep))), (now, most))?;
            }
            Ok(holds)
        })
    }

    fn write<'a>(
        &'a self,
        name: &'a str,
        bytes: &'a [u8],
        keep: Option<Duration>,
        news: &'a [u8],
    ) -> Answer<'a, ()> {
        let (name, bytes, news, most) = (name.to_owned(), bytes.to_vec(), news.to_vec(), self.most);
        self.change(move |transaction, now| {
            end_any_lease(transaction, &name)?;
            put(transaction, (&name, &bytes, keep.map(|keep| end(now, keep))), (now, most))?;
            tell(transaction, &news)
        })
    }

    fn remove<'a>(&'a self, name: &'a str, news: &'a [u8]) -> Answer<'a, ()> {
        let (name, news) = (name.to_owned(), news.to_vec());
        self.change(move |transaction, _| {
            end_any_lease(transaction, &name)?;
            forget(transaction, &name)?;
            tell(transaction, &news)
        })
    }

    fn mark<'a>(&'a self, tags: &'a [Key], keep: Option<Duration>) -> Answer<'a, Vec<u64>> {
        let (tags, most) = (tags.to_vec(), self.most);
        self.change(move |transaction, now| {
            let ends = keep.map(|keep| end(now, keep));
            tags.iter().map(|tag| mark(transaction, tag.as_str(), ends, (now, most))).collect()
        })
    }

    fn marks<'a>(&'a self, tags: &'a [Key]) -> Answer<'a, Vec<Option<u64>>> {
        Box::pin(async move {
            let (tags, now) = (tags.to_vec(), millis_of(self.clock.wall()));
            let found = self.sqlite.run(move |connection| {
                let sql = "SELECT mark FROM cache_marks WHERE tag = ?1 AND (ends IS NULL OR ends > ?2)";
                // Read together, so that no tag is marked between.
                let transaction = connection.unchecked_transaction()?;
                let mut statement = transaction.prepare_cached(sql)?;
                let mut known = |tag: &Key| {
                    statement.query_row(params![tag.as_str(), now], |row| row.get::<_, i64>(0)).optional()
                };
                tags.iter().map(|tag| Ok(known(tag)?.map(i64::cast_unsigned))).collect()
            });
            found.await.map_err(TierError::of)
        })
    }

    fn unmark<'a>(&'a self, tag: &'a Key, news: &'a [u8]) -> Answer<'a, ()> {
        let (tag, news) = (tag.clone(), news.to_vec());
        self.change(move |transaction, _| {
            unmark(transaction, tag.as_str())?;
            tell(transaction, &news)
        })
    }

    fn publish<'a>(&'a self, news: &'a [u8]) -> Answer<'a, ()> {
        let news = news.to_vec();
        self.change(move |transaction, _| tell(transaction, &news))
    }

    fn listen(&self, beat: Duration, clock: SharedClock) -> Box<dyn News> {
        let due = clock.now();
        let (sqlite, told) = (self.sqlite.clone(), VecDeque::new());
        Box::new(Listening { sqlite, beat, clock, due, last: None, was_lost: false, told })
    }
}

struct Listening {
    sqlite: Sqlite,
    beat: Duration,
    clock: SharedClock,
    /// When it looks the next time.
    due: Instant,
    /// The number of the latest that was seen; `None` while nothing is heard.
    last: Option<i64>,
    was_lost: bool,
    /// What was seen and is still to be told.
    told: VecDeque<Heard>,
}

/// The numbers of the first and the latest there are, and all after `last`.
fn news_after(connection: &Connection, last: i64) -> client::Result<(i64, i64, Vec<Vec<u8>>)> {
    // Read together, so that nothing comes or goes between.
    let transaction = connection.unchecked_transaction()?;
    let sql = "SELECT coalesce(min(number), 0), coalesce(max(number), 0) FROM cache_news";
    let (first, latest) =
        transaction.prepare_cached(sql)?.query_row((), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let sql = "SELECT bytes FROM cache_news WHERE number > ?1 ORDER BY number";
    let news =
        transaction.prepare_cached(sql)?.query_map([last], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok((first, latest, news))
}

impl Listening {
    /// Looks once.
    async fn look(&mut self) {
        let (asked_at, last) = (self.clock.now(), self.last);
        let seen = self.sqlite.run(move |connection| news_after(connection, last.unwrap_or(i64::MAX))).await;
        self.due = asked_at + self.beat;
        match (seen, last) {
            (Ok((_, latest, _)), None) => {
                (self.last, self.was_lost) = (Some(latest), false);
                self.told.push_back(Heard::Begun);
            }
            (Ok((first, latest, news)), Some(last)) if first <= last + 1 && latest >= last => {
                self.last = Some(latest);
                self.told.extend(news.into_iter().map(Heard::Message));
                self.told.push_back(Heard::UpTo(asked_at));
            }
            (Ok(_), Some(_)) => self.lose("news came faster than they were looked for".to_owned()),
            (Err(error), _) => self.lose(chain(&error)),
        }
    }

    fn lose(&mut self, why: String) {
        self.last = None;
        if !self.was_lost {
            self.was_lost = true;
            self.told.push_back(Heard::Lost(why));
        }
    }
}

impl News for Listening {
    fn next(&mut self) -> BoxFuture<'_, Heard> {
        Box::pin(async move {
            loop {
                if let Some(heard) = self.told.pop_front() {
                    return heard;
                }
                self.clock.sleep_until(self.due).await;
                self.look().await;
            }
        })
    }
}
