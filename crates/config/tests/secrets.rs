//! Planted secrets: none of them may be shown anywhere.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests

mod common;

use std::collections::BTreeMap;

use buttress_config::{Error, Loader, Masked};
use buttress_core::{Validate, Violations};
use common::{Config, Folder, variables};
use serde::{Deserialize, Serialize};

const PLANTED: &str = "hunter2";

const FILE: &str = r#"
[service]
public_url = "https://admin:hunter2@docs.example/?token=hunter2"
tags = ["postgres://u:hunter2@db/x", "plain"]

[store]
url = "postgres://app:hunter2@db:5432/docs?sslmode=require"
password = "hunter2"
pin = "hunter2"

[tenants.acme]
quota = 3
pin = "hunter2"
"#;

#[track_caller]
fn hides(shown: &str) {
    assert!(!shown.contains(PLANTED), "{shown}");
}

#[test]
fn print_masks_what_must_not_be_shown_and_nothing_else() {
    let folder = Folder::new(FILE);
    let loaded = folder
        .loader()
        .variables(variables(&[("DOCPROC_STORE__PASSWORD", "hunter2hunter2")]))
        .load::<Config>()
        .unwrap();
    hides(&loaded.print());
    hides(&format!("{loaded:?}"));
    hides(&format!("{:?}", folder.loader().flag("store.password", PLANTED)));
    for key in ["store.password", "store.pin", "tenants.acme.pin", "service.public_url", "store", "tenants"] {
        hides(&loaded.explain(key).unwrap());
    }
    let shown = folder.plain(&loaded.print());
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for line in [
        "engine.capacity = 1000 # default",
        "limits.time = \"30s\" # default",
        "service.tags = [\"postgres://u:***@db/x\", \"plain\"] # docproc.toml:4:8",
        "store.keys = *** # default",
        "store.password = *** # variable DOCPROC_STORE__PASSWORD",
        "store.pin = *** # docproc.toml:9:7",
        "tenants.acme.pin = *** # docproc.toml:13:7",
        "tenants.acme.quota = 3 # docproc.toml:12:9",
    ] {
        assert!(shown.lines().any(|shown| squeezed(shown) == line), "{line}\n{shown}");
    }
    assert_eq!(loaded.value().store.pin.expose(), PLANTED, "the program itself still has it");
}

/// Each of these goes wrong in a place that has, or stands beside, a secret.
#[test]
fn errors_do_not_tell_secrets() {
    for text in [
        "[store]\npin = 1234567\n".to_owned(),
        "[store]\npin = \"hunter2\"\nkeys = \"hunter2\"\n".to_owned(),
        "[store]\nkeys = [\"hunter2\"]\n".to_owned(),
        "[store]\npassword = [\"hunter2\"]\n".to_owned(),
        "[store]\npassword = \"hunter2\"\npin = \"0000\"\n".to_owned(),
        "[store]\npassword = \"hunter2\n".to_owned(),
        "[store]\npassword = hunter2\n".to_owned(),
        "[limits]\nmemory = \"redis://:hunter2@x\"\n".to_owned(),
        "[service]\nport = \"postgres://app:hunter2@db\"\n".to_owned(),
        "[store]\npassword = \"hunter2\"\n[limits]\ntime = \"hunter2\"\n".to_owned(),
        "[tenants.acme]\npin = [\"hunter2\"]\n".to_owned(),
    ] {
        let folder = Folder::new(&text);
        let error = folder.loader().load::<Config>().unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
        hides(&error.to_string());
        hides(&format!("{error:?}"));
        assert!(!error.to_string().contains("1234567"), "{error}");
    }
}

#[test]
fn a_rule_about_a_secret_names_the_field_only() {
    let folder = Folder::new("[store]\npin = \"0000\"\n");
    let error = folder.loader().load::<Config>().unwrap_err();
    assert_eq!(folder.plain(&error.to_string()), "docproc.toml:2:7: store.pin = ***: must not be ***");
}

#[test]
fn a_masked_value_is_masked_for_every_other_serialiser_and_does_not_read_back() {
    let folder = Folder::new(FILE);
    let config = folder.loader().load::<Config>().unwrap().into_value();
    let json = serde_json::to_string(&config.store.pin).unwrap();
    assert_eq!(json, "\"***\"");
    hides(&format!("{:?}", config.store.pin));

    let folder = Folder::new("[store]\npin = \"***\"\n");
    let error = folder.loader().load::<Config>().unwrap_err();
    assert_eq!(
        folder.plain(&error.to_string()),
        "docproc.toml:2:7: store.pin = ***: is what stands for a secret, not the secret; write the secret itself"
    );
    // From elsewhere, a masked value reads like its content.
    assert_eq!(serde_json::from_str::<Masked<u32>>("7").unwrap().into_exposed(), 7);
}

/// Secrets that are marked, or named, by something above them.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Above {
    credentials: BTreeMap<String, String>,
    vault: Masked<Vault>,
    secrets: Settings,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Vault {
    address: String,
    users: Vec<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    backend: String,
    tokens: Vec<String>,
}

impl Validate for Above {
    fn validate(&self) -> Result<(), Violations> {
        Ok(())
    }
}

#[test]
fn a_secret_table_hides_all_that_people_put_into_it() {
    let loaded = Loader::new("x")
        .flags([
            "credentials.alice=hunter2",
            "vault.address=hunter2",
            "vault.users=bob,hunter2",
            "secrets.backend=file",
            "secrets.tokens=hunter2,other",
        ])
        .load::<Above>()
        .unwrap();
    assert_eq!(
        loaded.print(),
        "credentials.alice = ***    # flag credentials.alice\n\
         secrets.backend = \"file\"   # flag secrets.backend\n\
         secrets.tokens = ***       # flag secrets.tokens\n\
         vault.address = ***        # flag vault.address\n\
         vault.users = ***          # flag vault.users\n"
    );
    for key in ["credentials", "vault", "vault.users[1]", "secrets.tokens"] {
        hides(&loaded.explain(key).unwrap());
    }
    assert_eq!(loaded.value().vault.expose().address, PLANTED);
}
