//! Secrets from environment variables, as they were when the program began.

use std::collections::BTreeMap;
use std::fmt;

use buttress_core::BoxFuture;

use super::{Expect, SecretStore, Step, versions_of};
use crate::lifecycle::{Lifecycle, Versions};
use crate::{Error, Name, Secret};

/// Secrets from environment variables.
///
/// The secret `db/password` is in `DB_PASSWORD`, behind a prefix if one is configured; what may still be used is in
/// `DB_PASSWORD_PREVIOUS`, what will be in `DB_PASSWORD_NEXT`. A variable that is empty counts as not set. Every sign but letters and
/// digits becomes `_`, so two names may mean one variable; and [`list`](SecretStore::list) gives the names that it can tell.
///
/// What a variable holds, the programs that this one starts can read, and on many systems whoever runs as the same user: files are
/// better.
pub struct EnvironmentStore {
    prefix: String,
    variables: BTreeMap<String, Secret>,
}

impl EnvironmentStore {
    const KIND: &str = "environment";

    /// The variables of this process that begin with `prefix`, as they are now.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            Some((name, value.into_encoded_bytes()))
        });
        Self::of(prefix, variables)
    }

    /// These variables, of which those are taken that begin with `prefix`.
    #[must_use]
    pub fn of(prefix: &str, variables: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name, Secret::new(value)));
        let taken = variables.filter(|(name, value)| name.starts_with(prefix) && !value.expose().is_empty());
        Self { prefix: prefix.to_owned(), variables: taken.collect() }
    }

    fn find(&self, name: &str) -> Option<Secret> {
        let sign = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        let variable: String = self.prefix.chars().chain(name.chars().map(sign)).collect();
        self.variables.get(&variable).cloned()
    }
}

impl fmt::Debug for EnvironmentStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnvironmentStore({}…)", self.prefix)
    }
}

impl SecretStore for EnvironmentStore {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn load<'a>(&'a self, name: &'a Name) -> BoxFuture<'a, Result<Option<Versions>, Error>> {
        let found = versions_of(name.as_str(), |name| Ok(self.find(name).map(|secret| (secret, None))));
        Box::pin(async { found })
    }

    fn list(&self, most: usize) -> BoxFuture<'_, Result<Vec<Name>, Error>> {
        let names = self.variables.keys().filter_map(|variable| {
            let name = variable.strip_prefix(&self.prefix)?.to_ascii_lowercase();
            let of_another = ["_previous", "_next"].iter().any(|ending| name.ends_with(ending));
            Name::new(&name).ok().filter(|_| !of_another)
        });
        let names = super::at_most(names.collect(), most);
        Box::pin(async { names })
    }

    fn put<'a>(&'a self, _: &'a Name, _: &'a Secret, _: Expect) -> BoxFuture<'a, Result<Lifecycle, Error>> {
        super::read_only(Self::KIND)
    }

    fn rotate<'a>(
        &'a self,
        _: &'a Name,
        _: &'a Lifecycle,
        _: Step,
    ) -> BoxFuture<'a, Result<Lifecycle, Error>> {
        super::read_only(Self::KIND)
    }

    fn remove<'a>(&'a self, _: &'a Name) -> BoxFuture<'a, Result<bool, Error>> {
        super::read_only(Self::KIND)
    }
}
