//! Every message in full, because people read them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests

mod common;

use buttress_config::{Error, Loader};
use buttress_core::{Classify, ErrorClass};
use common::{Config, Folder, variables};

/// The message for a file, with the name of the temporary folder left out.
fn of_file(text: &str) -> String {
    let folder = Folder::new(text);
    let error = folder.loader().load::<Config>().unwrap_err();
    folder.plain(&error.to_string())
}

fn of_variable(name: &str, value: &str) -> String {
    Loader::new("docproc").variables(variables(&[(name, value)])).load::<Config>().unwrap_err().to_string()
}

fn of_flag(pair: &str) -> String {
    Loader::new("docproc").flags([pair]).load::<Config>().unwrap_err().to_string()
}

#[track_caller]
fn says(found: &str, expected: &str) {
    assert_eq!(found, expected);
}

#[test]
fn a_key_that_is_not_known() {
    says(
        &of_file("[service]\nprot = 80\n"),
        "docproc.toml:2:1: unknown key `service.prot`; did you mean `service.port`? known here: `listen`, `port`, `debug`, `tags`, `public_url`",
    );
    says(
        &of_file("[servce]\nport = 80\n"),
        "docproc.toml:1:2: unknown key `servce`; did you mean `service`? known here: `service`, `limits`, `store`, `engine`, `mode`, `servers`, `tenants`, `flags`",
    );
    says(
        &of_file("pages = 3\n"),
        "docproc.toml:1:1: unknown key `pages`; did you mean `limits.pages`? known here: `service`, `limits`, `store`, `engine`, `mode`, `servers`, `tenants`, `flags`",
    );
    says(
        &of_file("[service]\ncolour = 1\n"),
        "docproc.toml:2:1: unknown key `service.colour`; known here: `listen`, `port`, `debug`, `tags`, `public_url`",
    );
    says(
        &of_file("[[servers]]\nhost = \"a\"\n[[servers]]\nhots = \"b\"\n"),
        "docproc.toml:4:1: unknown key `servers[1].hots`; did you mean `servers[1].host`? known here: `host`, `port`",
    );
    says(
        &of_file("[tenants.acme]\nqouta = 3\n"),
        "docproc.toml:2:1: unknown key `tenants.acme.qouta`; did you mean `tenants.acme.quota`? known here: `quota`, `pin`",
    );
    says(
        &of_file("[engine]\nkind = \"redis\"\nurl = \"redis://x\"\nulr = 1\n"),
        "docproc.toml:4:1: unknown key `engine.ulr`; did you mean `engine.url`? known here: `url`",
    );
    says(
        &of_variable("DOCPROC_SERVICE__PROT", "80"),
        "variable DOCPROC_SERVICE__PROT: unknown key `service.prot`; did you mean DOCPROC_SERVICE__PORT? known here: `listen`, `port`, `debug`, `tags`, `public_url`",
    );
    says(
        &of_flag("service.prot=80"),
        "flag service.prot: unknown key `service.prot`; did you mean `service.port`? known here: `listen`, `port`, `debug`, `tags`, `public_url`",
    );
}

#[test]
fn a_value_of_the_wrong_kind_or_size() {
    says(
        &of_file("[service]\nport = \"eighty\"\n"),
        r#"docproc.toml:2:8: service.port = "eighty": must be a whole number from 0 to 65535, not text"#,
    );
    says(
        &of_file("[service]\nport = \"80\"\n"),
        r#"docproc.toml:2:8: service.port = "80": must be a whole number from 0 to 65535, not text; write it without quotes"#,
    );
    says(
        &of_file("[service]\nport = 70000\n"),
        "docproc.toml:2:8: service.port = 70000: must be a whole number from 0 to 65535",
    );
    says(
        &of_file("[service]\nport = 80.5\n"),
        "docproc.toml:2:8: service.port = 80.5: must be a whole number from 0 to 65535, not a number with a fraction",
    );
    says(
        &of_file("[service]\ndebug = \"true\"\n"),
        r#"docproc.toml:2:9: service.debug = "true": must be true or false, not text; write it without quotes"#,
    );
    says(
        &of_file("[service]\nlisten = 8080\n"),
        "docproc.toml:2:10: service.listen = 8080: must be text, not a whole number; put it in quotes",
    );
    says(
        &of_file("[service]\ntags = \"a\"\n"),
        r#"docproc.toml:2:8: service.tags = "a": must be a list, not text; put it in square brackets"#,
    );
    says(
        &of_file("[service]\ntags = [\"a\", 2]\n"),
        "docproc.toml:2:14: service.tags[1] = 2: must be text, not a whole number; put it in quotes",
    );
    says(&of_file("service = 3\n"), "docproc.toml:1:11: service = 3: must be a table, not a whole number");
    says(
        &of_file("[service.listen]\nx = 3\n"),
        "docproc.toml:1:10: service.listen: must be text, not a table",
    );
    says(
        &of_file("[limits]\nworkers = 0\n"),
        "docproc.toml:2:11: limits.workers = 0: must be a whole number, not 0",
    );
    says(
        &of_file("[limits]\nworkers = -1\n"),
        "docproc.toml:2:11: limits.workers = -1: must be a whole number from 0 to 4294967295",
    );
    says(
        &of_file("[limits]\nratio = \"half\"\n"),
        r#"docproc.toml:2:9: limits.ratio = "half": must be a number, not text"#,
    );
    says(
        &of_file("[limits]\nmemory = true\n"),
        r#"docproc.toml:2:10: limits.memory = true: must be a size like "64MiB" or a number of bytes, not a boolean"#,
    );
    says(
        &of_file("[limits]\nmemory = \"64 bananas\"\n"),
        r#"docproc.toml:2:10: limits.memory = "64 bananas": `64 bananas` is not a size; write it like "512B", "64KiB", "64MiB", "1.5GiB" or "10MB""#,
    );
    says(
        &of_file("[limits]\ntime = \"30 parsecs\"\n"),
        r#"docproc.toml:2:8: limits.time = "30 parsecs": `30 parsecs` is not a duration; write it like "250ms", "30s", "1m30s", "2h" or "7d""#,
    );
    says(
        &of_file("[limits]\ntime = 30\n"),
        "docproc.toml:2:8: limits.time = 30: must be text, not a whole number; put it in quotes",
    );
    says(
        &of_file("[[servers]]\nport = 80\n"),
        "docproc.toml:1:1: `servers[0].host` is missing; it has no default, so write it",
    );
    says(
        &of_file("[flags.x]\npercent = \"all\"\n"),
        r#"docproc.toml:2:11: flags.x.percent = "all": must be a number, not text"#,
    );
    says(
        &of_variable("DOCPROC_SERVICE__PORT", "eighty"),
        r#"variable DOCPROC_SERVICE__PORT: service.port = "eighty": must be a whole number from 0 to 65535"#,
    );
    says(
        &of_variable("DOCPROC_SERVICE__DEBUG", "maybe"),
        r#"variable DOCPROC_SERVICE__DEBUG: service.debug = "maybe": must be true or false"#,
    );
    says(
        &of_variable("DOCPROC_SERVICE", "x"),
        r#"variable DOCPROC_SERVICE: service = "x": must be a table; set its keys one by one, or write { key = value }"#,
    );
    says(
        &of_variable("DOCPROC_LIMITS__TIME", "soon"),
        r#"variable DOCPROC_LIMITS__TIME: limits.time = "soon": `soon` is not a duration; write it like "250ms", "30s", "1m30s", "2h" or "7d""#,
    );
    says(
        &of_flag("limits.pages=many"),
        r#"flag limits.pages: limits.pages = "many": must be a whole number from 0 to 4294967295"#,
    );
}

#[test]
fn a_choice_that_is_not_there() {
    says(
        &of_file("mode = \"carefull\"\n"),
        r#"docproc.toml:1:8: mode = "carefull": must be one of `fast`, `careful`, `custom`, `other`; did you mean `careful`?"#,
    );
    says(
        &of_file("mode = 3\n"),
        "docproc.toml:1:8: mode = 3: must be one of `fast`, `careful`, `custom`, `other`, not a whole number",
    );
    says(
        &of_file("mode = \"custom\"\n"),
        r#"docproc.toml:1:8: mode = "custom": must be a table, because `custom` has settings of its own: { custom = … }, not text"#,
    );
    says(
        &of_file("mode = { fast = 3 }\n"),
        r#"docproc.toml:1:1: mode: must be just "fast", which has no settings of its own, not a table"#,
    );
    says(
        &of_file("mode = { custom = { retries = 1 }, other = \"x\" }\n"),
        "docproc.toml:1:1: mode: must be a table with exactly one of `fast`, `careful`, `custom`, `other`",
    );
    says(
        &of_file("mode = { custom = { retires = 1 } }\n"),
        "docproc.toml:1:21: unknown key `mode.custom.retires`; did you mean `mode.custom.retries`? known here: `retries`",
    );
    says(
        &of_file("[engine]\nkind = \"rediss\"\n"),
        r#"docproc.toml:2:8: engine.kind = "rediss": must be one of `memory`, `redis`; did you mean `redis`?"#,
    );
    says(
        &of_file("[engine]\nkind = \"redis\"\n"),
        "docproc.toml:1:2: `engine.url` is missing; it has no default, so write it",
    );
    says(
        &of_file("[engine]\nkind = \"redis\"\nurl = 3\n"),
        "docproc.toml:3:7: engine.url = 3: must be text, not a whole number; put it in quotes",
    );
    says(
        &of_variable("DOCPROC_MODE", "quick"),
        r#"variable DOCPROC_MODE: mode = "quick": must be one of `fast`, `careful`, `custom`, `other`"#,
    );
}

#[test]
fn a_rule_of_the_configuration_itself() {
    says(
        &of_file("[limits]\npages = 0\n"),
        "docproc.toml:2:9: limits.pages = 0: must be at least 1; 100 is usual",
    );
    says(
        &of_file("[[servers]]\nhost = \"a\"\nport = 1\n"),
        "docproc.toml:3:8: servers[0].port = 1: must not be 1",
    );
    says(
        &of_file("[flags.x]\npercent = 101\n"),
        "docproc.toml:2:11: flags.x.percent = 101: must be 0 to 100",
    );
    says(
        &of_variable("DOCPROC_LIMITS__PAGES", "0"),
        "variable DOCPROC_LIMITS__PAGES: limits.pages = 0: must be at least 1; 100 is usual",
    );
    says(
        &of_flag("service.listen="),
        r#"flag service.listen: service.listen = "": must name an address, such as "127.0.0.1""#,
    );
}

#[test]
fn a_source_whose_form_is_wrong() {
    says(&of_file("[service\nport = 80\n"), "docproc.toml:1:9: not TOML: unclosed table, expected `]`");
    says(
        &of_file("[service]\nport = \n"),
        "docproc.toml:2:8: not TOML: string values must be quoted, expected literal string",
    );
    says(&of_file("[service]\nport = 80\nport = 81\n"), "docproc.toml:3:1: not TOML: duplicate key");
    says(
        &of_file("[service]\nlisten = localhost\n"),
        "docproc.toml:2:10: not TOML: string values must be quoted, expected literal string",
    );
    says(
        &of_file("[service]\nlisten = \"local\n"),
        r#"docproc.toml:2:16: not TOML: invalid basic string, expected `"`"#,
    );
    says(
        &of_file(&format!("x = {}1{}\n", "[".repeat(40), "]".repeat(40))),
        "docproc.toml:1:37: more than 32 tables and lists inside one another; make it flatter",
    );
    says(
        &of_file(&format!("x = [{}]\n", "1,".repeat(10_001))),
        "docproc.toml:1:20004: more than 10000 keys and list items; move data into a file of its own",
    );
    says(
        &of_variable("DOCPROC_SERVICE__", "1"),
        "variable DOCPROC_SERVICE__: does not name a key; write one name, or several with two underscores between them",
    );
    says(
        &of_flag("service.port"),
        "flag service.port: is not of the form key=value, such as limits.pages=50",
    );
    says(&of_flag("=3"), "flag =3: is not of the form key=value, such as limits.pages=50");
    says(
        &of_flag("servers[0].port=3"),
        r#"flag servers[0].port: names one item; a list is replaced as a whole: key=["a", "b"] or key=a,b"#,
    );

    let folder = Folder::new("");
    std::fs::write(folder.file(), b"listen = \"caf\xe9\"\n").unwrap();
    let error = folder.loader().load::<Config>().unwrap_err();
    says(
        &folder.plain(&error.to_string()),
        "docproc.toml:1:14: not UTF-8 from here on; save the file as UTF-8",
    );
}

#[test]
fn a_file_that_cannot_be_read() {
    let folder = Folder::new("");
    let plain = |error: &Error| folder.plain(&error.to_string());

    let error = Loader::new("docproc").file(folder.path().join("nowhere.toml")).load::<Config>().unwrap_err();
    says(
        &plain(&error),
        "nowhere.toml: no such file; it was asked for by name: make it, or leave it out to run on the defaults",
    );
    assert_eq!(error.class(), ErrorClass::NotFound);

    let error = folder.loader().environment("production").load::<Config>().unwrap_err();
    says(
        &plain(&error),
        "docproc.production.toml: no such file; environment `production` asks for it: make it, or name no environment",
    );

    let error =
        folder.loader().variables(variables(&[("DOCPROC_ENV", "staging")])).load::<Config>().unwrap_err();
    says(
        &plain(&error),
        "docproc.staging.toml: no such file; variable DOCPROC_ENV asks for it: make it, or name no environment",
    );

    let error = folder.loader().environment("../secrets").load::<Config>().unwrap_err();
    says(
        &plain(&error),
        "`../secrets` cannot name an environment; use letters, digits, `-` and `_`, as in `production`",
    );

    folder.write("docproc.toml", &"# filler\n".repeat(120_000));
    let error = folder.loader().load::<Config>().unwrap_err();
    says(&plain(&error), "docproc.toml: larger than 1048576 bytes; move data into a file of its own");
    assert_eq!(error.class(), ErrorClass::TooLarge);

    std::fs::create_dir(folder.path().join("docproc.folder.toml")).unwrap();
    let error =
        Loader::new("docproc").file(folder.path().join("docproc.folder.toml")).load::<Config>().unwrap_err();
    says(&plain(&error), "docproc.folder.toml: cannot be read; see that it is a file, and who may read it");
}

#[test]
fn everything_wrong_is_told_at_once() {
    let folder = Folder::new("[service]\nprot = 80\nport = \"x\"\n\n[limits]\npages = 0\nratio = \"half\"\n");
    let error = folder
        .loader()
        .variables(variables(&[("DOCPROC_MODE", "quick"), ("DOCPROC_SERVICE__PORT", "y")]))
        .flag("limits.pagse", "3")
        .load::<Config>()
        .unwrap_err();
    says(
        &folder.plain(&error.to_string()),
        "docproc.toml:2:1: unknown key `service.prot`; did you mean `service.port`? known here: `listen`, `port`, `debug`, `tags`, `public_url`\n\
         docproc.toml:3:8: service.port = \"x\": must be a whole number from 0 to 65535, not text\n\
         docproc.toml:6:9: limits.pages = 0: must be at least 1; 100 is usual\n\
         docproc.toml:7:9: limits.ratio = \"half\": must be a number, not text\n\
         variable DOCPROC_MODE: mode = \"quick\": must be one of `fast`, `careful`, `custom`, `other`\n\
         variable DOCPROC_SERVICE__PORT: service.port = \"y\": must be a whole number from 0 to 65535\n\
         flag limits.pagse: unknown key `limits.pagse`; did you mean `limits.pages`? known here: `pages`, `workers`, `ratio`, `memory`, `time`",
    );
    assert_eq!(error.problems().len(), 7);
    assert_eq!(error.class(), ErrorClass::Invalid);
}
