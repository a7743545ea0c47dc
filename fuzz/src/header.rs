//! The header of a peer that shook hands by the rules, and then writes the words of the input:
//! between two calls of the side under test, or all the time while it reads and writes.

use crate::connect::options;
use crate::input::Input;
use crate::raw::{PAGE, Peer, Side, at};
use crate::script::CAPACITY;
use crate::{assert_settled, holdings};
use slipring::{Options, Reader, Stream, Writer};
use std::io::{BufRead, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// The peer's ring holds nothing else: any other byte would be from elsewhere.
const THEIRS: u8 = 0xa5;
const OURS: u8 = 0x5a;

/// More steps than these prove nothing more.
const MOST: usize = 200;

/// So that a wait is one, and a run still short.
const PATIENCE: Duration = Duration::from_micros(100);

const WIDE: [usize; 5] = [
    at::TAIL,
    at::RING,
    at::HEAD,
    at::WAKE_AT_TAIL,
    at::WAKE_AT_HEAD,
];
const NARROW: [usize; 3] = [at::FIN, at::CODE, at::STOP];

enum Step {
    Scribble(Scribble),
    Call(u8, usize),
}

/// A word of the header, and its new value.
enum Scribble {
    /// A number near one that means something.
    Near(usize, u8, i8),
    Wide(usize, u64),
    Narrow(usize, u32),
    Ring,
}

/// A stream whose peer scribbles. Every call returns, with a documented error at most.
pub fn header(data: &[u8]) {
    let before = holdings();
    let mut input = Input::new(data);
    let how = input.byte();
    let steps: Vec<Step> = std::iter::from_fn(|| (!input.is_empty()).then(|| step(&mut input)))
        .take(MOST)
        .collect();

    let (mut stream, peer) = stream(&options().copy_reads(how & 1 != 0));
    if how & 2 == 0 {
        stream.set_nonblocking(true).unwrap();
    } else {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
    }
    let mut victim = Victim::default();
    let (reader, writer) = stream.halves();
    if how & 4 == 0 {
        for step in &steps {
            match step {
                Step::Scribble(scribble) => scribble.perform(&peer),
                Step::Call(which, n) => victim.call(reader, writer, *which, *n),
            }
        }
    } else {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let scribbles = steps.iter().filter_map(|step| match step {
                    Step::Scribble(scribble) => Some(scribble),
                    Step::Call(..) => None,
                });
                // Relaxed: it only has to end some time.
                for scribble in scribbles
                    .cycle()
                    .take_while(|_| !done.load(Ordering::Relaxed))
                {
                    scribble.perform(&peer);
                }
            });
            for step in &steps {
                if let Step::Call(which, n) = step {
                    victim.call(reader, writer, *which, *n);
                }
            }
            done.store(true, Ordering::Relaxed);
        });
    }
    drop((stream, peer));
    assert_settled(before);
}

fn step(input: &mut Input<'_>) -> Step {
    let what = input.byte();
    let which = (what >> 2) as usize;
    match what % 4 {
        0 => Step::Scribble(Scribble::Near(
            WIDE[which % WIDE.len()],
            input.byte(),
            input.byte() as i8,
        )),
        1 => Step::Scribble(match which % 9 {
            8 => Scribble::Ring,
            which @ 0..5 => Scribble::Wide(WIDE[which], input.word()),
            which => Scribble::Narrow(NARROW[which - 5], u32::from(input.byte()).wrapping_sub(1)),
        }),
        _ => Step::Call(what >> 1, 1 + 32 * input.below(128)),
    }
}

impl Scribble {
    fn perform(&self, peer: &Peer) {
        let (mine, theirs) = (&peer.mine.words, &peer.theirs);
        match *self {
            Scribble::Near(word, base, off) => {
                let near = match base % 6 {
                    0 => mine.load(word),
                    1 => mine.load(at::TAIL),
                    2 => theirs.load(at::HEAD),
                    3 => theirs.load(at::TAIL),
                    4 => theirs.load(at::HEAD) + CAPACITY as u64,
                    _ => 0,
                };
                // In steps of one, or of a part of the ring.
                let off = if base & 0x80 == 0 {
                    i64::from(off)
                } else {
                    64 * i64::from(off)
                };
                mine.store(word, near.wrapping_add_signed(off));
            }
            Scribble::Wide(word, value) => mine.store(word, value),
            Scribble::Narrow(word, value) => mine.store32(word, value),
            Scribble::Ring => peer.ring(),
        }
    }
}

/// The observations of the calls so far.
#[derive(Default)]
struct Victim {
    read: Option<ErrorKind>,
    written: Option<ErrorKind>,
}

impl Victim {
    fn call(&mut self, reader: &mut Reader, writer: &mut Writer, which: u8, n: usize) {
        let result = match which % 13 {
            0 => {
                let mut buf = vec![0; n];
                reader
                    .read(&mut buf)
                    .map(|n| assert_eq!(look(&buf[..n]), n))
            }
            1 => reader
                .fill_buf()
                .map(look)
                .map(|len| reader.consume(len.min(n))),
            2 => reader.fill_at_least(n).map(|lent| assert!(look(lent) >= n)),
            3 => reader.available().map(|n| assert!(n <= CAPACITY)),
            4 => {
                let mut buf = vec![0; n];
                reader
                    .try_read(&mut buf)
                    .map(|n| assert_eq!(look(&buf[..n]), n))
            }
            5 => reader.arm(n).map(drop),
            6 => writer
                .write(&vec![OURS; n])
                .map(|written| assert!(written <= n)),
            7 => writer.reserve(n).map(|mut grant| {
                assert_eq!(grant.len(), n);
                grant.fill(OURS);
                grant.commit(n / 2);
            }),
            8 => writer.space().map(|n| assert!(n <= CAPACITY)),
            9 => writer.batch().write_all(&vec![OURS; n]),
            10 => writer.arm(n).map(drop),
            11 => writer.wait_consumed(),
            _ => writer
                .try_write(&vec![OURS; n])
                .map(|written| assert!(written <= n)),
        };
        let Err(error) = result else {
            let publishes = [6, 7, 9, 12].contains(&(which % 13));
            assert!(!publishes || self.written.is_none(), "an end stays");
            return;
        };
        let (documented, end) = if which % 13 < 6 {
            (&READ[..], &mut self.read)
        } else {
            (&WRITE[..], &mut self.written)
        };
        assert!(
            documented.contains(&error.kind()),
            "call {}: {error:?}",
            which % 13
        );
        if !PASSING.contains(&error.kind()) {
            let first = *end.get_or_insert(error.kind());
            assert_eq!(first, error.kind(), "an end stays");
        }
    }
}

/// The errors that a call may end in, on a reader and on a writer.
const READ: [ErrorKind; 4] = [
    ErrorKind::WouldBlock,
    ErrorKind::InvalidData,
    ErrorKind::ConnectionAborted,
    ErrorKind::UnexpectedEof,
];
const WRITE: [ErrorKind; 5] = [
    ErrorKind::WouldBlock,
    ErrorKind::InvalidData,
    ErrorKind::ConnectionAborted,
    ErrorKind::BrokenPipe,
    ErrorKind::Deadlock,
];
/// Those after which another call may do better.
const PASSING: [ErrorKind; 3] = [
    ErrorKind::WouldBlock,
    ErrorKind::UnexpectedEof,
    ErrorKind::Deadlock,
];

/// Every byte that is lent is of the peer's ring.
fn look(lent: &[u8]) -> usize {
    assert!(lent.len() <= CAPACITY);
    assert!(
        lent.iter().all(|byte| *byte == THEIRS),
        "bytes from elsewhere"
    );
    lent.len()
}

/// A stream, and its other side, which keeps the rules so far.
fn stream(options: &Options) -> (Stream, Peer) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let side = Side::new(CAPACITY);
    side.words.put(PAGE, &[THEIRS; CAPACITY]);
    let peer = thread::spawn(move || Peer::shake_hands(theirs, side));
    (options.upgrade(ours).unwrap(), peer.join().unwrap())
}
