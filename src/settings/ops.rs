//! `OpsSettings`: what the ops server is told, and how it is read.

use std::net::IpAddr;
use std::time::Duration;

use super::read::Reader;
use super::secret::Secret;
use super::secret_file::secret;
use super::table;

/// Settings of the ops server.
#[derive(Clone, Debug)]
pub struct OpsSettings {
    /// Address to listen on.
    pub host: IpAddr,
    /// Port to listen on; 0 takes any free one.
    pub port: u16,
    /// Longest body of a post, in bytes.
    pub max_body_bytes: usize,
    /// What a post's body may take to come, all of it.
    pub body_timeout: Duration,
    /// Connections in all; the limit of open files may cut it.
    pub max_connections: usize,
    /// Bearer token that a post must carry.
    pub ingest_token: Option<Secret>,
    /// Bearer token that whoever asks for metrics must carry.
    pub metrics_token: Option<Secret>,
    /// Bearer token that whoever asks for connections must carry.
    pub connections_token: Option<Secret>,
    /// Bearer token that a revocation must carry.
    pub revoke_token: Option<Secret>,
    /// Hosts, in lower case, that requests may name besides loopback ones while `host` is a loopback address.
    pub allowed_hosts: Vec<String>,
}

impl OpsSettings {
    pub(super) fn read(read: &mut Reader) -> Self {
        Self {
            host: read.value(&table::OPS_HOST),
            port: read.value(&table::OPS_PORT),
            max_body_bytes: read.value(&table::OPS_MAX_BODY_BYTES),
            body_timeout: read.value(&table::OPS_BODY_TIMEOUT_MS),
            max_connections: read.value(&table::OPS_MAX_CONNECTIONS),
            ingest_token: secret(read, &table::OPS_INGEST_TOKEN, &table::OPS_INGEST_TOKEN_FILE),
            metrics_token: secret(read, &table::OPS_METRICS_TOKEN, &table::OPS_METRICS_TOKEN_FILE),
            connections_token: secret(
                read,
                &table::OPS_CONNECTIONS_TOKEN,
                &table::OPS_CONNECTIONS_TOKEN_FILE,
            ),
            revoke_token: secret(read, &table::OPS_REVOKE_TOKEN, &table::OPS_REVOKE_TOKEN_FILE),
            allowed_hosts: read.value(&table::OPS_ALLOWED_HOSTS),
        }
    }
}
