//! The log: lines on standard error, written by a thread of its own, so that a reader who is slow or stuck holds up nothing.
//!
//! What strangers can cause is bounded: lines that wait, in bytes; and warnings and errors of one kind, in number.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use env_logger::{Logger, Target};
use log::{Level, Log, Metadata, Record};
use prometheus::IntCounter;

use crate::domain::Timestamp;

/// Bytes of lines that may wait to be written.
const MAX_WAITING: usize = 1 << 20;

/// So many warnings and errors of one kind are written in a while; a kind is a place in the source.
const PER_KIND: u32 = 10;

/// The while.
const WINDOW: Duration = Duration::from_secs(60);

/// What is written unless `RUST_LOG` says otherwise. actix-server tells of its threads, actix-http of everyone who does not
/// speak HTTP, and sqlx repeats what Postgres says of errors that are told anyway; an operator has no use for that.
const DEFAULT_FILTER: &str = "info,actix_server=warn,actix_http=off,sqlx::postgres::notice=off";

/// The log that was started. [`Logging::flush`] before the process ends.
#[derive(Clone)]
pub struct Logging {
    queue: Arc<Queue>,
}

/// Lines that wait to be written.
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    /// Lines that did not fit.
    dropped: IntCounter,
    limit: usize,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    /// Lines that did not fit since that was last said.
    unsaid: u64,
    /// The writer has taken lines that it has not written yet.
    writing: bool,
}

impl Logging {
    /// Starts to log, at `info` unless `RUST_LOG` says otherwise.
    ///
    /// # Errors
    /// The system's, if there is no thread to be had, and if the program logs already.
    pub fn start() -> io::Result<Self> {
        let dropped = IntCounter::new(
            "processor_log_dropped_total",
            "Lines of the log that were dropped, as whoever reads it is too slow.",
        );
        let dropped = dropped.map_err(io::Error::other)?;
        let queue = Arc::new(Queue::new(MAX_WAITING, dropped));
        let writer = queue.clone();
        std::thread::Builder::new().name("log".into()).spawn(move || writer.write_all(io::stderr()))?;
        let filter = env_logger::Env::default().default_filter_or(DEFAULT_FILTER);
        let colours = io::IsTerminal::is_terminal(&io::stderr());
        let logger = env_logger::Builder::from_env(filter)
            .format(format)
            .write_style(if colours { env_logger::WriteStyle::Auto } else { env_logger::WriteStyle::Never })
            .target(Target::Pipe(Box::new(Input(queue.clone()))))
            .build();
        log::set_max_level(logger.filter());
        log::set_boxed_logger(Box::new(Bounded { logger, kinds: Mutex::default() }))
            .map_err(io::Error::other)?;
        // The usual hook writes to standard error itself, and would wait for who reads.
        std::panic::set_hook(Box::new(|panic| log::error!("{panic}")));
        Ok(Self { queue })
    }

    /// How many lines were dropped, as whoever reads the log was too slow.
    pub fn dropped(&self) -> IntCounter {
        self.queue.dropped.clone()
    }

    /// Waits until all is written, at most `limit`.
    pub fn flush(&self, limit: Duration) {
        let waiting = self.queue.lock();
        let pending = |waiting: &mut Waiting| waiting.writing || !waiting.lines.is_empty();
        drop(self.queue.changed.wait_timeout_while(waiting, limit, pending));
    }
}

/// One line for each record whatever it holds: a control character that came from outside must not forge a line or steer a
/// terminal.
fn format(out: &mut env_logger::fmt::Formatter, record: &Record<'_>) -> io::Result<()> {
    let mut message = String::new();
    for character in record.args().to_string().chars() {
        if character.is_control() {
            write!(message, "{}", character.escape_default()).map_err(io::Error::other)?;
        } else {
            message.push(character);
        }
    }
    let level = record.level();
    let style = out.default_level_style(level);
    writeln!(out, "{} {style}{level:5}{style:#} {} {message}", Timestamp::now(), record.target())
}

impl Queue {
    fn new(limit: usize, dropped: IntCounter) -> Self {
        Self { waiting: Mutex::default(), changed: Condvar::new(), dropped, limit }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a line, or drops it: never waits for who reads.
    fn push(&self, line: &[u8]) {
        let mut waiting = self.lock();
        if waiting.lines.len() + line.len() > self.limit {
            waiting.unsaid += 1;
            drop(waiting);
            return self.dropped.inc();
        }
        if waiting.unsaid > 0 {
            let unsaid = std::mem::take(&mut waiting.unsaid);
            let said = format!(
                "{} WARN  processor::logging {unsaid} lines were dropped here, as whoever reads the log is too slow\n",
                Timestamp::now()
            );
            waiting.lines.extend_from_slice(said.as_bytes());
        }
        waiting.lines.extend_from_slice(line);
        drop(waiting);
        self.changed.notify_all();
    }

    /// Writes what comes, for ever.
    fn write_all(&self, mut out: impl Write) {
        loop {
            let mut waiting = self.lock();
            waiting.writing = false;
            self.changed.notify_all();
            let nothing = |waiting: &mut Waiting| waiting.lines.is_empty();
            let mut waiting =
                self.changed.wait_while(waiting, nothing).unwrap_or_else(PoisonError::into_inner);
            let lines = std::mem::take(&mut waiting.lines);
            waiting.writing = true;
            drop(waiting);
            // Nobody may be there to read it; then there is nobody to be told either.
            drop(out.write_all(&lines));
        }
    }
}

/// Where env_logger writes: a whole line each time.
struct Input(Arc<Queue>);

impl Write for Input {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bounds how many warnings and errors of one kind are written. There are as many kinds as places in the source.
struct Bounded {
    logger: Logger,
    kinds: Mutex<HashMap<(&'static str, u32), Kind>>,
}

/// The warnings or errors of one place in the source.
#[derive(Clone, Copy, Debug)]
struct Kind {
    since: Instant,
    count: u32,
}

impl Kind {
    /// Counts one at `now`. `Err` if it is one too many, else how many were too many before it.
    fn count(&mut self, now: Instant) -> Result<u32, ()> {
        let mut unsaid = 0;
        if now.duration_since(self.since) >= WINDOW {
            unsaid = self.count.saturating_sub(PER_KIND);
            *self = Self { since: now, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        if self.count > PER_KIND { Err(()) } else { Ok(unsaid) }
    }
}

/// True for lines of the HTTP client that hold the bytes it sends, with whatever tokens are among them.
fn shows_secrets(metadata: &Metadata<'_>) -> bool {
    metadata.level() > Level::Info && metadata.target().starts_with("ureq")
}

impl Log for Bounded {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        !shows_secrets(metadata) && self.logger.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if shows_secrets(record.metadata()) || !self.logger.matches(record) {
            return;
        }
        if record.level() > Level::Warn {
            return self.logger.log(record);
        }
        let kind = (record.file_static().unwrap_or_default(), record.line().unwrap_or_default());
        let now = Instant::now();
        let counted = {
            let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
            kinds.entry(kind).or_insert(Kind { since: now, count: 0 }).count(now)
        };
        match counted {
            Err(()) => {}
            Ok(0) => self.logger.log(record),
            Ok(unsaid) => {
                let (level, target) = (record.level(), record.target());
                let more = format_args!("{unsaid} lines like the next were left out");
                self.logger.log(&Record::builder().level(level).target(target).args(more).build());
                self.logger.log(record);
            }
        }
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted_and_said_when_there_is_room() {
        let dropped = IntCounter::new("x", "x").unwrap();
        let queue = Queue::new(20, dropped.clone());
        for line in ["first 10 b\n", "second\n", "third\n", "fourth\n"] {
            queue.push(line.as_bytes());
        }
        assert_eq!(dropped.get(), 2);
        let taken = std::mem::take(&mut queue.lock().lines);
        assert_eq!(taken, b"first 10 b\nsecond\n");
        queue.push(b"fifth\n");
        let text = String::from_utf8(std::mem::take(&mut queue.lock().lines)).unwrap();
        assert!(text.contains(" 2 lines were dropped here") && text.ends_with("slow\nfifth\n"), "{text}");
    }

    #[test]
    fn some_of_a_kind_are_written_in_a_while_and_the_rest_is_said_later() {
        let start = Instant::now();
        let mut kind = Kind { since: start, count: 0 };
        let written =
            (0..25).filter(|second| kind.count(start + Duration::from_secs(*second)).is_ok()).count();
        assert_eq!(written, PER_KIND as usize);
        assert_eq!(kind.count(start + WINDOW), Ok(15));
        assert_eq!(kind.count(start + WINDOW), Ok(0));
    }
}
