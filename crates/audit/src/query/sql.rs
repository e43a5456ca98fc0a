//! The filter as SQL, for the tables that [`sink`](crate::sink) fills. The database chooses rows; whether a row fits is
//! decided again on its bytes, since columns have long texts cut, and another sign in the place of 0, which they cannot
//! hold.

use buttress_core::Outcome;

use super::{Filter, subjects_of};
use crate::subject::SubjectId;
use crate::{Entry, time};

/// A value of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Bind {
    Int(i64),
    Text(String),
}

/// How a database writes what SQL has no one way for.
pub(crate) struct Dialect {
    /// Before a parameter's number.
    pub(crate) parameter: char,
    /// Whether a text begins with another, `{0}` with `{1}`.
    pub(crate) begins: fn(&str, &str) -> String,
    /// Whether a text contains another.
    pub(crate) contains: fn(&str, &str) -> String,
}

/// A condition, and the values of its parameters, the first of which has the number `first`.
pub(crate) fn condition(filter: &Filter, dialect: &Dialect, first: usize) -> (String, Vec<Bind>) {
    let mut parts = vec!["TRUE".to_owned()];
    let mut binds = Vec::new();
    let mut put = |bind: Bind, part: &dyn Fn(&str) -> String| {
        let parameter = format!("{}{}", dialect.parameter, first + binds.len());
        binds.push(bind);
        parts.push(part(&parameter));
    };
    put(Bind::Int(signed(filter.first)), &|p| format!("sequence >= {p}"));
    if let Some(end) = filter.end {
        put(Bind::Int(signed(end)), &|p| format!("sequence < {p}"));
    }
    if let Some(since) = filter.since {
        put(Bind::Int(nanos(since)), &|p| format!("at >= {p}"));
    }
    if let Some(until) = filter.until {
        put(Bind::Int(nanos(until)), &|p| format!("at < {p}"));
    }
    if let Some(outcome) = filter.outcome {
        put(Bind::Text(outcome_name(outcome).to_owned()), &|p| format!("outcome = {p}"));
    }
    for (column, wanted) in [
        ("actor", &filter.actor),
        ("target", &filter.target),
        ("tenant", &filter.tenant),
        ("request_id", &filter.request_id),
    ] {
        if let Some(wanted) = wanted {
            put(Bind::Text(text(wanted)), &|p| format!("{column} = {p}"));
        }
    }
    if let Some(prefix) = &filter.action {
        put(Bind::Text(text(prefix)), &|p| (dialect.begins)("action", p));
    }
    if let Some(subject) = filter.subject {
        put(Bind::Text(format!(" {subject} ")), &|p| (dialect.contains)("subjects", p));
    }
    (parts.join(" AND "), binds)
}

/// What the column `subjects` has: the ids, each between blanks.
pub(crate) fn subjects(entry: &Entry) -> Option<String> {
    let ids: Vec<String> = subjects_of(entry).iter().map(SubjectId::to_string).collect();
    (!ids.is_empty()).then(|| format!(" {} ", ids.join(" ")))
}

/// Texts that stand in an index are cut to so many signs: an index has a longest row.
const LONGEST: usize = 256;

/// A text as a column has it.
pub(crate) fn text(text: &str) -> String {
    text.chars().take(LONGEST).map(|sign| if sign == '\0' { '\u{fffd}' } else { sign }).collect()
}

pub(crate) fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "success",
        Outcome::Failure => "failure",
        Outcome::Denied => "denied",
    }
}

/// Nanoseconds since 1970; the years that do not fit lie beyond all that a log can hold.
pub(crate) fn nanos(at: std::time::SystemTime) -> i64 {
    let nanos = time::nanos(at);
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
