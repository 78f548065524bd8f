//! What is revoked at one instance ends connections at all, and is refused by those that start later; also while Redis is away.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Client, JWT, eventually, token};
use crate::instances::Instances;
use crate::turn;

/// A connection at each instance that reads an event with this token.
async fn connect(instances: &Instances, token: &str) -> Vec<Client> {
    let mut clients = Vec::new();
    for server in instances.all() {
        let mut client = Client::bearer(server.live, token).await;
        client.subscribe("event:e").await;
        clients.push(client);
    }
    clients
}

/// Revokes something at the first instance. Returns how long it took until these were closed for it, wherever they are.
async fn revoke(instances: &Instances, what: Value, clients: Vec<Client>) -> Duration {
    let since = Instant::now();
    let answer = async { instances.get(0).revoke(&what).await };
    let closed = join_all(clients.into_iter().map(|mut client| async move { client.closed().await }));
    let (_, closed) = tokio::join!(answer, closed);
    let took = since.elapsed();
    assert!(closed.iter().all(|close| *close == (4403, "forbidden".to_owned())), "{closed:?}");
    took
}

async fn is_connected(client: &mut Client) {
    assert_eq!(client.ask(json!({ "type": "hello" })).await["type"], "welcome");
}

#[actix::test]
async fn a_revocation_reaches_every_instance_at_once_and_those_that_start_later() {
    let _turn = turn().await;
    let mut instances = Instances::start(3, &JWT);
    instances.ready().await;
    let of = |subject: &str, id: &str| token(subject, json!({ "topics": ["event:*"], "jti": id }));
    let (ann, bob, newer) = (of("ann", "1"), of("bob", "2"), of("bob", "3"));
    let (anns, bobs) = (connect(&instances, &ann).await, connect(&instances, &bob).await);
    let mut others = connect(&instances, &newer).await;

    // A second is promised; a machine that does much else may take two.
    let took = revoke(&instances, json!({ "subject": "ann" }), anns).await;
    assert!(took < Duration::from_secs(2), "{took:?}");
    for client in &mut others {
        is_connected(client).await;
    }

    instances.add();
    instances.ready().await;
    let fourth = instances.get(3);
    assert_eq!(Client::bearer(fourth.live, &ann).await.closed().await.0, 4403);
    Client::bearer(fourth.live, &newer).await.subscribe("event:e").await;

    // By the store alone.
    instances.redis.kill();
    for server in instances.all() {
        eventually("a log that is away", async || server.get("/readyz").await.1.contains(r#""log":"away""#))
            .await;
    }
    let took = revoke(&instances, json!({ "token_id": "2" }), bobs).await;
    assert!(took < Duration::from_secs(4), "{took:?}");
    for client in &mut others {
        is_connected(client).await;
    }
    for server in instances.all() {
        assert_eq!(Client::bearer(server.live, &bob).await.closed().await.0, 4403);
    }
}
