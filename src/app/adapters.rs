//! What each room asks of another, given by that one: `PublishTo`, `RevokeBy`, `IngestTo`, `ConnectionsOf`.

use std::sync::{Arc, OnceLock};

use actix::Addr;
use futures_util::future::LocalBoxFuture;

use crate::auth::Authenticator;
use crate::domain::{Position, Revocation, Revoked, Timestamp};
use crate::ingest::{Accepted, Ingest, Refused};
use crate::live::registry::{ListConnections, Recheck};
use crate::live::{self, Hubs, Registry};
use crate::metrics::Metrics;
use crate::ops::{ConnectionView, Connections, NotRevoked, Revoke};
use crate::positions::{self, Consumer, Publish, RevokeError, Stored, Submit, SubmitError};

/// Positions go to the hubs; what was revoked is looked at by every connection.
pub(super) struct PublishTo {
    pub(super) hubs: Hubs,
    pub(super) registry: Addr<Registry>,
    pub(super) authenticator: Option<Arc<Authenticator>>,
}

impl Publish for PublishTo {
    fn publish(&self, positions: Vec<(Position, std::time::Instant)>) {
        self.hubs.publish(positions);
    }

    fn revoked(&self, revocations: Vec<Revocation>) {
        let Some(authenticator) = &self.authenticator else { return };
        let new = authenticator.revoke(revocations);
        if !new.is_empty() {
            log::info!("{} revocations hold from now on", new.len());
            self.registry.do_send(Recheck);
        }
    }
}

/// Revocations go to the consumer, as soon as there is one.
pub(super) struct RevokeBy {
    pub(super) consumer: Arc<OnceLock<Addr<Consumer>>>,
    pub(super) authenticator: Option<Arc<Authenticator>>,
}

impl Revoke for RevokeBy {
    fn revoke(&self, revoked: Revoked) -> LocalBoxFuture<'static, Result<Option<Timestamp>, NotRevoked>> {
        let Some(authenticator) = &self.authenticator else {
            return Box::pin(async { Err(NotRevoked::NoTokens) });
        };
        let Some(consumer) = self.consumer.get() else {
            return Box::pin(async { Err(NotRevoked::Unavailable("the server is starting".into())) });
        };
        let revocation = authenticator.revocation(revoked, Timestamp::now());
        let until = revocation.until;
        let reply = consumer.send(positions::Revoke(revocation));
        Box::pin(async move {
            match reply.await {
                Ok(Ok(())) => Ok(until),
                Ok(Err(error @ RevokeError::Name(_))) => Err(NotRevoked::Invalid(Box::new(error))),
                Ok(Err(error)) => Err(NotRevoked::Unavailable(Box::new(error))),
                Err(_) => Err(NotRevoked::Unavailable("the server is shutting down".into())),
            }
        })
    }
}

/// Posts go to the consumer, as soon as there is one.
pub(super) struct IngestTo {
    pub(super) consumer: Arc<OnceLock<Addr<Consumer>>>,
    pub(super) metrics: Metrics,
}

impl Ingest for IngestTo {
    fn submit(&self, positions: Vec<Position>) -> LocalBoxFuture<'static, Result<Accepted, Refused>> {
        let Some(consumer) = self.consumer.get() else {
            return Box::pin(async { Err(Refused::Starting) });
        };
        let count = positions.len();
        let reply = consumer.send(Submit(positions));
        Box::pin(async move {
            match reply.await {
                Ok(Ok(Stored { late, repeated })) => Ok(Accepted { accepted: count, late, repeated }),
                Ok(Err(SubmitError::Stopping)) | Err(_) => Err(Refused::Stopping),
                Ok(Err(error)) => Err(Refused::NotStored(Box::new(error))),
            }
        })
    }

    fn is_up(&self) -> bool {
        self.consumer.get().is_some_and(|consumer| consumer.connected())
            && self.metrics.positions.store_up.get() == 1
    }

    fn is_log_up(&self) -> bool {
        self.metrics.log.up.get() == 1 && self.metrics.log.unreadable.get() == 0
    }
}

/// The registry's connections are what `/connections` shows.
pub(super) struct ConnectionsOf(pub(super) OnceLock<Addr<Registry>>);

impl Connections for ConnectionsOf {
    fn list(&self) -> LocalBoxFuture<'static, Vec<ConnectionView>> {
        let answer = self.0.get().map(|registry| registry.send(ListConnections));
        Box::pin(async {
            let vitals = match answer {
                Some(answer) => answer.await.unwrap_or_default(),
                None => Vec::new(),
            };
            let view = |vitals: &Arc<live::Vitals>| ConnectionView {
                id: vitals.id.to_string(),
                // No port where a proxy named none.
                remote: match vitals.remote.port() {
                    0 => vitals.remote.ip().to_string(),
                    _ => vitals.remote.to_string(),
                },
                subject: vitals.subject().map(str::to_owned),
                opened_at: vitals.opened_at,
                last_seen_at: vitals.last_seen_at(),
                topics: vitals.topics(),
                areas: vitals.areas(),
                compressed: vitals.compressed,
                waiting_bytes: vitals.waiting(),
                conflated: vitals.conflated(),
            };
            vitals.iter().map(view).collect()
        })
    }
}
