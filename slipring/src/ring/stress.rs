//! The ring between two threads at full speed, over memory that is mapped once.
//!
//! The stress covers what the models cannot hold: many laps, real caches, real store buffers. The
//! memory is mapped once, since ThreadSanitizer (`ci/tsan.sh`) takes two addresses of one page for
//! two places, and would see no race between them.

use super::{Atomics, Consumer, Header, Headers, Producer, RingId, Std, Word};
use std::cell::UnsafeCell;
use std::sync::atomic::{self, Ordering};
use std::thread;

const CAPACITY: u64 = 64;
const LENGTH: u64 = 300_000;

/// The bytes of a ring.
struct Bytes(Vec<UnsafeCell<u8>>);

// SAFETY: the ring decides which thread may touch which byte; this test checks that it does.
unsafe impl Sync for Bytes {}

impl Bytes {
    fn new() -> Bytes {
        Bytes((0..CAPACITY).map(|_| UnsafeCell::new(0)).collect())
    }

    /// As if the ring were mapped twice in a row.
    fn at(&self, offset: usize) -> *mut u8 {
        self.0[offset % self.0.len()].get()
    }
}

fn byte_at(position: u64) -> u8 {
    (position ^ (position >> 8)) as u8
}

/// Pieces of 1 to 13 bytes, of sizes that the two sides choose differently.
fn piece(position: u64, salt: u64) -> u64 {
    1 + (position.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).wrapping_add(salt) % 13
}

fn writes<A: Atomics>(headers: Headers<'_, A>, bytes: &Bytes) {
    let mut ring = Producer::<A>::new(RingId::new(0, CAPACITY));
    while ring.position() < LENGTH {
        let n = piece(ring.position(), 1).min(LENGTH - ring.position());
        while ring.free() < n {
            thread::yield_now();
            ring.refresh(headers).expect("an honest reader");
        }
        for i in 0..n {
            let at = bytes.at(ring.offset() + i as usize);
            // SAFETY: the producer says that this byte is free, so no other thread reads it.
            unsafe { at.write(byte_at(ring.position() + i)) };
        }
        ring.advance(n);
        let _ = ring.publish(headers);
    }
}

fn reads<A: Atomics>(headers: Headers<'_, A>, bytes: &Bytes) {
    let mut ring = Consumer::<A>::new(RingId::new(0, CAPACITY));
    while ring.position() < LENGTH {
        while ring.available() == 0 {
            thread::yield_now();
            ring.refresh(headers).expect("an honest writer");
        }
        let n = piece(ring.position(), 2).min(ring.available());
        for i in 0..n {
            let at = bytes.at(ring.offset() + i as usize);
            // SAFETY: the consumer says that this byte has been published, so no other thread
            // writes it.
            let byte = unsafe { at.read() };
            assert_eq!(
                byte,
                byte_at(ring.position() + i),
                "at {}",
                ring.position() + i
            );
        }
        let _ = ring.consume(headers, n);
    }
}

fn run<A: Atomics>()
where
    Header<A>: Sync,
{
    let (left, right) = (
        Header::<A>::new(4096, RingId::new(0, CAPACITY)),
        Header::new(4096, RingId::new(0, CAPACITY)),
    );
    let bytes = Bytes::new();
    thread::scope(|threads| {
        let (own, peer) = (&left, &right);
        let writing = threads.spawn(|| writes(Headers { own, peer }, &bytes));
        let (own, peer) = (&right, &left);
        let reading = threads.spawn(|| reads(Headers { own, peer }, &bytes));
        // Joined explicitly: ThreadSanitizer knows the ordering of a join, and not that of the end
        // of a scope.
        writing.join().unwrap();
        reading.join().unwrap();
    });
}

/// ThreadSanitizer knows no fences, so it does not see that the Relaxed load of a peer's word and
/// the fence behind it are an acquire. Here every load is an acquire; everything else is the same.
#[derive(Debug)]
enum Acquiring {}

/// The same, with nothing released: a race, if a tool checks for races.
#[derive(Debug)]
enum Unreleased {}

#[derive(Debug)]
struct Loading<W, const RELEASES: bool>(W);

macro_rules! word {
    ($atomic:ty, $value:ty) => {
        impl<const RELEASES: bool> Word<$value> for Loading<$atomic, RELEASES> {
            fn new(value: $value) -> Self {
                Loading(<$atomic>::new(value))
            }
            fn load(&self, _: Ordering) -> $value {
                self.0.load(Ordering::Acquire)
            }
            fn store(&self, value: $value, order: Ordering) {
                self.0
                    .store(value, if RELEASES { order } else { Ordering::Relaxed });
            }
            fn replace(&self, current: $value, new: $value, success: Ordering) -> bool {
                Word::replace(&self.0, current, new, success)
            }
        }
    };
}

word!(atomic::AtomicU32, u32);
word!(atomic::AtomicU64, u64);

impl Atomics for Acquiring {
    type U32 = Loading<atomic::AtomicU32, true>;
    type U64 = Loading<atomic::AtomicU64, true>;
    fn fence(order: Ordering) {
        atomic::fence(order);
    }
}

impl Atomics for Unreleased {
    type U32 = Loading<atomic::AtomicU32, false>;
    type U64 = Loading<atomic::AtomicU64, false>;
    fn fence(order: Ordering) {
        atomic::fence(order);
    }
}

#[test]
fn two_threads_pass_every_byte_through_a_ring() {
    run::<Std>();
}

#[test]
fn two_threads_with_acquiring_loads_pass_every_byte() {
    run::<Acquiring>();
}

#[test]
#[ignore = "a race, on purpose: ci/tsan.sh runs it to see that ThreadSanitizer tells"]
fn two_threads_with_nothing_released_race() {
    run::<Unreleased>();
}
