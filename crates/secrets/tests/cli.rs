//! The program `secrets`, as people and scripts use it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::write(place.at("key"), [5; 32]).unwrap();
        std::fs::write(place.at("passphrase"), "correct horse battery\n").unwrap();
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs the program in the folder, with a session and so no terminal of its own.
    fn run(&self, arguments: &str, input: &str) -> Output {
        let mut program = Command::new(env!("CARGO_BIN_EXE_secrets"))
            .args(arguments.split_whitespace())
            .current_dir(self.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        program.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        program.wait_with_output().unwrap()
    }

    fn good(&self, arguments: &str, input: &str) -> String {
        let output = self.run(arguments, input);
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stderr.is_empty(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn bad(&self, arguments: &str) -> String {
        let output = self.run(arguments, "");
        assert!(!output.status.success() && output.stdout.is_empty(), "{arguments}");
        String::from_utf8(output.stderr).unwrap()
    }
}

#[test]
fn a_day_with_a_vault() {
    let place = Place::new();
    assert!(place.good("init --key-file key", "").contains("made secrets.vault"));
    place.good("set db/password --key-file key", "a planted value\n");
    assert_eq!(place.good("get db/password --key-file key", ""), "a planted value");
    let random = place.good("set api --random 16 --key-file key", "");
    assert_eq!(random, "api: version 1 is current\n");
    assert_eq!(place.good("get api --key-file key", "").len(), 32);
    let list = place.good("list --key-file key", "");
    let lines: Vec<_> = list.lines().collect();
    assert!(lines[0].starts_with("NAME         CURRENT  SINCE"), "{list}");
    assert!(
        lines[1].starts_with("api          1        2") && lines[2].starts_with("db/password  1 "),
        "{list}"
    );
    assert!(!list.contains("planted"));
    place.good("remove api --key-file key", "");
    let verified = place.good("verify --key-file key", "");
    assert_eq!(verified, "secrets.vault: whole; 1 secrets, generation 4, key file\n");
}

#[test]
fn a_rotation_by_hand() {
    let place = Place::new();
    place.good("init --key-file key", "");
    place.good("set a --key-file key", "old");
    let nothing = place.good("rotate a --key-file key", "");
    assert!(
        nothing.contains("next: nothing for 29d23h") || nothing.contains("next: nothing for 30d"),
        "{nothing}"
    );
    place.good("rotate a --step create --key-file key", "");
    let new = place.good("get a --stage next --key-file key", "");
    let switched = place.good("rotate a --overlap 0 --key-file key", "");
    assert!(switched.starts_with("a: switch\n"), "{switched}");
    assert_eq!(place.good("get a --key-file key", ""), new);
    assert_eq!(place.good("get a --stage previous --key-file key", ""), "old");
    assert!(place.good("rotate a --grace 0 --key-file key", "").starts_with("a: retire\n"));
    assert!(place.bad("get a --stage previous --key-file key").contains("there is no secret"));
    assert!(place.bad("rotate a --step retire --key-file key").contains("there is no previous version"));
}

#[test]
fn a_lost_key_and_its_shares() {
    let place = Place::new();
    place.good("init --key-file key", "");
    place.good("set a --key-file key", "kept");
    place.good("export --threshold 2 --shares 3 --into shares --key-file key", "");
    std::fs::remove_file(place.at("key")).unwrap();
    assert!(place.bad("get a --key-file key").contains("there is no key"));
    let few = place.bad("recover --share shares/share-1-of-3.txt --new-passphrase-file passphrase");
    assert!(few.contains("too few"), "{few}");
    let two = "recover --share shares/share-3-of-3.txt --share shares/share-1-of-3.txt";
    place.good(&format!("{two} --new-passphrase-file passphrase"), "");
    assert_eq!(place.good("get a --passphrase-file passphrase", ""), "kept");
    // The vault has a new key, which these are no shares of.
    let again = place.bad(&format!("{two} --new-passphrase-file passphrase"));
    assert!(again.contains("does not open"), "{again}");
    let mode = std::fs::metadata(place.at("shares/share-1-of-3.txt")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777, 0o600);
}

#[test]
fn a_new_key_and_errors_that_say_what_to_do() {
    let place = Place::new();
    assert!(place.bad("list --key-file key").contains("hint: `secrets init` makes a vault"));
    place.good("init --key-file key", "");
    assert!(place.bad("init --key-file key").contains("there already"));
    place.good("rekey --key-file key --new-passphrase-file passphrase", "");
    let wrong = place.bad("list --key-file key");
    assert!(wrong.contains("does not open") && wrong.contains("hint: if the key is lost"), "{wrong}");
    assert!(place.bad("get nothing --passphrase-file passphrase").contains("hint: `secrets list`"));
    let mut bytes = std::fs::read(place.at("secrets.vault")).unwrap();
    bytes[250] ^= 1;
    std::fs::write(place.at("secrets.vault"), bytes).unwrap();
    assert!(place.bad("verify --passphrase-file passphrase").contains("damaged"));
    assert!(place.bad("get a --key-file key --passphrase-file passphrase").contains("cannot be used with"));
    // What looks like a value in place of a name is not repeated.
    let name = place.bad("set PLANTED!value --key-file key");
    assert!(!name.contains("PLANTED"), "{name}");
}
