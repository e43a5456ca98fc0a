//! A configuration like those of real services, and a folder to read it from.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, unreachable_pub)] // shared by tests

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use buttress_config::{FlagsConfig, Loader, Masked};
use buttress_core::{ByteSize, Validate, Violations};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub service: Service,
    pub limits: Limits,
    pub store: Store,
    pub engine: Engine,
    pub mode: Mode,
    pub servers: Vec<Server>,
    pub tenants: HashMap<String, Tenant>,
    pub flags: FlagsConfig,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Service {
    pub listen: String,
    pub port: u16,
    pub debug: bool,
    pub tags: Vec<String>,
    pub public_url: Option<String>,
}

impl Default for Service {
    fn default() -> Self {
        Self { listen: "127.0.0.1".into(), port: 8080, debug: false, tags: vec![], public_url: None }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    pub pages: u32,
    pub workers: NonZeroU32,
    pub ratio: f64,
    pub memory: ByteSize,
    #[serde(with = "buttress_core::units::duration")]
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pages: 100,
            workers: NonZeroU32::MIN,
            ratio: 0.5,
            memory: ByteSize::mib(64),
            time: Duration::from_secs(30),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    pub url: String,
    pub password: String,
    /// A secret that only its type gives away.
    pub pin: Masked<String>,
    pub keys: Masked<Vec<u32>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Engine {
    Memory { capacity: u32 },
    Redis { url: String },
}

impl Default for Engine {
    fn default() -> Self {
        Self::Memory { capacity: 1000 }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Mode {
    #[default]
    Fast,
    Careful,
    Custom {
        retries: u32,
    },
    Other(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    pub host: String,
    #[serde(default)]
    pub port: u16,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tenant {
    pub quota: u32,
    pub pin: Masked<String>,
}

impl Validate for Config {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        wrong.require(
            self.limits.pages >= 1,
            "limits.pages",
            self.limits.pages,
            "must be at least 1; 100 is usual",
        );
        let pin = self.store.pin.expose();
        wrong.require(pin != "0000", "store.pin", pin, format!("must not be {pin}"));
        let listen = &self.service.listen;
        wrong.require(
            !listen.is_empty(),
            "service.listen",
            "\"\"",
            "must name an address, such as \"127.0.0.1\"",
        );
        for (at, server) in self.servers.iter().enumerate() {
            let field = format!("servers[{at}].port");
            wrong.require(server.port != 1, &field, server.port, "must not be 1");
        }
        wrong.nest("flags", &self.flags);
        wrong.into_result()
    }
}

/// A folder with a `docproc.toml`.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new(text: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("docproc.toml", text);
        folder
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn file(&self) -> PathBuf {
        self.path().join("docproc.toml")
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    pub fn loader(&self) -> Loader {
        Loader::new("docproc").file(self.file())
    }

    /// A message without the name of the temporary folder.
    pub fn plain(&self, message: &str) -> String {
        message.replace(&format!("{}/", self.path().display()), "")
    }
}

pub fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
