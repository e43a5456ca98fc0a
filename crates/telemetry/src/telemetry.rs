//! Setting it all up, once.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use buttress_core::{Ctx, Validate};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;

use crate::config::{LogFormat, MetricsConfig, TelemetryConfig};
use crate::error::Error;
use crate::log::{LogLayer, LogWriter, Style};
use crate::process::Process;

/// How many log lines were lost, to a full buffer or a broken sink.
const LOG_LINES_DROPPED: &str = "buttress_telemetry_log_lines_dropped_total";
/// Always 1; its labels tell what is running.
const BUILD_INFO: &str = "buttress_build_info";

/// How long dropping the last handle waits for the log to be written.
const LAST_FLUSH: Duration = Duration::from_secs(1);

/// Whether [`Telemetry`] has been installed in this process: both facades allow it once.
static INSTALLED: AtomicBool = AtomicBool::new(false);

/// The logs and metrics of this process. Cheap to clone; dropping the last clone flushes the log.
#[derive(Clone)]
pub struct Telemetry(Arc<Inner>);

struct Inner {
    writer: LogWriter,
    recorder: PrometheusHandle,
    dropped: metrics::Counter,
    process: Process,
}

impl Telemetry {
    /// Installs the log on the standard error stream, the metrics recorder, and a panic hook that logs.
    ///
    /// Call it once, first thing in main, inside the tokio runtime: it runs the upkeep of the metrics until
    /// `ctx.shutdown` stops.
    pub fn init(config: &TelemetryConfig, ctx: &Ctx) -> Result<Self, Error> {
        let stderr = std::io::stderr();
        let terminal = stderr.is_terminal();
        let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let style = match config.log.format {
            LogFormat::Auto if terminal => Style::Human { colour },
            LogFormat::Human => Style::Human { colour },
            LogFormat::Json | LogFormat::Auto => Style::Json,
        };
        let telemetry = Self::install(config, ctx, style, stderr)?;
        log_panics(telemetry.0.writer.clone());
        Ok(telemetry)
    }

    /// Like [`init`](Self::init), with the log going to `sink` and panics left alone: for a log file, or a test.
    /// `auto` means JSON here.
    pub fn init_to(
        config: &TelemetryConfig,
        ctx: &Ctx,
        sink: impl Write + Send + 'static,
    ) -> Result<Self, Error> {
        let style = match config.log.format {
            LogFormat::Human => Style::Human { colour: false },
            LogFormat::Json | LogFormat::Auto => Style::Json,
        };
        Self::install(config, ctx, style, sink)
    }

    fn install(
        config: &TelemetryConfig,
        ctx: &Ctx,
        style: Style,
        sink: impl Write + Send + 'static,
    ) -> Result<Self, Error> {
        // Everything that can be refused comes before the first thing that cannot be taken back.
        config.validate().map_err(Error::Config)?;
        let filter = EnvFilter::new(&config.log.filter);
        tokio::runtime::Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let recorder = recorder(&config.metrics).map_err(|error| Error::Metrics(error.into()))?;
        if INSTALLED.swap(true, Ordering::SeqCst) {
            return Err(Error::AlreadyInstalled { what: "telemetry" });
        }
        let writer = LogWriter::start(sink, config.log.buffer.as_usize())?;

        let handle = recorder.handle();
        metrics::set_global_recorder(recorder)
            .map_err(|_| Error::AlreadyInstalled { what: "metrics recorder" })?;
        let log = LogLayer::new(ctx.clock.clone(), writer.clone(), style);
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(filter).with(log))
            .map_err(|_| Error::AlreadyInstalled { what: "tracing subscriber" })?;

        metrics::describe_counter!(
            LOG_LINES_DROPPED,
            "Log lines lost because the reader of the log was too slow, or the log could not be written."
        );
        metrics::describe_gauge!(BUILD_INFO, "Always 1; the labels tell what is running.");
        ctx.shutdown.spawn(upkeep(handle.clone(), ctx.clone(), config.metrics.upkeep_interval));
        Ok(Self(Arc::new(Inner {
            writer,
            recorder: handle,
            dropped: metrics::counter!(LOG_LINES_DROPPED),
            process: Process::new(),
        })))
    }

    /// All metrics in the text format of Prometheus: what `/metrics` answers.
    ///
    /// Reads a few small files below `/proc`; takes about a millisecond for a thousand series.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        self.0.dropped.absolute(self.0.writer.dropped());
        let mut text = self.0.recorder.render();
        text.push_str(&self.0.process.render());
        text
    }

    /// Tells the name and version of the running program, as the labels of `buttress_build_info`.
    pub fn build_info(&self, service: &str, version: &str) {
        metrics::gauge!(BUILD_INFO, "service" => service.to_owned(), "version" => version.to_owned())
            .set(1.0);
    }

    /// Waits until every line logged so far has been written, at most `within`, and says whether it has been.
    ///
    /// Blocks the thread.
    #[must_use = "false means that lines may be missing"]
    pub fn flush(&self, within: Duration) -> bool {
        self.0.writer.flush(within)
    }
}

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Telemetry")
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Lines that are still missing then are lost with the process, as they would be with a blocked reader.
        let _ = self.writer.flush(LAST_FLUSH);
    }
}

/// A recorder whose histograms all have buckets: summaries cannot be added up over instances.
fn recorder(config: &MetricsConfig) -> Result<PrometheusRecorder, BuildError> {
    let builder = PrometheusBuilder::new()
        .set_buckets(&config.seconds_buckets)?
        .set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), &config.bytes_buckets)?;
    Ok(builder.build_recorder())
}

/// Folds recorded samples into their buckets now and then. Without it the samples pile up until somebody scrapes.
async fn upkeep(handle: PrometheusHandle, ctx: Ctx, interval: Duration) {
    loop {
        tokio::select! {
            () = ctx.clock.sleep(interval) => handle.run_upkeep(),
            () = ctx.shutdown.stopped() => return,
        }
    }
}

/// Panics become log lines like everything else: one line, redacted, with the request they happened in.
fn log_panics(writer: LogWriter) {
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload_as_str().unwrap_or("(no message)");
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        tracing::error!(target: "buttress::telemetry", location, thread, "panic: {message}");
        // The panic may be the end of the process. A reader that is stalled right now may hold it up no longer than this.
        let _ = writer.flush(Duration::from_millis(100));
    }));
}
