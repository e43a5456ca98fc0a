//! Who asks: what signing and verifying of a token cost, beside a rival, and verifying of an API key.
//!
//! Both verify issuer, audience and time, and read the same claims. Ours looks the key up in a set of three by its name; the rival has the
//! key already. `asked each time` is a key that the store is asked for, with a store in memory.

#![allow(clippy::disallowed_methods)] // a bench measures real time
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)] // a bench that cannot run should stop

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use buttress_access::jwt::{Algorithm, Claims, KeySet, Pkcs8, SigningKey, TokenConfig, verify};
use buttress_access::keys::{ApiKeys, ApiKeysConfig, MemoryKeys, NewKey, Peppers};
use buttress_core::Ctx;
use criterion::{Criterion, criterion_group, criterion_main};
use jsonwebtoken as rival;
use serde_json::{Value, json};

/// As in the services.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SECRET: [u8; 32] = [7; 32];

/// The same key for us and for the rival.
struct Subject {
    ours: SigningKey,
    signs: rival::EncodingKey,
    verifies: rival::DecodingKey,
    algorithm: rival::Algorithm,
}

fn subjects() -> Vec<Subject> {
    let hmac = Subject {
        ours: SigningKey::hmac(Algorithm::Hs256, "HS256", &SECRET).unwrap(),
        signs: rival::EncodingKey::from_secret(&SECRET),
        verifies: rival::DecodingKey::from_secret(&SECRET),
        algorithm: rival::Algorithm::HS256,
    };
    let pairs = [(Algorithm::Es256, rival::Algorithm::ES256), (Algorithm::EdDsa, rival::Algorithm::EdDSA)];
    let pairs = pairs.map(|(algorithm, theirs)| {
        let document = Pkcs8::generate(algorithm).unwrap();
        let ours = SigningKey::from_pkcs8(algorithm, algorithm.as_str(), document.expose()).unwrap();
        let jwks = KeySet::new([ours.verifying().clone()]).unwrap().to_jwks();
        let jwk = serde_json::from_str::<Value>(&jwks).unwrap()["keys"][0].clone();
        let text = |name: &str| jwk[name].as_str().unwrap().to_owned();
        let (signs, verifies) = if algorithm == Algorithm::Es256 {
            let verifies = rival::DecodingKey::from_ec_components(&text("x"), &text("y")).unwrap();
            (rival::EncodingKey::from_ec_der(document.expose()), verifies)
        } else {
            let verifies = rival::DecodingKey::from_ed_components(&text("x")).unwrap();
            (rival::EncodingKey::from_ed_der(document.expose()), verifies)
        };
        Subject { ours, signs, verifies, algorithm: theirs }
    });
    [hmac].into_iter().chain(pairs).collect()
}

fn tokens(criterion: &mut Criterion) {
    let end = SystemTime::now() + Duration::from_hours(24);
    let claims =
        Claims::new().issuer("https://login.example").audience("documents").subject("user-1").expires(end);
    let seconds = end.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let theirs =
        json!({ "iss": "https://login.example", "aud": "documents", "sub": "user-1", "exp": seconds });
    let subjects = subjects();
    let known = KeySet::new(subjects.iter().map(|subject| subject.ours.verifying().clone())).unwrap();
    let config = TokenConfig::of("https://login.example", "documents");
    for subject in &subjects {
        let name = subject.ours.verifying().algorithm();
        let mut header = rival::Header::new(subject.algorithm);
        header.kid = Some(name.to_string());
        let mut group = criterion.benchmark_group(format!("{name} sign"));
        group.bench_function("buttress", |bencher| {
            bencher.iter(|| subject.ours.sign(black_box(&claims)).unwrap());
        });
        group.bench_function("jsonwebtoken", |bencher| {
            bencher.iter(|| rival::encode(&header, black_box(&theirs), &subject.signs).unwrap());
        });
        group.finish();

        let token = subject.ours.sign(&claims).unwrap();
        let mut demands = rival::Validation::new(subject.algorithm);
        demands.set_issuer(&["https://login.example"]);
        demands.set_audience(&["documents"]);
        let mut group = criterion.benchmark_group(format!("{name} verify"));
        group.bench_function("buttress", |bencher| {
            bencher.iter(|| verify(black_box(&token), &known, &config, SystemTime::now()).unwrap());
        });
        group.bench_function("jsonwebtoken", |bencher| {
            bencher.iter(|| rival::decode::<Value>(black_box(&token), &subject.verifies, &demands).unwrap());
        });
        group.finish();
    }
}

fn api_keys(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut group = criterion.benchmark_group("API key verify");
    for (name, kept) in [("known", Duration::from_secs(10)), ("asked each time", Duration::ZERO)] {
        let mut config = ApiKeysConfig::default();
        config.cache_for = kept;
        let peppers = Peppers::new(1, &SECRET).unwrap();
        let ctx = Ctx::default();
        let keys = runtime.block_on(ApiKeys::open(&config, peppers, MemoryKeys::default(), &ctx)).unwrap();
        let issued = runtime.block_on(keys.issue(NewKey::of("owner".try_into().unwrap()))).unwrap();
        group.bench_function(name, |bencher| {
            bencher.iter(|| runtime.block_on(keys.verify(black_box(issued.expose()))).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, tokens, api_keys);
criterion_main!(benches);
