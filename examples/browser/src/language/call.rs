//! Calls of the model that are paid for: reserved before each try, settled after it, tried again while that may help.

use std::hash::BuildHasher;
use std::time::Duration;

use buttress_core::SharedClock;

use super::answer::Answer;
use super::budget::{Budget, Spend};
use super::config::LanguageConfig;
use super::error::{Error, ModelError, Result};
use super::metrics::Metrics;
use super::model::{Failure, Model};
use super::optimise::Prompt;
use super::tokens::{at_worst, estimate_tokens};

const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// A service that wants more than this is not waited for; whoever asked is told instead.
const LONGEST_ASKED: Duration = Duration::from_secs(30);

/// What calls took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) prompt: u64,
    pub(crate) completion: u64,
    pub(crate) micros: u64,
}

/// The model with its budget.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) model: Model,
    pub(crate) budget: Budget,
    pub(crate) config: LanguageConfig,
    pub(crate) clock: SharedClock,
    pub(crate) metrics: Metrics,
}

impl Caller {
    /// Asks until there is an answer, at most `retries` times more. What it took is added to `taken`, also when it
    /// fails.
    pub(crate) async fn ask(&self, prompt: &Prompt, taken: &mut Taken) -> Result<Answer> {
        let mut tries = 0;
        loop {
            let failure = match self.ask_once(prompt, taken).await? {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let wait = failure.retry_after.unwrap_or_else(|| back_off(tries));
            tracing::warn!(error = %failure.error, tries = tries + 1, "the model gave no answer");
            if !failure.is_passing || tries >= self.config.retries || wait > LONGEST_ASKED {
                return Err(Error::Model(failure.error));
            }
            tries += 1;
            self.clock.sleep(wait).await;
        }
    }

    async fn ask_once(&self, prompt: &Prompt, taken: &mut Taken) -> Result<Result<Answer, Failure>> {
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
        taken.prompt += asked;
        taken.completion += answered;
        taken.micros = taken.micros.saturating_add(spent.micros);
        self.count(&outcome, asked, answered);
        self.settle(reservation, spent).await;
        Ok(outcome)
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
                ModelError::Unavailable { .. } => &metrics.unavailable,
                ModelError::TimedOut(_) => &metrics.timed_out,
                ModelError::TooLarge | ModelError::Invalid { .. } => &metrics.invalid,
                ModelError::Unauthenticated { .. } | ModelError::Refused { .. } => &metrics.refused,
            },
        };
        counter.increment(1);
    }
}

/// The wait before the next try: it doubles, and a random half of it is left out, so that many do not march in step.
fn back_off(tries: u32) -> Duration {
    let most = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(tries)).min(LONGEST_WAIT);
    let chance = std::hash::RandomState::new().hash_one(tries) as f64 / u64::MAX as f64;
    most.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0)
}
