//! What is counted.

use metrics::{Counter, counter, describe_counter};

use crate::error::Code;

/// Values that were refused, by `place` (a name that the application gives) and `code`.
pub const REFUSED: &str = "buttress_validate_refused_total";

/// Counts refusals of one place; its handles are resolved once. The layer has one of its own.
///
/// ```
/// use buttress_validate::SafeFileName;
/// use buttress_validate::metrics::Refusals;
///
/// let refusals = Refusals::new("uploads");
/// let name = "../x".parse::<SafeFileName>().inspect_err(|invalid| refusals.count(invalid.code()));
/// assert!(name.is_err());
/// ```
#[derive(Clone)]
pub struct Refusals {
    by_code: Box<[Counter]>,
}

impl Refusals {
    /// Counts for `place`: one of few, never what somebody sent.
    #[must_use]
    pub fn new(place: &'static str) -> Self {
        describe_counter!(REFUSED, "Values that were refused, by place and code");
        let handle = |code: &Code| counter!(REFUSED, "place" => place, "code" => code.as_str());
        Self { by_code: Code::ALL.iter().map(handle).collect() }
    }

    /// Counts one.
    pub fn count(&self, code: Code) {
        if let Some(counter) = self.by_code.get(code as usize) {
            counter.increment(1);
        }
    }
}

impl std::fmt::Debug for Refusals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Refusals")
    }
}
