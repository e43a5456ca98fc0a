//! What can go wrong with a browser and its pages.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use buttress_core::{ByteSize, Classify, ErrorClass, units::format_duration};

/// A result of the driver.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a browser or a page does not do what was asked of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No browser is installed, or not where the configuration says.
    #[error("no browser at {looked}; install one: apt-get install chromium-headless-shell")]
    ProgramMissing {
        /// Where it was looked for.
        looked: String,
    },
    /// A file or process of the browser cannot be made or read.
    #[error("cannot {action} {}", path.display())]
    System {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The browser started, and did not come to its first answer.
    #[error("{} did not come up{}", program.display(), said(words))]
    Launch {
        /// The browser's executable.
        program: PathBuf,
        /// The end of what it printed.
        words: String,
    },
    /// The browser was closed, was killed or crashed.
    #[error("the browser is gone{}", said(words))]
    Gone {
        /// The end of what it printed.
        words: String,
    },
    /// The page's renderer died; open another page.
    #[error("the page crashed")]
    PageCrashed,
    /// The page was closed, by itself or with its context.
    #[error("the page is closed")]
    PageClosed,
    /// The frame was removed from its page, or moved to another process.
    #[error("the frame is not in its page any more; look for it again")]
    FrameGone,
    /// It took longer than it may.
    #[error("{what} was not done within {}", format_duration(*limit))]
    Limit {
        /// What was waited for.
        what: String,
        /// The limit that passed.
        limit: Duration,
    },
    /// The browser refused a command.
    #[error("the browser refused {method}: {message}")]
    Refused {
        /// The command.
        method: &'static str,
        /// What the browser said.
        message: String,
    },
    /// The browser's answer does not read.
    #[error("the browser's answer to {method} does not read: {problem}")]
    Unreadable {
        /// The command.
        method: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The address cannot be opened.
    #[error("{url} does not open: {reason}")]
    Navigation {
        /// The address.
        url: String,
        /// The browser's reason: `net::ERR_CONNECTION_REFUSED`.
        reason: String,
    },
    /// A script threw.
    #[error("the script threw {message}")]
    Script {
        /// The exception's description.
        message: String,
    },
    /// No element is what was described.
    #[error("the page has no element `{target}`")]
    NotFound {
        /// The element that was looked for.
        target: String,
    },
    /// The element is there, and cannot be used like this.
    #[error("`{target}` {problem}")]
    NotUsable {
        /// The element.
        target: String,
        /// What is wrong: `is covered by <div.overlay>`.
        problem: String,
    },
    /// A target, a key or another argument does not read.
    #[error("`{value}` is no {what}: {problem}")]
    Argument {
        /// What it should be.
        what: &'static str,
        /// What was given.
        value: String,
        /// What is wrong, and what would do.
        problem: String,
    },
    /// The result is larger than a caller takes.
    #[error("{what} is larger than {limit}")]
    TooLarge {
        /// Which result.
        what: String,
        /// The most that is taken.
        limit: ByteSize,
    },
    /// A download did not come to its end.
    #[error("the download of {url} failed: {problem}")]
    Download {
        /// The file's address.
        url: String,
        /// What happened.
        problem: &'static str,
    },
}

/// The end of a sentence about a browser that printed something.
fn said(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!("; it printed: {words}") }
}

impl Error {
    pub(super) fn system(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::System { action, path, source }
    }

    /// Whether trying again on the same page may help: the page may not have come that far.
    pub(super) fn is_not_yet(&self) -> bool {
        matches!(self, Self::NotFound { .. } | Self::NotUsable { .. })
    }
}

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::ProgramMissing { .. } | Self::Unreadable { .. } | Self::Refused { .. } => {
                ErrorClass::Internal
            }
            Self::System { .. }
            | Self::Launch { .. }
            | Self::Gone { .. }
            | Self::PageCrashed
            | Self::Navigation { .. }
            | Self::Download { .. } => ErrorClass::Unavailable,
            Self::PageClosed => ErrorClass::Cancelled,
            Self::Limit { .. } => ErrorClass::Timeout,
            Self::NotFound { .. } | Self::FrameGone => ErrorClass::NotFound,
            Self::NotUsable { .. } => ErrorClass::Conflict,
            Self::Script { .. } | Self::Argument { .. } => ErrorClass::Invalid,
            Self::TooLarge { .. } => ErrorClass::TooLarge,
        }
    }
}
