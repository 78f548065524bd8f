//! `Redis`: the server, or the cluster, that settings name; `Connection`: one to it.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use ::redis::aio::{ConnectionLike, MultiplexedConnection};
use ::redis::cluster::{ClusterClient, ClusterClientBuilder};
use ::redis::cluster_async::ClusterConnection;
use ::redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use ::redis::io::tcp::TcpSettings;
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, FromRedisValue,
    IntoConnectionInfo as _, Pipeline, RedisConnectionInfo, RedisFuture, RedisResult, Value,
    from_redis_value,
};

use super::error::RedisError;
use crate::settings::{RedisNode, RedisServers};

/// How often a cluster's node is asked anew, where the cluster changes meanwhile.
const RETRIES: u32 = 3;

/// The longest wait before that, in milliseconds.
const MAX_RETRY_WAIT_MS: u64 = 200;

/// The server, or the cluster, that settings name.
#[derive(Debug)]
pub(in crate::positions) struct Redis {
    client: Kind,
    /// What each request may take, and connecting too.
    timeout: Duration,
    /// Without user and password.
    shown: String,
}

enum Kind {
    Single(Box<Client>),
    Cluster(Box<ClusterClient>),
}

/// One connection. Requests of its clones share it; one that blocks needs a connection of its own.
#[derive(Clone)]
pub(in crate::positions) enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Redis {
    /// Connects to nothing yet. A request may take `timeout`.
    ///
    /// # Errors
    /// [`RedisError`] if the servers cannot be used together.
    pub(in crate::positions) fn new(servers: &RedisServers, timeout: Duration) -> Result<Self, RedisError> {
        let infos = servers.nodes.iter().map(|node| info(servers, node)).collect::<RedisResult<Vec<_>>>()?;
        let client = match <[ConnectionInfo; 1]>::try_from(infos) {
            Ok([info]) => Kind::Single(Box::new(Client::open(info)?)),
            Err(infos) => {
                let cluster = ClusterClientBuilder::new(infos)
                    .connection_timeout(timeout)
                    // Each request has a limit of its own, see `ask`.
                    .response_timeout(Duration::from_secs(24 * 60 * 60))
                    .overall_response_timeout(None)
                    .tcp_settings(tcp())
                    .retries(RETRIES)
                    .max_retry_wait(MAX_RETRY_WAIT_MS);
                Kind::Cluster(Box::new(cluster.build()?))
            }
        };
        Ok(Self { client, timeout, shown: servers.to_string() })
    }

    /// A new connection.
    ///
    /// # Errors
    /// [`RedisError`] if there is none in time.
    pub(in crate::positions) async fn connect(&self) -> Result<Connection, RedisError> {
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let connect = async {
            Ok(match &self.client {
                Kind::Single(client) => {
                    Connection::Single(client.get_multiplexed_async_connection_with_config(&config).await?)
                }
                Kind::Cluster(cluster) => Connection::Cluster(cluster.get_async_connection().await?),
            })
        };
        within(self.timeout, connect).await
    }

    /// What a request may take.
    pub(in crate::positions) fn timeout(&self) -> Duration {
        self.timeout
    }
}

/// As log lines name it.
impl fmt::Display for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Single(_) => "a server",
            Self::Cluster(_) => "a cluster",
        })
    }
}

fn info(servers: &RedisServers, node: &RedisNode) -> RedisResult<ConnectionInfo> {
    let (host, port) = (node.host.clone(), node.port);
    let address = if servers.tls {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    };
    let mut login = RedisConnectionInfo::default()
        .set_db(i64::from(servers.database))
        .set_lib_name(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    if let Some(user) = &servers.user {
        login = login.set_username(user);
    }
    if let Some(password) = &servers.password {
        login = login.set_password(password.reveal());
    }
    Ok(address.into_connection_info()?.set_tcp_settings(tcp()).set_redis_settings(login))
}

/// Requests are sent at once, as what waits for a little more (Nagle's algorithm) may wait for 40 ms.
fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

/// What comes of `request`, if it comes in time.
async fn within<T>(limit: Duration, request: impl Future<Output = RedisResult<T>>) -> Result<T, RedisError> {
    match tokio::time::timeout(limit, request).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(RedisError::Timeout(limit)),
    }
}

impl Connection {
    /// Sends one request, whose answer may take `limit`.
    ///
    /// # Errors
    /// [`RedisError`]; after [`RedisError::Timeout`] the connection must be dropped, as the answer may still come.
    pub(in crate::positions) async fn ask<T: FromRedisValue>(
        &mut self,
        limit: Duration,
        request: &Cmd,
    ) -> Result<T, RedisError> {
        within(limit, request.query_async(self)).await
    }

    /// Sends several requests at once, all of one stream, whose answers may take `limit` and are not looked at.
    ///
    /// # Errors
    /// As [`Connection::ask`]; if any of them failed.
    pub(in crate::positions) async fn send(
        &mut self,
        limit: Duration,
        requests: &Pipeline,
    ) -> Result<(), RedisError> {
        within(limit, requests.query_async::<()>(self)).await
    }

    /// Tells one run of the server that has `key` from the next; `None` where it may not be asked.
    ///
    /// # Errors
    /// As [`Connection::ask`], but for a server that refuses.
    pub(in crate::positions) async fn run_id(
        &mut self,
        limit: Duration,
        key: &str,
    ) -> Result<Option<String>, RedisError> {
        let mut request = ::redis::cmd("INFO");
        request.arg("server");
        let asked = async {
            match self {
                Self::Single(connection) => request.query_async(connection).await,
                Self::Cluster(connection) => {
                    let route = SingleNodeRoutingInfo::SpecificNode(Route::with_key(key, SlotAddr::Master));
                    let reply = connection.route_command(request, RoutingInfo::SingleNode(route)).await?;
                    Ok(from_redis_value(reply)?)
                }
            }
        };
        let info: String = match within(limit, asked).await {
            Ok(info) => info,
            // It answered, so the connection works; users may lack the right to ask, services may not have the command.
            Err(RedisError::Redis(error)) if !error.is_io_error() && error.code().is_some() => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        Ok(info.lines().find_map(|line| line.strip_prefix("run_id:")).map(|id| id.trim().to_owned()))
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(connection) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}
