//! A publisher that lies in its memory and over its socket, and subscribers that lie in theirs. The
//! other side ends with an error, or goes on; it never panics, hangs, or harms a third one.

mod common;

use common::raw::{self, Hello, PAGE, Words};
use common::{Place, Random, eventually, guard, setting};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::fcntl_add_seals;
use slipring::feed::{
    Budget, EndReason, Event, Publisher, PublisherOptions, Start, Subscriber, SubscriberOptions,
};
use slipring::{Error, Spin};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

const CAPACITY: usize = 4096;

/// Where the words of a publisher's header and a subscriber's page lie.
mod at {
    pub const EPOCH: usize = 0x18;
    pub const MAX_RECORD: usize = 0x20;
    pub const LOSSLESS: usize = 0x28;
    pub const TAIL: usize = 0x80;
    pub const LAST: usize = 0x180;
    pub const FIN: usize = 0x88;
    pub const CLAIM: usize = 0x100;
    pub const CHECKPOINT: usize = 0x108;
    pub const CALLS: usize = 0x200;
    pub const WAKE: usize = 0x80;
    pub const READ: usize = 0x100;
    pub const NEXT: usize = 0x108;
    pub const MISSED: usize = 0x110;
}

/// Something that is wrong with a publisher's memory, and how to make it so.
type Lie = (&'static str, fn(&Words));

/// A hello of a feed.
fn hello(capacity: usize) -> [u8; raw::LEN] {
    let mut hello = Hello::new(capacity).encode();
    hello[28] = 1;
    hello
}

fn memory_message() -> [u8; raw::LEN] {
    let mut message = [0; raw::LEN];
    message[..8].copy_from_slice(b"slipring");
    message[8] = 3;
    message
}

/// Memory of a feed, mapped writable for ever.
struct Own {
    words: Words,
    fd: OwnedFd,
}

fn own(capacity: usize) -> Own {
    let fd = raw::memory(PAGE + capacity);
    let words = Words::map(fd.as_fd(), PAGE + capacity, true).unwrap();
    raw::preamble(&words, PAGE as u32, capacity as u64);
    words.store(at::EPOCH, 7);
    if capacity > 0 {
        words.store(at::MAX_RECORD, 100);
    } else {
        words.store(at::READ, u64::MAX);
    }
    fcntl_add_seals(&fd, raw::seals()).unwrap();
    Own { words, fd }
}

/// Answers one subscriber as a publisher would, with this memory.
fn serve(listener: &UnixListener, fds: &[BorrowedFd<'_>]) -> UnixStream {
    let (link, _) = listener.accept().unwrap();
    raw::receive(&link).unwrap();
    raw::send(&link, &hello(CAPACITY), &[]).unwrap();
    raw::receive(&link).unwrap();
    // A side that has refused the hello may be gone.
    let _ = raw::send(&link, &memory_message(), fds);
    link
}

/// A subscriber to a publisher that is written by hand.
fn subscriber_to(memory: &Own, options: &SubscriberOptions) -> (Subscriber, UnixStream) {
    let place = Place::new();
    let listener = UnixListener::bind(place.name("feed")).unwrap();
    thread::scope(|scope| {
        let server = scope.spawn(|| serve(&listener, &[memory.fd.as_fd()]));
        let subscriber = options.connect(place.name("feed")).unwrap();
        (subscriber, server.join().unwrap())
    })
}

/// A record in the ring.
fn put(words: &Words, position: usize, sequence: u64, len: u32, flags: u32) {
    let at = PAGE + position % CAPACITY;
    words.store(at, sequence);
    words.store32(at + 8, len);
    words.store32(at + 12, flags);
}

#[test]
fn a_publisher_by_hand_is_understood() {
    guard(|| {
        let memory = own(CAPACITY);
        let (mut subscriber, link) = subscriber_to(&memory, &SubscriberOptions::new());
        assert_eq!(subscriber.epoch(), 7);
        // The bytes that `docs/layout.md` shows.
        memory.words.store(at::CLAIM, 64);
        memory
            .words
            .put(PAGE, b"\0\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0hello\0\0\0");
        memory.words.store(at::TAIL, 24);
        let Some(Event::Record(record)) = subscriber.try_recv().unwrap() else {
            panic!();
        };
        assert_eq!((record.sequence, record.payload), (0, &b"hello"[..]));
        // It announces that it sleeps, and says until when.
        let brief = Duration::from_millis(1);
        assert_eq!(subscriber.recv_timeout(brief).unwrap(), None);
        let mut byte = [0];
        (&link).read_exact(&mut byte).unwrap();
        assert_eq!(byte, [1]);
        (&link).write_all(&[1, 1, 2, 9, 0, 0, 0]).unwrap();
        let Event::Ended(end) = subscriber.recv().unwrap() else {
            panic!();
        };
        assert_eq!(end.reason, EndReason::Disconnected { reason: 9 });
    });
}

#[test]
fn what_no_publisher_can_have_published_ends_the_feed() {
    guard(|| {
        let lies: &[Lie] = &[
            ("a tail that is not aligned", |words| {
                words.store(at::TAIL, 9)
            }),
            ("a number out of turn", |words| {
                put(words, 0, 5, 0, 0);
                words.store(at::TAIL, 16);
            }),
            ("a record beyond the tail", |words| {
                put(words, 0, 0, 64, 0);
                words.store(at::TAIL, 16);
            }),
            ("a record that is too long", |words| {
                put(words, 0, 0, 101, 0);
                words.store(at::TAIL, 1024);
            }),
            ("flags that there are not", |words| {
                put(words, 0, 0, 0, 2);
                words.store(at::TAIL, 16);
            }),
            ("a checkpoint that is not ahead", |words| {
                words.store(at::CLAIM, 1 << 20);
                words.store(at::TAIL, 1 << 20);
                words.store(at::CHECKPOINT, 0);
                words.store(at::CLAIM, 4096);
                put(words, 0, 0, 101, 0);
            }),
            ("a number that goes back", |words| {
                words.store(at::CLAIM, 8192);
                words.store(at::CHECKPOINT, 4096);
                put(words, 4096, 0, 0, 0);
                words.store(at::TAIL, 8192);
            }),
            ("an end that there is not", |words| {
                words.store32(at::FIN, 77)
            }),
        ];
        for (what, lie) in lies {
            let memory = own(CAPACITY);
            let (mut subscriber, _link) = subscriber_to(&memory, &SubscriberOptions::new());
            lie(&memory.words);
            let event = subscriber.try_recv().unwrap();
            let corrupt =
                matches!(event, Some(Event::Ended(end)) if end.reason == EndReason::Corrupt);
            assert!(corrupt, "{what}: {event:?}");
        }
    });
}

/// Words near to what is right, and any others, in every place.
#[test]
fn a_publisher_that_stores_anything_anywhere_breaks_nothing() {
    guard(|| {
        for seed in 0..setting("SLIPRING_FEED_LIES", 200) {
            let mut random = Random::new(seed);
            let memory = own(CAPACITY);
            let words = &memory.words;
            let start = random.choose(&[Start::Newest, Start::Oldest, Start::At(3)]);
            let lossless = random.below(4) == 0;
            let options = SubscriberOptions::new()
                .start(start)
                .lossless(lossless)
                .spin(Spin::Never);
            let (mut subscriber, mut link) = subscriber_to(&memory, &options);
            for _ in 0..200 {
                let near = random.below(3 * CAPACITY as u64) & !7;
                let value = random.choose(&[near, near, near, random.clone().next(), u64::MAX, 0]);
                match random.below(8) {
                    0 => words.store(at::TAIL, value),
                    1 => words.store(at::LAST, value),
                    2 => words.store(at::CLAIM, value),
                    3 => words.store(at::CHECKPOINT, value),
                    4 => words.store32(at::CALLS, value as u32),
                    5 => drop(link.write_all(&[value as u8])),
                    _ => {
                        let number =
                            random.choose(&[subscriber.next(), subscriber.next() + 1, value]);
                        let len = random.choose(&[0, 8, 100, value as u32]);
                        put(words, near as usize, number, len, random.below(3) as u32);
                    }
                }
                let event = match random.below(3) {
                    0 => subscriber.try_recv(),
                    1 => subscriber.latest(),
                    _ => subscriber.recv_timeout(Duration::from_micros(10)),
                };
                match event.unwrap() {
                    Some(Event::Record(record)) => assert!(record.payload.len() <= 100),
                    Some(Event::Ended(_)) => break,
                    _ => {}
                }
            }
        }
    });
}

#[test]
fn memory_that_is_not_a_feeds_is_refused() {
    guard(|| {
        let faults: &[Lie] = &[
            ("magic", |words| words.store(0, 1)),
            ("version", |words| words.store32(8, 9)),
            ("length", |words| words.store32(0xc, 8192)),
            ("capacity", |words| words.store(0x10, 8192)),
            ("longest record", |words| words.store(at::MAX_RECORD, 4096)),
        ];
        for (what, fault) in faults {
            let place = Place::new();
            let listener = UnixListener::bind(place.name("feed")).unwrap();
            let memory = own(CAPACITY);
            fault(&memory.words);
            thread::scope(|scope| {
                scope.spawn(|| serve(&listener, &[memory.fd.as_fd()]));
                let error = Subscriber::connect(place.name("feed")).unwrap_err();
                assert!(matches!(error, Error::BadPeer { .. }), "{what}: {error}");
            });
        }
        let place = Place::new();
        let listener = UnixListener::bind(place.name("feed")).unwrap();
        let unsealed = raw::memory(PAGE + CAPACITY);
        for fds in [
            &[unsealed.as_fd()][..],
            &[],
            &[unsealed.as_fd(), unsealed.as_fd()],
        ] {
            thread::scope(|scope| {
                scope.spawn(|| serve(&listener, fds));
                let error = Subscriber::connect(place.name("feed")).unwrap_err();
                assert!(matches!(error, Error::BadPeer { .. }), "{error}");
            });
        }
    });
}

/// A subscriber that is written by hand.
fn join(place: &Place, page: &Own) -> UnixStream {
    let link = UnixStream::connect(place.name("feed")).unwrap();
    raw::send(&link, &hello(0), &[]).unwrap();
    raw::send(&link, &memory_message(), &[page.fd.as_fd()]).unwrap();
    raw::receive(&link).unwrap();
    let (_, fds) = raw::receive(&link).unwrap();
    assert_eq!(fds.len(), 1);
    link
}

#[test]
fn subscribers_that_lie_and_flood_disturb_nobody() {
    guard(|| {
        let place = Place::new();
        let mut publisher = PublisherOptions::new()
            .capacity(1 << 20)
            .bind(place.name("feed"))
            .unwrap();
        let mut honest = Subscriber::connect(place.name("feed")).unwrap();
        let pages: Vec<Own> = (0..4).map(|_| own(0)).collect();
        let links: Vec<UnixStream> = pages.iter().map(|page| join(&place, page)).collect();
        eventually("all are there", || publisher.subscribers().len() == 5);
        thread::scope(|scope| {
            let (flood, armed, liar, giver) = (&links[0], &pages[1], &pages[2], &links[3]);
            // Announces without end, until it is put out.
            scope.spawn(move || while (&*flood).write_all(&[1; 64]).is_ok() {});
            for _ in 0..4 {
                // Sends what nobody asked for.
                let _ = raw::send(giver, b"x", &[liar.fd.as_fd()]);
            }
            let mut random = Random::new(1);
            for sequence in 0..3000u64 {
                armed.words.store(at::WAKE, sequence * 24 + 1);
                for at in [at::WAKE, at::READ, at::NEXT, at::MISSED] {
                    liar.words
                        .store(at, random.choose(&[0, u64::MAX, sequence * 24, 1]));
                }
                assert_eq!(publisher.publish(b"tick"), Ok(sequence));
                let Event::Record(record) = honest.recv().unwrap() else {
                    panic!();
                };
                assert_eq!(record.sequence, sequence);
            }
            eventually("the giver is put out", || {
                publisher.subscribers().len() == 4
            });
            for info in publisher.subscribers() {
                assert!(info.behind <= publisher.next());
                if info.id == 3 {
                    assert!(publisher.disconnect(info.id, 0));
                }
            }
            drop(publisher);
        });
        assert!(matches!(honest.recv().unwrap(), Event::Ended(_)));
    });
}

#[test]
fn a_lossless_subscriber_that_lies_costs_its_budget_at_most() {
    guard(|| {
        let place = Place::new();
        let budget = Budget {
            bytes: CAPACITY,
            time: Duration::from_millis(20),
        };
        let mut publisher = PublisherOptions::new()
            .capacity(CAPACITY)
            .lossless(budget)
            .bind(place.name("feed"))
            .unwrap();
        let pages: Vec<Own> = (0..3)
            .map(|i| {
                let page = own(0);
                page.words.store32(at::LOSSLESS, 1);
                // It has never begun; it has read what is not there; it has read nothing.
                page.words.store(at::READ, [u64::MAX, u64::MAX - 8, 0][i]);
                page
            })
            .collect();
        let _links: Vec<UnixStream> = pages.iter().map(|page| join(&place, page)).collect();
        eventually("all are there", || publisher.subscribers().len() == 3);
        for _ in 0..2000 {
            publisher.publish(&[0; 64]).unwrap();
        }
        assert_eq!(publisher.subscribers().len(), 2);
    });
}

#[test]
fn a_hello_of_no_subscriber_is_refused() {
    guard(|| {
        let place = Place::new();
        let publisher = Publisher::bind(place.name("feed")).unwrap();
        for (refused, capacity) in (1..).zip([1, PAGE, 1 << 20]) {
            let link = UnixStream::connect(place.name("feed")).unwrap();
            raw::send(&link, &hello(capacity), &[]).unwrap();
            eventually("it is refused", || publisher.refused() == refused);
        }
        assert!(publisher.last_refusal().unwrap().contains("capacity"));
    });
}
