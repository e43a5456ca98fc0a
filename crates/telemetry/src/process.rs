//! What the operating system says about this process, under the names that Prometheus clients agree on.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Reads `/proc`, where there is one.
pub(crate) struct Process {
    /// Where the files are: `/proc`, or a fixture.
    root: PathBuf,
    ticks_per_second: f64,
}

/// What could be read; what could not is left out.
#[derive(Debug, Default, PartialEq)]
struct Figures {
    cpu_seconds: Option<f64>,
    start_time_seconds: Option<f64>,
    threads: Option<f64>,
    resident_bytes: Option<f64>,
    virtual_bytes: Option<f64>,
    open_fds: Option<f64>,
    max_fds: Option<f64>,
}

impl Process {
    /// This process.
    pub(crate) fn new() -> Self {
        #[cfg(unix)]
        let ticks = rustix::param::clock_ticks_per_second();
        #[cfg(not(unix))]
        let ticks = 100; // unused: there is no /proc
        Self { root: Path::new("/proc").to_path_buf(), ticks_per_second: ticks as f64 }
    }

    /// The figures in the text format of Prometheus.
    pub(crate) fn render(&self) -> String {
        let figures = self.read();
        let mut text = String::new();
        for (name, kind, help, value) in [
            ("process_cpu_seconds_total", "counter", "CPU time used, in seconds.", figures.cpu_seconds),
            (
                "process_start_time_seconds",
                "gauge",
                "Start, in seconds since 1970.",
                figures.start_time_seconds,
            ),
            ("process_threads", "gauge", "Threads.", figures.threads),
            ("process_resident_memory_bytes", "gauge", "Memory in RAM.", figures.resident_bytes),
            ("process_virtual_memory_bytes", "gauge", "Address space in use.", figures.virtual_bytes),
            ("process_open_fds", "gauge", "Open file descriptors.", figures.open_fds),
            ("process_max_fds", "gauge", "File descriptors that may be open.", figures.max_fds),
        ] {
            if let Some(value) = value {
                // Writing into a string does not fail.
                let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n");
            }
        }
        text
    }

    fn read(&self) -> Figures {
        let own = self.root.join("self");
        let file = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default();
        let stat = file(own.join("stat"));
        // The second field is the program's name in parentheses, which may hold anything; count after it.
        let fields: Vec<f64> = stat.rsplit_once(')').map_or_else(Vec::new, |(_, rest)| {
            rest.split_whitespace().skip(1).map_while(|field| field.parse().ok()).collect()
        });
        // Field n of proc(5) is fields[n - 4].
        let field = |n: usize| fields.get(n - 4).copied();
        let ticks = self.ticks_per_second;
        Figures {
            cpu_seconds: field(14).zip(field(15)).map(|(user, system)| (user + system) / ticks),
            start_time_seconds: labelled(&file(self.root.join("stat")), "btime")
                .zip(field(22))
                .map(|(boot, start)| boot + start / ticks),
            threads: field(20),
            resident_bytes: labelled(&file(own.join("status")), "VmRSS:").map(|kib| kib * 1024.0),
            virtual_bytes: field(23),
            open_fds: std::fs::read_dir(own.join("fd")).ok().map(|fds| fds.count() as f64),
            max_fds: labelled(&file(own.join("limits")), "Max open files"),
        }
    }
}

/// The first number after `label` at the start of a line.
fn labelled(text: &str, label: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // tests

    use super::*;

    #[test]
    fn the_figures_are_read_from_proc() {
        let root = tempfile::tempdir().unwrap();
        let own = root.path().join("self");
        std::fs::create_dir_all(own.join("fd/3")).unwrap();
        std::fs::write(
            own.join("stat"),
            "42 (a) b) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 7 0 1000 8192000 300 18446744073709551615",
        )
        .unwrap();
        std::fs::write(own.join("status"), "Name:\ta\nVmRSS:\t    1200 kB\n").unwrap();
        std::fs::write(own.join("limits"), "Limit  Soft\nMax open files            1024     4096   files\n")
            .unwrap();
        std::fs::write(root.path().join("stat"), "cpu 1 2\nbtime 1700000000\n").unwrap();

        let process = Process { root: root.path().to_path_buf(), ticks_per_second: 100.0 };
        assert_eq!(
            process.read(),
            Figures {
                cpu_seconds: Some(3.0),
                start_time_seconds: Some(1_700_000_010.0),
                threads: Some(7.0),
                resident_bytes: Some(1_228_800.0),
                virtual_bytes: Some(8_192_000.0),
                open_fds: Some(1.0),
                max_fds: Some(1024.0),
            }
        );
    }

    #[test]
    fn without_proc_nothing_is_claimed() {
        let process = Process { root: "/nonexistent".into(), ticks_per_second: 100.0 };
        assert_eq!(process.render(), "");
    }
}
