//! The corpora, played on any toolchain: what was found once is found again.

use std::panic::resume_unwind;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// The scenes count what this process holds.
static ALONE: Mutex<()> = Mutex::new(());

fn replay(name: &str, play: fn(&[u8])) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let mut files: Vec<_> = corpus.read_dir().unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{}", corpus.display());
    // On a thread that ends, and what it holds with it.
    let playing = thread::spawn(move || {
        play(&[]);
        for file in files {
            // Shown if it fails.
            println!("{}", file.display());
            play(&std::fs::read(file).unwrap());
        }
    });
    if let Err(panic) = playing.join() {
        resume_unwind(panic);
    }
}

#[test]
fn connect() {
    replay("connect", slipring_fuzz::connect);
}

#[test]
fn accept() {
    replay("accept", slipring_fuzz::accept);
}

#[test]
fn header() {
    replay("header", slipring_fuzz::header);
}

#[test]
fn frames() {
    replay("frames", slipring_fuzz::frames);
}

#[test]
fn messages() {
    replay("messages", slipring_fuzz::messages);
}

#[test]
fn name() {
    replay("name", slipring_fuzz::name);
}

#[test]
fn address() {
    replay("address", slipring_fuzz::address);
}
