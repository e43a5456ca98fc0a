//! How far a run is, on standard error.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Summary;

/// A bar on a terminal; nothing elsewhere, where the summary at the end says it all.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn new(shown: bool, documents: usize) -> Self {
        let target =
            if shown { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(documents as u64), target);
        // A fixed template that is known to be right; the plain bar would do as well.
        let template = "{elapsed_precise} {bar:32} {pos}/{len} documents, {eta} left {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("█▌ "));
        }
        Self(bar)
    }

    pub(crate) fn show(&self, summary: &Summary) {
        self.0.set_position(summary.settled() as u64);
        let failed = summary.failed_total();
        if failed > 0 {
            self.0.set_message(format!("({failed} failed)"));
        }
    }

    pub(crate) fn end(&self) {
        self.0.finish_and_clear();
    }
}
