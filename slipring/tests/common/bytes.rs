//! Bytes that are a function of their position: any loss, doubling, exchange or change is found,
//! and its place.

use slipring::Reader;
use std::io::{BufRead, Read, Write};

/// The finalizer of splitmix64.
#[inline]
pub fn mix(x: u64) -> u64 {
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// The bytes at the positions `8 * word ..`.
#[inline]
fn word(seed: u64, word: u64) -> [u8; 8] {
    mix(seed ^ word.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_le_bytes()
}

/// Calls `each` with the parts of `0..len` that lie within one word each, and that word's bytes.
#[inline]
fn words(seed: u64, position: u64, len: usize, mut each: impl FnMut(usize, &[u8])) {
    let mut at = 0;
    while at < len {
        let position = position + at as u64;
        let skip = (position % 8) as usize;
        let n = (8 - skip).min(len - at);
        each(at, &word(seed, position / 8)[skip..skip + n]);
        at += n;
    }
}

/// Fills `buf` with the bytes of the stream `seed` from `position` on.
pub fn fill(seed: u64, position: u64, buf: &mut [u8]) {
    words(seed, position, buf.len(), |at, right| {
        buf[at..at + right.len()].copy_from_slice(right)
    });
}

/// The `len` bytes of the stream `seed` from `position` on.
pub fn made(seed: u64, position: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    fill(seed, position, &mut bytes);
    bytes
}

/// Panics with the position of the first byte that is not the one of the stream `seed`.
#[track_caller]
pub fn check(seed: u64, position: u64, buf: &[u8]) {
    let mut wrong = None;
    words(seed, position, buf.len(), |at, right| {
        if wrong.is_none() && buf[at..at + right.len()] != *right {
            let off = buf[at..]
                .iter()
                .zip(right)
                .position(|(found, right)| found != right);
            wrong = Some(at + off.unwrap_or_default());
        }
    });
    if let Some(at) = wrong {
        let position = position + at as u64;
        let right = word(seed, position / 8)[(position % 8) as usize];
        panic!(
            "stream {seed}: the byte at {position} is {:#04x} and should be {right:#04x}",
            buf[at]
        );
    }
}

/// Writes bytes of the stream `seed` at one position after the other.
pub struct Source {
    seed: u64,
    pub position: u64,
    buf: Vec<u8>,
}

impl Source {
    pub fn new(seed: u64) -> Source {
        Source {
            seed,
            position: 0,
            buf: Vec::new(),
        }
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> &[u8] {
        self.buf.resize(n, 0);
        fill(self.seed, self.position, &mut self.buf);
        self.position += n as u64;
        &self.buf
    }

    /// Writes the next `n` bytes.
    pub fn write_all(&mut self, to: &mut impl Write, n: usize) -> std::io::Result<()> {
        to.write_all(self.take(n))
    }
}

/// Checks bytes of the stream `seed` at one position after the other.
pub struct Sink {
    seed: u64,
    pub position: u64,
}

impl Sink {
    pub fn new(seed: u64) -> Sink {
        Sink { seed, position: 0 }
    }

    #[track_caller]
    pub fn take(&mut self, bytes: &[u8]) {
        check(self.seed, self.position, bytes);
        self.position += bytes.len() as u64;
    }

    /// Reads exactly `n` bytes and checks them.
    #[track_caller]
    pub fn read_exact(&mut self, from: &mut impl Read, n: usize) -> std::io::Result<()> {
        let mut buf = vec![0; n];
        from.read_exact(&mut buf)?;
        self.take(&buf);
        Ok(())
    }

    /// Reads to the end, of any kind, and returns its kind.
    pub fn drain(&mut self, reader: &mut Reader) -> std::io::Result<()> {
        loop {
            let bytes = reader.fill_buf()?;
            let n = bytes.len();
            if n == 0 {
                return Ok(());
            }
            self.take(bytes);
            reader.consume(n);
        }
    }
}
