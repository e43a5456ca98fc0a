//! `prove` and `checkpoints`.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use buttress_audit::merkle::leaf_hash;
use buttress_audit::{LogReader, LogTree, SignedCheckpoint, json};
use serde_json::{Value as Json, json};

use crate::Failed;
use crate::args::{Checkpoints, ProofOut, Prove, What};
use crate::show::{Table, clean};

pub(crate) fn prove(args: &Prove) -> Result<(), Failed> {
    let (proof, text, out) = match &args.what {
        What::Inclusion { folder, sequence, out } => {
            let (proof, text) = inclusion(folder, *sequence, out.size)?;
            (proof, text, out)
        }
        What::Consistency { folder, old, out } => {
            let (proof, text) = consistency(folder, *old, out.size)?;
            (proof, text, out)
        }
    };
    tell(&proof, &text, out)
}

fn inclusion(folder: &Path, sequence: u64, size: Option<u64>) -> Result<(Json, String), Failed> {
    let tree = LogTree::open(folder)?;
    let (size, note) = anchor(folder, &tree, size, sequence + 1)?;
    let proof = tree.prove_inclusion(sequence, size)?;
    let mut text = format!(
        "entry {sequence} is in the log of {size} entries\n\nleaf  {}\nroot  {}\n",
        proof.leaf.to_base64(),
        proof.root.to_base64()
    );
    for (number, hash) in proof.hashes.iter().enumerate() {
        text.extend([format!("{:4}  {}\n", number + 1, hash.to_base64())]);
    }
    // Retention may have dropped the entry; the proof is there all the same.
    let record = LogReader::open(folder)?.get(sequence).ok();
    let (bytes, fields) = match &record {
        None => (Json::Null, Json::Null),
        Some(record) => {
            let bytes = record.encode()?;
            if leaf_hash(&bytes) != proof.leaf {
                return Err(Failed::Other(format!(
                    "entry {sequence} is not the one in the tree: run `audit verify`"
                )));
            }
            (json!(data_encoding::BASE64.encode(&bytes)), Json::Object(json::record(record)))
        }
    };
    let json =
        json!({ "kind": "inclusion", "proof": proof, "entry": fields, "bytes": bytes, "checkpoint": note });
    Ok((json, with_note(text, note.as_deref())))
}

fn consistency(folder: &Path, old: u64, size: Option<u64>) -> Result<(Json, String), Failed> {
    let tree = LogTree::open(folder)?;
    let (size, note) = anchor(folder, &tree, size, old)?;
    let proof = tree.prove_consistency(old, size)?;
    let mut text = format!(
        "the log of {old} entries is how that of {size} entries begins\n\nold   {}\nroot  {}\n",
        proof.old_root.to_base64(),
        proof.root.to_base64()
    );
    for (number, hash) in proof.hashes.iter().enumerate() {
        text.extend([format!("{:4}  {}\n", number + 1, hash.to_base64())]);
    }
    let json = json!({ "kind": "consistency", "proof": proof, "checkpoint": note });
    Ok((json, with_note(text, note.as_deref())))
}

/// For which size, and the checkpoint of that size: the last checkpoint's, if it reaches far enough; else the log's.
fn anchor(
    folder: &Path,
    tree: &LogTree,
    size: Option<u64>,
    least: u64,
) -> Result<(u64, Option<String>), Failed> {
    let (notes, _) = buttress_audit::checkpoints(folder)?;
    let of = |note: &SignedCheckpoint| note.checkpoint().size;
    let last = notes.iter().map(of).filter(|have| *have >= least && *have <= tree.size()).max();
    let size = size.or(last).unwrap_or(tree.size());
    let note = notes.iter().rev().find(|note| of(note) == size);
    Ok((size, note.map(ToString::to_string)))
}

fn with_note(text: String, note: Option<&str>) -> String {
    match note {
        None => text + "\nno checkpoint of this size is signed; the root is the log's word alone\n",
        Some(note) => format!("{text}\nthe checkpoint that has this root:\n\n{note}"),
    }
}

fn tell(proof: &Json, text: &str, to: &ProofOut) -> Result<(), Failed> {
    let pretty = format!("{proof:#}\n");
    if let Some(path) = &to.out {
        let file = OpenOptions::new().write(true).create_new(true).open(path);
        let mut file =
            file.map_err(|error| Failed::Other(format!("cannot make {}: {error}", path.display())))?;
        file.write_all(pretty.as_bytes())?;
        file.sync_all()?;
    }
    let shown = if to.json { &pretty } else { text };
    Ok(io::stdout().lock().write_all(shown.as_bytes())?)
}

pub(crate) fn checkpoints(args: &Checkpoints) -> Result<(), Failed> {
    let (notes, verifier) = buttress_audit::checkpoints(&args.folder)?;
    let mut out = io::stdout().lock();
    let mut rows = vec![["SIZE", "ROOT", "SIGNED", "ORIGIN"].map(str::to_owned).to_vec()];
    for note in &notes {
        let (checkpoint, signed) = (note.checkpoint(), note.verify(&verifier).is_ok());
        if args.json {
            let fields = json!({ "checkpoint": checkpoint, "signed": signed, "note": note.to_string() });
            writeln!(out, "{fields}")?;
        }
        let word = if signed { "yes" } else { "NO" };
        rows.push(vec![
            checkpoint.size.to_string(),
            checkpoint.root.to_base64(),
            word.to_owned(),
            clean(&checkpoint.origin),
        ]);
    }
    if !args.json {
        let mut table = Table::default();
        table.fit(&rows);
        table.write(&rows, &mut out)?;
    }
    Ok(())
}
