//! HTTP/1.1: hyper's client and server, each in a process of its own, over slipring streams.

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, Parts, Upgraded};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use slipring::tokio::Stream;
use slipring_interop::{MUCH, Peer, assert_finished, noise, run, serve};
use std::convert::Infallible;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

type Body = BoxBody<Bytes, hyper::Error>;

fn body(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed()
}

/// A body whose length is not known beforehand, in uneven pieces.
fn pieces(bytes: Vec<u8>) -> Body {
    let sizes = [1, 77, 65_536, 10_007, 300_001].into_iter().cycle();
    let frames = sizes.scan(Bytes::from(bytes), |rest, size| {
        (!rest.is_empty()).then(|| Ok(Frame::data(rest.split_to(size.min(rest.len())))))
    });
    BodyExt::boxed(StreamBody::new(stream::iter(frames)))
}

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    serve(async |stream| {
        let (upgrades, mut upgraded) = unbounded_channel();
        let service = service_fn(|request| answer(request, upgrades.clone()));
        let connection = Builder::new().serve_connection(TokioIo::new(stream), service);
        connection
            .with_upgrades()
            .await
            .expect("a connection that ends in order");
        if let Ok(upgrade) = upgraded.try_recv() {
            echo(stream_of(upgrade.await.expect("an upgrade"))).await;
        }
    });
}

/// `POST /echo` sends back the body, while it comes.
async fn answer(
    mut request: Request<Incoming>,
    upgrades: UnboundedSender<OnUpgrade>,
) -> Result<Response<Body>, Infallible> {
    let response = Response::builder();
    let response = match (request.method(), request.uri().path()) {
        (&Method::POST, "/echo") => response.body(request.into_body().boxed()),
        (&Method::GET, "/noise") => response.body(body(noise(7, MUCH))),
        (&Method::GET, "/upgrade") => {
            upgrades
                .send(hyper::upgrade::on(&mut request))
                .expect("the connection");
            let response = response
                .status(StatusCode::SWITCHING_PROTOCOLS)
                .header(UPGRADE, "echo");
            response.body(body(""))
        }
        _ => response.status(StatusCode::NOT_FOUND).body(body("")),
    };
    Ok(response.expect("a response"))
}

/// After the upgrade it is a stream again; HTTP must not have read too far.
fn stream_of(upgraded: Upgraded) -> Stream {
    let Parts { io, read_buf, .. } = upgraded
        .downcast::<TokioIo<Stream>>()
        .expect("a slipring stream");
    assert!(read_buf.is_empty());
    io.into_inner()
}

async fn echo(mut stream: Stream) {
    let (reader, writer) = stream.halves();
    tokio::io::copy(reader, writer).await.expect("an echo");
}

async fn client(stream: Stream) -> (SendRequest<Body>, Connection<TokioIo<Stream>, Body>) {
    handshake(TokioIo::new(stream)).await.expect("a handshake")
}

/// Sends one request and returns the body of its answer.
async fn ask(client: &mut SendRequest<Body>, request: Request<Body>) -> Bytes {
    client.ready().await.expect("a connection that is kept");
    let response = client.send_request(request).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    response
        .into_body()
        .collect()
        .await
        .expect("a body")
        .to_bytes()
}

fn post(body: Body) -> Request<Body> {
    Request::post("/echo").body(body).expect("a request")
}

#[test]
fn http1_carries_large_bodies_both_ways_on_one_kept_connection() {
    run(async {
        let peer = Peer::start(1);
        let (mut client, connection) = client(peer.connect().await).await;
        let connection = tokio::spawn(connection);
        for seed in 1..=2 {
            let sent = noise(seed, MUCH);
            assert!(
                ask(&mut client, post(body(sent.clone()))).await == sent,
                "with a length"
            );
            assert!(
                ask(&mut client, post(pieces(sent.clone()))).await == sent,
                "in chunks"
            );
            let get = Request::get("/noise").body(body("")).expect("a request");
            assert!(ask(&mut client, get).await == noise(7, MUCH));
        }
        drop(client);
        connection
            .await
            .unwrap()
            .expect("a connection that ends in order");
        peer.finishes().await;
    });
}

#[test]
fn http1_tells_bodies_with_a_length_from_chunked_ones() {
    run(async {
        let peer = Peer::start(1);
        let (mut client, connection) = client(peer.connect().await).await;
        let connection = tokio::spawn(connection);
        let response = client.send_request(post(body("four"))).await.unwrap();
        assert_eq!(response.headers()[CONTENT_LENGTH], "4");
        assert_eq!(
            response.into_body().collect().await.unwrap().to_bytes(),
            "four"
        );
        client.ready().await.unwrap();
        let response = client
            .send_request(post(pieces(b"pieces".to_vec())))
            .await
            .unwrap();
        assert_eq!(response.headers()[TRANSFER_ENCODING], "chunked");
        assert_eq!(
            response.into_body().collect().await.unwrap().to_bytes(),
            "pieces"
        );
        drop(client);
        connection
            .await
            .unwrap()
            .expect("a connection that ends in order");
        peer.finishes().await;
    });
}

#[test]
fn http1_serves_many_connections_at_once() {
    run(async {
        let peer = Peer::start(12);
        join_all((0..12).map(async |seed| {
            let (mut client, connection) = client(peer.connect().await).await;
            let connection = tokio::spawn(connection);
            let sent = noise(seed, 1_000_003);
            assert!(
                ask(&mut client, post(pieces(sent.clone()))).await == sent,
                "connection {seed}"
            );
            drop(client);
            connection
                .await
                .unwrap()
                .expect("a connection that ends in order");
        }))
        .await;
        peer.finishes().await;
    });
}

#[test]
fn an_http1_server_that_closes_ends_the_stream_in_order() {
    run(async {
        let peer = Peer::start(1);
        let (mut client, connection) = client(peer.connect().await).await;
        let connection = tokio::spawn(connection.without_shutdown());
        let mut last = post(body(noise(1, MUCH)));
        last.headers_mut()
            .insert(CONNECTION, "close".parse().unwrap());
        assert!(ask(&mut client, last).await == noise(1, MUCH));
        assert_finished(
            connection
                .await
                .unwrap()
                .expect("the stream")
                .io
                .into_inner(),
        )
        .await;
        peer.finishes().await;
    });
}

#[test]
fn an_upgraded_http1_connection_is_the_stream_again() {
    run(async {
        let peer = Peer::start(1);
        let (mut client, connection) = client(peer.connect().await).await;
        let connection = tokio::spawn(connection.with_upgrades());
        let request = Request::get("/upgrade")
            .header(CONNECTION, "upgrade")
            .header(UPGRADE, "echo");
        let response = client
            .send_request(request.body(body("")).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        let mut stream = stream_of(hyper::upgrade::on(response).await.unwrap());
        connection.await.unwrap().expect("HTTP has ended");
        let (reader, writer) = stream.halves();
        let (sent, mut got) = (noise(1, MUCH), Vec::new());
        let (wrote, read) = tokio::join!(
            async {
                writer.write_all(&sent).await?;
                writer.shutdown().await
            },
            reader.read_to_end(&mut got)
        );
        wrote.unwrap();
        read.unwrap();
        assert!(got == sent);
        peer.finishes().await;
    });
}
