//! Unit tests of `Registry`, in paused time: what waits for a timeout does not wait.

use std::net::{IpAddr, SocketAddr};
use std::task::Waker;

use actix::Addr;

use super::super::admission::Permit;
use super::*;
use crate::metrics::Metrics;

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// Stands in for a connection's actor: notes how often it was told to close.
#[derive(Default)]
struct Stub(Vec<Control>);

impl Actor for Stub {
    type Context = Context<Self>;
}

impl Handler<Control> for Stub {
    type Result = ();

    fn handle(&mut self, control: Control, _: &mut Self::Context) {
        self.0.push(control);
    }
}

#[derive(Message)]
#[rtype(result = "Vec<Control>")]
struct Told;

impl Handler<Told> for Stub {
    type Result = Vec<Control>;

    fn handle(&mut self, _: Told, _: &mut Self::Context) -> Vec<Control> {
        self.0.clone()
    }
}

/// A connection as the registry sees it.
struct Connected {
    vitals: Arc<Vitals>,
    control: Addr<Stub>,
    permit: Option<Permit>,
    registry: Addr<Registry>,
}

impl Connected {
    /// Goes as a connection does: it is counted out, then its permit is given back.
    fn go(&mut self, clean: bool) {
        let id = self.vitals.id;
        self.registry.do_send(Deregister { id, reason: close::GOING_AWAY, clean });
        self.permit = None;
    }

    fn is_terminated(&self) -> bool {
        self.vitals.is_terminated(Waker::noop())
    }

    /// The codes it was told to close with.
    async fn told(&self) -> Vec<u16> {
        let told = self.control.send(Told).await.unwrap();
        let code = |told: &Control| match told {
            Control::Close { reason, .. } => Some(reason.code),
            Control::Recheck => None,
        };
        told.iter().filter_map(code).collect()
    }

    /// When its client is to come back, in milliseconds, if it was told.
    async fn reconnect_after(&self) -> Option<u128> {
        let told = self.control.send(Told).await.unwrap();
        match told.first()? {
            Control::Close { reconnect_after, .. } => Some((*reconnect_after)?.as_millis()),
            Control::Recheck => None,
        }
    }
}

struct Rig {
    registry: Addr<Registry>,
    admission: Arc<Admission>,
    metrics: Arc<LiveMetrics>,
}

impl Rig {
    fn new() -> Self {
        tokio::time::pause();
        let metrics = Metrics::new("test").unwrap().live;
        let admission = Admission::new(10, 10);
        let registry = Registry::new(metrics.clone(), admission.clone()).start();
        Self { registry, admission, metrics }
    }

    /// A client that has a permit but is not registered yet.
    fn admitted(&self) -> Connected {
        let remote = SocketAddr::new(ADDRESS, 1);
        Connected {
            vitals: Vitals::new(remote, Arc::default(), false),
            control: Stub::default().start(),
            permit: Some(self.admission.admit(ADDRESS).unwrap()),
            registry: self.registry.clone(),
        }
    }

    fn register(&self, connected: &Connected) {
        let control = connected.control.clone().recipient();
        self.registry.do_send(Register { vitals: connected.vitals.clone(), control });
    }

    fn connected(&self) -> Connected {
        let connected = self.admitted();
        self.register(&connected);
        connected
    }

    /// The gauge, after all that was sent to the registry before.
    async fn gauge(&self) -> i64 {
        self.registry.send(ListConnections).await.unwrap();
        self.metrics.connections.get()
    }

    fn drain(&self, seconds: u64) -> impl Future<Output = DrainReport> + use<> {
        self.drain_at(seconds, Pace::default())
    }

    fn drain_at(&self, seconds: u64, pace: Pace) -> impl Future<Output = DrainReport> + use<> {
        let report = self.registry.send(Shutdown { timeout: Duration::from_secs(seconds), pace });
        async { report.await.unwrap() }
    }

    /// The gauge of those whose turn is to come.
    async fn waiting(&self) -> i64 {
        self.gauge().await;
        self.metrics.drain_waiting.get()
    }
}

fn is_pending(future: std::pin::Pin<&mut impl Future>) -> bool {
    future.poll(&mut std::task::Context::from_waker(Waker::noop())).is_pending()
}

#[actix::test]
async fn each_connection_is_counted_in_and_out_once() {
    let rig = Rig::new();
    let (mut one, mut other) = (rig.connected(), rig.connected());
    assert_eq!(rig.gauge().await, 2);
    one.go(true);
    one.go(true); // unknown by now
    assert_eq!(rig.gauge().await, 1);
    other.go(true);
    assert_eq!(rig.gauge().await, 0);
    let label = &["1001", "going_away"];
    assert_eq!(rig.metrics.closes.with_label_values(label).get(), 2);
}

#[actix::test]
async fn a_drain_tells_everyone_and_ends_with_the_last() {
    let rig = Rig::new();
    let (mut one, mut other) = (rig.connected(), rig.connected());
    let mut report = Box::pin(rig.drain(60));
    assert!(is_pending(report.as_mut()));
    rig.gauge().await; // the drain has begun
    assert_eq!((one.told().await, other.told().await), (vec![1001], vec![1001]));
    one.go(true);
    assert!(is_pending(report.as_mut()));
    other.go(true);
    let DrainReport { closed, terminated, .. } = report.await;
    assert_eq!((closed, terminated), (2, 0));
    assert!(!one.is_terminated());
    assert!(rig.admission.admit(ADDRESS).is_err());
}

#[actix::test]
async fn whoever_is_there_at_the_timeout_is_terminated() {
    let rig = Rig::new();
    let (mut goes, mut stays) = (rig.connected(), rig.connected());
    let report = rig.drain(5);
    goes.go(true);
    let watched = stays.vitals.clone();
    let terminated = async {
        let began = tokio::time::Instant::now();
        while !watched.is_terminated(Waker::noop()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let took = began.elapsed();
        assert!(took >= Duration::from_secs(5) && took < Duration::from_millis(5100), "{took:?}");
        stays.go(false);
    };
    let (DrainReport { closed, terminated, .. }, ()) = tokio::join!(report, terminated);
    assert_eq!((closed, terminated), (1, 1));
}

#[actix::test]
async fn one_that_is_never_counted_out_does_not_hold_up_the_report() {
    let rig = Rig::new();
    let _stuck = rig.connected();
    let began = tokio::time::Instant::now();
    let DrainReport { closed, terminated, .. } = rig.drain(5).await;
    assert_eq!((closed, terminated), (0, 1));
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(5) + TERMINATE_GRACE && took < Duration::from_secs(6), "{took:?}");
}

#[actix::test]
async fn who_was_admitted_before_a_drain_and_registers_in_it_is_told_too() {
    let rig = Rig::new();
    let (mut early, mut late) = (rig.admitted(), rig.admitted());
    let report = rig.drain(5);
    rig.gauge().await; // the drain has begun
    rig.register(&early);
    assert_eq!(rig.gauge().await, 1);
    assert_eq!(early.told().await, [1001]);
    assert!(!early.is_terminated());
    tokio::time::sleep(Duration::from_secs(5) + Duration::from_millis(1)).await;
    rig.register(&late);
    assert_eq!(rig.gauge().await, 2);
    assert_eq!(late.told().await, [1001]);
    assert!(early.is_terminated() && late.is_terminated());
    early.go(false);
    late.go(false);
    assert_eq!(report.await.terminated, 2);
}

#[actix::test]
async fn all_who_ask_for_a_drain_get_its_report() {
    let rig = Rig::new();
    let mut one = rig.connected();
    let (first, second) = (rig.drain(60), rig.drain(60));
    one.go(true);
    let (first, second) = tokio::join!(first, second);
    assert_eq!((first.closed, second.closed), (1, 1));
}

const PACE: Pace = Pace {
    delay: Duration::from_secs(1),
    spread: Duration::from_secs(2),
    reconnect_spread: Duration::from_secs(8),
};

#[actix::test]
async fn a_drain_with_a_pace_tells_one_after_the_other_and_each_its_own_time() {
    let rig = Rig::new();
    let mut connected: Vec<_> = (0..4).map(|_| rig.connected()).collect();
    let report = rig.drain_at(60, PACE);
    assert_eq!(rig.waiting().await, 4);
    assert!(rig.admission.admit(ADDRESS).is_err());
    let mut told = Vec::new();
    // Turns come at 1, 1.5, 2 and 2.5 seconds.
    for (millis, count) in [(990, 0), (20, 1), (480, 1), (20, 2), (500, 3), (470, 3), (30, 4)] {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        told.clear();
        for connection in &connected {
            assert!(connection.told().await.len() <= 1);
            told.extend(connection.reconnect_after().await);
        }
        assert_eq!((told.len(), rig.waiting().await), (count, 4 - count as i64));
    }
    told.sort();
    assert_eq!(told, [1000, 3000, 5000, 7000]);
    assert!(connected.iter().all(|connection| !connection.is_terminated()));
    connected.iter_mut().for_each(|connection| connection.go(true));
    let DrainReport { closed, terminated, took } = report.await;
    assert_eq!((closed, terminated), (4, 0));
    assert!(took >= Duration::from_millis(2510) && took < Duration::from_millis(2600), "{took:?}");
}

#[actix::test]
async fn the_delay_is_waited_for_also_where_nobody_is_and_the_spread_is_not() {
    let rig = Rig::new();
    let began = tokio::time::Instant::now();
    let report = rig.drain_at(60, PACE).await;
    let took = began.elapsed();
    assert!(took >= PACE.delay && took < PACE.delay + Duration::from_millis(100), "{took:?}");
    assert_eq!((report.closed, report.terminated), (0, 0));
}

#[actix::test]
async fn a_second_drain_does_not_cut_the_delay_of_the_first_short_and_ends_at_once_behind_it() {
    let rig = Rig::new();
    let began = tokio::time::Instant::now();
    let (first, second) = (rig.drain_at(60, PACE), rig.drain(60));
    tokio::join!(first, second);
    assert!(began.elapsed() >= PACE.delay, "{:?}", began.elapsed());
    let ended = tokio::time::Instant::now();
    rig.drain(60).await;
    assert!(ended.elapsed() < Duration::from_millis(100), "{:?}", ended.elapsed());
}

#[actix::test]
async fn those_who_go_in_the_delay_or_before_their_turn_count_as_closed_and_no_longer_wait() {
    let rig = Rig::new();
    let mut connected: Vec<_> = (0..3).map(|_| rig.connected()).collect();
    let report = rig.drain_at(60, PACE);
    connected[0].go(true);
    assert_eq!(rig.waiting().await, 2);
    tokio::time::sleep(PACE.window()).await;
    assert_eq!((rig.waiting().await, connected[0].told().await), (0, vec![]));
    connected.iter_mut().for_each(|connection| connection.go(true));
    assert_eq!(report.await.closed, 3);
}

#[actix::test]
async fn who_registers_in_a_drain_with_a_pace_gets_a_turn_and_is_told_when_to_come_back() {
    let rig = Rig::new();
    let (mut first, mut second, mut last) = (rig.connected(), rig.admitted(), rig.admitted());
    let report = rig.drain_at(60, PACE);
    rig.gauge().await; // the drain has begun
    rig.register(&second);
    assert_eq!((rig.waiting().await, second.told().await), (2, vec![]));
    tokio::time::sleep(PACE.window()).await;
    assert_eq!((first.told().await, second.told().await), (vec![1001], vec![1001]));
    // Nobody waits any more, so no timer runs.
    rig.register(&last);
    assert_eq!(rig.waiting().await, 0);
    assert_eq!((last.told().await, last.reconnect_after().await), (vec![1001], Some(6666)));
    [&mut first, &mut second, &mut last].into_iter().for_each(|connection| connection.go(true));
    assert_eq!(report.await.closed, 3);
}

#[actix::test]
async fn a_timeout_before_the_last_turn_tells_and_terminates_all() {
    let rig = Rig::new();
    let mut connected: Vec<_> = (0..5).map(|_| rig.connected()).collect();
    let report = rig.drain_at(2, PACE);
    // A second drain brings nothing forward.
    let second = rig.drain_at(60, Pace::default());
    assert_eq!(rig.waiting().await, 5);
    tokio::time::sleep(Duration::from_millis(2001)).await;
    for connection in &mut connected {
        assert_eq!(connection.told().await, [1001]);
        assert!(connection.is_terminated());
        connection.go(false);
    }
    assert_eq!((report.await.terminated, second.await.terminated), (5, 5));
    assert_eq!(rig.waiting().await, 0);
}
