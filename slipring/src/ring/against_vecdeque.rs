//! The ring against `VecDeque<u8>` under random steps, and against a peer that stores
//! arbitrary words.

use super::{Consumer, Corrupt, Header, Headers, Producer, RingId, Status, Std, Turn, ended};
use crate::wait::wake_word;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;

const CAPACITY: u64 = 4096;

fn ring() -> RingId {
    RingId::new(0, CAPACITY)
}

/// A step of an honest stream.
#[derive(Debug, Clone)]
enum Step {
    /// Writes up to so many bytes, beginning with this one.
    Write(u64, u8),
    Publish,
    WriterRefreshes,
    ReaderRefreshes,
    /// Reads up to so many bytes.
    Read(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let size = || prop_oneof![0..8u64, 0..CAPACITY / 2, Just(CAPACITY)];
    prop_oneof![
        3 => (size(), any::<u8>()).prop_map(|(n, first)| Step::Write(n, first)),
        3 => Just(Step::Publish),
        2 => Just(Step::WriterRefreshes),
        3 => Just(Step::ReaderRefreshes),
        3 => size().prop_map(Step::Read),
    ]
}

/// A number that a peer may store: anything, but mostly something near an index or a limit, where
/// mistakes are.
fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        2 => 0..3 * CAPACITY,
        1 => any::<u64>(),
        1 => (0..4u32, -2..3i64).prop_map(|(limit, off)| {
            [0, 1 << 32, 1 << 63, u64::MAX][limit as usize].wrapping_add_signed(off)
        }),
    ]
}

/// A step of a peer that stores arbitrary words in its header, or of this side in between.
#[derive(Debug, Clone)]
enum Hostile {
    Tail(u64),
    /// The tail as an honest writer would move it.
    TailOn(u64),
    /// Announces another ring.
    Ring(u64),
    Head(u64),
    /// The head as an honest reader would move it.
    HeadOn(u64),
    Fin(u32),
    Stop(u32),
    Wake(u64, u64),
    Write(u64),
    Publish,
    WriterLooks(u64),
    ReaderLooks(u64),
    Consume(u64),
}

fn hostile() -> impl Strategy<Value = Hostile> {
    let size = || 1..=CAPACITY;
    prop_oneof![
        1 => word().prop_map(Hostile::Tail),
        2 => size().prop_map(Hostile::TailOn),
        1 => word().prop_map(Hostile::Ring),
        1 => word().prop_map(Hostile::Head),
        2 => size().prop_map(Hostile::HeadOn),
        1 => any::<u32>().prop_map(Hostile::Fin),
        1 => prop_oneof![Just(ended::OPEN), any::<u32>()].prop_map(Hostile::Stop),
        1 => (word(), word()).prop_map(|(tail, head)| Hostile::Wake(tail, head)),
        2 => size().prop_map(Hostile::Write),
        2 => Just(Hostile::Publish),
        2 => size().prop_map(Hostile::WriterLooks),
        2 => size().prop_map(Hostile::ReaderLooks),
        2 => size().prop_map(Hostile::Consume),
    ]
}

proptest! {
    #[test]
    fn bytes_come_out_as_they_went_in(steps in vec(step(), 1..300)) {
        let (left, right) = (Header::<Std>::new(4096, ring()), Header::new(4096, ring()));
        let writer = Headers { own: &left, peer: &right };
        let reader = Headers { own: &right, peer: &left };
        let (mut producer, mut consumer) = (Producer::new(ring()), Consumer::new(ring()));
        let mut memory = vec![0; CAPACITY as usize];
        let at = |offset: usize, i: u64| (offset + i as usize) % CAPACITY as usize;
        // Written and not yet read.
        let mut queue = VecDeque::new();
        let (mut written, mut read) = (0, 0);
        for step in steps {
            match step {
                Step::Write(n, first) => {
                    let n = n.min(producer.free());
                    for i in 0..n {
                        let byte = first.wrapping_add(i as u8);
                        memory[at(producer.offset(), i)] = byte;
                        queue.push_back(byte);
                    }
                    producer.advance(n);
                    written += n;
                }
                Step::Publish => prop_assert!(!producer.publish(writer)),
                Step::WriterRefreshes => {
                    prop_assert_eq!(producer.refresh(writer), Ok(()));
                    prop_assert_eq!(producer.free(), CAPACITY - (written - read));
                }
                Step::ReaderRefreshes => {
                    prop_assert_eq!(consumer.refresh(reader), Ok(()));
                    let published = queue.len() as u64 - producer.unpublished();
                    prop_assert_eq!(consumer.available(), published);
                }
                Step::Read(n) => {
                    let n = n.min(consumer.available());
                    for i in 0..n {
                        prop_assert_eq!(Some(memory[at(consumer.offset(), i)]), queue.pop_front());
                    }
                    if n > 0 {
                        prop_assert!(!consumer.consume(reader, n));
                    }
                    read += n;
                }
            }
            prop_assert_eq!(producer.position(), written);
            prop_assert_eq!(consumer.position(), read);
            prop_assert_eq!(queue.len() as u64, written - read);
            prop_assert!(producer.free() <= CAPACITY - (written - read));
            prop_assert!(consumer.available() + producer.unpublished() <= written - read);
            prop_assert!(producer.offset() < CAPACITY as usize);
            prop_assert!(consumer.offset() < CAPACITY as usize);
        }
    }

    #[test]
    fn a_peer_can_lie_and_nothing_leaves_its_bounds(steps in vec(hostile(), 1..300)) {
        let (own, peer) = (Header::<Std>::new(4096, ring()), Header::new(4096, ring()));
        let headers = Headers { own: &own, peer: &peer };
        let (mut producer, mut consumer) = (Producer::new(ring()), Consumer::new(ring()));
        let tail = &peer.published.0.tail;
        let head = &peer.consumed.0.head;
        for step in steps {
            // The indexes that an honest peer could show, given those that it has shown before.
            let published = producer.position() - producer.unpublished();
            let heads = producer.position() - (CAPACITY - producer.free())..=published;
            let tails = consumer.position() + consumer.available()..=consumer.position() + CAPACITY;
            let honest_head = heads.contains(&head.load(Relaxed));
            let honest_tail = tails.contains(&tail.load(Relaxed));
            match step {
                Hostile::Tail(word) => tail.store(word, Relaxed),
                Hostile::TailOn(n) => {
                    tail.store(tails.start() + n.min(tails.end() - tails.start()), Relaxed);
                }
                Hostile::Ring(word) => peer.published.0.ring.store(word, Relaxed),
                Hostile::Head(word) => head.store(word, Relaxed),
                Hostile::HeadOn(n) => {
                    head.store(heads.start() + n.min(heads.end() - heads.start()), Relaxed);
                }
                Hostile::Fin(word) => peer.published.0.fin.store(word, Relaxed),
                Hostile::Stop(word) => peer.consumed.0.stop.store(word, Relaxed),
                Hostile::Wake(at_tail, at_head) => {
                    peer.wake_at_tail.0.store(at_tail, Relaxed);
                    peer.wake_at_head.0.store(at_head, Relaxed);
                }
                Hostile::Write(n) => producer.advance(n.min(producer.free())),
                // Whether the peer wakes anybody is its own affair.
                Hostile::Publish => drop(producer.publish(headers)),
                Hostile::WriterLooks(want) => {
                    let found = producer.poll(headers, want, false);
                    let free = producer.free();
                    match (peer.consumed.0.stop.load(Relaxed), found) {
                        (ended::OPEN, Err(Corrupt)) => prop_assert!(!honest_head),
                        (ended::OPEN, Ok(Status::Ready)) => {
                            prop_assert!(honest_head && free >= want);
                        }
                        (ended::OPEN, Ok(Status::Starving)) => {
                            prop_assert!(honest_head && free > 0 && free < want);
                        }
                        (ended::OPEN, Ok(Status::Cramped(word))) => {
                            let (head, _) = producer.unread();
                            prop_assert!(honest_head && free < want && word - head > CAPACITY);
                        }
                        (ended::OPEN, found) => {
                            prop_assert_eq!(found, Ok(Status::Pending));
                            prop_assert!(honest_head && free < want);
                            prop_assert_ne!(producer.wake_at(want), 0);
                        }
                        (stop, found) => prop_assert_eq!(found, Ok(Status::Ended(stop))),
                    }
                }
                Hostile::ReaderLooks(want) => {
                    let found = consumer.poll(headers, want, false);
                    let available = consumer.available();
                    match (peer.published.0.fin.load(Relaxed), found) {
                        (_, Err(Turn::Moved(word))) => {
                            prop_assert_ne!(word, ring().to_word());
                            prop_assert_eq!(word, peer.published.0.ring.load(Relaxed));
                            let next = consumer.next_ring(word);
                            let near = |next: RingId| (1..=8).contains(&next.generation);
                            prop_assert!(next.is_none_or(near));
                        }
                        (_, Err(Turn::Corrupt)) => prop_assert!(!honest_tail),
                        (_, Ok(Status::Ready)) => prop_assert!(honest_tail && available >= want),
                        (ended::OPEN, found) => {
                            prop_assert_eq!(found, Ok(Status::Pending));
                            prop_assert!(honest_tail && available < want);
                            prop_assert_ne!(consumer.wake_at(want), 0);
                            let _ = consumer.blocks_writer(headers);
                        }
                        (fin, found) => {
                            prop_assert_eq!(found, Ok(Status::Ended(fin)));
                            prop_assert!(honest_tail && available < want);
                        }
                    }
                }
                Hostile::Consume(n) => {
                    let n = n.min(consumer.available());
                    if n > 0 {
                        let _ = consumer.consume(headers, n);
                    }
                }
            }
            prop_assert!(producer.free() <= CAPACITY);
            prop_assert!(consumer.available() <= CAPACITY);
            prop_assert!(producer.unpublished() <= CAPACITY);
            prop_assert!(producer.offset() < CAPACITY as usize);
            prop_assert!(consumer.offset() < CAPACITY as usize);
        }
    }
}

/// A peer can move this side's indexes by no more than a capacity for each capacity that this side
/// consumes or writes, so none of them gets near its limit in practice. At the limit, which an
/// absurd capacity reaches at once, a reader still does not overflow.
#[test]
fn a_reader_survives_the_end_of_the_numbers() {
    const HUGE: u64 = 1 << 63;
    let (own, peer) = (
        Header::<Std>::new(4096, RingId::new(0, HUGE)),
        Header::new(4096, RingId::new(0, HUGE)),
    );
    let headers = Headers {
        own: &own,
        peer: &peer,
    };
    let mut consumer = Consumer::new(RingId::new(0, HUGE));
    for tail in [HUGE - 1, HUGE, u64::MAX - 1, u64::MAX] {
        peer.published.0.tail.store(tail, Relaxed);
        assert_eq!(consumer.poll(headers, 1, false), Ok(Status::Ready));
        let _ = consumer.consume(headers, consumer.available());
        assert_eq!(consumer.position(), tail);
        assert_eq!(consumer.poll(headers, HUGE, false), Ok(Status::Pending));
        assert!(consumer.wake_at(HUGE) >= tail.min(wake_word::UNFENCED - 1));
    }
    // Going on from there would be going back.
    peer.published.0.tail.store(0, Relaxed);
    assert_eq!(consumer.refresh(headers), Err(Turn::Corrupt));
}
