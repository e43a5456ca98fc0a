//! Signed checkpoints: how large the log is and the root of its tree, as C2SP tlog-checkpoint in a C2SP signed-note.
//!
//! A checkpoint that was sent elsewhere is what the log is held against later: whoever holds one can tell whether anything before
//! it was changed, also when the one who changed it held every key.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE64, HEXLOWER};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use zeroize::Zeroizing;

use crate::merkle::Hash;
use crate::{Error, random};

/// No note is longer.
const LONGEST_NOTE: usize = 64 << 10;
/// The kind of signature in a note: Ed25519 over its text.
const ALGORITHM: u8 = 1;

/// How large a log was, and the root of its tree then.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Checkpoint {
    /// The log's name: its first line, a URL without a scheme.
    pub origin: String,
    /// How many entries it had.
    pub size: u64,
    /// The root of their tree.
    pub root: Hash,
}

/// A [`Checkpoint`] in its signed note. `Display` and [`FromStr`] are the note as others know it.
///
/// Reading one does not check the signature: [`verify`](SignedCheckpoint::verify) does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    /// With the empty line before the signatures left out.
    text: String,
    signatures: Vec<Signature>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Signature {
    name: String,
    key_id: [u8; 4],
    bytes: Vec<u8>,
}

/// What signs checkpoints. Shown without its key.
pub struct NoteSigner {
    name: String,
    pair: Ed25519KeyPair,
}

/// What checks the signatures of a [`NoteSigner`]: `NAME+ID+KEY`, as C2SP writes it. No secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteVerifier {
    name: String,
    key: [u8; 32],
}

fn good_name(name: &str) -> bool {
    let bad = |c: char| c.is_whitespace() || c == '+' || c.is_control();
    !name.is_empty() && name.len() <= 255 && !name.contains(bad)
}

/// The first four bytes of SHA-256 of the name, a line feed, the algorithm and the key.
fn key_id(name: &str, key: &[u8]) -> [u8; 4] {
    Hash::of(&[name.as_bytes(), b"\n", &[ALGORITHM], key]).start()
}

impl NoteSigner {
    /// A signer with this name and private key (RFC 8032's 32 bytes).
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] for a name that is empty or has spaces or a plus.
    pub fn from_seed(name: impl Into<String>, seed: &[u8; 32]) -> Result<Self, Error> {
        let name = name.into();
        if !good_name(&name) {
            return Err(Error::malformed("the name of a key is empty, or has a space or a plus"));
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(seed)
            .map_err(|_| Error::malformed("the private key is no Ed25519 key"))?;
        Ok(Self { name, pair })
    }

    /// A new private key.
    pub(crate) fn fresh_seed() -> Result<Zeroizing<[u8; 32]>, Error> {
        let mut seed = Zeroizing::new([0; 32]);
        random(&mut *seed)?;
        Ok(seed)
    }

    /// What checks its signatures.
    #[must_use]
    pub fn verifier(&self) -> NoteVerifier {
        let mut key = [0; 32];
        key.iter_mut().zip(self.pair.public_key().as_ref()).for_each(|(to, from)| *to = *from);
        NoteVerifier { name: self.name.clone(), key }
    }

    /// Signs a checkpoint.
    #[must_use]
    pub fn sign(&self, checkpoint: Checkpoint) -> SignedCheckpoint {
        let text = format!("{}\n{}\n{}\n", checkpoint.origin, checkpoint.size, checkpoint.root.to_base64());
        let bytes = self.pair.sign(text.as_bytes()).as_ref().to_vec();
        let key_id = key_id(&self.name, self.pair.public_key().as_ref());
        let signatures = vec![Signature { name: self.name.clone(), key_id, bytes }];
        SignedCheckpoint { checkpoint, text, signatures }
    }
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoteSigner").field("name", &self.name).finish_non_exhaustive()
    }
}

impl NoteVerifier {
    /// The name of the key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for NoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = HEXLOWER.encode(&key_id(&self.name, &self.key));
        let key = BASE64.encode(&[&[ALGORITHM], &self.key[..]].concat());
        write!(f, "{}+{id}+{key}", self.name)
    }
}

impl FromStr for NoteVerifier {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::malformed("a verifier key is not `NAME+ID+KEY` with an Ed25519 key");
        let mut parts = text.trim().splitn(3, '+');
        let (name, id, key) = (
            parts.next().unwrap_or_default(),
            parts.next().ok_or_else(wrong)?,
            parts.next().ok_or_else(wrong)?,
        );
        let key = crate::wire::from_base64(key).ok_or_else(wrong)?;
        let key: [u8; 32] = match key.split_first() {
            Some((&ALGORITHM, key)) => key.try_into().map_err(|_| wrong())?,
            _ => return Err(wrong()),
        };
        if !good_name(name) || HEXLOWER.encode(&key_id(name, &key)) != id {
            return Err(wrong());
        }
        Ok(Self { name: name.to_owned(), key })
    }
}

impl SignedCheckpoint {
    /// What it says, whoever signed it.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// What it says, if the key signed it. Signatures of other keys are passed over, as signed-note wants it.
    ///
    /// # Errors
    ///
    /// [`Error::Proof`].
    pub fn verify(&self, verifier: &NoteVerifier) -> Result<&Checkpoint, Error> {
        let id = key_id(&verifier.name, &verifier.key);
        let mut ours =
            self.signatures.iter().filter(|by| by.name == verifier.name && by.key_id == id).peekable();
        if ours.peek().is_none() {
            return Err(Error::Proof { problem: "the checkpoint is not signed by the key" });
        }
        let key = UnparsedPublicKey::new(&ED25519, verifier.key);
        if ours.all(|signature| key.verify(self.text.as_bytes(), &signature.bytes).is_ok()) {
            Ok(&self.checkpoint)
        } else {
            Err(Error::Proof { problem: "the checkpoint's signature is wrong" })
        }
    }
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for signature in &self.signatures {
            let bytes = [&signature.key_id, &signature.bytes[..]].concat();
            writeln!(f, "\u{2014} {} {}", signature.name, BASE64.encode(&bytes))?;
        }
        Ok(())
    }
}

impl FromStr for SignedCheckpoint {
    type Err = Error;

    fn from_str(note: &str) -> Result<Self, Error> {
        if note.len() > LONGEST_NOTE || note.contains(|c: char| c.is_control() && c != '\n') {
            return Err(Error::malformed("a note is over 64 KiB, or has control characters"));
        }
        let end = note.rfind("\n\n").ok_or_else(|| Error::malformed("a note has no signatures"))?;
        let (text, signed) = note.split_at(end + 1);
        let signed = signed.strip_prefix('\n').unwrap_or_default();
        if signed.is_empty() || !signed.ends_with('\n') {
            return Err(Error::malformed("a note does not end with a signature"));
        }
        let signatures = signed.lines().map(signature).collect::<Result<Vec<_>, _>>()?;
        let mut lines = text.lines();
        let mut line =
            || lines.next().ok_or_else(|| Error::malformed("a checkpoint has fewer than three lines"));
        let (origin, digits, root) = (line()?.to_owned(), line()?, line()?);
        let size: u64 =
            digits.parse().map_err(|_| Error::malformed("the size of a checkpoint is no number"))?;
        if origin.is_empty() || size.to_string() != digits {
            return Err(Error::malformed("a checkpoint has no origin, or its size is not written plainly"));
        }
        let root = Hash::from_base64(root)?;
        let checkpoint = Checkpoint { origin, size, root };
        Ok(Self { checkpoint, text: text.to_owned(), signatures })
    }
}

fn signature(line: &str) -> Result<Signature, Error> {
    let wrong = || Error::malformed("a signature is not `\u{2014} NAME BASE64`");
    let (name, bytes) =
        line.strip_prefix("\u{2014} ").and_then(|rest| rest.split_once(' ')).ok_or_else(wrong)?;
    let bytes = crate::wire::from_base64(bytes).ok_or_else(wrong)?;
    let (key_id, bytes) = bytes.split_first_chunk().ok_or_else(wrong)?;
    if !good_name(name) || bytes.is_empty() {
        return Err(wrong());
    }
    Ok(Signature { name: name.to_owned(), key_id: *key_id, bytes: bytes.to_vec() })
}

/// The notes of a file that holds them one after the other, an empty line after each. What follows the last whole one is left out:
/// a crash tore it.
pub(crate) fn notes(file: &str) -> Vec<Result<SignedCheckpoint, Error>> {
    let mut paragraphs = file.split_inclusive("\n\n");
    let mut notes = Vec::new();
    while let Some(text) = paragraphs.next() {
        match paragraphs.next().map(|signed| signed.strip_suffix("\n\n")) {
            Some(Some(signed)) => notes.push(format!("{text}{signed}\n").parse()),
            // No crash makes a text of more than its three lines.
            None if text.lines().count() > 4 => notes.push(Err(Error::malformed("a note has no signatures"))),
            Some(None) | None => break,
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// The example of C2SP's signed-note, and its tlog-checkpoint form.
    #[test]
    fn the_example_of_signed_note_verifies() {
        let key: NoteVerifier =
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".parse().unwrap();
        let signed = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        let text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
        let key_id = key_id(&key.name, &key.key);
        let parsed = signature(signed.trim_end()).unwrap();
        assert_eq!(parsed.key_id, key_id);
        let check = UnparsedPublicKey::new(&ED25519, key.key);
        check.verify(text.as_bytes(), &parsed.bytes).unwrap();
        assert_eq!(key.to_string(), "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
    }

    fn signer() -> NoteSigner {
        NoteSigner::from_seed("example.com/audit", &[7; 32]).unwrap()
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: "example.com/audit".to_owned(), size: 42, root: Hash([9; 32]) }
    }

    #[test]
    fn a_note_reads_as_written_and_every_other_is_refused() {
        let signed = signer().sign(checkpoint());
        let note = signed.to_string();
        let verifier: NoteVerifier = signer().verifier().to_string().parse().unwrap();
        let read: SignedCheckpoint = note.parse().unwrap();
        assert_eq!(read, signed);
        assert_eq!(read.verify(&verifier).unwrap(), &checkpoint());
        for at in 0..note.len() {
            let mut changed = note.clone().into_bytes();
            changed.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1);
            if let Ok(text) = String::from_utf8(changed)
                && let Ok(read) = text.parse::<SignedCheckpoint>()
            {
                assert!(read.verify(&verifier).is_err(), "byte {at}: {text}");
            }
        }
        let other = NoteSigner::from_seed("example.com/audit", &[8; 32]).unwrap();
        assert!(read.verify(&other.verifier()).is_err());
        assert!(!format!("{:?}", signer()).contains("pair"));
    }

    #[test]
    fn a_signature_is_written_in_one_way() {
        let note = signer().sign(checkpoint()).to_string();
        let whole = note.trim_end().to_owned();
        // The same bytes in two padded pieces, which some decoders take.
        let (head, _) = whole.rsplit_once(' ').unwrap();
        let bytes = signature(whole.lines().last().unwrap()).unwrap();
        let bytes = [&bytes.key_id[..], &bytes.bytes].concat();
        let (one, other) = bytes.split_at(10);
        let pieces = format!("{head} {}{}\n", BASE64.encode(one), BASE64.encode(other));
        assert!(note.parse::<SignedCheckpoint>().is_ok() && pieces.parse::<SignedCheckpoint>().is_err());
    }

    #[test]
    fn a_torn_note_at_the_end_is_left_out() {
        let file = format!("{}\n", signer().sign(checkpoint()));
        let twice = file.repeat(2);
        assert_eq!(notes(&twice).len(), 2);
        for length in file.len()..twice.len() {
            if let Some(torn) = twice.get(..length) {
                let notes = notes(torn);
                assert!(notes.len() == 1 && notes.iter().all(Result::is_ok), "{torn}");
            }
        }
    }
}
