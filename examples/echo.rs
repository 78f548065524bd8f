//! `echo`: a `LiveServer` that sends every message back as it came; the conformance suite talks to it.
//!
//! Settings are those of `processor` (`LIVE_WS_PORT=0 cargo run --example echo`). The address it listens on is the
//! first line of standard output. SIGTERM and SIGINT drain and end it.

use std::io::Write as _;
use std::rc::Rc;

use anyhow::Context as _;
use processor::live::wire::request::Request;
use processor::live::{Client, Handled, LiveServer, Message, MessageHandler};
use processor::metrics::Metrics;
use processor::settings::Settings;
use processor::shutdown::Shutdown;

/// Answers text with the same text and bytes with the same bytes.
struct Echo;

impl MessageHandler for Echo {
    fn message(&self, client: &Rc<Client>, message: Message) -> Handled {
        match message {
            Message::Text(text) => client.text(&text),
            Message::Binary(bytes) => client.binary(&bytes),
        }
        Handled::Done
    }

    /// Never called: no message is read as a request here.
    fn request(&self, _: &Rc<Client>, _: Request) -> Handled {
        Handled::Done
    }
}

fn main() -> anyhow::Result<()> {
    env_logger::init();
    actix::System::new().block_on(async {
        let settings = Settings::load()?;
        let metrics = Metrics::new(&settings.instance_id).context("metrics")?;
        let mut shutdown = Shutdown::listen().context("cannot listen for signals")?;
        let server = LiveServer::new(settings.live.clone(), |_| Echo, metrics.live);
        let running =
            server.start().with_context(|| format!("cannot listen on port {}", settings.live.port))?;
        let mut out = std::io::stdout();
        writeln!(out, "{}", running.address()).and_then(|()| out.flush()).context("cannot print")?;
        shutdown.signalled().await;
        running.stop(settings.live.drain_timeout).await;
        Ok(())
    })
}
