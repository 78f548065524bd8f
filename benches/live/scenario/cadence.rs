//! `cadence`: an event of many devices for many subscribers: each position as it comes, or all of them once a second.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::board::Board;
use crate::conn::Manner;
use crate::movers::{Movers, TOPIC};
use crate::options::Options;
use crate::reports::{POSTS, Reports};
use crate::rig::{Load, Rig};
use crate::server::Kind;

/// Milliseconds of a step.
const STEP: u64 = 1000;

/// How the event is subscribed to.
struct Variant {
    name: &'static str,
    /// More fields of the subscription.
    wish: &'static str,
    deflate: bool,
}

const VARIANTS: [Variant; 4] = [
    Variant { name: "every second", wish: r#","every_ms":1000"#, deflate: false },
    Variant { name: "every second, batched", wish: BATCHED, deflate: false },
    Variant { name: "every second, deflated", wish: r#","every_ms":1000"#, deflate: true },
    Variant { name: BEST, wish: BATCHED, deflate: true },
];

const BATCHED: &str = r#","every_ms":1000,"batch":true"#;
const BEST: &str = "every second, batched, deflated";

const COST: &str = "CPU s per million positions";
const RATE: &str = "million positions/s";
const P99: &str = "post to client p99, ms";

fn row(name: &str, what: &str) -> String {
    format!("{name}: {what}")
}

pub(crate) fn run(options: &Options) -> Result<Board> {
    let (count, devices) = (options.connections(5000, 500), options.pick(1000, 200));
    let mut board = Board::new(
        "cadence",
        format!(
            "{count} subscribers of an event with {devices} devices. At saturation: positions are posted one at a time, \
             8 or {devices} in a post, the next post when all of the one before has arrived; limit makes one write for \
             each post. Then the devices report once a second, {} in a post, and subscribers ask for them once a second; \
             what is measured begins and ends between two steps. CPU is with taking and storing what is posted.",
            devices / POSTS
        ),
    );
    for kind in options.turns(&[Kind::Processor, Kind::Limit]) {
        saturated(kind, count, devices, options, &mut board)?;
        if kind.is_processor() {
            publishing(kind, devices, options, &mut board)?;
            for variant in VARIANTS {
                stepwise(kind, &variant, count, devices, options, &mut board)?;
            }
        }
    }
    let of = |board: &Board, what: &str| board.median(&row(BEST, what), "processor");
    let offered = (count * devices) as f64 / 1e6;
    let rate = of(&board, RATE);
    // A post that comes late may fall into the next step, where the device's next position takes its place.
    board.at_least(format!("{BEST}: million positions/s, {offered} less 2 %"), rate, offered * 0.98);
    board.at_most(row(BEST, COST), of(&board, COST), 0.1);
    board.at_most(row(BEST, "post to client p99, ms: the step and 50"), of(&board, P99), STEP as f64 + 50.0);
    Ok(board)
}

/// The message that subscribes to the event.
pub(super) fn subscribe(wish: &str) -> String {
    format!(r#"{{"type":"subscribe","topic":"{TOPIC}"{wish}}}"#)
}

/// Connects subscribers of the event, whose positions have several lengths. False, with a note, if they were to have compressed
/// messages and the server does not do that.
pub(super) fn subscribers(
    rig: &mut Rig,
    count: usize,
    wish: &str,
    deflate: bool,
    board: &mut Board,
) -> Result<bool> {
    rig.fleet.seen.expect(0);
    rig.fleet.expect_much();
    rig.fleet.deflate = deflate;
    if !rig.server.kind.is_processor() {
        rig.subscribe(count, 1, Manner::Polite)?;
        return Ok(true);
    }
    rig.greet(count, Manner::Polite, 1, |_| subscribe(wish))?;
    if deflate && rig.fleet.seen.deflating < count {
        let column = rig.server.kind.name();
        board.note(format!(
            "{column}: its 101 names no permessage-deflate, so what is deflated is not measured"
        ));
        return Ok(false);
    }
    Ok(true)
}

fn saturated(kind: Kind, count: usize, devices: usize, options: &Options, board: &mut Board) -> Result<()> {
    let mut rig = Rig::start(kind, &options.setup())?;
    let mut movers = Movers::new(devices);
    subscribers(&mut rig, count, "", false, board)?;
    for (steps, name) in [
        (1, "one at a time".to_owned()),
        (8, "8 at once".to_owned()),
        (devices, format!("{devices} at once")),
    ] {
        let bytes = rig.fleet.seen.bytes;
        let before = rig.fleet.seen.positions;
        let load = rig.saturate_with((count * steps) as u64, options.seconds(1.5, 0.3), |rig| {
            let (bytes, numbers) = if kind.is_processor() { movers.body(steps) } else { movers.burst(steps) };
            rig.publish_as(&bytes, numbers, Instant::now())
        })?;
        let bytes = (rig.fleet.seen.bytes - bytes) as f64 / (rig.fleet.seen.positions - before) as f64;
        add(&name, kind, &load, bytes, board);
    }
    Ok(())
}

fn add(name: &str, kind: Kind, load: &Load, bytes: f64, board: &mut Board) {
    board.add(row(name, RATE), kind.name(), load.rate() / 1e6);
    board.add(row(name, COST), kind.name(), load.cost());
    let share = load.usage.server.as_secs_f64() / load.usage.wall.as_secs_f64() * 100.0;
    board.add(row(name, "CPU, % of a core"), kind.name(), share);
    board.add(row(name, "bytes per position"), kind.name(), bytes);
    board.generator(name, kind.name(), load.usage.own_share());
}

/// What it costs when nobody is subscribed.
fn publishing(kind: Kind, devices: usize, options: &Options, board: &mut Board) -> Result<()> {
    let mut rig = Rig::start(kind, &options.setup())?;
    let mut reports = Reports::new(devices);
    reports.pass(&mut rig, Duration::from_millis(300))?;
    let meter = rig.meter()?;
    reports.pass(&mut rig, options.seconds(2.0, 0.5))?;
    let usage = rig.usage(&meter)?;
    let share = usage.server.as_secs_f64() / usage.wall.as_secs_f64() * 100.0;
    board.add("posts as once a second, to nobody: CPU, % of a core", kind.name(), share);
    Ok(())
}

fn stepwise(
    kind: Kind,
    variant: &Variant,
    count: usize,
    devices: usize,
    options: &Options,
    board: &mut Board,
) -> Result<()> {
    let Variant { name, wish, deflate } = *variant;
    let mut rig = Rig::start(kind, &options.setup())?;
    if !subscribers(&mut rig, count, wish, deflate, board)? {
        return Ok(());
    }
    let mut reports = Reports::new(devices);
    reports.pass(&mut rig, Duration::from_millis(STEP + 200))?;
    reports.pass_until_quiet(&mut rig)?;
    let (before, bytes) = (rig.fleet.seen.positions, rig.fleet.seen.bytes);
    rig.fleet.seen.record();
    let meter = rig.meter()?;
    let steps = (options.seconds(4.0, 2.0).as_secs_f64() * 1000.0 / STEP as f64).ceil() as u64;
    reports.pass(&mut rig, Duration::from_millis(steps * STEP))?;
    let usage = rig.usage(&meter)?;
    rig.check()?;
    let latencies = rig.fleet.seen.recorded();
    let deliveries = rig.fleet.seen.positions - before;
    let bytes = (rig.fleet.seen.bytes - bytes) as f64 / deliveries as f64;
    add(name, kind, &Load { usage, bursts: steps, deliveries }, bytes, board);
    for (what, share) in [("post to client p50, ms", 0.5), (P99, 0.99)] {
        board.add(row(name, what), kind.name(), latencies.at(share).as_secs_f64() * 1e3);
    }
    let share = deliveries as f64 / (steps * (count * devices) as u64) as f64;
    if share < 0.95 {
        board.note(format!(
            "{name}, {}: {:.0} % of what was posted came, the rest was conflated",
            kind.name(),
            share * 100.0
        ));
    }
    Ok(())
}
