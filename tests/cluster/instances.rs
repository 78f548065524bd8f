//! `Instances`: several servers over one Postgres and one Redis.

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::harness::{PATIENCE, Server, command, eventually};
use crate::postgres::Postgres;
use crate::redis::RedisServer;

/// Several servers over one Postgres and one Redis.
pub(crate) struct Instances {
    /// `None` while one is away.
    servers: Vec<Option<Server>>,
    pub(crate) postgres: Postgres,
    pub(crate) redis: RedisServer,
    settings: Vec<(&'static str, String)>,
    folder: TempDir,
}

impl Instances {
    /// So many of them, ready, with these settings beside those that join them.
    pub(crate) fn start(count: usize, settings: &[(&'static str, &str)]) -> Self {
        let (postgres, redis) = (Postgres::start(), RedisServer::start());
        let joined = [("DATABASE_URL", postgres.url()), ("REDIS_URL", redis.url())];
        Self::over(postgres, redis, count, joined.into_iter(), settings)
    }

    /// The same where they reach Postgres and Redis in another way.
    pub(crate) fn over(
        postgres: Postgres,
        redis: RedisServer,
        count: usize,
        joined: impl Iterator<Item = (&'static str, String)>,
        settings: &[(&'static str, &str)],
    ) -> Self {
        let settings = settings.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let quick = [
            ("LIVE_WS_WORKERS", "1"),
            ("WEB_ENABLED", "false"),
            ("DATABASE_TIMEOUT_MS", "1000"),
            ("POSITIONS_LOG_TIMEOUT_MS", "500"),
        ];
        let quick = quick.into_iter().map(|(name, value)| (name, value.to_owned()));
        let settings = quick.chain(joined).chain(settings).collect();
        let folder = tempfile::tempdir().unwrap();
        let mut instances = Self { servers: Vec::new(), postgres, redis, settings, folder };
        instances.servers = (0..count).map(|index| Some(instances.spawn(index))).collect();
        instances
    }

    fn spawn(&self, index: usize) -> Server {
        let name = format!("instance-{index}");
        let mut settings: Vec<(&str, &str)> =
            self.settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        settings.extend([("INSTANCE_ID", name.as_str()), ("RUST_LOG", "info")]);
        Server::spawn(command(self.folder.path(), &settings))
    }

    /// How many there are, those that are away among them.
    pub(crate) fn len(&self) -> usize {
        self.servers.len()
    }

    /// One that is there.
    pub(crate) fn get(&self, index: usize) -> &Server {
        self.servers[index].as_ref().unwrap()
    }

    /// Those that are there.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Server> {
        self.servers.iter().flatten()
    }

    /// Ends one as a crash would.
    pub(crate) fn kill(&mut self, index: usize) {
        let mut server = self.servers[index].take().unwrap();
        server.signal(Signal::SIGKILL);
        server.ended(PATIENCE);
    }

    /// Stops one in order, as an orchestrator does.
    pub(crate) async fn stop(&mut self, index: usize) {
        let mut server = self.servers[index].take().unwrap();
        server.signal(Signal::SIGTERM);
        let status = tokio::task::spawn_blocking(move || server.ended(PATIENCE)).await.unwrap();
        assert_eq!(status.code(), Some(0));
    }

    /// Starts one again that is away.
    pub(crate) fn resume(&mut self, index: usize) {
        assert!(self.servers[index].is_none());
        self.servers[index] = Some(self.spawn(index));
    }

    /// Starts one more.
    pub(crate) fn add(&mut self) {
        let server = self.spawn(self.servers.len());
        self.servers.push(Some(server));
    }

    /// Waits until all are ready, store and log included.
    pub(crate) async fn ready(&self) {
        for server in self.all() {
            eventually("an instance that is ready", async || {
                server.get("/readyz").await == (200, r#"{"status":"ready"}"#.to_owned())
            })
            .await;
        }
    }
}
