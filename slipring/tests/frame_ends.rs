//! Every way in which a message does not arrive: too large, torn, not a message; and the errors
//! that the two sides get then.

#[path = "common/channel.rs"]
mod channel;

use channel::*;
use slipring::frame::{self, Error, Receiver, Sender};
use slipring::{EndReason, Spin};
use std::io::{self, ErrorKind, Read, Write};
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

#[test]
fn a_message_beyond_the_maximum_ends_both_sides() {
    let max = 3 * RING + 5;
    for whole in [false, true] {
        let (mut sender, receiver, _others) = channel();
        let max = if whole { 100 } else { max };
        let mut receiver = receiver.with_max(max);
        assert_eq!(receiver.max(), max);
        let sending = thread::spawn(move || {
            sender.send(&message(0, max)).unwrap();
            // The receiver takes no more: the sender does not wait for ever, but is told.
            loop {
                if let Err(e) = sender.send(&message(1, max + 1)) {
                    return e.kind();
                }
            }
        });
        assert!(received(&mut receiver) == message(0, max));
        for _ in 0..2 {
            let (kind, fault) = fault(receiver.recv());
            assert_eq!(kind, ErrorKind::InvalidData);
            assert!(
                matches!(fault, Error::TooLarge { max: most, .. } if most == max as u64),
                "{fault}"
            );
        }
        assert_eq!(sending.join().unwrap(), ErrorKind::BrokenPipe);
        assert!(fault(receiver.latest()).0 == ErrorKind::InvalidData);
    }
}

#[test]
fn an_error_behind_good_messages_comes_after_them() {
    let (mut left, right) = raw_pair();
    let mut bytes = Vec::new();
    for letter in b"abc" {
        bytes.extend([1, 0, 0, 0, 0, 0, 0, 0, *letter, 0, 0, 0, 0, 0, 0, 0]);
    }
    bytes.extend([0xff; 16]);
    left.write_all(&bytes).unwrap();
    let (_sender, mut receiver) = frame::split(right).unwrap();
    let latest = receiver.latest().unwrap().unwrap();
    assert_eq!((&*latest.message, latest.skipped), (&b"c"[..], 2));
    drop(latest);
    for _ in 0..2 {
        let (kind, fault) = fault(receiver.recv());
        let flags = u32::MAX;
        assert_eq!(
            (kind, fault),
            (
                ErrorKind::InvalidData,
                Error::UnknownFlags {
                    flags,
                    position: 48
                }
            )
        );
    }
    // The sender is told.
    let outcome = left
        .write_all(b"more")
        .and_then(|()| left.writer().wait_consumed());
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn messages_begin_at_multiples_of_eight() {
    let (mut left, mut right) = raw_pair();
    left.write_all(b"hello").unwrap();
    right.read_exact(&mut [0; 5]).unwrap();
    let (reader, writer) = left.into_split();
    assert!(matches!(
        Sender::new(writer),
        Err(Error::Misaligned { position: 5, .. })
    ));
    let error = io::Error::from(Receiver::new(right.into_split().0).unwrap_err());
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    drop(reader);

    // After other bytes, if their number is a multiple of eight, also if some of them were lent out
    // of a copy.
    let (mut left, mut right) = options().copy_reads(true).pair().unwrap();
    left.write_all(b"hello, hello ...").unwrap();
    right.reader().fill_at_least(16).unwrap();
    right.read_exact(&mut [0; 5]).unwrap();
    right.read_exact(&mut [0; 11]).unwrap();
    let (mut sender, _receiver) = frame::split(left).unwrap();
    let (_sender, mut receiver) = frame::split(right).unwrap();
    sender.send(b"there").unwrap();
    let got = receiver.recv().unwrap().unwrap();
    assert_eq!(*got, *b"there");
    assert!(got.as_ptr().cast::<u64>().is_aligned());
    drop(got);
    // And before others.
    let mut writer = sender.into_inner();
    let mut reader = receiver.into_inner();
    writer.write_all(b"raw").unwrap();
    let mut raw = [0; 3];
    reader.read_exact(&mut raw).unwrap();
    assert_eq!(&raw, b"raw");
}

/// Bytes that are no whole message, and how many of the payload they bring.
fn torn_bytes() -> Vec<(Vec<u8>, u64)> {
    let whole = [
        9, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0, 0, 0, 0, 0,
    ];
    let part = [8, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    let mut torn: Vec<_> = [1, 7, 8, 9, 16, 23]
        .map(|n| (whole[..n].to_vec(), n.saturating_sub(8) as u64))
        .into();
    torn.push((part.to_vec(), 8));
    torn.push(([&part[..], &part].concat(), 16));
    torn.push(([&part[..], &whole[..16]].concat(), 16));
    torn
}

#[test]
fn an_orderly_end_inside_a_message_tears_it() {
    for (bytes, arrived) in torn_bytes() {
        let (left, right) = raw_pair();
        let (_reader, mut writer) = left.into_split();
        writer
            .write_all(&[2, 0, 0, 0, 0, 0, 0, 0, b'o', b'k', 0, 0, 0, 0, 0, 0])
            .unwrap();
        writer.write_all(&bytes).unwrap();
        let (_sender, mut receiver) = frame::split(right).unwrap();
        assert_eq!(received(&mut receiver), b"ok");
        drop(writer);
        for _ in 0..2 {
            let (kind, fault) = fault(receiver.recv());
            let reason = EndReason::Finished;
            assert_eq!(
                (kind, fault),
                (ErrorKind::UnexpectedEof, Error::Torn { arrived, reason }),
                "{bytes:?}"
            );
        }
    }
}

#[test]
fn an_abort_inside_a_message_tears_it() {
    let (mut left, right) = raw_pair();
    let (_sender, mut receiver) = frame::split(right).unwrap();
    // A part that others follow.
    left.write_all(&[8, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8])
        .unwrap();
    left.writer().abort(3);
    let (kind, fault) = fault(receiver.recv());
    assert_eq!(kind, ErrorKind::ConnectionAborted);
    let reason = EndReason::Aborted { code: 3 };
    assert_eq!(fault, Error::Torn { arrived: 8, reason });
}

#[test]
fn an_abort_after_a_message_that_was_given_up_tears_none() {
    let (mut sender, mut receiver, _others) = channel();
    sender.set_nonblocking(true);
    assert_eq!(
        sender.send(&message(0, RING)).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    sender.into_inner().abort(3);
    let error = receiver.recv().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    assert_eq!(Error::of(&error), None);
}

#[test]
fn a_closer_ends_a_blocked_receive() {
    let (mut sender, mut receiver, _others) = channel_with(&options().spin(Spin::Never));
    sender.set_nonblocking(true);
    assert_eq!(
        sender.send(&message(0, RING)).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    let closer = receiver.closer();
    let receiving = thread::spawn(move || receiver.recv().map(|message| message.is_some()));
    closer.close();
    // This side has closed it: the end is in order, though a message was under way.
    assert!(!receiving.join().unwrap().unwrap());
}

#[test]
fn a_timeout_inside_a_message_loses_nothing() {
    let (mut left, right) = raw_pair();
    let (_sender, mut receiver) = frame::split(right).unwrap();
    receiver
        .set_timeout(Some(Duration::from_millis(1)))
        .unwrap();
    for piece in [
        &[8, 0, 0, 0, 1][..],
        &[0, 0, 0, b'a'],
        &[b'a'; 7],
        &[3, 0, 0, 0, 0, 0, 0, 0],
        b"bbb",
    ] {
        left.write_all(piece).unwrap();
        assert_eq!(receiver.recv().unwrap_err().kind(), ErrorKind::WouldBlock);
    }
    left.write_all(&[0; 5]).unwrap();
    assert_eq!(received(&mut receiver), b"aaaaaaaabbb");
}

const ROLE: &str = "SLIPRING_FRAME_ROLE";

/// This test binary once more, to do what `child_process` does in that role.
fn spawn(role: &str, name: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "child_process", "--nocapture"])
        .env(ROLE, format!("{role} {name}"))
        .spawn()
        .expect("the test binary starts")
}

/// The peer that is killed, in a process of its own.
#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    let role = std::env::var(ROLE)
        .expect("started by a test only: leave it out with --skip child_process");
    let (role, name) = role.split_once(' ').unwrap();
    let stream = options().wait_for_listener(LONG).connect(name).unwrap();
    let (mut sender, _receiver) = frame::split(stream).unwrap();
    for number in 0..3 {
        sender.send(&message(number, 100)).unwrap();
    }
    match role {
        "between" => {}
        "parts" => {
            // The parts that fit are sent; then this would have to wait.
            sender.set_nonblocking(true);
            assert_eq!(
                sender.send(&message(3, 10 * RING)).unwrap_err().kind(),
                ErrorKind::WouldBlock
            );
        }
        "header" => {
            // Half a message; the writer must not be dropped, which would be an orderly end.
            let mut writer = sender.into_inner();
            writer
                .write_all(&[100, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3])
                .unwrap();
            std::mem::forget(writer);
        }
        other => panic!("no such role: {other}"),
    }
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
        .unwrap();
}

#[test]
fn a_killed_peer_tears_its_last_message_and_no_other() {
    let directory = tempfile::tempdir().unwrap();
    for role in ["between", "parts", "header"] {
        let name = directory.path().join(role);
        let listener = options().bind(&name).unwrap();
        let mut child = spawn(role, name.to_str().unwrap());
        let (_sender, mut receiver) = frame::split(listener.accept().unwrap()).unwrap();
        receiver.set_timeout(Some(LONG)).unwrap();
        if role == "parts" {
            // As long as nothing is taken out of the ring, the message cannot become complete.
            assert!(!child.wait().unwrap().success());
        }
        for number in 0..3 {
            assert!(received(&mut receiver) == message(number, 100));
        }
        for _ in 0..2 {
            let error = receiver.recv().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{role}: {error}");
            match Error::of(&error) {
                None => assert_eq!(role, "between"),
                Some(Error::Torn { arrived, reason }) => {
                    assert_eq!(*reason, EndReason::PeerDied);
                    assert!(*arrived >= 3 && *arrived < 10 * RING as u64);
                }
                Some(other) => panic!("{role}: {other}"),
            }
        }
        assert!(!child.wait().unwrap().success());
    }
}
