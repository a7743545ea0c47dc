//! The corpora, played on any toolchain: a fault that was found once is found again.

use std::panic::resume_unwind;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// The scenes count the resources of this process.
static ALONE: Mutex<()> = Mutex::new(());

/// Plays a corpus; returns the outcome of each file, in the order of their names.
fn replay<T: Send + 'static>(name: &str, play: fn(&[u8]) -> T) -> Vec<T> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name);
    let mut files: Vec<_> = corpus
        .read_dir()
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{}", corpus.display());
    // Runs on a thread that ends, so that everything it holds ends with it.
    let playing = thread::spawn(move || {
        play(&[]);
        let played = files.iter().map(|file| {
            // Shown if it fails.
            println!("{}", file.display());
            play(&std::fs::read(file).unwrap())
        });
        played.collect()
    });
    playing.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// Plays so many inputs of up to `most` bytes, the same ones each time.
fn random(count: usize, most: u64, play: fn(&[u8])) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    // xorshift64*
    let mut number = move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    };
    for _ in 0..count {
        let len = number() % most;
        let data = Shown((0..len).map(|_| number() as u8).collect());
        play(&data.0);
    }
}

/// An input, which is shown if playing it panics.
struct Shown(Vec<u8>);

impl Drop for Shown {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("{:02x?}", self.0);
        }
    }
}

/// Every reason for which a side ends a handshake that a peer of the same user can give.
const REASONS: [&str; 23] = [
    "the versions 3 to 3 of slipring, and the peer 9 to 9",
    "the peer speaks the protocol",
    "the header has an impossible length",
    "the capacity is impossible",
    "a capacity of 16384 bytes cannot be had",
    "more descriptors than expected",
    "a descriptor is missing",
    "the memory cannot be sealed",
    "the memory is not sealed",
    "the memory has another size than announced",
    "the memory is not open for writing",
    "the memory is not allocated",
    "the memory does not begin with the preamble that was announced",
    "a doorbell is not an eventfd",
    "a message out of turn",
    "does not speak slipring",
    "went away during the handshake",
    "refused: this side's capacity",
    "refused: it does not allow user",
    "refused: what this side sent is not right",
    "refused: it has no memory or no descriptors left",
    "refused: 1-99999",
    "the versions 3 to 3 of slipring, and the peer 1 to 1",
];

fn assert_met(reasons: &[&str], outcomes: &[Option<String>]) {
    for reason in reasons {
        let mut refusals = outcomes.iter().flatten();
        assert!(refusals.any(|text| text.contains(reason)), "{reason}");
    }
    assert!(outcomes.contains(&None), "served");
}

#[test]
fn the_corpus_of_connect_replays() {
    let outcomes = replay("connect", slipring_fuzz::connect);
    assert_met(&REASONS, &outcomes);
    // Bytes sent before this side asks for credentials come without, unless they bring their own.
    assert_met(
        &["its memory comes from another process than its hello"],
        &outcomes,
    );
}

#[test]
fn the_corpus_of_accept_replays() {
    assert_met(&REASONS, &replay("accept", slipring_fuzz::accept));
}

#[test]
fn the_corpus_of_listener_replays() {
    replay("listener", slipring_fuzz::listener);
}

#[test]
fn random_inputs_for_listener_play() {
    random(3000, 300, slipring_fuzz::listener);
}

#[test]
fn the_corpus_of_header_replays() {
    replay("header", slipring_fuzz::header);
}

#[test]
fn the_corpus_of_rings_replays() {
    replay("rings", slipring_fuzz::rings);
}

#[test]
fn the_corpus_of_board_replays() {
    replay("board", slipring_fuzz::board);
}

#[test]
fn random_inputs_for_board_play() {
    random(2000, 400, slipring_fuzz::board);
}

#[test]
fn the_corpus_of_feed_replays() {
    replay("feed", slipring_fuzz::feed);
}

#[test]
fn random_inputs_for_feed_play() {
    random(2000, 400, slipring_fuzz::feed);
}

#[test]
fn the_corpus_of_frames_replays() {
    replay("frames", slipring_fuzz::frames);
}

#[test]
fn the_corpus_of_messages_replays() {
    replay("messages", slipring_fuzz::messages);
}

#[test]
fn the_corpus_of_name_replays() {
    replay("name", slipring_fuzz::name);
}

#[test]
fn the_corpus_of_address_replays() {
    replay("address", slipring_fuzz::address);
}
