//! Two sides that trust each other do without one protection of their rings (`Options::trust_peer`); nobody else does, whatever the
//! other side would like.

mod common;

#[cfg(feature = "tokio")]
use common::Place;
use common::process::asleep;
use common::raw::{PAGE, Side, Words, answer, at, fixed, seals};
use common::{Random, bytes, guard, guard_for};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{SealFlags, fcntl_add_seals, fcntl_get_seals, fstat};
use slipring::{Options, Peers, Spin, Stream};
use std::io::{BufRead, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

const CAPACITY: usize = 64 * 1024;

fn options() -> Options {
    Options::new().capacity(CAPACITY).spin(Spin::Never)
}

/// A side that leaves it to the other one to seal its ring.
fn open_side() -> Side {
    let side = Side::unsealed(CAPACITY);
    fcntl_add_seals(&side.memory, fixed()).unwrap();
    side
}

/// A stream whose other side is written by hand, and the memory of the side under test.
fn stream_of(options: &Options, side: Side) -> (Stream, UnixStream, Side, OwnedFd) {
    let (ours, link) = UnixStream::pair().unwrap();
    let peer = thread::spawn(move || {
        side.greet(&link);
        let (_, mut fds) = answer(&link);
        (link, side, fds.remove(0))
    });
    let stream = options.upgrade(ours).unwrap();
    let (link, side, theirs) = peer.join().unwrap();
    (stream, link, side, theirs)
}

/// The seals of an outbox, of those that matter.
fn seals_of(memory: &OwnedFd) -> SealFlags {
    fcntl_get_seals(memory).unwrap() & seals()
}

/// How many mappings of this memory could be written through.
fn writable_mappings(memory: &OwnedFd) -> usize {
    let inode = fstat(memory).unwrap().st_ino.to_string();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let of_it = maps
        .lines()
        .filter(|line| line.split_whitespace().nth(4) == Some(&inode));
    of_it.filter(|line| line.contains(" rw-s ")).count()
}

#[test]
fn a_ring_is_read_writable_only_if_both_sides_say_so() {
    guard(|| {
        let cases = [
            (options(), false, false),
            (options().trust_peer(true), true, true),
            (options().trust_peer(true).trust_peer(false), false, false),
            // Others may come as well, but this one is of the same user.
            (options().trust_peer(true).allow(Peers::Anyone), true, true),
        ];
        for (options, leaves_open, takes_open) in cases {
            let (_stream, _link, side, theirs) = stream_of(&options, open_side());
            assert_eq!(seals_of(&theirs), if leaves_open { fixed() } else { seals() });
            assert_eq!(seals_of(&side.memory), if takes_open { fixed() } else { seals() });
            // This test has one itself. The ring is mapped twice in a row.
            let writable = writable_mappings(&side.memory) - 1;
            assert_eq!(writable, if takes_open { 2 } else { 0 });

            let (_stream, _link, side, _) = stream_of(&options, Side::new(CAPACITY));
            assert_eq!(writable_mappings(&side.memory), 1);
        }
    });
}

/// What cannot be sealed any more by the one who receives it is refused, trusted or not.
#[test]
fn only_the_two_seals_may_be_left_away() {
    guard(|| {
        for left in [
            fixed() | SealFlags::SEAL,
            fixed() | SealFlags::FUTURE_WRITE,
            SealFlags::GROW,
        ] {
            for trust in [false, true] {
                let (ours, link) = UnixStream::pair().unwrap();
                let side = Side::unsealed(CAPACITY);
                fcntl_add_seals(&side.memory, left).unwrap();
                side.greet(&link);
                let error = options().trust_peer(trust).upgrade(ours).unwrap_err();
                assert!(error.to_string().contains("the memory is not sealed"), "{error}");
            }
        }
    });
}

/// Messages of each size, of which the large ones are read through the other mapping, at every place of the ring.
#[test]
fn the_bytes_are_the_same_through_either_mapping() {
    guard_for(Duration::from_secs(600), || {
        let (mut left, mut right) = options().trust_peer(true).pair().unwrap();
        const LEN: u64 = 40 << 20;
        let writing = thread::spawn(move || {
            let (mut random, mut written) = (Random::new(1), 0);
            while written < LEN {
                let most = (3 * CAPACITY as u64) >> random.below(16);
                let n = random.below(most).min(LEN - written);
                left.write_all(&bytes::made(7, written, n as usize)).unwrap();
                written += n;
            }
        });
        let (mut random, mut read) = (Random::new(2), 0);
        let mut buf = vec![0; CAPACITY];
        while read < LEN {
            let n = if random.below(4) == 0 {
                let lent = right.fill_buf().unwrap();
                bytes::check(7, read, lent);
                let n = lent.len();
                right.consume(n);
                n
            } else {
                let most = CAPACITY >> random.below(16);
                let n = right.read(&mut buf[..most]).unwrap();
                bytes::check(7, read, &buf[..n]);
                n
            };
            assert!(n > 0);
            read += n as u64;
        }
        writing.join().unwrap();
        assert_eq!(right.read(&mut buf).unwrap(), 0);
    });
}

/// A listener's side has its options as a connecting one does, on tokio as well.
#[cfg(feature = "tokio")]
#[tokio::test]
async fn a_listener_trusts_as_it_is_told() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    for trusts in [false, true] {
        let place = Place::new();
        let name = place.name("x");
        let listener = slipring::tokio::Listener::bind_with(&options().trust_peer(trusts), &name).unwrap();
        let connecting = thread::spawn(move || {
            let link = UnixStream::connect(&name).unwrap();
            let side = open_side();
            side.greet(&link);
            let (_, fds) = answer(&link);
            (link, side, fds)
        });
        let mut stream = listener.accept().await.unwrap();
        let (link, side, fds) = connecting.join().unwrap();
        assert_eq!(seals_of(&fds[0]), if trusts { fixed() } else { seals() });
        assert_eq!(writable_mappings(&side.memory) - 1, if trusts { 2 } else { 0 });
        side.words.put(PAGE, &[7; 5000]);
        side.words.store(at::TAIL, 5000);
        let mut buf = [0; 5000];
        stream.read_exact(&mut buf).await.unwrap();
        assert_eq!(buf, [7; 5000]);
        stream.write_all(&buf).await.unwrap();
        drop(link);
    }
}

/// A trusted peer that writes all over this side's memory spoils its own stream, and gets nothing of this side's to fail.
#[test]
fn a_trusted_peer_that_writes_astray_spoils_what_it_reads() {
    guard(|| {
        let (mut stream, link, side, theirs) = stream_of(&options().trust_peer(true), open_side());
        let ours = Words::map(theirs.as_fd(), PAGE + CAPACITY, true).unwrap();
        let mut random = Random::new(3);
        let (mut written, mut sent) = (0, 0);
        for _ in 0..20_000 {
            for _ in 0..4 {
                // Header or ring, a number that is likely to be something, or any.
                let place = match random.below(2) {
                    0 => 8 * random.below(0x380 / 8),
                    _ => PAGE as u64 + 8 * random.below(CAPACITY as u64 / 8),
                };
                let value = random.next() >> random.below(64);
                ours.store(place as usize, value);
            }
            // Both directions go on as if nothing had happened: what this side knows of itself it does not read back.
            let n = random.below(1000) as usize;
            assert_eq!(stream.write(&vec![1; n]).unwrap(), n);
            written += n as u64;
            side.words.store(at::HEAD, written);
            side.words.put(PAGE + (sent % CAPACITY as u64) as usize, b"answer\n\n");
            sent += 8;
            side.words.store(at::TAIL, sent);
            let mut buf = [0; 8];
            stream.read_exact(&mut buf).unwrap();
            assert_eq!(&buf, b"answer\n\n");
        }
        // An end is still told, by the hang-up if not by the word that was overwritten.
        stream.set_nonblocking(true).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        stream.set_nonblocking(false).unwrap();
        let reading = asleep(move || stream.read(&mut [0]).map_err(|e| e.kind()));
        drop(link);
        assert_eq!(reading.join().unwrap(), Err(ErrorKind::ConnectionReset));
    });
}
