//! `Options`: what to run, how large, on which cores.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;

use crate::server::{Kind, Setup};
use crate::system;

/// Measures the live server and its peers in turn. Without a scenario: a short version of all.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench live --", disable_version_flag = true)]
pub(crate) struct Options {
    /// connect, echo, fanout, scale, topics, areas, cadence, bytes, churn, stalled, comeback, drain, ingest, cluster, wscat, soak;
    /// or full: all but soak, the result in benches/RESULTS.md
    pub(crate) scenarios: Vec<String>,
    /// Small numbers, to see that it works.
    #[arg(long)]
    pub(crate) short: bool,
    /// Times that each server gets its turn [default: 3, short: 1].
    #[arg(long)]
    rounds: Option<usize>,
    /// Seconds of each measurement (soak: of the whole).
    #[arg(long)]
    seconds: Option<f64>,
    /// Connections, where a scenario has a number of them.
    #[arg(long)]
    connections: Option<usize>,
    /// Only these servers.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Kind>,
    /// Another build of the processor, measured in turn with this one; its column is `beside`.
    #[arg(long, value_name = "PROGRAM")]
    beside: Option<PathBuf>,
    /// What cargo says to a benchmark.
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
    /// Where the server runs.
    #[arg(skip)]
    server_cores: Vec<usize>,
}

impl Options {
    /// Takes the last core for the generator and leaves the others to the server.
    pub(crate) fn take_cores(&mut self) -> Result<()> {
        let cores = system::cores()?;
        let (generator, server) = cores.split_last().context("no core")?;
        self.server_cores = if server.is_empty() { vec![*generator] } else { server.to_vec() };
        system::pin(&[*generator])
    }

    /// One worker on one core.
    pub(crate) fn setup(&self) -> Setup {
        let cores = self.server_cores.iter().copied().take(1).collect();
        let beside = self.beside.clone();
        Setup { cores, workers: 1, ping: None, echo: false, settings: Vec::new(), beside }
    }

    /// Two workers on two cores. On a machine with two, the generator has to share its own.
    pub(crate) fn two_workers(&self) -> Result<Setup> {
        let mut cores = self.server_cores.clone();
        cores.extend(system::cores()?);
        cores.dedup();
        cores.truncate(2);
        Ok(Setup { cores, workers: 2, ..self.setup() })
    }

    /// One worker, on two cores; on a machine with two, one of them is the generator's too.
    pub(crate) fn all_cores(&self) -> Result<Setup> {
        Ok(Setup { workers: 1, ..self.two_workers()? })
    }

    /// True if the generator's core is a server's too.
    pub(crate) fn shares_core(&self, setup: &Setup) -> Result<bool> {
        Ok(system::cores()?.iter().any(|core| setup.cores.contains(core)))
    }

    /// A number for the full size or the short one.
    pub(crate) fn pick<T>(&self, full: T, short: T) -> T {
        if self.short { short } else { full }
    }

    pub(crate) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(self.pick(3, 1)).max(1)
    }

    /// A number of connections.
    pub(crate) fn connections(&self, full: usize, short: usize) -> usize {
        self.connections.unwrap_or(self.pick(full, short)).max(1)
    }

    /// The time of one measurement.
    pub(crate) fn seconds(&self, full: f64, short: f64) -> Duration {
        Duration::from_secs_f64(self.seconds.unwrap_or(self.pick(full, short)).clamp(0.1, 86_400.0))
    }

    /// Those of the servers that are to be measured; with `--beside`, the other build follows the processor.
    pub(crate) fn kinds(&self, kinds: &[Kind]) -> Vec<Kind> {
        let wanted = |kind: &Kind| self.only.is_empty() || self.only.contains(kind);
        let with_beside = |kind: Kind| {
            let beside = (kind == Kind::Processor && self.beside.is_some()).then_some(Kind::Beside);
            [Some(kind), beside].into_iter().flatten()
        };
        kinds.iter().copied().filter(wanted).flat_map(with_beside).collect()
    }

    /// Each round's servers, one after the other.
    pub(crate) fn turns(&self, kinds: &[Kind]) -> Vec<Kind> {
        let kinds = self.kinds(kinds);
        kinds.iter().copied().cycle().take(kinds.len() * self.rounds()).collect()
    }
}
