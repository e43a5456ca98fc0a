//! What comes through a guard: no secret, nobody who was erased, and proofs that hold.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use buttress_audit::redact::Redactor;
use buttress_audit::subject::{Field, MasterKey, Policy, SubjectId, Subjects, SubjectsConfig};
use buttress_audit::verify::{VerifyOptions, verify};
use buttress_audit::{AuditConfig, ERASE, Entry, Error, Guard, Log, Record};
use buttress_core::{Ctx, Event, EventLog, Outcome};

const SECRETS: [&str; 4] = [
    "hunter2hunter2",
    "4111 1111 1111 1111",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "lovelace@example.org",
];

fn subjects(folder: &Path) -> Subjects {
    let mut config = SubjectsConfig::default();
    config.path = folder.join("subjects");
    Subjects::open(&config, &MasterKey::new([7; 32])).unwrap()
}

fn policy() -> Policy {
    Policy::new(["actor", "data.mail"].map(|field| field.parse::<Field>().unwrap()))
}

fn entry() -> Entry {
    let [password, card, token, mail] = SECRETS;
    Entry::new(SystemTime::UNIX_EPOCH, "user.change", Outcome::Success)
        .actor(mail)
        .target("profile-7")
        .detail(format!("by {mail} with {token}"))
        .with("password", password)
        .with("note", format!("paid by {card}"))
        .with("mail", mail)
}

fn read(log: &Log) -> Vec<Record> {
    log.reader().unwrap().read(0).unwrap().map(|found| found.unwrap().0).collect()
}

#[tokio::test]
async fn no_secret_and_nobody_erased_is_in_any_file_and_every_proof_holds() {
    let there = tempfile::tempdir().unwrap();
    let folder = there.path().join("log");
    let (log, seed) = Log::create(&AuditConfig::new(&folder), &Ctx::default()).await.unwrap();
    let keys = subjects(there.path());
    let guard = Guard::new(log.clone(), Redactor::default()).sealing(keys.clone(), policy());
    let receipt = guard.append_about(SECRETS[3], entry()).await.unwrap();
    let before = log.checkpoint().await.unwrap();
    let proof = log.prove_inclusion(receipt.sequence, 1).unwrap();

    let mut shown = read(&log).remove(0).entry;
    keys.reveal(&mut shown);
    assert_eq!((shown.actor.as_deref(), &shown.data["mail"]), (Some(SECRETS[3]), &SECRETS[3].into()));

    let ada = guard.erase(SECRETS[3], "support").await.unwrap().unwrap();
    assert_eq!(guard.erase(SECRETS[3], "support").await.unwrap(), None);
    let records = read(&log);
    assert_eq!(records.len(), 2);
    let told = &records[1].entry;
    assert_eq!((told.action.as_str(), told.actor.as_deref()), (ERASE, Some("support")));
    assert_eq!(told.target.as_deref().and_then(SubjectId::parse), Some(ada));
    let mut shown = records[0].entry.clone();
    keys.reveal(&mut shown);
    assert_eq!(shown.actor.as_deref(), Some("[erased]"));

    proof.verify(&receipt.leaf_hash, before.checkpoint()).unwrap();
    let after = log.checkpoint().await.unwrap();
    log.prove_consistency(1, 2).unwrap().verify(before.checkpoint(), after.checkpoint()).unwrap();
    log.close().await.unwrap();
    assert!(verify(&folder, &VerifyOptions::new().seed(seed).checkpoint(before)).unwrap().is_clean());

    let mut files = vec![there.path().join("subjects")];
    files.extend(fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()));
    for file in files {
        let bytes = fs::read(&file).unwrap();
        for secret in SECRETS {
            assert!(
                !bytes.windows(secret.len()).any(|part| part == secret.as_bytes()),
                "{secret} is in {}",
                file.display()
            );
        }
    }
}

#[tokio::test]
async fn an_erasure_that_was_not_told_is_told_later() {
    let there = tempfile::tempdir().unwrap();
    let (log, _seed) =
        Log::create(&AuditConfig::new(there.path().join("log")), &Ctx::default()).await.unwrap();
    let keys = subjects(there.path());
    let guard = Guard::new(log.clone(), Redactor::default()).sealing(keys.clone(), policy());
    let ada = keys.make("ada").unwrap();
    keys.erase("ada", SystemTime::UNIX_EPOCH).unwrap(); // And here the program stopped.
    assert_eq!(guard.tell_erasures().await.unwrap(), 1);
    assert_eq!(guard.tell_erasures().await.unwrap(), 0);
    assert_eq!(read(&log)[0].entry.target, Some(ada.to_string()));

    keys.make("bob").unwrap();
    log.close().await.unwrap();
    assert!(matches!(guard.erase("bob", "x").await, Err(Error::Closed)));
    assert_eq!(keys.find("bob"), None, "erased all the same");
    assert_eq!(keys.untold().len(), 1, "and to be told");
    let bare = Guard::new(log, Redactor::default());
    assert!(matches!(bare.append_about("ada", entry()).await, Err(Error::Unsealed)));
}

#[test]
fn events_are_cleaned_on_their_way() {
    let events = EventLog::default();
    let sink = Guard::redacting(Redactor::default(), Arc::new(events.clone()));
    let [_, card, token, mail] = SECRETS;
    sink.emit(
        Event::new(SystemTime::UNIX_EPOCH, "a.b", Outcome::Success)
            .actor(mail)
            .target(token)
            .detail(format!("{card} {mail}")),
    );
    let event = &events.events()[0];
    assert_eq!(event.actor.as_deref(), Some(mail));
    assert_eq!(event.target.as_deref(), Some("[redacted: key]"));
    assert_eq!(event.detail.as_deref(), Some("[redacted: card] [redacted: email]"));
}
