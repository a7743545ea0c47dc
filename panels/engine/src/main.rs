//! An engine to look at: a market that is made up, on a board, with fills on a feed, and orders
//! that come over streams.
//!
//! ```text
//! cargo run -p slipring-panels-engine -- market
//! ```

mod market;

use clap::Parser;
use market::Market;
use slipring::board::PublisherOptions;
use slipring::{Listener, Options, Stream, feed, frame};
use slipring_panels_engine::{Fill, Order, PROTOCOL, QUOTE, fills, now, orders};
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Publish a made-up market, and take orders
#[derive(Debug, Parser)]
struct Args {
    /// The name of the board; the feed of fills is at NAME-fills, orders go to NAME-orders
    name: String,

    /// Symbols
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=1000))]
    symbols: u16,

    /// Quotes per second
    #[arg(
        long,
        default_value_t = 5_000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    rate: u32,

    /// End in order after so many seconds
    #[arg(long)]
    seconds: Option<u64>,
}

/// Quotes are made in batches, each this long after the last one.
const TICK: Duration = Duration::from_millis(2);

/// The prices of the moment, for those that take orders.
type Prices = Arc<HashMap<String, AtomicI64>>;

fn main() -> io::Result<()> {
    let args = Args::parse();
    let mut market = Market::new(args.symbols.into(), now());
    let symbols = market.symbols.iter().enumerate();
    let prices = symbols.map(|(place, symbol)| {
        let last = market.quote(place).last;
        (symbol.clone(), AtomicI64::new(last))
    });
    let prices: Prices = Arc::new(prices.collect());

    // The board last: a panel that sees it finds the others.
    let fills = feed::PublisherOptions::new()
        .protocol(PROTOCOL)
        .bind(fills(&args.name))?;
    let listener = Options::new().protocol(PROTOCOL).bind(orders(&args.name))?;
    thread::spawn({
        let prices = Arc::clone(&prices);
        move || take_orders(&listener, Arc::new(Mutex::new(fills)), &prices)
    });
    let mut board = PublisherOptions::new()
        .protocol(PROTOCOL)
        .max_keys(args.symbols.into())
        .max_value(QUOTE)
        .bind(&args.name)?;
    let mut first = board.batch();
    for (place, symbol) in market.symbols.iter().enumerate() {
        first.set(symbol.as_bytes(), &market.quote(place).to_bytes())?;
    }
    drop(first);
    eprintln!("{} symbols at {}", args.symbols, board.name());

    let started = Instant::now();
    let mut made = 0;
    loop {
        thread::sleep(TICK);
        let elapsed = started.elapsed();
        if args.seconds.is_some_and(|end| elapsed.as_secs() >= end) {
            board.finish();
            return Ok(());
        }
        let due = (elapsed.as_secs_f64() * f64::from(args.rate)) as u64;
        let mut batch = board.batch();
        for _ in made..due {
            let place = market.step();
            let (symbol, quote) = (&market.symbols[place], market.quote(place));
            batch.set(symbol.as_bytes(), &quote.to_bytes())?;
            // Relaxed: a price that is a moment old is a price.
            prices[symbol].store(quote.last, Relaxed);
        }
        made = due;
    }
}

fn take_orders(listener: &Listener, fills: Arc<Mutex<feed::Publisher>>, prices: &Prices) {
    loop {
        match listener.accept() {
            Ok(stream) => {
                let (fills, prices) = (Arc::clone(&fills), Arc::clone(prices));
                thread::spawn(move || {
                    if let Err(error) = serve(stream, &fills, &prices) {
                        eprintln!("a panel is gone: {error}");
                    }
                });
            }
            Err(error) => {
                eprintln!("no more orders are taken: {error}");
                return;
            }
        }
    }
}

/// Fills the orders of one panel: the fill goes back to it, and to everybody over the feed.
fn serve(stream: Stream, fills: &Mutex<feed::Publisher>, prices: &Prices) -> io::Result<()> {
    let pid = stream.peer().pid.unwrap_or(0);
    let (mut answers, mut wishes) = frame::split(stream)?;
    while let Some(message) = wishes.recv()? {
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, "this is no order");
        let order = Order::from_bytes(&message).ok_or_else(invalid)?;
        let price = prices.get(order.symbol()).ok_or_else(invalid)?;
        let fill = Fill {
            order,
            // Relaxed: as where it is stored.
            price: price.load(Relaxed),
            pid,
            time: now(),
        };
        let bytes = fill.to_bytes();
        let mut fills = fills.lock().unwrap_or_else(PoisonError::into_inner);
        fills.publish(&bytes)?;
        drop(fills);
        answers.send(&bytes)?;
    }
    answers.finish()
}
