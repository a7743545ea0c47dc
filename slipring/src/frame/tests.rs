//! What only a peer does that rewrites its own header or what it has published.

use super::decode::{Decoder, Step};
use super::header::Header;
use crate::options::Options;
use crate::stream::Reader;
use crate::stream::Writer;
use std::io;

/// A peer's writer, and a decoder for what comes from there.
struct Peer {
    writer: Writer,
    reader: Reader,
    decoder: Decoder,
    _others: (Reader, Writer),
}

impl Peer {
    fn new(copied: bool) -> Peer {
        let (left, right) = Options::new()
            .capacity(4096)
            .max_capacity(4096)
            .copy_reads(copied)
            .pair()
            .unwrap();
        let (other_reader, writer) = left.into_split();
        let (reader, other_writer) = right.into_split();
        Peer {
            writer,
            decoder: Decoder::new(&reader.half, 100_000).unwrap(),
            reader,
            _others: (other_reader, other_writer),
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        assert_eq!(self.writer.try_write(bytes).unwrap(), bytes.len());
    }

    /// Writes over what is in the ring already.
    fn rewrite(&self, offset: usize, bytes: &[u8]) {
        // SAFETY: the test holds no slice of the ring.
        unsafe { self.writer.half.memory().write(offset, bytes) };
    }

    /// Takes in what has come.
    fn step(&mut self) -> io::Result<Step> {
        self.reader.available().unwrap();
        self.decoder.step(&mut self.reader.half)
    }
}

#[test]
fn a_frame_header_is_loaded_once() {
    for copied in [false, true] {
        let mut peer = Peer::new(copied);
        peer.write(&Header::last(8).to_bytes());
        assert_eq!(peer.step().unwrap(), Step::Wait(16));
        // Now it claims more than there is.
        peer.rewrite(0, &Header::last(4000).to_bytes());
        peer.write(b"8 bytes.");
        assert_eq!(peer.step().unwrap(), Step::Ready);
        peer.decoder.prepare(&mut peer.reader.half);
        peer.rewrite(0, &[0xff; 8]);
        assert_eq!(peer.decoder.lent(&peer.reader.half), b"8 bytes.");
        peer.decoder.free(&mut peer.reader.half);
        assert_eq!(peer.reader.position(), 16);
        assert_eq!(peer.step().unwrap(), Step::Wait(8));
    }
}

#[test]
fn a_part_that_changes_while_more_is_awaited() {
    let mut peer = Peer::new(false);
    peer.write(&Header::more(8).to_bytes());
    peer.write(b"part one");
    assert_eq!(peer.step().unwrap(), Step::Wait(8));
    // It has been taken out of the ring: this comes too late.
    peer.rewrite(8, b"part two");
    peer.write(&Header::last(0).to_bytes());
    assert_eq!(peer.step().unwrap(), Step::Ready);
    assert_eq!(peer.decoder.lent(&peer.reader.half), b"part one");
}

#[test]
fn the_latest_message_is_looked_for_in_a_ring_that_lies() {
    // Behind the first message there is nothing that could be one, then one that is not there in
    // full.
    for header in [
        [0xff; 8],
        Header::last(4088).to_bytes(),
        Header::GIVE_UP.to_bytes(),
    ] {
        let mut peer = Peer::new(false);
        peer.write(&[0; 8]);
        peer.write(&header);
        assert_eq!(peer.step().unwrap(), Step::Ready);
        assert_eq!(peer.decoder.skip(&mut peer.reader.half), 0);
        assert_eq!(peer.step().unwrap(), Step::Ready);
    }
}
