//! Reading messages in place and checking them: used by the engine and by every panel.

use std::io::{self, BufRead, ErrorKind};

use slipring::Reader;

use super::wire::{BadFrame, HEADER, Header, is_intact};

/// Room is given back to the writer at least this often while a long run of messages is read.
const RETURN_ROOM_AFTER: usize = 16 << 10;

/// The messages that have arrived in one direction, and their faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub messages: u64,
    pub bytes: u64,
    /// sequence numbers left out
    pub lost: u64,
    /// sequence numbers that came too late or twice
    pub reordered: u64,
    /// checksums that do not fit, contents that make no sense
    pub corrupt: u64,
    /// messages of a feed that were overwritten before they were read, by the feed's own word
    pub missed: u64,
    /// messages of a feed that a panel that paints has passed over
    pub skipped: u64,
}

impl Tally {
    /// Messages that were not as they should have been.
    pub fn damaged(&self) -> u64 {
        self.lost + self.reordered + self.corrupt
    }

    /// Messages that have come, or are known not to come.
    pub fn known(&self) -> u64 {
        self.messages + self.missed + self.skipped
    }
}

/// How reading went on.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    Messages,
    /// Nothing came within the reader's time limit.
    Quiet,
    /// Nothing more will come; `Reader::end` tells why.
    Ended,
    /// The bytes are no messages; nothing more can be read.
    BadFrame,
}

/// The receiving end of one direction.
pub struct Inbound {
    reader: Reader,
    expected: u64,
    pub tally: Tally,
}

impl Inbound {
    pub fn new(reader: Reader) -> Self {
        Inbound {
            reader,
            expected: 0,
            tally: Tally::default(),
        }
    }

    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Waits for messages and hands each intact one to `each`, in place. `each` tells whether the
    /// contents make sense.
    pub fn step(
        &mut self,
        mut each: impl FnMut(&Header, &[u8]) -> io::Result<bool>,
    ) -> io::Result<Step> {
        let lent = match self.reader.fill_at_least(HEADER) {
            Ok(lent) => lent,
            Err(error) => return self.without_message(error),
        };
        let Ok(first) = Header::read(lent) else {
            return Ok(self.bad_frame());
        };
        let lent = if lent.len() < first.length {
            match self.reader.fill_at_least(first.length) {
                Ok(lent) => lent,
                Err(error) => return self.without_message(error),
            }
        } else {
            lent
        };

        let mut used = 0;
        let mut framed = true;
        while used < RETURN_ROOM_AFTER {
            let (header, message) = match next_message(&lent[used..]) {
                Ok(Some(next)) => next,
                Ok(None) => break,
                Err(BadFrame) => {
                    framed = false;
                    break;
                }
            };
            used += header.length;
            self.tally.messages += 1;
            self.tally.bytes += message.len() as u64;
            if is_intact(message) {
                check_sequence(&mut self.tally, &mut self.expected, header.sequence);
                if !each(&header, message)? {
                    self.tally.corrupt += 1;
                }
            } else {
                // Its sequence cannot be trusted either: take it for the one that was due.
                self.expected += 1;
                self.tally.corrupt += 1;
            }
        }
        self.reader.consume(used);
        Ok(if framed {
            Step::Messages
        } else {
            self.bad_frame()
        })
    }

    fn without_message(&mut self, error: io::Error) -> io::Result<Step> {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => Ok(Step::Quiet),
            // A message that is longer than the ring: the header cannot be right.
            ErrorKind::InvalidInput => Ok(self.bad_frame()),
            // Bytes that are left at an orderly end are the beginning of a message that never came
            // whole. Of a peer that died while it wrote, nothing else can be expected.
            ErrorKind::UnexpectedEof if self.reader.available()? > 0 => Ok(self.bad_frame()),
            _ => Ok(Step::Ended),
        }
    }

    fn bad_frame(&mut self) -> Step {
        self.tally.corrupt += 1;
        Step::BadFrame
    }
}

/// The message at the start of `bytes`, if it is there as a whole.
fn next_message(bytes: &[u8]) -> Result<Option<(Header, &[u8])>, BadFrame> {
    if bytes.len() < HEADER {
        return Ok(None);
    }
    let header = Header::read(bytes)?;
    Ok(bytes.get(..header.length).map(|message| (header, message)))
}

pub fn check_sequence(tally: &mut Tally, expected: &mut u64, sequence: u64) {
    if sequence < *expected {
        tally.reordered += 1;
    } else {
        tally.lost += sequence - *expected;
        *expected = sequence.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally_of(sequences: &[u64]) -> Tally {
        let mut tally = Tally::default();
        let mut expected = 0;
        for &sequence in sequences {
            check_sequence(&mut tally, &mut expected, sequence);
        }
        tally
    }

    #[test]
    fn gaps_count_as_lost_and_repetitions_as_reordered() {
        assert_eq!(tally_of(&[0, 1, 2, 3]), Tally::default());
        assert_eq!(tally_of(&[0, 3, 4]).lost, 2);
        assert_eq!(tally_of(&[0, 1, 1, 2]).reordered, 1);
        assert_eq!(tally_of(&[1]).lost, 1);
    }
}
