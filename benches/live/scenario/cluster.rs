//! `cluster`: instances over Postgres and Redis, next to one over SQLite.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::rolling;
use crate::board::Board;
use crate::conn::Manner;
use crate::engines::Engines;
use crate::instances::Instances;
use crate::options::Options;
use crate::payload;
use crate::posters::{Durable, Posters};
use crate::rig::{Burst, Rig, Usage};
use crate::server::{self, Kind, Setup};
use crate::system;

/// Connections that post.
const POSTERS: usize = 64;

/// Positions in one post.
const BATCHES: [usize; 3] = [1, 100, 1000];

/// The same at half load.
const HALF_LOAD: usize = 100;

/// Times that each gets its turn to fan out, in each round.
const FANOUT_TURNS: usize = 4;

/// Where many clients are spread over several.
const INSTANCES: usize = 3;

/// Positions a second to all of these clients.
const EVENT_RATE: f64 = 100.0;

/// How clients ask for the event: as it comes, or less often and together, which saves most of the writes.
const WISHES: [(&str, &str); 2] = [("", ""), (", every 100 ms, batched", r#","every_ms":100,"batch":true"#)];

const EMBEDDED: &str = "processor";
const CLUSTER: &str = "processor, Postgres + Redis";
/// One connection, which commits as many positions at once as the processor did: several posts together.
const SAME_GROUPS: &str = "Postgres alone, same groups";
/// As many connections as post, each of which commits one post's positions.
const EACH_POST: &str = "Postgres alone, each post a transaction";

/// Two figures in a proportion up to this are the same, as far as can be told here.
const SAME: f64 = 1.02;

const RATE: &str = "durable positions/s";
/// Of each round, as the disk is not as fast in one as in the next.
const TO_SAME_GROUPS: &str = "positions/s, to Postgres alone with the same groups";
const TO_EACH_POST: &str = "positions/s, to Postgres alone with each post a transaction";
const NET: &str = "fan-out: CPU µs per delivery, without what publishing to nobody costs";
/// Of each turn.
const TO_EMBEDDED: &str = "fan-out: CPU per delivery, to the embedded one's right before";

/// Everything that is started.
struct Bench<'a> {
    options: &'a Options,
    engines: Engines,
    board: Board,
}

pub(crate) fn run(options: &Options) -> Result<Board> {
    let subscribers = subscribers(options);
    let clients = options.connections(6000, 300);
    let board = Board::new(
        "cluster",
        format!(
            "One instance over SQLite, and one over PostgreSQL and Redis on this machine as Debian's packages configure them; all \
             may use two cores. {POSTERS} keep-alive connections, each posting positions of its \
             own devices, the next post when the one before was answered. Right after, with the same statement into the same \
             tables and nothing else, Postgres alone: over one connection, in groups of as many positions as the processor \
             committed at once; and over {POSTERS} connections, each committing one post's positions, the next when those before \
             were committed. Half load: posts of {HALF_LOAD} at half of each one's own rate, a client \
             for one device of each poster, from the instant a post was due. Fan-out: bursts of 1 to {subscribers} subscribers of \
             one topic, both instances in turn, each on the first core; CPU is the processor's own. {INSTANCES} instances: \
             {clients} clients each, all of one event, {EVENT_RATE} positions/s posted to the instances in turn, each \
             position as it comes, then every 100 ms and batched. Rolling restart: \
             clients come back when `draining` told them to, to the other instances in turn."
        ),
    );
    if options.kinds(&[Kind::Processor]).is_empty() {
        return Ok(board);
    }
    if let Some(package) = Engines::missing() {
        let mut board = board;
        board.note(format!(
            "not measured: {package} is not installed (apt-get install postgresql redis-server)"
        ));
        return Ok(board);
    }
    let setup = options.all_cores()?;
    let engines = Engines::start(&setup.cores)?;
    let mut bench = Bench { options, engines, board };
    if options.shares_core(&setup)? {
        bench.board.note("one of the two cores is the generator's");
    }
    for _ in 0..options.rounds() {
        for batch in BATCHES {
            bench.durable(batch)?;
        }
        bench.fanout(subscribers)?;
        for (name, wish) in WISHES {
            bench.event(clients, name, wish)?;
        }
        rolling::run(CLUSTER, &mut bench.engines, options, &mut bench.board)?;
    }
    targets(&mut bench.board, clients);
    Ok(bench.board)
}

fn subscribers(options: &Options) -> usize {
    options.pick(2000, 500)
}

fn posts(batch: usize, what: &str) -> String {
    format!("posts of {batch}: {what}")
}

fn event(clients: usize, name: &str, what: &str) -> String {
    format!("{INSTANCES} × {clients} clients{name}: {what}")
}

fn targets(board: &mut Board, clients: usize) {
    for batch in BATCHES {
        let row = posts(batch, TO_EACH_POST);
        board.at_least(row.as_str(), board.median(&row, CLUSTER), 0.8);
    }
    // Not above the embedded one's, but for what two turns of the same server differ by.
    board.at_most(TO_EMBEDDED, board.median(TO_EMBEDDED, CLUSTER), SAME);
    for (name, _) in WISHES {
        let row = event(clients, name, "post to client p99, ms");
        board.at_most(row.as_str(), board.median(&row, CLUSTER), 200.0);
    }
    rolling::target(CLUSTER, board);
}

fn micros(time: Duration, count: f64) -> f64 {
    time.as_secs_f64() * 1e6 / count
}

impl Bench<'_> {
    /// A column's instance, with a new database.
    fn rig(&mut self, column: &str, setup: Setup) -> Result<Rig> {
        let setup = if column == CLUSTER { self.engines.join(setup)? } else { setup };
        Rig::start(Kind::Processor, &setup)
    }

    /// Positions a second that are durable, then latency at half of that.
    fn durable(&mut self, batch: usize) -> Result<()> {
        let mut rates = Vec::new();
        for column in [EMBEDDED, CLUSTER] {
            let mut rig = self.rig(column, self.options.all_cores()?)?;
            let mut posters = Posters::connect(&mut rig, POSTERS, batch)?;
            rig.subscribe(1, 1, Manner::Polite)?;
            posters.post(&mut rig, Duration::from_millis(300))?;
            let before = self.engines.times()?;
            let durable = posters.measure(&mut rig, self.options.seconds(5.0, 1.0))?;
            let after = self.engines.times()?;
            drop(rig);
            self.add_durable(column, batch, &durable);
            if column == CLUSTER {
                for (name, time) in [
                    ("Postgres, CPU µs per position", after.postgres.saturating_sub(before.postgres)),
                    ("Redis, CPU µs per position", after.redis.saturating_sub(before.redis)),
                ] {
                    self.board.add(posts(batch, name), column, micros(time, durable.accepted));
                }
                let group = durable.group.round().max(1.0) as usize;
                for (peer, row, connections, size) in
                    [(SAME_GROUPS, TO_SAME_GROUPS, 1, group), (EACH_POST, TO_EACH_POST, POSTERS, batch)]
                {
                    let rate = self.postgres(connections, size, posters.devices())?;
                    self.board.add(posts(batch, RATE), peer, rate);
                    self.board.add(posts(batch, row), column, durable.rate() / rate);
                }
            }
            rates.push((column, durable.rate() / batch as f64));
        }
        if batch == HALF_LOAD {
            for (column, rate) in rates {
                self.half_load(column, rate / 2.0)?;
            }
        }
        Ok(())
    }

    fn add_durable(&mut self, column: &'static str, batch: usize, durable: &Durable) {
        let mut add = |what: &str, value| self.board.add(posts(batch, what), column, value);
        add(RATE, durable.rate());
        add("positions in a commit", durable.group);
        add("CPU µs per position", micros(durable.usage.server, durable.accepted));
        add("post to client p50, ms", durable.latencies.at(0.5).as_secs_f64() * 1e3);
        add("post to client p99, ms", durable.latencies.at(0.99).as_secs_f64() * 1e3);
        self.board.generator(&format!("posts of {batch}"), column, durable.usage.own_share());
    }

    /// Positions a second that Postgres commits over so many connections, `size` of them at once over each.
    fn postgres(&mut self, connections: usize, size: usize, devices: usize) -> Result<f64> {
        let time = self.options.seconds(3.0, 1.0).as_secs_f64();
        let mut command = server::command(&self.options.all_cores()?.cores, std::env::current_exe()?)?;
        command.arg("peer-postgres").arg(self.engines.database()?);
        command.args([connections, size, devices].map(|number| number.to_string())).arg(time.to_string());
        let output = command.stderr(Stdio::inherit()).output()?;
        ensure!(output.status.success(), "peer-postgres ended with {}", output.status);
        String::from_utf8(output.stdout)?.trim().parse().context("peer-postgres printed no number")
    }

    fn half_load(&mut self, column: &'static str, rate: f64) -> Result<()> {
        let mut rig = self.rig(column, self.options.all_cores()?)?;
        let mut posters = Posters::connect(&mut rig, POSTERS, HALF_LOAD)?;
        let firsts = posters.firsts();
        rig.greet(firsts.len(), Manner::Polite, 1, |number| {
            format!(r#"{{"type":"subscribe","topic":"{}"}}"#, payload::topic(firsts[number]))
        })?;
        let before = rig.fleet.seen.positions;
        let (count, latencies) = posters.pace(&mut rig, rate, self.options.seconds(5.0, 1.0))?;
        rig.check()?;
        let missing = count.saturating_sub(rig.fleet.seen.positions - before);
        if missing > 0 {
            self.board.note(format!("{column}: {missing} of {count} deliveries missing at half load"));
        }
        let mut add = |what: &str, value| self.board.add(format!("half load: {what}"), column, value);
        add("positions/s", rate * HALF_LOAD as f64);
        add("post to client p50, ms", latencies.at(0.5).as_secs_f64() * 1e3);
        add("post to client p99, ms", latencies.at(0.99).as_secs_f64() * 1e3);
        Ok(())
    }

    /// What a delivery costs, both columns in turn, so that whatever else the machine does is shared by both.
    fn fanout(&mut self, subscribers: usize) -> Result<()> {
        let burst = Burst::of(1);
        let mut rigs = Vec::new();
        for column in [EMBEDDED, CLUSTER] {
            let mut rig = self.rig(column, self.options.setup())?;
            rig.find_worker()?;
            rigs.push((column, rig, Publishing::default()));
        }
        for _ in 0..2 {
            for (_, rig, publishing) in &mut rigs {
                let load = rig.saturate(&burst, 0, self.options.seconds(1.0, 0.3))?;
                publishing.add(&load.usage, load.bursts);
            }
        }
        for (column, rig, publishing) in &mut rigs {
            self.board.add("fan-out: publishing to nobody, CPU µs", column, publishing.server());
            rig.subscribe(subscribers, 1, Manner::Polite)?;
        }
        for _ in 0..FANOUT_TURNS {
            let mut costs = Vec::new();
            for (column, rig, publishing) in &mut rigs {
                let load = rig.saturate(&burst, subscribers as u64, self.options.seconds(1.0, 0.3))?;
                let worker = micros(load.usage.worker, load.deliveries as f64)
                    - publishing.worker() * load.bursts as f64 / load.deliveries as f64;
                self.board.add("fan-out: deliveries/s, one burst at a time", column, load.rate());
                self.board.add(NET, column, load.net_cost(publishing.server()));
                self.board.add("fan-out: of that the worker's thread", column, worker);
                self.board.generator("fan-out", column, load.usage.own_share());
                costs.push(load.net_cost(publishing.server()));
            }
            self.board.add(TO_EMBEDDED, CLUSTER, costs[1] / costs[0]);
        }
        Ok(())
    }

    /// One event of all clients, who are spread over several instances.
    fn event(&mut self, clients: usize, name: &str, wish: &'static str) -> Result<()> {
        let setup = self.engines.join(self.options.all_cores()?)?;
        let mut instances = Instances::start(INSTANCES, setup, EVENT_RATE, wish)?;
        instances.subscribe(INSTANCES * clients)?;
        instances.pass(self.options.seconds(2.0, 0.5))?;
        instances.fleet.pass(Duration::from_secs(1))?;
        let (posted, received) = (instances.posts, instances.fleet.seen.positions);
        instances.fleet.seen.record();
        let (since, cpu, own) = (Instant::now(), instances.cpu()?, system::own_cpu_time()?);
        instances.pass(self.options.seconds(8.0, 2.0))?;
        let (wall, cpu, own) = (since.elapsed(), instances.cpu()? - cpu, system::own_cpu_time()? - own);
        // What is still under way.
        instances.fleet.pass(Duration::from_secs(2))?;
        let latencies = instances.fleet.seen.recorded();
        let received = instances.fleet.seen.positions - received;
        let expected = ((instances.posts - posted) * INSTANCES * clients) as u64;
        if received < expected {
            let missing = expected - received;
            self.board
                .note(format!("{INSTANCES} instances{name}: {missing} of {expected} deliveries missing"));
        }
        let mut add = |what: &str, value| self.board.add(event(clients, name, what), CLUSTER, value);
        add("deliveries/s", received as f64 / wall.as_secs_f64());
        for (quantile, share) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
            let latency = latencies.at(share).as_secs_f64() * 1e3;
            add(&format!("post to client {quantile}, ms"), latency);
        }
        add("instances' CPU, % of a core", cpu.as_secs_f64() / wall.as_secs_f64() * 100.0);
        let share = own.as_secs_f64() / wall.as_secs_f64();
        self.board.generator(&format!("{INSTANCES} × {clients} clients{name}"), CLUSTER, share);
        Ok(())
    }
}

/// Processor time of bursts that go to nobody.
#[derive(Default)]
struct Publishing {
    server: Duration,
    worker: Duration,
    bursts: u64,
}

impl Publishing {
    fn add(&mut self, usage: &Usage, bursts: u64) {
        self.server += usage.server;
        self.worker += usage.worker;
        self.bursts += bursts;
    }

    /// Microseconds of a burst.
    fn server(&self) -> f64 {
        micros(self.server, self.bursts as f64)
    }

    /// Of that, the thread's that serves the clients.
    fn worker(&self) -> f64 {
        micros(self.worker, self.bursts as f64)
    }
}
