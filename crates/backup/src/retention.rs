//! Which snapshots are kept, and why. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, SystemTime};

use buttress_core::{Validate, Violations, units};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::format::snapshot::Snapshot;
use crate::id::Id;
use crate::zone::{Zone, timestamp};

/// What a client says of the time may differ so much from what the store says, before it is called [disputed](Plan::disputed).
pub const SKEW: Duration = Duration::from_mins(10);

/// Which snapshots are kept: grandfather, father and son.
///
/// | field | default | |
/// |---|---|---|
/// | `last` | 3 | the newest so many |
/// | `hourly` | 24 | of the newest so many hours that have a snapshot, the last one of each |
/// | `daily` | 30 | the same of days |
/// | `weekly` | 0 | the same of weeks of ISO 8601, which begin on Monday |
/// | `monthly` | 0 | the same of months |
/// | `yearly` | 7 | the same of years |
/// | `within` | none | all that are younger than that, counted from the newest one |
/// | `within_hourly`, `within_daily`, `within_weekly`, `within_monthly`, `within_yearly` | none | of all hours (…) since then, the last snapshot of each |
/// | `tags` | `["pin", "legal-hold"]` | whatever has one of them is kept |
/// | `ids` | none | snapshots that are kept, by at least the first eight digits of their id |
/// | `time_zone` | `"UTC"` | where hours, days, weeks, months and years begin |
///
/// Each host with its paths is a group of its own, as for `restic forget`, and what has no snapshot takes no place: a machine that is off for a
/// month keeps its 30 days. Beyond what the fields say, these are kept, so that neither a mistake nor a thief with the key of a writer can
/// make retention remove what matters:
///
/// - the newest snapshot of a group, and the newest that was [verified](SnapshotInfo::verified);
/// - the first snapshot of an hour, day, … beside the last, if their sizes differ by more than half: one of them is not what it should be;
/// - what lies in the future. It takes no place of others.
///
/// Time is [when the store first saw](SnapshotInfo::first_seen) a snapshot. If what the client said differs by more than [`SKEW`], either of
/// the two may be wrong (a forged snapshot; a repository that was copied), and what either of them keeps is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Retention {
    /// The newest so many.
    pub last: u32,
    /// The last one of so many hours.
    pub hourly: u32,
    /// The last one of so many days.
    pub daily: u32,
    /// The last one of so many weeks.
    pub weekly: u32,
    /// The last one of so many months.
    pub monthly: u32,
    /// The last one of so many years.
    pub yearly: u32,
    /// All that are younger.
    #[serde(with = "units::optional_duration")]
    pub within: Option<Duration>,
    /// The last one of each hour since then.
    #[serde(with = "units::optional_duration")]
    pub within_hourly: Option<Duration>,
    /// The last one of each day since then.
    #[serde(with = "units::optional_duration")]
    pub within_daily: Option<Duration>,
    /// The last one of each week since then.
    #[serde(with = "units::optional_duration")]
    pub within_weekly: Option<Duration>,
    /// The last one of each month since then.
    #[serde(with = "units::optional_duration")]
    pub within_monthly: Option<Duration>,
    /// The last one of each year since then.
    #[serde(with = "units::optional_duration")]
    pub within_yearly: Option<Duration>,
    /// Whatever has one of these is kept.
    pub tags: Vec<String>,
    /// These are kept: ids, or how they begin.
    pub ids: Vec<String>,
    /// Where hours, days, weeks, months and years begin.
    pub time_zone: Zone,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            last: 3,
            hourly: 24,
            daily: 30,
            yearly: 7,
            tags: vec!["pin".to_owned(), "legal-hold".to_owned()],
            ..Self::none()
        }
    }
}

impl Retention {
    /// A policy without a rule, to begin with. As it is it is refused, rather than that all be removed.
    #[must_use]
    pub fn none() -> Self {
        Self {
            last: 0,
            hourly: 0,
            daily: 0,
            weekly: 0,
            monthly: 0,
            yearly: 0,
            within: None,
            within_hourly: None,
            within_daily: None,
            within_weekly: None,
            within_monthly: None,
            within_yearly: None,
            tags: Vec::new(),
            ids: Vec::new(),
            time_zone: Zone::UTC,
        }
    }

    /// Which of the snapshots are kept, why, and which would be removed. Takes microseconds a snapshot.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use buttress_backup::{Id, Retention, SnapshotInfo};
    ///
    /// let hour = |n: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(3600 * n);
    /// let snapshots: Vec<_> = (0..72).map(|n| SnapshotInfo::new(Id::of(&[n]), hour(n.into()))).collect();
    ///
    /// let mut policy = Retention::none();
    /// policy.daily = 2;
    /// let plan = policy.plan(&snapshots, hour(72))?;
    /// assert_eq!((plan.keep.len(), plan.remove.len()), (2, 70));
    /// assert_eq!(plan.keep[0].id, snapshots[71].id);
    /// assert_eq!(plan.keep[1].id, snapshots[47].id);
    /// # Ok::<(), buttress_core::Violations>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A policy that keeps nothing, or is wrong otherwise.
    pub fn plan(&self, snapshots: &[SnapshotInfo], now: SystemTime) -> Result<Plan, Violations> {
        self.validate()?;
        let latest = timestamp(now.checked_add(SKEW).unwrap_or(now));
        let mut reasons: BTreeMap<Id, BTreeSet<Reason>> = BTreeMap::new();
        for group in grouped(snapshots) {
            let mut keep = |of: &Dated<'_>, reason: Reason| {
                reasons.entry(of.info.id).or_default().insert(reason);
            };
            let seen = Dated::all(&group, SnapshotInfo::stored);
            self.keep_always(&seen, latest, &mut keep);
            self.keep_by_calendar(&seen, latest, &mut keep);
            if group.iter().any(|info| info.is_disputed()) {
                let said =
                    Dated::all(&group, |info| if info.is_disputed() { info.time } else { info.stored() });
                self.keep_by_calendar(&said, latest, &mut keep);
            }
        }
        let mut plan = Plan::default();
        let mut told = BTreeSet::new();
        for info in newest_first(snapshots).into_iter().filter(|info| told.insert(info.id)) {
            match reasons.remove(&info.id) {
                Some(reasons) => plan.keep.push(Keep { id: info.id, reasons: reasons.into_iter().collect() }),
                None => plan.remove.push(info.id),
            }
            if info.is_disputed() {
                plan.disputed.push(info.id);
            }
        }
        Ok(plan)
    }

    /// What is kept whatever the calendar says. `group` is sorted, the newest first.
    fn keep_always<'a>(
        &self,
        group: &[Dated<'a>],
        latest: Timestamp,
        keep: &mut impl FnMut(&Dated<'a>, Reason),
    ) {
        for one in group {
            if one.at > latest {
                keep(one, Reason::Future);
            }
            for tag in one.info.tags.iter().filter(|tag| self.tags.contains(tag)) {
                keep(one, Reason::Tag(tag.clone()));
            }
            let id = one.info.id.to_string();
            if self.ids.iter().any(|begin| id.starts_with(begin.as_str())) {
                keep(one, Reason::Listed);
            }
        }
        let mut past = group.iter().filter(|one| one.at <= latest);
        if let Some(newest) = past.clone().next() {
            keep(newest, Reason::Newest);
        }
        if let Some(verified) = past.find(|one| one.info.verified) {
            keep(verified, Reason::NewestVerified);
        }
    }

    /// What the counts and the spans keep. `group` is sorted, the newest first.
    fn keep_by_calendar<'a>(
        &self,
        group: &[Dated<'a>],
        latest: Timestamp,
        keep: &mut impl FnMut(&Dated<'a>, Reason),
    ) {
        let past = group.partition_point(|one| one.at > latest);
        let (_, past) = group.split_at_checked(past).unwrap_or_default();
        for one in past.iter().take(count(self.last)) {
            keep(one, Reason::Last);
        }
        let newest = past.first().map_or(latest, |one| one.at);
        let since =
            |span: Option<Duration>| span.map(|span| newest.checked_sub(span).unwrap_or(Timestamp::MIN));
        if let Some(since) = since(self.within) {
            past.iter().filter(|one| one.at > since).for_each(|one| keep(one, Reason::Within));
        }
        for (period, most, within) in [
            (Period::Hour, self.hourly, self.within_hourly),
            (Period::Day, self.daily, self.within_daily),
            (Period::Week, self.weekly, self.within_weekly),
            (Period::Month, self.monthly, self.within_monthly),
            (Period::Year, self.yearly, self.within_yearly),
        ] {
            if most == 0 && within.is_none() {
                continue;
            }
            let (since, zone) = (since(within), self.time_zone.tz());
            let buckets = past.chunk_by(|a, b| period.of(a.at, zone) == period.of(b.at, zone));
            for (number, bucket) in buckets.enumerate() {
                let (Some(last), Some(first)) = (bucket.first(), bucket.last()) else { continue };
                let counted = number < count(most);
                let spanned = since.is_some_and(|since| last.at > since);
                if !counted && !spanned {
                    // Those behind it are older still.
                    break;
                }
                keep(last, if counted { Reason::Period(period) } else { Reason::WithinPeriod(period) });
                if last.info.id != first.info.id && differ_much(last.info.size, first.info.size) {
                    keep(first, Reason::OtherSize(period));
                }
            }
        }
    }
}

impl Validate for Retention {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let counts = [self.last, self.hourly, self.daily, self.weekly, self.monthly, self.yearly];
        let spans = [
            ("within", self.within),
            ("within_hourly", self.within_hourly),
            ("within_daily", self.within_daily),
            ("within_weekly", self.within_weekly),
            ("within_monthly", self.within_monthly),
            ("within_yearly", self.within_yearly),
        ];
        let some = counts.iter().any(|count| *count > 0) || spans.iter().any(|(_, span)| span.is_some());
        wrong.require(
            some,
            "last",
            0,
            "nothing would be kept; at least one count or span must be set, `daily = 30` is usual",
        );
        for (field, span) in spans {
            let span = span.unwrap_or(Duration::from_hours(1));
            let sensible = (Duration::from_hours(1)..=Duration::from_hours(24 * 366 * 100)).contains(&span);
            wrong.require(sensible, field, units::format_duration(span), "must be \"1h\" to a hundred years");
        }
        for tag in &self.tags {
            wrong.require(
                !tag.is_empty() && !tag.contains(','),
                "tags",
                tag,
                "a tag is not empty and has no comma",
            );
        }
        for id in &self.ids {
            let hex = id.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
            let fits = hex && (8..=64).contains(&id.len());
            wrong.require(fits, "ids", id, "must be 8 to 64 hexadecimal digits, the beginning of an id");
        }
        wrong.into_result()
    }
}

/// What retention needs to know of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotInfo {
    /// Its id.
    pub id: Id,
    /// When it was begun, as the client says.
    pub time: SystemTime,
    /// When it was done, as the client says.
    pub ended: Option<SystemTime>,
    /// When the store took it, by the store's clock.
    pub first_seen: Option<SystemTime>,
    /// The host it is of.
    pub host: String,
    /// What was backed up.
    pub paths: Vec<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// How many bytes were backed up.
    pub size: Option<u64>,
    /// Whether it was restored and found good.
    pub verified: bool,
}

impl SnapshotInfo {
    /// A snapshot that was taken at this time, of which nothing else is known.
    #[must_use]
    pub fn new(id: Id, time: SystemTime) -> Self {
        Self {
            id,
            time,
            ended: None,
            first_seen: None,
            host: String::new(),
            paths: Vec::new(),
            tags: Vec::new(),
            size: None,
            verified: false,
        }
    }

    /// When it came into the store: what nobody but the store can forge, if it is known.
    #[must_use]
    pub fn stored(&self) -> SystemTime {
        self.first_seen.unwrap_or(self.time)
    }

    /// Whether client and store do not agree on the time.
    #[must_use]
    pub fn is_disputed(&self) -> bool {
        let (stored, ended) = (self.stored(), self.ended.unwrap_or(self.time));
        let apart = |later: SystemTime, earlier| later.duration_since(earlier).unwrap_or_default();
        apart(self.time, stored).max(apart(stored, ended)) > SKEW
    }
}

impl From<&Snapshot> for SnapshotInfo {
    fn from(snapshot: &Snapshot) -> Self {
        let summary = snapshot.summary.as_ref();
        Self {
            id: snapshot.id,
            time: snapshot.time.into(),
            ended: summary.map(|summary| summary.backup_end.into()),
            first_seen: snapshot.first_seen,
            host: snapshot.hostname.clone(),
            paths: snapshot.paths.clone(),
            tags: snapshot.tags.clone(),
            size: summary.map(|summary| summary.total_bytes_processed),
            verified: false,
        }
    }
}

/// What is kept and what is not. Both the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// What is kept, and why.
    pub keep: Vec<Keep>,
    /// What is not kept.
    pub remove: Vec<Id>,
    /// Whose time by the client is not that of the store. Somebody should look: a wrong clock, a copied repository, or a forged snapshot.
    pub disputed: Vec<Id>,
}

/// A snapshot that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Keep {
    /// Which.
    pub id: Id,
    /// Why: one reason at least.
    pub reasons: Vec<Reason>,
}

/// Why a snapshot is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// It is the newest of its group.
    Newest,
    /// It is the newest of its group that was restored and found good.
    NewestVerified,
    /// It is among the newest.
    Last,
    /// It is the last of its period, which is among those that are counted.
    Period(Period),
    /// It is young.
    Within,
    /// It is the last of its period, which is not long ago.
    WithinPeriod(Period),
    /// It is the first of its period, and its size is not at all that of the last.
    OtherSize(Period),
    /// It has this tag.
    Tag(String),
    /// Its id is in the policy.
    Listed,
    /// It lies in the future.
    Future,
}

/// A piece of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// An hour of the clock. The hour that occurs twice when summer ends is two.
    Hour,
    /// A day of the calendar, of 23 to 25 hours.
    Day,
    /// A week of ISO 8601.
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
}

impl Period {
    /// A number for each period; equal for two moments exactly if they are in the same one.
    fn of(self, at: Timestamp, zone: &TimeZone) -> (i16, i16, i32) {
        let local = zone.to_datetime(at);
        let date = local.date();
        let month = i16::from(date.month());
        match self {
            Self::Hour => {
                let hour = i32::from(local.hour()) * 1_000_000;
                (date.year(), date.day_of_year(), hour + zone.to_offset(at).seconds())
            }
            Self::Day => (date.year(), date.day_of_year(), 0),
            Self::Week => {
                let week = date.iso_week_date();
                (week.year(), i16::from(week.week()), 0)
            }
            Self::Month => (date.year(), month, 0),
            Self::Year => (date.year(), 0, 0),
        }
    }

    /// As an adverb: `"daily"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hourly",
            Self::Day => "daily",
            Self::Week => "weekly",
            Self::Month => "monthly",
            Self::Year => "yearly",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newest => f.write_str("newest"),
            Self::NewestVerified => f.write_str("newest verified"),
            Self::Last => f.write_str("last"),
            Self::Period(period) => f.write_str(period.as_str()),
            Self::Within => f.write_str("within"),
            Self::WithinPeriod(period) => write!(f, "{} within", period.as_str()),
            Self::OtherSize(period) => write!(f, "{}, first of another size", period.as_str()),
            Self::Tag(tag) => write!(f, "tag {tag}"),
            Self::Listed => f.write_str("listed"),
            Self::Future => f.write_str("in the future"),
        }
    }
}

/// A snapshot at one of its times.
struct Dated<'a> {
    at: Timestamp,
    info: &'a SnapshotInfo,
}

impl<'a> Dated<'a> {
    /// The group by the time that is asked for, the newest first.
    fn all(group: &[&'a SnapshotInfo], time: impl Fn(&SnapshotInfo) -> SystemTime) -> Vec<Self> {
        let mut all: Vec<_> = group.iter().map(|info| Self { at: timestamp(time(info)), info }).collect();
        all.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| b.info.id.cmp(&a.info.id)));
        all
    }
}

fn newest_first(snapshots: &[SnapshotInfo]) -> Vec<&SnapshotInfo> {
    let mut all: Vec<_> = snapshots.iter().collect();
    all.sort_by(|a, b| b.stored().cmp(&a.stored()).then_with(|| b.id.cmp(&a.id)));
    all
}

/// The snapshots by host and paths; each id once, also if a listing has it twice.
fn grouped(snapshots: &[SnapshotInfo]) -> Vec<Vec<&SnapshotInfo>> {
    let mut groups: BTreeMap<(&str, BTreeSet<&str>), BTreeMap<Id, &SnapshotInfo>> = BTreeMap::new();
    for info in snapshots {
        let paths = info.paths.iter().map(String::as_str).collect();
        groups.entry((info.host.as_str(), paths)).or_default().insert(info.id, info);
    }
    groups.into_values().map(|group| group.into_values().collect()).collect()
}

/// Whether one of two sizes that are known is less than half the other.
fn differ_much(a: Option<u64>, b: Option<u64>) -> bool {
    let (Some(a), Some(b)) = (a, b) else { return false };
    a.abs_diff(b) > a.min(b)
}

fn count(most: u32) -> usize {
    usize::try_from(most).unwrap_or(usize::MAX)
}
