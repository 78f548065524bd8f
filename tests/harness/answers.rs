//! `Answers`: an HTTP server that answers as a test tells it to, or does not.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};

const SLOW: Duration = Duration::from_millis(100);

/// What becomes of a request.
#[derive(Clone)]
pub(crate) enum Answer {
    /// A response with this status, these further headers, each a line, and this body.
    Is(u16, String, String),
    /// That a tenth of a second later.
    Slow(u16, String, String),
    /// A response with this status, when there is a permit for it.
    Held(u16, Arc<Semaphore>),
    /// None, while the connection stays.
    Silence,
    /// The connection ends.
    Hangs,
    /// A body without an end.
    Endless,
}

/// An HTTP server that answers as a test tells it to, on a thread of its own: a test waits on its thread for a server that starts, and
/// that may ask already.
pub(crate) struct Answers {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    /// Dropped, it ends the thread.
    _end: oneshot::Sender<()>,
}

struct State {
    answer: Box<dyn Fn(&str) -> Answer + Send>,
    /// Heads of all requests so far.
    heads: Vec<String>,
}

impl Answers {
    /// What `answer` says to the head of each request.
    pub(crate) async fn start(answer: impl Fn(&str) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { answer: Box::new(answer), heads: Vec::new() }));
        let listener = listener.into_std().unwrap();
        let (end, ended) = oneshot::channel();
        let shared = state.clone();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! { () = accept(listener, shared) => {} _ = ended => {} }
            });
        });
        Self { address, state, _end: end }
    }

    /// Answers otherwise from now on.
    pub(crate) fn change(&self, answer: impl Fn(&str) -> Answer + Send + 'static) {
        self.state.lock().unwrap().answer = Box::new(answer);
    }

    /// Heads of all requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.state.lock().unwrap().heads.clone()
    }
}

async fn accept(listener: std::net::TcpListener, state: Arc<Mutex<State>>) {
    let listener = TcpListener::from_std(listener).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, state.clone()));
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let answer = {
            let mut state = state.lock().unwrap();
            state.heads.push(head.clone());
            (state.answer)(&head)
        };
        let written = match answer {
            Answer::Is(status, headers, body) => respond(&mut stream, status, &headers, &body).await,
            Answer::Slow(status, headers, body) => {
                tokio::time::sleep(SLOW).await;
                respond(&mut stream, status, &headers, &body).await
            }
            Answer::Held(status, permits) => {
                permits.acquire().await.unwrap().forget();
                respond(&mut stream, status, "", "").await
            }
            Answer::Silence => std::future::pending().await,
            Answer::Hangs => return,
            Answer::Endless => {
                let mut written =
                    stream.write_all(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n").await;
                while written.is_ok() {
                    written =
                        stream.write_all(format!("1000\r\n{}\r\n", " ".repeat(0x1000)).as_bytes()).await;
                }
                written
            }
        };
        if written.is_err() {
            return;
        }
    }
}

async fn respond(stream: &mut TcpStream, status: u16, headers: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    let response = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n{headers}\r\n{body}");
    stream.write_all(response.as_bytes()).await
}
