//! Not one position is delivered outside of what the token allows: over random claims, topics, areas, moves, renewals and revocations.

use std::collections::VecDeque;

use proptest::prelude::Rng as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use crate::harness::{Client, JWT, Server, folder, time, token};

/// Numbers that look random and are the same in each run.
struct Random(TestRng);

impl Random {
    fn new() -> Self {
        Self(
            TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha))
                .new_rng(),
        )
    }

    fn below(&mut self, limit: u32) -> u32 {
        self.0.next_u32() % limit
    }

    /// A box of whole degrees; now and then one over the antimeridian.
    fn area(&mut self) -> [f64; 4] {
        let south = f64::from(self.below(8));
        let north = south + f64::from(self.below(6));
        if self.below(5) == 0 {
            return [f64::from(170 + self.below(10)), south, -f64::from(170 + self.below(10)), north];
        }
        let west = f64::from(self.below(8));
        [west, south, west + f64::from(self.below(8)), north]
    }

    fn point(&mut self) -> (f64, f64) {
        let latitude = f64::from(self.below(140)) / 10.0;
        let longitude = f64::from(self.below(160)) / 10.0;
        match self.below(4) {
            // About the antimeridian.
            0 if longitude > 6.0 => (longitude + 174.0 - 360.0, latitude),
            0 => (longitude + 174.0, latitude),
            _ => (longitude, latitude),
        }
    }
}

fn written([west, south, east, north]: [f64; 4]) -> String {
    format!("area:{west},{south},{east},{north}")
}

fn contains([west, south, east, north]: [f64; 4], longitude: f64, latitude: f64) -> bool {
    let spans = if west <= east {
        west <= longitude && longitude <= east
    } else {
        longitude >= west || longitude <= east
    };
    south <= latitude && latitude <= north && spans
}

/// What a token allows, as the test has it.
#[derive(Clone, Debug, Default)]
struct Allowed {
    topics: Vec<String>,
    areas: Vec<[f64; 4]>,
}

impl Allowed {
    fn any(random: &mut Random) -> Self {
        let mut topics = Vec::new();
        for _ in 0..random.below(4) {
            let (kind, number) = (if random.below(2) == 0 { "device" } else { "event" }, random.below(20));
            topics.push(match random.below(6) {
                0 => format!("{kind}:*"),
                1 | 2 => format!("{kind}:{}*", random.below(2)),
                _ => format!("{kind}:{number:02}"),
            });
        }
        let areas = (0..random.below(3)).map(|_| random.area()).collect();
        Self { topics, areas }
    }

    fn claims(&self) -> Value {
        let areas = self.areas.iter().map(|area| written(*area));
        let topics: Vec<_> = self.topics.iter().cloned().chain(areas).collect();
        json!({ "topics": topics })
    }

    /// True if a topic by name may be read.
    fn names(&self, topic: &str) -> bool {
        self.topics.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => topic.starts_with(prefix),
            None => topic == pattern,
        })
    }

    fn holds(&self, position: &Value) -> bool {
        let degrees = |name: &str| position[name].as_f64().unwrap();
        self.areas.iter().any(|area| contains(*area, degrees("longitude"), degrees("latitude")))
    }

    /// Looks at everything of a message that tells of a device.
    fn check(&self, message: &Value) -> usize {
        let topic = message["topic"].as_str().unwrap_or_default();
        let of_area = topic == "area" || topic.starts_with("area:");
        let positions = match message["type"].as_str().unwrap() {
            "position" => vec![message.clone()],
            "positions" => message["positions"].as_array().unwrap().clone(),
            "subscribed" => message["snapshot"].as_array().unwrap().clone(),
            _ => Vec::new(),
        };
        for position in &positions {
            let is_allowed = if of_area { self.holds(position) } else { self.names(topic) };
            assert!(is_allowed, "{topic}: {position} with {self:?}");
        }
        positions.len()
    }
}

/// A client with what it may read now.
struct Reader {
    client: Client,
    subject: String,
    allowed: Allowed,
    /// Tokens that were sent and not confirmed yet.
    renewals: VecDeque<Allowed>,
    /// `event:1*` was revoked, and no token is newer.
    revoked: bool,
    seen: usize,
    forbidden: usize,
}

impl Reader {
    /// Reads all that comes up to the answer to a `hello`.
    async fn read(&mut self) {
        self.client.text(json!({ "type": "hello", "id": "until" }).to_string()).await;
        loop {
            let message = self.client.json().await;
            match message["type"].as_str().unwrap() {
                "authenticated" => {
                    self.allowed = self.renewals.pop_front().unwrap();
                    self.revoked = false;
                }
                "welcome" => return,
                "error" => {
                    let code = message["code"].as_str().unwrap();
                    assert!(["forbidden", "rate-limited"].contains(&code), "{message}");
                    self.forbidden += usize::from(code == "forbidden");
                }
                _ => {
                    let seen = self.allowed.check(&message);
                    let of_revoked =
                        message["topic"].as_str().is_some_and(|topic| topic.starts_with("event:1"));
                    assert!(seen == 0 || !(self.revoked && of_revoked), "{message} though it was revoked");
                    self.seen += seen;
                }
            }
        }
    }
}

fn topic(random: &mut Random, allowed: &Allowed) -> String {
    match (random.below(3), allowed.areas.len()) {
        (0, _) => format!("device:{:02}", random.below(20)),
        (1, _) => format!("event:{:02}", random.below(20)),
        (_, 0) => written(random.area()),
        (_, areas) => {
            // Inside of one that is allowed, or hardly outside.
            let [west, south, east, north] = allowed.areas[random.below(areas as u32) as usize];
            let grow = f64::from(random.below(3)) - 1.0;
            if west <= east && south <= north {
                written([(west - grow).max(-180.0), south, east, north])
            } else {
                written(random.area())
            }
        }
    }
}

#[actix::test]
async fn no_position_is_delivered_outside_of_the_claims() {
    let folder = folder();
    let server = Server::start(folder.path(), &JWT);
    let mut random = Random::new();
    let mut readers = Vec::new();
    for number in 0..16 {
        let (allowed, subject) = (Allowed::any(&mut random), format!("reader-{number}"));
        let claims = allowed.claims();
        let client = Client::bearer(server.live, &token(&subject, claims)).await;
        let renewals = VecDeque::new();
        readers.push(Reader { client, subject, allowed, renewals, revoked: false, seen: 0, forbidden: 0 });
    }
    for round in 0..60 {
        for reader in &mut readers {
            let batch = random.below(2) == 0;
            let every_ms = if random.below(3) == 0 { 100 } else { 0 };
            let topic = topic(&mut random, &reader.allowed);
            let request =
                json!({ "type": "subscribe", "topic": topic, "batch": batch, "every_ms": every_ms });
            reader.client.text(request.to_string()).await;
            if random.below(8) == 0 {
                let allowed = Allowed::any(&mut random);
                // Issued later than whatever was revoked.
                let token = token(&reader.subject, allowed.claims());
                reader.client.text(json!({ "type": "auth", "token": token }).to_string()).await;
                reader.renewals.push_back(allowed);
            }
        }
        let posts: Vec<_> = (0..40)
            .map(|number| {
                let (longitude, latitude) = random.point();
                let device = format!("{:02}", random.below(20));
                json!({ "device_id": device, "timestamp": time(round * 100 + number), "latitude": latitude,
                    "longitude": longitude, "topics": [format!("event:{:02}", random.below(20))] })
            })
            .collect();
        server.accept(&json!(posts)).await;
        for reader in &mut readers {
            reader.read().await;
        }
        if round == 40 {
            server.revoke(&json!({ "topic": "event:1*" })).await;
            // Every connection looks at that behind what it was doing. It is told to by the registry, which is asked for its list behind
            // that; and takes what it is told before what comes from its client.
            server.connections().await;
            for reader in &mut readers {
                reader.read().await;
                reader.revoked = true;
            }
        }
    }
    let (seen, forbidden) = readers
        .iter()
        .fold((0, 0), |(seen, forbidden), reader| (seen + reader.seen, forbidden + reader.forbidden));
    // It was about something.
    assert!(seen > 1_000 && forbidden > 100, "{seen} {forbidden}");
}
