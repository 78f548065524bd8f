//! `connect`: handshakes, and what quiet connections cost.

use std::time::Duration;

use anyhow::Result;

use crate::board::Board;
use crate::conn::Manner;
use crate::options::Options;
use crate::rig::{Burst, Rig};
use crate::server::Kind;
use crate::system::Memory;
use crate::tokens;

/// Positions of one burst, and bytes added to each, so that both together are 1 MiB for each connection.
const STEPS: usize = 256;
const FILLER: usize = 3870;

/// Given to a server to give memory back.
const SETTLE: Duration = Duration::from_secs(2);

pub(crate) fn run(options: &Options) -> Result<Board> {
    let counts = if options.short { vec![2000] } else { vec![10_000, 18_500] };
    let counts = if options.connections(0, 0) > 1 { vec![options.connections(0, 0)] } else { counts };
    let mut board = Board::new(
        "connect",
        "Connections are opened, 128 handshakes at a time; then they idle, with a ping every 5 s. Memory is what \
         became resident since before they came, for each. Then all subscribe (the processor only), and 1 MiB is \
         published to and received by each. At last 10,000 (2,000) connect that show a token each (HS256, every one of another \
         subject), to a server that asks for them.",
    );
    for kind in options.turns(&Kind::ALL) {
        for &count in &counts {
            one(kind, count, options, &mut board)?;
        }
        if kind == Kind::Processor {
            with_tokens(counts[0], options, &mut board)?;
        }
    }
    for &count in &counts {
        let row = |what: &str| format!("{count}: {what}");
        let of = |board: &Board, what: &str| board.median(&row(what), "processor");
        let handshakes = board.ratio(&row("handshakes/s"), "limit");
        board.at_least(row("handshakes/s, to limit's"), handshakes, 0.8);
        let idle = board.ratio(&row("idle CPU, % of a core"), "limit");
        board.at_most(row("idle CPU with 5 s ping, to limit's"), idle, 1.5);
        board.at_most(row("resident per idle connection, KiB"), of(&board, RESIDENT), 9.0);
        let back = of(&board, AFTER).zip(of(&board, SUBSCRIBED)).map(|(after, before)| after / before);
        board.at_most(row("memory after a burst of 1 MiB each, to before"), back, 1.1);
    }
    Ok(board)
}

/// The same handshakes, where each connection shows a token.
fn with_tokens(count: usize, options: &Options, board: &mut Board) -> Result<()> {
    let setup = options.setup().with("AUTH", "jwt").with("AUTH_JWT_SECRET", tokens::SECRET);
    let mut rig = Rig::start(Kind::Processor, &setup)?;
    rig.fleet.tokens = tokens::make(count)?;
    let empty = empty(&mut rig)?;
    let row = |what: &str| format!("{count} with a token each: {what}");
    let column = Kind::Processor.name();
    handshakes(&mut rig, count, row, column, board)?;
    let grown = rig.server.memory()?.resident - empty.resident;
    board.add(row(RESIDENT), column, grown / 1024.0 / count as f64);
    Ok(())
}

/// The memory of a server without connections, but with what it allocates once and is none of theirs.
fn empty(rig: &mut Rig) -> Result<Memory> {
    rig.connect(100, Manner::Passing)?;
    rig.fleet.abort(Manner::Passing);
    rig.fleet.pass(Duration::from_millis(500))?;
    rig.server.memory()
}

/// Connects so many, and waits until the server has settled.
fn handshakes(
    rig: &mut Rig,
    count: usize,
    row: impl Fn(&str) -> String,
    column: &'static str,
    board: &mut Board,
) -> Result<()> {
    let meter = rig.meter()?;
    let took = rig.connect(count, Manner::Polite)?;
    let usage = rig.usage(&meter)?;
    board.add(row("handshakes/s"), column, count as f64 / took.as_secs_f64());
    board.add(row("CPU µs per handshake"), column, usage.server.as_secs_f64() * 1e6 / count as f64);
    board.generator(&row("handshakes"), column, usage.own_share());
    rig.fleet.pass(SETTLE)
}

const RESIDENT: &str = "resident per idle connection, KiB";
const SUBSCRIBED: &str = "resident per subscribed connection, KiB";
const AFTER: &str = "resident per connection after the burst, KiB";

fn one(kind: Kind, count: usize, options: &Options, board: &mut Board) -> Result<()> {
    let column = kind.name();
    let row = |what: &str| format!("{count}: {what}");
    let mut setup =
        options.setup().with("LIVE_WS_PONG_TIMEOUT_MS", 60_000).with("LIVE_WS_OUTBOX_BYTES", 4 << 20);
    setup.ping = Some(Duration::from_secs(5));
    let mut rig = Rig::start(kind, &setup)?;
    let empty = empty(&mut rig)?;
    handshakes(&mut rig, count, row, column, board)?;
    let each = |bytes: f64| bytes / 1024.0 / count as f64;
    let memory = rig.server.memory()?;
    board.add(row(RESIDENT), column, each(memory.resident - empty.resident));
    board.add(row("of that anonymous, KiB"), column, each(memory.anonymous - empty.anonymous));

    let pings = rig.fleet.seen.pings;
    let meter = rig.meter()?;
    rig.fleet.pass(options.seconds(15.0, 6.0))?;
    let usage = rig.usage(&meter)?;
    let share = usage.server.as_secs_f64() / usage.wall.as_secs_f64() * 100.0;
    board.add(row("idle CPU, % of a core"), column, share);
    let pings = (rig.fleet.seen.pings - pings) as f64 / usage.wall.as_secs_f64();
    board.add(row("pings/s"), column, pings);

    if kind.is_processor() {
        // What taking and storing posts needs once (buffers, the store's cache, its prepared statements) is no
        // connection's: it is there before the burst that is looked at.
        rig.fill(FILLER);
        rig.saturate(&Burst::of(STEPS), 0, Duration::from_millis(200))?;
        let answers = rig.fleet.seen.answers + count as u64;
        rig.fleet.send_all(|_| crate::fleet::subscribe(0));
        rig.fleet.until(Duration::from_secs(20), |fleet| fleet.seen.answers >= answers)?;
        rig.fleet.pass(SETTLE)?;
        board.add(row(SUBSCRIBED), column, each(rig.server.memory()?.resident - empty.resident));
        let bytes = rig.fleet.seen.bytes;
        let load = rig.saturate(&Burst::of(STEPS), (count * STEPS) as u64, Duration::ZERO)?;
        let received = (rig.fleet.seen.bytes - bytes) as f64 / (1 << 20) as f64;
        board
            .note(format!("{count}: received {:.2} MiB each, twice in a row", received / count as f64 / 2.0));
        board.add(row("burst of 1 MiB each, s"), column, load.usage.wall.as_secs_f64());
        rig.fleet.pass(SETTLE)?;
        board.add(row(AFTER), column, each(rig.server.memory()?.resident - empty.resident));
    }
    Ok(())
}
