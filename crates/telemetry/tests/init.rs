//! Telemetry is installed once a process, so this file is one test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // tests

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use buttress_core::{ByteSize, Ctx, TestClock};
use buttress_telemetry::{Error, Telemetry, TelemetryConfig};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn telemetry_from_its_first_refusal_to_its_last_line() {
    let clock = TestClock::new();
    let ctx = Ctx { clock: clock.shared(), ..Ctx::default() };
    let mut config = TelemetryConfig::default();
    let log = Log::default();

    // What is refused installs nothing.
    assert!(matches!(Telemetry::init_to(&config, &ctx, log.clone()), Err(Error::NoRuntime)));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _inside = runtime.enter();
    config.log.filter = "info,[".to_owned();
    config.log.buffer = ByteSize::b(1);
    config.metrics.seconds_buckets = vec![2.0, 1.0];
    let error = Telemetry::init_to(&config, &ctx, log.clone()).unwrap_err().to_string();
    for field in ["log.filter", "log.buffer", "metrics.seconds_buckets"] {
        assert!(error.contains(field), "{field}: {error}");
    }

    config = TelemetryConfig::default();
    config.log.filter = "info,quiet=off".to_owned();
    let telemetry = Telemetry::init_to(&config, &ctx, log.clone()).unwrap();
    let second = Telemetry::init_to(&config, &ctx, log.clone());
    assert!(matches!(second, Err(Error::AlreadyInstalled { what: "telemetry" })));

    // Metrics: histograms have buckets by what they measure.
    telemetry.build_info("docproc", "1.2.3");
    metrics::histogram!("wait_seconds").record(0.02);
    metrics::histogram!("body_bytes").record(5_000.0);
    let text = telemetry.metrics_text();
    for line in [
        "buttress_build_info{service=\"docproc\",version=\"1.2.3\"} 1",
        "wait_seconds_bucket{le=\"0.01\"} 0",
        "wait_seconds_bucket{le=\"0.025\"} 1",
        "body_bytes_bucket{le=\"4096\"} 0",
        "body_bytes_bucket{le=\"16384\"} 1",
        "buttress_telemetry_log_lines_dropped_total 0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }

    // Upkeep: folding samples that nobody scrapes is a task that the shutdown ends.
    assert_eq!(ctx.shutdown.tasks(), 1);
    runtime.block_on(async {
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(5));
        tokio::task::yield_now().await;
        ctx.shutdown.stop();
        ctx.shutdown.finished().await;
    });

    // Logs: filtered, with the level of the target, flushed when the last handle goes.
    tracing::debug!("too fine");
    tracing::error!(target: "quiet", "switched off");
    tracing::info!(answer = 42, "the last line");
    drop(telemetry);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let line: serde_json::Value = serde_json::from_str(&log).expect("one line");
    assert_eq!(line["message"], "the last line");
    assert_eq!(line["fields"]["answer"], 42);
}
