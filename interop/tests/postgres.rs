//! PostgreSQL: tokio-postgres over a slipring stream, `slipring forward`, and a real server on a
//! Unix socket.

use bytes::Bytes;
use futures_util::future::{join_all, try_join_all};
use futures_util::{SinkExt, TryStreamExt};
use slipring_interop::{EndWith, Forward, Launch, MUCH, Program, noise};
use std::cmp::Reverse;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::Command;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage};

/// Runs one test with a server of its own.
fn run(test: impl AsyncFnOnce(Postgres)) {
    Forward::build();
    slipring_interop::run(async { test(Postgres::start().await).await });
}

/// A real server with a new database that no other program can reach, behind the command.
struct Postgres {
    forward: Forward,
    _server: Program,
    _directory: TempDir,
}

impl Postgres {
    async fn start() -> Postgres {
        let directory = tempfile::tempdir().expect("a directory");
        let user = other_user(directory.path());
        let data = directory.path().join("data");
        Launch::as_user("initdb", &tool("initdb"), EndWith::Kill, user)
            .args([
                "--no-sync",
                "--no-locale",
                "--encoding=UTF8",
                "--auth=trust",
                "--username=test",
                "-D",
            ])
            .args([&data])
            .finish()
            .await;
        // Quitting is immediate, too, but takes its processes along.
        let server = Launch::as_user("postgres", &tool("postgres"), EndWith::Quit, user)
            .args([
                "-c",
                "listen_addresses=",
                "-c",
                "dynamic_shared_memory_type=mmap",
                "-c",
                "fsync=off",
            ])
            .args([
                "-D".as_ref(),
                data.as_os_str(),
                "-k".as_ref(),
                directory.path().as_os_str(),
            ])
            .until("database system is ready to accept connections")
            .await;
        Postgres {
            forward: Forward::to(&directory.path().join(".s.PGSQL.5432")).await,
            _server: server,
            _directory: directory,
        }
    }

    /// A connection, and the task that drives it.
    async fn connect(&self) -> (Client, JoinHandle<Result<(), Error>>) {
        let mut config = Config::new();
        config.user("test").dbname("postgres");
        let connected = config
            .connect_raw(self.forward.connect().await, NoTls)
            .await;
        let (client, connection) = connected.expect("a connection");
        (client, tokio::spawn(connection))
    }
}

/// PostgreSQL refuses to run as root; then the user that its package has made runs it, and has this
/// directory.
fn other_user(directory: &Path) -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let id = Command::new("id")
        .args(["-u", "postgres"])
        .output()
        .expect("the program id");
    let id = String::from_utf8_lossy(&id.stdout)
        .trim()
        .parse()
        .expect(MISSING);
    std::os::unix::fs::chown(directory, Some(id), None).expect("a directory for that user");
    Some("postgres")
}

const MISSING: &str =
    "there is no PostgreSQL here: interop/setup.sh installs it (Debian's package postgresql)";

/// One of the newest version's programs. Debian keeps them out of `PATH`.
fn tool(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut versions: Vec<PathBuf> = versions.map(|version| version.path()).collect();
    versions.sort_by_key(|path| {
        Reverse(
            path.file_name()
                .and_then(OsStr::to_str)
                .and_then(|v| v.parse::<u32>().ok()),
        )
    });
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = versions
        .into_iter()
        .map(|version| version.join("bin"))
        .chain(env::split_paths(&path));
    let found = folders
        .map(|folder| folder.join(name))
        .find(|tool| tool.exists());
    found.expect(MISSING)
}

#[test]
fn postgres_copies_megabytes_in_and_out() {
    run(async |postgres| {
        let (client, connection) = postgres.connect().await;
        client
            .batch_execute("CREATE TABLE lines (number int, text text)")
            .await
            .unwrap();
        let lines: Vec<String> = (0..60_000)
            .map(|number| format!("{number}\tline {number} of {}\n", "ä".repeat(50)))
            .collect();
        let sent = lines.concat();
        let mut sink = pin!(client.copy_in("COPY lines FROM STDIN").await.unwrap());
        for part in sent.as_bytes().chunks(100_003) {
            sink.send(Bytes::copy_from_slice(part)).await.unwrap();
        }
        assert_eq!(sink.finish().await.unwrap(), 60_000);
        let got = client
            .copy_out("COPY (SELECT * FROM lines ORDER BY number) TO STDOUT")
            .await
            .unwrap();
        let got: Vec<Bytes> = got.try_collect().await.unwrap();
        assert!(got.concat() == sent.as_bytes());
        drop(client);
        connection
            .await
            .unwrap()
            .expect("a connection that ends in order");
        postgres.forward.ended_well([1]).await;
    });
}

#[test]
fn postgres_answers_large_and_many_queries() {
    run(async |postgres| {
        let (client, connection) = postgres.connect().await;
        client
            .batch_execute("CREATE TABLE blobs (id int PRIMARY KEY, blob bytea)")
            .await
            .unwrap();
        for id in 0..3i32 {
            let blob = noise(id as u64, MUCH);
            let insert = "INSERT INTO blobs VALUES ($1, $2) RETURNING blob";
            let row = client.query_one(insert, &[&id, &blob]).await.unwrap();
            assert!(row.get::<_, Vec<u8>>(0) == blob, "blob {id}");
        }
        // The client sends the next before it has the answer to the last.
        let sum = client
            .prepare("SELECT $1::bigint + $2::bigint")
            .await
            .unwrap();
        let sums = (0..2000i64).map(async |n| -> Result<i64, Error> {
            Ok(client.query_one(&sum, &[&n, &1i64]).await?.get(0))
        });
        assert!(try_join_all(sums).await.unwrap().into_iter().eq(1..=2000));
        let error = client.query("SELECT 1/0", &[]).await.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::DIVISION_BY_ZERO));
        drop(client);
        connection
            .await
            .unwrap()
            .expect("a connection that ends in order");
        postgres.forward.ended_well([1]).await;
    });
}

#[test]
fn postgres_serves_many_connections_and_ends_one() {
    run(async |postgres| {
        let (client, connection) = postgres.connect().await;
        client
            .batch_execute("CREATE TABLE counter AS SELECT 0 AS n")
            .await
            .unwrap();
        join_all((0..8).map(async |_| {
            let (mut client, _connection) = postgres.connect().await;
            for _ in 0..20 {
                let transaction = client.transaction().await.unwrap();
                transaction
                    .execute("UPDATE counter SET n = n + 1", &[])
                    .await
                    .unwrap();
                transaction.commit().await.unwrap();
            }
        }))
        .await;
        let (other, _connection) = postgres.connect().await;
        let row = other.query_one("SELECT n FROM counter", &[]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), 160);
        // Not prepared: dropping a prepared query sends a request to close it. A server that is
        // ended before it reads that request has its last words taken for the answer to it, and
        // resets the connection, as every Unix socket closed with something unread in it.
        let answer = client
            .simple_query("SELECT pg_backend_pid()")
            .await
            .unwrap();
        let pid = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse::<i32>().ok(),
            _ => None,
        });
        let end = "SELECT pg_terminate_backend($1)";
        let ended = other
            .query_one(end, &[&pid.expect("a process")])
            .await
            .unwrap();
        assert!(ended.get::<_, bool>(0));
        let error = connection.await.unwrap().unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::ADMIN_SHUTDOWN), "{error:?}");
        assert!(client.is_closed());
        drop(other);
        postgres.forward.ended_well(1..=10).await;
    });
}
