//! Calls of the model that are paid for: reserved before each try, settled after it, tried again while that may help.

use std::sync::{Mutex, PoisonError};

use buttress_core::ErrorClass;
use buttress_resilience::{Policy, Verdict};

use super::answer::Answer;
use super::budget::{Budget, Spend};
use super::config::LanguageConfig;
use super::error::{Error, ModelError, Result};
use super::metrics::Metrics;
use super::model::{Failure, Model};
use super::optimise::Prompt;
use super::tokens::{at_worst, estimate_tokens};

/// What calls took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) prompt: u64,
    pub(crate) completion: u64,
    pub(crate) micros: u64,
}

impl Taken {
    fn add(&mut self, other: Self) {
        self.prompt += other.prompt;
        self.completion += other.completion;
        self.micros = self.micros.saturating_add(other.micros);
    }
}

/// The model with its budget.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) model: Model,
    pub(crate) budget: Budget,
    pub(crate) config: LanguageConfig,
    /// Retries, circuit and places.
    pub(crate) policy: Policy,
    pub(crate) metrics: Metrics,
}

/// Why a try did not bring an answer.
enum Failed {
    /// It was made.
    Model(Failure),
    /// It was not.
    Own(Error),
}

impl Failed {
    fn verdict(&self) -> Verdict {
        match self {
            Self::Model(failure) => Verdict::of(failure),
            Self::Own(_) => Verdict::class(ErrorClass::Cancelled),
        }
    }
}

impl Caller {
    /// Asks until there is an answer, as often as `calls` has it. What it took is added to `taken`, also when it
    /// fails.
    pub(crate) async fn ask(&self, prompt: &Prompt, taken: &mut Taken) -> Result<Answer> {
        let sum = Mutex::new(taken);
        let asked = self.policy.run_judged(Failed::verdict, |attempt| {
            let sum = &sum;
            async move {
                let (outcome, took) = self.ask_once(prompt).await.map_err(Failed::Own)?;
                sum.lock().unwrap_or_else(PoisonError::into_inner).add(took);
                outcome.map_err(|failure| {
                    let tries = attempt.number;
                    tracing::warn!(error = %failure.error, tries, "the model gave no answer");
                    Failed::Model(failure)
                })
            }
        });
        asked.await.map_err(|failure| match failure {
            buttress_resilience::Failure::Call(Failed::Model(failure)) => Error::Model(failure.error),
            buttress_resilience::Failure::Call(Failed::Own(error)) => error,
            buttress_resilience::Failure::Rejected(rejection) => Error::Busy(rejection),
            buttress_resilience::Failure::TimedOut(elapsed) => Error::Model(ModelError::TimedOut(elapsed.0)),
            _ => Error::Stopped,
        })
    }

    async fn ask_once(&self, prompt: &Prompt) -> Result<(Result<Answer, Failure>, Taken)> {
        let mut reservation = self.budget.reserve(self.config.worst_case(prompt.after)).await?;
        // Whoever hangs up does not get the prompt back.
        let unanswered = self.config.price(prompt.after, 0);
        reservation.sent(unanswered);
        let outcome = self.model.ask(&prompt.messages).await;
        let (asked, answered) = match &outcome {
            Ok(answer) => self.usage(prompt, answer),
            Err(failure) if failure.may_cost => (prompt.after, 0),
            Err(_) => (0, 0),
        };
        let spent = self.config.price(asked, answered);
        self.count(&outcome, asked, answered);
        self.settle(reservation, spent).await;
        Ok((outcome, Taken { prompt: asked, completion: answered, micros: spent.micros }))
    }

    /// An answer that is there is not thrown away because its price cannot be written now; that is kept for later.
    async fn settle(&self, reservation: super::budget::Reservation, spent: Spend) {
        if let Err(error) = reservation.settle(spent).await {
            tracing::warn!(%error, "what the model's answer took is not written yet");
        }
    }

    /// The tokens that the service counted, where that can be; our estimate otherwise.
    fn usage(&self, prompt: &Prompt, answer: &Answer) -> (u64, u64) {
        // A token is a byte at least, and there is a little around each message.
        let bytes: usize = prompt.messages.iter().map(|message| message.content.len() + 100).sum();
        let asked = answer.prompt.filter(|tokens| (1..=bytes as u64).contains(tokens));
        let most = at_worst(self.config.max_answer_tokens);
        let answered = answer.completion.filter(|tokens| (1..=most).contains(tokens));
        let estimated = || estimate_tokens(&answer.text).min(most);
        (asked.unwrap_or(prompt.after), answered.unwrap_or_else(estimated))
    }

    fn count(&self, outcome: &Result<Answer, Failure>, asked: u64, answered: u64) {
        let metrics = &self.metrics;
        metrics.prompt.increment(asked);
        metrics.completion.increment(answered);
        let counter = match outcome {
            Ok(_) => &metrics.answered,
            Err(failure) => match failure.error {
                ModelError::Throttled { .. } => &metrics.throttled,
                ModelError::Unavailable { .. } | ModelError::NoKey { .. } => &metrics.unavailable,
                ModelError::TimedOut(_) => &metrics.timed_out,
                ModelError::TooLarge | ModelError::Invalid { .. } => &metrics.invalid,
                ModelError::Unauthenticated { .. } | ModelError::Refused { .. } => &metrics.refused,
            },
        };
        counter.increment(1);
    }
}
