//! A publisher of a board that lies in its memory: versions, numbers, keys, lengths, slots. The
//! subscriber ends with an error, or goes on; it never panics, hangs, or reads beyond.

mod common;

use common::raw::{self, Hello, PAGE, Words};
use common::{Place, Random, guard, setting};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::fcntl_add_seals;
use slipring::board::{Change, Event, ReadError, Subscriber, SubscriberOptions, Update};
use slipring::feed::EndReason;
use slipring::{Error, Spin};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

const CAPACITY: usize = 4096;
const MAX_KEYS: usize = 4;
const MAX_VALUE: usize = 20;
/// Key and value of a half begin behind its number and its lengths; the value has 24 bytes.
const HALF: usize = 16 + 64 + 24;
/// The state, two halves, and up to a multiple of 64.
const SLOT: usize = 256;
const EPOCH: u64 = 7;

/// Where the words of the board's header lie.
mod at {
    pub const VERSION: usize = 0x08;
    pub const MAX_KEYS: usize = 0x10;
    pub const MAX_VALUE: usize = 0x18;
    pub const EPOCH: usize = 0x20;
    pub const USED: usize = 0x80;
    pub const PLACED: usize = 0x88;
}

fn slot_at(slot: usize) -> usize {
    PAGE + slot * SLOT
}

fn half_at(slot: usize, version: u64) -> usize {
    slot_at(slot) + 8 + (version % 2) as usize * HALF
}

/// A feed's memory and a board's, mapped writable for ever.
struct Own {
    feed: Words,
    board: Words,
    fds: [OwnedFd; 2],
}

fn own() -> Own {
    let fds = [raw::memory(PAGE + CAPACITY), raw::memory(2 * PAGE)];
    let feed = Words::map(fds[0].as_fd(), PAGE + CAPACITY, true).unwrap();
    raw::preamble(&feed, PAGE as u32, CAPACITY as u64);
    feed.store(0x18, EPOCH);
    feed.store(0x20, 200);
    let board = Words::map(fds[1].as_fd(), 2 * PAGE, true).unwrap();
    board.put(0, b"slipring");
    board.store(at::VERSION, 1);
    board.store(at::MAX_KEYS, MAX_KEYS as u64);
    board.store(at::MAX_VALUE, MAX_VALUE as u64);
    board.store(at::EPOCH, EPOCH);
    for fd in &fds {
        fcntl_add_seals(fd, raw::seals()).unwrap();
    }
    Own { feed, board, fds }
}

impl Own {
    fn passed(&self) -> [BorrowedFd<'_>; 2] {
        [self.fds[0].as_fd(), self.fds[1].as_fd()]
    }

    /// Writes a half, and says that it is there.
    fn set(&self, slot: usize, version: u64, number: u64, lengths: u64, key: &[u8], value: &[u8]) {
        let at = half_at(slot, version);
        self.board.store(at, number);
        self.board.store(at + 8, lengths);
        self.board.put(at + 16, key);
        self.board.put(at + 80, value);
        self.board.store(slot_at(slot), 2 * version);
    }

    /// Publishes the record 0 with these bytes.
    fn log(&self, payload: &[u8]) {
        self.feed.store(0x100, 64);
        self.feed.store(PAGE, 0);
        self.feed.store(PAGE + 8, payload.len() as u64);
        self.feed.put(PAGE + 16, payload);
        let len = 16 + payload.len().next_multiple_of(8);
        self.feed.store(0x80, len as u64);
    }
}

/// Answers one subscriber as a publisher would.
fn serve(listener: &UnixListener, fds: &[BorrowedFd<'_>]) -> UnixStream {
    let (link, _) = listener.accept().unwrap();
    raw::receive(&link).unwrap();
    let mut hello = Hello::new(CAPACITY).encode();
    hello[28] = 2;
    raw::send(&link, &hello, &[]).unwrap();
    raw::receive(&link).unwrap();
    let mut message = [0; raw::LEN];
    message[..8].copy_from_slice(b"slipring");
    message[8] = 3;
    let _ = raw::send(&link, &message, fds);
    link
}

fn connect(fds: &[BorrowedFd<'_>]) -> (Result<Subscriber, Error>, UnixStream) {
    let place = Place::new();
    let listener = UnixListener::bind(place.name("board")).unwrap();
    thread::scope(|scope| {
        let server = scope.spawn(|| serve(&listener, fds));
        let options = SubscriberOptions::new().spin(Spin::Never);
        let subscriber = options.connect(place.name("board"));
        (subscriber, server.join().unwrap())
    })
}

#[test]
fn a_publisher_by_hand_is_understood() {
    guard(|| {
        let own = own();
        // The bytes that `docs/layout.md` shows: version 1 lies in the second half.
        own.board.put(
            slot_at(0) + 8 + HALF,
            b"\x05\0\0\0\0\0\0\0\x04\0\0\0\x03\0\0\0EUR",
        );
        own.board.put(slot_at(0) + 8 + HALF + 80, b"1.17");
        own.board.store(slot_at(0), 2);
        own.board.store(at::USED, 1);
        own.board.store(at::PLACED, 1);
        let (panel, _link) = connect(&own.passed());
        let mut panel = panel.unwrap();
        assert_eq!(panel.epoch(), EPOCH);
        let Some(Event::Changes(mut changes)) = panel.try_changed().unwrap() else {
            panic!();
        };
        let expected = Change::Set {
            key: b"EUR",
            value: b"1.17",
            version: 5,
        };
        assert_eq!(changes.next(), Some(expected));
        // The next version is being written.
        own.board.store(slot_at(0), 3);
        assert_eq!(panel.get(b"EUR").unwrap().unwrap().value, b"1.17");
        own.set(0, 2, 6, 3 << 32 | 1 << 40, b"EUR", b"");
        assert_eq!(panel.get(b"EUR").unwrap(), None);
    });
}

/// Something that is wrong with a publisher's memory, and how to make it so.
type Lie = (&'static str, fn(&Own));

#[test]
fn what_no_publisher_can_have_written_ends_the_board() {
    guard(|| {
        let in_slots: &[Lie] = &[
            ("a value that is too long", |own| {
                own.set(0, 1, 0, 21 | 3 << 32, b"key", b"");
            }),
            ("a key that is too long", |own| {
                own.set(0, 1, 0, 65 << 32, b"key", b"");
            }),
            ("flags that there are not", |own| {
                own.set(0, 1, 0, 2 << 40, b"", b"");
            }),
        ];
        for (what, lie) in in_slots {
            let own = own();
            let (panel, _link) = connect(&own.passed());
            let mut panel = panel.unwrap();
            lie(&own);
            own.board.store(at::USED, u64::MAX);
            own.board.store(at::PLACED, 1);
            let error = panel.get(b"key").unwrap_err();
            assert!(matches!(error, ReadError::Corrupt), "{what}: {error}");
            let event = panel.try_changed().unwrap();
            let corrupt =
                matches!(event, Some(Event::Ended(end)) if end.reason == EndReason::Corrupt);
            assert!(corrupt, "{what}: {event:?}");
            assert!(panel.snapshot().is_err(), "{what}");
        }
        let in_the_log: &[(&str, &[u8])] = &[
            ("no header", b"\0\0\0\0\0\0\0"),
            ("a slot that there is not", b"\x04\0\0\0\0\0\0\0"),
            ("a key beyond its end", b"\0\0\0\0\x04\0\0\0key"),
            ("a key that is too long", &[65; 100]),
            ("flags that there are not", b"\0\0\0\0\0\x02\0\0"),
            ("a value of a removal", b"\0\0\0\0\0\x01\0\0value"),
            (
                "a value that is too long",
                b"\0\0\0\0\0\0\0\0twenty-one bytes long",
            ),
        ];
        for (what, record) in in_the_log {
            let own = own();
            let (panel, _link) = connect(&own.passed());
            let mut panel = panel.unwrap();
            assert!(panel.try_changed().unwrap().is_none());
            own.log(record);
            let mut events = panel.events();
            let update = events.try_recv().unwrap();
            let corrupt =
                matches!(update, Some(Update::Ended(end)) if end.reason == EndReason::Corrupt);
            assert!(corrupt, "{what}: {update:?}");
            assert!(
                matches!(panel.changed().unwrap(), Event::Ended(_)),
                "{what}"
            );
        }
    });
}

#[test]
fn memory_that_is_not_a_boards_is_refused() {
    guard(|| {
        let faults: &[Lie] = &[
            ("magic", |own| own.board.store(0, 1)),
            ("version", |own| own.board.store(at::VERSION, 2)),
            ("epoch", |own| own.board.store(at::EPOCH, 8)),
            ("no keys", |own| own.board.store(at::MAX_KEYS, 0)),
            ("too many keys", |own| own.board.store(at::MAX_KEYS, 17)),
            ("very many keys", |own| {
                own.board.store(at::MAX_KEYS, u64::MAX)
            }),
            ("too long values", |own| {
                own.board.store(at::MAX_VALUE, 4096)
            }),
            ("very long values", |own| {
                own.board.store(at::MAX_VALUE, u64::MAX)
            }),
        ];
        for (what, fault) in faults {
            let own = own();
            fault(&own);
            let error = connect(&own.passed()).0.unwrap_err();
            assert!(matches!(error, Error::BadPeer { .. }), "{what}: {error}");
        }
        let own = own();
        let [feed, board] = own.passed();
        let unsealed = raw::memory(2 * PAGE);
        let sparse = raw::sparse(2 * PAGE);
        fcntl_add_seals(&sparse, raw::seals()).unwrap();
        let large = raw::memory(65 << 20);
        fcntl_add_seals(&large, raw::seals()).unwrap();
        for fds in [
            &[feed][..],
            &[board],
            &[],
            &[feed, unsealed.as_fd()],
            &[feed, sparse.as_fd()],
            &[feed, large.as_fd()],
            &[feed, board, board],
        ] {
            let error = connect(fds).0.unwrap_err();
            assert!(matches!(error, Error::BadPeer { .. }), "{error}");
        }
    });
}

/// Words near to what is right, and any others, in every place.
#[test]
fn a_publisher_that_stores_anything_anywhere_breaks_nothing() {
    guard(|| {
        for seed in 0..setting("SLIPRING_BOARD_LIES", 200) {
            let mut random = Random::new(seed);
            let own = own();
            let (panel, _link) = connect(&own.passed());
            let mut panel = panel.unwrap();
            let (mut tail, mut next) = (0usize, 0u64);
            for _ in 0..200 {
                let any = random.next();
                let slot = random.below(MAX_KEYS as u64) as usize;
                let number = random.choose(&[next, next + 1, next.saturating_sub(1), any]);
                let key = random.choose(&[&b"a"[..], b"b", b"", b"key"]);
                match random.below(8) {
                    0 => own.board.store(at::USED, random.choose(&[0, 1, 4, 5, any])),
                    1 => own.board.store(at::PLACED, any),
                    2 => {
                        let state = random.choose(&[0, 1, 2, 3, 4, u64::MAX, any]);
                        own.board.store(slot_at(slot), state);
                    }
                    3 => {
                        let at = half_at(slot, any) + 8;
                        own.board.store(at, random.choose(&[5, 21, 65 << 32, any]));
                    }
                    4 | 5 => {
                        let removed = u64::from(random.below(3) == 0) << 40;
                        let lengths = 4 | (key.len() as u64) << 32 | removed;
                        own.set(slot, 1 + any % 5, number, lengths, key, b"four");
                    }
                    _ => {
                        // A record of the feed that is right, with a change that may not be.
                        let at = PAGE + tail % CAPACITY;
                        if tail % CAPACITY + 64 > CAPACITY {
                            break;
                        }
                        own.feed.store(0x100, tail as u64 + 64);
                        own.feed.store(at, next);
                        own.feed.store(at + 8, 16);
                        let head = slot as u64 | (key.len() as u64) << 32;
                        let head = random.choose(&[head, head, head, head | 1 << 40, any]);
                        own.feed.store(at + 16, head);
                        own.feed.put(at + 24, b"keyvalue");
                        own.feed.put(at + 24, key);
                        own.feed.store(0x180, tail as u64);
                        tail += 32;
                        next += 1;
                        own.feed.store(0x80, tail as u64);
                    }
                }
                let is_over = match random.below(5) {
                    0 => match panel.get(key) {
                        Ok(got) => got.is_some_and(|got| got.value.len() > MAX_VALUE),
                        Err(ReadError::Busy | ReadError::Corrupt) => false,
                        Err(error) => panic!("{error}"),
                    },
                    1 => match panel.snapshot() {
                        Ok(snapshot) => snapshot.entries.len() > MAX_KEYS,
                        Err(ReadError::Busy) => false,
                        Err(ReadError::Corrupt) => break,
                        Err(error) => panic!("{error}"),
                    },
                    2 => match panel.events().try_recv().unwrap() {
                        Some(Update::Ended(_)) => break,
                        Some(Update::Change { change, .. }) => change.key().len() > 64,
                        _ => false,
                    },
                    3 => match panel.try_changed().unwrap() {
                        Some(Event::Ended(_)) => break,
                        Some(Event::Changes(changes)) => changes.len() > 2 * MAX_KEYS + 4,
                        _ => false,
                    },
                    _ => {
                        let brief = Duration::from_micros(10);
                        matches!(
                            panel.changed_timeout(brief).unwrap(),
                            Some(Event::Restarted(_))
                        )
                    }
                };
                assert!(!is_over, "{seed}: more than there can be");
            }
        }
    });
}
