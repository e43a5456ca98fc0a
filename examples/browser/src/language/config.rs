//! Which model helps with commands, if any, and what that may cost.

use std::path::PathBuf;
use std::time::Duration;

use buttress_connect::{Address, ConnectionConfig};
use buttress_core::{Validate, Violations, units};
use buttress_resilience::ResilienceConfig;
use buttress_secrets::Name;
use serde::{Deserialize, Serialize};
use url::Url;

use super::budget::Spend;
use super::tokens;

/// Which model helps with commands that the grammar does not understand, and what that may cost.
///
/// | field | default | |
/// |---|---|---|
/// | `url` | none | base of an OpenAI-compatible service: `http://127.0.0.1:11434/v1`; without it there is no model |
/// | `model` | `""` | the model's name there; needed with `url` |
/// | `key_file` | none | a file that holds the API key, and nothing else |
/// | `key_variable` | none | an environment variable that holds the API key |
/// | `key_secret` | none | the secret of the vault that is the API key: `"language/key"`; a new version is used without a restart |
/// | `calls` | 30 s for one try, 3 tries in 2 min, 16 calls at once and 64 that wait up to 5 s, a circuit breaker | see [`ResilienceConfig`] |
/// | `max_answer_tokens` | 2000 | the longest answer |
/// | `prompt_tokens` | 4000 | the longest prompt, by our estimate; the page is shrunk until it fits |
/// | `cache` | 1000 | answers kept in the file, up to 1000 of them in memory too; 0 keeps none |
/// | `cache_age` | `"7d"` | how long an answer is kept, at most 180 d |
/// | `folder` | `"language"` | where answers (`answers.db`) and spending (`language.db`) are kept; one process a folder |
/// | `shared` | | see [`SharedAnswersConfig`]: whether answers are shared with other instances |
/// | `price_prompt` | 0 | micro-dollars for 1,000 tokens of prompt |
/// | `price_completion` | 0 | micro-dollars for 1,000 tokens of answer |
/// | `budget_daily_tokens` | 200000 | tokens of prompts and answers for one day (UTC) |
/// | `budget_daily_micros` | none | micro-dollars for one day (UTC) |
/// | `warn_at` | 80 | percent of a budget at which an event warns, once a day |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LanguageConfig {
    /// Base of an OpenAI-compatible service; without it there is no model.
    pub url: Option<String>,
    /// The model's name there.
    pub model: String,
    /// A file that holds the API key.
    pub key_file: Option<PathBuf>,
    /// An environment variable that holds the API key.
    pub key_variable: Option<String>,
    /// The name of the secret that is the API key.
    pub key_secret: Option<String>,
    /// How long a call may take, how often it is tried, and how many there may be at once.
    pub calls: ResilienceConfig,
    /// The longest answer in tokens.
    pub max_answer_tokens: u64,
    /// The longest prompt in tokens.
    pub prompt_tokens: u64,
    /// Answers kept.
    pub cache: u64,
    /// How long an answer is kept.
    #[serde(with = "units::duration")]
    pub cache_age: Duration,
    /// Where answers and spending are kept.
    pub folder: PathBuf,
    /// Whether answers are shared with other instances.
    pub shared: SharedAnswersConfig,
    /// Micro-dollars for 1,000 tokens of prompt.
    pub price_prompt: u64,
    /// Micro-dollars for 1,000 tokens of answer.
    pub price_completion: u64,
    /// Tokens for one day.
    pub budget_daily_tokens: u64,
    /// Micro-dollars for one day.
    pub budget_daily_micros: Option<u64>,
    /// Percent of a budget at which an event warns.
    pub warn_at: u8,
}

impl Default for LanguageConfig {
    fn default() -> Self {
        Self {
            url: None,
            model: String::new(),
            key_file: None,
            key_variable: None,
            key_secret: None,
            calls: calls(),
            max_answer_tokens: 2_000,
            prompt_tokens: 4_000,
            cache: 1_000,
            cache_age: Duration::from_hours(7 * 24),
            folder: PathBuf::from("language"),
            shared: SharedAnswersConfig::default(),
            price_prompt: 0,
            price_completion: 0,
            budget_daily_tokens: 200_000,
            budget_daily_micros: None,
            warn_at: 80,
        }
    }
}

/// Whether answers of the model are shared with other instances: a fleet then asks once for what all its instances are asked.
///
/// | field | default | |
/// |---|---|---|
/// | `url` | none | `redis://…`: where answers are kept; none: in a file of this instance |
/// | `namespace` | `"browser:answers"` | names there begin with it; instances that ask different models need different ones |
/// | `connection` | | see [`ConnectionConfig`] |
///
/// The server keeps each for `cache_age`, and lets go of some before if it is told to (`maxmemory-policy`); `cache` says nothing about it.
/// It has to be there at the start. When it is lost later, each instance goes on with what it has in memory and asks the
/// model for the rest itself. Budgets are never shared: each instance has its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SharedAnswersConfig {
    /// Where answers are kept.
    pub url: Option<Address>,
    /// Names there begin with it.
    pub namespace: String,
    /// How the server is spoken to.
    pub connection: ConnectionConfig,
}

impl Default for SharedAnswersConfig {
    fn default() -> Self {
        Self { url: None, namespace: "browser:answers".to_owned(), connection: ConnectionConfig::default() }
    }
}

impl Validate for SharedAnswersConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        if let Some(url) = &self.url {
            url.require_redis("url", &mut wrong);
        }
        let sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
        let namespace = (1..=64).contains(&self.namespace.len()) && self.namespace.chars().all(sign);
        let shown = format!("{:?}", self.namespace);
        wrong.require(namespace, "namespace", shown, "must be 1 to 64 letters, digits and `-_.:`");
        wrong.nest("connection", &self.connection);
        wrong.into_result()
    }
}

fn calls() -> ResilienceConfig {
    let mut calls = ResilienceConfig::default();
    "model".clone_into(&mut calls.name);
    (calls.timeout, calls.deadline) = (Duration::from_secs(30), Duration::from_mins(2));
    calls.retry.first = Duration::from_secs(1);
    (calls.bulkhead.limit, calls.bulkhead.waiters, calls.bulkhead.wait) = (16, 64, Duration::from_secs(5));
    calls
}

impl LanguageConfig {
    /// What so many tokens cost.
    #[must_use]
    pub fn price(&self, prompt: u64, completion: u64) -> Spend {
        let part = |tokens: u64, price: u64| tokens.saturating_mul(price);
        let millis = part(prompt, self.price_prompt).saturating_add(part(completion, self.price_completion));
        Spend { tokens: prompt.saturating_add(completion), micros: millis.div_ceil(1_000) }
    }

    /// What one call may cost at most, with a prompt of `prompt` tokens by our estimate.
    #[must_use]
    pub fn worst_case(&self, prompt: u64) -> Spend {
        self.price(tokens::at_worst(prompt), self.max_answer_tokens)
    }
}

impl Validate for LanguageConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        if let Some(url) = &self.url {
            let remedy = "must be http or https without a user name, a query or a fragment, such as \
                          \"https://api.example.com/v1\"; the key belongs into `key_file`";
            // A password in it must not get into a message.
            let shown = if url.contains('@') { "…" } else { url };
            wrong.require(is_base(url), "url", format!("\"{shown}\""), remedy);
            let named = (1..=200).contains(&self.model.len()) && !self.model.contains(char::is_control);
            let shown = format!("{:?}", self.model);
            wrong.require(named, "model", shown, "must name the model to be asked at `url`");
        }
        let one = self.key_file.is_none() || self.key_variable.is_none();
        wrong.require(one, "key_variable", "given beside `key_file`", "must not be; keep one of the two");
        if let Some(name) = &self.key_secret {
            let one = self.key_file.is_none() && self.key_variable.is_none();
            let remedy = "must not be beside `key_file` or `key_variable`; keep one of them";
            wrong.require(one, "key_secret", name, remedy);
            let named = Name::new(name);
            let problem = named.as_ref().err().map(ToString::to_string).unwrap_or_default();
            wrong.require(named.is_ok(), "key_secret", format!("{name:?}"), problem);
        }
        let shown = units::format_duration;
        wrong.nest("calls", &self.calls);
        let answer = (100..=100_000).contains(&self.max_answer_tokens);
        let remedy = "must be 100 to 100000; 2000 is usual";
        wrong.require(answer, "max_answer_tokens", self.max_answer_tokens, remedy);
        let prompt = (2_000..=100_000).contains(&self.prompt_tokens);
        let remedy = "must be 2000 to 100000; 4000 is usual";
        wrong.require(prompt, "prompt_tokens", self.prompt_tokens, remedy);
        let cache = self.cache <= 1_000_000;
        wrong.require(cache, "cache", self.cache, "must be at most 1000000; 1000 is usual");
        let age = (Duration::from_secs(1)..=Duration::from_hours(180 * 24)).contains(&self.cache_age);
        wrong.require(age, "cache_age", shown(self.cache_age), "must be \"1s\" to \"180d\"; \"7d\" is usual");
        wrong.nest("shared", &self.shared);
        let most = 1_000_000_000;
        for (field, price) in
            [("price_prompt", self.price_prompt), ("price_completion", self.price_completion)]
        {
            wrong.require(price <= most, field, price, "must be at most 1000000000 micro-dollars");
        }
        let percent = (1..=100).contains(&self.warn_at);
        wrong.require(percent, "warn_at", self.warn_at, "must be 1 to 100; 80 is usual");
        let worst = self.worst_case(self.prompt_tokens);
        let tokens = (worst.tokens..=u64::MAX >> 16).contains(&self.budget_daily_tokens);
        let remedy = format!("must be at least {}, which one call may take", worst.tokens);
        wrong.require(tokens, "budget_daily_tokens", self.budget_daily_tokens, remedy);
        if let Some(micros) = self.budget_daily_micros {
            let enough = (worst.micros..=u64::MAX >> 16).contains(&micros);
            let remedy = format!("must be at least {}, which one call may cost", worst.micros);
            wrong.require(enough, "budget_daily_micros", micros, remedy);
        }
        wrong.into_result()
    }
}

fn is_base(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
}
