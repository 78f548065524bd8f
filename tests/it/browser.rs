//! `Browser`: Chromium with one page, asked over its debugging port what the page shows.

use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{PATIENCE, folder, get, soon};

/// The browser's process, ended when dropped.
struct Process(Child);

/// A browser that shows one page.
pub(crate) struct Browser {
    _process: Process,
    page: WebSocketStream<TcpStream>,
    /// The number of the last question.
    asked: u64,
    _profile: TempDir,
}

/// Waits for something of a browser that starts, for long: it is a large program, and many tests run beside it.
async fn started<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = tokio::time::timeout(PATIENCE * 4, async {
        loop {
            match look().await {
                Some(found) => break found,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    });
    found.await.unwrap_or_else(|_| panic!("waited {:?} for {what}", PATIENCE * 4))
}

impl Browser {
    pub(crate) async fn open(url: &str) -> Self {
        let profile = folder();
        let mut command = Command::new("chromium");
        command.args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ]);
        command.arg("--remote-debugging-port=0").arg(format!("--user-data-dir={}", profile.path().display()));
        command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Process(command.spawn().expect("this test needs chromium"));
        let file = profile.path().join("DevToolsActivePort");
        let port = started("the browser's debugging port", async || {
            fs::read_to_string(&file).ok()?.lines().next()?.parse::<u16>().ok()
        })
        .await;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let debugger = started("the page in the browser's list", async || {
            let list: Value = serde_json::from_str(&get(address, "/json/list").await.1).ok()?;
            let page = list.as_array()?.iter().find(|target| target["type"] == "page")?;
            page["webSocketDebuggerUrl"].as_str().map(str::to_owned)
        })
        .await;
        let stream = TcpStream::connect(address).await.unwrap();
        let (page, _) = tokio_tungstenite::client_async(debugger, stream).await.unwrap();
        Self { _process: process, page, asked: 0, _profile: profile }
    }

    /// The value of a JavaScript expression in the page.
    pub(crate) async fn evaluate(&mut self, expression: &str) -> Value {
        self.asked += 1;
        let params = json!({ "expression": expression, "returnByValue": true });
        let question = json!({ "id": self.asked, "method": "Runtime.evaluate", "params": params });
        self.page.send(Message::text(question.to_string())).await.unwrap();
        loop {
            let message = soon("the browser's response", self.page.next()).await.unwrap().unwrap();
            let response: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
            if response["id"] == self.asked {
                return response["result"]["result"]["value"].clone();
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
