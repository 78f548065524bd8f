//! `ProcessCollector`: CPU, memory, descriptors and threads of this process, read from the kernel when it is scraped.
//!
//! Names, units and help texts are those that all Prometheus client libraries share ("Writing client libraries",
//! section *Process metrics*), so that ready-made dashboards work.

use std::fs;

use prometheus::core::{Collector, Desc, Describer as _};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge, Opts};
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

/// Exposes what `/proc` says of this process. A figure that cannot be read is left out.
#[derive(Debug)]
pub(super) struct ProcessCollector {
    descriptions: Vec<Desc>,
    /// Seconds since 1970, or `None` where it cannot be read. It never changes, while working it out anew would move it
    /// each time the clock is set.
    started: Option<f64>,
}

/// One metric.
struct Figure {
    name: &'static str,
    help: &'static str,
    is_counter: bool,
    read: fn(&Seen) -> Option<f64>,
}

/// What one scrape sees, so that all figures are of one moment.
struct Seen {
    stat: Option<Stat>,
    started: Option<f64>,
}

/// The fields of `/proc/self/stat` that are exposed; see proc_pid_stat(5).
#[derive(Debug, PartialEq)]
struct Stat {
    /// CPU time in user mode and in the kernel, in clock ticks.
    cpu_ticks: u64,
    threads: u64,
    /// When it started, in clock ticks since boot.
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

const FIGURES: [Figure; 7] = [
    Figure {
        name: "process_cpu_seconds_total",
        help: "Total user and system CPU time spent in seconds.",
        is_counter: true,
        read: |seen| seen.stat.as_ref().map(|stat| seconds(stat.cpu_ticks)),
    },
    Figure {
        name: "process_open_fds",
        help: "Number of open file descriptors.",
        is_counter: false,
        read: |_| open_descriptors().map(|count| count as f64),
    },
    Figure {
        name: "process_max_fds",
        help: "Maximum number of open file descriptors.",
        is_counter: false,
        // None: there is no limit.
        read: |_| getrlimit(Resource::Nofile).current.map(|limit| limit as f64),
    },
    Figure {
        name: "process_virtual_memory_bytes",
        help: "Virtual memory size in bytes.",
        is_counter: false,
        read: |seen| seen.stat.as_ref().map(|stat| stat.virtual_bytes as f64),
    },
    Figure {
        name: "process_resident_memory_bytes",
        help: "Resident memory size in bytes.",
        is_counter: false,
        read: |seen| seen.stat.as_ref().map(|stat| stat.resident_pages as f64 * page_size() as f64),
    },
    Figure {
        name: "process_start_time_seconds",
        help: "Start time of the process since unix epoch in seconds.",
        is_counter: false,
        read: |seen| seen.started,
    },
    Figure {
        name: "process_threads",
        help: "Number of OS threads in the process.",
        is_counter: false,
        read: |seen| seen.stat.as_ref().map(|stat| stat.threads as f64),
    },
];

impl ProcessCollector {
    /// A collector for this process.
    ///
    /// # Errors
    /// If a name in this file is not one that Prometheus allows.
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let descriptions = FIGURES.iter().map(|figure| figure.opts().describe());
        Ok(Self { descriptions: descriptions.collect::<Result<_, _>>()?, started: start_time() })
    }
}

impl Collector for ProcessCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let seen = Seen { stat: Stat::read(), started: self.started };
        FIGURES.iter().filter_map(|figure| figure.family(&seen)).flatten().collect()
    }
}

impl Figure {
    fn opts(&self) -> Opts {
        Opts::new(self.name, self.help)
    }

    /// The metric is made anew for each scrape: two scrapes at once cannot disturb each other's counter.
    fn family(&self, seen: &Seen) -> Option<Vec<MetricFamily>> {
        let value = (self.read)(seen)?;
        if self.is_counter {
            let counter = Counter::with_opts(self.opts()).ok()?;
            counter.inc_by(value);
            return Some(counter.collect());
        }
        let gauge = Gauge::with_opts(self.opts()).ok()?;
        gauge.set(value);
        Some(gauge.collect())
    }
}

impl Stat {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    /// Fields are separated by spaces. The second, the program's name in brackets, may hold spaces and brackets itself,
    /// so counting begins behind its last bracket, with field 3.
    fn parse(line: &str) -> Option<Self> {
        let (_, rest) = line.rsplit_once(')')?;
        let fields: Vec<_> = rest.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / clock_ticks_per_second() as f64
}

/// When this process started, in seconds since 1970.
fn start_time() -> Option<f64> {
    let system = fs::read_to_string("/proc/stat").ok()?;
    let booted = system.lines().find_map(|line| line.strip_prefix("btime "))?;
    Some(booted.trim().parse::<f64>().ok()? + seconds(Stat::read()?.start_ticks))
}

fn open_descriptors() -> Option<u64> {
    // Since Linux 6.2 the folder's size is their number; counting 10,000 entries takes milliseconds.
    let size = fs::metadata("/proc/self/fd").ok()?.len();
    if size > 0 {
        return Some(size);
    }
    let entries = fs::read_dir("/proc/self/fd").ok()?.count();
    // One of them is the folder, open to be read.
    Some(entries.saturating_sub(1) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_name_may_hold_spaces_and_brackets() {
        let line = "42 (a ) 7 b) S 1 42 42 0 -1 4194560 900 0 0 0 250 150 0 0 20 0 5 0 1234 8192000 300 18446744073709551615";
        let expected = Stat {
            cpu_ticks: 400,
            threads: 5,
            start_ticks: 1234,
            virtual_bytes: 8_192_000,
            resident_pages: 300,
        };
        assert_eq!(Stat::parse(line), Some(expected));
        assert_eq!(Stat::parse("42 (short) S 1 42"), None);
    }

    #[test]
    fn figures_follow_the_process() {
        let collector = ProcessCollector::new().unwrap();
        let read = |name: &str| {
            let families = collector.collect();
            let family = families.iter().find(|family| family.name() == name).unwrap();
            let metric = &family.get_metric()[0];
            if name.ends_with("_total") {
                metric.get_counter().get_value()
            } else {
                metric.get_gauge().get_value()
            }
        };
        assert_eq!(collector.collect().len(), FIGURES.len());

        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        let age = now - read("process_start_time_seconds");
        assert!((-2.0..3600.0).contains(&age), "started {age} s ago");

        // Other tests open files too, but not so many.
        let before = read("process_open_fds");
        let files: Vec<_> = (0..200).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        let more = read("process_open_fds") - before;
        assert!((100.0..300.0).contains(&more), "{more} more descriptors");
        assert!(read("process_max_fds") >= before + more);
        drop(files);

        // Other tests give memory back meanwhile, so once in a while less is seen than was taken.
        let began = std::time::Instant::now();
        loop {
            let before = read("process_resident_memory_bytes");
            let memory = vec![1_u8; 64 << 20];
            let more = read("process_resident_memory_bytes") - before;
            if more > (32 << 20) as f64 {
                break;
            }
            assert!(began.elapsed().as_secs() < 30, "{more} more bytes after {}", memory.len());
        }
        assert!(read("process_virtual_memory_bytes") >= read("process_resident_memory_bytes"));

        // Cargo's harness runs this test in a thread of its own.
        assert!(read("process_threads") >= 2.0);
        let before = read("process_cpu_seconds_total");
        let began = std::time::Instant::now();
        while read("process_cpu_seconds_total") < before + 0.05 {
            assert!(began.elapsed().as_secs() < 30, "no CPU time is counted");
        }
    }
}
