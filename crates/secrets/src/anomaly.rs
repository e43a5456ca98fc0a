//! Which accesses are unusual. Pure, and bounded in memory.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use buttress_core::{Validate, Violations, units};
use serde::{Deserialize, Serialize};

/// Which accesses are unusual.
///
/// | field | default | |
/// |---|---|---|
/// | `learn` | `"1d"` | so long after the start every reader of a secret is taken as known |
/// | `readers` | 1024 | readers that are remembered, each with 64 secrets at most |
/// | `window` | `"1m"` | accesses are counted in |
/// | `burst_over` | 10.0 | times what the reader does otherwise in a window is a burst |
/// | `burst_least` | 1000 | but not so few accesses |
/// | `opens`, `closes` | – | the hours of work, UTC: `"07:00"`, `"19:30"`; an access outside of them is unusual |
/// | `weekends` | true | whether Saturdays and Sundays have hours of work |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AnomalyConfig {
    /// So long after the start every reader is taken as known.
    #[serde(with = "units::duration")]
    pub learn: Duration,
    /// Readers that are remembered.
    pub readers: usize,
    /// Accesses are counted in windows of this length.
    #[serde(with = "units::duration")]
    pub window: Duration,
    /// Times what the reader does otherwise.
    pub burst_over: f64,
    /// So many accesses at least.
    pub burst_least: u32,
    /// When work begins, UTC.
    pub opens: Option<String>,
    /// When it ends, UTC; before it begins for a shift through the night.
    pub closes: Option<String>,
    /// Whether there is work on Saturdays and Sundays.
    pub weekends: bool,
}

impl Default for AnomalyConfig {
    fn default() -> Self {
        Self {
            learn: Duration::from_hours(24),
            readers: 1024,
            window: Duration::from_mins(1),
            burst_over: 10.0,
            burst_least: 1000,
            opens: None,
            closes: None,
            weekends: true,
        }
    }
}

impl Validate for AnomalyConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let readers = (1..=100_000).contains(&self.readers);
        wrong.require(readers, "readers", self.readers, "must be 1 to 100000; 1024 is usual");
        let window = (Duration::from_secs(1)..=Duration::from_hours(24)).contains(&self.window);
        let shown = units::format_duration(self.window);
        wrong.require(window, "window", shown, "must be \"1s\" to \"1d\"; \"1m\" is usual");
        let over = (1.0..=1e6).contains(&self.burst_over);
        wrong.require(over, "burst_over", self.burst_over, "must be 1.0 to 1000000.0; 10.0 is usual");
        for (field, text) in [("opens", &self.opens), ("closes", &self.closes)] {
            let reads = text.as_deref().is_none_or(|text| minutes(text).is_some());
            let found = text.clone().unwrap_or_default();
            wrong.require(reads, field, found, "must be a time of day, UTC, as \"07:30\"");
        }
        let both = self.opens.is_some() == self.closes.is_some();
        wrong.require(both, "opens", "alone", "`opens` and `closes` go together");
        wrong.into_result()
    }
}

/// What is unusual about an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Anomaly {
    /// This reader has not had this secret before.
    NewReader,
    /// This reader reads far more often than otherwise.
    Burst,
    /// Nobody works at this time.
    OffHours,
}

impl Anomaly {
    /// As a label: `"new_reader"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NewReader => "new_reader",
            Self::Burst => "burst",
            Self::OffHours => "off_hours",
        }
    }
}

/// Secrets of one reader that are remembered.
const SECRETS: usize = 64;
/// How much the last window counts for what is usual.
const WEIGHT: f64 = 0.1;

/// What one reader does.
#[derive(Debug)]
struct Reader {
    secrets: HashSet<Box<str>>,
    window: u64,
    count: u32,
    /// Accesses in a window, as they are otherwise; none before the first window has passed.
    usual: Option<f64>,
    told_burst: bool,
    /// The hour for which an access outside of the hours was told.
    told_hour: Option<u64>,
}

/// Tells unusual accesses from others. It has no clock: times are those of the accesses, by the time of day.
#[derive(Debug)]
pub struct Detector {
    config: AnomalyConfig,
    open: Option<(u64, u64)>,
    since: Option<SystemTime>,
    readers: HashMap<Box<str>, Reader>,
}

impl Detector {
    /// Has seen nothing yet; it begins to learn at the first access.
    #[must_use]
    pub fn new(config: AnomalyConfig) -> Self {
        let time = |text: &Option<String>| text.as_deref().and_then(minutes);
        let open = time(&config.opens).zip(time(&config.closes));
        Self { config, open, since: None, readers: HashMap::new() }
    }

    /// What is unusual about this access. A burst is told once a window, an access outside of the hours once an hour, of each reader.
    pub fn observe(&mut self, at: SystemTime, reader: &str, secret: &str) -> Vec<Anomaly> {
        let learning_since = *self.since.get_or_insert(at);
        let learning = at.duration_since(learning_since).unwrap_or_default() < self.config.learn;
        let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let window = seconds / self.config.window.as_secs().max(1);
        let off = self.open.is_some_and(|open| !is_open(seconds, open, self.config.weekends));
        if !self.readers.contains_key(reader) {
            self.make_room();
            self.readers.insert(reader.into(), Reader::new(window));
        }
        let mut found = Vec::new();
        let Some(seen) = self.readers.get_mut(reader) else { return found };
        if !seen.secrets.contains(secret) {
            // Who reads more secrets than are remembered is told of again and again, which is as it should be.
            if seen.secrets.len() < SECRETS {
                seen.secrets.insert(secret.into());
            }
            if !learning {
                found.push(Anomaly::NewReader);
            }
        }
        if seen.burst(window, &self.config) {
            found.push(Anomaly::Burst);
        }
        let hour = seconds / 3600;
        if off && seen.told_hour != Some(hour) {
            seen.told_hour = Some(hour);
            found.push(Anomaly::OffHours);
        }
        found
    }

    /// The reader that was silent for longest goes.
    fn make_room(&mut self) {
        if self.readers.len() >= self.config.readers {
            let silent = self.readers.iter().min_by_key(|(_, reader)| reader.window);
            if let Some(name) = silent.map(|(name, _)| name.clone()) {
                self.readers.remove(&name);
            }
        }
    }
}

impl Reader {
    fn new(window: u64) -> Self {
        let secrets = HashSet::new();
        Self { secrets, window, count: 0, usual: None, told_burst: false, told_hour: None }
    }

    fn burst(&mut self, window: u64, config: &AnomalyConfig) -> bool {
        // A clock that is put back does not end a window.
        if window > self.window {
            let count = f64::from(self.count);
            let passed = self.usual.map_or(count, |usual| usual + WEIGHT * (count - usual));
            let silent = i32::try_from(window - self.window - 1).unwrap_or(i32::MAX);
            self.usual = Some(passed * (1.0 - WEIGHT).powi(silent));
            (self.window, self.count, self.told_burst) = (window, 0, false);
        }
        self.count = self.count.saturating_add(1);
        let over = self.usual.is_some_and(|usual| f64::from(self.count) > config.burst_over * usual);
        let burst = over && self.count >= config.burst_least && !self.told_burst;
        self.told_burst |= burst;
        burst
    }
}

fn is_open(seconds: u64, (opens, closes): (u64, u64), weekends: bool) -> bool {
    let (day, minute) = (seconds / 86_400, seconds % 86_400 / 60);
    // 1970 began on a Thursday.
    let weekend = matches!((day + 4) % 7, 0 | 6);
    let within =
        if opens <= closes { (opens..closes).contains(&minute) } else { minute >= opens || minute < closes };
    within && (weekends || !weekend)
}

/// Minutes since midnight.
fn minutes(text: &str) -> Option<u64> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str, below: u64| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u64>().ok().filter(|number| digits && *number < below)
    };
    Some(number(hours, 24)? * 60 + number(minutes, 60)?)
}
