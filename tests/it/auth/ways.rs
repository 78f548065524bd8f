//! Each way in which a token comes, and each reason for which it is refused.

use serde_json::{Value, json};

use crate::harness::{
    Client, JWT, Raw, Server, eventually, folder, from_now, jwt_and, signed, soon, token, upgrade_with,
};

fn event() -> Value {
    json!({ "topics": ["event:e"] })
}

/// Subscribes to what the token allows, and to what it does not.
async fn reads_its_event_only(client: &mut Client) {
    client.subscribe("event:e").await;
    let answer = client.ask(json!({ "type": "subscribe", "topic": "event:other", "id": "7" })).await;
    assert_eq!(
        (&answer["code"], &answer["topic"], &answer["id"]),
        (&json!("forbidden"), &json!("event:other"), &json!("7"))
    );
}

#[actix::test]
async fn a_token_comes_in_a_header() {
    let folder = folder();
    let server = Server::start(folder.path(), &JWT);
    for scheme in ["Bearer", "bearer"] {
        let header = format!("{scheme} {}", token("ann", event()));
        let mut client = Client::with_headers(server.live, &[("Authorization", &header)]).await;
        reads_its_event_only(&mut client).await;
        let welcome = client.ask(json!({ "type": "hello" })).await;
        assert_eq!((&welcome["subject"], &welcome["may_read"]), (&json!("ann"), &json!(["event:e"])));
        assert!(welcome["expires_at"].is_string(), "{welcome}");
        client.close().await;
    }
    assert_eq!(server.metric("processor_auth_accepted_total", "").await, 2.0);
}

#[actix::test]
async fn a_token_comes_as_a_subprotocol_and_is_not_repeated() {
    let folder = folder();
    let server = Server::start(folder.path(), &JWT);
    let token = token("ann", event());
    let mut raw = Raw(tokio::net::TcpStream::connect(server.live).await.unwrap());
    let head = raw.shake_hands(&upgrade_with(&format!("Sec-WebSocket-Protocol: bearer, {token}"))).await;
    assert!(head.contains("\r\nSec-WebSocket-Protocol: bearer\r\n") && !head.contains(&token), "{head}");
    let protocols = format!("bearer, {token}");
    let mut client = Client::with_headers(server.live, &[("Sec-WebSocket-Protocol", &protocols)]).await;
    reads_its_event_only(&mut client).await;
}

#[actix::test]
async fn a_token_comes_in_a_cookie_of_pages_that_may() {
    let folder = folder();
    let settings = jwt_and(&[("AUTH_COOKIE", "session"), ("LIVE_WS_ALLOWED_ORIGINS", "https://example.org")]);
    let server = Server::start(folder.path(), &settings);
    let cookie = format!("theme=dark; session={}", token("ann", event()));
    let headers = [("Cookie", cookie.as_str()), ("Origin", "https://example.org")];
    let mut client = Client::with_headers(server.live, &headers).await;
    reads_its_event_only(&mut client).await;
    // A page from elsewhere, which its visitor's browser sends the cookie for as well.
    let elsewhere = format!("Cookie: {cookie}\r\nOrigin: https://evil.example");
    let mut raw = Raw(tokio::net::TcpStream::connect(server.live).await.unwrap());
    raw.write(upgrade_with(&elsewhere).as_bytes()).await;
    assert!(raw.head().await.starts_with("HTTP/1.1 403 "));
}

#[actix::test]
async fn a_token_comes_in_the_first_message() {
    let folder = folder();
    let server = Server::start(folder.path(), &JWT);
    let mut client = server.client().await;
    let answer = client.ask(json!({ "type": "auth", "token": token("ann", event()), "id": "1" })).await;
    assert_eq!((&answer["type"], &answer["id"]), (&json!("authenticated"), &json!("1")));
    assert_eq!((&answer["subject"], &answer["may_read"]), (&json!("ann"), &json!(["event:e"])));
    reads_its_event_only(&mut client).await;
}

#[actix::test]
async fn never_from_the_query() {
    let folder = folder();
    let server = Server::start(folder.path(), &JWT);
    let good = token("ann", event());
    let mut raw = Raw(tokio::net::TcpStream::connect(server.live).await.unwrap());
    let target = format!("GET /?token={good}&access_token={good} HTTP/1.1");
    raw.shake_hands(&upgrade_with("X: y").replace("GET / HTTP/1.1", &target)).await;
    raw.frame(0x81, br#"{"type":"hello"}"#).await;
    assert_eq!(raw.close_code().await, 4401);
}

/// A connection with this token gets 101 and then is closed.
async fn refused(server: &Server, token: &str) -> (u16, String) {
    Client::bearer(server.live, token).await.closed().await
}

#[actix::test]
async fn each_reason_to_refuse_a_token_closes_with_4401_and_is_counted() {
    let folder = folder();
    let settings = jwt_and(&[("AUTH_AUDIENCE", "us"), ("AUTH_ISSUER", "idp"), ("AUTH_MAX_TOKEN_DAYS", "1")]);
    let server = Server::start(folder.path(), &settings);
    let with = |changes: Value| {
        let mut claims = json!({ "sub": "ann", "aud": "us", "iss": "idp", "exp": from_now(60.0) });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        signed(&claims)
    };
    let good = with(json!({}));
    let mut client = Client::bearer(server.live, &good).await;
    assert_eq!(client.ask(json!({ "type": "hello" })).await["subject"], "ann");
    let not_accepted = "unauthorized: the token is not accepted";
    for (bad, reason, text) in [
        ("nonsense".to_owned(), "malformed", not_accepted),
        (format!("{good}A"), "signature", not_accepted),
        (good.replacen("ey", "eY", 1), "malformed", not_accepted),
        (with(json!({ "exp": from_now(-10.0) })), "expired", "unauthorized: the token has expired"),
        (with(json!({ "nbf": from_now(60.0) })), "not_yet", not_accepted),
        (with(json!({ "exp": from_now(2.0 * 86400.0) })), "too_long_lived", not_accepted),
        (with(json!({ "aud": "them" })), "audience", not_accepted),
        (with(json!({ "iss": "me" })), "issuer", not_accepted),
        (with(json!({ "topics": ["nonsense"] })), "claims", not_accepted),
        (with(json!({ "exp": null })), "claims", not_accepted),
        ("eyJhbGciOiJub25lIn0.e30.".to_owned(), "algorithm", not_accepted),
    ] {
        let label = format!("reason=\"{reason}\"");
        let before = server.metric("processor_auth_refused_total", &label).await;
        assert_eq!(refused(&server, &bad).await, (4401, text.to_owned()), "{reason}");
        assert_eq!(server.metric("processor_auth_refused_total", &label).await, before + 1.0, "{reason}");
    }
    // Whoever was there is still.
    assert_eq!(client.ask(json!({ "type": "hello" })).await["subject"], "ann");
}

#[actix::test]
async fn without_a_token_one_message_is_read_and_nothing_is_done() {
    let folder = folder();
    let server = Server::start(folder.path(), &jwt_and(&[("AUTH_DEADLINE_MS", "300")]));
    let missing = (4401, "unauthorized: no token came".to_owned());
    for message in
        [json!({ "type": "subscribe", "topic": "event:e" }), json!({ "type": "hello" }), json!("x")]
    {
        let mut client = server.client().await;
        client.text(message.to_string()).await;
        assert_eq!(client.closed().await, missing);
    }
    // Who says nothing.
    assert_eq!(soon("the deadline", server.client().await.closed()).await, missing);
    eventually("four closes to be counted", async || {
        server.metric("processor_live_closes_total", "reason=\"token_missing\"").await == 4.0
    })
    .await;
}

#[actix::test]
async fn credentials_that_are_for_somebody_else_are_not_taken_for_a_token() {
    let folder = folder();
    let server = Server::start(folder.path(), &JWT);
    // Such as a proxy.
    let mut client = Client::with_headers(server.live, &[("Authorization", "Basic YTpi")]).await;
    let answer = client.ask(json!({ "type": "auth", "token": token("ann", event()) })).await;
    assert_eq!(answer["type"], "authenticated");
}

#[actix::test]
async fn those_who_have_said_nothing_yet_leave_places_for_those_who_have() {
    let folder = folder();
    let settings = jwt_and(&[("LIVE_WS_MAX_CONNECTIONS", "8"), ("AUTH_DEADLINE_MS", "60000")]);
    let server = Server::start(folder.path(), &settings);
    let _silent = [server.client().await, server.client().await];
    let mut raw = Raw(tokio::net::TcpStream::connect(server.live).await.unwrap());
    raw.write(upgrade_with("X: y").as_bytes()).await;
    assert!(raw.head().await.starts_with("HTTP/1.1 503 "));
    assert_eq!(server.metric("processor_live_refused_total", "reason=\"unknown_full\"").await, 1.0);
    Client::bearer(server.live, &token("ann", event())).await.subscribe("event:e").await;
}

#[actix::test]
async fn those_whose_tokens_are_made_up_leave_places_for_those_whose_are_not() {
    let folder = folder();
    let settings = jwt_and(&[("LIVE_WS_MAX_CONNECTIONS", "8"), ("LIVE_WS_CLOSE_TIMEOUT_MS", "30000")]);
    let server = Server::start(folder.path(), &settings);
    let come = async || {
        let mut raw = Raw(tokio::net::TcpStream::connect(server.live).await.unwrap());
        raw.write(upgrade_with("Authorization: Bearer made.up.one").as_bytes()).await;
        let head = raw.head().await;
        (raw, head)
    };
    // They do not answer the close frame.
    let mut stay = Vec::new();
    for _ in 0..2 {
        let (mut raw, head) = come().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert_eq!(raw.close_code().await, 4401);
        stay.push(raw);
    }
    let (_, head) = come().await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    Client::bearer(server.live, &token("ann", event())).await.subscribe("event:e").await;
    // One that goes gives its place back.
    drop(stay.pop());
    eventually("a place", async || come().await.1.starts_with("HTTP/1.1 101 ")).await;
}

#[actix::test]
async fn before_it_is_known_who_it_is_a_client_sends_no_more_than_a_token() {
    let folder = folder();
    let server = Server::start(folder.path(), &JWT);
    let mut client = server.client().await;
    client.text("x".repeat(20_000)).await;
    assert_eq!(client.closed().await.0, 1009);
    let mut known = Client::bearer(server.live, &token("ann", event())).await;
    known.text("x".repeat(20_000)).await;
    assert_eq!(known.json().await["code"], "protocol-violation");
}

#[actix::test]
async fn a_wrong_token_in_a_message_closes_at_once() {
    let folder = folder();
    let server = Server::start(folder.path(), &JWT);
    let mut client = server.client().await;
    client.text(json!({ "type": "auth", "token": "nonsense" }).to_string()).await;
    assert_eq!(client.closed().await.0, 4401);
}

#[actix::test]
async fn where_nobody_is_asked_tokens_change_nothing() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let mut client = Client::bearer(server.live, "nonsense").await;
    client.subscribe("event:e").await;
    let answer = client.ask(json!({ "type": "auth", "token": "nonsense", "id": "1" })).await;
    assert_eq!(answer, json!({ "type": "authenticated", "id": "1" }));
    let protocols = [("Sec-WebSocket-Protocol", "bearer, nonsense")];
    Client::with_headers(server.live, &protocols).await.subscribe("device:1").await;
    server.logged("AUTH is none: everyone who reaches LIVE_WS_HOST 0.0.0.0 may read all positions");
}

#[actix::test]
async fn a_subject_has_so_many_connections() {
    let folder = folder();
    let server = Server::start(folder.path(), &jwt_and(&[("LIVE_WS_MAX_CONNECTIONS_PER_SUBJECT", "2")]));
    let ann = token("ann", event());
    let first = Client::bearer(server.live, &ann).await;
    let mut second = server.client().await;
    second.ask(json!({ "type": "auth", "token": ann })).await;
    // Renewing takes no place.
    assert_eq!(second.ask(json!({ "type": "auth", "token": ann })).await["type"], "authenticated");
    let mut raw = Raw(tokio::net::TcpStream::connect(server.live).await.unwrap());
    raw.write(upgrade_with(&format!("Authorization: Bearer {ann}")).as_bytes()).await;
    assert!(raw.head().await.starts_with("HTTP/1.1 429 "));
    let mut by_message = server.client().await;
    by_message.text(json!({ "type": "auth", "token": ann }).to_string()).await;
    assert_eq!(by_message.closed().await.0, 1013);
    Client::bearer(server.live, &token("bob", event())).await;
    first.close().await;
    eventually("a free place", async || {
        let mut client = server.client().await;
        client.text(json!({ "type": "auth", "token": ann }).to_string()).await;
        matches!(client.next().await, Some(tokio_tungstenite::tungstenite::Message::Text(_)))
    })
    .await;
}
