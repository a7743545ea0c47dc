//! Reading the engine's updates from a board and checking them: in each frame the newest of each
//! symbol that has changed.

use std::{
    collections::HashMap,
    io,
    time::{Duration, Instant},
};

use slipring::{
    board::{Change, Event, Subscriber, SubscriberOptions},
    feed::{End, Wake},
};

use super::{
    PROTOCOL, book,
    inbound::Tally,
    prices::{FRAME, intact},
    wire::Header,
};

/// The receiving end of a board.
pub struct Painted {
    subscriber: Subscriber,
    next_frame: Instant,
    /// The number of each symbol's update that was painted last.
    shown: HashMap<Vec<u8>, u64>,
    pub tally: Tally,
}

impl Painted {
    pub fn connect(name: &str) -> slipring::Result<Painted> {
        let subscriber = SubscriberOptions::new()
            .protocol(PROTOCOL)
            .wake(Wake::Never)
            .max_capacity(1 << 30)
            .wait_for_publisher(Duration::from_secs(5))
            .connect(name)?;
        Ok(Painted {
            subscriber,
            next_frame: Instant::now(),
            shown: HashMap::new(),
            tally: Tally::default(),
        })
    }

    /// Waits for the next frame until `timeout` has passed, and hands each intact update that is
    /// new then to `each`, which tells whether it makes sense. The end, once it is there.
    pub fn step(
        &mut self,
        timeout: Duration,
        mut each: impl FnMut(&Header, &[u8]) -> io::Result<bool>,
    ) -> io::Result<Option<End>> {
        let now = Instant::now();
        std::thread::sleep(self.next_frame.saturating_duration_since(now).min(timeout));
        if Instant::now() < self.next_frame {
            return Ok(None);
        }
        self.next_frame = now.max(self.next_frame) + FRAME;
        let (shown, tally) = (&mut self.shown, &mut self.tally);
        match self.subscriber.try_changed()? {
            Some(Event::Changes(changes)) => {
                for change in changes {
                    take(shown, tally, change, &mut each)?;
                }
            }
            // It does not reconnect.
            Some(Event::Restarted(_)) | None => {}
            Some(Event::Ended(end)) => {
                self.check_end(end)?;
                return Ok(Some(end));
            }
        }
        // All that came before the last one painted, and was not painted itself.
        let next = self.subscriber.next();
        self.tally.skipped = next.saturating_sub(self.tally.messages);
        Ok(None)
    }

    /// The board has each symbol as it was painted last, and nothing was published behind that.
    fn check_end(&mut self, end: End) -> io::Result<()> {
        self.tally.skipped = end.next.saturating_sub(self.tally.messages);
        let snapshot = self.subscriber.snapshot().map_err(io::Error::from)?;
        let kept = snapshot.entries.iter();
        let unseen = kept.filter(|(key, (number, _))| self.shown.get(*key) != Some(number));
        self.tally.lost += unseen.count() as u64;
        self.tally.lost += end.next.abs_diff(snapshot.next);
        Ok(())
    }
}

/// Checks one change: its message, and that it is newer than the last one of its symbol.
fn take(
    shown: &mut HashMap<Vec<u8>, u64>,
    tally: &mut Tally,
    change: Change<'_>,
    each: &mut impl FnMut(&Header, &[u8]) -> io::Result<bool>,
) -> io::Result<()> {
    let Change::Set {
        key,
        value: message,
        version,
    } = change
    else {
        // The engine removes none.
        tally.corrupt += 1;
        return Ok(());
    };
    tally.messages += 1;
    tally.bytes += message.len() as u64;
    let before = shown.insert(key.to_vec(), version);
    tally.reordered += u64::from(before.is_some_and(|before| before >= version));
    let header = intact(message, version).filter(|_| book::symbol(message) == key);
    let makes_sense = match header {
        Some(header) => each(&header, message)?,
        None => false,
    };
    tally.corrupt += u64::from(!makes_sense);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{
        book::Feed,
        wire::{self, Kind},
    };

    #[test]
    fn a_change_is_checked_by_its_number_its_symbol_and_its_sum() {
        let mut feed = Feed::new(0);
        let mut message = vec![0; feed.length()];
        feed.write(&mut message, 7, || 1);
        let symbol = book::symbol(&message).to_vec();
        let tally_of = |before: u64, key: &[u8], version, value: &[u8]| {
            let mut shown = HashMap::from([(symbol.clone(), before)]);
            let mut tally = Tally::default();
            let change = Change::Set {
                key,
                value,
                version,
            };
            take(&mut shown, &mut tally, change, &mut |_, _| Ok(true)).unwrap();
            (tally.messages, tally.reordered, tally.corrupt)
        };
        assert_eq!(tally_of(6, &symbol, 7, &message), (1, 0, 0));
        assert_eq!(tally_of(7, &symbol, 7, &message), (1, 1, 0));
        assert_eq!(
            tally_of(6, &symbol, 8, &message),
            (1, 0, 1),
            "another's number"
        );
        assert_eq!(tally_of(6, b"NONE    ", 7, &message), (1, 0, 1));
        let mut flipped = message.clone();
        flipped[50] ^= 1;
        assert_eq!(tally_of(6, &symbol, 7, &flipped), (1, 0, 1));
        wire::seal(&mut message, Kind::Order, 7, 1);
        assert_eq!(tally_of(6, &symbol, 7, &message), (1, 0, 1));
    }
}
