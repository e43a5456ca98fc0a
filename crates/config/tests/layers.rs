//! Which layer wins, and what text becomes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // tests

mod common;

use std::time::Duration;

use buttress_config::{Loader, Source};
use buttress_core::ByteSize;
use common::{Config, Engine, Folder, Mode, Server, variables};
use proptest::prelude::*;

fn with_variables(pairs: &[(&str, &str)]) -> Config {
    Loader::new("docproc").variables(variables(pairs)).load::<Config>().unwrap().into_value()
}

#[test]
fn nothing_written_is_the_default() {
    let loaded = Loader::new("docproc").optional_file("no/such/file.toml").load::<Config>().unwrap();
    assert_eq!(*loaded.value(), Config::default());
    assert_eq!(loaded.source("limits.pages"), Some(&Source::Default));
    assert_eq!(loaded.source("limits.colour"), None);
    assert_eq!(loaded.files().count(), 0);
}

proptest! {
    /// Whichever layers set a key, the highest of them counts and is named as its source.
    #[test]
    fn the_highest_layer_counts(
        file in proptest::option::of(1_u32..1000),
        environment in proptest::option::of(1_u32..1000),
        variable in proptest::option::of(1_u32..1000),
        flag in proptest::option::of(1_u32..1000),
    ) {
        let text = |pages: Option<u32>| pages.map_or(String::new(), |n| format!("[limits]\npages = {n}\n"));
        let folder = Folder::new(&text(file));
        folder.write("docproc.production.toml", &text(environment));
        let mut loader = folder.loader().environment("production");
        if let Some(pages) = variable {
            loader = loader.variables(variables(&[("DOCPROC_LIMITS__PAGES", &pages.to_string())]));
        }
        if let Some(pages) = flag {
            loader = loader.flag("limits.pages", pages.to_string());
        }
        let loaded = loader.load::<Config>().unwrap();

        let layers = [
            (flag, "flag limits.pages"),
            (variable, "variable DOCPROC_LIMITS__PAGES"),
            (environment, "docproc.production.toml:2:9"),
            (file, "docproc.toml:2:9"),
            (Some(100), "default"),
        ];
        let (expected, source) = layers.into_iter().find_map(|(n, source)| n.map(|n| (n, source))).unwrap();
        prop_assert_eq!(loaded.value().limits.pages, expected);
        prop_assert_eq!(folder.plain(&loaded.source("limits.pages").unwrap().to_string()), source);
        // The other keys of the same table stay.
        prop_assert_eq!(loaded.value().limits.memory, ByteSize::mib(64));
    }

    /// What is printed as a value reads back as that value.
    #[test]
    fn text_survives_the_way_through_a_file_and_a_variable(text in "[^\u{0}]{1,20}") {
        let folder = Folder::new(&format!("[service]\nlisten = {}\n", toml::Value::String(text.clone())));
        let from_file = folder.loader().load::<Config>().unwrap().into_value();
        prop_assert_eq!(&from_file.service.listen, &text);
        prop_assert_eq!(with_variables(&[("DOCPROC_SERVICE__LISTEN", &text)]).service.listen, text);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), name in "[A-Z_0-9]{0,12}", value in ".{0,20}") {
        let folder = Folder::new("");
        std::fs::write(folder.file(), bytes).unwrap();
        let _ = folder.loader().load::<Config>();
        let pairs = variables(&[(&format!("DOCPROC_{name}"), &value)]);
        let _ = Loader::new("docproc").variables(pairs).flag(name, value).load::<Config>();
    }
}

#[test]
fn text_becomes_what_is_asked_for() {
    let config = with_variables(&[
        ("DOCPROC_SERVICE__PORT", " 9_000 "),
        ("DOCPROC_SERVICE__DEBUG", "Yes"),
        ("DOCPROC_SERVICE__TAGS", "a, b ,c"),
        ("DOCPROC_SERVICE__LISTEN", "1234"),
        ("DOCPROC_SERVICE__PUBLIC_URL", "https://docs"),
        ("DOCPROC_LIMITS__RATIO", "1"),
        ("DOCPROC_LIMITS__MEMORY", "1GiB"),
        ("DOCPROC_LIMITS__TIME", "1m30s"),
        ("DOCPROC_MODE", "careful"),
        ("DOCPROC_ENGINE__KIND", "redis"),
        ("DOCPROC_ENGINE__URL", "redis://cache"),
        ("DOCPROC_SERVERS", r#"[{ host = "a", port = 1000 }, { host = "b" }]"#),
        ("DOCPROC_TENANTS__ACME__QUOTA", "7"),
        ("DOCPROC_FLAGS__NEW__WHEN__PLAN", "pro,team"),
        ("UNRELATED", "x"),
    ]);
    assert_eq!(config.service.port, 9000);
    assert!(config.service.debug);
    assert_eq!(config.service.tags, ["a", "b", "c"]);
    assert_eq!(config.service.listen, "1234");
    assert_eq!(config.service.public_url.as_deref(), Some("https://docs"));
    assert!((config.limits.ratio - 1.0).abs() < f64::EPSILON);
    assert_eq!(config.limits.memory, ByteSize::gib(1));
    assert_eq!(config.limits.time, Duration::from_secs(90));
    assert_eq!(config.mode, Mode::Careful);
    assert_eq!(config.engine, Engine::Redis { url: "redis://cache".into() });
    assert_eq!(
        config.servers,
        [Server { host: "a".into(), port: 1000 }, Server { host: "b".into(), port: 0 }]
    );
    assert_eq!(config.tenants["acme"].quota, 7);
    assert!(config.flags.get("new").unwrap().when["plan"].contains("team"));
}

#[test]
fn lists_and_tables_may_be_written_as_in_toml() {
    let config = with_variables(&[
        ("DOCPROC_SERVICE__TAGS", r#"["a,b", "c"]"#),
        ("DOCPROC_LIMITS", "{ pages = 5, ratio = 0.25 }"),
        ("DOCPROC_MODE", "{ custom = { retries = 3 } }"),
    ]);
    assert_eq!(config.service.tags, ["a,b", "c"]);
    assert_eq!(config.limits.pages, 5);
    assert_eq!(config.limits.memory, ByteSize::mib(64), "a table adds to the one below");
    assert_eq!(config.mode, Mode::Custom { retries: 3 });
    assert_eq!(with_variables(&[("DOCPROC_SERVICE__TAGS", "")]).service.tags, Vec::<String>::new());
}

#[test]
fn an_empty_variable_unsets_an_optional_field() {
    let folder = Folder::new("[service]\npublic_url = \"https://docs\"\n");
    let unset = variables(&[("DOCPROC_SERVICE__PUBLIC_URL", "")]);
    let loaded = folder.loader().variables(unset).load::<Config>().unwrap();
    assert_eq!(loaded.value().service.public_url, None);
}

#[test]
fn keys_are_found_whatever_their_case_and_dashes() {
    let folder = Folder::new("[flags.new-chunker]\nenabled = true\n");
    let loaded = folder
        .loader()
        .variables(variables(&[("DOCPROC_FLAGS__NEW_CHUNKER__PERCENT", "12.5")]))
        .load::<Config>()
        .unwrap();
    let flag = loaded.value().flags.get("new-chunker").unwrap();
    assert!(flag.enabled);
    assert!((flag.percent - 12.5).abs() < f64::EPSILON);
}

#[test]
fn a_choice_of_a_higher_layer_drops_the_settings_of_the_lower_one() {
    let folder =
        Folder::new("mode = { custom = { retries = 3 } }\n[engine]\nkind = \"redis\"\nurl = \"redis://a\"\n");
    folder.write("docproc.staging.toml", "mode = { other = \"x\" }\n");
    let loaded = folder.loader().environment("staging").load::<Config>().unwrap();
    assert_eq!(loaded.value().mode, Mode::Other("x".into()));
    assert_eq!(loaded.value().engine, Engine::Redis { url: "redis://a".into() });
}

#[test]
fn toml_that_the_program_carries_lies_below_the_files() {
    let folder = Folder::new("[limits]\npages = 20\n");
    let loader = folder.loader().embedded("built-in.toml", "[limits]\npages = 10\nratio = 0.25\n");
    let loaded = loader.load::<Config>().unwrap();
    assert_eq!(loaded.value().limits.pages, 20);
    assert_eq!(loaded.source("limits.ratio").unwrap().to_string(), "built-in.toml:3:9");
}

#[test]
fn the_environment_is_named_by_a_variable_or_in_code() {
    let folder = Folder::new("");
    folder.write("docproc.staging.toml", "mode = \"careful\"\n");
    let by_variable = folder.loader().variables(variables(&[("DOCPROC_ENV", "staging")]));
    let loaded = by_variable.load::<Config>().unwrap();
    assert_eq!(loaded.value().mode, Mode::Careful);
    let files: Vec<_> = loaded.files().map(|path| folder.plain(&path.display().to_string())).collect();
    assert_eq!(files, ["docproc.toml", "docproc.staging.toml"]);

    folder.write("docproc.production.toml", "mode = \"fast\"\n");
    let loaded = by_variable.environment("production").load::<Config>().unwrap();
    assert_eq!(loaded.value().mode, Mode::Fast);
}

#[test]
fn kubernetes_service_links_and_ignored_variables_are_left_out() {
    let links = variables(&[
        ("DOCPROC_SERVICE_HOST", "10.0.0.7"),
        ("DOCPROC_SERVICE_PORT", "80"),
        ("DOCPROC_SERVICE_PORT_HTTP", "80"),
        ("DOCPROC_PORT", "tcp://10.0.0.7:80"),
        ("DOCPROC_PORT_80_TCP", "tcp://10.0.0.7:80"),
        ("DOCPROC_PORT_80_TCP_ADDR", "10.0.0.7"),
        ("DOCPROC_LIMITS__PAGES", "7"),
        ("DOCPROC_WORKER", "internal"),
    ]);
    let loader = Loader::new("docproc").variables(links).ignore_variable("DOCPROC_WORKER");
    assert_eq!(loader.load::<Config>().unwrap().value().limits.pages, 7);

    let alone = variables(&[("DOCPROC_SERVICE_HOST", "10.0.0.7")]);
    Loader::new("docproc").variables(alone).load::<Config>().unwrap_err();
}

/// A struct that forgot `deny_unknown_fields`, and one that reads a field by an older name as well.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
struct Lenient {
    #[serde(alias = "folder")]
    directory: String,
    keep: bool,
}

impl buttress_core::Validate for Lenient {
    fn validate(&self) -> Result<(), buttress_core::Violations> {
        Ok(())
    }
}

#[test]
fn unknown_keys_are_refused_even_where_the_type_would_let_them_pass() {
    let error = Loader::new("x").flag("kepe", "true").load::<Lenient>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "flag kepe: unknown key `kepe`; did you mean `keep`? known here: `directory`, `folder`, `keep`"
    );
    let loaded = Loader::new("x").flag("folder", "data").load::<Lenient>().unwrap();
    assert_eq!(loaded.value().directory, "data");
    assert!(!loaded.value().keep);
}

#[test]
fn explain_tells_what_each_layer_said() {
    let folder = Folder::new("[limits]\npages = 20\n");
    let loaded =
        folder.loader().variables(variables(&[("DOCPROC_LIMITS__PAGES", "50")])).load::<Config>().unwrap();
    let explained = folder.plain(&loaded.explain("limits.pages").unwrap());
    assert_eq!(
        explained,
        "limits.pages = 50    variable DOCPROC_LIMITS__PAGES\n\
         \x20   instead of 20    docproc.toml:2:9\n\
         \x20   instead of 100   default\n"
    );
    assert_eq!(loaded.explain("limits.colour"), None);
}
