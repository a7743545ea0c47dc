//! The messages between the engine and its panels, and the names at which they pass.
//!
//! An engine that is called `market` has three names. At `market` is a board: symbol by symbol the
//! newest [`Quote`]. At `market-fills` is a feed: each [`Fill`], for every panel. At
//! `market-orders` it listens for streams: [`Order`]s come in, and each is answered by its fill.

use std::time::{SystemTime, UNIX_EPOCH};

/// The protocol of all three.
pub const PROTOCOL: &str = "slipring-panels/1";

/// The name of the feed of fills.
pub fn fills(engine: &str) -> String {
    format!("{engine}-fills")
}

/// The name that takes orders.
pub fn orders(engine: &str) -> String {
    format!("{engine}-orders")
}

/// Nanoseconds since 1970, by the clock that all processes of the machine share.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64)
}

/// The board's value of a symbol. Prices are in hundredths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quote {
    /// The price of the last trade.
    pub last: i64,
    /// The first price of the day.
    pub open: i64,
    /// The best price that somebody pays.
    pub bid: i64,
    /// The best price that somebody asks.
    pub ask: i64,
    /// How much has been traded.
    pub volume: i64,
    /// When the engine made this quote; see [`now`].
    pub time: u64,
}

/// A wish to buy, or to sell if the quantity is negative, at the price of the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Order {
    /// The sender's number for it.
    pub id: u64,
    /// The symbol, padded with zeros.
    pub symbol: [u8; 8],
    /// How many.
    pub quantity: i64,
}

/// An order that was carried out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fill {
    /// The order.
    pub order: Order,
    /// The price of each, in hundredths.
    pub price: i64,
    /// The process that ordered, as the kernel says.
    pub pid: u32,
    /// When; see [`now`].
    pub time: u64,
}

/// The bytes of a [`Quote`].
pub const QUOTE: usize = 48;
/// The bytes of an [`Order`].
pub const ORDER: usize = 24;
/// The bytes of a [`Fill`].
pub const FILL: usize = ORDER + 20;

impl Quote {
    /// Its bytes, little-endian, in the order of the fields.
    pub fn to_bytes(&self) -> [u8; QUOTE] {
        let time = self.time as i64;
        let fields = [self.last, self.open, self.bid, self.ask, self.volume, time];
        let mut bytes = [0; QUOTE];
        for (room, field) in bytes.chunks_exact_mut(8).zip(fields) {
            room.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    /// `None` if these are no quote's bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Quote> {
        let bytes: &[u8; QUOTE] = bytes.try_into().ok()?;
        Some(Quote {
            last: number(bytes, 0),
            open: number(bytes, 8),
            bid: number(bytes, 16),
            ask: number(bytes, 24),
            volume: number(bytes, 32),
            time: number(bytes, 40) as u64,
        })
    }

    /// By how many percent the price has changed since the open.
    pub fn percent(&self) -> f64 {
        (self.last - self.open) as f64 * 100.0 / (self.open as f64).max(1.0)
    }
}

impl Order {
    /// Its bytes, as those of a quote.
    pub fn to_bytes(&self) -> [u8; ORDER] {
        let mut bytes = [0; ORDER];
        bytes[..8].copy_from_slice(&self.id.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.symbol);
        bytes[16..].copy_from_slice(&self.quantity.to_le_bytes());
        bytes
    }

    /// `None` if these are no order's bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Order> {
        let bytes: &[u8; ORDER] = bytes.try_into().ok()?;
        Some(Order {
            id: number(bytes, 0) as u64,
            symbol: bytes[8..16].try_into().ok()?,
            quantity: number(bytes, 16),
        })
    }

    /// The symbol as text.
    pub fn symbol(&self) -> &str {
        let end = self.symbol.iter().position(|&byte| byte == 0);
        std::str::from_utf8(&self.symbol[..end.unwrap_or(8)]).unwrap_or("?")
    }
}

impl Fill {
    /// Its bytes, as those of a quote.
    pub fn to_bytes(&self) -> [u8; FILL] {
        let mut bytes = [0; FILL];
        bytes[..ORDER].copy_from_slice(&self.order.to_bytes());
        bytes[ORDER..ORDER + 8].copy_from_slice(&self.price.to_le_bytes());
        bytes[ORDER + 8..ORDER + 16].copy_from_slice(&self.time.to_le_bytes());
        bytes[ORDER + 16..].copy_from_slice(&self.pid.to_le_bytes());
        bytes
    }

    /// `None` if these are no fill's bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Fill> {
        let bytes: &[u8; FILL] = bytes.try_into().ok()?;
        Some(Fill {
            order: Order::from_bytes(&bytes[..ORDER])?,
            price: number(bytes, ORDER),
            time: number(bytes, ORDER + 8) as u64,
            pid: u32::from_le_bytes(bytes[ORDER + 16..].try_into().ok()?),
        })
    }
}

fn number(bytes: &[u8], at: usize) -> i64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    i64::from_le_bytes(eight)
}

/// A price in hundredths, for people.
pub fn price(hundredths: i64) -> String {
    let sign = if hundredths < 0 { "-" } else { "" };
    let hundredths = hundredths.unsigned_abs();
    format!("{sign}{}.{:02}", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_they_were_written() {
        let quote = Quote {
            last: 1,
            open: 2,
            bid: 3,
            ask: 4,
            volume: 5,
            time: u64::MAX,
        };
        assert_eq!(Quote::from_bytes(&quote.to_bytes()), Some(quote));
        let fill = Fill {
            order: Order {
                id: 7,
                symbol: *b"BARD\0\0\0\0",
                quantity: -100,
            },
            price: 12_345,
            pid: 9,
            time: 8,
        };
        assert_eq!(Fill::from_bytes(&fill.to_bytes()), Some(fill));
        assert_eq!(fill.order.symbol(), "BARD");
        assert_eq!(Quote::from_bytes(&[0; QUOTE - 1]), None);
        assert_eq!(Order::from_bytes(&[0; ORDER + 1]), None);
        assert_eq!(Fill::from_bytes(&[]), None);
    }

    #[test]
    fn prices_have_two_digits_behind_the_point() {
        assert_eq!(price(12_305), "123.05");
        assert_eq!(price(-7), "-0.07");
    }
}
