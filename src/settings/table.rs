//! The table of settings: name, kind, default, unit and help of each. Reading, errors, `processor check`,
//! `settings/default.toml` and `docs/settings.md` follow it.
//!
//! To add a setting, add its entry here, a field to the struct of its room (`live.rs`, `log.rs`, `ops.rs`, …) and
//! the line beside it that reads it; then run `UPDATE=1 cargo test --test it made_pages`.

use super::database::DatabaseUrl;
use super::kind::{Label, Millis, Number, Port, SecretText, Switch};
use super::map::{Ancestor, FilePath, HttpUrl, ServiceUrl, SocketUrl, TileOrigin, Units};
use super::network::{Address, ForwardedHeader, Host, List, Network, Origin};
use super::redis::{RedisUrl, StreamName};
use super::setting::Default::{Computed, Text};
use super::setting::{Entry, Group, Setting};
use super::token::{Algorithm, CookieName, Mode};

/// Every setting there is, in the order of the table.
pub(super) fn all() -> impl Iterator<Item = &'static dyn Entry> {
    GROUPS.iter().flat_map(|group| group.settings.iter().copied())
}

/// Defines settings as statics and, from the same lines, the groups of all of them.
macro_rules! settings {
    ($($title:literal, $prefix:expr => { $($name:ident: $kind:ty { $($field:ident: $value:expr),* $(,)? })* })*) => {
        $($(
            pub(super) static $name: Setting<$kind> =
                Setting { $($field: $value,)* ..Setting::named(stringify!($name)) };
        )*)*

        pub(super) static GROUPS: &[Group] =
            &[$(Group { title: $title, prefix: $prefix, settings: &[$(&$name),*] }),*];
    };
}

settings! {
    "Instance", None => {
        INSTANCE_ID: Label {
            default: Computed { says: "the host name", example: "processor-1" },
            help: "Tells this process from others: the label `instance_id` on every metric.",
        }
    }

    "Positions and their store", Some("positions_") => {
        DATABASE_URL: DatabaseUrl {
            default: Text("sqlite://data/positions.db"),
            help: "Where positions are kept: an SQLite file (missing folders are made), or a PostgreSQL database, \
                `postgres://user:password@host:port/database` (its tables are made).",
        }
        DATABASE_TIMEOUT_MS: Millis<100> {
            default: Text("5000"),
            unit: "milliseconds",
            help: "How long PostgreSQL may take to connect, or to store what was posted; then posts get 503.",
        }
        POSITIONS_MAX_WAITING: Number<usize, 1, 100_000_000> {
            default: Text("100000"),
            unit: "positions",
            help: "Positions that may wait for the store. Beyond that, posts get 503.",
        }
    }

    "Several instances: the log and the input stream in Redis", Some("positions_") => {
        REDIS_URL: RedisUrl {
            help: "The Redis through which several instances hand each other what is stored. Empty: this is the only one.",
        }
        POSITIONS_LOG_STREAM: StreamName {
            default: Text("processor:log"),
            help: "The log's streams are named like this, with `:{0}`, `:{1}` and so on behind. All instances must have the \
                same.",
        }
        POSITIONS_LOG_SHARDS: Number<u32, 1, 1024> {
            default: Text("1"),
            unit: "streams",
            help: "How many streams the log has: more than one spread over the nodes of a Redis Cluster. Each instance reads \
                each over a connection of its own. All instances must have the same.",
        }
        POSITIONS_LOG_MAX_ENTRIES: Number<u64, 100, 100_000_000> {
            default: Text("100000"),
            unit: "entries",
            help: "Entries that each of the log's streams keeps at least; an entry has the positions of one commit. An \
                instance that was cut off for longer than they reach back reads the newest positions from the store.",
        }
        POSITIONS_LOG_TIMEOUT_MS: Millis<10> {
            default: Text("2000"),
            unit: "milliseconds",
            help: "How long the log may take. Beyond that posts do not wait for it: their positions are stored, and other \
                instances get the newest of each device when the log works again.",
        }
        POSITIONS_INPUT_STREAM: StreamName {
            help: "A stream in Redis that positions are taken from, besides `POST /positions`. Empty: none.",
        }
        POSITIONS_INPUT_CLAIM_AFTER_MS: Millis<100> {
            default: Text("30000"),
            unit: "milliseconds",
            help: "An entry of the input stream that an instance has taken and not finished for so long is taken over by \
                another.",
        }
    }

    "Authentication: who connects, who posts", Some("auth_") => {
        AUTH: Mode {
            default: Text("none"),
            help: "Who says who someone is. `none`: nobody, everyone who reaches the live port may read everything. `jwt`: a \
                signed token (RFC 7519). `http`: a URL that is asked about each new token or cookie.",
        }
        AUTH_JWT_SECRET: SecretText {
            default: Computed { says: "none", example: "" },
            help: "The secret that tokens are signed with, of at least 32 bytes (HS256, HS384, HS512).",
        }
        AUTH_JWT_SECRET_FILE: FilePath {
            help: "A file with that secret in its first line.",
        }
        AUTH_JWT_PUBLIC_KEY_FILE: FilePath {
            help: "A file in PEM format with the public key of whoever signs tokens (all algorithms but the HS ones).",
        }
        AUTH_JWKS_URL: ServiceUrl {
            help: "The keys of whoever signs tokens, as a JSON Web Key Set (RFC 7517 section 5). It is read at the start, every \
                ten minutes, and when a token names a key that is not known, at most every ten seconds; the last good set \
                holds while the URL is away.",
        }
        AUTH_JWT_ALGORITHM: Algorithm {
            default: Computed { says: "HS256 with a secret, else RS256", example: "HS256" },
            help: "How tokens are signed. Those that say anything else are refused.",
        }
        AUTH_AUDIENCE: Label {
            help: "Whom tokens must be for (`aud`). Empty: they must name nobody.",
        }
        AUTH_ISSUER: Label {
            help: "Who must have issued tokens (`iss`). Empty: anyone who could sign them.",
        }
        AUTH_CLOCK_SKEW_MS: Millis<0> {
            default: Text("5000"),
            unit: "milliseconds",
            help: "How far the clock of whoever signs tokens may be from this one; rounded up to a second. A connection ends so \
                long after its token.",
        }
        AUTH_REQUIRE_EXPIRY: Switch {
            default: Text("true"),
            help: "Whether tokens must say when they end (`exp`).",
        }
        AUTH_MAX_TOKEN_DAYS: Number<u32, 1, 3650> {
            default: Text("31"),
            unit: "days",
            help: "A token that ends later than so long after it was issued (`iat`; without one, from now) is refused. For so \
                long a revocation is remembered (for ever, where tokens need not end): do not raise it, nor switch \
                `AUTH_REQUIRE_EXPIRY` off, while older revocations must hold. With `AUTH=http`, a connection ends after so long.",
        }
        AUTH_HTTP_URL: ServiceUrl {
            help: "The URL that is asked who someone is, with `AUTH=http`: it gets the request's `Authorization`, its cookie and \
                its path (`X-Original-URI`), and answers 200 with claims as JSON, or 401 or 403.",
        }
        AUTH_TIMEOUT_MS: Millis<10> {
            default: Text("3000"),
            unit: "milliseconds",
            help: "How long `AUTH_JWKS_URL` and `AUTH_HTTP_URL` may take to answer.",
        }
        AUTH_COOKIE: CookieName {
            help: "The cookie in which a token may come. Needs `LIVE_WS_ALLOWED_ORIGINS`, as browsers send cookies for any page.",
        }
        AUTH_DEADLINE_MS: Millis<10> {
            default: Text("5000"),
            unit: "milliseconds",
            help: "How long a connection without a token may take to send one in a message; then it is closed with 4401.",
        }
    }

    "Live server: WebSockets", Some("live_ws_") => {
        LIVE_WS_HOST: Address {
            default: Text("0.0.0.0"),
            help: "Address to listen on.",
        }
        LIVE_WS_PORT: Port {
            default: Text("8081"),
            help: "Port to listen on. 0 takes any free one.",
        }
        LIVE_WS_WORKERS: Number<usize, 0, 1024> {
            default: Text("0"),
            unit: "threads",
            help: "Threads that serve connections. 0 is one for each processor core.",
        }
        LIVE_WS_PING_INTERVAL_MS: Millis<10> {
            default: Text("30000"),
            unit: "milliseconds",
            help: "Time between two pings to a client.",
        }
        LIVE_WS_PONG_TIMEOUT_MS: Millis<10> {
            default: Computed { says: "twice `LIVE_WS_PING_INTERVAL_MS`", example: "60000" },
            unit: "milliseconds",
            help: "A client that sent nothing for this long, not even a pong, is disconnected. Must be more than \
                `LIVE_WS_PING_INTERVAL_MS`.",
        }
        LIVE_WS_HANDSHAKE_TIMEOUT_MS: Millis<10> {
            default: Text("10000"),
            unit: "milliseconds",
            help: "Time from connecting to the end of the handshake.",
        }
        LIVE_WS_CLOSE_TIMEOUT_MS: Millis<10> {
            default: Text("5000"),
            unit: "milliseconds",
            help: "How long a client may take to answer a close frame.",
        }
        LIVE_WS_DRAIN_TIMEOUT_MS: Millis<0> {
            default: Text("5000"),
            unit: "milliseconds",
            help: "How long a stopping server waits for its clients to close. Those that are left are terminated.",
        }
        LIVE_WS_DRAIN_DELAY_MS: Millis<0> {
            default: Text("0"),
            unit: "milliseconds",
            help: "How long a stopping server still serves its clients before it closes the first, while `/readyz` is 503 \
                already and new connections get 503: for load balancers that look only every few seconds.",
        }
        LIVE_WS_DRAIN_SPREAD_MS: Millis<0> {
            default: Text("0"),
            unit: "milliseconds",
            help: "A stopping server closes its clients evenly over this time, after `LIVE_WS_DRAIN_DELAY_MS`. Unless both \
                are 0, both and `LIVE_WS_CLOSE_TIMEOUT_MS` together must fit within `LIVE_WS_DRAIN_TIMEOUT_MS`.",
        }
        LIVE_WS_RECONNECT_SPREAD_MS: Millis<0> {
            default: Text("0"),
            unit: "milliseconds",
            help: "A stopping server tells each client, before it closes it, when to connect again (`draining`), evenly \
                over this time. 0: it tells them nothing.",
        }
        LIVE_WS_MAX_MESSAGE_BYTES: Number<usize, 125, { 64 << 20 }> {
            default: Text("65536"),
            unit: "bytes",
            help: "Longest message from a client, all its fragments together. A longer one closes with 1009.",
        }
        LIVE_WS_DEFLATE: Switch {
            default: Text("true"),
            help: "Whether clients that offer compression (permessage-deflate) get it. `LIVE_WS_MAX_MESSAGE_BYTES` holds \
                for what is decompressed.",
        }
        LIVE_WS_OUTBOX_BYTES: Number<usize, 4096, { 1 << 30 }> {
            default: Text("262144"),
            unit: "bytes",
            help: "What may wait to be sent to one client. Beyond that its positions are conflated: it is sent the newest \
                of each device.",
        }
        LIVE_WS_WORKER_OUTBOX_BYTES: Number<usize, { 1 << 20 }, { 1 << 40 }> {
            default: Text("67108864"),
            unit: "bytes",
            help: "The same for all clients of a worker together, where frames that several wait for count once. Beyond \
                that positions are conflated for every slow client, and new snapshots wait their turn.",
        }
        LIVE_WS_MAX_CONNECTIONS: Number<usize, 1, 100_000_000> {
            default: Text("100000"),
            unit: "connections",
            help: "Connections in all. Beyond that, handshakes get 503. The limit of open files bounds it too.",
        }
        LIVE_WS_MAX_CONNECTIONS_PER_ADDRESS: Number<usize, 1, 100_000_000> {
            default: Text("10000"),
            unit: "connections",
            help: "Connections from one address; of IPv6, from one /64 network. Beyond that, handshakes get 429.",
        }
        LIVE_WS_MAX_CONNECTIONS_PER_SUBJECT: Number<usize, 1, 100_000_000> {
            default: Text("1000"),
            unit: "connections",
            help: "Connections of one subject (`sub` of its tokens). Beyond that, handshakes get 429, and who sends its token in a \
                message is closed with 1013.",
        }
        LIVE_WS_MAX_MESSAGES_PER_SECOND: Number<u32, 1, 100_000_000> {
            default: Text("100"),
            unit: "messages per second",
            help: "Messages that one client may send, sustained; ten seconds' worth may come at once. 32 pings, pongs or \
                fragments count as one.",
        }
        LIVE_WS_MAX_SUBSCRIPTIONS: Number<usize, 1, 100_000_000> {
            default: Text("1000"),
            unit: "topics",
            help: "Topics that one connection may be subscribed to.",
        }
        LIVE_WS_MAX_TOPIC_BYTES: Number<usize, 1, 65536> {
            default: Text("256"),
            unit: "bytes",
            help: "Longest topic that a client may name.",
        }
        LIVE_WS_MAX_AREA_DEVICES: Number<usize, 1, 100_000_000> {
            default: Text("10000"),
            unit: "devices",
            help: "Devices that may be inside an area for someone to be subscribed to it.",
        }
        LIVE_WS_MIN_EVERY_MS: Number<u16, 0, 30_000> {
            default: Text("0"),
            unit: "milliseconds",
            help: "The shortest cadence of a subscription, rounded up to a step (100, 250, 500, 1000, 2000, 5000, 10000, \
                30000). Whoever asks for a shorter one or for none is served at this one. 0: every update can be had.",
        }
        LIVE_WS_TRUSTED_PROXIES: List<Network> {
            help: "Proxies, with commas between them, that are believed when they say for which client they speak.",
        }
        LIVE_WS_FORWARDED_HEADER: ForwardedHeader {
            help: "The header in which they say it: the one that your proxy writes (`forwarded` is RFC 7239). Empty: the \
                one that is there; if both are and do not agree, neither, and the client counts as the proxy.",
        }
        LIVE_WS_ALLOWED_ORIGINS: List<Origin> {
            help: "Origins of web pages, with commas between them, that may connect, the map page's own among them. Empty: any.",
        }
    }

    "Ops server: metrics, health, ingest", Some("ops_") => {
        OPS_HOST: Address {
            default: Text("127.0.0.1"),
            help: "Address to listen on.",
        }
        OPS_PORT: Port {
            default: Text("9090"),
            help: "Port to listen on. 0 takes any free one.",
        }
        OPS_MAX_BODY_BYTES: Number<usize, 1024, { 1 << 30 }> {
            default: Text("1048576"),
            unit: "bytes",
            help: "Longest body of `POST /positions`. A longer one gets 413.",
        }
        OPS_BODY_TIMEOUT_MS: Millis<10> {
            default: Text("300000"),
            unit: "milliseconds",
            help: "How long the whole body of a post may take to arrive. Besides, some of it must come every ten seconds, \
                and 64 bytes a second on average.",
        }
        OPS_MAX_CONNECTIONS: Number<usize, 8, 65536> {
            default: Text("1024"),
            unit: "connections",
            help: "Connections of the ops server, at most a quarter of the limit of open files. Beyond that, the one that is \
                idle the longest makes room. At most three quarters can be posts. File descriptors for all of them are \
                kept free, however many live clients there are.",
        }
        OPS_INGEST_TOKEN: SecretText {
            default: Computed { says: "none", example: "" },
            help: "Bearer token that `POST /positions` must carry. Needed unless `OPS_HOST` is a loopback address.",
        }
        OPS_INGEST_TOKEN_FILE: FilePath {
            help: "A file with that token in its first line.",
        }
        OPS_METRICS_TOKEN: SecretText {
            default: Computed { says: "none", example: "" },
            help: "Bearer token that `GET /metrics` must carry. Empty: none is needed.",
        }
        OPS_METRICS_TOKEN_FILE: FilePath {
            help: "A file with that token in its first line.",
        }
        OPS_CONNECTIONS_TOKEN: SecretText {
            default: Computed { says: "none", example: "" },
            help: "Bearer token that `GET /connections` must carry. Empty: none is needed.",
        }
        OPS_CONNECTIONS_TOKEN_FILE: FilePath {
            help: "A file with that token in its first line.",
        }
        OPS_REVOKE_TOKEN: SecretText {
            default: Computed { says: "none", example: "" },
            help: "Bearer token that `POST /revoke` must carry. Needed unless `OPS_HOST` is a loopback address.",
        }
        OPS_REVOKE_TOKEN_FILE: FilePath {
            help: "A file with that token in its first line.",
        }
        OPS_ALLOWED_HOSTS: List<Host> {
            help: "Names, with commas between them, that requests may give as `Host`, besides localhost and loopback \
                addresses, while `OPS_HOST` is a loopback address.",
        }
    }
    "Web server: the map page", Some("web_") => {
        WEB_ENABLED: Switch {
            default: Text("true"),
            help: "Whether the map page is served. Needs the feature `ui`, which is on unless it was switched off when the \
                program was built.",
        }
        WEB_HOST: Address {
            default: Text("127.0.0.1"),
            help: "Address to listen on.",
        }
        WEB_PORT: Port {
            default: Text("8080"),
            help: "Port to listen on. 0 takes any free one.",
        }
        WEB_MAX_CONNECTIONS: Number<usize, 8, 65536> {
            default: Text("256"),
            unit: "connections",
            help: "Connections of the web server, at most an eighth of the limit of open files. Beyond that, the one that is \
                idle the longest makes room.",
        }
        WEB_AUTH: Switch {
            default: Text("false"),
            help: "Whether only those see the page whose token is accepted, in the cookie of `AUTH_COOKIE` or in \
                `Authorization`, as a proxy may add it. Needs `AUTH`. The page holds nothing secret: without this, it asks \
                visitors for a token itself.",
        }
        WEB_LIVE_URL: SocketUrl {
            help: "Where the page connects to the live server. Empty: the host that the page was loaded from, at the live \
                server's port; behind a reverse proxy name the public URL.",
        }
        WEB_MAP_STYLE_URL: HttpUrl {
            help: "The style of the base map, as MapLibre reads it. Visitors see the URL, a key in it too. Empty: the map \
                that is built in.",
        }
        WEB_MAP_STYLE_DARK_URL: HttpUrl {
            help: "The same for visitors who prefer dark pages.",
        }
        WEB_PMTILES_FILE: FilePath {
            help: "A file of map tiles in PMTiles format (version 3), served at `/map.pmtiles` and shown as the base map. It \
                must be there at the start; a file that takes its place is served after the next start.",
        }
        WEB_MAP_ORIGINS: List<TileOrigin> {
            help: "Further origins, with commas between them, from which the styles load tiles, sprites and glyphs. The \
                page may load from nowhere else but the styles' own origins.",
        }
        WEB_FRAME_ANCESTORS: List<Ancestor> {
            help: "Origins of web pages, with commas between them, that may show the page in a frame. Empty: none.",
        }
        WEB_STALE_AFTER_MS: Millis<1000> {
            default: Text("60000"),
            unit: "milliseconds",
            help: "A device that has not been heard of for so long fades.",
        }
        WEB_LOST_AFTER_MS: Millis<1000> {
            default: Text("600000"),
            unit: "milliseconds",
            help: "A device that has not been heard of for so long is grey. Must be more than `WEB_STALE_AFTER_MS`.",
        }
        WEB_UNITS: Units {
            default: Text("metric"),
            help: "Units of lengths and speeds on the page; visitors can change them.",
        }
    }
}
