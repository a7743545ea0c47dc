//! Records that are written in place and read in place: no byte is copied between the two
//! processes.
//!
//! ```text
//! cargo run --example zero_copy
//! ```

use slipring::{Options, Stream};
use std::io::{self, BufRead, ErrorKind};
use std::process::Command;
use std::time::Duration;

/// A record is a price and a size, 16 bytes.
const RECORD: usize = 16;
const RECORDS: u64 = 1_000_000;

fn main() -> io::Result<()> {
    if let Some(name) = std::env::args().nth(1) {
        let options = Options::new().wait_for_listener(Duration::from_secs(5));
        return produce(options.connect(name)?);
    }
    let name = format!("records-{}", std::process::id());
    let listener = Options::new().bind(&name)?;
    let mut producer = Command::new(std::env::current_exe()?).arg(&name).spawn()?;
    let volume = consume(listener.accept()?)?;
    producer.wait()?;
    println!("{RECORDS} records seen where they lie, {volume} in all");
    Ok(())
}

/// Writes records straight into the ring, a hundred at a time.
fn produce(mut stream: Stream) -> io::Result<()> {
    const AT_ONCE: u64 = 100;
    for first in (0..RECORDS).step_by(AT_ONCE as usize) {
        let mut grant = stream.writer().reserve(AT_ONCE as usize * RECORD)?;
        for (record, number) in grant.chunks_exact_mut(RECORD).zip(first..) {
            record[..8].copy_from_slice(&(100 + number % 7).to_le_bytes());
            record[8..].copy_from_slice(&(number % 1000).to_le_bytes());
        }
        grant.commit(AT_ONCE as usize * RECORD);
    }
    stream.writer().finish()
}

/// Adds up price times size of all records, without taking them out of the ring first.
fn consume(mut stream: Stream) -> io::Result<u64> {
    let mut volume = 0;
    loop {
        // At least one whole record, and all others that are there, as one slice.
        let bytes = match stream.reader().fill_at_least(RECORD) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(volume),
            Err(e) => return Err(e),
        };
        let records = bytes.chunks_exact(RECORD);
        let whole = records.len() * RECORD;
        for record in records {
            let (price, size) = record.split_at(8);
            volume += number(price) * number(size);
        }
        stream.consume(whole);
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}
