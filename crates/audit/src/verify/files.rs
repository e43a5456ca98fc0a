//! What was promised of the log: its seals, its checkpoints, and checkpoints from elsewhere.

use std::fs;

use zeroize::Zeroize;

use super::{FindingKind, Report, VerifyOptions};
use crate::layout::{Layout, Meta};
use crate::note::notes;
use crate::seal::{EpochKey, SLOT, Seal, seals};
use crate::{Error, FssSeed, Hash};

/// That the log had so many entries with this root.
#[derive(Debug)]
pub(super) struct Promise {
    pub(super) size: u64,
    pub(super) root: Hash,
    /// Only seals tell it.
    pub(super) chain: Option<Hash>,
    pub(super) kind: FindingKind,
    pub(super) who: String,
}

pub(super) fn promises(
    layout: &Layout,
    meta: &Meta,
    options: &VerifyOptions,
    report: &mut Report,
) -> Result<Vec<Promise>, Error> {
    let mut promises = Vec::new();
    sealed(layout, meta, options, report, &mut promises)?;
    signed(layout, meta, options, report, &mut promises)?;
    promises.sort_by_key(|promise| promise.size);
    Ok(promises)
}

fn sealed(
    layout: &Layout,
    meta: &Meta,
    options: &VerifyOptions,
    report: &mut Report,
    promises: &mut Vec<Promise>,
) -> Result<(), Error> {
    // The key first: a seal that comes in between makes it older, which is allowed by one.
    let key = read_key(layout, report)?;
    let text = match Layout::read_text(&layout.seals()) {
        Err(Error::Damaged { problem, .. }) => {
            report.find(FindingKind::Malformed, "seals", None, problem);
            String::new()
        }
        text => text?,
    };
    let mut with = options.seed.as_ref().map(FssSeed::first);
    let (mut count, mut size) = (0, 0);
    for seal in seals(&text) {
        match seal {
            Ok(seal) => {
                promises.push(check_seal(&seal, (count, size), meta, with.as_ref(), report));
                size = seal.stand.size;
            }
            Err(error) => {
                let problem = format!("line {}: {error}", count + 1);
                report.find(FindingKind::Seal, "seals", None, problem);
            }
        }
        count += 1;
        with = with.map(|key| key.next());
    }
    if options.seed.is_some() {
        report.sealed = Some(size);
    }
    let Some(key) = key else { return Ok(()) };
    // Older by one where a crash came between seal and key, or a seal while this reads. `with` is that of the next seal.
    let last = (0..count.saturating_sub(1))
        .fold(options.seed.as_ref().map(FssSeed::first), |key, _| key.map(|key| key.next()));
    let follows = match (with, last) {
        (Some(next), Some(last)) => key.is(&next) || (count > 0 && key.is(&last)),
        _ => key.epoch() == count || key.epoch() + 1 == count,
    };
    report.end_of_seals = options.seed.is_some().then_some(follows);
    if !follows {
        let problem =
            format!("its key (epoch {}) does not follow the {count} seals that are there", key.epoch());
        report.find(FindingKind::Seal, "seal.key", None, problem);
    }
    Ok(())
}

/// `expected`: its epoch, and the size of the seal before it.
fn check_seal(
    seal: &Seal,
    expected: (u64, u64),
    meta: &Meta,
    key: Option<&EpochKey>,
    report: &mut Report,
) -> Promise {
    let Seal { epoch, stand, .. } = seal;
    let mut wrong = |problem: &str| {
        let problem = format!("seal {epoch}: {problem}");
        report.find(FindingKind::Seal, "seals", Some(stand.size), problem);
    };
    if *epoch != expected.0 {
        wrong("it is not in its place; one is missing or put in");
    } else if key.is_some_and(|key| !key.made(&meta.id, seal)) {
        wrong("it was not made with the key of its epoch");
    }
    if stand.size <= expected.1 {
        wrong("it does not have more entries than the one before it");
    }
    let (size, root, chain) = (stand.size, stand.root, Some(stand.chain));
    Promise { size, root, chain, kind: FindingKind::Seal, who: format!("seal {epoch}") }
}

/// The key of now. A copy of a log may be without it.
fn read_key(layout: &Layout, report: &mut Report) -> Result<Option<EpochKey>, Error> {
    let path = layout.seal_key();
    let mut bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(Error::disk("read", &path)(error)),
    };
    let key = bytes.chunks(SLOT).filter_map(EpochKey::from_slot).max_by_key(EpochKey::epoch);
    bytes.zeroize();
    if key.is_none() {
        report.find(FindingKind::Seal, "seal.key", None, "it has no key");
    }
    Ok(key)
}

fn signed(
    layout: &Layout,
    meta: &Meta,
    options: &VerifyOptions,
    report: &mut Report,
    promises: &mut Vec<Promise>,
) -> Result<(), Error> {
    let verifier = options.verifier.as_ref().unwrap_or(&meta.verifier);
    if *verifier != meta.verifier {
        report.find(FindingKind::Checkpoint, "log", None, "its verifier key is another than the one given");
    }
    let text = match Layout::read_text(&layout.checkpoints()) {
        Err(Error::Damaged { problem, .. }) => {
            report.find(FindingKind::Malformed, "checkpoints", None, problem);
            String::new()
        }
        text => text?,
    };
    let own = notes(&text).into_iter().map(|note| (FindingKind::Checkpoint, note));
    let elsewhere = options.checkpoints.iter().map(|note| (FindingKind::Witness, Ok(note.clone())));
    let mut last = 0;
    for (number, (kind, note)) in (1..).zip(own.chain(elsewhere)) {
        let who = if kind == FindingKind::Witness { "a checkpoint from elsewhere" } else { "checkpoint" };
        let who = if kind == FindingKind::Witness { who.to_owned() } else { format!("{who} {number}") };
        match note.and_then(|note| note.verify(verifier).cloned()) {
            Ok(checkpoint) if checkpoint.origin != verifier.name() => {
                report.find(kind, "checkpoints", None, format!("{who} is of another log"));
            }
            Ok(checkpoint) => {
                let (size, root) = (checkpoint.size, checkpoint.root);
                if kind == FindingKind::Witness {
                    report.witnessed = report.witnessed.max(Some(size));
                } else if size < last {
                    report.find(
                        kind,
                        "checkpoints",
                        Some(size),
                        format!("{who} is smaller than the one before it"),
                    );
                } else {
                    (last, report.signed) = (size, size);
                }
                promises.push(Promise { size, root, chain: None, kind, who });
            }
            Err(error) => report.find(kind, "checkpoints", None, format!("{who}: {error}")),
        }
    }
    Ok(())
}
