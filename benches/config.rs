//! Configuration: reading a value that others replace, and loading one from a file.

#![allow(clippy::disallowed_methods)] // the writer's own thread sleeps between its changes
#![allow(clippy::unwrap_used, missing_docs)] // a bench that cannot run should stop; criterion's macros have no docs

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;
use std::{fs, thread};

use arc_swap::ArcSwap;
use buttress_config::{FlagConfig, FlagContext, FlagsConfig, Live, Loader};
use buttress_core::{Clock, SystemClock, Validate, Violations};
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime};
use figment::providers::{Format, Serialized, Toml};
use serde::{Deserialize, Serialize};

/// Fifty keys in five tables, a list of tables and a map of tables: the size of a real service's file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    service: Section,
    limits: Section,
    store: Section,
    cache: Section,
    telemetry: Section,
    servers: Vec<Server>,
    tenants: std::collections::BTreeMap<String, Server>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Section {
    listen: String,
    folder: String,
    workers: u32,
    pages: u64,
    ratio: f64,
    debug: bool,
    tags: Vec<String>,
}

impl Default for Section {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            folder: "data".to_owned(),
            workers: 4,
            pages: 1000,
            ratio: 0.5,
            debug: false,
            tags: vec!["a".to_owned(), "b".to_owned()],
        }
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Server {
    host: String,
    port: u16,
}

impl Validate for Settings {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        wrong.require(self.limits.workers >= 1, "limits.workers", self.limits.workers, "must be at least 1");
        wrong.into_result()
    }
}

fn file_text() -> String {
    let section = |name: &str| {
        format!(
            "[{name}]\nlisten = \"0.0.0.0:9000\"\nfolder = \"/var/lib/docs\"\nworkers = 8\npages = 500\n\
             ratio = 0.75\ndebug = true\ntags = [\"x\", \"y\", \"z\"]\n"
        )
    };
    let servers = (0..4).map(|n| format!("[[servers]]\nhost = \"server-{n}\"\nport = {}\n", 9000 + n));
    let tenants =
        (0..4).map(|n| format!("[tenants.tenant-{n}]\nhost = \"tenant-{n}\"\nport = {}\n", 9100 + n));
    let sections = ["service", "limits", "store", "cache", "telemetry"].into_iter().map(section);
    sections.chain(servers).chain(tenants).collect::<Vec<_>>().join("\n")
}

/// Every subject reads one field of the same value.
struct Subjects {
    live: Live<Settings>,
    arc_swap: Arc<ArcSwap<Settings>>,
    rw_lock: RwLock<Arc<Settings>>,
    mutex: Mutex<Arc<Settings>>,
}

impl Subjects {
    fn new() -> Arc<Self> {
        let value = Settings::default;
        Arc::new(Self {
            live: Live::new(value()),
            arc_swap: Arc::new(ArcSwap::from_pointee(value())),
            rw_lock: RwLock::new(Arc::new(value())),
            mutex: Mutex::new(Arc::new(value())),
        })
    }

    /// A new version of the value for each of them.
    fn replace(&self) {
        self.live.replace(Settings::default());
        self.arc_swap.store(Arc::new(Settings::default()));
        *self.rw_lock.write().unwrap() = Arc::new(Settings::default());
        *self.mutex.lock().unwrap() = Arc::new(Settings::default());
    }

    /// Each request takes the configuration anew.
    fn snapshots(&self, group: &mut BenchmarkGroup<'_, WallTime>) {
        group.bench_function("buttress", |b| b.iter(|| self.live.get().limits.workers));
        group.bench_function("arc-swap", |b| b.iter(|| self.arc_swap.load().limits.workers));
        self.locks(group);
    }

    /// A worker keeps a handle of its own.
    fn handles(&self, group: &mut BenchmarkGroup<'_, WallTime>) {
        let mut reader = self.live.reader();
        group.bench_function("buttress", |b| b.iter(|| black_box(&mut reader).get().limits.workers));
        let mut cache = arc_swap::Cache::new(self.arc_swap.clone());
        group.bench_function("arc-swap cache", |b| b.iter(|| black_box(&mut cache).load().limits.workers));
        group.bench_function("arc-swap", |b| b.iter(|| self.arc_swap.load().limits.workers));
        self.locks(group);
    }

    /// The lock is held only for taking a reference, as one must when the value is used across an await.
    fn locks(&self, group: &mut BenchmarkGroup<'_, WallTime>) {
        group.bench_function("RwLock<Arc>", |b| {
            b.iter(|| Arc::clone(&self.rw_lock.read().unwrap()).limits.workers);
        });
        group.bench_function("Mutex<Arc>", |b| {
            b.iter(|| Arc::clone(&self.mutex.lock().unwrap()).limits.workers);
        });
    }
}

/// Runs `work` while another thread uses the subjects too.
fn beside(subjects: &Arc<Subjects>, other: impl Fn(&Subjects) + Send + 'static, work: impl FnOnce()) {
    let done = Arc::new(AtomicBool::new(false));
    let thread = {
        let (subjects, done) = (subjects.clone(), done.clone());
        thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                other(&subjects);
            }
        })
    };
    work();
    done.store(true, Ordering::Relaxed);
    thread.join().unwrap();
}

fn reading(criterion: &mut Criterion) {
    let subjects = Subjects::new();
    let mut group = criterion.benchmark_group("read-snapshot");
    subjects.snapshots(&mut group);
    group.finish();

    let mut group = criterion.benchmark_group("read-handle");
    subjects.handles(&mut group);
    group.finish();

    let mut group = criterion.benchmark_group("read-snapshot-contended");
    let read_all = |subjects: &Subjects| {
        for _ in 0..64 {
            black_box(subjects.live.get().limits.workers);
            black_box(subjects.arc_swap.load().limits.workers);
            black_box(Arc::clone(&subjects.rw_lock.read().unwrap()).limits.workers);
            black_box(Arc::clone(&subjects.mutex.lock().unwrap()).limits.workers);
        }
    };
    beside(&subjects, read_all, || subjects.snapshots(&mut group));
    group.finish();

    let mut group = criterion.benchmark_group("read-handle-while-changing");
    let change = |subjects: &Subjects| {
        subjects.replace();
        thread::sleep(Duration::from_millis(1));
    };
    beside(&subjects, change, || subjects.handles(&mut group));
    group.finish();
}

fn loading(criterion: &mut Criterion) {
    let nanos = SystemClock.wall().elapsed().map_or(0, |elapsed| elapsed.as_nanos());
    let folder = std::env::temp_dir().join(format!("buttress-bench-config-{}-{nanos}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("settings.toml");
    fs::write(&file, file_text()).unwrap();

    let mut group = criterion.benchmark_group("load-defaults-and-file");
    // Ours also validates, keeps the place of every value, and refuses unknown keys.
    let loader = Loader::new("bench").file(&file);
    group.bench_function("buttress", |b| b.iter(|| loader.load::<Settings>().unwrap().into_value()));
    group.bench_function("config", |b| {
        b.iter(|| {
            config::Config::builder()
                .add_source(config::Config::try_from(&Settings::default()).unwrap())
                .add_source(config::File::from(file.as_path()))
                .build()
                .unwrap()
                .try_deserialize::<Settings>()
                .unwrap()
        });
    });
    group.bench_function("figment", |b| {
        b.iter(|| {
            figment::Figment::from(Serialized::defaults(Settings::default()))
                .merge(Toml::file(&file))
                .extract::<Settings>()
                .unwrap()
        });
    });
    group.finish();
    fs::remove_dir_all(&folder).unwrap();
}

fn flags(criterion: &mut Criterion) {
    let mut flags = FlagsConfig::default();
    for n in 0..50 {
        flags.insert(format!("feature-{n}"), FlagConfig::on().percent(25.0).only("plan", ["pro", "team"]));
    }
    let mut group = criterion.benchmark_group("decide-flag");
    group.bench_function("buttress", |b| {
        let who = FlagContext::new("user-123456").attributes(&[("plan", "pro")]);
        b.iter(|| flags.is_on(black_box("feature-17"), black_box(&who)));
    });
    group.finish();
}

criterion_group!(benches, reading, loading, flags);
criterion_main!(benches);
