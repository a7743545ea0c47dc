//! A peer that sends anything at all: compared with a plain model of the format, and with what
//! memory it may cost.

#[path = "common/frames.rs"]
mod frames;

use frames::{Ending, RING, model};
use proptest::prelude::*;
use slipring::frame::{self, Error};
use slipring::{Options, Stream};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{ErrorKind, Write};

/// The system's allocator, which takes note of the largest allocation of each thread.
struct Watched;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

fn note(size: usize) {
    // A thread that is ending has no such variable any more, and need not be counted.
    let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(size)));
}

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

/// The messages that a receiver makes of these bytes, which fit into a ring; and its largest
/// allocation.
fn receive(bytes: &[u8], max: usize, copied: bool) -> (Vec<Vec<u8>>, Ending, usize) {
    let (left, right) = Options::new()
        .capacity(RING)
        .max_capacity(RING)
        .copy_reads(copied)
        .pair()
        .unwrap();
    let (_reader, mut writer) = left.into_split();
    writer.write_all(bytes).unwrap();
    drop(writer);
    let (_sender, receiver) = frame::split(right).unwrap();
    let mut receiver = receiver.with_max(max);
    let mut messages = Vec::with_capacity(RING);
    let mut memory = Vec::with_capacity(RING);
    LARGEST.set(0);
    let ending = loop {
        match receiver.recv_into(&mut memory) {
            Ok(Some(_)) => messages.push(memory.clone()),
            Ok(None) => break Ending::Clean,
            Err(e) => {
                let ending = Ending::of(Error::of(&e).expect("an error about messages"));
                let expected = if ending == Ending::Torn {
                    ErrorKind::UnexpectedEof
                } else {
                    ErrorKind::InvalidData
                };
                assert_eq!(e.kind(), expected);
                // It stays.
                let again = receiver
                    .recv()
                    .map(drop)
                    .expect_err("a failed receiver stays failed");
                assert_eq!(Error::of(&again), Error::of(&e));
                break ending;
            }
        }
    };
    (messages, ending, LARGEST.get())
}

/// A frame that is right, or nearly so; or anything.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let framed = |len: u32, flags: u32, off: i32| {
        let mut bytes = len.to_le_bytes().to_vec();
        bytes.extend(flags.to_le_bytes());
        let padded = (len as usize).div_ceil(8) * 8;
        bytes.extend((0..(padded as i32 + off).max(0)).map(|at| (at % 251) as u8));
        bytes
    };
    prop_oneof![
        8 => (0..200u32, Just(0)).prop_map(move |(len, flags)| framed(len, flags, 0)),
        8 => (1..20u32).prop_map(move |eighths| framed(eighths * 8, 1, 0)),
        3 => Just(framed(0, 2, 0)),
        1 => (0..5000u32, 0..5u32).prop_map(move |(len, flags)| framed(len % 700, flags, 0)),
        1 => (0..200u32, -8..8i32).prop_map(move |(len, off)| framed(len, 0, off)),
        1 => (any::<u32>(), 0..4u32)
            .prop_map(|(len, flags)| [len.to_le_bytes(), flags.to_le_bytes()].concat()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn any_bytes_are_received_as_the_format_says(
        pieces in prop::collection::vec(piece(), 0..40),
        max in prop_oneof![0..300usize, Just(1 << 30)],
        copied: bool,
    ) {
        let mut bytes = pieces.concat();
        bytes.truncate(RING);
        let (messages, ending) = model(&bytes, max);
        let (got, end, largest) = receive(&bytes, max, copied);
        prop_assert_eq!(got, messages);
        prop_assert_eq!(end, ending);
        // Twice the arrived bytes, or the buffer that views are copied through.
        prop_assert!(largest <= 2 * RING + 64, "{}", largest);
    }
}

/// A message of parts that claims no end: memory follows the bytes that have come.
#[test]
fn memory_of_a_receiver_follows_what_has_arrived() {
    let (mut left, right) = Stream::pair().unwrap();
    let (_sender, receiver) = frame::split(right).unwrap();
    let mut receiver = receiver.with_max(usize::MAX);
    let mut part = 80_000u64.to_le_bytes().to_vec();
    part[4] = 1;
    part.extend(vec![7; 80_000]);
    LARGEST.set(0);
    for round in 1..=20 {
        left.write_all(&part).unwrap();
        assert_eq!(
            receiver.try_recv().map(drop).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        assert!(
            LARGEST.get() <= 2 * 80_000 * round + 64,
            "{} after {round}",
            LARGEST.get()
        );
    }
    drop(left);
    assert_eq!(
        receiver.recv().map(drop).unwrap_err().kind(),
        ErrorKind::UnexpectedEof
    );
}

/// However large a message is allowed to be, no more memory is taken than that.
#[test]
fn memory_of_a_receiver_stays_within_the_maximum() {
    let max = 300_000;
    // Smaller than the second message, so that the sender learns that it is refused.
    let options = Options::new().capacity(1 << 18).max_capacity(1 << 18);
    let (left, right) = options.pair().unwrap();
    let (mut sender, _) = frame::split(left).unwrap();
    let (_sender, receiver) = frame::split(right).unwrap();
    let mut receiver = receiver.with_max(max);
    let sending = std::thread::spawn(move || {
        sender.send(&vec![1; max]).unwrap();
        sender.send(&vec![1; 2 * max])
    });
    LARGEST.set(0);
    assert_eq!(receiver.recv().unwrap().unwrap().len(), max);
    let error = receiver.recv().map(drop).unwrap_err();
    assert_eq!(Ending::of(Error::of(&error).unwrap()), Ending::TooLarge);
    assert!(LARGEST.get() <= max + 64, "{}", LARGEST.get());
    assert_eq!(
        sending.join().unwrap().unwrap_err().kind(),
        ErrorKind::BrokenPipe
    );
}
