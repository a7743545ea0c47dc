//! Messages on tokio: sequences, cancellation at any poll, fairness, and a codec on the plain
//! stream.

#[path = "common/runtimes.rs"]
mod runtimes;

use futures_util::{SinkExt, StreamExt};
use runtimes::*;
use slipring::frame::Error;
use slipring::frame::tokio::{Receiver, Sender, split};
use slipring::tokio::Stream;
use slipring::{EndReason, Options};
use std::future::{Future, poll_fn};
use std::io::{ErrorKind, Write};
use std::pin::pin;
use std::task::Poll;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

/// The size of the rings.
const RING: usize = 4096;

/// One direction, and the halves that keep the other direction open.
fn channel() -> (Sender, Receiver, (Sender, Receiver)) {
    let (left, right) =
        Stream::pair_with(&Options::new().capacity(RING).max_capacity(RING)).expect("a pair");
    let (sender, other_receiver) = split(left).unwrap();
    let (other_sender, receiver) = split(right).unwrap();
    (sender, receiver, (other_sender, other_receiver))
}

/// A message that is unlike its neighbours and unlike itself shifted.
fn message(number: u64, len: usize) -> Vec<u8> {
    (0..len as u64)
        .map(|at| ((number << 32 | at).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
        .collect()
}

/// Numbers that follow no pattern, the same in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) % limit
    }

    /// Mostly small, now and then larger than the ring.
    fn size(&mut self) -> usize {
        let limit = [100, 1000, 2048, 2048, 3 * RING as u64][self.below(5) as usize];
        self.below(limit) as usize
    }
}

/// Polls a future up to `polls` times and drops it if it has not resolved by then.
async fn cancelled_after<F: Future>(polls: u64, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[test]
fn messages_of_every_size_arrive_on_tokio_in_every_way() {
    on_both(|| async {
        let (mut sender, mut receiver, _others) = channel();
        let sizes = [
            0,
            1,
            8,
            9,
            2039,
            2040,
            2041,
            2048,
            RING,
            RING + 8,
            10 * RING,
            0,
        ];
        tokio::spawn(async move {
            for round in 0..4 {
                for (number, size) in sizes.iter().enumerate() {
                    let message = message(number as u64, *size);
                    if round % 2 == 0 {
                        sender.send(&message).await.unwrap();
                    } else {
                        let fill = |place: &mut [u8]| place.copy_from_slice(&message);
                        sender.send_with(*size, fill).await.unwrap();
                    }
                }
            }
        });
        let mut memory = Vec::new();
        for round in 0..4 {
            for (number, size) in sizes.iter().enumerate() {
                let expected = message(number as u64, *size);
                match round {
                    0 => assert!(*receiver.recv().await.unwrap().unwrap() == expected),
                    1 => {
                        assert_eq!(receiver.recv_into(&mut memory).await.unwrap(), Some(*size));
                        assert!(memory == expected);
                    }
                    _ => assert!(receiver.recv_owned().await.unwrap().unwrap() == expected),
                }
            }
        }
        assert!(receiver.recv().await.unwrap().is_none());
    });
}

#[test]
fn a_receiver_becomes_a_stream_of_messages() {
    on_both(|| async {
        let (mut sender, receiver, _others) = channel();
        let sending = tokio::spawn(async move {
            for number in 0..100 {
                sender
                    .send(&message(number, number as usize * 97))
                    .await
                    .unwrap();
            }
            sender
        });
        let mut messages = receiver.into_messages();
        for number in 0..100 {
            let got = messages.next().await.unwrap().unwrap();
            assert!(got == message(number, number as usize * 97));
        }
        let mut sender = sending.await.unwrap();
        // One that does not become complete: the error is the last item.
        tokio::task::yield_now().await;
        assert!(
            cancelled_after(1, sender.send(&message(0, RING)))
                .await
                .is_none()
        );
        drop(sender);
        let error = messages.next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        let reason = EndReason::Finished;
        assert!(
            matches!(Error::of(&error), Some(Error::Torn { reason: why, .. }) if *why == reason)
        );
        assert!(messages.next().await.is_none());
    });
}

#[test]
fn a_dropped_receive_loses_nothing() {
    on_both(|| async {
        for seed in 0..8 {
            let (mut sender, mut receiver, _others) = channel();
            let mut chance = Chance(seed);
            let sizes: Vec<usize> = (0..200).map(|_| chance.size()).collect();
            let sending = tokio::spawn({
                let sizes = sizes.clone();
                async move {
                    for (number, size) in sizes.iter().enumerate() {
                        sender.send(&message(number as u64, *size)).await.unwrap();
                    }
                }
            });
            let mut memory = Vec::new();
            let (mut next, mut dropped) = (0, 0);
            while next < sizes.len() {
                let polls = chance.below(4);
                let got = match chance.below(4) {
                    0 => cancelled_after(polls, receiver.recv())
                        .await
                        .map(|got| got.unwrap().unwrap().to_vec()),
                    1 => cancelled_after(polls, receiver.recv_into(&mut memory))
                        .await
                        .map(|got| memory[..got.unwrap().unwrap()].to_vec()),
                    2 => cancelled_after(polls, receiver.recv_owned())
                        .await
                        .map(|got| got.unwrap().unwrap().to_vec()),
                    // A message that is ready, and a future that is as well: the first one wins.
                    _ => tokio::select! {
                        biased;
                        got = receiver.recv() => Some(got.unwrap().unwrap().to_vec()),
                        () = std::future::ready(()) => None,
                    },
                };
                if let Some(got) = got {
                    assert!(
                        got == message(next as u64, sizes[next]),
                        "message {next} of seed {seed}"
                    );
                    next += 1;
                } else {
                    dropped += 1;
                    tokio::task::yield_now().await;
                }
            }
            assert!(receiver.recv().await.unwrap().is_none());
            assert!(dropped > 0);
            sending.await.unwrap();
        }
    });
}

#[test]
fn a_dropped_latest_loses_nothing() {
    on_both(|| async {
        let (mut sender, mut receiver, _others) = channel();
        let sending = tokio::spawn(async move {
            for number in 0..2000u64 {
                sender.send(&number.to_le_bytes()).await.unwrap();
                if number % 50 == 0 {
                    sender.send(&message(number, 2 * RING)).await.unwrap();
                }
            }
            sender.finish().await.unwrap();
        });
        let (mut seen, mut newest) = (0, 0);
        loop {
            let Some(latest) = cancelled_after(1, receiver.latest()).await else {
                tokio::task::yield_now().await;
                continue;
            };
            let Some(latest) = latest.unwrap() else {
                break;
            };
            seen += latest.skipped + 1;
            if let Ok(number) = (&*latest.message).try_into().map(u64::from_le_bytes) {
                assert!(number >= newest);
                newest = number;
            }
        }
        assert_eq!((seen, newest), (2040, 1999));
        sending.await.unwrap();
    });
}

#[test]
fn a_dropped_send_is_delivered_in_full_or_not_at_all() {
    on_both(|| async {
        for seed in 0..8 {
            let (mut sender, mut receiver, _others) = channel();
            let sending = tokio::spawn(async move {
                let mut chance = Chance(seed);
                let mut sent = Vec::new();
                for number in 0..300 {
                    let message = message(number, chance.size());
                    let polls = 1 + chance.below(4);
                    let outcome = match chance.below(3) {
                        0 => cancelled_after(polls, sender.send(&message)).await,
                        1 => {
                            let fill = |place: &mut [u8]| place.copy_from_slice(&message);
                            cancelled_after(polls, sender.send_with(message.len(), fill)).await
                        }
                        _ => cancelled_after(polls, sender.batch().send(&message)).await,
                    };
                    if let Some(outcome) = outcome {
                        outcome.unwrap();
                        sent.push(message);
                    }
                }
                // The last one may have been dropped: this takes it back.
                sender.send(b"end").await.unwrap();
                sent.push(b"end".to_vec());
                sent
            });
            let mut got = Vec::new();
            while let Some(message) = receiver.recv().await.unwrap() {
                got.push(message.to_vec());
            }
            let sent = sending.await.unwrap();
            assert!(sent.len() < 301, "nothing was cancelled");
            assert!(got == sent, "{} sent, {} received", sent.len(), got.len());
        }
    });
}

/// A poll that was pending has told the peer what it waits for. A half that waits for less, or
/// blocks from now on, takes that back.
#[test]
fn a_pending_poll_is_taken_back_by_the_next_call() {
    on_both(|| async {
        for still_on_tokio in [true, false] {
            let (left, right) =
                Stream::pair_with(&Options::new().capacity(RING).max_capacity(RING))
                    .expect("a pair");
            let mut left = left.into_blocking().unwrap();
            let (_sender, mut receiver) = split(right).unwrap();
            // The header of a message of 1000 bytes, and some of them.
            left.write_all(&[1000u64.to_le_bytes(), [7; 8], [7; 8]].concat())
                .unwrap();
            assert!(
                cancelled_after(1, poll_fn(|cx| receiver.poll_recv_owned(cx)))
                    .await
                    .is_none()
            );
            let refused =
                |left: &mut slipring::Stream| left.writer().try_reserve(RING).unwrap_err().kind();
            assert_eq!(
                refused(&mut left),
                ErrorKind::Deadlock,
                "one waits for more bytes, the other for all the room"
            );
            let mut reader = receiver.into_inner();
            if still_on_tokio {
                reader.fill_at_least(8).await.unwrap();
                assert_eq!(refused(&mut left), ErrorKind::WouldBlock);
            } else {
                let _reader = reader.into_blocking().unwrap();
                assert_eq!(refused(&mut left), ErrorKind::WouldBlock);
            }
        }
    });
}

#[test]
fn a_batch_on_tokio_is_invisible_until_it_is_published() {
    on_both(|| async {
        let (mut sender, mut receiver, _others) = channel();
        let mut batch = sender.batch();
        batch.send(b"one").await.unwrap();
        batch
            .send_with(3, |place| place.copy_from_slice(b"two"))
            .await
            .unwrap();
        assert_eq!(
            receiver.try_recv().unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        assert!(cancelled_after(1, receiver.recv()).await.is_none());
        batch.publish();
        drop(batch);
        assert_eq!(*receiver.try_recv().unwrap().unwrap(), *b"one");
        let latest = receiver.latest().await.unwrap().unwrap();
        assert_eq!((&*latest.message, latest.skipped), (&b"two"[..], 0));
        drop(latest);
        sender.try_send(&message(0, 2040)).unwrap();
        sender.try_send(&message(1, 2040)).unwrap();
        assert_eq!(
            sender.try_send(b"").unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        assert!(matches!(
            Error::of(&sender.try_send(&[0; 2041]).unwrap_err()),
            Some(Error::NeedsParts {
                len: 2041,
                most: 2040
            })
        ));
        assert_eq!(receiver.latest().await.unwrap().unwrap().skipped, 1);
        sender.wait_consumed().await.unwrap();
    });
}

#[cfg(feature = "zerocopy")]
#[test]
fn plain_old_data_is_viewed_in_place_on_tokio() {
    on_both(|| async {
        let (mut sender, mut receiver, _others) = channel();
        sender.send_pod(&[1u64, 2, 3]).await.unwrap();
        sender.batch().send_pod(&7u32).await.unwrap();
        assert_eq!(
            *receiver.recv_pod::<[u64; 3]>().await.unwrap().unwrap(),
            [1, 2, 3]
        );
        assert!(receiver.recv_pod::<u64>().await.is_err());
        assert_eq!(*receiver.recv_pod::<u32>().await.unwrap().unwrap(), 7);
    });
}

#[test]
fn a_message_beyond_the_maximum_ends_both_sides_on_tokio() {
    on_both(|| async {
        let (mut sender, receiver, _others) = channel();
        let mut receiver = receiver.with_max(RING);
        let sending = tokio::spawn(async move {
            sender.send(&message(0, RING)).await.unwrap();
            sender.send(&message(1, 100 * RING)).await
        });
        assert!(*receiver.recv().await.unwrap().unwrap() == message(0, RING));
        for _ in 0..2 {
            let error = receiver.recv().await.map(drop).unwrap_err();
            assert!(matches!(Error::of(&error), Some(Error::TooLarge { .. })));
        }
        assert_eq!(
            sending.await.unwrap().unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
    });
}

#[test]
fn an_abort_inside_a_message_tears_it_on_tokio() {
    on_both(|| async {
        let (mut left, right) =
            Stream::pair_with(&Options::new().capacity(RING).max_capacity(RING)).unwrap();
        let (_sender, mut receiver) = split(right).unwrap();
        // A part that others follow.
        left.write_all(&[8, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8])
            .await
            .unwrap();
        left.writer().abort(9);
        let error = receiver.recv().await.map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
        let reason = EndReason::Aborted { code: 9 };
        assert_eq!(Error::of(&error), Some(&Error::Torn { arrived: 8, reason }));
    });
}

/// From tokio to blocking and back, with a message given up each time; a task that was dropped is
/// no part of the next.
#[test]
fn a_cancelled_message_is_no_part_of_what_follows_it() {
    on_both(|| async {
        let (left, right) =
            Stream::pair_with(&Options::new().capacity(RING).max_capacity(RING)).unwrap();
        let (mut sender, others) = split(left).unwrap();
        let (_answers, mut receiver) = split(right).unwrap();
        assert!(
            cancelled_after(1, sender.send(&message(0, 2 * RING)))
                .await
                .is_none()
        );
        // Parts of it are taken out of the ring.
        assert!(cancelled_after(1, receiver.recv()).await.is_none());
        let writer = sender.into_inner().into_blocking().unwrap();
        let mut sender = slipring::frame::Sender::new(writer).unwrap();
        sender.send(b"blocking").unwrap();
        assert_eq!(*receiver.recv().await.unwrap().unwrap(), *b"blocking");

        sender.set_nonblocking(true);
        assert!(sender.send(&message(1, 2 * RING)).is_err());
        assert!(cancelled_after(1, receiver.recv()).await.is_none());
        let reader = others.into_inner().into_blocking().unwrap();
        let stream = reader.reunite(sender.into_inner()).unwrap();
        let (mut sender, _others) = split(Stream::from_blocking(stream).unwrap()).unwrap();
        sender.send(b"tokio").await.unwrap();
        assert_eq!(*receiver.recv().await.unwrap().unwrap(), *b"tokio");

        // The same at the other end, which loses the parts that it had taken, and passes over the
        // rest.
        let mut sending = pin!(async {
            sender.send(&message(2, 2 * RING)).await.unwrap();
            sender.send(b"after").await.unwrap();
        });
        assert!(cancelled_after(1, sending.as_mut()).await.is_none());
        assert!(cancelled_after(1, receiver.recv()).await.is_none());
        let mut receiver = Receiver::new(receiver.into_inner()).unwrap();
        let ((), got) = tokio::join!(sending, receiver.recv());
        assert_eq!(*got.unwrap().unwrap(), *b"after");
    });
}

/// A sequence that is taken apart in the middle of a message goes on with it.
#[test]
fn a_stream_of_messages_gives_its_receiver_back_as_it_is() {
    on_both(|| async {
        let (mut sender, receiver, _others) = channel();
        let mut messages = receiver.into_messages();
        let sending = tokio::spawn(async move {
            for number in 0..20 {
                sender.send(&message(number, 2 * RING)).await.unwrap();
            }
        });
        for number in 0..20 {
            let got = loop {
                let next = cancelled_after(1, messages.next()).await;
                messages = messages.into_inner().into_messages();
                match next {
                    Some(got) => break got.unwrap().unwrap(),
                    None => tokio::task::yield_now().await,
                }
            };
            assert!(got == message(number, 2 * RING), "{number}");
        }
        sending.await.unwrap();
    });
}

/// Messages that never have to be waited for: without the budget of the runtime this task would not
/// yield.
#[test]
fn a_busy_channel_of_messages_lets_other_tasks_run() {
    current_thread().block_on(async {
        let (mut sender, receiver, _others) = channel();
        let busy = tokio::spawn(async move {
            let mut receiver = receiver;
            loop {
                sender.send(b"ping").await.unwrap();
                receiver.recv().await.unwrap();
            }
        });
        for _ in 0..100 {
            timeout(LONG, tokio::task::yield_now()).await.unwrap();
        }
        busy.abort();
        assert!(busy.await.unwrap_err().is_cancelled());
    });
}

/// The format of `frame` is not the only one: codecs work on the stream as they do on a socket.
#[test]
fn a_codec_on_the_plain_stream() {
    on_both(|| async {
        let (left, right) =
            Stream::pair_with(&Options::new().capacity(RING).max_capacity(RING)).unwrap();
        let mut client = Framed::new(left, LengthDelimitedCodec::new());
        let server = tokio::spawn(async move {
            let mut server = Framed::new(right, LengthDelimitedCodec::new());
            while let Some(request) = server.next().await {
                server.send(request.unwrap().freeze()).await.unwrap();
            }
            server.into_inner().shutdown().await.unwrap();
        });
        for (number, size) in [0, 1, 100, RING, 10 * RING].into_iter().enumerate() {
            let request = message(number as u64, size);
            client
                .send(bytes::Bytes::from(request.clone()))
                .await
                .unwrap();
            assert!(client.next().await.unwrap().unwrap() == request);
        }
        client.get_mut().shutdown().await.unwrap();
        assert!(client.next().await.is_none());
        server.await.unwrap();
    });
}
