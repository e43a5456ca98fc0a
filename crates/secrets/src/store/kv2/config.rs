//! Where an OpenBao is, and as whom it is asked.

use std::path::PathBuf;
use std::time::Duration;

use buttress_core::{Validate, Violations, units};
use serde::{Deserialize, Serialize};

/// A KV engine of version 2, of OpenBao or Vault.
///
/// | field | default | |
/// |---|---|---|
/// | `address` | `"https://127.0.0.1:8200"` | `http://` only for this machine itself |
/// | `namespace` | – | of the server, if it has several |
/// | `mount` | `"secret"` | where the engine is |
/// | `prefix` | – | a path in the engine, below which all secrets are: `"apps/shop"` |
/// | `field` | `"value"` | the member of a KV secret that holds the value |
/// | `login` | | see [`OpenBaoLogin`] |
/// | `timeout` | `"10s"` | how long the server may take to be reached and to answer |
/// | `ca_file` | – | certificates (PEM) trusted beside the system's |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct OpenBaoConfig {
    /// Where the server is.
    pub address: String,
    /// Of the server, if it has several.
    pub namespace: Option<String>,
    /// Where the engine is.
    pub mount: String,
    /// A path in the engine, below which all secrets are.
    pub prefix: String,
    /// The member of a KV secret that holds the value. Others are left as they are.
    pub field: String,
    /// As whom the server is asked.
    pub login: OpenBaoLogin,
    /// How long the server may take to be reached and to answer.
    #[serde(with = "units::duration")]
    pub timeout: Duration,
    /// Certificates (PEM) trusted beside the system's.
    pub ca_file: Option<PathBuf>,
}

/// As whom an OpenBao is asked: `{ method = "token", file = "/run/openbao/token" }`. Credentials are in files, never in a
/// configuration, and are read anew for each login, so that they can rotate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum OpenBaoLogin {
    /// With the token of a file, which somebody else may replace at any time.
    Token {
        /// The file.
        file: PathBuf,
    },
    /// As a role with a secret id.
    AppRole {
        /// The role's id, which is no secret.
        role_id: String,
        /// A file with the secret id.
        secret_id_file: PathBuf,
        /// Where the method is.
        #[serde(default = "approle")]
        mount: String,
    },
    /// As the service account of a pod.
    Kubernetes {
        /// The role at the server.
        role: String,
        /// The token of the service account.
        #[serde(default = "service_account")]
        jwt_file: PathBuf,
        /// Where the method is.
        #[serde(default = "kubernetes")]
        mount: String,
    },
}

fn approle() -> String {
    "approle".to_owned()
}

fn kubernetes() -> String {
    "kubernetes".to_owned()
}

fn service_account() -> PathBuf {
    "/var/run/secrets/kubernetes.io/serviceaccount/token".into()
}

impl Default for OpenBaoConfig {
    fn default() -> Self {
        Self {
            address: "https://127.0.0.1:8200".to_owned(),
            namespace: None,
            mount: "secret".to_owned(),
            prefix: String::new(),
            field: "value".to_owned(),
            login: OpenBaoLogin::Token { file: "/run/openbao/token".into() },
            timeout: Duration::from_secs(10),
            ca_file: None,
        }
    }
}

impl Validate for OpenBaoConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        // An address may hold a password: it is not repeated.
        let safe = self.address.starts_with("https://") || is_this_machine(&self.address);
        wrong.require(
            safe,
            "address",
            "***",
            "must begin with `https://`; `http://` only for 127.0.0.1, [::1], localhost",
        );
        let path = |path: &str| path.len() <= 256 && path.split('/').all(is_part);
        for (field, value, may_be_empty) in [
            ("mount", &self.mount, false),
            ("prefix", &self.prefix, true),
            ("namespace", self.namespace.as_ref().unwrap_or(&String::new()), true),
        ] {
            let holds = path(value.trim_end_matches('/')) || (may_be_empty && value.is_empty());
            wrong.require(
                holds,
                field,
                value,
                "must be a path of letters, digits, `-`, `_` and `.`, without a slash before it",
            );
        }
        let field = is_part(&self.field) && self.field != super::STATE;
        wrong.require(
            field,
            "field",
            &self.field,
            "must name a member by letters, digits, `-`, `_` and `.`; not `buttress`",
        );
        let mount = match &self.login {
            OpenBaoLogin::Token { .. } => None,
            OpenBaoLogin::AppRole { mount, .. } | OpenBaoLogin::Kubernetes { mount, .. } => Some(mount),
        };
        if let Some(mount) = mount {
            wrong.require(path(mount), "login.mount", mount, "must be a path, such as \"approle\"");
        }
        let shown = units::format_duration(self.timeout);
        let sensible = (Duration::from_millis(100)..=Duration::from_mins(5)).contains(&self.timeout);
        wrong.require(sensible, "timeout", shown, "must be \"100ms\" to \"5m\"; \"10s\" is usual");
        wrong.into_result()
    }
}

fn is_part(part: &str) -> bool {
    let sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=128).contains(&part.len()) && !part.starts_with('.') && part.chars().all(sign)
}

/// Whether nobody else hears what is sent there.
fn is_this_machine(address: &str) -> bool {
    let Some(rest) = address.strip_prefix("http://") else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        if port.bytes().all(|digit| digit.is_ascii_digit()) { name } else { host }
    });
    matches!(name, "127.0.0.1" | "localhost" | "[::1]")
}
