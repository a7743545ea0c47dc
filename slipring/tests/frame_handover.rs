//! A message under way belongs to the direction: the next sender or receiver on it meets no part
//! of another message.

#[path = "common/channel.rs"]
mod channel;

use channel::*;
use slipring::frame::{self, Error, Receiver, Sender};
use slipring::{EndReason, Reader, Spin, Stream};
use std::io::{ErrorKind, Read, Write};
use std::process::Command;

/// Of the header of the format, for a part that others follow.
fn more(len: u32) -> [u8; 8] {
    (1u64 << 32 | u64::from(len)).to_le_bytes()
}

fn last(len: u32) -> [u8; 8] {
    u64::from(len).to_le_bytes()
}

const GIVE_UP: [u8; 8] = [0, 0, 0, 0, 2, 0, 0, 0];

/// A sender that has given up the middle of a message, with `before` bytes in front of it in the
/// ring.
fn interrupted(before: usize) -> (Sender, Receiver, (Sender, Receiver)) {
    let (mut sender, receiver, others) = channel();
    sender.set_nonblocking(true);
    sender.send(&message(0, before)).unwrap();
    let error = sender.send(&message(1, 10 * RING)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    (sender, receiver, others)
}

/// For any fill of the ring: the message after an interrupted message is received, and nothing of
/// the interrupted one.
#[test]
fn the_next_sender_sends_no_part_of_the_last_ones_message() {
    for before in (0..RING / 2 - 8).step_by(8) {
        let (sender, mut receiver, _others) = interrupted(before);
        let position = sender.writer().position();
        let writer = sender.into_inner();
        assert_eq!(
            writer.position(),
            position + 8,
            "given up without waiting, {before}"
        );
        let mut sender = Sender::new(writer).unwrap();
        assert!(received(&mut receiver) == message(0, before));
        assert_eq!(
            receiver.try_recv().unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        sender.send(b"hello").unwrap();
        assert_eq!(received(&mut receiver), b"hello", "{before}");
        drop(sender);
        assert!(receiver.recv().unwrap().is_none());
    }
}

/// Raw bytes lie behind the message that was given up.
#[test]
fn bytes_after_an_interrupted_message_are_not_in_it() {
    let (sender, mut receiver, _others) = interrupted(8);
    let mut writer = sender.into_inner();
    assert!(received(&mut receiver) == message(0, 8));
    assert_eq!(
        receiver.try_recv().unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    let mut reader = receiver.into_inner();
    writer.set_nonblocking(false);
    writer.write_all(b"raw").unwrap();
    let mut raw = [0; 3];
    reader.read_exact(&mut raw).unwrap();
    assert_eq!(&raw, b"raw");
}

/// One end of a stream that speaks raw bytes, the other a receiver that has taken one part of 8
/// bytes.
fn half_received() -> (Stream, Receiver, Sender) {
    let (mut left, right) = raw_pair();
    let (sender, mut receiver) = frame::split(right).unwrap();
    receiver.set_timeout(Some(LONG)).unwrap();
    left.write_all(&[more(8), [b'a'; 8]].concat()).unwrap();
    assert_eq!(
        receiver.try_recv().unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    (left, receiver, sender)
}

fn again(receiver: Receiver) -> Receiver {
    Receiver::new(receiver.into_inner()).unwrap()
}

#[test]
fn the_next_receiver_passes_over_the_rest_of_a_message() {
    // More parts, the last one; none; given up.
    let rests = [
        [
            more(16),
            last(1),
            last(2),
            last(8),
            [b'b'; 8],
            last(3),
            [b'c'; 8],
        ]
        .concat(),
        [last(0), last(3), [b'c'; 8]].concat(),
        [GIVE_UP, last(3), [b'c'; 8]].concat(),
    ];
    for rest in rests {
        for cut in 0..rest.len() {
            let (mut left, receiver, _sender) = half_received();
            let mut receiver = again(receiver);
            left.write_all(&rest[..cut]).unwrap();
            // Also one that has seen no more than a header, and those that come after it.
            let outcome = receiver.try_recv().map(drop);
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::WouldBlock, "{cut}");
            let mut receiver = again(again(receiver));
            left.write_all(&rest[cut..]).unwrap();
            assert_eq!(received(&mut receiver), b"ccc", "{cut}");
        }
    }
}

#[test]
fn a_message_that_is_passed_over_may_be_long_and_torn() {
    let (mut left, receiver, _sender) = half_received();
    let mut receiver = again(receiver).with_max(8);
    for part in 0..100 {
        left.write_all(&[more(1000).to_vec(), vec![part; 1000]].concat())
            .unwrap();
        assert_eq!(
            receiver.try_recv().unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
    }
    let mut receiver = again(receiver).with_max(8);
    drop(left);
    for _ in 0..2 {
        let (arrived, reason) = (100_008, EndReason::Finished);
        assert_eq!(
            fault(receiver.recv()),
            (ErrorKind::UnexpectedEof, Error::Torn { arrived, reason })
        );
        receiver = again(receiver);
    }
}

#[test]
fn a_frame_header_that_was_only_looked_at_is_looked_at_again() {
    let (mut left, right) = raw_pair();
    let (_sender, mut receiver) = frame::split(right).unwrap();
    left.write_all(&[last(3), [b'a'; 8]].concat()[..10])
        .unwrap();
    assert_eq!(
        receiver.try_recv().unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    let mut receiver = again(receiver);
    left.write_all(&[b'a'; 6]).unwrap();
    assert_eq!(received(&mut receiver), b"aaa");
}

#[test]
fn bytes_that_were_read_inside_a_message_are_told() {
    let (mut left, receiver, _sender) = half_received();
    left.write_all(&[more(8), [b'b'; 8], last(0)].concat())
        .unwrap();
    let mut reader: Reader = receiver.into_inner();
    reader.read_exact(&mut [0; 8]).unwrap();
    let error = Receiver::new(reader).unwrap_err();
    assert_eq!(
        error,
        Error::InsideMessage {
            left: 16,
            position: 24
        }
    );
}

#[test]
fn an_error_of_a_receiver_is_that_of_the_next_one() {
    let (mut left, right) = raw_pair();
    let (_sender, mut receiver) = frame::split(right).unwrap();
    left.write_all(&[0xff; 8]).unwrap();
    for _ in 0..3 {
        let (kind, error) = fault(receiver.recv());
        assert_eq!(kind, ErrorKind::InvalidData);
        assert!(matches!(error, Error::UnknownFlags { .. }));
        receiver = again(receiver);
    }
}

const ROLE: &str = "SLIPRING_HANDOVER_NAME";

/// The sender that is interrupted again and again, in a process of its own.
#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    let name = std::env::var(ROLE)
        .expect("started by a test only: leave it out with --skip child_process");
    let stream = options().wait_for_listener(LONG).connect(name).unwrap();
    let (mut sender, mut receiver) = frame::split(stream).unwrap();
    for number in 0..200u64 {
        sender.set_nonblocking(true);
        let large = message(number, 2 * RING + number as usize);
        let whole = match sender.send(&large) {
            Ok(()) => true,
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::WouldBlock);
                false
            }
        };
        sender = Sender::new(sender.into_inner()).unwrap();
        sender.set_nonblocking(false);
        sender.set_timeout(Some(LONG)).unwrap();
        sender.send(&[u8::from(whole)]).unwrap();
        if number % 3 == 0 {
            receiver.set_timeout(Some(LONG)).unwrap();
            assert_eq!(received(&mut receiver), b"go on");
        }
    }
}

/// Two processes, both of which take their wrappers away at every moment.
#[test]
fn every_message_received_across_handovers_was_sent() {
    let directory = tempfile::tempdir().unwrap();
    let name = directory.path().join("handover");
    let listener = options().spin(Spin::Never).bind(&name).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "child_process", "--nocapture"])
        .env(ROLE, &name)
        .spawn()
        .expect("the test binary starts");
    let (mut sender, receiver) = frame::split(listener.accept().unwrap()).unwrap();
    let mut receiver = again(receiver);
    receiver.set_timeout(Some(LONG)).unwrap();
    for number in 0..200u64 {
        let first = received(&mut receiver);
        // Large ones are whole, and only those that were sent; each is followed by a word of it.
        let told = if first.len() == 1 {
            first
        } else {
            assert!(
                first == message(number, 2 * RING + number as usize),
                "{number}"
            );
            let told = received(&mut receiver);
            assert_eq!(told, [1]);
            told
        };
        assert!(told == [0] || told == [1]);
        if number % 3 == 0 {
            sender.send(b"go on").unwrap();
        }
        if number % 2 == 0 {
            // Not within a message that the child has sent: those it would lose.
            receiver = again(receiver);
            receiver.set_timeout(Some(LONG)).unwrap();
        }
    }
    assert!(receiver.recv().unwrap().is_none());
    assert!(child.wait().unwrap().success());
}
