//! Where secrets come from, and for how long one is used without asking.

use std::path::PathBuf;
use std::time::Duration;

use buttress_core::{Validate, Violations, units};
use serde::{Deserialize, Serialize};

use crate::anomaly::AnomalyConfig;
use crate::rotation::RotationPolicy;
use crate::store::OpenBaoConfig;

/// Where the key of a vault is: never the key itself, which does not belong in a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeyConfig {
    /// A file with a passphrase.
    PassphraseFile(PathBuf),
    /// An environment variable with a passphrase.
    PassphraseVariable(String),
    /// A file with 32 bytes of chance or more.
    KeyFile(PathBuf),
}

/// One store: `{ kind = "files", folder = "/run/secrets" }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum StoreConfig {
    /// Environment variables that begin with `prefix`.
    Environment {
        /// `"APP_"`: then `db/password` is in `APP_DB_PASSWORD`.
        #[serde(default)]
        prefix: String,
    },
    /// The files of a folder, as Kubernetes mounts one.
    Files {
        /// The folder.
        folder: PathBuf,
    },
    /// The credentials that systemd gives a service.
    Credentials {},
    /// An encrypted vault file. Needs the feature `vault`.
    Vault {
        /// The file.
        path: PathBuf,
        /// Where its key is.
        key: KeyConfig,
    },
    /// A KV engine of OpenBao or Vault. Needs the feature `openbao`.
    OpenBao(OpenBaoConfig),
}

/// Where secrets come from, and for how long one is used without asking.
///
/// | field | default | |
/// |---|---|---|
/// | `stores` | environment | the first that has a secret gives it; see [`StoreConfig`] |
/// | `reader` | `"app"` | who this process is, in events |
/// | `ttl` | `"1m"` | how long a secret is used without asking the store |
/// | `last_good` | `"1h"` | for so long after that it is used when the store fails |
/// | `retry` | `"5s"` | after the store failed: how long until it is asked again |
/// | `recheck` | `"1s"` | a candidate that fits no version lets the store be asked anew, but not more often |
/// | `load_within` | `"10s"` | limit of one answer of the store |
/// | `names` | 1024 | secrets that are kept in memory |
/// | `rotation` | | see [`RotationPolicy`]; its `grace` is also for how long [`accepts`](crate::Secrets::accepts) takes a previous version |
/// | `anomaly` | | see [`AnomalyConfig`] |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SecretsConfig {
    /// The first that has a secret gives it.
    pub stores: Vec<StoreConfig>,
    /// Who this process is, in events.
    pub reader: String,
    /// How long a secret is used without asking the store.
    #[serde(with = "units::duration")]
    pub ttl: Duration,
    /// For so long after that it is used when the store fails.
    #[serde(with = "units::duration")]
    pub last_good: Duration,
    /// How long until a store that failed is asked again.
    #[serde(with = "units::duration")]
    pub retry: Duration,
    /// How often a candidate that fits no version lets the store be asked.
    #[serde(with = "units::duration")]
    pub recheck: Duration,
    /// Limit of one answer of the store.
    #[serde(with = "units::duration")]
    pub load_within: Duration,
    /// Secrets that are kept in memory.
    pub names: usize,
    /// How secrets rotate.
    pub rotation: RotationPolicy,
    /// Which accesses are unusual.
    pub anomaly: AnomalyConfig,
}

impl Default for SecretsConfig {
    fn default() -> Self {
        Self {
            stores: vec![StoreConfig::Environment { prefix: String::new() }],
            reader: "app".to_owned(),
            ttl: Duration::from_mins(1),
            last_good: Duration::from_hours(1),
            retry: Duration::from_secs(5),
            recheck: Duration::from_secs(1),
            load_within: Duration::from_secs(10),
            names: 1024,
            rotation: RotationPolicy::default(),
            anomaly: AnomalyConfig::default(),
        }
    }
}

impl Validate for SecretsConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let (shown, usual) = (units::format_duration, Self::default());
        let stores = (1..=8).contains(&self.stores.len());
        wrong.require(stores, "stores", self.stores.len(), "must be 1 to 8 stores");
        let reader = (1..=64).contains(&self.reader.len()) && !self.reader.chars().any(char::is_control);
        wrong.require(
            reader,
            "reader",
            self.reader.len(),
            "must have 1 to 64 bytes and no control characters",
        );
        let names = (1..=4096).contains(&self.names);
        wrong.require(names, "names", self.names, "must be 1 to 4096; 1024 is usual");
        let (ms, day) = (Duration::from_millis(1), Duration::from_hours(24));
        for (field, value, least, most, usual) in [
            ("ttl", self.ttl, ms, day, usual.ttl),
            ("last_good", self.last_good, Duration::ZERO, day * 30, usual.last_good),
            ("retry", self.retry, ms, day, usual.retry),
            ("recheck", self.recheck, ms, day, usual.recheck),
            ("load_within", self.load_within, ms, Duration::from_mins(10), usual.load_within),
        ] {
            let (least, most_shown, usual) = (least.max(ms), shown(most), shown(usual));
            let remedy = format!("must be \"{}\" to \"{most_shown}\"; \"{usual}\" is usual", shown(least));
            let holds = (least..=most).contains(&value) || (field == "last_good" && value.is_zero());
            wrong.require(holds, field, shown(value), remedy);
        }
        // Otherwise somebody uses, or knows only, a version that others do not accept.
        let behind = self.ttl.saturating_add(self.load_within);
        let remedy =
            format!("must be at least `ttl` and `load_within`, which are {} together", shown(behind));
        for (field, value) in
            [("rotation.overlap", self.rotation.overlap), ("rotation.grace", self.rotation.grace)]
        {
            wrong.require(value >= behind, field, shown(value), remedy.clone());
        }
        wrong.nest("rotation", &self.rotation);
        wrong.nest("anomaly", &self.anomaly);
        wrong.into_result()
    }
}
