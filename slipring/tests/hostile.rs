//! A peer that shakes hands by the rules and then writes arbitrary words into its own header, at
//! any moment: an error on that stream, and nothing beyond it.

mod common;

use common::process::{alone, asleep, play};
use common::raw::{PAGE, Peer, Side, Words, answer, at, doorbell, ring_word, send};
use common::{Random, descriptors, eventually, guard, kind};
use rustix::fd::{AsFd, AsRawFd};
use rustix::fs::{
    FallocateFlags, Mode, OFlags, SealFlags, fallocate, fcntl_add_seals, ftruncate, open,
};
use rustix::io::Errno;
use slipring::{EndReason, Options, Peers, Spin, Stream};
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    play(&[("descriptors without end", descriptors_without_end)]);
}

const CAPACITY: usize = 4096;

/// How `fin` and `stop` say that a side has given the stream up.
const POISONED: u64 = 3;

fn options() -> Options {
    Options::new()
        .capacity(CAPACITY)
        .max_capacity(CAPACITY)
        .spin(Spin::Never)
}

/// A stream whose other side is written by hand.
fn stream_of(options: &Options, side: Side) -> (Stream, Peer) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let peer = thread::spawn(move || Peer::shake_hands(theirs, side));
    (options.upgrade(ours).unwrap(), peer.join().unwrap())
}

fn stream() -> (Stream, Peer) {
    stream_of(&options(), Side::new(CAPACITY))
}

/// The low half of a word of the side under test: `fin` and `stop`.
fn flag(peer: &Peer, at: usize) -> u64 {
    peer.theirs.load(at) & 0xffff_ffff
}

/// Everything fails now, on both halves and for good, and the peer is told.
#[track_caller]
fn assert_given_up(stream: &mut Stream, peer: &Peer) {
    stream.set_nonblocking(true).unwrap();
    for _ in 0..2 {
        assert_eq!(kind(stream.read(&mut [0; 8])), ErrorKind::InvalidData);
        assert_eq!(kind(stream.fill_buf()), ErrorKind::InvalidData);
        assert_eq!(
            kind(stream.reader().try_read(&mut [0; 8])),
            ErrorKind::InvalidData
        );
        assert_eq!(
            kind(stream.reader().fill_at_least(1)),
            ErrorKind::InvalidData
        );
        assert_eq!(kind(stream.write(b"x")), ErrorKind::InvalidData);
        assert_eq!(
            kind(stream.writer().try_write(b"x")),
            ErrorKind::InvalidData
        );
        assert_eq!(kind(stream.writer().reserve(1)), ErrorKind::InvalidData);
        assert_eq!(kind(stream.writer().space()), ErrorKind::InvalidData);
    }
    assert_eq!(stream.reader().end().unwrap().reason, EndReason::Corrupt);
    assert_eq!(stream.writer().end().unwrap().reason, EndReason::Corrupt);
    assert_eq!(
        (flag(peer, at::FIN), flag(peer, at::STOP)),
        (POISONED, POISONED)
    );
}

#[test]
fn a_tail_out_of_range_poisons_the_stream() {
    guard(|| {
        for tail in [
            CAPACITY as u64 + 1,
            1 << 32,
            1 << 63,
            u64::MAX - 1,
            u64::MAX,
        ] {
            let (mut stream, peer) = stream();
            peer.mine.words.store(at::TAIL, tail);
            assert_eq!(kind(stream.read(&mut [0; 8])), ErrorKind::InvalidData);
            // Putting it right again is too late.
            peer.mine.words.store(at::TAIL, 8);
            assert_given_up(&mut stream, &peer);
        }
    });
}

#[test]
fn a_tail_that_goes_back_poisons_the_stream() {
    guard(|| {
        for (first, read, then) in [
            (100, 100, 99),
            (100, 100, 0),
            (4096, 4096, 4095),
            (100, 50, 60),
            (100, 1, 99),
        ] {
            let (mut stream, peer) = stream();
            peer.mine.words.store(at::TAIL, first);
            stream.read_exact(&mut vec![0; read]).unwrap();
            peer.mine.words.store(at::TAIL, then);
            let result = stream
                .reader()
                .fill_at_least(first as usize - read + 1)
                .map(|_| ());
            assert_eq!(kind(result), ErrorKind::InvalidData);
            assert_given_up(&mut stream, &peer);
        }
    });
}

#[test]
fn a_head_out_of_range_poisons_the_stream() {
    guard(|| {
        type Call = fn(&mut Stream) -> std::io::Result<()>;
        let calls: [Call; 4] = [
            |s| s.write_all(&[0; CAPACITY]),
            |s| s.writer().reserve(CAPACITY).map(|_| ()),
            |s| s.writer().space().map(|_| ()),
            |s| s.writer().wait_consumed(),
        ];
        for call in calls {
            for head in [101, CAPACITY as u64, 1 << 63, u64::MAX] {
                let (mut stream, peer) = stream();
                stream.write_all(&[0; 100]).unwrap();
                peer.mine.words.store(at::HEAD, head);
                assert_eq!(kind(call(&mut stream)), ErrorKind::InvalidData);
                peer.mine.words.store(at::HEAD, 0);
                assert_eq!(
                    kind(stream.writer().wait_consumed()),
                    ErrorKind::InvalidData
                );
                assert_given_up(&mut stream, &peer);
            }
            let (mut stream, peer) = stream();
            stream.write_all(&[0; 100]).unwrap();
            peer.mine.words.store(at::HEAD, 50);
            assert_eq!(stream.writer().space().unwrap(), CAPACITY - 50);
            peer.mine.words.store(at::HEAD, 49);
            assert_eq!(kind(call(&mut stream)), ErrorKind::InvalidData);
            assert_given_up(&mut stream, &peer);
        }
    });
}

/// Ends that no version of the protocol knows.
#[test]
fn an_unknown_end_poisons_the_stream() {
    guard(|| {
        for unknown in [6, 77, u32::MAX] {
            let (mut stream, peer) = stream();
            peer.mine.words.put(PAGE, b"abc");
            peer.mine.words.store(at::TAIL, 3);
            peer.mine.words.store32(at::FIN, unknown);
            let mut all = Vec::new();
            assert_eq!(kind(stream.read_to_end(&mut all)), ErrorKind::InvalidData);
            assert_eq!(all, b"abc");
            peer.mine.words.store32(at::FIN, 0);
            assert_given_up(&mut stream, &peer);
        }
    });
}

#[test]
fn an_unknown_stop_poisons_the_stream() {
    guard(|| {
        for unknown in [5, 77, u32::MAX] {
            let (mut stream, peer) = stream();
            peer.mine.words.store32(at::STOP, unknown);
            assert_eq!(kind(stream.writer().space()), ErrorKind::InvalidData);
            peer.mine.words.store32(at::STOP, 0);
            assert_given_up(&mut stream, &peer);
        }
    });
}

/// An end is final, even if the peer takes it back.
#[test]
fn an_end_that_is_taken_back_stays() {
    guard(|| {
        let (mut stream, peer) = stream();
        peer.mine.words.put(PAGE, b"abcdef");
        peer.mine.words.store(at::TAIL, 3);
        peer.mine.words.store32(at::FIN, 1);
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"abc");
        peer.mine.words.store32(at::FIN, 0);
        peer.mine.words.store(at::TAIL, 6);
        stream.set_nonblocking(true).unwrap();
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0);
        assert_eq!(stream.reader().end().unwrap().reason, EndReason::Finished);

        peer.mine.words.store32(at::STOP, 1);
        assert_eq!(kind(stream.writer().space()), ErrorKind::BrokenPipe);
        peer.mine.words.store32(at::STOP, 0);
        assert_eq!(kind(stream.write(b"x")), ErrorKind::BrokenPipe);
        assert_eq!(stream.writer().end().unwrap().reason, EndReason::ReaderGone);
    });
}

/// Ends in an order that no side has: an abort of one direction only, an end of the writer after
/// its abort.
#[test]
fn half_an_abort_is_an_abort() {
    guard(|| {
        let (mut stream, peer) = stream();
        peer.mine.words.store32(at::CODE, 5);
        peer.mine.words.store32(at::FIN, 2);
        assert_eq!(kind(stream.read(&mut [0; 8])), ErrorKind::ConnectionAborted);
        assert_eq!(
            stream.reader().end().unwrap().reason,
            EndReason::Aborted { code: 5 }
        );
        stream.write_all(b"x").unwrap();
        peer.mine.words.store32(at::STOP, 3);
        assert_eq!(kind(stream.writer().space()), ErrorKind::ConnectionAborted);
        assert_eq!(stream.writer().end().unwrap().reason, EndReason::Rejected);
    });
}

/// Wake words are wishes: none of them makes the other side wait for ever, lose anything, or work
/// in vain for ever.
#[test]
fn wake_words_may_be_anything() {
    guard(|| {
        for wake in [1, 2, CAPACITY as u64, 1 << 63, u64::MAX] {
            let (mut stream, peer) = stream();
            peer.mine.words.store(at::WAKE_AT_TAIL, wake);
            peer.mine.words.store(at::WAKE_AT_HEAD, wake);
            stream
                .set_read_timeout(Some(Duration::from_millis(2)))
                .unwrap();
            stream
                .set_write_timeout(Some(Duration::from_millis(2)))
                .unwrap();
            let mut written = 0;
            let error = loop {
                match stream.write(&[0; 1000]) {
                    Ok(n) => written += n,
                    Err(e) => break e,
                }
            };
            assert_eq!((error.kind(), written), (ErrorKind::WouldBlock, CAPACITY));
            assert_eq!(kind(stream.read(&mut [0; 8])), ErrorKind::WouldBlock);
            peer.mine.words.store(at::HEAD, 1000);
            assert_eq!(stream.write(&[0; 1001]).unwrap(), 1000);
            peer.mine.words.store(at::HEAD, 1001);
            for result in [
                stream.writer().reserve(2).map(|_| ()),
                stream.writer().wait_consumed(),
            ] {
                // It says that it starves; so it is told. But the largest number says that it is
                // awake.
                let expected = if wake > CAPACITY as u64 + 1000 && wake != u64::MAX {
                    ErrorKind::Deadlock
                } else {
                    ErrorKind::WouldBlock
                };
                assert_eq!(kind(result), expected, "{wake}");
            }
            peer.mine.words.store(at::TAIL, 5);
            assert_eq!(stream.read(&mut [0; 8]).unwrap(), 5);
        }
    });
}

/// A peer that never wakes is found to have written when the time is up.
#[test]
fn without_any_ringing_the_end_of_the_time_is_a_look() {
    guard(|| {
        let (mut stream, peer) = stream();
        stream
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        let reading = asleep(move || stream.read(&mut [0; 8]).map(|n| (n, stream)));
        peer.mine.words.store(at::TAIL, 3);
        assert_eq!(reading.join().unwrap().unwrap().0, 3);
    });
}

#[test]
fn closing_the_link_in_any_way_is_a_death() {
    guard(|| {
        for how in [None, Some(Shutdown::Write), Some(Shutdown::Both)] {
            let (mut stream, peer) = stream();
            stream.write_all(&[0; 100]).unwrap();
            peer.mine.words.store(at::TAIL, 3);
            match how {
                Some(how) => peer.link.shutdown(how).unwrap(),
                None => drop(peer),
            }
            assert_eq!(stream.read(&mut [0; 8]).unwrap(), 3);
            assert_eq!(kind(stream.read(&mut [0; 8])), ErrorKind::ConnectionReset);
            assert_eq!(kind(stream.writer().wait_consumed()), ErrorKind::BrokenPipe);
        }
    });
}

/// A doorbell whose counter is full, or was never filled, blocks nobody and ends nothing.
#[test]
fn a_bell_that_cannot_be_rung_is_its_owners_loss() {
    guard(|| {
        for inverted in [false, true] {
            let mut side = Side::new(CAPACITY);
            side.passing.doorbells = u8::from(inverted);
            for doorbell in &side.doorbells {
                if inverted {
                    // Empty, and blocking: each waker takes one.
                    rustix::io::ioctl_fionbio(doorbell, false).unwrap();
                } else {
                    rustix::io::write(doorbell, &(u64::MAX - 1).to_ne_bytes()).unwrap();
                }
            }
            let options = if inverted {
                options().allow(Peers::Anyone)
            } else {
                options()
            };
            let (mut stream, peer) = stream_of(&options, side);
            let (mut written, mut published) = (0, 0);
            for _ in 0..1000 {
                // Armed for the next byte, always.
                peer.mine.words.store(at::WAKE_AT_TAIL, written + 1);
                peer.mine.words.store(at::WAKE_AT_HEAD, published + 1);
                stream.write_all(b"0123456789").unwrap();
                written += 10;
                peer.mine.words.store(at::HEAD, written);
                published += 10;
                peer.mine.words.store(at::TAIL, published);
                stream.read_exact(&mut [0; 10]).unwrap();
            }
        }
    });
}

/// Words that it publishes all at once while this side polls: every index is either taken as it is
/// or refused.
#[test]
fn indexes_that_change_all_the_time_are_loaded_once() {
    guard(|| {
        let (mut taken, mut refused) = (0, 0);
        let mut round = 0;
        // On a busy machine the other thread may change little meanwhile. The guard ends a test in
        // which nothing is ever taken or refused.
        while round < 50 || taken == 0 || refused == 0 {
            round += 1;
            let (mut stream, peer) = stream();
            let (changes, done) = (AtomicU32::new(0), AtomicBool::new(false));
            stream.set_nonblocking(true).unwrap();
            thread::scope(|scope| {
                scope.spawn(|| {
                    let words = &peer.mine.words;
                    let mut random = Random::new(round);
                    while !done.load(Ordering::Relaxed) {
                        words.store(
                            at::TAIL,
                            random.choose(&[0, 8, CAPACITY as u64, CAPACITY as u64 + 1]),
                        );
                        words.store(at::HEAD, random.choose(&[0, 8, 16]));
                        let right = ring_word(0, CAPACITY as u64);
                        let wrong = random.next();
                        words.store(
                            at::RING,
                            if wrong.is_multiple_of(64) {
                                wrong
                            } else {
                                right
                            },
                        );
                        changes.fetch_add(1, Ordering::Relaxed);
                    }
                });
                eventually("it changes", || changes.load(Ordering::Relaxed) > 0);
                let mut judge = |error: io::Error| match error.kind() {
                    ErrorKind::WouldBlock => {}
                    ErrorKind::InvalidData => refused += 1,
                    _ => panic!("{error:?}"),
                };
                let (since, mut looks) = (changes.load(Ordering::Relaxed), 0);
                while looks < 200 || changes.load(Ordering::Relaxed) < since + 1000 {
                    looks += 1;
                    match stream.fill_buf().map(<[u8]>::len) {
                        Ok(n) => {
                            assert!((1..=CAPACITY).contains(&n), "{n}");
                            stream.consume(n.min(8));
                            taken += 1;
                        }
                        Err(e) => judge(e),
                    }
                    if let Err(e) = stream.write(&[1; 16]) {
                        judge(e);
                    }
                    match stream.writer().try_reserve(100) {
                        Ok(grant) => assert_eq!(grant.len(), 100),
                        Err(e) => judge(e),
                    }
                }
                done.store(true, Ordering::Relaxed);
            });
            // The words so far were taken as they were; the next one is not.
            peer.mine.words.store(at::TAIL, u64::MAX);
            let last = std::io::copy(&mut stream, &mut std::io::sink());
            assert_eq!(kind(last), ErrorKind::InvalidData);
        }
    });
}

/// Both regions stay as they were verified. A peer tries everything with the descriptors:
/// shrinking, growing, holes, a mapping that can be written, or more seals.
#[test]
fn nobody_changes_an_outbox_but_its_owner_through_its_mapping() {
    guard(|| {
        let (ours, link) = UnixStream::pair().unwrap();
        let peer = thread::spawn(move || {
            let mine = Side::new(CAPACITY);
            mine.greet(&link);
            let (_, mut fds) = answer(&link);
            fds.truncate(2);
            (link, mine, fds)
        });
        let mut stream = options().upgrade(ours).unwrap();
        let (_link, mine, theirs) = peer.join().unwrap();
        stream.write_all(b"as it was").unwrap();
        let (header, ring) = (PAGE as u64, CAPACITY as u64);
        for (memory, len) in [
            (&mine.header, header),
            (&mine.memory, ring),
            (&theirs[0], header),
            (&theirs[1], ring),
        ] {
            // The description is opened anew for writing where that can be had, as root can.
            let again = open(
                format!("/proc/self/fd/{}", memory.as_raw_fd()),
                OFlags::RDWR,
                Mode::empty(),
            );
            let again = again.unwrap();
            let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            for fd in [memory, &again] {
                for other in [0, 1, len - 1, len + 1, 2 * len] {
                    assert_eq!(ftruncate(fd, other).unwrap_err(), Errno::PERM, "{other}");
                }
                assert_eq!(fallocate(fd, punch, 0, len).unwrap_err(), Errno::PERM);
                assert_eq!(
                    fallocate(fd, FallocateFlags::empty(), len, len).unwrap_err(),
                    Errno::PERM
                );
                assert_eq!(rustix::io::pwrite(fd, b"x", 0).unwrap_err(), Errno::PERM);
                assert!(Words::map(fd.as_fd(), PAGE, true).is_err());
                assert_eq!(
                    fcntl_add_seals(fd, SealFlags::WRITE).unwrap_err(),
                    Errno::PERM
                );
            }
        }
        let words = Words::map(theirs[1].as_fd(), CAPACITY, false).unwrap();
        assert_eq!(words.load(0).to_ne_bytes(), *b"as it wa");
        mine.words.put(PAGE, b"all the same");
        mine.words.store(at::TAIL, 12);
        let mut buf = [0; 12];
        stream.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"all the same");
    });
}

/// A peer that sends descriptors without end over the link of an established stream sends them to
/// nobody: none of them is received.
#[test]
fn descriptors_after_the_handshake_are_nobodys() {
    guard(|| alone("descriptors without end"));
}

fn descriptors_without_end(_: &[&str]) {
    let before = descriptors();
    let (mut stream, peer) = stream();
    let up = descriptors();
    let doorbell = doorbell();
    peer.link.set_nonblocking(true).unwrap();
    // Until the kernel takes no more.
    let mut sent = 0;
    while sent < 10_000 && send(&peer.link, b"x", &[doorbell.as_fd(); 100]).is_ok() {
        sent += 1;
    }
    assert!(sent > 0);
    for n in 1..=100 {
        stream.write_all(b"x").unwrap();
        peer.mine.words.store(at::HEAD, n);
        peer.mine.words.store(at::TAIL, n);
        stream.read_exact(&mut [0]).unwrap();
    }
    assert_eq!(descriptors(), up + 1);
    drop((peer, doorbell));
    assert_eq!(kind(stream.read(&mut [0])), ErrorKind::ConnectionReset);
    drop(stream);
    // The link is closed by another thread, with all that was sent over it.
    eventually("nothing is left", || descriptors() == before);
}
