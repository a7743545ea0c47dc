//! Order-book updates, which the engine publishes, and the values that a panel reads out of them.
//!
//! Body: symbol (8 bytes, padded with spaces), number of bids and of asks (2 bytes each), then the
//! levels, bids first, best first: price (8 bytes, in 1/10000), size and number of orders (4 bytes
//! each).

use super::{
    random::Random,
    wire::{self, HEADER, Kind, LARGEST_UPDATE, u16_at, u64_at},
};

const LEVELS: usize = HEADER + 12;
const LEVEL: usize = 16;
const MOST_LEVELS: usize = (LARGEST_UPDATE - LEVELS) / LEVEL;
const TICK: u64 = 100;
pub const SYMBOLS: [&[u8; 8]; 8] = [
    b"ALDER   ",
    b"BIRCH   ",
    b"CEDAR   ",
    b"ELM     ",
    b"HAZEL   ",
    b"MAPLE   ",
    b"ROWAN   ",
    b"WILLOW  ",
];

/// The updates for one panel, in order. The next one's length is known before it is written, so
/// that room for it can be found first.
pub struct Feed {
    random: Random,
    prices: [u64; SYMBOLS.len()],
    symbol: usize,
    bids: usize,
    asks: usize,
}

impl Feed {
    pub fn new(panel: usize) -> Self {
        let mut feed = Feed {
            random: Random::new(panel as u64),
            prices: [0; SYMBOLS.len()],
            symbol: 0,
            bids: 0,
            asks: 0,
        };
        for price in &mut feed.prices {
            // between 10 and 500
            *price = 100_000 + TICK * feed.random.below(49_000);
        }
        feed.draw();
        feed
    }

    /// Bytes of the next update.
    pub fn length(&self) -> usize {
        LEVELS + LEVEL * (self.bids + self.asks)
    }

    /// Writes the next update into `message`, which has its length, and draws the one after it.
    /// `stamp` is called for the stamp when the book is ready.
    pub fn write(&mut self, message: &mut [u8], sequence: u64, stamp: impl Fn() -> u64) {
        let middle = self.prices[self.symbol];
        message[HEADER..HEADER + 8].copy_from_slice(SYMBOLS[self.symbol]);
        message[HEADER + 8..HEADER + 10].copy_from_slice(&(self.bids as u16).to_le_bytes());
        message[HEADER + 10..LEVELS].copy_from_slice(&(self.asks as u16).to_le_bytes());
        let (bids, asks) = message[LEVELS..].split_at_mut(LEVEL * self.bids);
        for (depth, level) in bids.chunks_exact_mut(LEVEL).enumerate() {
            self.write_level(level, middle - TICK * (depth as u64 + 1));
        }
        for (depth, level) in asks.chunks_exact_mut(LEVEL).enumerate() {
            self.write_level(level, middle + TICK * (depth as u64 + 1));
        }
        wire::seal(message, Kind::Update, sequence, stamp());
        self.draw();
    }

    fn write_level(&mut self, level: &mut [u8], price: u64) {
        let random = self.random.next();
        let size = 1 + (random & 0xFFF) as u32;
        let orders = 1 + (random >> 60) as u32;
        level[..8].copy_from_slice(&price.to_le_bytes());
        level[8..12].copy_from_slice(&size.to_le_bytes());
        level[12..].copy_from_slice(&orders.to_le_bytes());
    }

    /// Picks the symbol and the size of the next update: mostly a few levels, now and then a
    /// whole book.
    fn draw(&mut self) {
        let random = self.random.next();
        self.symbol = (random & 7) as usize;
        // One tick up or down, and never so low that the deepest bid would be below zero.
        let price = &mut self.prices[self.symbol];
        *price = (*price + TICK * (random >> 8 & 2))
            .saturating_sub(TICK)
            .max(100_000);
        let most = match random >> 16 & 63 {
            0 => MOST_LEVELS,
            1..16 => 64,
            _ => 8,
        };
        let levels = 1 + self.random.below(most as u64) as usize;
        self.bids = levels / 2;
        self.asks = levels - self.bids;
    }
}

/// The values that a panel takes from an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Top {
    pub symbol: [u8; 8],
    pub best_ask: u64,
}

/// The symbol of an update (header included).
pub fn symbol(message: &[u8]) -> &[u8] {
    &message[HEADER..HEADER + 8]
}

/// Reads an update (header included). `None` if the levels do not fit the message, or if the book
/// is no book: bids have to fall, asks have to rise, above the bids.
pub fn read(message: &[u8]) -> Option<Top> {
    if message.len() < LEVELS {
        return None;
    }
    let bids = usize::from(u16_at(message, HEADER + 8));
    let asks = usize::from(u16_at(message, HEADER + 10));
    let levels = &message[LEVELS..];
    if asks == 0 || levels.len() != LEVEL * (bids + asks) {
        return None;
    }
    let (bids, asks) = levels.split_at(LEVEL * bids);
    let price = |level: &[u8]| u64_at(level, 0);
    let bids = bids.chunks_exact(LEVEL).map(price);
    let asks = asks.chunks_exact(LEVEL).map(price);
    let best_ask = asks.clone().next()?;
    // From the deepest bid over the best bid and the best ask to the deepest ask, prices rise.
    let rising = bids.rev().chain(asks).is_sorted_by(|low, high| low < high);
    let mut symbol = [0; 8];
    symbol.copy_from_slice(&message[HEADER..HEADER + 8]);
    rising.then_some(Top { symbol, best_ask })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demo_updates_are_books_of_all_sizes() {
        let mut feed = Feed::new(3);
        let (mut smallest, mut largest) = (usize::MAX, 0);
        for sequence in 0..100_000 {
            let mut message = vec![0; feed.length()];
            feed.write(&mut message, sequence, || 1);
            assert!(wire::is_intact(&message));
            assert!(read(&message).is_some());
            smallest = smallest.min(message.len());
            largest = largest.max(message.len());
        }
        assert_eq!(smallest, 60);
        assert!((4000..=LARGEST_UPDATE).contains(&largest), "{largest}");
    }

    #[test]
    fn every_demo_sends_the_same_books() {
        let (mut one, mut other) = (Feed::new(1), Feed::new(1));
        for sequence in 0..1000 {
            let mut messages = [vec![0; one.length()], vec![0; other.length()]];
            one.write(&mut messages[0], sequence, || 1);
            other.write(&mut messages[1], sequence, || 1);
            assert_eq!(messages[0], messages[1]);
        }
    }

    #[test]
    fn a_crossed_book_is_refused() {
        let mut feed = Feed::new(0);
        while feed.bids == 0 {
            feed.draw();
        }
        let mut message = vec![0; feed.length()];
        feed.write(&mut message, 0, || 1);
        // The first level is the best bid: put it above every ask.
        message[LEVELS..LEVELS + 8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(read(&message), None);
    }
}
