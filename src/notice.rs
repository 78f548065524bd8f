//! `Notices`: log lines about what strangers do, so many a second and no more.

use std::fmt::Arguments;
use std::time::{Duration, Instant};

/// So many lines are written in one [`WINDOW`].
const LINES: u32 = 20;

/// The others are counted, and told with the first line of the next window.
const WINDOW: Duration = Duration::from_secs(1);

/// Bounds the lines that one place writes.
#[derive(Debug)]
pub(crate) struct Notices {
    /// The module that the lines name.
    target: &'static str,
    window: Option<Instant>,
    written: u32,
    left_out: u64,
}

impl Notices {
    pub(crate) fn new(target: &'static str) -> Self {
        Self { target, window: None, written: 0, left_out: 0 }
    }

    /// Writes a line at `debug`, or counts it.
    pub(crate) fn debug(&mut self, line: Arguments<'_>) {
        self.write(log::Level::Debug, line);
    }

    /// The same at `warn`.
    pub(crate) fn warn(&mut self, line: Arguments<'_>) {
        self.write(log::Level::Warn, line);
    }

    fn write(&mut self, level: log::Level, line: Arguments<'_>) {
        if !log::log_enabled!(target: self.target, level) {
            return;
        }
        match self.allow(Instant::now()) {
            Some(0) => log::log!(target: self.target, level, "{line}"),
            Some(left_out) => {
                log::log!(target: self.target, level, "{line} (before it, {left_out} such lines were left out)");
            }
            None => {}
        }
    }

    /// How many lines were left out since the last one, if this one may be written.
    fn allow(&mut self, now: Instant) -> Option<u64> {
        if self.window.is_none_or(|began| now.duration_since(began) >= WINDOW) {
            self.window = Some(now);
            self.written = 0;
        }
        if self.written == LINES {
            self.left_out += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_lines_a_second_are_written_and_the_others_counted() {
        let mut notices = Notices::new("test");
        let began = Instant::now();
        let written = (0..100).filter(|_| notices.allow(began).is_some()).count();
        assert_eq!(written, LINES as usize);
        assert_eq!(notices.allow(began + WINDOW), Some(80));
        assert_eq!(notices.allow(began + WINDOW), Some(0));
    }
}
