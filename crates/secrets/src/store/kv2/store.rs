//! The store itself.

use std::fmt;
use std::time::Duration;

use buttress_connect::ConnectionConfig;
use buttress_connect::http::Http;
use buttress_core::{BoxFuture, Ctx, Probe, SharedClock, Validate, Vitality};
use serde_json::Map;

use super::api::{Engine, Newest};
use super::config::OpenBaoConfig;
use super::document::{Document, Problem, members};
use super::session::Session;
use super::{KIND, failed};
use crate::lifecycle::{Lifecycle, Standing, Versioned, Versions};
use crate::slots::{Slot, Slots};
use crate::store::{Expect, SecretStore, Step, at_most, within_limits};
use crate::{Error, Name, Secret};

/// How often a change is tried again when somebody else was quicker.
const ATTEMPTS: usize = 5;
/// The most folders that a listing looks into, beside one for each secret.
const FOLDERS: usize = 1000;

/// Secrets in a KV engine of version 2, of OpenBao or Vault.
///
/// ```no_run
/// use buttress_core::Ctx;
/// use buttress_secrets::store::{OpenBaoConfig, OpenBaoLogin, OpenBaoStore};
///
/// let mut config = OpenBaoConfig::default();
/// config.address = "https://bao.internal:8200".to_owned();
/// config.login = OpenBaoLogin::Token { file: "/run/openbao/token".into() };
/// let store = OpenBaoStore::open(&config, &Ctx::default())?;
/// # Ok::<(), buttress_secrets::Error>(())
/// ```
pub struct OpenBaoStore {
    engine: Engine,
    field: String,
    clock: SharedClock,
}

impl fmt::Debug for OpenBaoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenBaoStore({:?}, {})", self.engine.session.http, self.engine.mount)
    }
}

/// A secret as it was found.
struct Found {
    /// Of the KV secret; what a write has to expect.
    version: u64,
    secret: Option<(Slots<Secret>, Document)>,
}

impl OpenBaoStore {
    /// A handle on the server; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::Config`]; [`Error::Store`] for an address or a `ca_file` that cannot be used.
    pub fn open(config: &OpenBaoConfig, ctx: &Ctx) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        let mut connection = ConnectionConfig::default();
        connection.timeout = config.timeout;
        connection.ca_file.clone_from(&config.ca_file);
        let http = Http::open("OpenBao", &config.address, &connection, ctx)
            .map_err(|error| failed("be opened", error))?
            .probed_at("/v1/sys/health?standbyok=true&perfstandbyok=true");
        let prefix = config.prefix.trim_end_matches('/');
        let engine = Engine {
            session: Session::new(http, config, ctx.clock.clone()),
            mount: config.mount.trim_end_matches('/').to_owned(),
            prefix: if prefix.is_empty() { String::new() } else { format!("{prefix}/") },
        };
        Ok(Self { engine, field: config.field.clone(), clock: ctx.clock.clone() })
    }

    async fn find(&self, name: &Name) -> Result<Found, Error> {
        let document = match self.engine.read(name.as_str(), None).await? {
            Newest::None(version) => return Ok(Found { version, secret: None }),
            Newest::Found(document) => document,
        };
        let mut former = None;
        if document.is_by_hand() && document.version > 1 {
            // The one before it was the current one until then, if it is still there.
            match self.engine.read(name.as_str(), Some(document.version - 1)).await? {
                Newest::Found(found) => former = Some(found),
                Newest::None(_) => {}
            }
        }
        let damaged = |problem: Problem| Error::Damaged { place: format!("`{name}` in OpenBao"), problem };
        let slots = document.slots(&self.field, former.as_ref()).map_err(damaged)?;
        Ok(Found { version: document.version, secret: Some((slots, document)) })
    }

    /// Reads, decides, and writes if nobody else did meanwhile; else all of it again. Returns also the version that was written.
    async fn change(
        &self,
        name: &Name,
        decide: impl Fn(Option<Slots<Secret>>, u64) -> Result<Slots<Secret>, Error> + Send,
    ) -> Result<(Lifecycle, u64), Error> {
        for _ in 0..ATTEMPTS {
            let Found { version, secret } = self.find(name).await?;
            let (slots, others) = secret.map_or((None, Map::new()), |(slots, mut document)| {
                (Some(slots), std::mem::take(&mut document.members))
            });
            let slots = decide(slots, version)?;
            let document = members(&slots, version + 1, &self.field, others);
            if self.engine.write(name.as_str(), version, document).await? {
                return Ok((slots.lifecycle(), version + 1));
            }
        }
        Err(changed(name, "others change it all the time; try again later"))
    }
}

fn changed(name: &Name, problem: &'static str) -> Error {
    Error::Changed { name: name.clone(), problem }
}

impl SecretStore for OpenBaoStore {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn load<'a>(&'a self, name: &'a Name) -> BoxFuture<'a, Result<Option<Versions>, Error>> {
        Box::pin(async move {
            let of = |slot: Slot<Secret>| Versioned { standing: slot.standing, secret: slot.value };
            let found = self.find(name).await?.secret;
            Ok(found.map(|(slots, _)| Versions {
                current: of(slots.current),
                previous: slots.previous.map(of),
                next: slots.next.map(of),
            }))
        })
    }

    fn list(&self, most: usize) -> BoxFuture<'_, Result<Vec<Name>, Error>> {
        Box::pin(async move {
            let (mut names, mut folders, mut seen) = (Vec::new(), vec![String::new()], 0);
            while let Some(folder) = folders.pop() {
                seen += 1;
                if seen > most.saturating_add(FOLDERS) {
                    return Err(Error::TooLarge {
                        what: "the number of folders",
                        limit: (most + FOLDERS).to_string(),
                    });
                }
                for key in self.engine.list(&folder).await? {
                    let path = format!("{folder}{key}");
                    match path.strip_suffix('/') {
                        // What cannot be the beginning of a name has none of ours in it.
                        Some(inner) if Name::new(inner).is_ok() => folders.push(path),
                        Some(_) => {}
                        None => names.extend(Name::new(&path)),
                    }
                    if names.len() > most {
                        return at_most(names, most);
                    }
                }
            }
            names.sort_unstable();
            Ok(names)
        })
    }

    fn put<'a>(
        &'a self,
        name: &'a Name,
        secret: &'a Secret,
        expect: Expect,
    ) -> BoxFuture<'a, Result<Lifecycle, Error>> {
        Box::pin(async move {
            within_limits(secret)?;
            let put = self.change(name, |slots, version| {
                let now = self.clock.wall();
                match (slots, expect) {
                    (Some(_), Expect::Nothing) => {
                        Err(changed(name, "there is a secret of that name already"))
                    }
                    (None, Expect::Version(_)) => Err(Error::not_found(name)),
                    (Some(slots), Expect::Version(expected))
                        if slots.current.standing.version != expected =>
                    {
                        Err(changed(name, "its current version is another than the one expected"))
                    }
                    (Some(mut slots), _) => {
                        slots.put(secret.clone(), now);
                        Ok(slots)
                    }
                    (None, _) => {
                        // Numbers go on after a deletion, since what was deleted can come back.
                        let standing = Standing { version: version + 1, since: Some(now) };
                        let current = Slot { standing, value: secret.clone() };
                        Ok(Slots { current, previous: None, next: None, last: version + 1 })
                    }
                }
            });
            Ok(put.await?.0)
        })
    }

    fn rotate<'a>(
        &'a self,
        name: &'a Name,
        seen: &'a Lifecycle,
        step: Step,
    ) -> BoxFuture<'a, Result<Lifecycle, Error>> {
        Box::pin(async move {
            if let Step::Create(secret) = &step {
                within_limits(secret)?;
            }
            let rotated = self.change(name, |slots, _| {
                let mut slots = slots.ok_or_else(|| Error::not_found(name))?;
                if slots.lifecycle() != *seen {
                    return Err(changed(name, "somebody else changed it; look again"));
                }
                let now = self.clock.wall();
                let (made, problem) = match &step {
                    Step::Create(secret) => {
                        (slots.create(secret.clone(), now), "there is a version to come already")
                    }
                    Step::Switch => (
                        slots.switch(now),
                        "there is no version to come, or the previous one has to be retired before",
                    ),
                    Step::Retire => (slots.retire(), "there is no previous version"),
                };
                if made { Ok(slots) } else { Err(changed(name, problem)) }
            });
            let (lifecycle, version) = rotated.await?;
            if matches!(step, Step::Retire)
                && let Err(error) = self.engine.destroy_before(name.as_str(), version).await
            {
                let told = buttress_core::chain(&error);
                tracing::warn!(%name, error = told, "old versions of a secret are still at the server");
            }
            Ok(lifecycle)
        })
    }

    fn remove<'a>(&'a self, name: &'a Name) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move {
            let there = match self.engine.read(name.as_str(), None).await? {
                Newest::Found(_) => true,
                Newest::None(0) => return Ok(false),
                Newest::None(_) => false,
            };
            self.engine.purge(name.as_str()).await?;
            Ok(there)
        })
    }

    fn watch<'a>(
        &'a self,
        name: &'a Name,
        seen: Option<Lifecycle>,
        clock: SharedClock,
        every: Duration,
    ) -> BoxFuture<'a, Result<Option<Lifecycle>, Error>> {
        Box::pin(async move {
            let mut known = None;
            loop {
                // The server's own numbers first: values are not sent as long as they stay.
                let stamp = self.engine.stamp(name.as_str()).await?;
                if known != Some(stamp) {
                    let found = self.lifecycle(name).await?;
                    if found != seen {
                        return Ok(found);
                    }
                    known = Some(stamp);
                }
                clock.sleep(every).await;
            }
        })
    }
}

impl Probe for OpenBaoStore {
    fn name(&self) -> &str {
        KIND
    }

    async fn check(&self) -> Vitality {
        self.engine.session.http.check().await
    }
}
