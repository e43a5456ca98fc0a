//! What a newer program may have written: fields that are not known here, in each object of each document.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::config::RepositoryConfig;
use super::index::IndexFile;
use super::lock::LockFile;
use super::snapshot::Snapshot;
use super::tree::Tree;
use super::unpacked;

/// A document with fields of a newer program in each of its objects.
pub(crate) fn newer(document: Value) -> Value {
    match document {
        Value::Object(fields) => {
            let mut fields: serde_json::Map<_, _> =
                fields.into_iter().map(|(name, value)| (name, newer(value))).collect();
            fields.insert("a newer field".to_owned(), json!([1, {"of": null}]));
            fields.insert("zz".to_owned(), json!(u64::MAX));
            Value::Object(fields)
        }
        Value::Array(values) => values.into_iter().map(newer).collect(),
        other => other,
    }
}

fn id() -> String {
    "0".repeat(64)
}

#[test]
fn what_a_newer_program_says_beside_is_passed_over() {
    fn reads<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(document: Value, objects: usize) {
        let known: T = unpacked::decode(document.to_string().as_bytes()).expect("a document");
        let newer = newer(document).to_string();
        assert_eq!(newer.matches("a newer field").count(), objects);
        assert_eq!(unpacked::decode::<T>(newer.as_bytes()), Ok(known));
    }
    let (id, time) = (id(), "2031-01-02T03:04:05Z");
    let blob = json!({"id": id, "type": "data", "offset": 0, "length": 38, "uncompressed_length": 7});
    reads::<IndexFile>(json!({"supersedes": [id], "packs": [{"id": id, "blobs": [blob]}]}), 3);
    reads::<LockFile>(json!({"time": time, "exclusive": true, "pid": 7}), 1);
    let summary = json!({"backup_start": time, "backup_end": time, "files_new": 1});
    reads::<Snapshot>(json!({"time": time, "tree": id, "paths": ["/files"], "summary": summary}), 2);
    reads::<RepositoryConfig>(json!({"version": 2, "id": id, "chunker_polynomial": "3da3358b4dc173"}), 1);
    let attribute = json!({"name": "user.comment", "value": "bm90ZQ=="});
    let file = json!({"name": "f", "type": "file", "content": [id], "extended_attributes": [attribute]});
    reads::<Tree>(json!({"nodes": [file]}), 3);
}

/// What a blob of another type is for is not known, so an index that names one is not read past it.
#[test]
fn a_type_of_blob_that_is_not_known_is_named() {
    let blob = json!({"id": id(), "type": "later", "offset": 0, "length": 38});
    let index = json!({"packs": [{"id": id(), "blobs": [blob]}]});
    let refused = unpacked::decode::<IndexFile>(index.to_string().as_bytes()).expect_err("refused");
    assert!(refused.to_string().contains("`later`, expected `data` or `tree`"), "{refused}");
}
