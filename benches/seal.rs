//! Data at rest: sealed in segments under a key of its own, beside one AES-256-GCM over the whole buffer.
//!
//! A rival's nonce is random, as without a stream's key it must be; the result is nonce, text and tag. Ours has a header and a tag for
//! each 64 KiB, and can be read in pieces. `read` is from a reader in pieces of 64 KiB, which no rival can.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)] // a bench that cannot run should stop; criterion's macros have no docs

use std::hint::black_box;
use std::io::Read;

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use buttress_secrets::seal::{Key, KeyId, Keyring};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

/// As in the services.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEY: [u8; 32] = [7; 32];
const AAD: &[u8] = b"documents/42";

fn nonce() -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new().fill(&mut nonce).unwrap();
    nonce
}

fn ring_key() -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &KEY).unwrap())
}

fn ring_seal(key: &LessSafeKey, plain: &[u8]) -> Vec<u8> {
    let nonce = nonce();
    let mut sealed = Vec::with_capacity(NONCE_LEN + plain.len() + 16);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plain);
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(AAD), &mut sealed[NONCE_LEN..]).unwrap();
    sealed.extend_from_slice(tag.as_ref());
    sealed
}

fn ring_open(key: &LessSafeKey, sealed: &[u8]) -> Vec<u8> {
    let (nonce, rest) = sealed.split_at(NONCE_LEN);
    let mut plain = rest.to_vec();
    let nonce = Nonce::try_assume_unique_for_key(nonce).unwrap();
    let length = key.open_in_place(nonce, Aad::from(AAD), &mut plain).unwrap().len();
    plain.truncate(length);
    plain
}

fn rustcrypto_seal(key: &Aes256Gcm, plain: &[u8]) -> Vec<u8> {
    let nonce = nonce();
    let mut sealed = Vec::with_capacity(NONCE_LEN + plain.len() + 16);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plain);
    let tag = key.encrypt_inout_detached(&nonce.into(), AAD, (&mut sealed[NONCE_LEN..]).into()).unwrap();
    sealed.extend_from_slice(&tag);
    sealed
}

fn rustcrypto_open(key: &Aes256Gcm, sealed: &[u8]) -> Vec<u8> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>().unwrap();
    let (text, tag) = rest.split_last_chunk::<16>().unwrap();
    let mut plain = text.to_vec();
    key.decrypt_inout_detached(&(*nonce).into(), AAD, plain.as_mut_slice().into(), &(*tag).into()).unwrap();
    plain
}

fn seal(c: &mut Criterion) {
    let keys = Keyring::new(KeyId(1), Key::from_bytes(&KEY).unwrap());
    let (ring, rustcrypto) = (ring_key(), Aes256Gcm::new(&KEY.into()));
    for mib in [1, 64] {
        let plain: Vec<u8> = (0..mib << 20_u32).map(|at: u32| at.to_le_bytes()[0]).collect();
        let bytes = Throughput::Bytes(plain.len() as u64);

        let mut group = c.benchmark_group(format!("seal {mib} MiB"));
        group.throughput(bytes.clone()).sample_size(20);
        group.bench_function("buttress", |b| b.iter(|| black_box(keys.seal(&plain, AAD).unwrap())));
        group.bench_function("ring", |b| b.iter(|| black_box(ring_seal(&ring, &plain))));
        group.bench_function("aes-gcm", |b| b.iter(|| black_box(rustcrypto_seal(&rustcrypto, &plain))));
        group.finish();

        let sealed =
            [keys.seal(&plain, AAD).unwrap(), ring_seal(&ring, &plain), rustcrypto_seal(&rustcrypto, &plain)];
        assert!(keys.open(&sealed[0], AAD).unwrap() == plain);
        assert!(ring_open(&ring, &sealed[2]) == plain && rustcrypto_open(&rustcrypto, &sealed[1]) == plain);

        let mut group = c.benchmark_group(format!("open {mib} MiB"));
        group.throughput(bytes.clone()).sample_size(20);
        group.bench_function("buttress", |b| b.iter(|| black_box(keys.open(&sealed[0], AAD).unwrap())));
        group.bench_function("ring", |b| b.iter(|| black_box(ring_open(&ring, &sealed[1]))));
        group.bench_function("aes-gcm", |b| b.iter(|| black_box(rustcrypto_open(&rustcrypto, &sealed[2]))));
        group.finish();

        let mut group = c.benchmark_group(format!("read {mib} MiB"));
        group.throughput(bytes).sample_size(20);
        let mut buffer = vec![0; 64 << 10];
        group.bench_function("buttress", |b| {
            b.iter(|| {
                let mut reader = keys.open_from(&sealed[0][..], AAD);
                while reader.read(&mut buffer).unwrap() > 0 {
                    black_box(&buffer);
                }
            });
        });
        group.finish();
    }
}

criterion_group!(benches, seal);
criterion_main!(benches);
