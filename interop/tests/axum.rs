//! axum's server on a slipring listener, in a process of its own, and hyper's client: who asks,
//! large bodies, many connections at a time, a shutdown in order.

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::routing::{get, post};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use slipring::tokio::Listener;
use slipring_interop::{MUCH, Peer, listen, noise, run};
use std::sync::Arc;
use tokio::sync::{Notify, oneshot};
use tokio::task::{JoinHandle, JoinSet};

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    listen(async |listener, _| {
        let leave = Arc::new(Notify::new());
        let routes = Router::new()
            .route("/who", get(who))
            .route("/echo", post(echo))
            .route("/leave", get(says_goodbye))
            .with_state(Arc::clone(&leave))
            .into_make_service_with_connect_info::<slipring::Peer>();
        axum::serve(listener, routes)
            .with_graceful_shutdown(async move { leave.notified().await })
            .await
            .expect("a server that ends in order");
    });
}

async fn who(ConnectInfo(peer): ConnectInfo<slipring::Peer>) -> String {
    peer.pid.expect("a process of this namespace").to_string()
}

async fn echo(request: Request) -> Body {
    request.into_body()
}

/// Stands for a signal: the server ends once all have their answers.
async fn says_goodbye(State(leave): State<Arc<Notify>>) -> &'static str {
    leave.notify_one();
    "goodbye"
}

/// A connection, and the task that drives it.
struct Client {
    requests: SendRequest<Full<Bytes>>,
    connection: JoinHandle<hyper::Result<()>>,
}

impl Client {
    async fn connect(peer: &Peer) -> Client {
        let stream = TokioIo::new(peer.connect().await);
        let (requests, connection) = handshake(stream).await.expect("a handshake");
        Client {
            requests,
            connection: tokio::spawn(connection),
        }
    }

    async fn ask(&mut self, method: &str, path: &str, body: Vec<u8>) -> Bytes {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "slipring")
            .body(Full::from(body))
            .expect("a request");
        let response: Response<Incoming> = self
            .requests
            .send_request(request)
            .await
            .expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        response
            .into_body()
            .collect()
            .await
            .expect("all of it")
            .to_bytes()
    }

    /// The server has ended the connection, in order.
    async fn ends_in_order(self) {
        self.connection
            .await
            .unwrap()
            .expect("a connection that ends in order");
    }
}

#[test]
fn axum_serves_large_bodies_and_knows_who_asks() {
    run(async {
        let peer = Peer::start(1);
        let mut client = Client::connect(&peer).await;
        let pid = std::process::id().to_string();
        assert_eq!(client.ask("GET", "/who", vec![]).await, pid);
        let sent = noise(1, MUCH);
        assert!(client.ask("POST", "/echo", sent.clone()).await == sent);
        assert_eq!(client.ask("GET", "/leave", vec![]).await, "goodbye");
        client.ends_in_order().await;
        peer.finishes().await;
    });
}

#[test]
fn axum_serves_many_connections_at_once() {
    run(async {
        let peer = Peer::start(1);
        let mut clients = JoinSet::new();
        for seed in 0..20 {
            let mut client = Client::connect(&peer).await;
            clients.spawn(async move {
                for round in 0..5 {
                    let sent = noise(seed * 5 + round, 50_001);
                    assert!(client.ask("POST", "/echo", sent.clone()).await == sent);
                }
                client
            });
        }
        let clients = clients.join_all().await;
        let mut last = Client::connect(&peer).await;
        assert_eq!(last.ask("GET", "/leave", vec![]).await, "goodbye");
        last.ends_in_order().await;
        for client in clients {
            client.ends_in_order().await;
        }
        peer.finishes().await;
    });
}

#[test]
fn axum_is_shut_down_though_its_listener_was_stopped() {
    run(async {
        let directory = tempfile::tempdir().expect("a directory");
        let listener = Listener::bind(directory.path().join("name")).expect("a name");
        let stopper = listener.stopper();
        let (end, ended) = oneshot::channel::<()>();
        let server = axum::serve(listener, Router::new())
            .with_graceful_shutdown(async { drop(ended.await) });
        let server = tokio::spawn(async { server.await });
        stopper.stop();
        tokio::task::yield_now().await;
        assert!(!server.is_finished());
        drop(end);
        server.await.unwrap().expect("a server that ends in order");
    });
}
