//! Messages: sizes, the bytes of the format, batches, latest-first, values in place.

#[path = "common/channel.rs"]
mod channel;

use channel::*;
use proptest::prelude::*;
use slipring::Spin;
use slipring::frame::{self, Error};
use std::io::{self, ErrorKind, Read};
use std::thread;

#[test]
fn messages_of_every_size_arrive() {
    let half = RING / 2;
    let around = |size: usize| {
        [
            size - 9,
            size - 8,
            size - 7,
            size - 1,
            size,
            size + 1,
            size + 8,
        ]
    };
    let mut sizes = vec![0, 1, 7, 8, 9, 10 * RING, 10 * RING + 1, 0];
    sizes.extend(
        [half - 8, half, RING / 4, RING, 2 * RING]
            .iter()
            .flat_map(|size| around(*size)),
    );
    let (mut sender, mut receiver, _others) = channel();
    assert_eq!(sender.max_in_place(), half - 8);
    let sending = thread::spawn({
        let sizes = sizes.clone();
        move || {
            for (number, size) in sizes.iter().enumerate() {
                sender.send(&message(number as u64, *size)).unwrap();
            }
        }
    });
    for (number, size) in sizes.iter().enumerate() {
        let got = receiver.recv().unwrap().expect("a message");
        assert!(*got == message(number as u64, *size), "{size} bytes");
        assert!(got.as_ptr().cast::<u64>().is_aligned());
    }
    assert!(receiver.recv().unwrap().is_none());
    assert!(receiver.recv().unwrap().is_none());
    sending.join().unwrap();
}

/// Two frames that fill the ring exactly, and are lent from it across its end.
#[test]
fn a_message_of_half_the_ring_is_published_at_once() {
    let (mut sender, mut receiver, _others) = channel();
    for round in 0..5 {
        for number in 0..2 {
            sender
                .try_send(&message(round + number, RING / 2 - 8))
                .unwrap();
        }
        assert_eq!(
            sender.try_send(b"").unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        for number in 0..2 {
            assert!(received(&mut receiver) == message(round + number, RING / 2 - 8));
        }
        sender
            .try_send(b"so that the next ones lie elsewhere")
            .unwrap();
        received(&mut receiver);
    }
}

/// The bytes that `docs/layout.md` shows.
#[test]
fn sent_messages_have_the_documented_bytes() {
    let (left, mut right) = raw_pair();
    let (mut sender, _receiver) = frame::split(left).unwrap();
    sender.send(b"hello").unwrap();
    sender.send(b"").unwrap();
    let mut bytes = [0xff; 24];
    right.read_exact(&mut bytes).unwrap();
    #[rustfmt::skip]
    assert_eq!(bytes, [
        5, 0, 0, 0, 0, 0, 0, 0, b'h', b'e', b'l', b'l', b'o', 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0,
    ]);

    // Too large for half the ring: a quarter of it, with the header and room for another one, and
    // so on.
    let large = message(1, 2041);
    sender.send(&large).unwrap();
    let mut bytes = [0xff; 2 * 1016 + 40];
    right.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes[..8], [0xf0, 3, 0, 0, 1, 0, 0, 0]);
    assert!(bytes[8..1016] == large[..1008]);
    assert_eq!(bytes[1016..1024], [0xf0, 3, 0, 0, 1, 0, 0, 0]);
    assert!(bytes[1024..2032] == large[1008..2016]);
    assert_eq!(bytes[2032..2040], [25, 0, 0, 0, 0, 0, 0, 0]);
    assert!(bytes[2040..2065] == large[2016..]);
    assert_eq!(bytes[2065..], [0; 7]);

    // A message that cannot be completed, and the calls that take it back.
    sender.set_nonblocking(true);
    assert_eq!(
        sender.send(&message(2, 5000)).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    let mut parts = [0; 4 * 1016];
    right.read_exact(&mut parts).unwrap();
    sender.send(b"hi").unwrap();
    let mut bytes = [0xff; 24];
    right.read_exact(&mut bytes).unwrap();
    #[rustfmt::skip]
    assert_eq!(bytes, [
        0, 0, 0, 0, 2, 0, 0, 0,
        2, 0, 0, 0, 0, 0, 0, 0, b'h', b'i', 0, 0, 0, 0, 0, 0,
    ]);
}

/// How a message is sent, and how it is received.
#[derive(Debug, Clone)]
struct Passage {
    len: usize,
    with: bool,
    into: u8,
}

fn passages() -> impl Strategy<Value = Vec<Passage>> {
    let len = prop_oneof![0..64usize, 0..RING, 0..3 * RING];
    let passage =
        (len, any::<bool>(), 0..4u8).prop_map(|(len, with, into)| Passage { len, with, into });
    prop::collection::vec(passage, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn messages_sent_in_any_way_arrive_in_order(
        passages in passages(),
        batched in any::<bool>(),
        copied in any::<bool>(),
        asleep in any::<bool>(),
    ) {
        let spin = if asleep { Spin::Never } else { Spin::default() };
        let options = options().copy_reads(copied).spin(spin);
        let (mut sender, mut receiver, _others) = channel_with(&options);
        let sending = thread::spawn({
            let passages = passages.clone();
            move || -> io::Result<()> {
                let mut batch = sender.batch();
                for (number, passage) in passages.iter().enumerate() {
                    let message = message(number as u64, passage.len);
                    if passage.with {
                        batch.send_with(passage.len, |place| place.copy_from_slice(&message))?;
                    } else {
                        batch.send(&message)?;
                    }
                    if !batched {
                        batch.publish();
                    }
                }
                Ok(())
            }
        });
        let mut memory = Vec::new();
        for (number, passage) in passages.iter().enumerate() {
            match passage.into {
                0 => {
                    let len = receiver.recv_into(&mut memory).unwrap();
                    prop_assert_eq!(len, Some(memory.len()));
                }
                #[cfg(feature = "bytes")]
                1 => memory = receiver.recv_owned().unwrap().expect("a message").to_vec(),
                // Looked at and leaked, it is still there.
                2 => {
                    std::mem::forget(receiver.recv().unwrap().expect("a message"));
                    memory = received(&mut receiver);
                }
                _ => memory = received(&mut receiver),
            }
            prop_assert!(memory == message(number as u64, passage.len));
        }
        prop_assert!(receiver.recv().unwrap().is_none());
        sending.join().unwrap().unwrap();
    }
}

/// Frames of nearly half the ring make both sides wait for each other all the time.
#[test]
fn messages_of_half_the_ring_let_neither_side_wait_for_ever() {
    for spin in [Spin::Never, Spin::default()] {
        let (mut sender, mut receiver, _others) = channel_with(&options().spin(spin));
        let len = |number: u64| [2040, 1000, 700, 2040, 8, 1500, 4096][number as usize % 7];
        let sending = thread::spawn(move || {
            for number in 0..20_000 {
                sender
                    .send_with(len(number), |place| place.fill(number as u8))
                    .unwrap();
            }
        });
        for number in 0..20_000 {
            let got = receiver.recv().unwrap().expect("a message");
            assert_eq!((got.len(), got[0]), (len(number), number as u8));
        }
        sending.join().unwrap();
    }
}

#[test]
fn a_batch_of_messages_is_invisible_until_it_is_published() {
    let (mut sender, mut receiver, _others) = channel();
    let mut batch = sender.batch();
    for number in 0..10 {
        batch.send(&message(number, 20)).unwrap();
        assert_eq!(
            receiver.try_recv().unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
    }
    batch.publish();
    for number in 0..10 {
        assert!(*receiver.try_recv().unwrap().unwrap() == message(number, 20));
    }
    batch.send(b"more").unwrap();
    assert_eq!(
        receiver.try_recv().unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    drop(batch);
    assert_eq!(received(&mut receiver), b"more");
}

#[test]
fn a_lent_message_takes_its_room_until_it_is_dropped() {
    let (mut sender, mut receiver, _others) = channel();
    sender.send(&message(0, 2000)).unwrap();
    sender.send(&message(1, 2000)).unwrap();
    let first = receiver.recv().unwrap().unwrap();
    assert_eq!(
        sender.try_send(&message(2, 2000)).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    assert!(*first == message(0, 2000));
    drop(first);
    sender.try_send(&message(2, 2000)).unwrap();
    for number in 1..3 {
        assert!(received(&mut receiver) == message(number, 2000));
    }
}

#[test]
fn a_panic_while_filling_sends_nothing() {
    let (mut sender, mut receiver, _others) = channel();
    let filled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        sender.send_with(8, |_| panic!("on purpose")).unwrap_or(())
    }));
    assert!(filled.is_err());
    assert_eq!(
        receiver.try_recv().unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    assert_eq!(sender.send_with(3, |place| place.len()).unwrap(), 3);
    assert_eq!(receiver.recv().unwrap().unwrap().len(), 3);
}

#[test]
fn try_send_and_try_recv_do_not_wait() {
    let (mut sender, mut receiver, _others) = channel();
    assert_eq!(
        receiver.try_recv().unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    let most = sender.max_in_place();
    sender.try_send(&message(0, most)).unwrap();
    let (kind, fault) = fault(sender.try_send(&message(0, most + 1)));
    assert_eq!(
        (kind, fault),
        (
            ErrorKind::InvalidInput,
            Error::NeedsParts {
                len: most + 1,
                most
            }
        )
    );
    assert!(*receiver.try_recv().unwrap().unwrap() == message(0, most));
    sender.finish().unwrap();
    assert!(receiver.try_recv().unwrap().is_none());
}

#[test]
fn a_message_that_was_interrupted_is_taken_back() {
    let (mut sender, mut receiver, _others) = channel();
    let large = message(0, 10 * RING);
    sender.send(b"before").unwrap();
    sender.set_nonblocking(true);
    assert_eq!(
        sender.send(&large).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    assert_eq!(received(&mut receiver), b"before");
    // Takes the parts out of the ring, and waits for more.
    assert_eq!(
        receiver.try_recv().unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    // Interrupted again: the second begins by taking back the first.
    assert_eq!(
        sender.send(&large).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    assert_eq!(
        receiver.try_recv().unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    sender.send(b"after").unwrap();
    assert_eq!(received(&mut receiver), b"after");
    sender.set_nonblocking(false);
    let sending = thread::spawn(move || sender.send(&large));
    assert!(received(&mut receiver) == message(0, 10 * RING));
    sending.join().unwrap().unwrap();
}

#[test]
fn recv_latest_gives_the_newest_of_many() {
    for copied in [false, true] {
        let (mut sender, receiver, _others) = channel_with(&options().copy_reads(copied));
        // All together they are more than one may have.
        let mut receiver = receiver.with_max(100);
        for number in 0..50 {
            sender.send(&message(number, 40)).unwrap();
        }
        let latest = receiver.latest().unwrap().unwrap();
        assert!(*latest.message == message(49, 40));
        assert_eq!(latest.skipped, 49);
        drop(latest);
        assert_eq!(receiver.reader().position(), sender.writer().position());
        // The only one is the newest.
        sender.send(b"one").unwrap();
        let latest = receiver.latest().unwrap().unwrap();
        assert_eq!((&*latest.message, latest.skipped), (&b"one"[..], 0));
        drop(latest);
        sender.finish().unwrap();
        assert!(receiver.latest().unwrap().is_none());
    }
}

#[test]
fn recv_latest_gives_the_newest_among_messages_in_parts() {
    let (mut sender, mut receiver, _others) = channel();
    let in_parts = message(0, RING / 2 + 8);
    sender.send(b"old").unwrap();
    sender.send(&in_parts).unwrap();
    sender.send(b"older").unwrap();
    // Begun and taken back: no message.
    sender.set_nonblocking(true);
    assert_eq!(
        sender.send(&in_parts).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    let latest = receiver.latest().unwrap().unwrap();
    assert_eq!((&*latest.message, latest.skipped), (&b"older"[..], 2));
    drop(latest);
    sender.send(b"small").unwrap();
    sender.send(&in_parts).unwrap();
    // Not complete: it does not count yet.
    assert_eq!(
        sender.send(&message(1, 10 * RING)).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    let latest = receiver.latest().unwrap().unwrap();
    assert!(*latest.message == in_parts);
    assert_eq!(latest.skipped, 1);
    drop(latest);
    // A complete one in parts lies in private memory when a newer one is found.
    sender.send(&in_parts).unwrap();
    assert!(receiver.try_recv().unwrap().map(std::mem::forget).is_some());
    sender.send(b"newest").unwrap();
    let latest = receiver.latest().unwrap().unwrap();
    assert_eq!((&*latest.message, latest.skipped), (&b"newest"[..], 1));
}

#[test]
fn recv_latest_blocks_while_there_is_none() {
    let (mut sender, mut receiver, _others) = channel_with(&options().spin(Spin::Never));
    let sending = thread::spawn(move || sender.send(&message(3, 3 * RING)));
    let latest = receiver.latest().unwrap().unwrap();
    assert!(*latest.message == message(3, 3 * RING));
    assert_eq!(latest.skipped, 0);
    drop(latest);
    sending.join().unwrap().unwrap();
}

#[cfg(feature = "bytes")]
#[test]
fn owned_messages_outlive_their_receiver() {
    let (mut sender, mut receiver, _others) = channel();
    let mut kept = Vec::new();
    let sending = thread::spawn(move || {
        for number in 0..40 {
            sender
                .send(&message(number, number as usize * 300))
                .unwrap();
        }
    });
    while let Some(owned) = receiver.recv_owned().unwrap() {
        assert!(owned.as_ptr().cast::<u64>().is_aligned());
        kept.push(owned);
        // Some go back to the pool at once, and are used again.
        if kept.len() % 3 == 0 {
            let number = kept.len() - 1;
            let last = kept.last_mut().unwrap();
            assert!(*last == message(number as u64, number * 300));
            *last = bytes::Bytes::new();
        }
    }
    sending.join().unwrap();
    drop(receiver);
    for (number, owned) in kept.iter().enumerate() {
        assert!(owned.is_empty() || *owned == message(number as u64, number * 300));
    }
    assert_eq!(kept.len(), 40);
}

#[cfg(feature = "zerocopy")]
#[derive(
    Debug,
    PartialEq,
    zerocopy::FromBytes,
    zerocopy::IntoBytes,
    zerocopy::Immutable,
    zerocopy::KnownLayout,
)]
#[repr(C)]
struct Quote {
    price: u64,
    size: u32,
    venue: u32,
}

#[cfg(feature = "zerocopy")]
#[test]
fn plain_old_data_is_viewed_in_place() {
    for copied in [false, true] {
        let (mut sender, mut receiver, _others) = channel_with(&options().copy_reads(copied));
        for price in 0..1000 {
            let quote = Quote {
                price,
                size: 7,
                venue: !0,
            };
            // So that the values come to lie everywhere, and a copied view begins everywhere.
            sender.send(&message(price, price as usize % 61)).unwrap();
            sender.send_pod(&quote).unwrap();
            sender.batch().send_pod(&[price, 2, 3][..]).unwrap();
            assert!(received(&mut receiver) == message(price, price as usize % 61));
            let got = receiver.recv_pod::<Quote>().unwrap().unwrap();
            assert_eq!(*got, quote);
            assert!(std::ptr::from_ref(&*got).is_aligned());
            drop(got);
            assert_eq!(
                *receiver.recv_pod::<[u64; 3]>().unwrap().unwrap(),
                [price, 2, 3]
            );
        }
        sender.finish().unwrap();
        assert!(receiver.recv_pod::<Quote>().unwrap().is_none());
    }
}

#[cfg(feature = "zerocopy")]
#[test]
fn plain_old_data_of_another_size_stays_in_the_ring() {
    let (mut sender, mut receiver, _others) = channel();
    sender.send_pod(&[1u32, 2, 3]).unwrap();
    for _ in 0..2 {
        let (kind, fault) = fault(receiver.recv_pod::<Quote>());
        assert_eq!(
            (kind, fault),
            (
                ErrorKind::InvalidData,
                Error::WrongSize {
                    len: 12,
                    expected: 16
                }
            )
        );
    }
    assert_eq!(
        *receiver.recv_pod::<[u32; 3]>().unwrap().unwrap(),
        [1, 2, 3]
    );
    // A large one, that has come in parts.
    let large: Vec<u64> = (0..1000).collect();
    let sending = thread::spawn(move || sender.send_pod(&large[..]));
    let got = receiver.recv_pod::<[u64; 1000]>().unwrap().unwrap();
    assert!(got.iter().copied().eq(0..1000));
    drop(got);
    sending.join().unwrap().unwrap();
}
