//! What is secret is in no line, no page and no error; what makes no sense is refused at the start.

use std::process::Output;

use serde_json::json;

use crate::harness::{Answer, Answers, Client, Server, command, folder, jwt_and, position, token};

#[actix::test]
async fn no_token_cookie_or_secret_is_shown_anywhere() {
    let folder = folder();
    let settings = jwt_and(&[
        ("RUST_LOG", "trace"),
        ("AUTH_COOKIE", "session"),
        ("LIVE_WS_ALLOWED_ORIGINS", "https://example.org"),
        ("OPS_REVOKE_TOKEN", "s3cret-revoke"),
        ("OPS_CONNECTIONS_TOKEN", ""),
    ]);
    let server = Server::start(folder.path(), &settings);
    let tokens =
        ["a", "b", "c", "d"].map(|subject| token(subject, json!({ "topics": ["*"], "devices": ["*"] })));
    let mut header = Client::bearer(server.live, &tokens[0]).await;
    header.subscribe("device:1").await;
    let _cookie = Client::with_headers(server.live, &[("Cookie", &format!("session={}", tokens[1]))]).await;
    let protocols = format!("bearer, {}", tokens[2]);
    let _protocol = Client::with_headers(server.live, &[("Sec-WebSocket-Protocol", &protocols)]).await;
    let mut message = server.client().await;
    message.ask(json!({ "type": "auth", "token": tokens[3] })).await;
    let wrong = format!("{}wrong", tokens[0]);
    Client::bearer(server.live, &wrong).await.closed().await;
    let mut answers = vec![
        server
            .post_with(&[("Authorization", &format!("Bearer {wrong}"))], position("1", 1, 1.0).to_string())
            .await
            .1
            .to_string(),
        server
            .post_with(
                &[("Authorization", &format!("Bearer {}", tokens[0]))],
                position("1", 1, 1.0).to_string(),
            )
            .await
            .1
            .to_string(),
    ];
    answers.push(server.get("/metrics").await.1);
    answers.push(server.get("/connections").await.1);
    answers.extend(server.log());
    // The signature is what makes it a token.
    let mut secrets: Vec<_> =
        tokens.iter().map(|token| token.rsplit('.').next().unwrap().to_owned()).collect();
    secrets.extend(["s3cret-revoke".to_owned(), crate::harness::JWT[1].1.to_owned()]);
    for secret in &secrets {
        let shown = answers.iter().find(|text| text.contains(secret));
        assert_eq!(shown, None, "{secret}");
    }
}

#[actix::test]
async fn nor_is_what_is_forwarded_to_a_url() {
    let folder = folder();
    let claims = json!({ "sub": "ann", "topics": ["*"] }).to_string();
    let answers = Answers::start(move |_| Answer::Is(200, String::new(), claims.clone())).await;
    let url = format!("http://{}/", answers.address);
    let settings = [
        ("RUST_LOG", "trace"),
        ("AUTH", "http"),
        ("AUTH_HTTP_URL", url.as_str()),
        ("AUTH_COOKIE", "session"),
        ("LIVE_WS_ALLOWED_ORIGINS", "https://example.org"),
    ];
    let server = Server::start(folder.path(), &settings);
    let headers = [("Authorization", "Bearer s3cret-a"), ("Cookie", "session=s3cret-b")];
    Client::with_headers(server.live, &headers).await.subscribe("device:1").await;
    let mut client = server.client().await;
    client.ask(json!({ "type": "auth", "token": "s3cret-c" })).await;
    let head = answers.heads().concat();
    assert!(["s3cret-a", "s3cret-b", "s3cret-c"].iter().all(|secret| head.contains(secret)), "{head}");
    let log = server.log();
    assert_eq!(log.iter().find(|line| line.contains("s3cret")), None);
}

fn check(settings: &[(&str, &str)]) -> Output {
    let folder = folder();
    std::fs::write(folder.path().join("secret"), "0123456789abcdef0123456789abcdef\nmore\n").unwrap();
    std::fs::write(folder.path().join("empty"), "\n").unwrap();
    command(folder.path(), settings).arg("check").output().unwrap()
}

#[test]
fn a_secret_may_be_in_a_file_and_is_only_said_to_be_set() {
    let settings = [("AUTH", "jwt"), ("AUTH_JWT_SECRET_FILE", "secret"), ("OPS_INGEST_TOKEN_FILE", "secret")];
    let output = check(&settings);
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(page.contains("\nAUTH=jwt\n") && page.contains("\nAUTH_JWT_SECRET_FILE=secret\n"), "{page}");
    assert!(page.contains("\nAUTH_JWT_ALGORITHM=HS256\n") && !page.contains("0123456789abcdef"), "{page}");
}

#[test]
fn what_makes_no_sense_is_refused_and_says_what_is_allowed() {
    let secret = ("AUTH_JWT_SECRET", crate::harness::JWT[1].1);
    let cases: &[(&[(&str, &str)], &str)] = &[
        (
            &[secret],
            "setting AUTH: \"none\" is not allowed: only without AUTH_JWT_SECRET (or AUTH_JWT_SECRET_FILE), which is set",
        ),
        (&[("AUTH", "yes")], "none, jwt or http"),
        (
            &[("AUTH", "jwt")],
            "one of AUTH_JWT_SECRET (or AUTH_JWT_SECRET_FILE), AUTH_JWT_PUBLIC_KEY_FILE and AUTH_JWKS_URL",
        ),
        (&[("AUTH", "jwt"), secret, ("AUTH_JWKS_URL", "http://127.0.0.1/k")], "and not several"),
        (
            &[("AUTH", "jwt"), ("AUTH_JWT_SECRET", "short")],
            "at least 32 bytes for HS256 (RFC 7518 section 3.2)",
        ),
        (
            &[("AUTH", "jwt"), secret, ("AUTH_JWT_ALGORITHM", "RS256")],
            "HS256, HS384 or HS512, as AUTH_JWT_SECRET is set",
        ),
        (
            &[("AUTH", "jwt"), ("AUTH_JWKS_URL", "http://127.0.0.1/k"), ("AUTH_JWT_ALGORITHM", "HS256")],
            "one of those with a public key",
        ),
        (&[("AUTH", "jwt"), secret, ("AUTH_JWT_SECRET_FILE", "secret")], "not beside AUTH_JWT_SECRET"),
        (
            &[("AUTH", "jwt"), ("AUTH_JWT_SECRET_FILE", "missing")],
            "setting AUTH_JWT_SECRET_FILE: \"missing\" is not allowed: a file with the secret in its first line: No such file",
        ),
        (&[("AUTH", "jwt"), ("AUTH_JWT_SECRET_FILE", "empty")], "its first line is empty"),
        (
            &[("AUTH", "jwt"), ("AUTH_JWT_PUBLIC_KEY_FILE", "secret")],
            "secret holds no public key for RS256 in PEM format",
        ),
        (
            &[("AUTH", "jwt"), ("AUTH_JWT_PUBLIC_KEY_FILE", "missing")],
            "setting AUTH_JWT_PUBLIC_KEY_FILE: missing cannot be read",
        ),
        (&[("AUTH", "http")], "AUTH_HTTP_URL must be set"),
        (
            &[("AUTH", "http"), ("AUTH_HTTP_URL", "http://127.0.0.1/"), secret],
            "only without AUTH_JWT_SECRET (or AUTH_JWT_SECRET_FILE), which is set and is for AUTH=jwt",
        ),
        (
            &[("AUTH", "jwt"), secret, ("AUTH_COOKIE", "session")],
            "only together with LIVE_WS_ALLOWED_ORIGINS",
        ),
        (&[("AUTH", "jwt"), secret, ("AUTH_COOKIE", "a b")], "the name of a cookie"),
        #[cfg(not(feature = "tls"))]
        (&[("AUTH", "http"), ("AUTH_HTTP_URL", "https://127.0.0.1/")], "built without the feature tls"),
    ];
    for (settings, said) in cases {
        let output = check(settings);
        let log = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && log.contains(said), "{settings:?}: {said}\n{log}");
        assert!(!log.contains(secret.1) && !log.contains("short"), "{log}");
    }
}

#[test]
fn a_token_is_made_only_if_the_server_would_take_it() {
    let folder = folder();
    let run = |settings: &[(&str, &str)], arguments: &[&str]| {
        let output = command(folder.path(), settings).arg("token").args(arguments).output().unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let jwt = crate::harness::JWT;
    let (done, token, _) =
        run(&jwt, &["--sub", "ann", "--topics", "event:*", "area:1,2,3,4", "--devices", "a*"]);
    assert!(done && token.trim().split('.').count() == 3, "{token}");
    for (arguments, said) in [
        (&["--sub", "ann", "--topics", "nonsense"][..], "claim topics: no such kind of topic"),
        (&["--sub", ""], "claim sub: "),
        (&["--sub", "ann", "--ttl", "400d"], "it ends later than AUTH_MAX_TOKEN_DAYS"),
        (&["--sub", "ann", "--ttl", "soon"], "a whole number with s, m, h or d behind it"),
        (&["--ttl", "1h"], "--sub"),
    ] {
        let (done, made, log) = run(&jwt, arguments);
        assert!(!done && made.is_empty() && log.contains(said), "{arguments:?}: {log}");
    }
    let (done, _, log) = run(&[], &["--sub", "ann"]);
    assert!(!done && log.contains("AUTH is not jwt"), "{log}");
    let (done, seen, log) = run(&jwt, &["--inspect", "nonsense"]);
    assert!(!done && seen.contains("refused (malformed)") && log.contains("would be refused"), "{seen}{log}");
}
