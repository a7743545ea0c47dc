//! Two streams in one loop around `poll(2)`, as a program has it that already lives by one.
//!
//! ```text
//! cargo run --example poll
//! ```

use rustix::event::{PollFd, PollFlags, poll};
use slipring::{Options, Reader, Readiness};
use std::io::{self, BufRead, ErrorKind, Write};
use std::process::Command;
use std::time::Duration;

const FEEDS: u64 = 2;
const TICKS: u64 = 100_000;

/// A tick is a price.
const TICK: usize = 8;

fn main() -> io::Result<()> {
    if let Some(name) = std::env::args().nth(1) {
        return feed(&name);
    }
    let name = format!("ticks-{}", std::process::id());
    let listener = Options::new().bind(&name)?;
    let mut readers = Vec::new();
    let mut feeds = Vec::new();
    for _ in 0..FEEDS {
        feeds.push(Command::new(std::env::current_exe()?).arg(&name).spawn()?);
        let (mut reader, _) = listener.accept()?.into_split();
        reader.set_nonblocking(true);
        readers.push(reader);
    }

    let (mut sum, mut polls) = (0, 0);
    while !readers.is_empty() {
        // First all that is there; a feed that has ended leaves the loop.
        let mut ended = Vec::new();
        for (index, reader) in readers.iter_mut().enumerate() {
            if !read_ticks(reader, &mut sum)? {
                ended.push(index);
            }
        }
        for index in ended.into_iter().rev() {
            readers.swap_remove(index);
        }

        // Then each asks to be woken; and only if none has news by now is it time to poll.
        let mut idle = true;
        for reader in &mut readers {
            idle &= reader.arm(TICK)? == Readiness::Pending;
        }
        if idle && !readers.is_empty() {
            let mut fds: Vec<_> = readers
                .iter()
                .map(|reader| PollFd::new(reader, PollFlags::IN))
                .collect();
            poll(&mut fds, None)?;
            polls += 1;
        }
    }

    for mut feed in feeds {
        feed.wait()?;
    }
    println!(
        "{} ticks of {FEEDS} feeds, their sum is {sum}",
        FEEDS * TICKS
    );
    eprintln!("{polls} polls");
    Ok(())
}

/// Adds up all ticks that are there; `false` at the end of the feed.
fn read_ticks(reader: &mut Reader, sum: &mut u64) -> io::Result<bool> {
    loop {
        let bytes = match reader.fill_at_least(TICK) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(false),
            Err(e) => return Err(e),
        };
        let ticks = bytes.chunks_exact(TICK);
        let whole = ticks.len() * TICK;
        for tick in ticks {
            *sum += tick
                .iter()
                .rev()
                .fold(0, |price, byte| price << 8 | u64::from(*byte));
        }
        reader.consume(whole);
    }
}

/// The other process: a feed of prices.
fn feed(name: &str) -> io::Result<()> {
    let options = Options::new().wait_for_listener(Duration::from_secs(5));
    let mut stream = options.connect(name)?;
    for number in 0..TICKS {
        stream.write_all(&(100 + number % 7).to_le_bytes())?;
    }
    stream.writer().finish()
}
