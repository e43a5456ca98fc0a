//! A workflow carried out on a page, step by step.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use buttress_core::{BoxFuture, Classify, Ctx, ErrorClass, SharedClock, chain, timeout};
use bytes::Bytes;
use serde_json::{Map, Value};
use tempfile::TempDir;

use crate::chromium::{self, DialogPolicy, Frame, Page, Target};
use crate::fleet::Tab;
use crate::flow::{
    Action, Assert, Compiled, Dialog, Extract, Form, MAX_EXPANDED, Scope, State, Step, TargetTemplate, Wait,
    check_address,
};
use crate::guard::Proxy;
use crate::report::{Artifact, Failure, Report, StepOutcome, StepReport};

/// How long a step may take that does not say: to find its element and to use it.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same for steps that wait for others: a `wait`, a `download`.
const LONG_PATIENCE: Duration = Duration::from_mins(1);
/// What a step's limit is exceeded by before it is broken off: its own error says more than that.
const GRACE: Duration = Duration::from_millis(500);
/// How often a demand that does not hold yet is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Where the files of a run are kept.
pub trait Shelf: Send + Sync {
    /// Keeps a file, and returns the BLAKE3 hash of its content in hexadecimal.
    fn keep<'a>(&'a self, name: &'a str, content: Bytes) -> BoxFuture<'a, Result<String, Failed>>;
}

/// A folder that keeps files under the names they have in the workflow.
#[derive(Debug)]
pub struct Folder(
    /// Made when the first file comes.
    pub PathBuf,
);

impl Shelf for Folder {
    fn keep<'a>(&'a self, name: &'a str, content: Bytes) -> BoxFuture<'a, Result<String, Failed>> {
        Box::pin(async move {
            let path = self.0.join(name);
            let hash = blake3::hash(&content).to_hex().to_string();
            let write = async {
                tokio::fs::create_dir_all(&self.0).await?;
                tokio::fs::write(&path, content).await
            };
            let failed = |error| {
                Failed::new(ErrorClass::Internal, format!("cannot write {}: {error}", path.display()))
            };
            write.await.map_err(failed)?;
            Ok(hash)
        })
    }
}

/// Why a step was not done.
#[derive(Debug)]
pub struct Failed {
    class: ErrorClass,
    message: String,
}

impl Failed {
    /// A failure of a kind, said for people.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into() }
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    /// The failure that an error means, with all its causes.
    pub fn of(error: &(impl Classify + std::error::Error)) -> Self {
        Self { class: error.class(), message: chain(error) }
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl<E: Classify + std::error::Error> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::of(&error)
    }
}

/// Carries out a workflow in a tab.
///
/// Whatever happens there is a report: of what was done until then, and why it went no further. Dropped in between,
/// nothing goes on.
pub async fn run(flow: &Compiled, scope: Scope, tab: &Tab, shelf: &dyn Shelf, ctx: &Ctx) -> Report {
    let clock = ctx.clock.clone();
    let started = clock.now();
    let mut run = Run {
        page: &tab.page,
        proxy: tab.proxy.as_ref(),
        shelf,
        clock: clock.clone(),
        scope,
        report: Report::default(),
        names: BTreeMap::new(),
        uploads: Vec::new(),
    };
    let main: &Frame = &tab.page;
    let work = async {
        tokio::select! {
            biased;
            _ = run.steps(flow.steps(), main, "steps") => None,
            // Also in the middle of a wait that asks the page nothing.
            error = tab.page.ended() => Some(Failed::of(&error)),
        }
    };
    let outcome = timeout(&*clock, flow.time(), work).await;
    let mut report = run.report;
    let broken_off = match outcome {
        Ok(ended) => ended,
        Err(elapsed) => {
            let message = format!("the run was {elapsed}; `time` in the workflow allows more");
            Some(Failed::new(elapsed.class(), message))
        }
    };
    if let Some(Failed { class, message }) = broken_off.filter(|_| report.failure.is_none()) {
        let step = report.steps.last().map(|step| step.path.clone());
        report.failure = Some(Failure { step, class, message });
    }
    report.dialogs =
        tab.page.dialogs().into_iter().map(|dialog| format!("{}: {}", dialog.kind, dialog.message)).collect();
    if let Some(proxy) = &tab.proxy {
        report.refused = proxy
            .refusals()
            .into_iter()
            .map(|refusal| format!("{}:{}: {}", refusal.host, refusal.port, refusal.reason))
            .collect();
    }
    report.took = clock.now().saturating_duration_since(started);
    report
}

/// A run under way.
struct Run<'a> {
    page: &'a Page,
    proxy: Option<&'a Proxy>,
    shelf: &'a dyn Shelf,
    clock: SharedClock,
    scope: Scope,
    report: Report,
    /// How often each name of a file was used.
    names: BTreeMap<String, usize>,
    /// Files that pages may read until the run ends.
    uploads: Vec<TempDir>,
}

/// The run has failed; the report says why.
struct Stop;

impl Run<'_> {
    /// Carries out steps one after the other.
    fn steps<'a>(
        &'a mut self,
        steps: &'a [Step],
        frame: &'a Frame,
        path: &'a str,
    ) -> BoxFuture<'a, Result<(), Stop>> {
        Box::pin(async move {
            for (number, step) in steps.iter().enumerate() {
                self.step(step, frame, &format!("{path}[{number}]")).await?;
            }
            Ok(())
        })
    }

    /// Carries out one step, as often as it may be tried, and reports it.
    async fn step(&mut self, step: &Step, frame: &Frame, path: &str) -> Result<(), Stop> {
        self.report.steps_taken += 1;
        if self.report.steps_taken > MAX_EXPANDED {
            let message = format!("more than {MAX_EXPANDED} steps in one run");
            return Err(self.stop(path, Failed::new(ErrorClass::TooLarge, message)));
        }
        let started = self.clock.now();
        let listed = self.list(step, path);
        let usual = match step.action {
            Action::Wait(_) | Action::Download { .. } => LONG_PATIENCE,
            _ => PATIENCE,
        };
        let deadline = started + step.within.unwrap_or(usual);
        let outcome = match step.within {
            Some(within) => {
                let clock = self.clock.clone();
                let tries = self.tries(step, frame, path, deadline);
                match timeout(&*clock, within + GRACE, tries).await {
                    Ok(outcome) => outcome,
                    Err(elapsed) => Ok(Err(elapsed.into())),
                }
            }
            None => self.tries(step, frame, path, deadline).await,
        };
        let took = self.clock.now().saturating_duration_since(started);
        // A step inside of this one has ended the run, and said so.
        let (outcome, failed) = match outcome {
            Err(Stop) => (StepOutcome::Failed, None),
            Ok(Ok(())) => (StepOutcome::Done, None),
            Ok(Err(failed)) if step.optional => (StepOutcome::Skipped, Some(failed)),
            Ok(Err(failed)) => (StepOutcome::Failed, Some(failed)),
        };
        if let Some(report) = listed.and_then(|listed| self.report.steps.get_mut(listed)) {
            report.outcome = outcome;
            report.took = took;
            report.message = failed.as_ref().map(|failed| failed.message.clone());
        }
        match (outcome, failed) {
            (StepOutcome::Failed, Some(failed)) => Err(self.stop(path, failed)),
            (StepOutcome::Failed, None) => Err(Stop),
            _ => Ok(()),
        }
    }

    /// Adds the step to the report, if there is room; returns where.
    fn list(&mut self, step: &Step, path: &str) -> Option<usize> {
        let steps = &mut self.report.steps;
        (steps.len() < Report::MAX_STEPS).then(|| {
            steps.push(StepReport {
                path: path.to_owned(),
                name: step.name.clone(),
                action: step.action.key().to_owned(),
                outcome: StepOutcome::Failed,
                message: None,
                took: Duration::ZERO,
            });
            steps.len() - 1
        })
    }

    fn stop(&mut self, path: &str, failed: Failed) -> Stop {
        let Failed { class, message } = failed;
        self.report.failure = Some(Failure { step: Some(path.to_owned()), class, message });
        Stop
    }

    async fn tries(
        &mut self,
        step: &Step,
        frame: &Frame,
        path: &str,
        deadline: Instant,
    ) -> Result<Result<(), Failed>, Stop> {
        let mut left = step.retries;
        loop {
            if let Some(steps) = step.action.steps() {
                return self.block(step, steps, frame, path).await;
            }
            let patience = deadline.saturating_duration_since(self.clock.now());
            match self.act(&step.action, frame, patience).await {
                // A page that is gone does not come back.
                Err(_) if left > 0 && !patience.is_zero() && !self.page.crashed() => left -= 1,
                outcome => return Ok(outcome),
            }
            self.clock.sleep(LOOK_AGAIN).await;
        }
    }

    /// A step with steps inside: these report themselves, and have ended the run if they return [`Stop`].
    async fn block(
        &mut self,
        step: &Step,
        steps: &[Step],
        frame: &Frame,
        path: &str,
    ) -> Result<Result<(), Failed>, Stop> {
        let inner = format!("{path}.{}.steps", step.action.key());
        match &step.action {
            Action::Frame { of, .. } => {
                let found = match self.target(of) {
                    Ok(target) => frame.frame(&target, PATIENCE).await.map_err(Failed::from),
                    Err(failed) => Err(failed),
                };
                match found {
                    Ok(frame) => self.steps(steps, &frame, &inner).await?,
                    Err(failed) => return Ok(Err(failed)),
                }
            }
            Action::When { target, state, .. } => {
                let target = match self.target(target) {
                    Ok(target) => target,
                    Err(failed) => return Ok(Err(failed)),
                };
                match frame.wait_for(&target, state_of(*state), Duration::ZERO).await {
                    Ok(()) => self.steps(steps, frame, &inner).await?,
                    Err(chromium::Error::NotFound { .. } | chromium::Error::Limit { .. }) => {}
                    Err(error) => return Ok(Err(error.into())),
                }
            }
            Action::ForEach { items, variable, .. } => {
                let items = match items.items(&self.scope) {
                    Ok(items) => items,
                    Err(error) => return Ok(Err(error.into())),
                };
                for item in items {
                    self.scope.set(variable.as_str(), item);
                    self.steps(steps, frame, &inner).await?;
                }
                self.scope.remove(variable);
            }
            _ => {}
        }
        Ok(Ok(()))
    }

    async fn act(&mut self, action: &Action, frame: &Frame, patience: Duration) -> Result<(), Failed> {
        match action {
            Action::Goto(url) => {
                let url = url.render(&self.scope)?;
                self.goto(&url).await?;
            }
            Action::Click(target) => frame.click(&self.target(target)?, patience).await?,
            Action::Type { into, text, clear, enter } => {
                let (target, text) = (self.target(into)?, text.render(&self.scope)?);
                frame.type_text(&target, &text, *clear, patience).await?;
                if *enter {
                    frame.press("Enter").await?;
                }
            }
            Action::Press(key) => frame.press(&key.to_string()).await?,
            Action::Select { from, value } => {
                let (target, value) = (self.target(from)?, value.render(&self.scope)?);
                frame.select(&target, &value, patience).await?;
            }
            Action::Upload { to, name, text } => {
                let (target, text) = (self.target(to)?, text.render(&self.scope)?);
                let folder = tempfile::tempdir().map_err(|error| cannot_write(&error))?;
                let file = folder.path().join(name);
                std::fs::write(&file, text).map_err(|error| cannot_write(&error))?;
                self.uploads.push(folder);
                frame.set_files(&target, &[&file], patience).await?;
            }
            Action::Wait(wait) => self.wait(wait, frame, patience).await?,
            Action::Extract { name, what } => {
                let value = self.extract(what, frame, patience).await?;
                self.scope.set(name.as_str(), value.clone());
                self.report.results.insert(name.clone(), value);
            }
            Action::Set { name, value } => {
                let value = value.render(&self.scope)?;
                self.scope.set(name.as_str(), value);
            }
            Action::Screenshot { name, full, of } => {
                let of = of.as_ref().map(|of| self.target(of)).transpose()?;
                let picture = self.page.screenshot(*full, of.as_ref()).await?;
                self.keep(name, "png", "image/png", picture).await?;
            }
            Action::Pdf { name } => {
                let document = self.page.pdf().await?;
                self.keep(name, "pdf", "application/pdf", document).await?;
            }
            Action::Download { click, name } => {
                let download = self.page.download(&self.target(click)?, patience).await?;
                let ending = ending(&download.name);
                self.keep(name, ending, "application/octet-stream", download.bytes).await?;
            }
            Action::Assert(assert) => self.assert(assert, frame, patience).await?,
            Action::Dialog(dialog) => {
                let policy = match dialog {
                    Dialog::Accept(None) => DialogPolicy::Accept(None),
                    Dialog::Accept(Some(answer)) => DialogPolicy::Accept(Some(answer.render(&self.scope)?)),
                    Dialog::Dismiss => DialogPolicy::Dismiss,
                };
                self.page.set_dialogs(policy);
            }
            // These are blocks.
            Action::Frame { .. } | Action::ForEach { .. } | Action::When { .. } => {}
        }
        Ok(())
    }

    /// Opens an address, unless the guard refuses it or what it leads to.
    async fn goto(&self, url: &str) -> Result<(), Failed> {
        let checked = check_address(url).map_err(|problem| Failed::new(ErrorClass::Forbidden, problem))?;
        let Some(proxy) = self.proxy else {
            self.page.goto(checked.as_str()).await?;
            return Ok(());
        };
        proxy.guard().check_url(url)?;
        let refused_before: u64 = proxy.refused().values().sum();
        let outcome = self.page.goto(checked.as_str()).await;
        let refused: u64 = proxy.refused().values().sum();
        let led_to = match &outcome {
            Ok(page) => page.url.clone(),
            Err(_) => checked.to_string(),
        };
        let led_to = url::Url::parse(&led_to).ok();
        let host = led_to.as_ref().and_then(|url| url.host_str()).unwrap_or_default();
        let newest = proxy
            .refusals()
            .into_iter()
            .rev()
            .find(|refusal| refused > refused_before && (refusal.host == host || outcome.is_err()));
        if let Some(refusal) = newest {
            let message = format!(
                "{url} leads to {}:{}, which is refused: {}",
                refusal.host, refusal.port, refusal.reason
            );
            return Err(Failed::new(ErrorClass::Forbidden, message));
        }
        outcome?;
        Ok(())
    }

    async fn wait(&self, wait: &Wait, frame: &Frame, patience: Duration) -> Result<(), Failed> {
        match wait {
            Wait::Time(time) => self.clock.sleep(*time).await,
            Wait::For { target, state } => {
                frame.wait_for(&self.target(target)?, state_of(*state), patience).await?;
            }
            Wait::Text { text } => frame.wait_for_text(&text.render(&self.scope)?, patience).await?,
            Wait::Url { url } => frame.wait_for_url(&url.render(&self.scope)?, patience).await?,
        }
        Ok(())
    }

    async fn extract(&self, what: &Extract, frame: &Frame, patience: Duration) -> Result<Value, Failed> {
        Ok(match what {
            Extract::Title => self.page.title().await?.into(),
            Extract::Url => self.page.url().await?.into(),
            Extract::From { from, form } => {
                let target = self.target(from)?;
                let form = match form {
                    Form::Text => chromium::Extract::Text,
                    Form::Html => chromium::Extract::Html,
                    Form::Value => chromium::Extract::Value,
                    Form::Texts => chromium::Extract::Texts,
                    Form::Table => {
                        let rows = frame.extract(&target, &chromium::Extract::Table, patience).await?;
                        return Ok(by_column(rows));
                    }
                    Form::Count => chromium::Extract::Count,
                    Form::Attribute(name) => chromium::Extract::Attribute(name.clone()),
                    Form::Attributes(name) => chromium::Extract::Attributes(name.clone()),
                };
                frame.extract(&target, &form, patience).await?
            }
        })
    }

    /// Fails with what is there instead, if it does not come to hold in time.
    async fn assert(&self, assert: &Assert, frame: &Frame, patience: Duration) -> Result<(), Failed> {
        let deadline = self.clock.now() + patience;
        loop {
            let problem = match self.holds(assert, frame).await {
                Ok(None) => return Ok(()),
                Ok(Some(problem)) => Failed::new(ErrorClass::Conflict, problem),
                Err(failed) if failed.class == ErrorClass::NotFound => failed,
                Err(failed) => return Err(failed),
            };
            if self.clock.now() >= deadline {
                return Err(problem);
            }
            self.clock.sleep(LOOK_AGAIN).await;
        }
    }

    /// What is there instead of what was demanded, if it does not hold.
    async fn holds(&self, assert: &Assert, frame: &Frame) -> Result<Option<String>, Failed> {
        let contains = |what: &str, found: String, wanted: &str| {
            (!found.contains(wanted))
                .then(|| format!("{what} is \"{}\", which does not contain \"{wanted}\"", shortened(&found)))
        };
        Ok(match assert {
            Assert::Text { target: None, text } => {
                let text = text.render(&self.scope)?;
                let shown = frame.wait_for_text(&text, Duration::ZERO).await;
                shown.err().map(|_| format!("the page does not show \"{text}\""))
            }
            Assert::Text { target: Some(target), text } => {
                let (target, text) = (self.target(target)?, text.render(&self.scope)?);
                let found = frame.extract(&target, &chromium::Extract::Text, Duration::ZERO).await?;
                contains(
                    &format!("the text of `{target}`"),
                    found.as_str().unwrap_or_default().to_owned(),
                    &text,
                )
            }
            Assert::Count { target, count } => {
                let target = self.target(target)?;
                let found = frame.extract(&target, &chromium::Extract::Count, Duration::ZERO).await?;
                (found.as_u64() != Some(*count))
                    .then(|| format!("`{target}` is there {found} times, not {count}"))
            }
            Assert::State { target, state } => {
                let (target, state) = (self.target(target)?, state_of(*state));
                let holds = frame.wait_for(&target, state, Duration::ZERO).await;
                holds.err().map(|_| format!("`{target}` is not {}", state.as_str()))
            }
            Assert::Url { url } => contains("the address", self.page.url().await?, &url.render(&self.scope)?),
            Assert::Title { title } => {
                contains("the title", self.page.title().await?, &title.render(&self.scope)?)
            }
        })
    }

    fn target(&self, template: &TargetTemplate) -> Result<Target, Failed> {
        let target = template.render(&self.scope)?;
        Ok(Target::parse(&target.to_string())?)
    }

    /// Keeps a file under its name, numbered if the name was used before.
    async fn keep(
        &mut self,
        name: &str,
        ending: &str,
        media_type: &str,
        content: Bytes,
    ) -> Result<(), Failed> {
        let used = self.names.entry(format!("{name}.{ending}")).or_default();
        *used += 1;
        let name = if *used == 1 { format!("{name}.{ending}") } else { format!("{name}-{used}.{ending}") };
        let bytes = content.len() as u64;
        let hash = self.shelf.keep(&name, content).await?;
        self.report.artifacts.push(Artifact { name, media_type: media_type.to_owned(), bytes, hash });
        Ok(())
    }
}

fn cannot_write(error: &std::io::Error) -> Failed {
    Failed::new(ErrorClass::Internal, format!("a file to upload cannot be written: {error}"))
}

fn state_of(state: State) -> chromium::State {
    match state {
        State::Visible => chromium::State::Visible,
        State::Hidden => chromium::State::Hidden,
        State::Attached => chromium::State::Attached,
        State::Detached => chromium::State::Detached,
    }
}

/// The ending of a file's name, if it is a usual one.
fn ending(name: &str) -> &str {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    if (1..=8).contains(&ending.len()) && ending.chars().all(|c| c.is_ascii_alphanumeric()) {
        ending
    } else {
        "bin"
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Rows as maps by the names of the columns, which the first row has; as they are, if it names them not or twice.
fn by_column(rows: Value) -> Value {
    let Value::Array(table) = &rows else { return rows };
    let Some((Value::Array(head), body)) = table.split_first() else { return rows };
    let names: Vec<&str> =
        head.iter().filter_map(Value::as_str).map(str::trim).filter(|name| !name.is_empty()).collect();
    let mut distinct = names.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() != head.len() || names.is_empty() {
        return rows;
    }
    let row = |cells: &Value| {
        let cells = cells.as_array().map(Vec::as_slice).unwrap_or_default();
        let named = names
            .iter()
            .enumerate()
            .map(|(column, name)| ((*name).to_owned(), cells.get(column).cloned().unwrap_or(Value::Null)));
        Value::Object(named.collect::<Map<_, _>>())
    };
    body.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_with_names_becomes_maps_and_another_stays_rows() {
        let named = json!([["Name", "Price"], ["tea", "3"], ["cake"]]);
        assert_eq!(
            by_column(named),
            json!([{ "Name": "tea", "Price": "3" }, { "Name": "cake", "Price": null }])
        );
        for rows in [json!([["a", "a"], ["1", "2"]]), json!([["", "b"], ["1", "2"]]), json!([])] {
            assert_eq!(by_column(rows.clone()), rows);
        }
    }

    #[test]
    fn a_download_keeps_an_ending_that_is_one() {
        let endings = ["a.csv", "a.tar.gz", "noending", "x.<script>", "y."].map(ending);
        assert_eq!(endings, ["csv", "gz", "bin", "bin", "bin"]);
    }
}
