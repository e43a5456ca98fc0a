//! Text in, a checked workflow out.

use std::sync::Arc;

use buttress_core::{BoxFuture, Ctx, DynProbe, Validate};
use buttress_resilience::Policy;
use buttress_secrets::Secrets;
use serde::Serialize;

use super::answer::Plan;
use super::answers::{self, Answers, Origin};
use super::budget::{Budget, BudgetStatus};
use super::call::{Caller, Taken};
use super::config::LanguageConfig;
use super::error::{Error, Result};
use super::grammar::{self, NotUnderstood};
use super::metrics::Metrics;
use super::model::Model;
use super::optimise::{self, PageHint, Prompt, Wrong};
use super::store::Store;
use crate::flow::Flow;

/// A command to be turned into a workflow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// The command, at most 4 KiB.
    pub text: String,
    /// The page that is shown when it is given. Parts of it go to the model.
    pub page: Option<PageHint>,
    /// Who gives it; for the log.
    pub tenant: Option<String>,
}

impl Request {
    /// A command without a page.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Adds the page that is shown.
    #[must_use]
    pub fn page(mut self, page: PageHint) -> Self {
        self.page = Some(page);
        self
    }

    /// Adds who gives it.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }
}

/// What turned a command into a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The grammar.
    Grammar,
    /// An answer that the model gave before, or to an equal command at the same time.
    Cache,
    /// The model.
    Model,
}

/// Tokens of one command.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TokenReport {
    /// Of the prompt before the page was shrunk, by our estimate; 0 when no prompt was made.
    pub before: u64,
    /// Of the prompt after that, by our estimate.
    pub after: u64,
    /// Of all prompts that were sent, as the service counts; 0 when none was sent.
    pub prompt: u64,
    /// Of all answers, as the service counts.
    pub completion: u64,
}

/// A command as a workflow.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Translation {
    /// The workflow, checked.
    pub flow: Flow,
    /// What it comes from.
    pub source: Source,
    /// What it took in tokens.
    pub tokens: TokenReport,
    /// What it cost in micro-dollars.
    pub cost_micros: u64,
    /// The model, where its answer was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// Turns commands into workflows: by the grammar, else by a kept answer, else by the model. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Translator(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    metrics: Metrics,
    helper: Option<Helper>,
}

/// The model with what is around it.
#[derive(Debug)]
struct Helper {
    asking: Arc<Asking>,
    answers: Answers,
}

/// What a call has to do with: it may go on for others when the one who began it has left.
#[derive(Debug)]
struct Asking {
    caller: Caller,
}

impl Translator {
    /// Reads the key, opens the files of answers and spending, and asks the model nothing yet. It may wait for the disk, and
    /// for the server on which answers are shared. Without a `url` there is no model, and neither files nor server.
    ///
    /// # Errors
    ///
    /// When the configuration is wrong, the key is missing, a file cannot be used, or the server is not there.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn open(config: &LanguageConfig, ctx: &Ctx) -> Result<Self> {
        Self::open_with(config, None, ctx).await
    }

    /// As [`open`](Self::open), with the secrets that `key_secret` is one of. Its current version is sent, so that it can be rotated
    /// while this runs.
    ///
    /// # Errors
    ///
    /// As of [`open`](Self::open).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn open_with(config: &LanguageConfig, secrets: Option<&Secrets>, ctx: &Ctx) -> Result<Self> {
        config.validate().map_err(Error::Config)?;
        let model = Model::open(config, secrets, ctx.clock.clone()).await?;
        let helper = match model {
            Some(model) => Some(Helper::open(model, config, ctx).await?),
            None => None,
        };
        Ok(Self(Arc::new(Inner { metrics: Metrics::new(), helper })))
    }

    /// Whether there is a model to ask.
    #[must_use]
    pub fn has_model(&self) -> bool {
        self.0.helper.is_some()
    }

    /// Warns when the place of kept answers does not answer; nothing when there is no model.
    #[must_use]
    pub fn probe(&self) -> Option<DynProbe> {
        self.0.helper.as_ref().map(|helper| helper.answers.probe())
    }

    /// How the day's budget stands; nothing when there is no model.
    ///
    /// # Errors
    ///
    /// When the file cannot be used.
    pub async fn budget(&self) -> Result<Option<BudgetStatus>> {
        let Some(helper) = &self.0.helper else { return Ok(None) };
        helper.asking.caller.budget.status().await.map(Some)
    }

    /// Turns a command into a workflow. Dropped, it hangs up, unless others wait for the same answer.
    ///
    /// # Errors
    ///
    /// [`Error::NotUnderstood`] when the grammar does not understand it and there is no model; what keeps the model
    /// from answering; [`Error::NoPlan`] when its second answer is no workflow either.
    pub async fn translate(&self, request: &Request) -> Result<Translation> {
        let metrics = &self.0.metrics;
        let outcome = self.find(request).await;
        match &outcome {
            Ok(Translation { source: Source::Grammar, .. }) => metrics.by_grammar.increment(1),
            Ok(Translation { source: Source::Cache, .. }) => metrics.by_cache.increment(1),
            Ok(Translation { source: Source::Model, .. }) => metrics.by_model.increment(1),
            Err(_) => metrics.by_none.increment(1),
        }
        outcome
    }

    async fn find(&self, request: &Request) -> Result<Translation> {
        let error = match grammar::parse(&request.text) {
            Ok(flow) => {
                let (tokens, source) = (TokenReport::default(), Source::Grammar);
                return Ok(Translation { flow, source, tokens, cost_micros: 0, model: None });
            }
            Err(error) => error,
        };
        match (&self.0.helper, &error) {
            (Some(helper), NotUnderstood::Clause { .. }) => helper.find(request).await,
            _ => Err(error.into()),
        }
    }
}

impl Helper {
    async fn open(model: Model, config: &LanguageConfig, ctx: &Ctx) -> Result<Self> {
        let store = Store::open(&config.folder)?;
        let budget = Budget::of(store, config, ctx)?;
        let answers = Answers::open(config, ctx).await?;
        let mut calls = config.calls.clone();
        // The model limits a try itself, for what one that is given up may have cost has to be written.
        calls.timeout = calls.deadline;
        let policy = Policy::new(&calls, ctx).map_err(Error::Calls)?.idempotent();
        let caller = Caller { model, budget, config: config.clone(), policy, metrics: Metrics::new() };
        Ok(Self { asking: Arc::new(Asking { caller }), answers })
    }

    async fn find(&self, request: &Request) -> Result<Translation> {
        let asking = &self.asking;
        let question = Arc::new(Question { text: request.text.clone(), page: request.page.clone() });
        let prompt = asking.prompt(&question, None).await?;
        let key = answers::key(&asking.caller.model.name, &prompt);
        let (before, after) = (prompt.before, prompt.after);
        let prompt = Arc::new(prompt);
        let ask = || -> BoxFuture<'static, _> {
            Box::pin(Arc::clone(asking).plan(Arc::clone(&question), Arc::clone(&prompt)))
        };
        let (flow, origin) = self.answers.find(key, ask).await?;
        let (source, taken) = match origin {
            Origin::Asked(taken) => (Source::Model, taken),
            Origin::Kept | Origin::Shared => (Source::Cache, Taken::default()),
        };
        if matches!(origin, Origin::Kept) {
            asking.caller.metrics.hits.increment(1);
        }
        let tokens = TokenReport { before, after, prompt: taken.prompt, completion: taken.completion };
        let tenant = request.tenant.as_deref().unwrap_or_default();
        tracing::info!(tenant, ?source, ?tokens, cost_micros = taken.micros, "a command became a workflow");
        Ok(Translation {
            flow: Flow::clone(&flow),
            source,
            tokens,
            cost_micros: taken.micros,
            model: Some(asking.caller.model.name.clone()),
        })
    }
}

/// A command and its page.
#[derive(Debug)]
struct Question {
    text: String,
    page: Option<PageHint>,
}

impl Asking {
    /// A large page takes a while, which other tasks of this thread need not wait for.
    async fn prompt(&self, question: &Arc<Question>, wrong: Option<Wrong>) -> Result<Prompt> {
        let most = self.caller.config.prompt_tokens;
        let question = Arc::clone(question);
        let make = move || optimise::prompt(&question.text, question.page.as_ref(), wrong.as_ref(), most);
        tokio::task::spawn_blocking(make).await.map_err(|_| Error::Stopped)?
    }

    /// The model's answer, and what it took.
    async fn plan(self: Arc<Self>, question: Arc<Question>, prompt: Arc<Prompt>) -> Result<(Flow, Taken)> {
        let metrics = &self.caller.metrics;
        metrics.misses.increment(1);
        metrics.saved.increment(prompt.before.saturating_sub(prompt.after));
        let mut taken = Taken::default();
        let flow = self.ask(&question, &prompt, &mut taken).await?;
        Ok((flow, taken))
    }

    /// Asks, and once more if the answer is no workflow.
    async fn ask(&self, question: &Arc<Question>, prompt: &Prompt, taken: &mut Taken) -> Result<Flow> {
        let first = self.caller.ask(prompt, taken).await?;
        let problems = match first.plan() {
            Ok(plan) => return flow_of(plan),
            Err(problems) => problems,
        };
        tracing::info!(problems, "the model's answer is no workflow; it is told");
        let prompt = self.prompt(question, Some(Wrong { answer: first.text, problems })).await?;
        let second = self.caller.ask(&prompt, taken).await?;
        second.plan().map_err(|problems| Error::NoPlan { problems }).and_then(flow_of)
    }
}

fn flow_of(plan: Plan) -> Result<Flow> {
    match plan {
        Plan::Flow(flow) => Ok(flow),
        Plan::Impossible(reason) => Err(Error::Impossible { reason }),
    }
}
