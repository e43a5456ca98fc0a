//! Markup made safe, beside ammonia as it comes; and the detector, on texts without and with attacks.

#![allow(clippy::unwrap_used, missing_docs)] // a bench that cannot run should stop; criterion's macros have no docs

use std::hint::black_box;

use buttress_validate::SafeHtml;
use buttress_validate::detect::Detector;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// As in the services.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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

criterion_group!(benches, html, detector);
criterion_main!(benches);
