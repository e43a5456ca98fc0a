//! A configuration with every shape that serde knows, for the targets that read configurations.

use std::collections::BTreeMap;
use std::time::Duration;

use buttress_config::{FlagsConfig, Loader, Masked};
use buttress_core::{ByteSize, Validate, Violations};
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    text: String,
    number: u16,
    wide: i128,
    ratio: f32,
    on: bool,
    letter: Option<char>,
    memory: ByteSize,
    #[serde(with = "buttress_core::units::duration")]
    time: Duration,
    list: Vec<u8>,
    pair: (u8, String),
    password: String,
    pin: Masked<String>,
    mode: Mode,
    engine: Engine,
    any: Option<Either>,
    by_number: BTreeMap<u32, Inner>,
    flags: FlagsConfig,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inner {
    needed: String,
    #[serde(default)]
    below: Option<Box<Inner>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Mode {
    #[default]
    Fast,
    New(u8),
    Two(u8, String),
    Table {
        retries: u32,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Engine {
    Memory { capacity: u32 },
    Redis { url: String },
}

impl Default for Engine {
    fn default() -> Self {
        Self::Memory { capacity: 1 }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Either {
    Number(i64),
    Text(String),
    List(Vec<Either>),
}

impl Validate for Settings {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        wrong.require(self.number != 7, "number", self.number, "must not be 7");
        wrong.require(self.list.len() < 3, "list[2]", self.list.len(), "must be short");
        wrong.nest("flags", &self.flags);
        wrong.into_result()
    }
}

/// Loads, and looks at all that comes out.
pub fn load_and_look(loader: &Loader) {
    match loader.load::<Settings>() {
        Ok(loaded) => {
            let _ = (loaded.print(), format!("{loaded:?}"));
            for entry in loaded.entries() {
                let _ = (loaded.source(&entry.key), loaded.explain(&entry.key));
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
