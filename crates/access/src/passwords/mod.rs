//! Passwords: Argon2id (RFC 9106) on a bounded number of threads, hashes that grow with the years, and attempts that slow down.
//!
//! ```
//! use buttress_access::passwords::{Login, Passwords, PasswordsConfig};
//! use buttress_core::Ctx;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let passwords = Passwords::new(&PasswordsConfig::default(), &Ctx::default())?;
//! let mut stored = passwords.hash("correct horse battery staple").await?; // $argon2id$v=19$m=19456,t=2,p=1$…
//!
//! let login = Login::of("user-1").from("192.0.2.7".parse()?);
//! let verified = passwords.login(login, "correct horse battery staple", Some(&stored)).await?;
//! if let Some(stronger) = verified.rehashed {
//!     stored = stronger; // the costs have grown since it was stored
//! }
//! # let _ = stored;
//! # Ok(())
//! # }
//! ```

mod config;
mod phc;
mod throttle;

use std::net::IpAddr;
use std::sync::Arc;

use buttress_core::{Classify, Ctx, Event, Outcome, Rejection, RejectionReason, Validate};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

pub use self::config::{PasswordsConfig, ThrottleConfig};
use self::phc::{Cost, Phc};
use self::throttle::Throttle;
use crate::metrics::Credentials;
use crate::{Credential, Error, Refusal};

/// Hashes and verifies passwords. Cheap to clone.
///
/// A password is normalised (NFKC, as NIST SP 800-63B-4 has it), never cut, and wiped from memory as far as we hold it. An attempt is
/// an event: `password.verify`, whose actor is the account.
#[derive(Clone)]
pub struct Passwords(Arc<Shared>);

struct Shared {
    config: PasswordsConfig,
    throttle: Throttle,
    /// Hashes at the same time.
    running: Arc<Semaphore>,
    /// The same, and those that wait.
    admitted: Arc<Semaphore>,
    ctx: Ctx,
    credentials: Credentials,
}

/// The longest password, in characters.
const LONGEST: usize = 1_024;

/// What everybody tries first, of those that are long enough.
const COMMON: [&str; 24] = [
    "12345678",
    "123456789",
    "1234567890",
    "password",
    "password1",
    "password12",
    "password123",
    "passw0rd",
    "qwertyui",
    "qwertyuiop",
    "qwerty123",
    "1q2w3e4r",
    "1q2w3e4r5t",
    "iloveyou",
    "sunshine",
    "princess",
    "football",
    "baseball",
    "superman",
    "trustno1",
    "welcome1",
    "admin123",
    "letmein1",
    "changeme",
];

/// Who tries, for the throttle.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    account: &'a str,
    address: Option<IpAddr>,
}

impl<'a> Login<'a> {
    /// This account, by the name that was given: it need not be there.
    #[must_use]
    pub fn of(account: &'a str) -> Self {
        Self { account, address: None }
    }

    /// From this address, which the application knows behind its proxies.
    #[must_use]
    pub fn from(mut self, address: IpAddr) -> Self {
        self.address = Some(address);
        self
    }
}

/// The password is right.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// The hash to store from now on, when the stored one costs less than the configuration asks for.
    pub rehashed: Option<String>,
}

impl std::fmt::Debug for Verified {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Verified(rehashed: {})", self.rehashed.is_some())
    }
}

impl Passwords {
    /// Hashes as the configuration says.
    ///
    /// # Errors
    ///
    /// [`Error::Config`].
    pub fn new(config: &PasswordsConfig, ctx: &Ctx) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        Ok(Self(Arc::new(Shared {
            throttle: Throttle::new(&config.throttle),
            running: Arc::new(Semaphore::new(config.at_once)),
            admitted: Arc::new(Semaphore::new(config.at_once + config.waiting)),
            credentials: Credentials::new(Credential::Password),
            ctx: ctx.clone(),
            config: config.clone(),
        })))
    }

    /// Whether a new password may be taken: long enough, not too long, and not among the first that are guessed.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with [`Refusal::TooShort`], [`Refusal::TooLarge`] or [`Refusal::Common`].
    pub fn check(&self, password: &str) -> Result<(), Error> {
        let password = normal(password)?;
        if password.chars().count() < self.0.config.shortest {
            return Err(refused(Refusal::TooShort));
        }
        let small = Zeroizing::new(password.to_lowercase());
        let mut common = COMMON.into_iter().chain(self.0.config.common.iter().map(String::as_str));
        let mut signs = small.chars();
        let first = signs.next();
        let all_the_same = signs.all(|sign| Some(sign) == first);
        if all_the_same || common.any(|known| known.to_lowercase() == *small) {
            return Err(refused(Refusal::Common));
        }
        Ok(())
    }

    /// What to store of a new password, once [`check`](Self::check) has passed it: a PHC string.
    ///
    /// # Errors
    ///
    /// As `check`; [`Error::Busy`] when too many wait; [`Error::Random`].
    pub async fn hash(&self, password: &str) -> Result<String, Error> {
        self.check(password)?;
        let (password, cost) = (normal(password)?, self.0.config.cost());
        self.0.work(move || Ok(Phc::hash(password.as_bytes(), cost)?.to_string())).await
    }

    /// Whether the password is the stored one, without a throttle: where somebody who is known changes it, for example. `None` where
    /// there is no such account: that takes as long.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`], whose reason is for logs: tell the caller no more than that; [`Error::Busy`]; [`Error::Corrupt`] when what is
    /// stored is no password.
    pub async fn verify(&self, password: &str, stored: Option<&str>) -> Result<Verified, Error> {
        let answer = self.0.verify(password, stored).await;
        self.0.tell(None, &answer);
        answer
    }

    /// The same for somebody who logs in: after a few failures of the account or the address, attempts wait.
    ///
    /// # Errors
    ///
    /// The same, and [`Error::Throttled`]: the password was not looked at then.
    pub async fn login(
        &self,
        login: Login<'_>,
        password: &str,
        stored: Option<&str>,
    ) -> Result<Verified, Error> {
        let shared = &*self.0;
        let begun = shared.throttle.begin(login.account, login.address, shared.ctx.clock.now());
        let answer = match begun {
            Err(retry_after) => Err(Error::Throttled { retry_after }),
            Ok(attempt) => {
                // A caller that goes away meanwhile has failed.
                let answer = shared.verify(password, stored).await;
                match &answer {
                    Ok(_) => shared.throttle.succeeded(&attempt),
                    Err(Error::Refused { .. }) => (),
                    Err(_) => shared.throttle.undecided(&attempt),
                }
                answer
            }
        };
        shared.tell(Some(login), &answer);
        answer
    }
}

impl Shared {
    async fn verify(&self, password: &str, stored: Option<&str>) -> Result<Verified, Error> {
        let password = normal(password)?;
        let cost = self.config.cost();
        let Some(stored) = stored else {
            // As much work as for an account that is there.
            self.work(move || Phc::hash(password.as_bytes(), cost).map(drop)).await?;
            return Err(refused(Refusal::Unknown));
        };
        let problem = "it is no PHC string of Argon2id within its limits";
        let phc = Phc::parse(stored).ok_or(Error::Corrupt { what: "password", problem })?;
        self.work(move || {
            if !phc.is_of(password.as_bytes())? {
                return Err(refused(Refusal::Mismatch));
            }
            let rehashed =
                is_weaker(phc.cost, cost).then(|| Phc::hash(password.as_bytes(), cost)).transpose()?;
            Ok(Verified { rehashed: rehashed.map(|phc| phc.to_string()) })
        })
        .await
    }

    /// Does the work on a thread that may block, when its turn comes. The turn is over when the work is, also when nobody waits any more.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let full = |_| Error::Busy(Rejection::new(RejectionReason::Full));
        let admitted = Arc::clone(&self.admitted).try_acquire_owned().map_err(full)?;
        let closed = |_| Error::Busy(Rejection::new(RejectionReason::ShuttingDown));
        let turn: OwnedSemaphorePermit = Arc::clone(&self.running).acquire_owned().await.map_err(closed)?;
        let done = tokio::task::spawn_blocking(move || {
            let _held = (turn, admitted);
            work()
        });
        done.await.unwrap_or_else(|_| Err(Error::Busy(Rejection::new(RejectionReason::ShuttingDown))))
    }

    fn tell(&self, login: Option<Login<'_>>, answer: &Result<Verified, Error>) {
        let (outcome, detail) = match answer {
            Ok(_) => {
                self.credentials.accepted();
                (Outcome::Success, None)
            }
            Err(Error::Refused { why, .. }) => {
                self.credentials.not_accepted(why.as_str());
                (Outcome::Denied, Some(why.to_string()))
            }
            Err(error) => {
                self.credentials.not_accepted(error.class().as_str());
                let outcome =
                    if matches!(error, Error::Throttled { .. }) { Outcome::Denied } else { Outcome::Failure };
                (outcome, Some(error.to_string()))
            }
        };
        let mut event = Event::new(self.ctx.clock.wall(), "password.verify", outcome);
        // The name is what the caller gave: no more of it than a log line bears.
        event.actor = login.map(|login| login.account.chars().filter(|c| !c.is_control()).take(64).collect());
        event.detail = detail;
        self.ctx.events.emit(event);
    }
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let PasswordsConfig { memory, passes, lanes, .. } = &self.0.config;
        write!(f, "Passwords(m={memory}, t={passes}, p={lanes})")
    }
}

fn refused(why: Refusal) -> Error {
    Error::refused(Credential::Password, why)
}

/// Whether a hash of the one cost is guessed sooner than of the other.
fn is_weaker(stored: Cost, wanted: Cost) -> bool {
    let work = |cost: Cost| u64::from(cost.memory) * u64::from(cost.passes);
    stored != wanted && (stored.memory < wanted.memory || work(stored) < work(wanted))
}

/// The password in its normal form; nothing that is too long is looked at.
fn normal(password: &str) -> Result<Zeroizing<String>, Error> {
    if password.len() > LONGEST * 4 || password.chars().count() > LONGEST {
        return Err(refused(Refusal::TooLarge));
    }
    // Room for all that normalisation makes of most texts, so that no copy is left where it grew.
    let mut normal = Zeroizing::new(String::with_capacity(password.len() * 3));
    normal.extend(password.nfkc());
    Ok(normal)
}
