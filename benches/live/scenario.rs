//! The scenarios, one file each.

mod areas;
mod bytes;
mod cadence;
mod churn;
mod cluster;
mod comeback;
mod connect;
mod drain;
mod echo;
mod fanout;
mod ingest;
mod rolling;
mod scale;
mod soak;
mod stalled;
mod topics;
mod wscat;

use anyhow::{Result, bail};

use crate::board::Board;
use crate::options::Options;

/// Those that `full` runs.
pub(crate) const ALL: [&str; 15] = [
    "connect", "echo", "fanout", "scale", "topics", "areas", "cadence", "bytes", "churn", "stalled",
    "comeback", "drain", "ingest", "cluster", "wscat",
];

/// Runs one.
pub(crate) fn run(name: &str, options: &Options) -> Result<Board> {
    match name {
        "connect" => connect::run(options),
        "echo" => echo::run(options),
        "fanout" => fanout::run(options),
        "scale" => scale::run(options),
        "topics" => topics::run(options),
        "areas" => areas::run(options),
        "cadence" => cadence::run(options),
        "bytes" => bytes::run(options),
        "churn" => churn::run(options),
        "stalled" => stalled::run(options),
        "comeback" => comeback::run(options),
        "drain" => drain::run(options),
        "ingest" => ingest::run(options),
        "cluster" => cluster::run(options),
        "wscat" => wscat::run(options),
        "soak" => soak::run(options),
        _ => bail!("there is no scenario {name:?}; there are: {}, soak, full", ALL.join(", ")),
    }
}
