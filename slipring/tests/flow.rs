//! Streams in full flow, and what comes after one: a half that has let its peer leave out fences
//! sleeps, and misses nothing.

mod common;

use common::process::{self, start};
use common::raw::{Side, Words, answer, at};
use common::{GENEROUS, Place, Random, eventually, guard, kind, setting};
use rustix::fd::{AsFd, OwnedFd};
use slipring::{Options, Readiness, Spin, Stream};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

const CAPACITY: usize = 4096;
const UNFENCED: u64 = u64::MAX;

/// The count of a reader's sleeps in its header.
const SLEEPS: usize = 0x280;

#[test]
#[ignore = "another process, started by the tests here"]
fn child_process() {
    process::play(&[
        ("answers bursts", answers_bursts),
        ("looks again", looks_again),
        ("looks again in a loop", looks_again_in_a_loop),
        ("sleeps on", sleeps_on),
        #[cfg(feature = "tokio")]
        ("looks again on tokio", looks_again_on_tokio),
        ("reads some", reads_some),
    ]);
}

/// Whether two sides can spin at the same time.
fn can_spin() -> bool {
    thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1)
}

/// A stream that waits by spinning for a while, whose other side is written by hand.
struct ByHand {
    stream: Stream,
    _link: UnixStream,
    side: Side,
    /// The header of the stream.
    header: Words,
    /// The one that the stream's reader sleeps on.
    doorbell: OwnedFd,
}

impl ByHand {
    fn new() -> ByHand {
        let options = Options::new()
            .capacity(CAPACITY)
            .max_capacity(CAPACITY)
            .spin(Spin::UpTo(Duration::from_millis(20)));
        let (ours, link) = UnixStream::pair().unwrap();
        let peer = thread::spawn(move || {
            let side = Side::new(CAPACITY);
            side.greet(&link);
            let (_, mut fds) = answer(&link);
            (link, side, fds.drain(..3).collect::<Vec<_>>())
        });
        let stream = options.upgrade(ours).unwrap();
        let (link, side, fds) = peer.join().unwrap();
        let [header, _ring, doorbell] = <[OwnedFd; 3]>::try_from(fds).unwrap();
        ByHand {
            stream,
            _link: link,
            side,
            header: Words::map(header.as_fd(), 4096, false).unwrap(),
            doorbell,
        }
    }
}

fn ring(doorbell: &OwnedFd) {
    rustix::io::write(doorbell, &1u64.to_ne_bytes()).unwrap();
}

/// Publishes byte after byte, each when the one before has been read, until the reader is in full
/// flow. Returns how many.
fn bring_into_flow(side: &Side, header: &Words, doorbell: &OwnedFd) -> u64 {
    let deadline = Instant::now() + GENEROUS;
    let mut tail = 0;
    while header.load(at::WAKE_AT_TAIL) != UNFENCED {
        tail += 1;
        side.words.store(at::TAIL, tail);
        while header.load(at::HEAD) < tail {
            assert!(Instant::now() < deadline, "byte {tail} is not read");
            // On a busy machine it may have fallen asleep.
            if header.load(at::WAKE_AT_TAIL) == tail {
                ring(doorbell);
            }
            std::hint::spin_loop();
        }
    }
    tail
}

/// A store that was made without a fence when the reader armed is found, though nobody rings. (The
/// moment is long here, so that a slow machine makes that store in time.)
#[test]
fn a_half_that_sleeps_after_a_flow_looks_again() {
    with_a_long_moment("looks again");
}

fn looks_again(_: &[&str]) {
    if !can_spin() {
        return;
    }
    let ByHand {
        mut stream,
        side,
        header,
        doorbell,
        _link,
    } = ByHand::new();
    let reading = thread::spawn(move || {
        while stream.read(&mut [0]).unwrap() == 1 {}
        stream
    });
    let tail = bring_into_flow(&side, &header, &doorbell);
    let before = header.load(SLEEPS);
    eventually("it sleeps", || header.load(SLEEPS) > before);
    assert_eq!(header.load(at::WAKE_AT_TAIL), tail + 1);
    side.words.store(at::TAIL, tail + 1);
    eventually("it looks again", || header.load(at::HEAD) == tail + 1);
    // It no longer says that it needs no fence.
    assert_ne!(header.load(at::WAKE_AT_TAIL), UNFENCED);
    side.words.store32(at::FIN, 1);
    ring(&doorbell);
    reading.join().unwrap();
}

/// It looks again once, and then sleeps for as long as it takes.
#[test]
fn a_half_that_has_looked_again_sleeps_on() {
    guard(|| process::alone("sleeps on"));
}

/// In a process of its own: halves that spin take the permits of others.
fn sleeps_on(_: &[&str]) {
    if !can_spin() {
        return;
    }
    let ByHand {
        mut stream,
        side,
        header,
        doorbell,
        _link,
    } = ByHand::new();
    let reading = thread::spawn(move || {
        while stream.read(&mut [0]).unwrap() == 1 {}
        stream
    });
    bring_into_flow(&side, &header, &doorbell);
    let before = header.load(SLEEPS);
    eventually("it sleeps again", || header.load(SLEEPS) >= before + 2);
    // Time for a fault to show: a hundred moments.
    thread::sleep(Duration::from_millis(100));
    let sleeps = header.load(SLEEPS) - before;
    // Some have been ended by wake-ups of the time before, but no hundred.
    assert!(sleeps < 20, "{sleeps}");
    side.words.store32(at::FIN, 1);
    ring(&doorbell);
    reading.join().unwrap();
}

/// Runs a role with a moment that is long enough for a slow machine.
fn with_a_long_moment(role: &'static str) {
    guard(move || {
        let place = Place::new();
        let mut command = process::command(&place, role, &[]);
        command.env("SLIPRING_MOMENT_SECONDS", "2");
        process::start_as(command, role).succeed();
    });
}

/// A stream out of a flow, which has read everything, and the position of its next byte.
fn out_of_a_flow() -> (ByHand, u64) {
    let ByHand {
        mut stream,
        side,
        header,
        doorbell,
        _link,
    } = ByHand::new();
    let (say, said) = std::sync::mpsc::channel();
    let reading = thread::spawn(move || {
        loop {
            stream.read_exact(&mut [0]).unwrap();
            if said.try_recv().is_ok() {
                return stream;
            }
        }
    });
    let tail = bring_into_flow(&side, &header, &doorbell);
    say.send(()).unwrap();
    side.words.store(at::TAIL, tail + 1);
    ring(&doorbell);
    let mut stream = reading.join().unwrap();
    if header.load(at::HEAD) == tail {
        stream.read_exact(&mut [0]).unwrap();
    }
    let all = ByHand {
        stream,
        side,
        header,
        doorbell,
        _link,
    };
    (all, tail + 1)
}

/// A store that was made without a fence when the half armed for an event loop is found before that
/// loop sleeps.
#[test]
fn a_half_that_is_armed_after_a_flow_looks_again() {
    with_a_long_moment("looks again in a loop");
}

fn looks_again_in_a_loop(_: &[&str]) {
    if !can_spin() {
        return;
    }
    let (by_hand, tail) = out_of_a_flow();
    let ByHand {
        mut stream,
        side,
        header,
        _link,
        ..
    } = by_hand;
    let arming = thread::spawn(move || {
        let found = stream.reader().arm(1).unwrap();
        (stream, found)
    });
    eventually("it arms", || header.load(at::WAKE_AT_TAIL) == tail + 1);
    side.words.store(at::TAIL, tail + 1);
    let (mut stream, found) = arming.join().unwrap();
    assert_eq!(found, Readiness::Ready);
    stream.read_exact(&mut [0]).unwrap();
    assert_eq!(stream.reader().arm(1).unwrap(), Readiness::Pending);
}

#[cfg(feature = "tokio")]
#[test]
fn a_stream_that_comes_to_tokio_after_a_flow_looks_again() {
    with_a_long_moment("looks again on tokio");
}

#[cfg(feature = "tokio")]
fn looks_again_on_tokio(_: &[&str]) {
    use tokio::io::AsyncReadExt;
    if !can_spin() {
        return;
    }
    let (by_hand, tail) = out_of_a_flow();
    let ByHand {
        stream,
        side,
        header,
        _link,
        ..
    } = by_hand;
    let storing = thread::spawn(move || {
        eventually("it leaves the flow", || header.load(at::WAKE_AT_TAIL) == 0);
        side.words.store(at::TAIL, tail + 1);
        (side, header)
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut stream = slipring::tokio::Stream::from_blocking(stream).unwrap();
        stream.read_u8().await.unwrap();
    });
    storing.join().unwrap();
}

/// The last number of a burst.
const LAST: u64 = 1 << 63;

/// Flows of any length, each followed by silence: nobody sleeps through the beginning of the next
/// one, nor through its end. Both sides wait as is usual. `SLIPRING_BURSTS` for more than the usual
/// number.
#[test]
fn bursts_and_pauses_lose_no_wake_up() {
    guard(|| {
        let place = Place::new();
        let name = place.name("x");
        let listener = Options::new().bind(&name).unwrap();
        let other = start(&place, "answers bursts", &[name.to_str().unwrap()]);
        let mut stream = listener.accept().unwrap();
        let mut random = Random::new(1);
        let mut next = 0;
        for _ in 0..setting("SLIPRING_BURSTS", 300) {
            let burst = 1 + random.below(20_000);
            for left in (0..burst).rev() {
                let number = next | if left == 0 { LAST } else { 0 };
                stream.write_all(&number.to_le_bytes()).unwrap();
                next += 1;
                // Now and then, within a burst.
                if random.below(20_000) == 0 {
                    pause(&mut random);
                }
            }
            let mut answer = [0; 8];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(u64::from_le_bytes(answer), next);
            pause(&mut random);
        }
        drop(stream);
        other.succeed();
    });
}

/// Up to half a millisecond: longer than any spinning, or shorter.
fn pause(random: &mut Random) {
    let start = Instant::now();
    let time = Duration::from_micros(random.below(500));
    if random.below(2) == 0 {
        thread::sleep(time);
    } else {
        while start.elapsed() < time {
            std::hint::spin_loop();
        }
    }
}

fn answers_bursts(arguments: &[&str]) {
    let mut stream = Stream::connect(arguments[0]).unwrap();
    let mut random = Random::new(2);
    let mut next = 0;
    let mut number = [0; 8];
    while let Ok(()) = stream.read_exact(&mut number) {
        let number = u64::from_le_bytes(number);
        assert_eq!(number & !LAST, next);
        next += 1;
        if number & LAST != 0 {
            if random.below(4) == 0 {
                pause(&mut random);
            }
            stream.write_all(&next.to_le_bytes()).unwrap();
        }
    }
}

/// In a flow of writes the clock is read once in sixteen of them. A death is told in the tick in
/// which it is seen, or fifteen writes later.
#[test]
fn a_writer_in_full_flow_is_told_of_a_death() {
    guard(|| {
        let place = Place::new();
        let name = place.name("x");
        let listener = Options::new()
            .capacity(1 << 20)
            .max_capacity(1 << 20)
            .bind(&name)
            .unwrap();
        let mut other = start(&place, "reads some", &[name.to_str().unwrap()]);
        let mut stream = listener.accept().unwrap();
        for _ in 0..10_000 {
            stream.write_all(b"x").unwrap();
        }
        other.kill();
        let told = (0..17).find_map(|_| {
            // More than a tick of the coarse clock, so that only the count of writes is left.
            thread::sleep(Duration::from_millis(11));
            stream.write(b"x").err()
        });
        let kind_of = |error: std::io::Error| kind::<()>(Err(error));
        assert_eq!(told.map(kind_of), Some(ErrorKind::BrokenPipe));
    });
}

fn reads_some(arguments: &[&str]) {
    let mut stream = Stream::connect(arguments[0]).unwrap();
    stream.read_exact(&mut [0]).unwrap();
    loop {
        thread::park();
    }
}

/// A writer that publishes again and again has said that it needs no fence before it ever waits.
#[test]
fn a_writer_in_full_flow_needs_no_fence() {
    guard(|| {
        if !can_spin() {
            return;
        }
        let ByHand {
            mut stream,
            side,
            header,
            doorbell: _,
            _link,
        } = ByHand::new();
        let deadline = Instant::now() + GENEROUS;
        let mut written = 0;
        // A slow machine makes too few writes in a tick of the clock.
        while header.load(at::WAKE_AT_HEAD) != UNFENCED {
            assert!(Instant::now() < deadline, "not after {written} writes");
            stream.write_all(b"x").unwrap();
            written += 1;
            side.words.store(at::HEAD, written);
        }
        assert!(written >= 10, "{written}");
        assert_eq!(stream.writer().arm(CAPACITY).unwrap(), Readiness::Ready);
        stream.write_all(b"x").unwrap();
        assert_eq!(stream.writer().arm(CAPACITY).unwrap(), Readiness::Pending);
        assert_eq!(header.load(at::WAKE_AT_HEAD), written + 1);
    });
}
