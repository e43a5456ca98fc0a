//! JSON held to limits before it is parsed, beside parsing alone; and the types beside a look at the same text.
//!
//! The bodies are of about 200 KB: `records` are many small objects, as an interface takes them; `prose` has long strings;
//! `numbers` is one array of them; `small` is a body of 300 bytes. `limits` is our pass alone.
//!
//! `html` is markup made safe, beside ammonia as it comes; `detector`, texts without and with attacks.

#![allow(clippy::disallowed_methods)] // a bench measures real time
#![allow(clippy::unwrap_used, missing_docs)] // a bench that cannot run should stop; criterion's macros have no docs

use std::fmt::Write as _;
use std::hint::black_box;

use buttress_core::ByteSize;
use buttress_validate::detect::Detector;
use buttress_validate::json::{JsonLimits, check_json, from_json};
use buttress_validate::upload::UploadPolicy;
use buttress_validate::{Identifier, PlainText, SafeFileName, SafeHtml, SafePath, SafeUrl};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::Value;

/// As in the services.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(serde::Deserialize)]
#[allow(dead_code, reason = "only read")]
struct Record {
    id: u64,
    name: String,
    tags: Vec<String>,
    price: f64,
    active: bool,
}

fn records(count: usize) -> String {
    let mut text = String::from("[");
    for id in 0..count {
        let comma = if id == 0 { "" } else { "," };
        let name = format!("Record number {id}");
        write!(text, r#"{comma}{{"id": {id}, "name": "{name}", "tags": ["a", "tag{id}"], "price": {id}.25, "active": true}}"#).unwrap();
    }
    text + "]"
}

fn bodies() -> [(&'static str, String); 4] {
    let sentence =
        "Grüße aus Köln: the quick brown fox jumps over the lazy dog, \\\"again\\\" and again.\\n ";
    let prose = format!("[{}]", vec![format!("\"{}\"", sentence.repeat(50)); 45].join(","));
    let numbers: Vec<String> =
        (0..20_000_u32).map(|n| format!("{}.{}", n.wrapping_mul(7919) % 10_000, n)).collect();
    let numbers = format!("[{}]", numbers.join(","));
    [("records", records(2200)), ("prose", prose), ("numbers", numbers), ("small", records(3))]
}

fn json(c: &mut Criterion) {
    let mut limits = JsonLimits::default();
    (limits.bytes, limits.elements) = (ByteSize::mib(4), 100_000);
    let mut loose = limits.clone();
    loose.unique_keys = false;
    for (name, body) in bodies() {
        let mut group = c.benchmark_group(format!("json {name}"));
        group.throughput(Throughput::Bytes(body.len() as u64));
        let bytes = body.as_bytes();
        group.bench_function("limits", |b| b.iter(|| check_json(black_box(bytes), &limits).unwrap()));
        group.bench_function("limits, names may repeat", |b| {
            b.iter(|| check_json(black_box(bytes), &loose).unwrap());
        });
        group.bench_function("limits + serde_json, tree", |b| {
            b.iter(|| from_json::<Value>(black_box(bytes), &limits).unwrap());
        });
        group.bench_function("serde_json, tree", |b| {
            b.iter(|| serde_json::from_slice::<Value>(black_box(bytes)).unwrap());
        });
        if matches!(name, "records" | "small") {
            group.bench_function("limits + serde_json, types", |b| {
                b.iter(|| from_json::<Vec<Record>>(black_box(bytes), &limits).unwrap());
            });
            group.bench_function("serde_json, types", |b| {
                b.iter(|| serde_json::from_slice::<Vec<Record>>(black_box(bytes)).unwrap());
            });
        }
        group.finish();
    }
}

fn types(c: &mut Criterion) {
    let mut group = c.benchmark_group("types");
    group.bench_function("SafePath", |b| {
        b.iter(|| black_box("reports/2026/quarter 3.pdf").parse::<SafePath>().unwrap());
    });
    group.bench_function("SafeFileName", |b| {
        b.iter(|| black_box("quarter 3.pdf").parse::<SafeFileName>().unwrap());
    });
    group.bench_function("SafeFileName::sanitize", |b| {
        b.iter(|| SafeFileName::sanitize(black_box("../../a\u{202e}b.exe")));
    });
    group.bench_function("Identifier", |b| b.iter(|| black_box("created_at").parse::<Identifier>().unwrap()));
    group.bench_function("SafeUrl", |b| {
        b.iter(|| black_box("https://example.org/a?b=c").parse::<SafeUrl>().unwrap());
    });
    group.bench_function("url::Url", |b| {
        b.iter(|| url::Url::parse(black_box("https://example.org/a?b=c")).unwrap());
    });
    group.finish();
    let mut group = c.benchmark_group("text");
    for (name, text) in [
        ("ASCII", "A line of plain text, as people write them. ".repeat(100)),
        ("German", "Größe, Übung, Straße und Maß. ".repeat(100)),
    ] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| b.iter(|| black_box(&*text).parse::<PlainText>().unwrap()));
    }
    group.finish();
}

fn upload(c: &mut Criterion) {
    let image: Vec<u8> = b"\x89PNG\r\n\x1a\n"
        .iter()
        .copied()
        .chain((0..4 << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8))
        .collect();
    let policy = UploadPolicy::default();
    let mut group = c.benchmark_group("upload");
    group.throughput(Throughput::Bytes(image.len() as u64));
    group.bench_function("an image", |b| {
        b.iter(|| {
            let mut check = policy.begin(SafeFileName::sanitize("a.png"), None).unwrap();
            for piece in image.chunks(16 << 10) {
                // By chance there is the beginning of something else in it, or not.
                let _ = check.push(black_box(piece));
            }
            check.finish().is_ok()
        });
    });
    group.finish();
}

/// A comment, an article of 20 KB, and one of 200 KB.
fn documents() -> [(&'static str, String); 3] {
    let comment = "<p>Thanks, <b>that</b> <a href=\"https://example.org/\">helped</a>!</p>";
    let section = "<h2 id=\"a\">A section</h2><p>Some <em>prose</em> with <a href=\"https://example.org/a?b=c\">a link</a>, <code>code</code> &amp; entities.</p>\
        <ul><li>one</li><li>two <strong>bold</strong></li></ul><table><tr><td>a</td><td>b</td></tr></table>\
        <img src=\"https://example.org/a.png\" alt=\"x\" onerror=\"steal()\"><script>steal()</script>\n";
    [
        ("comment", comment.to_owned()),
        ("20 KB", section.repeat(20_000 / section.len())),
        ("200 KB", section.repeat(200_000 / section.len())),
    ]
}

fn html(criterion: &mut Criterion) {
    for (name, document) in documents() {
        let mut group = criterion.benchmark_group(format!("html/{name}"));
        group.throughput(Throughput::Bytes(document.len() as u64));
        group.bench_function("ours", |bencher| {
            bencher.iter(|| SafeHtml::article(black_box(&document)).unwrap());
        });
        let ammonia = ammonia::Builder::default();
        group.bench_function("ammonia", |bencher| {
            bencher.iter(|| ammonia.clean(black_box(&document)).to_string());
        });
        group.finish();
    }
}

fn detector(criterion: &mut Criterion) {
    let prose =
        "It's a fine day at the harbour, isn't it? The piano (a grand one) was delivered -- at last. ";
    let code =
        "let total = items.iter().map(|item| item.price * item.count).sum::<u64>(); // in cents, \"net\"\n";
    let encoded = "q=caf%C3%A9%20%26%20bar&sort=price%2Basc&page=2 ";
    let texts = [
        ("name", "Aoife O'Brien-D'Arcy".to_owned()),
        ("prose", prose.repeat(100)),
        ("code", code.repeat(100)),
        ("encoded", encoded.repeat(100)),
        ("sql", "x' UNION ALL SELECT name, password FROM users -- ".to_owned()),
    ];
    let detector = Detector::default();
    let mut group = criterion.benchmark_group("detector");
    for (name, text) in &texts {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(*name, |bencher| bencher.iter(|| detector.inspect(black_box(text))));
    }
    group.finish();
}

criterion_group!(benches, json, types, upload, html, detector);
criterion_main!(benches);
