//! A token's end, its renewal and its revocation in the middle of a connection.

use serde_json::{Value, json};

use crate::harness::{Client, JWT, Server, conflate, eventually, folder, from_now, jwt_and, position, token};

fn reads(topics: &[&str]) -> Value {
    json!({ "topics": topics })
}

#[actix::test]
async fn a_token_that_ends_closes_its_connection_at_that_moment() {
    let folder = folder();
    let server = Server::start(folder.path(), &JWT);
    // After all that must come before it, on a machine that does much else.
    let end = from_now(4.0);
    let mut client = Client::bearer(server.live, &token("ann", json!({ "topics": ["*"], "exp": end }))).await;
    client.subscribe("device:1").await;
    server.accept(&position("1", 1, 1.0)).await;
    assert_eq!(client.json().await["type"], "position");
    assert_eq!(client.closed().await, (4401, "unauthorized: the token has expired".to_owned()));
    let late = -(end - from_now(0.0));
    assert!((0.0..5.0).contains(&late), "closed {late} s after the token's end");
    eventually("the close to be counted", async || {
        server.metric("processor_live_closes_total", "reason=\"token_expired\"").await == 1.0
    })
    .await;
}

#[actix::test]
async fn a_renewed_token_keeps_the_stream_without_a_gap() {
    let folder = folder();
    let server = Server::start(folder.path(), &JWT);
    // Long after its renewal.
    let end = from_now(4.0);
    let short = json!({ "topics": ["*"], "exp": end });
    let mut client = Client::bearer(server.live, &token("ann", short)).await;
    client.subscribe("device:1").await;
    client.text(json!({ "type": "auth", "token": token("ann", reads(&["*"])), "id": "r" }).to_string()).await;
    let mut latest = 0;
    // Well beyond the end of the first one.
    while from_now(0.0) < end + 1.0 {
        latest += 1;
        server.accept(&position("1", latest, 1.0)).await;
        loop {
            let message = client.json().await;
            if message["type"] == "authenticated" {
                assert_eq!(message["id"], "r");
                continue;
            }
            assert_eq!(message["timestamp"], json!(crate::harness::time(latest)), "{message}");
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[actix::test]
async fn a_renewed_token_that_allows_less_ends_what_is_outside() {
    let folder = folder();
    let server = Server::start(folder.path(), &JWT);
    let wide = reads(&["device:*", "event:*", "area:0,0,10,10"]);
    let mut client = Client::bearer(server.live, &token("ann", wide)).await;
    for topic in ["device:1", "device:2", "event:e", "area:1,1,2,2", "area:8,8,9,9"] {
        client.subscribe(topic).await;
    }
    let narrow = reads(&["device:2", "area:0,0,5,5"]);
    let answer = client.ask(json!({ "type": "auth", "token": token("ann", narrow) })).await;
    assert_eq!(
        (&answer["type"], &answer["may_read"]),
        (&json!("authenticated"), &json!(["device:2", "area:0,0,5,5"]))
    );
    let mut ended = Vec::new();
    while ended.len() < 3 {
        let message = client.json().await;
        if message["type"] == "error" {
            assert_eq!(
                (&message["code"], &message["detail"]),
                (&json!("forbidden"), &json!("this subscription has ended"))
            );
            ended.push(message["topic"].as_str().unwrap().to_owned());
        }
    }
    ended.sort();
    assert_eq!(ended, ["area:8,8,9,9", "device:1", "event:e"]);
    // What is left goes on, and nothing of what was ended comes.
    for device in ["1", "2"] {
        server
            .accept(&json!({ "device_id": device, "timestamp": "2026-01-02T00:00:00Z", "latitude": 8.5,
            "longitude": 8.5, "topics": ["event:e"] }))
            .await;
    }
    loop {
        let message = client.json().await;
        if message["type"] == "position" {
            assert_eq!((&message["topic"], &message["device_id"]), (&json!("device:2"), &json!("2")));
            break;
        }
    }
    // Nothing else is on its way.
    assert_eq!(client.ask(json!({ "type": "hello", "id": "h" })).await["id"], "h");
}

#[actix::test]
async fn of_an_area_that_is_not_allowed_any_more_a_slow_client_gets_no_new_snapshot() {
    let folder = folder();
    let server =
        Server::start(folder.path(), &jwt_and(&[("LIVE_WS_OUTBOX_BYTES", "4096"), ("LIVE_WS_WORKERS", "1")]));
    let mut client = Client::narrow(server.live, 4096).await;
    client.ask(json!({ "type": "auth", "token": token("ann", reads(&["area:*"])) })).await;
    // Around the device that `conflate` moves.
    let areas: Vec<_> = (0..8).map(|number| format!("area:13,0,14,{}", 2 + number)).collect();
    client.text(json!({ "type": "subscribe", "topic": areas[0] }).to_string()).await;
    conflate(&server).await;
    client.text(json!({ "type": "subscribe", "topics": areas[1..] }).to_string()).await;
    let none = token("ann", reads(&["event:e"]));
    client.text(json!({ "type": "auth", "token": none, "id": "less" }).to_string()).await;
    client.text(json!({ "type": "hello", "id": "end" }).to_string()).await;
    let (mut is_less, mut ended) = (false, 0);
    loop {
        let message = client.json().await;
        match message["type"].as_str().unwrap() {
            "authenticated" => is_less = true,
            "welcome" => break,
            "error" => ended += 1,
            _ => assert!(!is_less, "{message} after the token that allows less"),
        }
    }
    assert!(is_less && ended == 8, "{ended}");
}

#[actix::test]
async fn a_token_of_another_subject_or_a_wrong_one_closes() {
    let folder = folder();
    let server = Server::start(folder.path(), &JWT);
    for bad in [token("bob", reads(&["*"])), "nonsense".to_owned()] {
        let mut client = Client::bearer(server.live, &token("ann", reads(&["*"]))).await;
        client.text(json!({ "type": "auth", "token": bad }).to_string()).await;
        assert_eq!(client.closed().await.0, 4401);
    }
    assert_eq!(server.metric("processor_auth_refused_total", "reason=\"other_subject\"").await, 1.0);
}

#[actix::test]
async fn a_revoked_subject_is_closed_and_kept_out_also_after_a_restart() {
    let folder = folder();
    let server = Server::start(folder.path(), &JWT);
    let [ann, bob] = ["ann", "bob"].map(|name| token(name, reads(&["*"])));
    let mut client = Client::bearer(server.live, &ann).await;
    let mut idle = server.client().await;
    idle.ask(json!({ "type": "auth", "token": ann })).await;
    client.subscribe("device:1").await;
    let mut other = Client::bearer(server.live, &bob).await;
    other.subscribe("device:1").await;
    let done = server.revoke(&json!({ "subject": "ann" })).await;
    assert!(done["until"].is_string(), "{done}");
    for client in [&mut client, &mut idle] {
        assert_eq!(client.closed().await, (4403, "forbidden".to_owned()));
    }
    assert_eq!(Client::bearer(server.live, &ann).await.closed().await.0, 4403);
    assert_eq!(other.ask(json!({ "type": "hello" })).await["subject"], "bob");
    // A token that is issued later is another matter.
    let newer = token("ann", reads(&["*"]));
    Client::bearer(server.live, &newer).await.subscribe("device:1").await;
    server.stop();
    let server = Server::start(folder.path(), &JWT);
    assert_eq!(Client::bearer(server.live, &ann).await.closed().await.0, 4403);
    let (status, answer) = server
        .post_with(&[("Authorization", &format!("Bearer {ann}"))], position("1", 1, 1.0).to_string())
        .await;
    assert_eq!((status, &answer["error"]), (403, &json!("forbidden")));
    Client::bearer(server.live, &bob).await.subscribe("device:1").await;
}

#[actix::test]
async fn a_revoked_token_ends_and_another_of_the_subject_does_not() {
    let folder = folder();
    let server = Server::start(folder.path(), &JWT);
    let [first, second] = ["t1", "t2"].map(|id| token("ann", json!({ "topics": ["*"], "jti": id })));
    let mut ended = Client::bearer(server.live, &first).await;
    ended.subscribe("device:1").await;
    let mut stays = Client::bearer(server.live, &second).await;
    server.revoke(&json!({ "token_id": "t1" })).await;
    assert_eq!(ended.closed().await.0, 4403);
    stays.subscribe("device:1").await;
    // Nor can the connection of the other be taken over with it.
    stays.text(json!({ "type": "auth", "token": first }).to_string()).await;
    assert_eq!(stays.closed().await.0, 4403);
}

#[actix::test]
async fn a_revoked_topic_ends_subscriptions_and_closes_where_nothing_is_left() {
    let folder = folder();
    let server = Server::start(folder.path(), &JWT);
    let all = token("ann", reads(&["*"]));
    let mut some = Client::bearer(server.live, &all).await;
    let mut only = Client::bearer(server.live, &all).await;
    let mut none = Client::bearer(server.live, &all).await;
    some.subscribe("event:rally-1").await;
    some.subscribe("device:1").await;
    only.subscribe("event:rally-2").await;
    assert_eq!(none.ask(json!({ "type": "hello" })).await["subject"], "ann");
    server.revoke(&json!({ "topic": "event:rally-*" })).await;
    let ended = some.json().await;
    assert_eq!((&ended["code"], &ended["topic"]), (&json!("forbidden"), &json!("event:rally-1")));
    assert_eq!(only.closed().await.0, 4403);
    for client in [&mut some, &mut none] {
        let answer = client.ask(json!({ "type": "subscribe", "topic": "event:rally-3" })).await;
        assert_eq!(answer["code"], "forbidden");
    }
    server.accept(&position("1", 1, 1.0)).await;
    assert_eq!(some.json().await["topic"], "device:1");
}
