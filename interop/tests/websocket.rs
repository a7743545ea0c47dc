//! WebSocket: tokio-tungstenite on both sides, each in a process of its own, over slipring streams.

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use slipring::tokio::Stream;
use slipring_interop::{MUCH, Peer, assert_finished, noise, run, serve};
use std::io::ErrorKind;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    serve(async |stream| {
        let mut socket = accept_async(stream).await.expect("a handshake");
        let mut closed = false;
        while let Some(message) = socket.next().await {
            match message.expect("a message") {
                Message::Text(_) | Message::Binary(_) if closed => {
                    panic!("a message after the close")
                }
                message @ (Message::Text(_) | Message::Binary(_)) => {
                    socket.send(message).await.expect("sent")
                }
                Message::Close(_) => closed = true,
                // The library answers a ping by itself.
                _ => {}
            }
        }
        assert!(closed, "ended without a close");
        // The client waits for the server to end the stream first.
        let mut stream = socket.into_inner();
        stream.shutdown().await.expect("an end");
        assert_finished(stream).await;
    });
}

async fn client(peer: &Peer) -> WebSocketStream<Stream> {
    let (socket, _) = client_async("ws://slipring/", peer.connect().await)
        .await
        .expect("a handshake");
    socket
}

async fn echoed(socket: &mut WebSocketStream<Stream>, message: Message) -> bool {
    socket.send(message.clone()).await.expect("sent");
    socket
        .next()
        .await
        .expect("not the end")
        .expect("a message")
        == message
}

/// The close handshake: this side says it, the other answers, and then the stream ends.
async fn close(mut socket: WebSocketStream<Stream>) {
    let frame = CloseFrame {
        code: CloseCode::Away,
        reason: "enough".into(),
    };
    socket.close(Some(frame.clone())).await.expect("a close");
    let answer = socket.next().await.expect("an answer").expect("a message");
    assert_eq!(answer, Message::Close(Some(frame)));
    assert!(socket.next().await.is_none());
    assert_finished(socket.into_inner()).await;
}

#[test]
fn a_websocket_carries_text_and_binary_from_nothing_to_megabytes() {
    run(async {
        let peer = Peer::start(1);
        let mut socket = client(&peer).await;
        for size in [0, 1, 125, 126, 65_535, 65_536, 262_144, 1_000_003] {
            assert!(
                echoed(&mut socket, Message::text("ä€😀".repeat(size / 9))).await,
                "text of {size}"
            );
            assert!(
                echoed(&mut socket, Message::binary(noise(1, size))).await,
                "binary of {size}"
            );
        }
        close(socket).await;
        peer.finishes().await;
    });
}

/// Neither side could take a whole one at once, so both have to read while they write.
#[test]
fn a_websocket_carries_large_messages_both_ways_at_once() {
    run(async {
        let peer = Peer::start(1);
        let (mut sink, mut source) = client(&peer).await.split();
        let sending = async {
            for seed in 0..4 {
                sink.send(Message::binary(noise(seed, MUCH)))
                    .await
                    .expect("sent");
            }
        };
        let receiving = async {
            for seed in 0..4 {
                let message = source
                    .next()
                    .await
                    .expect("not the end")
                    .expect("a message");
                assert!(message.into_data() == noise(seed, MUCH), "message {seed}");
            }
        };
        tokio::join!(sending, receiving);
        close(sink.reunite(source).expect("halves of one")).await;
        peer.finishes().await;
    });
}

#[test]
fn a_websocket_answers_pings_between_small_messages() {
    run(async {
        let peer = Peer::start(1);
        let mut socket = client(&peer).await;
        for round in 0..1000u32 {
            assert!(echoed(&mut socket, Message::text(round.to_string())).await);
            let payload = Bytes::copy_from_slice(&round.to_le_bytes());
            socket.send(Message::Ping(payload.clone())).await.unwrap();
            assert_eq!(
                socket.next().await.unwrap().unwrap(),
                Message::Pong(payload)
            );
        }
        close(socket).await;
        peer.finishes().await;
    });
}

#[test]
fn many_websockets_are_served_at_once() {
    run(async {
        let peer = Peer::start(10);
        join_all((0..10).map(async |seed| {
            let mut socket = client(&peer).await;
            assert!(
                echoed(&mut socket, Message::binary(noise(seed, 700_001))).await,
                "socket {seed}"
            );
            close(socket).await;
        }))
        .await;
        peer.finishes().await;
    });
}

#[test]
fn a_killed_websocket_server_is_an_error_and_no_close() {
    run(async {
        let mut peer = Peer::start(1);
        let mut socket = client(&peer).await;
        assert!(echoed(&mut socket, Message::text("still here")).await);
        peer.kill().await;
        match socket.next().await {
            Some(Err(Error::Io(e))) => assert_eq!(e.kind(), ErrorKind::ConnectionReset),
            other => panic!("{other:?}"),
        }
    });
}
