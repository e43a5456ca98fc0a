//! What protects a service, as an operator writes it.

use std::path::{Path, PathBuf};

use buttress_access::keys::ApiKeysConfig;
use buttress_access::policy::PolicyConfig;
use buttress_audit::AuditConfig;
use buttress_core::{Validate, Violations};
use buttress_secrets::{KeyConfig, SecretsConfig, StoreConfig};
use serde::{Deserialize, Serialize};

/// Who may use a service, where its secrets are, and where it is written down what was done.
///
/// | field | default | |
/// |---|---|---|
/// | `enabled` | false | whether requests need an API key, and what is done is logged. Off, whoever reaches the service may do everything |
/// | `folder` | `"security"` | API keys, and what the two below do not place elsewhere |
/// | `secrets` | a vault in `folder` | where the pepper of the API keys and the key of the audit log's signatures are |
/// | `keys` | | see [`ApiKeysConfig`] |
/// | `policy` | | roles and what they may do, see [`PolicyConfig`] |
/// | `audit` | in `folder` | see [`AuditConfig`] |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SecurityConfig {
    /// Whether requests need an API key, and what is done is logged.
    pub enabled: bool,
    /// Where API keys are.
    pub folder: PathBuf,
    /// Where secrets come from; none: a vault in `folder`, whose key lies beside it.
    pub secrets: Option<SecretsConfig>,
    /// How API keys are made and looked at.
    pub keys: ApiKeysConfig,
    /// Who may do what.
    pub policy: PolicyConfig,
    /// Where it is written down what was done; none: in `folder`.
    pub audit: Option<AuditConfig>,
}

impl Default for SecurityConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            folder: PathBuf::from("security"),
            secrets: None,
            keys: ApiKeysConfig::default(),
            policy: PolicyConfig::default(),
            audit: None,
        }
    }
}

impl SecurityConfig {
    /// The defaults of an application: its folder, what its API keys begin with, and its roles.
    #[must_use]
    pub fn of(folder: impl Into<PathBuf>, prefix: &str, policy: PolicyConfig) -> Self {
        let mut keys = ApiKeysConfig::default();
        prefix.clone_into(&mut keys.prefix);
        Self { folder: folder.into(), keys, policy, ..Self::default() }
    }

    pub(super) fn vault(&self) -> PathBuf {
        self.folder.join("secrets.vault")
    }

    pub(super) fn vault_key(&self) -> PathBuf {
        self.folder.join("secrets.key")
    }

    pub(super) fn keys_file(&self) -> PathBuf {
        self.folder.join("keys.db")
    }

    /// Where secrets come from.
    pub(super) fn stores(&self) -> SecretsConfig {
        self.secrets.clone().unwrap_or_else(|| {
            let mut secrets = SecretsConfig::default();
            let key = KeyConfig::KeyFile(self.vault_key());
            secrets.stores = vec![StoreConfig::Vault { path: self.vault(), key }];
            secrets
        })
    }

    /// The audit log.
    pub(super) fn log(&self) -> AuditConfig {
        self.audit.clone().unwrap_or_else(|| AuditConfig::new(self.folder.join("audit")))
    }
}

impl Validate for SecurityConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let no_folder = self.folder == Path::new("");
        wrong.require(!no_folder, "folder", "\"\"", "must name a folder; it is made when security is set up");
        wrong.nest("secrets", &self.stores());
        wrong.nest("keys", &self.keys);
        wrong.nest("policy", &self.policy);
        wrong.nest("audit", &self.log());
        wrong.into_result()
    }
}
