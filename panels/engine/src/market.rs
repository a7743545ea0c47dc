//! A market that is made up: symbols, and prices that wander.

use slipring_panels_engine::{Quote, now};

/// Symbols and their quotes.
pub struct Market {
    pub symbols: Vec<String>,
    quotes: Vec<Quote>,
    random: u64,
}

impl Market {
    /// The same symbols each time. The prices depend on the seed.
    pub fn new(symbols: usize, seed: u64) -> Market {
        let mut market = Market {
            symbols: (0..symbols).map(symbol).collect(),
            quotes: vec![Quote::default(); symbols],
            random: seed | 1,
        };
        for place in 0..symbols {
            let open = 1_000 + market.below(60_000) as i64;
            market.quotes[place] = Quote {
                open,
                last: open,
                bid: open - 1,
                ask: open + 1,
                ..Quote::default()
            };
        }
        // A part of the day has passed.
        for _ in 0..symbols * 60 {
            market.step();
        }
        market
    }

    /// Makes one trade; returns the place of its symbol. A few symbols have most of the trades.
    pub fn step(&mut self) -> usize {
        let count = self.symbols.len();
        let share = self.below(1 << 20) as f64 / (1 << 20) as f64;
        let rank = (share.powi(3) * count as f64) as usize;
        // So that the busy ones are not all next to each other.
        let place = rank * 197 % count;
        self.trade(place);
        place
    }

    /// The newest quote of a symbol.
    pub fn quote(&self, place: usize) -> Quote {
        self.quotes[place]
    }

    fn trade(&mut self, place: usize) {
        let (random, size) = (self.below(1 << 16), self.below(9));
        let quote = &mut self.quotes[place];
        // Steps grow with the price, and are as often up as down.
        let step = 1 + quote.last / 8_000;
        let moved = match random % 8 {
            0..3 => step,
            3..6 => -step,
            _ => 0,
        };
        quote.last = (quote.last + moved).max(100);
        let spread = 1 + (random >> 8 & 1) as i64;
        quote.bid = quote.last - spread;
        quote.ask = quote.last + spread;
        quote.volume += 100 * (1 + size as i64);
        quote.time = now();
    }

    /// A number below `end`, by xorshift.
    fn below(&mut self, end: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % end
    }
}

/// Four letters, other ones for each number below 19,000.
fn symbol(number: usize) -> String {
    const FIRST: &[u8] = b"BCDFGHKLMNPRSTVWXZJ";
    const VOWEL: &[u8] = b"AEUY";
    let letters = [
        FIRST[number * 7 % 19],
        VOWEL[number / 19 % 4],
        FIRST[number / 76 % 19],
        FIRST[(number + number / 19 + number / 361) % 13],
    ];
    letters.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn symbols_differ() {
        let symbols: BTreeSet<String> = (0..1_444).map(symbol).collect();
        assert_eq!(symbols.len(), 1_444);
    }

    #[test]
    fn a_quote_is_never_crossed() {
        let mut market = Market::new(500, 3);
        for _ in 0..100_000 {
            let place = market.step();
            let quote = market.quote(place);
            assert!(quote.bid < quote.last && quote.last < quote.ask && quote.bid > 0);
        }
    }
}
