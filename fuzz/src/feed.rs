//! A feed whose publisher shook hands by the rules, and then writes the words of the input, into
//! its header, its ring and its socket, between two calls of the subscriber.

use crate::input::Input;
use crate::raw::{self, Hello, LEN, PAGE, Words, memory, preamble, seals};
use crate::{assert_settled, holdings};
use rustix::fd::AsFd;
use rustix::fs::fcntl_add_seals;
use slipring::Spin;
use slipring::feed::{Event, Start, Subscriber, SubscriberOptions};
use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

const CAPACITY: usize = 4096;

/// The longest record that this publisher announces.
const MAX_RECORD: u64 = 200;

/// More steps than these prove nothing more.
const MOST: usize = 200;

/// Words of the header: the longest record, `tail`, `last`, `claim`, `checkpoint`, and narrow ones:
/// `fin`, `calls`.
const AT_MAX_RECORD: usize = 0x20;
const WIDE: [usize; 4] = [0x80, 0x180, 0x100, 0x108];
const NARROW: [usize; 2] = [0x88, 0x200];

/// A subscriber of such a publisher. Every call returns; what it returns is a whole record in turn,
/// a lag that goes forward, or an end that stays.
pub fn feed(data: &[u8]) {
    let before = holdings();
    let mut input = Input::new(data);
    let how = input.byte();
    let start = match how % 4 {
        0 => Start::Newest,
        1 => Start::Oldest,
        _ => Start::At(u64::from(how >> 4)),
    };
    let options = SubscriberOptions::new()
        .start(start)
        .lossless(how & 8 != 0)
        .spin(Spin::Never);
    let fd = memory(PAGE + CAPACITY);
    let words = Words::map(fd.as_fd(), PAGE + CAPACITY, true).unwrap();
    preamble(&words, PAGE as u32, CAPACITY as u64);
    words.store(AT_MAX_RECORD, MAX_RECORD);
    // Some of it before the subscriber begins.
    for _ in 0..how & 4 {
        write(&mut input, &words);
    }
    fcntl_add_seals(&fd, seals()).unwrap();

    let place = tempfile::tempdir().unwrap();
    let name = place.path().join("feed");
    let listener = UnixListener::bind(&name).unwrap();
    let (subscriber, link) = thread::scope(|scope| {
        let serving = scope.spawn(|| serve(&listener, &fd));
        (options.connect(&name), serving.join().unwrap())
    });
    if let Ok(subscriber) = subscriber {
        play(&mut input, &words, &link, subscriber);
    }
    drop((link, words, fd, listener, place));
    assert_settled(before);
}

/// Shakes hands as a publisher does.
fn serve(listener: &UnixListener, fd: &impl AsFd) -> UnixStream {
    let (link, _) = listener.accept().unwrap();
    raw::receive(&link).unwrap();
    let mut hello = Hello::new(CAPACITY).encode();
    hello[28] = 1;
    raw::send(&link, &hello, &[]).unwrap();
    raw::receive(&link).unwrap();
    let mut passing = [0; LEN];
    passing[..9].copy_from_slice(b"slipring\x03");
    raw::send(&link, &passing, &[fd.as_fd()]).unwrap();
    link
}

/// Writes one word.
fn write(input: &mut Input<'_>, words: &Words) {
    let near = (u64::from(input.byte()) << 4 | 8) & 0xff8;
    match input.byte() {
        which @ 0..32 => words.store(WIDE[usize::from(which) % WIDE.len()], near),
        which @ 32..48 => words.store(WIDE[usize::from(which) % WIDE.len()], input.word()),
        which @ 48..56 => {
            words.store32(
                NARROW[usize::from(which) % NARROW.len()],
                input.byte().into(),
            );
        }
        // The header of a record.
        56..192 => {
            let at = PAGE + near as usize % CAPACITY;
            words.store(at, input.byte().into());
            words.store((at + 8).min(PAGE + CAPACITY - 8), input.byte().into());
        }
        _ => words.store(PAGE + near as usize % CAPACITY, input.word()),
    }
}

fn play(input: &mut Input<'_>, words: &Words, mut link: &UnixStream, mut subscriber: Subscriber) {
    link.set_nonblocking(true).unwrap();
    let mut ended = None;
    for _ in 0..MOST {
        if input.is_empty() {
            break;
        }
        let expected = subscriber.next();
        let event = match input.below(8) {
            0 => subscriber.try_recv(),
            1 => subscriber.latest(),
            2 => subscriber.recv_timeout(Duration::from_micros(20)),
            3 => {
                // A subscriber that has ended has hung up.
                let _ = link.write(input.take(6));
                continue;
            }
            _ => {
                write(input, words);
                continue;
            }
        };
        let event = event.unwrap().map(Event::into_owned);
        assert!(ended.is_none() || event == ended, "an end stays");
        match event {
            Some(Event::Record(record)) => {
                assert!(record.payload.len() as u64 <= MAX_RECORD);
                assert!(record.sequence >= expected);
                assert_eq!(record.sequence + 1, subscriber.next());
            }
            Some(Event::Lagged(lagged)) => assert!(lagged.missed > 0),
            Some(Event::Ended(end)) => ended = Some(Event::Ended(end)),
            Some(Event::Restarted(_)) => panic!("it does not reconnect"),
            None => {}
        }
    }
}
