//! `AUTH=http`: a URL is asked who someone is.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{
    Answer, Answers, Client, Raw, Server, eventually, folder, from_now, position, upgrade_with,
};

fn claims(subject: &str, headers: &str) -> Answer {
    let claims = json!({ "sub": subject, "topics": ["event:e"], "devices": ["truck"] });
    Answer::Is(200, headers.to_owned(), claims.to_string())
}

/// The header of a request that was forwarded.
fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(one, _)| one.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn start(folder: &std::path::Path, answers: &Answers, others: &[(&str, &str)]) -> Server {
    let url = format!("http://{}/who", answers.address);
    let mut settings = vec![("AUTH", "http"), ("AUTH_HTTP_URL", url.as_str()), ("AUTH_TIMEOUT_MS", "500")];
    settings.extend(others);
    Server::start(folder, &settings)
}

async fn status(server: &Server, header: &str) -> String {
    let mut raw = Raw(TcpStream::connect(server.live).await.unwrap());
    raw.write(upgrade_with(header).as_bytes()).await;
    raw.head().await.split(' ').nth(1).unwrap().to_owned()
}

#[actix::test]
async fn what_the_opening_shows_is_forwarded_and_the_answer_is_who_it_is() {
    let folder = folder();
    let answers = Answers::start(|_| claims("ann", "")).await;
    let others = [("AUTH_COOKIE", "session"), ("LIVE_WS_ALLOWED_ORIGINS", "https://example.org")];
    let server = start(folder.path(), &answers, &others);
    let mut client = Client::with_headers(
        server.live,
        &[
            ("Authorization", "Basic YTpi"),
            ("Cookie", "a=1; session=s3; b=2"),
            ("Origin", "https://example.org"),
        ],
    )
    .await;
    client.subscribe("event:e").await;
    assert_eq!(client.ask(json!({ "type": "subscribe", "topic": "event:x" })).await["code"], "forbidden");
    let head = answers.heads().pop().unwrap();
    assert!(head.starts_with("GET /who HTTP/1.1\r\n"), "{head}");
    assert_eq!(header(&head, "authorization"), Some("Basic YTpi"));
    // Of cookies the one that is named; of the path no query.
    assert_eq!(
        (header(&head, "cookie"), header(&head, "x-original-uri")),
        (Some("session=s3"), Some("/any/path"))
    );
    let mut by_message = server.client().await;
    let answer = by_message.ask(json!({ "type": "auth", "token": "t0k" })).await;
    assert_eq!((&answer["type"], &answer["subject"]), (&json!("authenticated"), &json!("ann")));
    assert_eq!(header(&answers.heads().pop().unwrap(), "authorization"), Some("Bearer t0k"));
    let post = async |device: &str| {
        server.post_with(&[("Authorization", "Bearer p")], position(device, 1, 1.0).to_string()).await.0
    };
    assert_eq!((post("truck").await, post("car").await), (200, 403));
}

#[actix::test]
async fn what_browsers_send_by_themselves_is_nothing_where_any_page_may_connect() {
    let folder = folder();
    let answers = Answers::start(|_| claims("ann", "")).await;
    let server = start(folder.path(), &answers, &[("AUTH_DEADLINE_MS", "100")]);
    let page = [("Authorization", "Basic YTpi"), ("Origin", "https://evil.example")];
    assert_eq!(Client::with_headers(server.live, &page).await.closed().await.0, 4401);
    assert!(answers.heads().is_empty());
    // Without a page, or as no page can, it is.
    Client::with_headers(server.live, &page[..1]).await.subscribe("event:e").await;
    let script = [("Authorization", "Bearer t"), page[1]];
    Client::with_headers(server.live, &script).await.subscribe("event:e").await;
}

#[actix::test]
async fn an_answer_holds_for_as_long_as_it_says() {
    let folder = folder();
    let answers = Answers::start(|_| claims("ann", "Cache-Control: max-age=60\r\n")).await;
    let server = start(folder.path(), &answers, &[]);
    for _ in 0..5 {
        Client::bearer(server.live, "one").await.subscribe("event:e").await;
    }
    assert_eq!(answers.heads().len(), 1);
    Client::bearer(server.live, "two").await.subscribe("event:e").await;
    assert_eq!(answers.heads().len(), 2);
    answers.change(|_| Answer::Is(401, "Cache-Control: max-age=60\r\n".into(), String::new()));
    for _ in 0..3 {
        assert_eq!(Client::bearer(server.live, "three").await.closed().await.0, 4401);
    }
    assert_eq!(answers.heads().len(), 3);
    // What was answered before somebody was revoked holds no more.
    let mut client = Client::bearer(server.live, "one").await;
    client.subscribe("event:e").await;
    answers.change(|_| Answer::Is(403, String::new(), String::new()));
    server.revoke(&json!({ "subject": "ann" })).await;
    assert_eq!(client.closed().await.0, 4403);
    assert_eq!(Client::bearer(server.live, "one").await.closed().await.0, 4403);
    // Whoever is asked may let it in again, as soon as clocks that are apart cannot be the reason.
    answers.change(|_| claims("ann", ""));
    eventually("it is let in again", async || {
        let mut client = Client::bearer(server.live, "one").await;
        client.text(json!({ "type": "hello" }).to_string()).await;
        matches!(client.next().await, Some(Message::Text(_)))
    })
    .await;
}

#[actix::test]
async fn an_answer_may_end_the_connection_at_a_time() {
    let folder = folder();
    let answers = Answers::start(|_| {
        let claims = json!({ "sub": "ann", "topics": ["*"], "exp": from_now(0.7) });
        Answer::Is(200, String::new(), claims.to_string())
    })
    .await;
    let server = start(folder.path(), &answers, &[]);
    assert_eq!(Client::bearer(server.live, "t").await.closed().await.0, 4401);
}

#[actix::test]
async fn a_url_that_is_slow_dead_huge_or_garbage_keeps_nobody_waiting_and_nobody_out_who_is_in() {
    let folder = folder();
    let answers = Answers::start(|_| claims("ann", "")).await;
    let server = start(folder.path(), &answers, &[]);
    let mut client = Client::bearer(server.live, "t").await;
    client.subscribe("event:e").await;
    let bytes = async || server.metric("process_resident_memory_bytes", "").await;
    let before = bytes().await;
    let garbage = |text: &str| Answer::Is(200, String::new(), text.to_owned());
    for answer in [
        garbage("<html>"),
        garbage("[]"),
        garbage(r#"{"sub":"a","topics":7}"#),
        garbage(&format!("{{\"sub\":\"{}\"}}", "x".repeat(100_000))),
        Answer::Is(500, String::new(), String::new()),
        Answer::Is(302, "Location: http://127.0.0.1:1/\r\n".into(), String::new()),
        Answer::Hangs,
        Answer::Endless,
        Answer::Silence,
    ] {
        answers.change(move |_| answer.clone());
        let since = Instant::now();
        // Twice as many as may be under way at a time.
        let all = join_all((0..64).map(|number| {
            let server = &server;
            async move { status(server, &format!("Authorization: Bearer {number}")).await }
        }))
        .await;
        assert!(all.iter().all(|status| status == "503"), "{all:?}");
        assert!(since.elapsed().as_secs() < 20, "{:?}", since.elapsed());
        // The one that it has still holds.
        let answer = client.ask(json!({ "type": "auth", "token": "new", "id": "r" })).await;
        assert_eq!((&answer["code"], &answer["id"]), (&json!("unavailable"), &json!("r")));
        let mut by_message = server.client().await;
        by_message.text(json!({ "type": "auth", "token": "new" }).to_string()).await;
        assert_eq!(by_message.closed().await.0, 1013);
    }
    let grown = bytes().await - before;
    assert!(grown < 64e6, "{grown}");
    let (code, problem) =
        server.post_with(&[("Authorization", "Bearer t")], position("truck", 1, 1.0).to_string()).await;
    assert_eq!((code, &problem["error"]), (503, &json!("auth-unavailable")));
    answers.change(|_| claims("ann", ""));
    assert_eq!(client.ask(json!({ "type": "auth", "token": "new" })).await["type"], "authenticated");
}

#[actix::test]
async fn one_address_with_very_many_keeps_no_other_waiting() {
    const CROWD: usize = 300;
    let (folder, permits) = (folder(), Arc::new(Semaphore::new(0)));
    let for_answers = permits.clone();
    let answers = Answers::start(move |_| Answer::Held(401, for_answers.clone())).await;
    let others = [
        ("LIVE_WS_TRUSTED_PROXIES", "127.0.0.1"),
        ("AUTH_TIMEOUT_MS", "50000"),
        ("LIVE_WS_HANDSHAKE_TIMEOUT_MS", "60000"),
    ];
    let server = start(folder.path(), &answers, &others);
    let come = async |address: &str, token: usize| {
        let mut raw = Raw(TcpStream::connect(server.live).await.unwrap());
        let headers = format!("X-Forwarded-For: {address}\r\nAuthorization: Bearer {token}");
        raw.write(upgrade_with(&headers).as_bytes()).await;
        raw
    };
    let _crowd = join_all((0..CROWD).map(|token| come("192.0.2.1", token))).await;
    eventually("as many as may to be asked about", async || answers.heads().len() == 32).await;
    let _last = come("192.0.2.2", CROWD).await;
    // One is answered, and the next is asked about. As they came, it would be behind the crowd.
    let name = format!("Bearer {CROWD}");
    for asked in 33.. {
        assert!(asked < CROWD / 2, "its turn does not come");
        permits.add_permits(1);
        eventually("the next", async || answers.heads().len() == asked).await;
        if answers.heads().iter().any(|head| header(head, "authorization") == Some(&name)) {
            break;
        }
    }
}

#[actix::test]
async fn those_who_post_keep_no_renewal_waiting() {
    let folder = folder();
    let answers = Answers::start(|_| claims("ann", "")).await;
    let server = start(folder.path(), &answers, &[("AUTH_TIMEOUT_MS", "9000")]);
    let mut client = Client::bearer(server.live, "t").await;
    client.subscribe("event:e").await;
    answers.change(|head| match header(head, "authorization") {
        Some("Bearer newer") => claims("ann", ""),
        _ => Answer::Silence,
    });
    // As many as are asked about at a time, each of whom may wait for nine seconds.
    let posts = join_all((0..40).map(|number| async move {
        let mut raw = Raw(TcpStream::connect(server.ops).await.unwrap());
        let post = format!(
            "POST /positions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {number}\r\nContent-Length: 2\r\n\r\n[]"
        );
        raw.write(post.as_bytes()).await;
        raw
    }))
    .await;
    eventually("as many as may to be asked about", async || answers.heads().len() == 1 + 32).await;
    let answer = client.ask(json!({ "type": "auth", "token": "newer" })).await;
    assert_eq!(answer["type"], "authenticated");
    drop(posts);
}
