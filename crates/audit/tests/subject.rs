//! Subjects: sealed while they are known, forgotten when they are erased, whatever happens to the machine.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::SystemTime;

use buttress_audit::subject::{Field, MasterKey, Opened, Policy, Subjects, SubjectsConfig};
use buttress_audit::{Entry, Error, Value};
use buttress_core::Outcome;
use proptest::prelude::*;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

fn config(folder: &Path) -> SubjectsConfig {
    let mut config = SubjectsConfig::default();
    config.path = folder.join("keys/subjects");
    config
}

fn master() -> MasterKey {
    MasterKey::new([7; 32])
}

fn policy() -> Policy {
    Policy::new(["actor", "detail", "data.mail", "data.deep"].map(|field| field.parse::<Field>().unwrap()))
}

fn entry() -> Entry {
    let deep =
        BTreeMap::from([("n".to_owned(), Value::Int(1)), ("t".to_owned(), Value::Text("ada".to_owned()))]);
    Entry::new(NOW, "user.change", Outcome::Success)
        .actor("ada")
        .target("profile-7")
        .detail("ada has a new address")
        .with("mail", "ada@example.org")
        .with("deep", vec![Value::Map(deep), Value::Bool(true)])
        .with("kind", "mail")
}

#[test]
fn what_the_policy_names_is_sealed_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let subjects = Subjects::open(&config(folder.path()), &master()).unwrap();
    let mut sealed = entry();
    let ada = subjects.protect(&policy(), &mut sealed, "ada").unwrap();
    assert!(!format!("{sealed:?}").contains("ada"), "{sealed:?}");
    assert_eq!((sealed.target.as_deref(), &sealed.data["kind"]), (Some("profile-7"), &Value::from("mail")));
    assert!(sealed.actor.as_ref().unwrap().starts_with(&ada.prefix()));

    let again = sealed.clone();
    let bob = subjects.protect(&policy(), &mut sealed, "bob").unwrap();
    assert!(bob != ada && again == sealed, "what is sealed stays");

    subjects.reveal(&mut sealed);
    assert_eq!(sealed, entry());
}

#[test]
fn an_erased_subject_is_gone_from_the_file_also_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let subjects = Subjects::open(&config, &master()).unwrap();
    let mut of_ada = entry();
    let ada = subjects.protect(&policy(), &mut of_ada, "ada").unwrap();
    let bob = subjects.make("bob").unwrap();
    let of_bob = subjects.seal(bob, "actor", "bob").unwrap();
    let before = std::fs::read(&config.path).unwrap();

    assert_eq!(subjects.erase("ada", NOW).unwrap(), Some(ada));
    assert_eq!(subjects.erase("ada", NOW).unwrap(), None);
    let after = std::fs::read(&config.path).unwrap();
    assert_eq!(after.len(), before.len());
    assert!(after[128 + 20..128 + 112].iter().all(|byte| *byte == 0), "name and key are overwritten");
    assert_eq!(after[256..], before[256..], "nobody else's are");

    drop(subjects);
    let subjects = Subjects::open(&config, &master()).unwrap();
    assert_eq!(subjects.read("actor", of_ada.actor.as_ref().unwrap()), Opened::Erased(ada));
    assert_eq!(subjects.read("actor", &of_bob), Opened::Text("bob".to_owned()));
    subjects.reveal(&mut of_ada);
    assert_eq!((of_ada.actor.as_deref(), &of_ada.data["mail"]), (Some("[erased]"), &Value::from("[erased]")));
    assert!(matches!(subjects.seal(ada, "actor", "x"), Err(Error::NoSubject { .. })));

    assert_eq!(subjects.untold(), [ada]);
    subjects.told(ada).unwrap();
    drop(subjects);
    let subjects = Subjects::open(&config, &master()).unwrap();
    assert!(subjects.untold().is_empty());
    let back = subjects.make("ada").unwrap();
    assert_ne!(back, ada, "one who comes back is another");
}

#[test]
fn a_value_is_bound_to_its_field_and_its_file() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let subjects = Subjects::open(&config(here.path()), &master()).unwrap();
    let ada = subjects.make("ada").unwrap();
    let sealed = subjects.seal(ada, "actor", "ada").unwrap();
    assert_eq!(subjects.read("target", &sealed), Opened::Unknown(ada));
    let other = Subjects::open(&config(there.path()), &master()).unwrap();
    assert_eq!(other.read("actor", &sealed), Opened::Unknown(ada));
    assert_eq!(subjects.read("actor", "~sealed:1:zz:"), Opened::Plain);
    assert_ne!(sealed, subjects.seal(ada, "actor", "ada").unwrap());
}

#[test]
fn one_writes_many_read_and_no_other_key_opens() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.max = 1;
    let subjects = Subjects::open(&config, &master()).unwrap();
    let ada = subjects.make("ada").unwrap();
    assert!(matches!(subjects.make("bob"), Err(Error::TooManySubjects { max: 1 })));
    assert!(matches!(Subjects::open(&config, &master()), Err(Error::SubjectsLocked { .. })));
    let reader = Subjects::open_to_read(&config, &master()).unwrap();
    assert_eq!(reader.find("ada"), Some(ada));
    assert!(matches!(reader.erase("ada", NOW), Err(Error::SubjectsClosed { .. })));
    let wrong = Subjects::open_to_read(&config, &MasterKey::new([8; 32]));
    assert!(wrong.is_err_and(|error| error.to_string().contains("another master key")));
    assert_eq!(std::fs::metadata(&config.path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_flipped_bit_anywhere_is_found_or_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    Subjects::open(&config, &master()).unwrap().make("ada").unwrap();
    let good = std::fs::read(&config.path).unwrap();
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&config.path, &bad).unwrap();
        assert!(
            matches!(Subjects::open_to_read(&config, &master()), Err(Error::Subjects { .. })),
            "bit {bit}"
        );
    }
}

#[test]
fn the_file_cut_anywhere_opens_with_all_subjects_that_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let subjects = Subjects::open(&config, &master()).unwrap();
    let (ada, _) = (subjects.make("ada").unwrap(), subjects.make("bob").unwrap());
    drop(subjects);
    let good = std::fs::read(&config.path).unwrap();
    for length in 0..good.len() {
        std::fs::write(&config.path, &good[..length]).unwrap();
        let subjects = Subjects::open(&config, &master()).unwrap();
        assert_eq!(subjects.find("ada"), (length >= 256).then_some(ada), "{length} bytes");
        assert_eq!(subjects.find("bob"), None);
        subjects.make("cyd").unwrap();
        drop(subjects);
        assert!(Subjects::open(&config, &master()).unwrap().find("cyd").is_some());
    }
}

#[test]
fn an_erasure_that_was_cut_short_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let subjects = Subjects::open(&config, &master()).unwrap();
    let (ada, bob) = (subjects.make("ada").unwrap(), subjects.make("bob").unwrap());
    drop(subjects);
    let mut bytes = std::fs::read(&config.path).unwrap();
    bytes[128 + 20..128 + 112].fill(0);
    std::fs::write(&config.path, &bytes).unwrap();
    let subjects = Subjects::open(&config, &master()).unwrap();
    assert_eq!((subjects.untold(), subjects.find("ada"), subjects.find("bob")), (vec![ada], None, Some(bob)));
    drop(subjects);
    assert_eq!(Subjects::open_to_read(&config, &master()).unwrap().untold(), [ada]);
}

#[test]
fn nothing_secret_is_shown() {
    let key = MasterKey::parse(&"ab".repeat(32)).unwrap();
    assert_eq!(format!("{key:?}"), "MasterKey(***)");
    let error = MasterKey::parse("hunter2").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let subjects = Subjects::open(&config, &key).unwrap();
    subjects.make("ada@example.org").unwrap();
    assert_eq!(format!("{subjects:?}"), "Subjects(1 subjects)");
    let file = std::fs::read(&config.path).unwrap();
    assert!(!file.windows(3).any(|bytes| bytes == b"ada"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Against a set: subjects made, erased and reopened in any order.
    #[test]
    fn the_file_remembers_as_a_set_would(steps in prop::collection::vec((0..3_u8, 0..5_u8), 1..25)) {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let mut subjects = Subjects::open(&config, &master()).unwrap();
        let (mut alive, mut erased) = (BTreeMap::new(), BTreeSet::new());
        for (step, who) in steps {
            let name = format!("s{who}");
            match step {
                0 => {
                    let id = subjects.make(&name).unwrap();
                    prop_assert_eq!(*alive.entry(name).or_insert(id), id);
                }
                1 => {
                    let id = subjects.erase(&name, NOW).unwrap();
                    prop_assert_eq!(id, alive.remove(&name));
                    erased.extend(id);
                }
                _ => {
                    drop(subjects);
                    subjects = Subjects::open(&config, &master()).unwrap();
                }
            }
            for (name, id) in &alive {
                prop_assert_eq!(subjects.find(name), Some(*id));
            }
            prop_assert_eq!(subjects.untold().into_iter().collect::<BTreeSet<_>>(), erased.clone());
        }
    }
}
