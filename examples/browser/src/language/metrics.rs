//! What commands count.

use metrics::{Counter, counter, describe_counter};

/// Commands that became workflows, by `source`: `grammar`, `cache`, `model`; and `none`, those that did not.
pub const TRANSLATIONS: &str = "buttress_browser_language_translations_total";
/// Calls of the model, each try counted, by `outcome`: `answered`, `throttled`, `unavailable`, `timeout`, `refused`,
/// `invalid`.
pub const CALLS: &str = "buttress_browser_language_calls_total";
/// Tokens, by `kind`: `prompt`, `completion`, and `saved`, those that shrinking kept out of prompts.
pub const TOKENS: &str = "buttress_browser_language_tokens_total";
/// Looks into the kept answers, by `outcome`: `hit`, `miss`.
pub const CACHE: &str = "buttress_browser_language_cache_total";

/// Handles, resolved once.
pub(crate) struct Metrics {
    pub(crate) by_grammar: Counter,
    pub(crate) by_cache: Counter,
    pub(crate) by_model: Counter,
    pub(crate) by_none: Counter,
    pub(crate) answered: Counter,
    pub(crate) throttled: Counter,
    pub(crate) unavailable: Counter,
    pub(crate) timed_out: Counter,
    pub(crate) refused: Counter,
    pub(crate) invalid: Counter,
    pub(crate) prompt: Counter,
    pub(crate) completion: Counter,
    pub(crate) saved: Counter,
    pub(crate) hits: Counter,
    pub(crate) misses: Counter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        describe_counter!(
            TRANSLATIONS,
            "Commands, by what turned them into workflows: grammar, cache, model, none"
        );
        describe_counter!(
            CALLS,
            "Calls of the model, by outcome: answered, throttled, unavailable, timeout, refused, invalid"
        );
        describe_counter!(TOKENS, "Tokens of the model, by kind: prompt, completion, saved");
        describe_counter!(CACHE, "Looks into the kept answers of the model, by outcome: hit, miss");
        let call = |outcome: &'static str| counter!(CALLS, "outcome" => outcome);
        let tokens = |kind: &'static str| counter!(TOKENS, "kind" => kind);
        Self {
            by_grammar: counter!(TRANSLATIONS, "source" => "grammar"),
            by_cache: counter!(TRANSLATIONS, "source" => "cache"),
            by_model: counter!(TRANSLATIONS, "source" => "model"),
            by_none: counter!(TRANSLATIONS, "source" => "none"),
            answered: call("answered"),
            throttled: call("throttled"),
            unavailable: call("unavailable"),
            timed_out: call("timeout"),
            refused: call("refused"),
            invalid: call("invalid"),
            prompt: tokens("prompt"),
            completion: tokens("completion"),
            saved: tokens("saved"),
            hits: counter!(CACHE, "outcome" => "hit"),
            misses: counter!(CACHE, "outcome" => "miss"),
        }
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}
