//! `App`: everything joined; started in order, stopped in order. Here alone the rooms meet.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::{Actor as _, Addr};
use anyhow::Context as _;
use futures_util::future::LocalBoxFuture;
use prometheus::IntCounter;
use tokio::time::Instant;

use self::adapters::{ConnectionsOf, IngestTo, PublishTo, RevokeBy};
use self::gates::{LiveGate, PostGate};
use crate::auth::Authenticator;
use crate::ingest::Reporters;
use crate::live::{self, DrainReport, Gate, LiveServer, SubscriptionHandler};
use crate::metrics::Metrics;
use crate::ops::{self, OpsServer};
use crate::phase::{Phase, PhaseOwner, PhaseWatch, phase};
use crate::positions::{Consumer, Input, OpenError, Opened, RunningInput, Stop, Stored, Submit, SubmitError};
use crate::process::{avoid_huge_pages, prepare_for_connections, room_for_connections};
use crate::settings::{Authority, LiveSettings, Settings};
#[cfg(feature = "ui")]
use crate::web::{self, WebError, WebServer};

mod adapters;
mod gates;

/// When the consumer must be done, counted from the end of the drain's timeout. The whole stop may take a second more than
/// that timeout; the rest of it is for the last responses and, on a machine that does much else, for ending the process.
const STORE_GRACE: Duration = Duration::from_millis(600);

/// A server that runs.
pub struct App {
    settings: Settings,
    phase: PhaseOwner,
    live: live::Running,
    ops: ops::Running,
    /// `None` where it is switched off.
    #[cfg(feature = "ui")]
    web: Option<web::Running>,
    consumer: Addr<Consumer>,
    /// `None` where no input stream is set.
    input: Option<RunningInput>,
}

impl App {
    /// Binds all ports, answers on the ops port and the web port, then loads the store, and only then takes clients. Must be
    /// called in an actix system. May be dropped at any time, and the process ended. `dropped_lines` counts what the log could not take.
    ///
    /// # Errors
    /// What failed first; each message names the setting, its value and the reason. What was started before it
    /// ends with the process.
    pub async fn start(mut settings: Settings, dropped_lines: Option<IntCounter>) -> anyhow::Result<Self> {
        avoid_huge_pages();
        settings.warnings().iter().for_each(|warning| log::warn!("{warning}"));
        let web = if settings.web.enabled && cfg!(feature = "ui") { settings.web.max_connections } else { 0 };
        let room = room_for_connections(settings.ops.max_connections, web, settings.live.workers);
        let live = room.live;
        if live < settings.live.max_connections {
            log::info!("at most {live} connections: the limit of open files (ulimit -n) allows no more");
            settings.live.max_connections = live;
        }
        settings.ops.max_connections = room.ops;
        settings.web.max_connections = room.web;
        prepare_for_connections(settings.live.max_connections.saturating_add(room.ops + room.web));
        let (phase, watch) = phase();
        let mut metrics = Metrics::new(&settings.instance_id).context("metrics")?;
        if let Some(dropped_lines) = dropped_lines {
            metrics = metrics.with(dropped_lines).context("metrics")?;
        }

        let (host, port) = (settings.live.host, settings.live.port);
        log::info!("live server starting on :{port} as instance {}", settings.instance_id);
        let cannot_listen = || format!("setting LIVE_WS_HOST, LIVE_WS_PORT: cannot listen on {host}:{port}");
        let authenticator = Authenticator::new(&settings.auth, metrics.auth.clone())?;
        say_who_may_read(&settings);
        let mut live = live_server(&settings, &metrics, authenticator.clone());
        live.bind().with_context(cannot_listen)?;

        let consumer = Arc::<OnceLock<Addr<Consumer>>>::default();
        let connections = Arc::new(ConnectionsOf(OnceLock::new()));
        let rooms = ops::Rooms {
            ingest: Arc::new(IngestTo { consumer: consumer.clone(), metrics: metrics.clone() }),
            connections: connections.clone(),
            reporters: authenticator.clone().map(|by| Arc::new(PostGate(by)) as Arc<dyn Reporters>),
            revoke: Arc::new(RevokeBy { consumer: consumer.clone(), authenticator: authenticator.clone() }),
        };
        let ops = start_ops(&settings, &metrics, watch, rooms)?;
        #[cfg(feature = "ui")]
        let web = start_web(&settings, &metrics, authenticator.as_ref())?;

        let positions = &settings.positions;
        let database = &positions.database;
        let load = |position| live.add_latest(position);
        let opened =
            Opened::load(positions, &settings.log, &settings.instance_id, metrics.log.clone(), load).await;
        let opened = opened.map_err(|error| {
            let setting = match &error {
                OpenError::Store(_) => format!("DATABASE_URL: \"{database}\""),
                OpenError::Log(_) => "REDIS_URL".to_owned(),
            };
            anyhow::Error::new(error).context(format!("setting {setting} cannot be used"))
        })?;
        log::info!("store ready with {} devices in {database}", opened.devices());
        if let Some(redis) = &settings.log.redis {
            let (name, shards) = (&settings.log.stream, settings.log.shards);
            log::info!(
                "instances hear of each other through the log {name} in {shards} streams at {redis}, the same for all"
            );
        }

        if let Some(authenticator) = &authenticator {
            authenticator.revoke(opened.revocations().to_vec());
            actix_rt::spawn(authenticator.clone().run());
        }
        let live = live.start().with_context(cannot_listen)?;
        let publish = PublishTo { hubs: live.hubs(), registry: live.registry(), authenticator };
        let consumer = {
            let running = Consumer::new(opened, positions, metrics.positions.clone(), publish).start();
            consumer.get_or_init(|| running).clone()
        };
        connections.0.get_or_init(|| live.registry());
        let input = start_input(&settings, &metrics, &consumer)?;
        #[cfg(feature = "ui")]
        if let Some(web) = &web {
            web.set_live_port(live.address().port());
        }
        phase.advance(Phase::Ready);
        log::info!("live server ready on {}", live.address());
        Ok(Self {
            settings,
            phase,
            live,
            ops,
            #[cfg(feature = "ui")]
            web,
            consumer,
            input,
        })
    }

    /// Where WebSocket clients connect.
    pub fn live_address(&self) -> SocketAddr {
        self.live.address()
    }

    /// Where metrics, health and ingest are.
    pub fn ops_address(&self) -> SocketAddr {
        self.ops.address()
    }

    /// Where the map page is; `None` where it is switched off.
    #[cfg(feature = "ui")]
    pub fn web_address(&self) -> Option<SocketAddr> {
        self.web.as_ref().map(web::Running::address)
    }

    /// Stops in order: readiness, connections and map page, positions, ops server. Returns how the drain went.
    pub async fn stop(self) -> DrainReport {
        // First of all: whoever reads the log must find readiness gone.
        self.phase.advance(Phase::Draining);
        let timeout = self.settings.live.drain_timeout;
        log::info!("{}", stopping(self.live.connected(), &self.settings.live));
        let deadline = Instant::now() + timeout + STORE_GRACE;
        let drain = self.live.stop(timeout);
        // Whoever opened the page after the delay could not connect here, and a load balancer must know by then.
        #[cfg(feature = "ui")]
        let (report, ()) = tokio::join!(drain, stop_web(self.web, self.settings.live.drain_delay));
        #[cfg(not(feature = "ui"))]
        let report = drain.await;
        let DrainReport { closed, terminated, took } = report;
        log::info!(
            "live server stopped: {closed} closed, {terminated} terminated, took {} ms",
            took.as_millis()
        );
        if let Some(input) = self.input {
            // What it waits for may not come; store and log need time as well.
            let half = deadline.saturating_duration_since(Instant::now()) / 2;
            if tokio::time::timeout(half, input.stop()).await.is_err() {
                log::warn!("input stream not stopped in time; another instance takes over what it had taken");
            }
        }
        // What is not stored by then was not acknowledged either.
        match tokio::time::timeout_at(deadline, self.consumer.send(Stop)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => log::error!("store not closed properly: {error}"),
            Err(_) => log::warn!("store not closed in time; what was acknowledged is in it"),
        }
        self.ops.stop().await;
        self.phase.advance(Phase::Stopped);
        report
    }
}

/// What the log says when a stop begins: whom it is about, and how long it takes.
fn stopping(connections: usize, settings: &LiveSettings) -> String {
    let LiveSettings { drain_delay, drain_spread, drain_timeout, .. } = settings;
    let [delay, spread, timeout] = [drain_delay, drain_spread, drain_timeout].map(Duration::as_millis);
    let when = match (delay, spread) {
        (0, 0) => " at once".to_owned(),
        (_, 0) => format!(" after {delay} ms"),
        (0, _) => format!(" evenly over {spread} ms"),
        (..) => format!(" after {delay} ms, evenly over {spread} ms"),
    };
    format!(
        "live server stopping: {connections} connections are closed{when}; those left after {timeout} ms are terminated"
    )
}

fn start_ops(
    settings: &Settings,
    metrics: &Metrics,
    watch: PhaseWatch,
    rooms: ops::Rooms,
) -> anyhow::Result<ops::Running> {
    let (host, port) = (settings.ops.host, settings.ops.port);
    let ops = OpsServer::new(settings.ops.clone(), metrics.clone(), watch, rooms)
        .start()
        .with_context(|| format!("setting OPS_HOST, OPS_PORT: cannot listen on {host}:{port}"))?;
    say_who_reaches_ops(settings);
    log::info!("ops server ready on {}", ops.address());
    Ok(ops)
}

/// Says what the ops server shows, and what it refuses, where others than programs of this machine reach it.
fn say_who_reaches_ops(settings: &Settings) {
    let ops = &settings.ops;
    let host = ops.host;
    if host.is_loopback() {
        return;
    }
    let is_open_to_tokens = !matches!(settings.auth.authority, Authority::Nobody);
    if ops.ingest_token.is_none() && !is_open_to_tokens {
        log::warn!(
            "OPS_HOST {host} is reachable from outside and OPS_INGEST_TOKEN is not set: posts get 403"
        );
    }
    if ops.revoke_token.is_none() && is_open_to_tokens {
        log::warn!(
            "OPS_HOST {host} is reachable from outside and OPS_REVOKE_TOKEN is not set: revocations get 403"
        );
    }
    for (token, setting, path) in [
        (&ops.metrics_token, "OPS_METRICS_TOKEN", "/metrics"),
        (&ops.connections_token, "OPS_CONNECTIONS_TOKEN", "/connections"),
    ] {
        if token.is_none() {
            log::info!(
                "OPS_HOST {host} is reachable from outside and {setting} is not set: everyone there sees {path}"
            );
        }
    }
}

/// The reader of the input stream, where one is set.
fn start_input(
    settings: &Settings,
    metrics: &Metrics,
    consumer: &Addr<Consumer>,
) -> anyhow::Result<Option<RunningInput>> {
    let Settings { input, log, instance_id, .. } = settings;
    let reader = Input::new(input, log, instance_id, metrics.input.clone())
        .context("setting POSITIONS_INPUT_STREAM")?;
    let consumer = consumer.clone();
    let submit = move |positions| -> LocalBoxFuture<'static, Result<Stored, SubmitError>> {
        let reply = consumer.send(Submit(positions));
        Box::pin(async { reply.await.unwrap_or(Err(SubmitError::Stopping)) })
    };
    if let Some(stream) = &input.stream {
        log::info!("positions are taken from the input stream {stream} as well");
    }
    Ok(reader.map(|reader| reader.start(Box::new(submit))))
}

/// The web server of the map page, unless it is switched off.
#[cfg(feature = "ui")]
fn start_web(
    settings: &Settings,
    metrics: &Metrics,
    authenticator: Option<&Arc<Authenticator>>,
) -> anyhow::Result<Option<web::Running>> {
    let web = &settings.web;
    if !web.enabled {
        return Ok(None);
    }
    let mut server = WebServer::new(web.clone(), metrics.web.clone());
    if let (true, Some(by)) = (web.auth, authenticator) {
        server = server.only_for(Arc::new(gates::PageGate(by.clone())), settings.auth.cookie.clone());
    }
    let running = server.start().map_err(|error| {
        let setting = match (&error, &web.pmtiles_file) {
            (WebError::Tiles(_), Some(file)) => format!("WEB_PMTILES_FILE: {file:?} cannot be used"),
            _ => format!("WEB_HOST, WEB_PORT: cannot listen on {}:{}", web.host, web.port),
        };
        anyhow::Error::new(error).context(format!("setting {setting}"))
    })?;
    if settings.live.port != 0 {
        running.set_live_port(settings.live.port);
    }
    let reach = if web.host.is_loopback() { "" } else { " for everyone who reaches this address" };
    log::info!("map on http://{}/{reach}", running.address());
    Ok(Some(running))
}

#[cfg(feature = "ui")]
async fn stop_web(web: Option<web::Running>, delay: Duration) {
    if let Some(web) = web {
        tokio::time::sleep(delay).await;
        web.stop().await;
    }
}

/// Says who says who someone is; or that nobody does, where others than programs of this machine may be clients.
fn say_who_may_read(settings: &Settings) {
    let live = &settings.live;
    match &settings.auth.authority {
        Authority::Jwt(jwt) => log::info!("AUTH is jwt: tokens are checked by {}", jwt.keys),
        Authority::Http(url) => log::info!("AUTH is http: {} is asked who someone is", url.without_query()),
        Authority::Nobody if !live.host.is_loopback() => {
            log::info!(
                "AUTH is none: everyone who reaches LIVE_WS_HOST {} may read all positions",
                live.host
            );
        }
        Authority::Nobody if !live.trusted_proxies.is_empty() || settings.web.live_url.is_some() => {
            log::info!(
                "AUTH is none: everyone whom a proxy passes on to the live server may read all positions"
            );
        }
        Authority::Nobody => {}
    }
}

/// The live server, which lets in whom the authenticator knows, or everyone.
fn live_server(
    settings: &Settings,
    metrics: &Metrics,
    authenticator: Option<Arc<Authenticator>>,
) -> LiveServer {
    let gate = authenticator.map(|by| {
        let auth = &settings.auth;
        Gate::new(Arc::new(LiveGate(by)), auth.cookie.clone(), auth.deadline, &settings.live)
    });
    let handler = move |hub| match &gate {
        Some(gate) => SubscriptionHandler::with_gate(hub, gate.clone()),
        None => SubscriptionHandler::new(hub),
    };
    LiveServer::new(settings.live.clone(), handler, metrics.live.clone())
}
