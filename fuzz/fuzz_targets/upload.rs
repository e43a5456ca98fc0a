//! Any bytes as an upload: pieces do not matter, and what is counted stays within its limits.

#![no_main]

use buttress_validate::upload::{Kind, Upload, UploadPolicy};
use buttress_validate::{Invalid, SafeFileName};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, bytes) = input;
    let whole = judge(bytes, usize::MAX);
    assert_eq!(whole, judge(bytes, usize::from(piece).max(1)));
    if let Ok(upload) = whole {
        assert_eq!(upload.bytes, bytes.len() as u64);
        assert!(upload.inflated <= (1 << 20).max(upload.bytes * 100));
    }
});

fn judge(bytes: &[u8], piece: usize) -> Result<Upload, Invalid> {
    let mut policy = UploadPolicy::default();
    policy.kinds = Kind::ALL.to_vec();
    let mut check = policy.begin(SafeFileName::sanitize("a"), None)?;
    for piece in bytes.chunks(piece) {
        check.push(piece)?;
    }
    check.finish()
}
