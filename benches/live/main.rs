//! The load harness of the live server: `cargo bench --bench live -- <scenario>`; `README.md` says more.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to whoever runs it")]
#![allow(clippy::unwrap_used, reason = "writing to a String or a Vec cannot fail")]

mod board;
mod conn;
mod country;
mod engines;
mod feed;
mod fleet;
mod frame;
mod instances;
mod movers;
mod options;
mod payload;
mod peer;
mod plot;
mod posters;
mod reports;
mod rig;
mod scenario;
mod seen;
mod server;
mod shared;
mod system;
mod tokens;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;

use crate::board::Board;
use crate::options::Options;

/// Where a full run is kept.
const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/RESULTS.md");

/// Where the part of that page begins which is written by hand.
const BY_HAND: &str = "# Before and after";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let result = match arguments.get(1).map(String::as_str) {
        // The harness starts itself again as these.
        Some("launch") => server::launch(&arguments[2..]),
        Some("peer-limit") => peer::limit::run(&peer::Arguments::parse_from(&arguments[1..])),
        Some("peer-tungstenite") => peer::tungstenite::run(peer::Arguments::parse_from(&arguments[1..])),
        Some("peer-postgres") => peer::postgres::run(&arguments[2..]),
        Some("peer-sqlite") => peer::sqlite::run(&arguments[2..]),
        _ => run(Options::parse()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut options: Options) -> Result<()> {
    let full = options.scenarios == ["full"];
    if options.scenarios.is_empty() {
        if !options.bench {
            // Not called by `cargo bench`, but by something that runs every target.
            return Ok(());
        }
        options.short = true;
    }
    if full || options.scenarios.is_empty() {
        options.scenarios = scenario::ALL.iter().map(|name| (*name).to_owned()).collect();
    }
    system::raise_file_limit()?;
    options.take_cores()?;
    let mut page = "# Results\n\n".to_owned();
    for line in system::machine() {
        page += &format!("- {line}\n");
    }
    page += &format!(
        "- {} rounds, medians; each server in its turn in each round, one worker on one core, the generator on \
         another; a column `: x` is the processor's figure divided by x's\n\n",
        options.rounds()
    );
    println!("{page}");
    for name in &options.scenarios {
        eprintln!("running {name}");
        let board: Board = scenario::run(name, &options).with_context(|| format!("scenario {name}"))?;
        let table = board.markdown();
        println!("{table}");
        page += &table;
    }
    if full {
        keep(&page).context("cannot write RESULTS.md")?;
    }
    Ok(())
}

/// Writes the page where the one of the last full run was. What is written by hand behind it stays.
fn keep(page: &str) -> std::io::Result<()> {
    let before = std::fs::read_to_string(RESULTS)?;
    let by_hand = before.find(BY_HAND).map_or("", |at| &before[at..]);
    std::fs::write(RESULTS, format!("{}\n\n{by_hand}", page.trim_end()).trim_end().to_owned() + "\n")
}
