//! Every state that a small ring can get into, and every step out of it, against a queue.
//!
//! One thread makes the steps of both sides in every order. The search is breadth first and visits
//! each state once. A state includes the indexes that each side remembers of the other, so the
//! search covers every staleness of them: full, empty, across the end, finished, and all of it at
//! once. `models` checks what several threads add to that.

use super::{Consumer, Header, Headers, Producer, RingId, Status, Std, Turn, ended};
use std::collections::{HashSet, VecDeque};
use std::sync::atomic::Ordering::Relaxed;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Write(u64),
    Publish,
    WriterLooks,
    /// Goes over to a ring of so many bytes.
    Exchange(u64),
    Finish,
    ReaderLooks,
    Consume(u64),
}

/// The state that decides how a ring goes on, and that shows from outside.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    writer: (u64, u64, u64, usize),
    reader: (u64, u64, usize),
    header: (u64, u64, u64, u32, u32),
}

struct Ring {
    left: Header<Std>,
    right: Header<Std>,
    producer: Producer<Std>,
    consumer: Consumer<Std>,
    /// Those of all generations.
    rings: Vec<Vec<u8>>,
    /// The generation that the reader reads.
    reads: usize,
    /// Written and not consumed.
    queue: VecDeque<u8>,
}

fn byte_at(position: u64) -> u8 {
    (position * 7 + 1) as u8
}

impl Ring {
    fn new(capacity: u64) -> Ring {
        Ring {
            left: Header::new(4096, RingId::new(0, capacity)),
            right: Header::new(4096, RingId::new(0, 1)),
            producer: Producer::new(RingId::new(0, capacity)),
            consumer: Consumer::new(RingId::new(0, capacity)),
            rings: vec![vec![0; capacity as usize]],
            reads: 0,
            queue: VecDeque::new(),
        }
    }

    fn after(capacity: u64, steps: &[Step]) -> Ring {
        let mut ring = Ring::new(capacity);
        for &step in steps {
            ring.step(step);
        }
        ring
    }

    fn state(&self) -> State {
        State {
            writer: (
                self.producer.position(),
                self.producer.unpublished(),
                self.producer.free(),
                self.producer.offset(),
            ),
            reader: (
                self.consumer.position(),
                self.consumer.available(),
                self.consumer.offset(),
            ),
            header: (
                self.left.published.0.tail.load(Relaxed),
                self.left.published.0.ring.load(Relaxed),
                self.right.consumed.0.head.load(Relaxed),
                self.left.published.0.fin.load(Relaxed),
                self.right.consumed.0.taken.load(Relaxed),
            ),
        }
    }

    /// The steps that are possible next without writing more than `total` bytes in all, in no more
    /// rings than `rings`.
    fn steps(&mut self, total: u64, rings: usize) -> Vec<Step> {
        let mut steps = vec![Step::Publish, Step::WriterLooks, Step::ReaderLooks];
        if self.left.published.0.fin.load(Relaxed) == ended::OPEN {
            let room = self.producer.free().min(total - self.producer.position());
            steps.extend((1..=room).map(Step::Write));
            // The writer publishes before it finishes.
            if self.producer.unpublished() == 0 {
                steps.push(Step::Finish);
            }
        }
        steps.extend((1..=self.consumer.available()).map(Step::Consume));
        let writer = Headers {
            own: &self.left,
            peer: &self.right,
        };
        if self.rings.len() < rings && self.producer.untaken(writer).unwrap() < 2 {
            let (_, unread) = self.producer.unread();
            let capacity = self.producer.capacity();
            let fitting = [capacity / 2, 2 * capacity]
                .into_iter()
                .filter(|n| *n >= unread.max(1));
            steps.extend(fitting.map(Step::Exchange));
        }
        steps
    }

    fn step(&mut self, step: Step) {
        let writer = Headers {
            own: &self.left,
            peer: &self.right,
        };
        let reader = Headers {
            own: &self.right,
            peer: &self.left,
        };
        let capacity = self.producer.capacity();
        let published = self.producer.position() - self.producer.unpublished();
        match step {
            Step::Write(n) => {
                for i in 0..n {
                    let byte = byte_at(self.producer.position() + i);
                    let at = (self.producer.offset() + i as usize) % capacity as usize;
                    self.rings.last_mut().unwrap()[at] = byte;
                    self.queue.push_back(byte);
                }
                self.producer.advance(n);
            }
            Step::Publish => {
                assert!(!self.producer.publish(writer), "nobody sleeps");
                assert_eq!(self.producer.unpublished(), 0);
            }
            Step::WriterLooks => {
                for want in 0..=capacity {
                    let found = self.producer.poll(writer, want, false).unwrap();
                    // The reader has consumed the bytes that are not in the queue.
                    let ready = capacity - self.queue.len() as u64 >= want;
                    assert_eq!(
                        found,
                        if ready {
                            Status::Ready
                        } else {
                            Status::Pending
                        }
                    );
                }
                assert_eq!(self.producer.free(), capacity - self.queue.len() as u64);
            }
            Step::Exchange(capacity) => {
                let next = self.producer.ring().followed_by(capacity);
                let before = self.rings.last().unwrap();
                let mut memory = vec![0; capacity as usize];
                let (from, unread) = self.producer.unread();
                for position in from..from + unread {
                    let byte = before[position as usize % before.len()];
                    memory[(position % capacity) as usize] = byte;
                }
                self.rings.push(memory);
                assert!(!self.producer.announce(writer, next), "nobody sleeps");
            }
            Step::Finish => self.left.published.0.fin.store(ended::CLOSED, Relaxed),
            Step::ReaderLooks => {
                let available = published - self.consumer.position();
                for want in 1..=capacity {
                    let found = loop {
                        match self.consumer.poll(reader, want, false) {
                            Ok(found) => break found,
                            Err(Turn::Corrupt) => panic!("an honest writer"),
                            Err(Turn::Moved(word)) => {
                                let next = self.consumer.next_ring(word).unwrap();
                                assert!(!self.consumer.take(reader, next), "nobody sleeps");
                                self.reads = next.generation as usize;
                            }
                        }
                    };
                    let fin = self.left.published.0.fin.load(Relaxed);
                    let expected = match fin {
                        _ if available >= want => Status::Ready,
                        ended::OPEN => Status::Pending,
                        fin => Status::Ended(fin),
                    };
                    assert_eq!(found, expected);
                }
                assert_eq!(self.consumer.available(), available);
            }
            Step::Consume(n) => {
                assert!(!self.consumer.consume(reader, n), "nobody sleeps");
                self.queue.drain(..n as usize);
            }
        }
        self.check();
    }

    /// Checks the invariants that hold in every state.
    fn check(&self) {
        let capacity = self.producer.capacity();
        assert_eq!(
            self.producer.position(),
            self.consumer.position() + self.queue.len() as u64
        );
        assert!(self.queue.len() as u64 <= capacity);
        // Neither side thinks that it has more than it has.
        assert!(self.producer.free() <= capacity - self.queue.len() as u64);
        assert!(self.consumer.available() + self.producer.unpublished() <= self.queue.len() as u64);
        // The bytes that the reader may read, from its own offset on, are those that were written.
        for i in 0..self.consumer.available() as usize {
            let ring = &self.rings[self.reads];
            let at = (self.consumer.offset() + i) % ring.len();
            assert_eq!(ring[at], self.queue[i]);
        }
    }
}

/// Visits every state; returns how many there are.
fn explore(capacity: u64, total: u64, rings: usize) -> usize {
    let mut seen = HashSet::from([Ring::new(capacity).state()]);
    let mut paths = VecDeque::from([Vec::new()]);
    while let Some(path) = paths.pop_front() {
        // A ring cannot be copied, so each step out of a state begins by repeating the path to it.
        for step in Ring::after(capacity, &path).steps(total, rings) {
            let mut ring = Ring::after(capacity, &path);
            ring.step(step);
            if seen.insert(ring.state()) {
                let mut longer = path.clone();
                longer.push(step);
                paths.push_back(longer);
            }
        }
    }
    seen.len()
}

#[test]
fn every_state_of_a_small_ring_can_be_reached_and_holds() {
    let sizes = [
        (1, 16, 1),
        (2, 16, 1),
        (4, 16, 1),
        (8, 18, 1),
        (2, 8, 3),
        (4, 7, 3),
    ];
    for (capacity, total, rings) in sizes {
        let start = std::time::Instant::now();
        let states = explore(capacity, total, rings);
        println!(
            "capacity {capacity}, {total} bytes, {rings} rings: {states} states in {:.1?}",
            start.elapsed()
        );
    }
}

/// A publication from `old` to `new` wakes for every wanted index in between, and for no other.
#[test]
fn a_publication_rings_when_it_crosses_the_wanted_index_and_only_then() {
    const CAPACITY: u64 = 8;
    for old in 0..=CAPACITY {
        for new in old..=CAPACITY {
            for wanted in 0..=2 * CAPACITY {
                let crossed = old < wanted && wanted <= new;
                let mut ring = Ring::after(
                    CAPACITY,
                    &[Step::Write(old), Step::Publish, Step::Write(new - old)],
                );
                ring.right.wake_at_tail.0.store(wanted, Relaxed);
                let writer = Headers {
                    own: &ring.left,
                    peer: &ring.right,
                };
                assert_eq!(
                    ring.producer.publish(writer),
                    crossed,
                    "tail {old} to {new}, wanted {wanted}"
                );

                let full = [
                    Step::Write(CAPACITY),
                    Step::Publish,
                    Step::ReaderLooks,
                    Step::Consume(old),
                ];
                let mut ring = Ring::after(CAPACITY, &full[..3 + usize::from(old > 0)]);
                ring.left.wake_at_head.0.store(wanted, Relaxed);
                let reader = Headers {
                    own: &ring.right,
                    peer: &ring.left,
                };
                if old == new {
                    continue;
                }
                let rung = ring.consumer.consume(reader, new - old);
                assert_eq!(rung, crossed, "head {old} to {new}, wanted {wanted}");
            }
        }
    }
}

/// Each side arms for the index at which it can go on, and not yet for the one before.
#[test]
fn a_half_arms_for_the_index_at_which_it_can_go_on() {
    const CAPACITY: u64 = 8;
    for written in 0..=CAPACITY {
        let ring = Ring::after(
            CAPACITY,
            &[Step::Write(written), Step::Publish, Step::ReaderLooks],
        );
        for want in 1..=CAPACITY {
            if ring.consumer.available() < want {
                assert_eq!(ring.consumer.wake_at(want), want);
            }
            if ring.producer.free() < want {
                let head = ring.producer.wake_at(want);
                assert_ne!(head, 0, "0 means awake");
                assert_eq!(CAPACITY - (written - head), want);
            }
        }
    }
}

/// A writer with some room gives way to a reader that waits for what is not published; one without
/// room, or with enough, does not.
#[test]
fn a_writer_gives_way_to_a_starving_reader() {
    const CAPACITY: u64 = 4;
    for written in 0..=CAPACITY {
        for wanted in 0..=2 * CAPACITY {
            for want in 1..=CAPACITY {
                let mut ring = Ring::after(CAPACITY, &[Step::Write(written), Step::Publish]);
                ring.right.wake_at_tail.0.store(wanted, Relaxed);
                let writer = Headers {
                    own: &ring.left,
                    peer: &ring.right,
                };
                let free = CAPACITY - written;
                let expected = match free {
                    _ if free >= want => Status::Ready,
                    _ if wanted > CAPACITY => Status::Cramped(wanted),
                    1.. if wanted > written => Status::Starving,
                    _ => Status::Pending,
                };
                assert_eq!(ring.producer.poll(writer, want, false).unwrap(), expected);
            }
        }
    }
}
