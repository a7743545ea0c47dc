//! gRPC: tonic's client and server, each in a process of its own: unary calls, streams both ways, a
//! server that is killed.
//!
//! The calls are those that `tonic-prost-build` would generate from
//!
//! ```proto
//! message Note { bytes text = 1; uint32 pid = 2; }
//! service Echo {
//!   rpc Once(Note) returns (Note);
//!   rpc Always(stream Note) returns (stream Note);
//!   rpc Leave(Note) returns (Note);
//! }
//! ```
//!
//! written by hand here, because generating them needs `protoc`.

use futures_util::future::join_all;
use futures_util::stream::{self, BoxStream, StreamExt};
use hyper::http::uri::PathAndQuery;
use hyper::{Request as HttpRequest, Response as HttpResponse, Uri};
use hyper_util::rt::TokioIo;
use slipring::tokio::Stream;
use slipring_interop::{MUCH, Peer, listen, noise, patient, run};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::{Notify, mpsc};
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::service_fn;

/// The default is 4 MiB.
const LARGEST: usize = 16 << 20;

const ONCE: &str = "/interop.Echo/Once";
const ALWAYS: &str = "/interop.Echo/Always";
const LEAVE: &str = "/interop.Echo/Leave";

#[derive(Clone, PartialEq, prost::Message)]
struct Note {
    #[prost(bytes = "vec", tag = "1")]
    text: Vec<u8>,
    /// In an answer: the process that has asked.
    #[prost(uint32, tag = "2")]
    pid: u32,
}

fn note(text: Vec<u8>) -> Note {
    Note { text, pid: 0 }
}

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    listen(async |listener, _| {
        let incoming = stream::unfold(listener, async |listener| {
            Some((listener.accept().await, listener))
        });
        let leave = Arc::new(Notify::new());
        let service = service_fn({
            let leave = Arc::clone(&leave);
            move |request| route(request, Arc::clone(&leave))
        });
        let server =
            Server::builder().serve_with_incoming_shutdown(service, incoming, leave.notified());
        server.await.expect("a server that ends in order");
    });
}

async fn route(
    request: HttpRequest<Body>,
    leave: Arc<Notify>,
) -> Result<HttpResponse<Body>, Infallible> {
    let codec = ProstCodec::<Note, Note>::default();
    let mut grpc =
        tonic::server::Grpc::new(codec).apply_max_message_size_config(Some(LARGEST), Some(LARGEST));
    Ok(match request.uri().path() {
        ONCE => grpc.unary(service_fn(once), request).await,
        ALWAYS => grpc.streaming(service_fn(always), request).await,
        LEAVE => {
            leave.notify_one();
            grpc.unary(service_fn(once), request).await
        }
        other => Status::unimplemented(other).into_http(),
    })
}

/// Sends it back, with the kernel's statement about the process that asks.
async fn once(request: Request<Note>) -> Result<Response<Note>, Status> {
    let peer = request.extensions().get::<slipring::Peer>();
    let pid = peer
        .and_then(|peer| peer.pid)
        .ok_or_else(|| Status::internal("who?"))?;
    let Note { text, .. } = request.into_inner();
    if text.is_empty() {
        return Err(Status::invalid_argument("an empty note"));
    }
    Ok(Response::new(Note { text, pid }))
}

/// Sends each back as it comes.
async fn always(request: Request<Streaming<Note>>) -> Result<Response<Streaming<Note>>, Status> {
    Ok(Response::new(request.into_inner()))
}

/// Built like a generated client.
#[derive(Clone)]
struct Client(tonic::client::Grpc<Channel>);

impl Client {
    async fn connect(peer: &Peer) -> Client {
        let (name, options) = (peer.name(), patient());
        let connector = service_fn(move |_: Uri| {
            let (name, options) = (name.clone(), options.clone());
            async move { Stream::connect_with(&options, name).await.map(TokioIo::new) }
        });
        let endpoint = Endpoint::from_static("http://slipring");
        let channel = endpoint
            .connect_with_connector(connector)
            .await
            .expect("a channel");
        let grpc = tonic::client::Grpc::new(channel);
        Client(grpc.max_decoding_message_size(LARGEST))
    }

    async fn unary(&mut self, path: &'static str, note: Note) -> Result<Note, Status> {
        self.0.ready().await.expect("a channel");
        let (path, codec) = (
            PathAndQuery::from_static(path),
            ProstCodec::<Note, Note>::default(),
        );
        self.0
            .unary(Request::new(note), path, codec)
            .await
            .map(Response::into_inner)
    }

    async fn always(&mut self, notes: BoxStream<'static, Note>) -> Result<Streaming<Note>, Status> {
        self.0.ready().await.expect("a channel");
        let (path, codec) = (
            PathAndQuery::from_static(ALWAYS),
            ProstCodec::<Note, Note>::default(),
        );
        let answers = self.0.streaming(Request::new(notes), path, codec).await;
        answers.map(Response::into_inner)
    }

    async fn leave(mut self, peer: Peer) {
        self.unary(LEAVE, note(b"bye".to_vec()))
            .await
            .expect("an answer first");
        peer.finishes().await;
    }
}

/// Notes that are sent when the test says so.
fn by_hand() -> (mpsc::UnboundedSender<Note>, BoxStream<'static, Note>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let notes = stream::unfold(
        receiver,
        async |mut receiver: mpsc::UnboundedReceiver<Note>| {
            Some((receiver.recv().await?, receiver))
        },
    );
    (sender, notes.boxed())
}

#[test]
fn grpc_carries_many_large_notes_at_once() {
    run(async {
        let peer = Peer::start(1);
        let client = Client::connect(&peer).await;
        join_all((0..8).map(async |seed| {
            let (mut client, text) = (
                client.clone(),
                noise(seed, if seed == 0 { 2 * MUCH } else { 500_009 }),
            );
            let answer = client
                .unary(ONCE, note(text.clone()))
                .await
                .expect("an answer");
            assert!(answer.text == text, "call {seed}");
            assert_eq!(answer.pid, std::process::id());
        }))
        .await;
        client.leave(peer).await;
    });
}

#[test]
fn grpc_tells_a_refusal_from_a_call_that_is_not_there() {
    run(async {
        let peer = Peer::start(1);
        let mut client = Client::connect(&peer).await;
        let refusal = client.unary(ONCE, note(Vec::new())).await.unwrap_err();
        assert_eq!(
            (refusal.code(), refusal.message()),
            (Code::InvalidArgument, "an empty note")
        );
        let unknown = client
            .unary("/interop.Echo/Never", note(noise(1, 9)))
            .await
            .unwrap_err();
        assert_eq!(unknown.code(), Code::Unimplemented);
        client.leave(peer).await;
    });
}

#[test]
fn one_grpc_call_carries_megabytes_both_ways() {
    run(async {
        let peer = Peer::start(1);
        let mut client = Client::connect(&peer).await;
        let notes = (1..=120).map(|seed| note(noise(seed, 70_001)));
        let mut answers = client
            .always(stream::iter(notes).boxed())
            .await
            .expect("a call");
        for seed in 1..=120 {
            let answer = answers
                .message()
                .await
                .expect("an answer")
                .expect("not the end yet");
            assert!(answer.text == noise(seed, 70_001), "note {seed}");
        }
        assert_eq!(answers.message().await.unwrap(), None);
        assert!(answers.trailers().await.unwrap().is_some());
        client.leave(peer).await;
    });
}

#[test]
fn grpc_carries_notes_that_each_wait_for_an_answer() {
    run(async {
        let peer = Peer::start(1);
        let mut client = Client::connect(&peer).await;
        let (sender, notes) = by_hand();
        let mut answers = client.always(notes).await.expect("a call");
        for round in 0..2000u32 {
            let sent = note(round.to_le_bytes().to_vec());
            sender.send(sent.clone()).unwrap();
            assert_eq!(answers.message().await.unwrap(), Some(sent));
        }
        drop(sender);
        assert_eq!(answers.message().await.unwrap(), None);
        client.leave(peer).await;
    });
}

#[test]
fn a_dropped_grpc_call_ends_no_other() {
    run(async {
        let peer = Peer::start(1);
        let mut client = Client::connect(&peer).await;
        for seed in 0..10 {
            let (sender, notes) = by_hand();
            sender.send(note(noise(seed, MUCH))).unwrap();
            let answers = client.always(notes).await.expect("a call");
            drop((answers, sender));
        }
        let text = noise(1, MUCH);
        assert!(client.unary(ONCE, note(text.clone())).await.unwrap().text == text);
        client.leave(peer).await;
    });
}

#[test]
fn grpc_calls_fail_with_a_killed_server_and_reach_the_next_one() {
    run(async {
        let mut peer = Peer::start(1);
        let mut client = Client::connect(&peer).await;
        let (sender, notes) = by_hand();
        let mut answers = client.always(notes).await.expect("a call");
        sender.send(note(noise(1, 1000))).unwrap();
        assert!(answers.message().await.unwrap().unwrap().text == noise(1, 1000));
        peer.kill().await;
        answers
            .message()
            .await
            .expect_err("a call without a server");
        peer.start_again(1);
        // The channel connects again by itself, over the name that the dead one has left behind.
        let text = noise(2, MUCH);
        assert!(client.unary(ONCE, note(text.clone())).await.unwrap().text == text);
        client.leave(peer).await;
    });
}
