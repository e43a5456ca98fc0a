//! The forms of commands that look at a page: pictures, extracts and checks.

use super::cursor::{Cursor, Reason};
use super::forms::{Names, literal};
use crate::flow::{Action, Assert, Extract, Form, State, Target, Template, is_name};

pub(super) fn screenshot(cursor: &mut Cursor<'_, '_>, names: &mut Names) -> Result<Action, Reason> {
    cursor.skip(&["a", "the"]);
    let mut full = cursor.eat(&["full", "full-page", "fullpage", "whole"]).is_some();
    cursor.eat(&["page"]);
    cursor.eat(&["screenshot"]).ok_or("a screenshot is all that can be taken")?;
    let mut of = None;
    if cursor.eat(&["of"]).is_some() {
        let element = cursor.until(&["as", "named", "called"]);
        let mut page = element.clone();
        page.eat(&["the"]);
        let whole = page.eat(&["full", "whole", "entire"]).is_some();
        if page.eat(&["page"]).is_some() && page.is_done() {
            full |= whole;
        } else {
            of = Some(literal(&element.target()?));
        }
    }
    let name = chosen(cursor, names)?.unwrap_or_else(|| names.fresh("page"));
    Ok(Action::Screenshot { name, full, of })
}

pub(super) fn pdf(cursor: &mut Cursor<'_, '_>, names: &mut Names) -> Result<Action, Reason> {
    cursor.skip(&["the", "this", "page", "it"]);
    let fail = "a page can be saved as a pdf only";
    cursor.eat(&["as", "to"]).ok_or(fail)?;
    cursor.eat(&["a"]);
    cursor.eat(&["pdf"]).ok_or(fail)?;
    let name = match chosen(cursor, names)? {
        Some(name) => name,
        None => match cursor.next() {
            Some(name) => checked(name, names)?,
            None => names.fresh("page"),
        },
    };
    Ok(Action::Pdf { name })
}

/// `as NAME`, if it comes next.
fn chosen(cursor: &mut Cursor<'_, '_>, names: &mut Names) -> Result<Option<String>, Reason> {
    if cursor.eat(&["as", "named", "called"]).is_none() {
        return Ok(None);
    }
    let name = cursor.next().ok_or("the name is missing")?;
    checked(name, names).map(Some)
}

fn checked(name: &str, names: &mut Names) -> Result<String, Reason> {
    if !is_name(name) {
        return Err(format!("`{name}` is no name; a name is 1 to 64 letters, digits, `-` and `_`"));
    }
    Ok(names.take(name))
}

pub(super) fn extract(cursor: &mut Cursor<'_, '_>, names: &mut Names) -> Result<Action, Reason> {
    let mut what = cursor.until(&["as", "named", "called"]);
    let name = chosen(cursor, names)?;
    let all = what.eat(&["all", "every", "each"]).is_some();
    what.eat(&["the"]);
    let (usual, what) = extracted(what, all)?;
    let name = name.unwrap_or_else(|| names.fresh(usual));
    Ok(Action::Extract { name, what })
}

fn extracted(mut what: Cursor<'_, '_>, all: bool) -> Result<(&'static str, Extract), Reason> {
    let mut page = what.clone();
    page.eat(&["page"]);
    let fact = page.eat(&["links", "title", "url", "address"]);
    page.eat_all(&["of", "the", "page"]);
    match fact.filter(|_| page.is_done()) {
        Some("links") => return Ok(("links", every_link())),
        Some("title") => return Ok(("title", Extract::Title)),
        Some(_) => return Ok(("url", Extract::Url)),
        None => {}
    }
    let mut ahead = what.clone();
    let mut form = if all { Form::Texts } else { Form::Text };
    let kind = ahead.eat(&["text", "texts", "html", "value", "number", "table", "attribute"]);
    if let Some(kind) = kind {
        let attribute = if kind == "attribute" { ahead.next() } else { None };
        let of = ahead.eat(&["of", "from"]).is_some();
        match (kind, attribute) {
            ("text", _) if of => {}
            ("texts", _) if of => form = Form::Texts,
            ("html", _) if of => form = Form::Html,
            ("value", _) if of => form = Form::Value,
            ("number", _) if of => form = Form::Count,
            ("attribute", Some(name)) if of && attribute_name(name) => {
                form = if all { Form::Attributes(name.to_owned()) } else { Form::Attribute(name.to_owned()) };
            }
            // "extract the table", "extract table #prices"
            ("table", _) if !of => {
                let from = if ahead.is_done() { Target::Css("table".to_owned()) } else { ahead.source()? };
                return Ok(("table", Extract::From { from: literal(&from), form: Form::Table }));
            }
            _ => return Err(format!("it does not say the {kind} of which element")),
        }
        ahead.skip(&["all", "every"]);
        what = ahead;
    }
    let from = literal(&what.source()?);
    Ok(("result", Extract::From { from, form }))
}

fn attribute_name(name: &str) -> bool {
    (1..=100).contains(&name.len()) && !name.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn every_link() -> Extract {
    let from = literal(&Target::Css("a[href]".to_owned()));
    Extract::From { from, form: Form::Attributes("href".to_owned()) }
}

pub(super) fn count(cursor: &mut Cursor<'_, '_>, names: &mut Names) -> Result<Action, Reason> {
    let mut what = cursor.until(&["as", "named", "called"]);
    let name = chosen(cursor, names)?;
    what.skip(&["all", "the"]);
    let from = literal(&what.source()?);
    let name = name.unwrap_or_else(|| names.fresh("count"));
    Ok(Action::Extract { name, what: Extract::From { from, form: Form::Count } })
}

const SAYS: [&str; 6] = ["contains", "shows", "says", "includes", "has", "is"];

pub(super) fn assert(cursor: &mut Cursor<'_, '_>, _: &mut Names) -> Result<Action, Reason> {
    cursor.eat(&["that"]);
    let mut ahead = cursor.clone();
    ahead.eat(&["the"]);
    ahead.eat(&["page", "page's"]);
    if let Some(fact) = ahead.eat(&["title", "url", "address"]) {
        let verb = ahead.eat(&["contains", "includes", "has"]);
        verb.ok_or_else(|| format!("of the {fact} it can be checked what it contains"))?;
        let text = Template::literal(shown(&mut ahead)?);
        *cursor = ahead;
        return Ok(Action::Assert(match fact {
            "title" => Assert::Title { title: text },
            _ => Assert::Url { url: text },
        }));
    }
    let mut page = cursor.clone();
    page.eat(&["the"]);
    if page.eat(&["page"]).is_some() && page.eat(&["contains", "shows", "says", "includes", "has"]).is_some()
    {
        page.skip(&["the", "text"]);
        let text = Template::literal(shown(&mut page)?);
        *cursor = page;
        return Ok(Action::Assert(Assert::Text { target: None, text }));
    }
    let what = cursor.until(&[&SAYS[..], &["appears"]].concat());
    let mut says = cursor.clone();
    if says.eat(&["contains", "shows", "says", "includes"]).is_some() {
        let text = Template::literal(shown(&mut says)?);
        *cursor = says;
        return Ok(Action::Assert(Assert::Text { target: Some(literal(&what.target()?)), text }));
    }
    if cursor.is_done() {
        return Err("it does not say what is to be checked, such as `is shown`".to_owned());
    }
    let state = state(cursor)?;
    let mut words = what.clone();
    words.eat(&["the"]);
    words.eat(&["text"]);
    if state == State::Visible
        && let Some(text) = words.quoted()
        && words.is_done()
        && !text.trim().is_empty()
    {
        return Ok(Action::Assert(Assert::Text { target: None, text: Template::literal(text) }));
    }
    Ok(Action::Assert(Assert::State { target: literal(&what.target()?), state }))
}

fn shown<'t>(cursor: &mut Cursor<'_, 't>) -> Result<&'t str, Reason> {
    cursor.quoted().filter(|text| !text.is_empty()).ok_or_else(|| "the text stands in quotes".to_owned())
}

/// `is shown`, `to disappear`, `appears`.
pub(super) fn state(cursor: &mut Cursor<'_, '_>) -> Result<State, Reason> {
    let visible = ["shown", "visible", "displayed", "appear", "appears"];
    let hidden = ["hidden", "gone", "invisible", "disappear", "disappears"];
    if cursor.eat(&["is", "to"]).is_some() {
        cursor.eat(&["be"]);
    }
    let not = cursor.eat(&["not", "no"]).is_some();
    if not {
        cursor.eat(&["longer"]);
    }
    let state = match (cursor.eat(&visible), cursor.eat(&hidden)) {
        (Some(_), _) if not => State::Hidden,
        (Some(_), _) => State::Visible,
        (None, Some(_)) if !not => State::Hidden,
        _ => return Err("`is shown` and `is hidden` are what can be said of an element".to_owned()),
    };
    cursor.eat_all(&["on", "the", "page"]);
    Ok(state)
}
