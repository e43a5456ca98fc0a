//! The way into the log for entries that may have something in them that must not stay.

use std::borrow::Cow;
use std::sync::Arc;

use buttress_core::{Event, Outcome, Sink};

use crate::redact::Redactor;
use crate::subject::{Field, Policy, SubjectId, Subjects};
use crate::{Entry, Error, Log, Receipt};

/// The action of the entry that tells of an erasure. Its target is the id of the subject.
pub const ERASE: &str = "subject.erase";

/// A log behind what takes secrets out and seals what is personal. Cheap to clone.
///
/// ```
/// use buttress_audit::redact::Redactor;
/// use buttress_audit::subject::{Field, MasterKey, Policy, Subjects, SubjectsConfig};
/// use buttress_audit::{AuditConfig, Entry, Guard, Log};
/// use buttress_core::{Ctx, Outcome};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let ctx = Ctx::default();
/// let (log, _seed) = Log::create(&AuditConfig::new(folder.join("log")), &ctx).await?;
/// let mut keys = SubjectsConfig::default();
/// keys.path = folder.join("subjects");
/// let subjects = Subjects::open(&keys, &MasterKey::random()?)?;
/// let guard = Guard::new(log.clone(), Redactor::default()).sealing(subjects, Policy::new([Field::Actor]));
///
/// let entry = Entry::new(ctx.clock.wall(), "user.login", Outcome::Success).actor("ada@example.org").with("password", "x");
/// guard.append_about("ada@example.org", entry).await?; // the actor is sealed, the password is not written
/// guard.erase("ada@example.org", "support").await?; // nobody reads the actor any more; every proof still holds
/// assert_eq!(log.size(), 2); // the erasure is an entry too
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Guard {
    log: Log,
    redactor: Arc<Redactor>,
    sealing: Option<Arc<(Subjects, Policy)>>,
}

impl Guard {
    /// Takes out what the redactor takes out.
    #[must_use]
    pub fn new(log: Log, redactor: Redactor) -> Self {
        Self { log, redactor: Arc::new(redactor), sealing: None }
    }

    /// Seals the fields that the policy names, in entries about a subject.
    #[must_use]
    pub fn sealing(mut self, subjects: Subjects, policy: Policy) -> Self {
        self.sealing = Some(Arc::new((subjects, policy)));
        self
    }

    /// Logs an entry that is about nobody. As [`Log::append`].
    pub async fn append(&self, mut entry: Entry) -> Result<Receipt, Error> {
        self.redactor.entry(&mut entry);
        self.log.append(&entry).await
    }

    /// Logs an entry about a subject: the fields of the policy are sealed under the subject's key, which is made, durably, if
    /// there is none. In these fields e-mail addresses stay, since they can be forgotten.
    ///
    /// # Errors
    ///
    /// As [`Log::append`] and [`Subjects::protect`]; [`Error::Unsealed`] without [`sealing`](Guard::sealing).
    pub async fn append_about(&self, name: &str, mut entry: Entry) -> Result<Receipt, Error> {
        let (sealing, redactor, name) = (self.keys()?, Arc::clone(&self.redactor), name.to_owned());
        // A new subject is flushed to its file.
        let protecting = tokio::task::spawn_blocking(move || {
            let (subjects, policy) = &*sealing;
            clean_personal(&redactor, policy, &mut entry);
            subjects.protect(policy, &mut entry, &name)?;
            redactor.entry(&mut entry);
            Ok::<_, Error>(entry)
        });
        let entry = protecting.await.map_err(|_| Error::Closed)??;
        self.log.append(&entry).await
    }

    /// Destroys a subject's key and logs that, without the name: `None` when there is no such subject, or it was erased
    /// before. When this fails after the key is gone, [`tell_erasures`](Guard::tell_erasures) logs it later.
    ///
    /// # Errors
    ///
    /// As [`Subjects::erase`] and [`Log::append`]; [`Error::Unsealed`].
    pub async fn erase(&self, name: &str, by: &str) -> Result<Option<SubjectId>, Error> {
        let (sealing, name, now) = (self.keys()?, name.to_owned(), self.now());
        let erasing = tokio::task::spawn_blocking(move || sealing.0.erase(&name, now));
        let Some(subject) = erasing.await.map_err(|_| Error::Closed)?? else { return Ok(None) };
        self.tell(subject, Some(by)).await?;
        Ok(Some(subject))
    }

    /// Logs the erasures of which the log does not tell yet, since the program stopped or the log failed in between. To be
    /// called once at the start; how many there were. An erasure may be told twice, and is told once at least.
    ///
    /// # Errors
    ///
    /// As [`Log::append`]; [`Error::Unsealed`].
    pub async fn tell_erasures(&self) -> Result<usize, Error> {
        let untold = self.keys()?.0.untold();
        for subject in &untold {
            self.tell(*subject, None).await?;
        }
        Ok(untold.len())
    }

    async fn tell(&self, subject: SubjectId, by: Option<&str>) -> Result<(), Error> {
        let mut entry = Entry::new(self.now(), ERASE, Outcome::Success).target(subject.to_string());
        entry.actor = by.map(str::to_owned);
        self.append(entry).await?;
        let sealing = self.keys()?;
        let telling = tokio::task::spawn_blocking(move || sealing.0.told(subject));
        telling.await.map_err(|_| Error::Closed)?
    }

    /// A sink that takes out what the redactor takes out, on the way to another: [`Log::sink`], or any.
    #[must_use]
    pub fn redacting(redactor: Redactor, to: Arc<dyn Sink>) -> Arc<dyn Sink> {
        Arc::new(Redacting { redactor, to })
    }

    fn keys(&self) -> Result<Arc<(Subjects, Policy)>, Error> {
        self.sealing.clone().ok_or(Error::Unsealed)
    }

    fn now(&self) -> std::time::SystemTime {
        self.log.shared().ctx.clock.wall()
    }
}

/// Keys and cards go from what will be sealed too: a key that is destroyed one day is readable until then.
fn clean_personal(redactor: &Redactor, policy: &Policy, entry: &mut Entry) {
    for field in &policy.fields {
        let text = match field {
            Field::Actor => entry.actor.as_mut(),
            Field::Target => entry.target.as_mut(),
            Field::Detail => entry.detail.as_mut(),
            Field::Data(name) => {
                if let Some(value) = entry.data.get_mut(name) {
                    redactor.personal(name, value);
                }
                None
            }
        };
        if let Some(text) = text
            && let Cow::Owned(clean) = redactor.identity(text)
        {
            *text = clean;
        }
    }
}

struct Redacting {
    redactor: Redactor,
    to: Arc<dyn Sink>,
}

impl Sink for Redacting {
    fn emit(&self, mut event: Event) {
        for text in [&mut event.actor, &mut event.target, &mut event.request_id].into_iter().flatten() {
            if let Cow::Owned(clean) = self.redactor.identity(text) {
                *text = clean;
            }
        }
        if let Some(text) = &mut event.detail
            && let Cow::Owned(clean) = self.redactor.text(text)
        {
            *text = clean;
        }
        self.to.emit(event);
    }
}
