//! The other process of a test.

use crate::{LONG, connect};
use slipring::tokio::{Listener, Stream};
use std::env;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How it learns where to listen, and for how many connections.
const NAME: &str = "SLIPRING_INTEROP_NAME";
const CONNECTIONS: &str = "SLIPRING_INTEROP_CONNECTIONS";

/// The other process: the test binary again, which runs only the ignored
/// `child_process`, and that calls [`serve`] or [`listen`].
#[derive(Debug)]
pub struct Peer {
    child: Child,
    directory: TempDir,
}

impl Peer {
    /// Starts it; it serves so many connections, and then leaves.
    pub fn start(connections: usize) -> Peer {
        let directory = tempfile::tempdir().expect("a directory");
        let child = spawn(&directory.path().join("name"), connections);
        Peer { child, directory }
    }

    /// Kills it, and waits until it is dead.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("killed");
    }

    /// After [`kill`](Self::kill): another process at the same name.
    pub fn start_again(&mut self, connections: usize) {
        self.child = spawn(&self.name(), connections);
    }

    /// Where it listens.
    pub fn name(&self) -> PathBuf {
        self.directory.path().join("name")
    }

    /// One connection to it.
    pub async fn connect(&self) -> Stream {
        connect(&self.name()).await
    }

    /// Waits until it has served all its connections, each to a clean end.
    pub async fn finishes(mut self) {
        let status = self.child.wait().await.expect("wait");
        assert!(status.success(), "the other process failed: {status}");
    }
}

fn spawn(name: &Path, connections: usize) -> Child {
    Command::new(env::current_exe().expect("the path of this test"))
        .args(["--ignored", "--exact", "child_process", "--nocapture"])
        .env(NAME, name)
        .env(CONNECTIONS, connections.to_string())
        // The harness says there that one test has passed; a panic's message is on standard error.
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the other process starts")
}

/// The server's side, for the other process: listens where it was told to. It runs on several
/// threads, the client on one, so that both kinds of runtime are used. Fails in a process
/// that no test started.
pub fn listen<F: Future<Output = ()>>(server: impl FnOnce(Listener, usize) -> F) {
    let name =
        env::var_os(NAME).expect("started by a test only: leave it out with --skip child_process");
    let connections = env::var(CONNECTIONS).expect("the number of connections");
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let listener = Listener::bind(name).expect("a name");
        let done = server(listener, connections.parse().expect("a number"));
        timeout(LONG, done).await.expect("the server hangs");
    });
}

/// As [`listen`], with a task for each connection.
pub fn serve<F: Future<Output = ()> + Send + 'static>(connection: impl Fn(Stream) -> F) {
    listen(async |listener, connections| accept_all(listener, connections, connection).await);
}

/// A task for each connection; all have to end well.
pub async fn accept_all<F>(listener: Listener, connections: usize, connection: impl Fn(Stream) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        tasks.spawn(connection(listener.accept().await.expect("a connection")));
    }
    while let Some(task) = tasks.join_next().await {
        task.expect("a connection that ends well");
    }
}
