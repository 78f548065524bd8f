//! `LiveSettings`: what the live server is told, and how it is read.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::network::ForwardedHeader;
use super::read::Reader;
use super::table;

/// Settings of the live server.
#[derive(Clone, Debug)]
pub struct LiveSettings {
    /// Address to listen on.
    pub host: IpAddr,
    /// Port to listen on; 0 takes any free one.
    pub port: u16,
    /// Threads that serve connections, at least 1.
    pub workers: usize,
    /// Between two pings to one client.
    pub ping_interval: Duration,
    /// A client that sent nothing for this long is disconnected.
    pub pong_timeout: Duration,
    /// From accepting a connection to its finished handshake.
    pub handshake_timeout: Duration,
    /// From our close frame to the client's.
    pub close_timeout: Duration,
    /// From the beginning of a drain to the last connection gone.
    pub drain_timeout: Duration,
    /// From the beginning of a drain to the first close frame.
    pub drain_delay: Duration,
    /// From the first close frame of a drain to the last.
    pub drain_spread: Duration,
    /// Within this time after their close, clients are told to connect again; zero: they are told nothing.
    pub reconnect_spread: Duration,
    /// Longest message from a client, in bytes of payload, all its fragments together.
    pub max_message_bytes: usize,
    /// Whether permessage-deflate is negotiated.
    pub deflate: bool,
    /// What may wait for one client, in bytes, before positions are conflated.
    pub outbox_bytes: usize,
    /// The same for all clients of one worker together; what several of them wait for counts once.
    pub worker_outbox_bytes: usize,
    /// Connections in all.
    pub max_connections: usize,
    /// Connections from one address.
    pub max_connections_per_address: usize,
    /// Connections of one subject.
    pub max_connections_per_subject: usize,
    /// Messages a client may send per second, sustained.
    pub max_messages_per_second: u32,
    /// Topics one connection may be subscribed to.
    pub max_subscriptions: usize,
    /// Longest topic in a request, in bytes.
    pub max_topic_bytes: usize,
    /// Devices that may be inside an area.
    pub max_area_devices: usize,
    /// The shortest cadence, in milliseconds, not yet rounded to a step; 0: every update can be had.
    pub min_every_ms: u16,
    /// Peers that are believed when they say for whom they speak.
    pub trusted_proxies: Vec<IpNet>,
    /// The header in which they say it.
    pub forwarded_header: ForwardedHeader,
    /// Origins that may connect; empty: any.
    pub allowed_origins: Vec<String>,
}

impl LiveSettings {
    pub(super) fn read(read: &mut Reader) -> Self {
        let ping_interval = read.value(&table::LIVE_WS_PING_INTERVAL_MS);
        let close_timeout = read.value(&table::LIVE_WS_CLOSE_TIMEOUT_MS);
        let drain_timeout = read.value(&table::LIVE_WS_DRAIN_TIMEOUT_MS);
        let (drain_delay, drain_spread) = drain_window(read, close_timeout, drain_timeout);
        Self {
            host: read.value(&table::LIVE_WS_HOST),
            port: read.value(&table::LIVE_WS_PORT),
            workers: workers(read),
            ping_interval,
            pong_timeout: pong_timeout(read, ping_interval),
            handshake_timeout: read.value(&table::LIVE_WS_HANDSHAKE_TIMEOUT_MS),
            close_timeout,
            drain_timeout,
            drain_delay,
            drain_spread,
            reconnect_spread: read.value(&table::LIVE_WS_RECONNECT_SPREAD_MS),
            max_message_bytes: read.value(&table::LIVE_WS_MAX_MESSAGE_BYTES),
            deflate: read.value(&table::LIVE_WS_DEFLATE),
            outbox_bytes: read.value(&table::LIVE_WS_OUTBOX_BYTES),
            worker_outbox_bytes: read.value(&table::LIVE_WS_WORKER_OUTBOX_BYTES),
            max_connections: read.value(&table::LIVE_WS_MAX_CONNECTIONS),
            max_connections_per_address: read.value(&table::LIVE_WS_MAX_CONNECTIONS_PER_ADDRESS),
            max_connections_per_subject: read.value(&table::LIVE_WS_MAX_CONNECTIONS_PER_SUBJECT),
            max_messages_per_second: read.value(&table::LIVE_WS_MAX_MESSAGES_PER_SECOND),
            max_subscriptions: read.value(&table::LIVE_WS_MAX_SUBSCRIPTIONS),
            max_topic_bytes: read.value(&table::LIVE_WS_MAX_TOPIC_BYTES),
            max_area_devices: read.value(&table::LIVE_WS_MAX_AREA_DEVICES),
            min_every_ms: read.value(&table::LIVE_WS_MIN_EVERY_MS),
            trusted_proxies: read.value(&table::LIVE_WS_TRUSTED_PROXIES),
            forwarded_header: read.value(&table::LIVE_WS_FORWARDED_HEADER),
            allowed_origins: read.value(&table::LIVE_WS_ALLOWED_ORIGINS),
        }
    }
}

fn workers(read: &mut Reader) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    match read.value(&table::LIVE_WS_WORKERS) {
        0 => read.settle(&table::LIVE_WS_WORKERS, cores()),
        workers => workers,
    }
}

fn pong_timeout(read: &mut Reader, ping_interval: Duration) -> Duration {
    let (ping, pong) = (&table::LIVE_WS_PING_INTERVAL_MS, &table::LIVE_WS_PONG_TIMEOUT_MS);
    let Some(timeout) = read.optional(pong) else { return read.settle(pong, ping_interval * 2) };
    if timeout <= ping_interval && read.is_sound(ping) && read.is_sound(pong) {
        let allowed = format!("more than {}, which is {}", ping.variable, ping_interval.as_millis());
        read.fault(pong, &timeout, allowed);
    }
    timeout
}

/// Delay and spread of a drain. The last client that is closed must have its time to answer within the drain's timeout too.
fn drain_window(read: &mut Reader, close_timeout: Duration, drain_timeout: Duration) -> (Duration, Duration) {
    let (delay_setting, spread_setting) = (&table::LIVE_WS_DRAIN_DELAY_MS, &table::LIVE_WS_DRAIN_SPREAD_MS);
    let (close_setting, drain_setting) = (&table::LIVE_WS_CLOSE_TIMEOUT_MS, &table::LIVE_WS_DRAIN_TIMEOUT_MS);
    let (delay, spread) = (read.value(delay_setting), read.value(spread_setting));
    let are_sound = read.is_sound(delay_setting)
        && read.is_sound(spread_setting)
        && read.is_sound(close_setting)
        && read.is_sound(drain_setting);
    let room = drain_timeout.saturating_sub(close_timeout);
    if !are_sound || delay + spread <= room {
        return (delay, spread);
    }
    // The spread is the one to change, unless the delay is too long by itself.
    let (setting, value, most, others) = if delay > room {
        (delay_setting, delay, room, String::new())
    } else {
        let others = format!(", {} ({})", delay_setting.variable, delay.as_millis());
        (spread_setting, spread, room - delay, others)
    };
    let allowed = format!(
        "at most {}, as it{others} and {} ({}) must fit within {} ({})",
        most.as_millis(),
        close_setting.variable,
        close_timeout.as_millis(),
        drain_setting.variable,
        drain_timeout.as_millis()
    );
    read.fault(setting, &value, allowed);
    (delay, spread)
}
