//! The forms of commands that do something, and which of them is near to a clause.

use std::collections::BTreeSet;
use std::time::Duration;

use super::cursor::{Cursor, Reason};
use super::words::Clause;
use super::{NotUnderstood, look};
use crate::flow::{
    Action, Dialog, Key, State, Target, TargetTemplate, Template, Wait, check_address, nearest,
};

pub(super) const EXAMPLE: &str = "go to https://example.com, click \"More\" and take a screenshot";

type Read = fn(&mut Cursor<'_, '_>, &mut Names) -> Result<Action, Reason>;

/// Verbs that begin a command, how it goes on, and how to write it.
const FORMS: [(&[&str], Read, &str); 13] = [
    (&["go", "goto", "open", "visit", "navigate"], goto, "go to https://example.com"),
    (&["click", "tap"], click, "click \"Next\""),
    (&["type", "enter"], typing, "type \"text\" into #field"),
    (&["fill"], fill, "fill in #field with \"text\""),
    (&["press", "hit"], press, "press enter"),
    (&["select", "choose"], select, "select \"entry\" from #list"),
    (&["wait"], wait, "wait 2 seconds; or: wait for \"text\"; or: wait for #element to disappear"),
    (&["take", "screenshot", "capture"], look::screenshot, "take a screenshot of #element as name"),
    (&["save", "print"], look::pdf, "save the page as pdf name"),
    (
        &["extract", "get", "read", "collect", "scrape"],
        look::extract,
        "extract all h2 as titles; or: extract links",
    ),
    (&["count"], look::count, "count .result as results"),
    (
        &["check", "assert", "verify", "ensure"],
        look::assert,
        "check that \"text\" is shown; or: check that title contains \"text\"",
    ),
    (&["accept", "dismiss"], dialog, "accept dialogs; or: dismiss dialogs"),
];

/// Whether a word begins a command.
pub(super) fn is_verb(word: &str) -> bool {
    FORMS.iter().any(|(verbs, ..)| verbs.iter().any(|verb| verb.eq_ignore_ascii_case(word)))
}

/// The names of results so far; one that nobody chose is numbered.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// `usual`, or `usual-2` and so on if it is taken.
    pub(super) fn fresh(&mut self, usual: &str) -> String {
        let numbered = (2_u32..).map(|number| format!("{usual}-{number}"));
        let mut all = std::iter::once(usual.to_owned()).chain(numbered);
        let name = all.find(|name| !self.0.contains(name)).unwrap_or_default();
        self.0.insert(name.clone());
        name
    }

    pub(super) fn take(&mut self, name: &str) -> String {
        self.0.insert(name.to_owned());
        name.to_owned()
    }
}

/// Reads a clause.
pub(super) fn action(source: &str, clause: &Clause<'_>, names: &mut Names) -> Result<Action, NotUnderstood> {
    let mut cursor = Cursor::new(source, &clause.tokens);
    let whole = cursor.text();
    cursor.skip(&["please"]);
    let first = cursor.peek().unwrap_or_default();
    for (verbs, read, form) in FORMS {
        if let Some(verb) = cursor.clone().eat(verbs) {
            // `take`, `screenshot` and the like are told apart by the reader.
            if !matches!(verb, "screenshot" | "accept" | "dismiss") {
                cursor.eat(verbs);
            }
            let done = read(&mut cursor, names).and_then(|action| cursor.end().map(|()| action));
            return done.map_err(|reason| NotUnderstood::clause(whole, reason, vec![form]));
        }
    }
    let all = || FORMS.iter().flat_map(|(verbs, _, form)| verbs.iter().map(move |verb| (*verb, *form)));
    let mut near: Vec<&'static str> = if let Some(near) = nearest(first, all().map(|(verb, _)| verb)) {
        all().filter(|(verb, _)| *verb == near).map(|(_, form)| form).collect()
    } else {
        let mentioned = clause.tokens.iter().filter_map(|token| all().find(|(verb, _)| token.is(verb)));
        mentioned.map(|(_, form)| form).take(3).collect()
    };
    near.dedup();
    if near.is_empty() {
        near.push(EXAMPLE);
    }
    Err(NotUnderstood::clause(whole, format!("`{first}` begins no command"), near))
}

pub(super) fn literal(target: &Target) -> TargetTemplate {
    TargetTemplate::literal(target)
}

fn goto(cursor: &mut Cursor<'_, '_>, _: &mut Names) -> Result<Action, Reason> {
    cursor.eat(&["to"]);
    cursor.skip(&["the", "page", "site", "website", "address", "url"]);
    let address = cursor.next().ok_or("it does not say which address")?.trim();
    let address = if let Some((host, _)) = address.split_once(':').filter(|(host, _)| is_host(host))
        && !address.contains("://")
    {
        format!("{}://{address}", scheme_for(host))
    } else if !address.contains(':') && is_host(address.split(['/', '?']).next().unwrap_or_default()) {
        format!("{}://{address}", scheme_for(address))
    } else {
        address.to_owned()
    };
    check_address(&address)?;
    Ok(Action::Goto(Template::literal(&address)))
}

/// Whether a word is a host without doubt: it has a dot inside, or is this machine.
fn is_host(word: &str) -> bool {
    let sign = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.');
    let dotted = word.split_once('.').is_some_and(|(before, after)| !before.is_empty() && !after.is_empty());
    word.eq_ignore_ascii_case("localhost") || (dotted && word.chars().all(sign))
}

fn scheme_for(host: &str) -> &'static str {
    let host = host.to_ascii_lowercase();
    if host.starts_with("localhost") || host.starts_with("127.") { "http" } else { "https" }
}

fn click(cursor: &mut Cursor<'_, '_>, _: &mut Names) -> Result<Action, Reason> {
    cursor.eat(&["on"]);
    Ok(Action::Click(literal(&cursor.until(&[]).target()?)))
}

fn typing(cursor: &mut Cursor<'_, '_>, _: &mut Names) -> Result<Action, Reason> {
    cursor.eat(&["in"]);
    let text = text_to_type(cursor)?;
    cursor.eat(&["into", "in", "to"]).ok_or("it does not say into which field")?;
    Ok(typed(&cursor.until(&[]).target()?, text))
}

/// A quotation, or bare words before an `into`.
fn text_to_type<'t>(cursor: &mut Cursor<'_, 't>) -> Result<&'t str, Reason> {
    if let Some(text) = cursor.quoted() {
        return Ok(text);
    }
    let bare = cursor.until(&["into"]);
    if cursor.is_done() || bare.is_done() || bare.text().contains(['"', '\'']) {
        return Err("the text to type stands in quotes".to_owned());
    }
    Ok(bare.text())
}

fn typed(into: &Target, text: &str) -> Action {
    Action::Type { into: literal(into), text: Template::literal(text), clear: false, enter: false }
}

fn fill(cursor: &mut Cursor<'_, '_>, names: &mut Names) -> Result<Action, Reason> {
    cursor.eat(&["in", "out"]);
    let mut ahead = cursor.clone();
    let into = ahead.until(&["with"]);
    if ahead.is_done() {
        return typing(cursor, names);
    }
    *cursor = ahead;
    cursor.eat(&["with"]);
    let into = into.target()?;
    let text = cursor.quoted().ok_or("the text to fill in stands in quotes")?;
    let Action::Type { into, text, enter, .. } = typed(&into, text) else {
        return Err("it is not typing".to_owned());
    };
    Ok(Action::Type { into, text, clear: true, enter })
}

fn press(cursor: &mut Cursor<'_, '_>, _: &mut Names) -> Result<Action, Reason> {
    cursor.eat(&["the"]);
    let name = cursor.next().ok_or("it does not say which key")?;
    cursor.eat(&["key"]);
    let key = Key::parse(name)
        .map_err(|problem| format!("{problem}; to press a button, write: click \"{name}\""))?;
    Ok(Action::Press(key))
}

fn select(cursor: &mut Cursor<'_, '_>, _: &mut Names) -> Result<Action, Reason> {
    let value = match cursor.quoted() {
        Some(text) => text,
        None => cursor.until(&["from", "in"]).text(),
    };
    if value.is_empty() {
        return Err("it does not say which entry".to_owned());
    }
    cursor.eat(&["from", "in"]).ok_or("it does not say from which list")?;
    let from = literal(&cursor.until(&[]).target()?);
    Ok(Action::Select { from, value: Template::literal(value) })
}

fn wait(cursor: &mut Cursor<'_, '_>, _: &mut Names) -> Result<Action, Reason> {
    let until = cursor.eat(&["for", "until"]) == Some("until");
    if let Some(time) = pause(&mut cursor.clone()) {
        pause(cursor);
        return time.map(|time| Action::Wait(Wait::Time(time)));
    }
    let mut ahead = cursor.clone();
    ahead.skip(&["the", "page"]);
    if ahead.eat(&["url", "address"]).is_some() && ahead.eat(&["to", "contains", "contain"]).is_some() {
        ahead.eat(&["contain"]);
        let url = ahead.quoted().filter(|text| !text.is_empty()).ok_or("the text stands in quotes")?;
        *cursor = ahead;
        return Ok(Action::Wait(Wait::Url { url: Template::literal(url) }));
    }
    let what = cursor.until(&["to", "is", "appears", "disappears"]);
    let state = if cursor.is_done() { None } else { Some(look::state(cursor)?) };
    if until && state.is_none() {
        return Err("it does not say what is to happen, such as `appears`".to_owned());
    }
    let mut words = what.clone();
    words.eat(&["the"]);
    words.eat(&["text"]);
    if let (None | Some(State::Visible), Some(text)) = (state, words.quoted())
        && words.is_done()
        && !text.trim().is_empty()
    {
        return Ok(Action::Wait(Wait::Text { text: Template::literal(text) }));
    }
    let target = literal(&what.target()?);
    Ok(Action::Wait(Wait::For { target, state: state.unwrap_or(State::Visible) }))
}

/// `2 seconds`, `500ms`, `a minute`; none if no time comes next.
fn pause(cursor: &mut Cursor<'_, '_>) -> Option<Result<Duration, Reason>> {
    let number = cursor.next()?;
    let split = number.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(number.len());
    let (digits, unit) = number.split_at(split);
    let amount: f64 = match (number, digits) {
        ("a" | "one", _) => 1.0,
        (_, "") => return None,
        (_, digits) => digits.parse().ok()?,
    };
    let unit = if unit.is_empty() || unit == number { cursor.next().unwrap_or_default() } else { unit };
    let scale = match unit.to_ascii_lowercase().as_str() {
        "ms" | "millisecond" | "milliseconds" => 0.001,
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        _ if digits.is_empty() => return None,
        _ => return Some(Err("a time is told in milliseconds, seconds or minutes".to_owned())),
    };
    let seconds = amount * scale;
    if !(0.001..=3600.0).contains(&seconds) {
        return Some(Err("a wait is at least 1 millisecond and at most 60 minutes".to_owned()));
    }
    // Whole milliseconds read back as they were.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "in bounds by the check above"
    )]
    Some(Ok(Duration::from_millis((seconds * 1000.0).round() as u64)))
}

fn dialog(cursor: &mut Cursor<'_, '_>, _: &mut Names) -> Result<Action, Reason> {
    let accept = cursor.eat(&["accept", "dismiss"]) == Some("accept");
    cursor.skip(&["all", "any", "the"]);
    let nouns =
        ["dialog", "dialogs", "alert", "alerts", "prompt", "prompts", "confirmation", "confirmations"];
    cursor.eat(&nouns).ok_or("it does not say that dialogs are meant")?;
    if !accept {
        return Ok(Action::Dialog(Dialog::Dismiss));
    }
    let answer = match cursor.eat(&["with"]) {
        Some(_) => Some(Template::literal(cursor.quoted().ok_or("the answer stands in quotes")?)),
        None => None,
    };
    Ok(Action::Dialog(Dialog::Accept(answer)))
}
