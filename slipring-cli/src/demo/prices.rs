//! Reading the engine's updates from a feed and checking them: every one, or the newest of each
//! frame.

use std::{
    io,
    time::{Duration, Instant},
};

use slipring::feed::{End, Event, Record, Start, Subscriber, SubscriberOptions, Wake};

use super::{
    PROTOCOL, PanelArgs,
    inbound::{Tally, check_sequence},
    wire::{HEADER, Header, Kind, is_intact},
};
use crate::harness::clock::SECOND;

/// Between two frames of a panel that paints.
pub const FRAME: Duration = Duration::from_nanos(SECOND / 60);

/// The receiving end of a feed.
pub struct Prices {
    subscriber: Subscriber,
    paints: bool,
    next_frame: Instant,
    expected: u64,
    pub tally: Tally,
}

impl Prices {
    pub fn connect(feed: &str, args: &PanelArgs) -> slipring::Result<Prices> {
        let wake = if args.paint {
            Wake::Never
        } else {
            Wake::AtOnce
        };
        let subscriber = SubscriberOptions::new()
            .protocol(PROTOCOL)
            .start(Start::At(0))
            .wake(wake)
            .spin(args.spin)
            .max_capacity(1 << 30)
            .wait_for_publisher(Duration::from_secs(5))
            .connect(feed)?;
        Ok(Prices {
            subscriber,
            paints: args.paint,
            next_frame: Instant::now(),
            expected: 0,
            tally: Tally::default(),
        })
    }

    /// Waits for an update until `timeout` has passed, or for the next frame, and hands an intact
    /// one to `each`, which tells whether it makes sense. The end, once it is there.
    pub fn step(
        &mut self,
        timeout: Duration,
        each: impl FnOnce(&Header, &[u8]) -> io::Result<bool>,
    ) -> io::Result<Option<End>> {
        let event = if self.paints {
            let now = Instant::now();
            std::thread::sleep(self.next_frame.saturating_duration_since(now).min(timeout));
            if Instant::now() < self.next_frame {
                return Ok(None);
            }
            self.next_frame = now.max(self.next_frame) + FRAME;
            self.subscriber.latest()?
        } else {
            self.subscriber.recv_timeout(timeout)?
        };
        match event {
            Some(Event::Record(record)) => {
                take(&mut self.tally, &mut self.expected, &record, each)?;
            }
            Some(Event::Lagged(lagged)) => {
                self.tally.missed += lagged.missed;
                self.expected += lagged.missed;
            }
            // It does not reconnect.
            Some(Event::Restarted(_)) | None => {}
            Some(Event::Ended(end)) => {
                self.tally.lost += end.next.saturating_sub(self.expected);
                return Ok(Some(end));
            }
        }
        Ok(None)
    }
}

/// Checks one record: that its number is the one that is due, by the feed and by the message.
fn take(
    tally: &mut Tally,
    expected: &mut u64,
    record: &Record<&[u8]>,
    each: impl FnOnce(&Header, &[u8]) -> io::Result<bool>,
) -> io::Result<()> {
    let message = record.payload;
    tally.messages += 1;
    tally.bytes += message.len() as u64;
    tally.skipped += record.skipped;
    *expected += record.skipped;
    check_sequence(tally, expected, record.sequence);
    let makes_sense = match intact(message, record.sequence) {
        Some(header) => each(&header, message)?,
        None => false,
    };
    tally.corrupt += u64::from(!makes_sense);
    Ok(())
}

/// The header of an update that is whole, and has this number.
pub fn intact(message: &[u8], number: u64) -> Option<Header> {
    let header = (message.len() >= HEADER).then(|| Header::read(message).ok());
    header
        .flatten()
        .filter(|header| {
            header.kind == Kind::Update
                && header.length == message.len()
                && header.sequence == number
        })
        .filter(|_| is_intact(message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::wire;

    fn tally_of(sequence: u64, skipped: u64, message: &[u8]) -> Tally {
        let record = Record {
            sequence,
            time: None,
            skipped,
            payload: message,
        };
        let mut tally = Tally::default();
        take(&mut tally, &mut 3, &record, |_, _| Ok(true)).unwrap();
        tally
    }

    #[test]
    fn a_record_is_checked_by_its_number_and_its_sum() {
        let message = |sequence| {
            let mut message = vec![7; 100];
            wire::seal(&mut message, Kind::Update, sequence, 1);
            message
        };
        let good = tally_of(3, 0, &message(3));
        assert_eq!((good.damaged(), good.known()), (0, 1));
        let painted = tally_of(8, 5, &message(8));
        assert_eq!((painted.damaged(), painted.known()), (0, 6));
        assert_eq!(tally_of(5, 0, &message(5)).lost, 2);
        assert_eq!(tally_of(2, 0, &message(2)).reordered, 1);
        assert_eq!(tally_of(3, 0, &message(4)).corrupt, 1, "another's number");
        let mut flipped = message(3);
        flipped[50] ^= 1;
        assert_eq!(tally_of(3, 0, &flipped).corrupt, 1);
        assert_eq!(tally_of(3, 0, &message(3)[..20]).corrupt, 1);
    }
}
