//! A call that is to end, ends: against peers that begin messages and give them up, for ever.

#[path = "common/channel.rs"]
mod channel;

use channel::*;
use slipring::frame::{self, Receiver, plain};
use slipring::{Closer, Options, Spin, Stream};
use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A message of one part, and that it is given up.
const LAP: [[u8; 8]; 3] = [[8, 0, 0, 0, 1, 0, 0, 0], [7; 8], [0, 0, 0, 0, 2, 0, 0, 0]];

/// A writer that floods its peer, until it is told to stop or has lasted too long.
struct Flood {
    closer: Closer,
    over: Arc<AtomicBool>,
    writing: JoinHandle<()>,
}

impl Flood {
    fn start(mut stream: Stream) -> Flood {
        let over = Arc::new(AtomicBool::new(false));
        let closer = stream.closer();
        stream.set_write_timeout(Some(LONG)).unwrap();
        // In pieces that are no multiple of a lap: the receiver sees every beginning.
        let bytes = LAP.concat().repeat(10_000);
        let writing = thread::spawn({
            let over = Arc::clone(&over);
            move || {
                let end = Instant::now() + LONG;
                while Instant::now() < end {
                    for piece in bytes.chunks(1000) {
                        if stream.write_all(piece).is_err() {
                            return;
                        }
                    }
                }
                over.store(true, Ordering::Relaxed);
            }
        });
        Flood {
            closer,
            over,
            writing,
        }
    }

    /// Ends it; it must not have ended by itself.
    fn stop(self) {
        assert!(
            !self.over.load(Ordering::Relaxed),
            "a call lasted as long as the flood"
        );
        assert!(!self.writing.is_finished(), "a call has ended the flood");
        self.closer.close();
        self.writing.join().unwrap();
    }
}

fn flooded(options: &Options) -> (Flood, Receiver) {
    let (left, right) = options.pair().unwrap();
    let (sender, receiver) = frame::split(right).unwrap();
    // The other direction stays open.
    std::mem::forget(sender);
    (Flood::start(left), receiver)
}

type Call = fn(&mut Receiver) -> std::io::Result<()>;

fn calls() -> Vec<Call> {
    vec![
        |receiver| receiver.recv().map(drop),
        |receiver| receiver.recv_into(&mut Vec::new()).map(drop),
        |receiver| receiver.latest().map(drop),
        #[cfg(feature = "bytes")]
        |receiver| receiver.recv_owned().map(drop),
        #[cfg(feature = "zerocopy")]
        |receiver| receiver.recv_pod::<u64>().map(drop),
    ]
}

#[test]
fn a_timeout_ends_a_flood_of_messages_that_are_given_up() {
    for spin in [Spin::Never, Spin::default()] {
        let (flood, mut receiver) = flooded(&options().spin(spin));
        receiver
            .set_timeout(Some(Duration::from_millis(10)))
            .unwrap();
        for call in calls() {
            assert_eq!(
                call(&mut receiver).unwrap_err().kind(),
                ErrorKind::WouldBlock
            );
        }
        flood.stop();
    }
}

#[test]
fn a_call_that_does_not_block_takes_about_as_much_as_a_ring_holds() {
    let (flood, mut receiver) = flooded(&options());
    receiver.set_nonblocking(true);
    let try_recv: Call = |receiver| receiver.try_recv().map(drop);
    let calls: Vec<Call> = calls().into_iter().chain([try_recv]).collect();
    while receiver.reader().position() < 100 * RING as u64 {
        for call in &calls {
            let before = receiver.reader().position();
            assert_eq!(
                call(&mut receiver).unwrap_err().kind(),
                ErrorKind::WouldBlock
            );
            assert!(receiver.reader().position() - before < 2 * RING as u64);
        }
    }
    flood.stop();
}

/// Nothing is lost by it: messages that take longer than a timeout arrive.
#[test]
fn a_large_message_outlasts_timeouts() {
    let (mut sender, mut receiver, _others) = channel();
    receiver
        .set_timeout(Some(Duration::from_micros(1)))
        .unwrap();
    let sending = thread::spawn(move || sender.send(&message(7, 300 * RING)));
    let end = Instant::now() + LONG;
    let got = loop {
        match receiver.recv() {
            Ok(got) => break got.unwrap().to_vec(),
            Err(e) => assert_eq!(e.kind(), ErrorKind::WouldBlock),
        }
        assert!(Instant::now() < end);
    };
    assert!(got == message(7, 300 * RING));
    sending.join().unwrap().unwrap();
}

/// One that asks again and again is seen to wait: its peer writes the rest of a frame that fills
/// the ring.
#[test]
fn a_receiver_that_only_tries_is_seen_to_wait() {
    let (left, right) = options().spin(Spin::Never).pair().unwrap();
    let (_sender, mut receiver) = frame::split(right).unwrap();
    let (_reader, mut writer) = left.into_split();
    writer.set_timeout(Some(LONG)).unwrap();
    let sending = thread::spawn(move || {
        // Its parts are as large as the ring, and it waits for half of that.
        let mut sender = plain::Sender::new(writer);
        (0..100).try_for_each(|number| sender.send(&message(number, 3 * RING)))
    });
    let end = Instant::now() + LONG;
    for number in 0..100 {
        loop {
            match receiver.try_recv() {
                Ok(got) => {
                    assert!(*got.unwrap() == message(number, 3 * RING));
                    break;
                }
                Err(e) => assert_eq!(e.kind(), ErrorKind::WouldBlock),
            }
            assert!(Instant::now() < end, "both wait");
            thread::yield_now();
        }
    }
    sending.join().unwrap().unwrap();
}

#[test]
fn a_timeout_that_no_clock_reaches_is_no_limit() {
    let spins = [
        Spin::UpTo(Duration::MAX),
        Spin::Adaptive { max: Duration::MAX },
        Spin::Never,
    ];
    for spin in spins {
        // More than an `int` of milliseconds holds, and more than there is.
        for timeout in [
            Duration::from_secs(1 << 32),
            Duration::from_secs(1 << 50),
            Duration::MAX,
        ] {
            let (mut sender, mut receiver, others) = channel_with(&options().spin(spin));
            let (mut answers, mut answered) = others;
            sender.set_timeout(Some(timeout)).unwrap();
            receiver.set_timeout(Some(timeout)).unwrap();
            answered.set_timeout(Some(timeout)).unwrap();
            let answering = thread::spawn(move || {
                // A writer that waits, and a reader that does.
                for number in 0..50 {
                    assert!(received(&mut receiver) == message(number, 3 * RING));
                    answers.send(b"go on").unwrap();
                }
            });
            for number in 0..50 {
                sender.send(&message(number, 3 * RING)).unwrap();
                assert_eq!(received(&mut answered), b"go on");
            }
            sender.wait_consumed().unwrap();
            answering.join().unwrap();
        }
    }
}

#[cfg(feature = "tokio")]
#[test]
fn a_flood_of_given_up_messages_lets_other_tasks_run() {
    use slipring::frame::tokio::split;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (left, right) = options().pair().unwrap();
    let flood = Flood::start(left);
    runtime.block_on(async {
        let stream = slipring::tokio::Stream::from_blocking(right).unwrap();
        let (_sender, mut receiver) = split(stream).unwrap();
        let brief = Duration::from_millis(10);
        for _ in 0..3 {
            assert!(tokio::time::timeout(brief, receiver.recv()).await.is_err());
            #[cfg(feature = "bytes")]
            assert!(
                tokio::time::timeout(brief, receiver.recv_owned())
                    .await
                    .is_err()
            );
            let before = receiver.reader().position();
            assert_eq!(
                receiver.try_recv().unwrap_err().kind(),
                ErrorKind::WouldBlock
            );
            assert!(receiver.reader().position() - before < 2 * RING as u64);
        }
        #[cfg(feature = "bytes")]
        let mut receiver = receiver.into_messages();
        #[cfg(feature = "bytes")]
        assert!(
            tokio::time::timeout(brief, futures_util::StreamExt::next(&mut receiver))
                .await
                .is_err()
        );
        // As long as it is received.
        flood.stop();
        drop(receiver);
    });
}
