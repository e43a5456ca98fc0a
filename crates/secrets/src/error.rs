//! What can go wrong with secrets. No error holds a value, a passphrase, or a part of one.

use buttress_core::{Classify, Elapsed, ErrorClass, Violations};

use crate::Name;

/// Why something outside failed.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why there is no secret, or why a change was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is wrong.
    #[error("the configuration of secrets is wrong: {0}")]
    Config(Violations),
    /// The configuration names a store that this program was built without.
    #[error("the store `{store}` is not compiled into this program: build it with the feature `{feature}`")]
    NotCompiled {
        /// What is missing.
        store: &'static str,
        /// What brings it.
        feature: &'static str,
    },
    /// A text is no name.
    #[error(
        "this is no name of a secret: it has 1 to {} letters, digits, `-`, `_` and `.`, in parts divided by `/`, none of \
         which begins with a dot",
        Name::MAX_BYTES
    )]
    Name,
    /// There is no secret of that name, or not in that version.
    #[error("there is no secret `{name}`{}", at(*version))]
    NotFound {
        /// Its name.
        name: Name,
        /// The version, if one was asked for.
        version: Option<u64>,
    },
    /// A value is no text.
    #[error("the value of this secret is not UTF-8: use its bytes")]
    NotText,
    /// Something is over a limit.
    #[error("{what} is over the limit of {limit}")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// The limit, with its unit.
        limit: String,
    },
    /// The store gives out secrets and takes none.
    #[error("the store `{store}` is read-only: change the secret where it comes from")]
    ReadOnly {
        /// The store's kind.
        store: &'static str,
    },
    /// Somebody else changed the secret meanwhile, or the step does not follow from where its rotation is.
    #[error("`{name}` is not as it was: {problem}")]
    Changed {
        /// Its name.
        name: Name,
        /// What contradicts, and what would do.
        problem: &'static str,
    },
    /// The passphrase or key is not that of the data.
    #[error(
        "the key does not open {place}: it is another passphrase or key file than the one it was made with"
    )]
    WrongKey {
        /// What was to be opened.
        place: String,
    },
    /// Stored data does not read back as it was written.
    #[error("{place} is damaged: {problem}; nothing of it was used")]
    Damaged {
        /// What was to be read.
        place: String,
        /// How it shows.
        problem: &'static str,
    },
    /// The passphrase or key could not be had.
    #[error("there is no key for {place}: {problem}")]
    NoKey {
        /// What was to be opened.
        place: String,
        /// What is missing, and what would do.
        problem: String,
    },
    /// The shares of a key are of no use.
    #[error("the shares do not restore a key")]
    Shares {
        /// Why.
        source: crate::shamir::ShareError,
    },
    /// The store did not answer in time.
    #[error("the store `{store}` did not answer in time")]
    TimedOut {
        /// The store's kind.
        store: &'static str,
        /// How long it had.
        source: Elapsed,
    },
    /// The store failed.
    #[error("the store `{store}` cannot {doing}")]
    Store {
        /// The store's kind.
        store: &'static str,
        /// What was tried: `"read /etc/vault"`. No value, no address with credentials.
        doing: String,
        /// What the failure means.
        class: ErrorClass,
        /// What it said.
        source: Source,
    },
    /// The login in use is none of those that take turns.
    #[error("`{name}` logs in as `{user}`, which takes no turns: the roles that do are {roles}")]
    Login {
        /// The secret with the address.
        name: Name,
        /// Who it logs in as.
        user: String,
        /// Who takes turns.
        roles: String,
    },
    /// The cryptographic library refused; with the lengths that are used here it never does.
    #[error("the cryptographic library refused to work")]
    Crypto,
    /// The operating system gave no random bytes.
    #[error("the operating system gives no random bytes")]
    Random,
}

impl Error {
    /// A failure of the file system.
    pub(crate) fn file(store: &'static str, doing: String, error: std::io::Error) -> Self {
        use std::io::ErrorKind;
        let class = match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => ErrorClass::Forbidden,
            ErrorKind::NotFound => ErrorClass::NotFound,
            _ => ErrorClass::Unavailable,
        };
        Self::Store { store, doing, class, source: error.into() }
    }

    pub(crate) fn not_found(name: &Name) -> Self {
        Self::NotFound { name: name.clone(), version: None }
    }
}

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Config(_) | Self::Name | Self::NotText | Self::Login { .. } => ErrorClass::Invalid,
            Self::NotCompiled { .. } | Self::ReadOnly { .. } => ErrorClass::Unsupported,
            Self::NotFound { .. } => ErrorClass::NotFound,
            Self::TooLarge { .. } => ErrorClass::TooLarge,
            Self::Changed { .. } => ErrorClass::Conflict,
            Self::WrongKey { .. } | Self::NoKey { .. } => ErrorClass::Unauthenticated,
            Self::Damaged { .. } => ErrorClass::Corrupt,
            Self::TimedOut { .. } => ErrorClass::Timeout,
            Self::Shares { source } => source.class(),
            Self::Store { class, .. } => *class,
            Self::Random | Self::Crypto => ErrorClass::Internal,
        }
    }
}

fn at(version: Option<u64>) -> String {
    version.map(|version| format!(" in version {version}")).unwrap_or_default()
}
