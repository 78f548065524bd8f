//! Tokens that are signed with a private key: public keys in files, sets of keys at a URL.

use std::cell::{Cell, RefCell};
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{
    Answer, Answers, Client, Raw, Server, command, eventually, folder, from_now, project, signed_as,
    upgrade_with,
};

/// A key of each kind, with a token.
fn keys() -> Vec<Value> {
    let claims = json!({ "sub": "ann", "topics": ["event:e"], "exp": from_now(600.0) }).to_string();
    let output = Command::new("node").arg(project().join("tests/clients/keys.js")).arg(claims).output();
    let output = output.expect("this test needs node");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text<'a>(key: &'a Value, name: &str) -> &'a str {
    key[name].as_str().unwrap()
}

/// The status of a handshake with this token.
async fn status(server: &Server, token: &str) -> String {
    let mut raw = Raw(tokio::net::TcpStream::connect(server.live).await.unwrap());
    raw.write(upgrade_with(&format!("Authorization: Bearer {token}")).as_bytes()).await;
    raw.head().await.split(' ').nth(1).unwrap().to_owned()
}

#[actix::test]
async fn a_public_key_in_a_file_checks_what_its_private_key_signed() {
    let keys = keys();
    for (number, key) in keys.iter().enumerate() {
        let folder = folder();
        let file = |name: &str, text: &str| {
            let file = folder.path().join(name);
            std::fs::write(&file, text).unwrap();
            file.to_str().unwrap().to_owned()
        };
        let (public, private) =
            (file("public.pem", text(key, "public_pem")), file("private.pem", text(key, "private_pem")));
        let alg = text(key, "alg");
        let settings =
            [("AUTH", "jwt"), ("AUTH_JWT_PUBLIC_KEY_FILE", public.as_str()), ("AUTH_JWT_ALGORITHM", alg)];
        let server = Server::start(folder.path(), &settings);
        Client::bearer(server.live, text(key, "token")).await.subscribe("event:e").await;
        // Another key's, of another kind or of the same.
        let other = &keys[(number + 1) % keys.len()];
        assert_eq!(Client::bearer(server.live, text(other, "token")).await.closed().await.0, 4401);
        // What `processor token` makes with the private key, and what it says of it.
        let mut make = command(folder.path(), &settings);
        let arguments = ["token", "--sub", "bob", "--topics", "event:e", "--ttl", "1m", "--key", &private];
        let made = make.args(arguments).output().unwrap();
        let token = String::from_utf8(made.stdout).unwrap();
        Client::bearer(server.live, token.trim()).await.subscribe("event:e").await;
        let mut inspect = command(folder.path(), &settings);
        let seen = inspect.args(["token", "--inspect", token.trim()]).output().unwrap();
        let seen_text = String::from_utf8(seen.stdout).unwrap();
        assert!(seen.status.success() && seen_text.ends_with("accepted\n"), "{alg}: {seen_text}");
        // The wrong file of the two.
        let settings =
            [("AUTH", "jwt"), ("AUTH_JWT_PUBLIC_KEY_FILE", private.as_str()), ("AUTH_JWT_ALGORITHM", alg)];
        let checked = command(folder.path(), &settings).arg("check").output().unwrap();
        let log = String::from_utf8(checked.stderr).unwrap();
        assert!(!checked.status.success() && log.contains("holds a private key"), "{log}");
    }
}

#[actix::test]
async fn a_public_key_taken_for_a_secret_signs_nothing() {
    let keys = keys();
    let folder = folder();
    let public = folder.path().join("public.pem");
    std::fs::write(&public, text(&keys[0], "public_pem")).unwrap();
    let settings = [("AUTH", "jwt"), ("AUTH_JWT_PUBLIC_KEY_FILE", public.to_str().unwrap())];
    let server = Server::start(folder.path(), &settings);
    let claims = json!({ "sub": "root", "topics": ["*"], "exp": from_now(60.0) });
    for alg in ["HS256", "RS256"] {
        let token = signed_as(alg, &claims, text(&keys[0], "public_pem"));
        let closed = Client::bearer(server.live, &token).await.closed().await;
        assert_eq!(closed.0, 4401, "{alg}");
    }
}

fn set(keys: &[&Value]) -> Answer {
    let keys: Vec<_> = keys.iter().map(|key| &key["jwk"]).collect();
    Answer::Is(200, String::new(), json!({ "keys": keys }).to_string())
}

#[actix::test]
async fn a_set_of_keys_is_read_again_for_a_key_that_is_new_but_not_for_each_that_is_not_there() {
    let (old, new, stranger) = (keys(), keys(), keys());
    let answers = Answers::start({
        let old = old[0].clone();
        move |_| set(&[&old])
    })
    .await;
    let folder = folder();
    let url = format!("http://{}/jwks.json", answers.address);
    let settings = [("AUTH", "jwt"), ("AUTH_JWKS_URL", url.as_str())];
    let server = Server::start(folder.path(), &settings);
    let mut client = Client::bearer(server.live, text(&old[0], "token")).await;
    client.subscribe("event:e").await;
    let read = answers.heads().len();
    answers.change({
        let (old, new) = (old[0].clone(), new[0].clone());
        move |_| set(&[&old, &new])
    });
    // Unknown keys have it read once in ten seconds, whoever names them.
    for _ in 0..20 {
        assert_eq!(Client::bearer(server.live, text(&stranger[0], "token")).await.closed().await.0, 4401);
    }
    assert!(answers.heads().len() <= read + 1, "{}", answers.heads().len());
    eventually("the new key", async || {
        let mut client = Client::bearer(server.live, text(&new[0], "token")).await;
        client.text(json!({ "type": "hello" }).to_string()).await;
        matches!(client.next().await, Some(tokio_tungstenite::tungstenite::Message::Text(_)))
    })
    .await;
    // The old one is taken away: who is connected stays.
    answers.change({
        let new = new[0].clone();
        move |_| set(&[&new])
    });
    assert_eq!(client.ask(json!({ "type": "hello" })).await["subject"], "ann");
}

#[actix::test]
async fn keys_that_are_rotated_under_load_keep_nobody_out() {
    let [old, new] = [keys().swap_remove(0), keys().swap_remove(0)];
    let answers = Answers::start({
        let old = old.clone();
        move |_| set(&[&old])
    })
    .await;
    let folder = folder();
    let url = format!("http://{}/jwks.json", answers.address);
    let settings =
        [("AUTH", "jwt"), ("AUTH_JWKS_URL", url.as_str()), ("LIVE_WS_MAX_CONNECTIONS_PER_SUBJECT", "100000")];
    let server = Server::start(folder.path(), &settings);
    // It may be ready before it has read the set, and lets nobody in until then.
    Client::bearer(server.live, text(&old, "token")).await.subscribe("event:e").await;
    let began = Instant::now();
    let (live, is_over) = (server.live, Rc::new(Cell::new(false)));
    // Eight clients come and go all the time, each with the token that is signed now.
    let token = Rc::new(RefCell::new(text(&old, "token").to_owned()));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (token, is_over) = (token.clone(), is_over.clone());
            actix::spawn(async move {
                let mut came = 0;
                while !is_over.get() {
                    let token = token.borrow().clone();
                    let mut client = Client::bearer(live, &token).await;
                    client.subscribe("event:e").await;
                    client.close().await;
                    came += 1;
                }
                came
            })
        })
        .collect();
    // The server reads the set at most every ten seconds.
    tokio::time::sleep((began + Duration::from_millis(10_500)).saturating_duration_since(Instant::now()))
        .await;
    let read = answers.heads().len();
    // First the key is there, then tokens are signed with it.
    answers.change({
        let (old, new) = (old.clone(), new.clone());
        move |_| set(&[&old, &new])
    });
    *token.borrow_mut() = text(&new, "token").to_owned();
    // Long enough for all of them to have come with it.
    let accepted = async || server.metric("processor_auth_accepted_total", "").await;
    let before = accepted().await;
    eventually("a hundred more", async || accepted().await > before + 100.0).await;
    is_over.set(true);
    for client in clients {
        assert!(client.await.unwrap() > 10);
    }
    // All who came at once waited for one reading.
    assert_eq!(answers.heads().len(), read + 1);
    assert_eq!(server.metric("processor_auth_refused_total", "").await, 0.0);
}

#[actix::test]
async fn a_url_that_is_slow_dead_huge_or_garbage_lets_nobody_in_and_nobody_out() {
    let key = keys().swap_remove(0);
    let answers = Answers::start({
        let key = key.clone();
        move |_| set(&[&key])
    })
    .await;
    let folder = folder();
    let url = format!("http://{}/jwks.json", answers.address);
    // In the usual time: it must have the key.
    let settings = [("AUTH", "jwt"), ("AUTH_JWKS_URL", url.as_str())];
    let server = Server::start(folder.path(), &settings);
    let mut client = Client::bearer(server.live, text(&key, "token")).await;
    client.subscribe("event:e").await;
    server.stop_answering(&answers).await;
    assert_eq!(client.ask(json!({ "type": "hello" })).await["subject"], "ann");
    // The key that it has goes on.
    Client::bearer(server.live, text(&key, "token")).await.subscribe("event:e").await;
}

impl Server {
    /// A key that is not known cannot be looked up, whatever is wrong with the URL, and a server that starts knows none.
    async fn stop_answering(&self, answers: &Answers) {
        let stranger = keys().swap_remove(0);
        let garbage = Answer::Is(200, String::new(), "<html>".to_owned());
        let none = Answer::Is(200, String::new(), r#"{"keys":[]}"#.to_owned());
        let failed = Answer::Is(500, String::new(), String::new());
        let redirected = Answer::Is(302, format!("Location: http://{}/\r\n", self.ops), String::new());
        for answer in [garbage, none, failed, redirected, Answer::Silence, Answer::Hangs, Answer::Endless] {
            answers.change({
                let answer = answer.clone();
                move |_| answer.clone()
            });
            let folder = folder();
            let url = format!("http://{}/jwks.json", answers.address);
            let settings = [("AUTH", "jwt"), ("AUTH_JWKS_URL", url.as_str()), ("AUTH_TIMEOUT_MS", "500")];
            let starting = Server::start(folder.path(), &settings);
            assert_eq!(status(&starting, text(&stranger, "token")).await, "503");
            starting.logged("AUTH_JWKS_URL: ");
            let mut client = starting.client().await;
            client.text(json!({ "type": "auth", "token": text(&stranger, "token") }).to_string()).await;
            assert_eq!(client.closed().await.0, 1013);
        }
    }
}
