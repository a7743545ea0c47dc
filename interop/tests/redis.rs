//! Redis: the client of the `redis` crate over a slipring stream, `slipring forward`, and a real
//! redis-server on a Unix socket.

use futures_util::StreamExt;
use futures_util::future::join_all;
use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncCommands, AsyncConnectionConfig, RedisConnectionInfo, pipe};
use slipring_interop::{EndWith, Forward, LONG, Launch, MUCH, Program, noise};
use std::env;
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// Runs one test with a server of its own.
fn run(test: impl AsyncFnOnce(Redis)) {
    Forward::build();
    slipring_interop::run(async { test(Redis::start().await).await });
}

/// A real server that no other program can reach, behind the command.
struct Redis {
    forward: Forward,
    _server: Program,
    _directory: TempDir,
}

impl Redis {
    async fn start() -> Redis {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("redis");
        let server = Launch::new("redis-server", &redis_server(), EndWith::Kill)
            .args([
                "--port",
                "0",
                "--save",
                "",
                "--appendonly",
                "no",
                "--unixsocket",
            ])
            .args([
                socket.as_os_str(),
                "--dir".as_ref(),
                directory.path().as_os_str(),
            ])
            .until("ready to accept connections at")
            .await;
        Redis {
            forward: Forward::to(&socket).await,
            _server: server,
            _directory: directory,
        }
    }

    /// A connection, and the task that drives it.
    async fn connect(&self) -> (MultiplexedConnection, JoinHandle<()>) {
        let stream = self.forward.connect().await;
        let info = RedisConnectionInfo::default();
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(LONG));
        let connection = MultiplexedConnection::new_with_config(&info, stream, config);
        let (connection, driver) = connection.await.expect("a connection");
        (connection, tokio::spawn(driver))
    }
}

fn redis_server() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .map(|folder| folder.join("redis-server"))
        .find(|file| file.exists());
    found.expect(
        "there is no redis-server here: interop/setup.sh installs it (Debian's package \
        redis-server)",
    )
}

#[test]
fn redis_keeps_large_values() {
    run(async |redis| {
        let (mut connection, driver) = redis.connect().await;
        for seed in 0..4 {
            let value = noise(seed, 2 * MUCH);
            let () = connection.set(seed, &value).await.unwrap();
            assert_eq!(
                connection.strlen::<_, usize>(seed).await.unwrap(),
                value.len()
            );
            assert!(
                connection.get::<_, Vec<u8>>(seed).await.unwrap() == value,
                "value {seed}"
            );
        }
        drop(connection);
        driver.await.unwrap();
        redis.forward.ended_well([1]).await;
    });
}

#[test]
fn redis_answers_pipelines() {
    run(async |redis| {
        let (mut connection, driver) = redis.connect().await;
        let values: Vec<Vec<u8>> = (0..4000).map(|key| noise(key, 1000)).collect();
        let mut sets = pipe();
        for (key, value) in values.iter().enumerate() {
            sets.set(key, value).ignore();
        }
        let () = sets.query_async(&mut connection).await.unwrap();
        let mut gets = pipe();
        for key in 0..values.len() {
            gets.get(key);
        }
        assert!(
            gets.query_async::<Vec<Vec<u8>>>(&mut connection)
                .await
                .unwrap()
                == values
        );
        // The same by many tasks at once, whose requests the client puts into one stream.
        join_all(values.iter().enumerate().map(|(key, value)| {
            let mut connection = connection.clone();
            async move { assert!(&connection.get::<_, Vec<u8>>(key).await.unwrap() == value) }
        }))
        .await;
        drop(connection);
        driver.await.unwrap();
        redis.forward.ended_well([1]).await;
    });
}

#[test]
fn redis_serves_many_connections_and_one_that_waits_for_another() {
    run(async |redis| {
        let (mut waiting, _driver) = redis.connect().await;
        let waiting =
            tokio::spawn(async move { waiting.blpop::<_, (String, Vec<u8>)>("queue", 0.0).await });
        join_all((0..8).map(async |key| {
            let (mut connection, _driver) = redis.connect().await;
            let value = noise(key, 1_000_003);
            let () = connection.set(key, &value).await.unwrap();
            assert!(
                connection.get::<_, Vec<u8>>(key).await.unwrap() == value,
                "connection {key}"
            );
        }))
        .await;
        assert!(!waiting.is_finished());
        let (mut connection, _driver) = redis.connect().await;
        let () = connection.rpush("queue", noise(9, MUCH)).await.unwrap();
        assert!(waiting.await.unwrap().unwrap() == ("queue".to_owned(), noise(9, MUCH)));
        drop(connection);
        redis.forward.ended_well(1..=10).await;
    });
}

#[test]
fn redis_publishes_messages_in_order() {
    run(async |redis| {
        let stream = redis.forward.connect().await;
        let mut subscriber = PubSub::new(&RedisConnectionInfo::default(), stream)
            .await
            .unwrap();
        subscriber.subscribe("news").await.unwrap();
        let (mut connection, _driver) = redis.connect().await;
        let publishing = tokio::spawn(async move {
            for seed in 0..500 {
                let heard: usize = connection
                    .publish("news", noise(seed, 10_007))
                    .await
                    .unwrap();
                assert_eq!(heard, 1);
            }
        });
        let mut messages = subscriber.on_message();
        for seed in 0..500 {
            let message = messages.next().await.expect("not the end");
            assert!(
                message.get_payload_bytes() == noise(seed, 10_007),
                "message {seed}"
            );
        }
        publishing.await.unwrap();
        drop(messages);
        drop(subscriber);
        redis.forward.ended_well([1, 2]).await;
    });
}
