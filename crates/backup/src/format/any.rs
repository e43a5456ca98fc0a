//! Any bytes as what lies in a repository, for fuzzers.
//!
//! Each function panics when bytes that are taken for something mean something else once they are written again.
#![allow(clippy::panic, clippy::missing_panics_doc, reason = "a fuzzer looks for it")]

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::config::{RepositoryConfig, is_irreducible};
use super::crypto::SealKey;
use super::index::IndexFile;
use super::key_file::{KeyFile, MOST_MEMORY};
use super::lock::LockFile;
use super::snapshot::Snapshot;
use super::tree::Tree;
use super::zstandard::{Decompressor, at_most};
use super::{pack, quote, unpacked};

/// Reads any bytes as the end of a pack, and as an opened list of one.
pub fn read_pack(bytes: &[u8]) {
    let key = SealKey::from_bytes(&[7; 64]);
    let _ = pack::read_list(&key, bytes, bytes.len() as u64);
    // The blobs fill what the list says, or are a little shorter.
    for body in [0, 32, 64, 4_096, bytes.len() as u64] {
        let _ = pack::decode_list(bytes, body);
    }
    let Some(body) = pack::body_of(bytes) else { return };
    let Ok(blobs) = pack::decode_list(bytes, body) else { return };
    assert!(pack::encode_list(&blobs) == bytes, "there is one way to write each list");
    let Ok(sealed) = key.seal(bytes) else { return };
    let Ok(length) = u32::try_from(sealed.len()) else { return };
    let end = [sealed.as_slice(), &length.to_le_bytes()].concat();
    let size = body.saturating_add(end.len() as u64);
    assert!(pack::read_list(&key, &end, size) == Ok(blobs), "a sealed list is the same");
}

/// Reads any bytes as an opened document: an index, a snapshot, a lock, the config.
pub fn read_document(bytes: &[u8]) {
    comes_back::<IndexFile>(bytes);
    comes_back::<Snapshot>(bytes);
    comes_back::<LockFile>(bytes);
    if let Some(config) = comes_back::<RepositoryConfig>(bytes) {
        let _ = config.check();
        let _ = u64::from_str_radix(&config.chunker_polynomial, 16).map(is_irreducible);
    }
}

fn comes_back<T: DeserializeOwned + Serialize + PartialEq>(bytes: &[u8]) -> Option<T> {
    let document: T = unpacked::decode(bytes).ok()?;
    let json = serde_json::to_vec(&document).ok()?;
    assert!(
        unpacked::decode::<T>(&json).as_ref() == Ok(&document),
        "it means the same when it is written again"
    );
    Some(document)
}

/// Reads any bytes as a tree.
pub fn read_tree(bytes: &[u8]) {
    let Ok(tree) = Tree::decode(bytes) else { return };
    for node in &tree.nodes {
        let name = node.name.as_os_str().as_encoded_bytes();
        assert!(!name.is_empty() && !name.contains(&b'/') && name != b"..", "a name leads out of its folder");
        assert!(tree.find(&node.name) == Some(node), "each entry is found");
    }
    let Ok(json) = tree.encode() else { return };
    assert!(Tree::decode(&json) == Ok(tree), "it means the same when it is written again");
}

/// Reads any text as the quoted name of a file.
pub fn read_name(text: &str) {
    let Ok(name) = quote::unquote(text) else { return };
    assert!(quote::unquote(&quote::quote(&name)) == Ok(name), "it means the same when it is quoted again");
}

/// Reads any bytes as a key object, and tries a password where that is cheap.
pub fn read_key(bytes: &[u8]) {
    let Ok(file) = KeyFile::parse(bytes) else { return };
    let Ok(memory) = file.memory() else { return };
    assert!(memory <= MOST_MEMORY, "{memory} bytes for one password");
    if memory <= 64 << 10 {
        let _ = file.open(&secrecy::SecretString::from("any"));
    }
}

/// Reads any bytes as something compressed, behind the four bytes of the length that it claims to have.
pub fn decompress(bytes: &[u8]) {
    const LIMIT: usize = 1 << 20;
    let Some((length, compressed)) = bytes.split_first_chunk() else { return };
    let claimed = u32::from_le_bytes(*length) as usize % (64 << 20);
    let mut plain = Vec::new();
    if let Ok(mut decompressor) = Decompressor::new()
        && decompressor.exact(compressed, claimed, &mut plain).is_ok()
    {
        assert!(plain.len() == claimed, "it has the length that it claims");
    }
    let most = at_most(compressed, LIMIT).map_or(0, |plain| plain.len());
    assert!(most <= LIMIT, "a limit holds");
}
