//! `areas`: very many viewports in a country where very many devices move.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::board::Board;
use crate::conn::Manner;
use crate::country::{self, Devices, HEIGHT, Place, WIDTH};
use crate::frame;
use crate::movers::Random;
use crate::options::Options;
use crate::rig::Rig;
use crate::server::Kind;

const COLUMN: &str = "processor";

/// Viewports that one connection holds.
const HELD: usize = 50;

/// Positions in a post.
const POST: usize = 1000;

/// Subscribers that get one position of each burst, where the cost of a match is measured.
const MATCHED: usize = 1000;

/// Clients that move their viewport at the same time.
const MOVING: usize = 64;

/// For one answer to all of them.
const LIMIT: Duration = Duration::from_secs(10);

pub(crate) fn run(options: &Options) -> Result<Board> {
    let counts = options.pick([100, 1000, 10_000], [100, 500, 2000]);
    let devices = options.pick(50_000, 5000);
    let matches = if options.short { vec![1, 1000] } else { vec![1, 10, 100, 1000] };
    let mut board = Board::new(
        "areas",
        format!(
            "Viewports of {WIDTH} by {HEIGHT} degrees anywhere in a country of 10 by 8, {HELD} on a connection; {devices} devices \
             that rest anywhere, and {devices} that move and report in posts of {POST}. No match: these are in gaps between the \
             viewports, with more and more viewports and then less and less. A match: {MATCHED} clients are each sent one position of \
             each burst, {MATCHED} / k positions with k viewports around each, or with k subscribers of the device. That and what \
             no match costs more than with no viewport is CPU of the worker's thread, which does not take and store posts; what it \
             uses for the same posts with nobody there is taken off. Moves: {MOVING} clients move their viewport by a tenth with \
             `replaces`, among {} others; beside it, as many say `hello`, to see what a message and its answer cost at least.",
            counts[2]
        ),
    );
    for kind in options.turns(&[Kind::Processor]) {
        spread(kind, &counts, devices, options, &mut board)?;
        for &k in &matches {
            matched(kind, k, options, &mut board)?;
        }
    }
    let most = counts[2];
    let nets = |board: &Board, count| board.median(&row(count, NET), COLUMN);
    board.at_most(row(most, NET), nets(&board, most), 2.0);
    let costs = |board: &Board, count| board.median(&row(count, COST), COLUMN);
    let grown = costs(&board, most).zip(costs(&board, counts[0])).map(|(many, few)| many / few);
    board.at_most(format!("CPU per position, {most} viewports to {}", counts[0]), grown, 1.2);
    board.at_least(format!("CPU per position, {most} viewports to {}", counts[0]), grown, 0.8);
    for &k in &matches {
        let row = matching(k, TO_DEVICES);
        board.at_most(row.as_str(), board.median(&row, COLUMN), 1.1);
    }
    board.at_most(MOVE, board.median(MOVE, COLUMN), 100.0);
    Ok(board)
}

const COST: &str = "CPU µs per position that matches nothing";
const WORKER: &str = "of that the worker's thread";
const NET: &str = "the same without what it uses with no viewport";
const AREAS: &str = "viewports, the worker's CPU µs per delivery";
const DEVICES: &str = "device topics, the worker's CPU µs per delivery";
/// Of each turn, as a core is not as fast in one as in the next.
const TO_DEVICES: &str = "a delivery to a viewport, to one of a device's topic right after";
const MOVE: &str = "CPU µs per move of a viewport";

fn row(viewports: usize, what: &str) -> String {
    format!("{viewports} viewports: {what}")
}

fn matching(k: usize, what: &str) -> String {
    format!("{k} matched: {what}")
}

/// Times that viewports and topics get their turn, in each round.
const TURNS: usize = 5;

/// The message that subscribes to topics.
fn subscribe(topics: &[String]) -> String {
    format!(r#"{{"type":"subscribe","topics":["{}"]}}"#, topics.join(r#"",""#))
}

/// Positions that match nothing, and moves.
fn spread(kind: Kind, counts: &[usize], devices: usize, options: &Options, board: &mut Board) -> Result<()> {
    let viewports = country::viewports(counts[counts.len() - 1]);
    let places = country::gaps(&viewports, devices);
    let mut rig = Rig::start(kind, &options.setup())?;
    rig.fleet.seen.expect(0);
    rig.find_worker()?;
    let mut devices = Devices::new('a', places);
    report_all(&mut rig, &mut devices)?;
    let mut random = Random::new();
    let anywhere = (0..devices.len()).map(|_| Place::random(&mut random, 0.0, 0.0)).collect();
    report_all(&mut rig, &mut Devices::new('m', anywhere))?;
    // Up and down again, as what a position costs to store grows with the database.
    let mut costs = vec![vec![report(&mut rig, &mut devices, 0, options, board)?]];
    let mut held = Vec::new();
    for &count in counts {
        let open: usize = held.iter().map(|slots: &Vec<usize>| slots.len() * HELD).sum();
        let topics: Vec<_> = viewports[open..count].iter().map(|viewport| viewport.topic()).collect();
        let messages: Vec<_> = topics.chunks(HELD).map(subscribe).collect();
        held.push(rig.greet(messages.len(), Manner::Polite, HELD, |number| messages[number].clone())?);
        costs.push(vec![report(&mut rig, &mut devices, count, options, board)?]);
    }
    let before = [0].into_iter().chain(counts.iter().copied()).collect::<Vec<_>>();
    for (place, slots) in held.iter().enumerate().rev() {
        costs[place + 1].push(report(&mut rig, &mut devices, before[place + 1], options, board)?);
        if place == counts.len() - 1 {
            moves(&mut rig, options, board)?;
        }
        slots.iter().for_each(|slot| rig.fleet.leave(*slot));
        rig.fleet.pass(Duration::from_millis(300))?;
    }
    costs[0].push(report(&mut rig, &mut devices, 0, options, board)?);
    let mean =
        |costs: &[Cost], which: fn(&Cost) -> f64| costs.iter().map(which).sum::<f64>() / costs.len() as f64;
    let none = mean(&costs[0], |cost| cost.worker);
    for (count, costs) in before.iter().zip(&costs) {
        let worker = mean(costs, |cost| cost.worker);
        board.add(row(*count, COST), rig.server.kind.name(), mean(costs, |cost| cost.all));
        board.add(row(*count, WORKER), rig.server.kind.name(), worker);
        if *count > 0 {
            board.add(row(*count, NET), rig.server.kind.name(), worker - none);
        }
    }
    Ok(())
}

fn report_all(rig: &mut Rig, devices: &mut Devices) -> Result<()> {
    for _ in 0..devices.len() / POST {
        let body = devices.body(POST);
        rig.post(&String::from_utf8(body)?)?;
    }
    Ok(())
}

/// Processor time of a position that nobody gets, in microseconds.
struct Cost {
    all: f64,
    /// Of the thread that serves the clients and looks for viewports.
    worker: f64,
}

fn report(
    rig: &mut Rig,
    devices: &mut Devices,
    viewports: usize,
    options: &Options,
    board: &mut Board,
) -> Result<Cost> {
    let load = rig.saturate_with(0, options.seconds(1.0, 0.3), |rig| publish(rig, devices, POST))?;
    rig.check()?;
    board.generator(&format!("{viewports} viewports"), rig.server.kind.name(), load.usage.own_share());
    let each = |time: Duration| time.as_secs_f64() * 1e6 / (load.bursts * POST as u64) as f64;
    Ok(Cost { all: each(load.usage.server), worker: each(load.usage.worker) })
}

/// Positions with `k` viewports around each, and the same with `k` subscribers of their devices.
fn matched(kind: Kind, k: usize, options: &Options, board: &mut Board) -> Result<()> {
    let groups = MATCHED / k;
    // Far enough from each other that no viewport holds two of them.
    let place = |group: usize| Place {
        longitude: 6.0 + (group % 40) as f64 * 2.0 * WIDTH,
        latitude: 10.0 + (group / 40) as f64 * 2.0 * HEIGHT,
    };
    let places: Vec<_> = (0..groups).map(place).collect();
    let elsewhere = places.iter().map(|place| place.moved(-100.0, 0.0)).collect();
    let mut rig = Rig::start(kind, &options.setup())?;
    rig.fleet.seen.expect(0);
    rig.find_worker()?;
    let (mut seen, mut named) = (Devices::new('a', places.clone()), Devices::new('d', elsewhere));
    let time = options.seconds(0.7, 0.3);
    let mut publishing = [Duration::ZERO; 2];
    for (devices, post) in [&mut seen, &mut named].into_iter().zip(&mut publishing) {
        let load = rig.saturate_with(0, time, |rig| publish(rig, devices, groups))?;
        *post = load.usage.worker / load.bursts as u32;
    }
    let viewport = |number: usize| {
        // No two alike.
        let shift = (number % k) as f64 * 0.000_05;
        places[number / k].moved(-WIDTH / 2.0 + shift, -HEIGHT / 2.0).topic()
    };
    rig.greet(MATCHED, Manner::Polite, 1, |number| subscribe(&[viewport(number)]))?;
    rig.greet(MATCHED, Manner::Polite, 1, |number| subscribe(&[named.topic(number / k)]))?;
    for _ in 0..TURNS {
        let all = [(AREAS, &mut seen, publishing[0]), (DEVICES, &mut named, publishing[1])];
        let mut costs = Vec::new();
        for (what, devices, post) in all {
            let load = rig.saturate_with(MATCHED as u64, time, |rig| publish(rig, devices, groups))?;
            rig.check()?;
            let net = load.usage.worker.saturating_sub(post * load.bursts as u32);
            let cost = net.as_secs_f64() * 1e6 / load.deliveries as f64;
            board.add(matching(k, what), rig.server.kind.name(), cost);
            board.generator(&matching(k, what), rig.server.kind.name(), load.usage.own_share());
            costs.push(cost);
        }
        board.add(matching(k, TO_DEVICES), rig.server.kind.name(), costs[0] / costs[1]);
    }
    Ok(())
}

fn publish(rig: &mut Rig, devices: &mut Devices, count: usize) -> Result<()> {
    let body = devices.body(count);
    rig.publish_as(&body, 0..0, Instant::now())
}

/// Clients that move their viewport, and such as say hello.
fn moves(rig: &mut Rig, options: &Options, board: &mut Board) -> Result<()> {
    let mut random = Random::new();
    let mut views: Vec<_> =
        (0..MOVING).map(|_| Place::random(&mut random, 2.0 * WIDTH, 2.0 * HEIGHT)).collect();
    let slots = rig.greet(MOVING, Manner::Passing, 1, |number| subscribe(&[views[number].topic()]))?;
    let time = options.seconds(2.0, 0.5);
    let answer = rounds(rig, &slots, time, "moves", board, |number, round| {
        let (before, step) = (views[number], if round / 8 % 2 == 0 { 0.1 } else { -0.1 });
        let now =
            if number % 2 == 0 { before.moved(WIDTH * step, 0.0) } else { before.moved(0.0, HEIGHT * step) };
        views[number] = now;
        let (now, before) = (now.topic(), before.topic());
        format!(r#"{{"type":"subscribe","topic":"{now}","replaces":"{before}","id":"m{round}"}}"#)
    })?;
    board.add(MOVE, rig.server.kind.name(), answer.cost);
    board.add("bytes of the answer to a move", rig.server.kind.name(), answer.bytes);
    let answer = rounds(rig, &slots, time, "hellos", board, |_, round| {
        format!(r#"{{"type":"hello","id":"m{round}"}}"#)
    })?;
    board.add("CPU µs per hello", rig.server.kind.name(), answer.cost);
    board.add("bytes of the answer to a hello", rig.server.kind.name(), answer.bytes);
    rig.fleet.abort(Manner::Passing);
    Ok(())
}

/// What an answer costs.
struct Answer {
    /// Microseconds.
    cost: f64,
    bytes: f64,
}

/// Each of the connections sends a message, and when all are answered, the next.
fn rounds(
    rig: &mut Rig,
    slots: &[usize],
    time: Duration,
    name: &str,
    board: &mut Board,
    mut message: impl FnMut(usize, usize) -> String,
) -> Result<Answer> {
    let (answers, bytes) = (rig.fleet.seen.answers, rig.fleet.seen.bytes);
    let meter = rig.meter()?;
    let since = Instant::now();
    let mut round = 0;
    while since.elapsed() < time {
        for (number, slot) in slots.iter().enumerate() {
            let message = message(number, round);
            rig.fleet.send(*slot, &frame::masked(frame::TEXT, message.as_bytes()));
        }
        round += 1;
        let goal = answers + (round * slots.len()) as u64;
        ensure!(
            rig.fleet.napping(LIMIT, |fleet| fleet.seen.answers >= goal)?,
            "{name}: not all were answered"
        );
    }
    let usage = rig.usage(&meter)?;
    rig.check()?;
    let count = (round * slots.len()) as f64;
    board.generator(name, rig.server.kind.name(), usage.own_share());
    let bytes = (rig.fleet.seen.bytes - bytes) as f64 / count;
    Ok(Answer { cost: usage.server.as_secs_f64() * 1e6 / count, bytes })
}
