//! An entry on the disk: 64 writers, the same rows.
//!
//! `buttress` answers each writer after the fsync of its group. `sqlite` commits a row in a transaction of its own (write-ahead log,
//! `synchronous = FULL`). `fsync for each` appends a row and syncs it, one after the other. `bare, same groups` appends the bytes of our groups,
//! as many at a time as ours had, and syncs each group: what the disk alone costs.

#![allow(clippy::disallowed_methods)] // a bench measures real time
#![allow(clippy::print_stdout)] // a bench is a program for people
#![allow(clippy::unwrap_used, missing_docs)] // a bench that cannot run should stop; criterion's macros have no docs

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use buttress_audit::{AuditConfig, Entry, Log, LogReader, Record};
use buttress_connect::ConnectionConfig;
use buttress_connect::sqlite::Sqlite;
use buttress_connect::sqlite::client::params;
use buttress_core::{Ctx, Outcome};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// As in the services.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const WRITERS: u64 = 64;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

/// A row of about 200 bytes.
fn entry(writer: u64, n: u64) -> Entry {
    Entry::new(SystemTime::UNIX_EPOCH, "invoice.update", Outcome::Success)
        .actor(format!("user-{writer}"))
        .target(format!("invoice-{n}"))
        .tenant("acme")
        .request_id("0193b5c0-7a8b-7c3d-9e4f-0123456789ab")
        .detail("the amount was changed by the customer's own request, and the tax anew")
}

/// So many calls, shared by the writers.
async fn by_writers<F: Future<Output = ()> + Send + 'static>(
    rounds: u64,
    call: impl Fn(u64, u64) -> F + Send + Sync + 'static,
) -> Duration {
    let call = Arc::new(call);
    let start = Instant::now();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS.min(rounds) {
        let call = Arc::clone(&call);
        writers.spawn(async move {
            for n in (0..).map(|turn| writer + turn * WRITERS).take_while(|n| *n < rounds) {
                call(writer, n).await;
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    start.elapsed()
}

async fn ours(log: &Log, rounds: u64) -> Duration {
    let log = log.clone();
    by_writers(rounds, move |writer, n| {
        let log = log.clone();
        async move {
            log.append(&entry(writer, n)).await.unwrap();
        }
    })
    .await
}

/// How many entries our groups had: those of a group were written at one time.
fn groups(folder: &Path) -> Vec<usize> {
    let reader = LogReader::open(folder).unwrap();
    let records: Vec<Record> = reader.read(0).unwrap().map(|read| read.unwrap().0).collect();
    records.chunk_by(|a, b| a.ticks == b.ticks).map(<[Record]>::len).collect()
}

fn appended(file: &mut File, bytes: &[u8]) {
    file.write_all(bytes).unwrap();
    file.sync_data().unwrap();
}

fn writers(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let runtime = runtime();
    let mut group = criterion.benchmark_group("64 writers");
    group.throughput(Throughput::Elements(1)).sample_size(10);

    let config = AuditConfig::new(folder.path().join("log"));
    let (log, _) = runtime.block_on(Log::create(&config, &Ctx::default())).unwrap();
    group.bench_function("buttress", |bencher| {
        bencher.iter_custom(|rounds| runtime.block_on(ours(&log, rounds)));
    });
    // Groups as they are once all writers are at work.
    let sample = AuditConfig::new(folder.path().join("sample"));
    let groups = runtime.block_on(async {
        let (log, _) = Log::create(&sample, &Ctx::default()).await.unwrap();
        ours(&log, 20_000).await;
        log.close().await.unwrap();
        groups(&sample.folder)
    });
    let row = log.reader().unwrap().get(0).unwrap().encode().unwrap();
    let mean = 20_000 / groups.len();
    println!("{} bytes a row, {mean} rows a group on average", row.len());

    let mut file = File::create(folder.path().join("groups")).unwrap();
    group.bench_function("bare, same groups", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut left = usize::try_from(rounds).unwrap();
            let start = Instant::now();
            for rows in groups.iter().cycle() {
                let rows = left.min(*rows);
                appended(&mut file, &row.repeat(rows));
                left -= rows;
                if left == 0 {
                    break;
                }
            }
            start.elapsed()
        });
    });

    let address = format!("sqlite://{}", folder.path().join("rows.sqlite").display()).parse().unwrap();
    let sqlite = runtime.block_on(Sqlite::open(&address, &ConnectionConfig::default())).unwrap();
    let table = "CREATE TABLE audit (sequence INTEGER PRIMARY KEY, at INTEGER, action TEXT, outcome INTEGER,
                 actor TEXT, target TEXT, tenant TEXT, request_id TEXT, detail TEXT)";
    runtime.block_on(sqlite.run(move |connection| connection.execute(table, ()))).unwrap();
    group.bench_function("sqlite, a row a transaction", |bencher| {
        bencher.iter_custom(|rounds| {
            let sqlite = sqlite.clone();
            runtime.block_on(by_writers(rounds, move |writer, n| {
                let sqlite = sqlite.clone();
                async move {
                    let row = entry(writer, n);
                    let insert =
                        "INSERT INTO audit (at, action, outcome, actor, target, tenant, request_id, detail)
                                  VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
                    let inserted = sqlite.run(move |connection| {
                        let Entry { action, actor, target, tenant, request_id, detail, .. } = row;
                        let values = params![0, action, 0, actor, target, tenant, request_id, detail];
                        connection.prepare_cached(insert)?.execute(values)
                    });
                    inserted.await.unwrap();
                }
            }))
        });
    });

    let mut file = File::create(folder.path().join("rows")).unwrap();
    group.bench_function("fsync for each", |bencher| {
        bencher.iter(|| appended(&mut file, &row));
    });
    group.finish();
    runtime.block_on(log.close()).unwrap();
}

criterion_group!(benches, writers);
criterion_main!(benches);
