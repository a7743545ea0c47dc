//! HTTP/2: hyper's client and server, each in a process of its own; many requests at a time over
//! one slipring stream.

use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use slipring_interop::{MUCH, Peer, noise, run, serve};
use std::convert::Infallible;
use std::error::Error;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

type Body = BoxBody<Bytes, hyper::Error>;

fn body(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed()
}

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    serve(async |stream| {
        let leave = Arc::new(Notify::new());
        let service = service_fn(|request| answer(request, Arc::clone(&leave)));
        let connection =
            Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = leave.notified() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        assert_in_order(ended);
    });
}

/// HTTP/2 has no last word. A side that is told that the other side closes (`GOAWAY`) says the
/// same, and that other side may be gone by then, over any transport. Every request has been
/// answered all the same.
fn assert_in_order(ended: hyper::Result<()>) {
    if let Err(e) = ended {
        let io = e.source().and_then(|e| e.downcast_ref::<io::Error>());
        assert!(
            io.is_some_and(|e| e.kind() == ErrorKind::BrokenPipe),
            "{e:?}"
        );
    }
}

/// `POST /echo` sends back the body, while it comes; `POST /leave` too, but then the server wants
/// to end the connection.
async fn answer(
    request: Request<Incoming>,
    leave: Arc<Notify>,
) -> Result<Response<Body>, Infallible> {
    assert_eq!(request.version(), Version::HTTP_2);
    let response = Response::builder();
    let response = match (request.method(), request.uri().path()) {
        (&Method::POST, "/echo") => response.body(request.into_body().boxed()),
        (&Method::POST, "/leave") => {
            leave.notify_one();
            response.body(request.into_body().boxed())
        }
        (&Method::GET, "/noise") => response.body(body(noise(7, MUCH))),
        _ => response.status(StatusCode::NOT_FOUND).body(body("")),
    };
    Ok(response.expect("a response"))
}

/// A connection, and the task that drives it.
struct Client {
    requests: SendRequest<Body>,
    connection: JoinHandle<hyper::Result<()>>,
}

impl Client {
    async fn connect(peer: &Peer) -> Client {
        let stream = TokioIo::new(peer.connect().await);
        let (requests, connection) = handshake(TokioExecutor::new(), stream)
            .await
            .expect("a handshake");
        Client {
            requests,
            connection: tokio::spawn(connection),
        }
    }

    async fn send(&self, request: Request<Body>) -> Response<Incoming> {
        let response = self
            .requests
            .clone()
            .send_request(request)
            .await
            .expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        response
    }

    /// Sends one request, and returns the body of its answer.
    async fn ask(&self, request: Request<Body>) -> Bytes {
        all_of(self.send(request).await).await
    }

    /// Ends it, as the first of the two.
    async fn close(self) {
        drop(self.requests);
        self.connection
            .await
            .unwrap()
            .expect("a connection that ends in order");
    }
}

async fn all_of(response: Response<Incoming>) -> Bytes {
    response
        .into_body()
        .collect()
        .await
        .expect("a body")
        .to_bytes()
}

fn post(path: &str, sent: &[u8]) -> Request<Body> {
    let uri = format!("http://slipring{path}");
    Request::post(uri)
        .body(body(sent.to_vec()))
        .expect("a request")
}

fn get() -> Request<Body> {
    let uri = "http://slipring/noise";
    Request::get(uri).body(body("")).expect("a request")
}

#[test]
fn http2_carries_many_large_requests_at_once_over_one_stream() {
    run(async {
        let peer = Peer::start(1);
        let client = Client::connect(&peer).await;
        join_all((0..24).map(async |seed| {
            let sent = noise(seed, if seed < 2 { MUCH } else { 300_007 });
            assert!(
                client.ask(post("/echo", &sent)).await == sent,
                "request {seed}"
            );
        }))
        .await;
        client.close().await;
        peer.finishes().await;
    });
}

#[test]
fn an_unread_http2_answer_holds_up_no_other() {
    run(async {
        let peer = Peer::start(1);
        let client = Client::connect(&peer).await;
        let unread = client.send(get()).await;
        let sent = noise(1, MUCH);
        assert!(client.ask(post("/echo", &sent)).await == sent);
        assert!(all_of(unread).await == noise(7, MUCH));
        client.close().await;
        peer.finishes().await;
    });
}

#[test]
fn a_dropped_http2_answer_ends_no_other() {
    run(async {
        let peer = Peer::start(1);
        let client = Client::connect(&peer).await;
        for _ in 0..20 {
            let mut response = client.send(get()).await;
            response.body_mut().frame().await.unwrap().unwrap();
        }
        let sent = noise(1, MUCH);
        assert!(client.ask(post("/echo", &sent)).await == sent);
        client.close().await;
        peer.finishes().await;
    });
}

#[test]
fn an_http2_server_that_shuts_down_answers_first() {
    run(async {
        let peer = Peer::start(1);
        let mut client = Client::connect(&peer).await;
        let sent = noise(1, MUCH);
        assert!(client.ask(post("/leave", &sent)).await == sent);
        assert_in_order(client.connection.await.unwrap());
        assert!(client.requests.ready().await.unwrap_err().is_closed());
        peer.finishes().await;
    });
}
