//! An engine that sends quotes as messages, which are read in place, and a panel that falls behind
//! and catches up with the newest.
//!
//! ```text
//! cargo run --example messages
//! ```

use slipring::{Options, frame};
use std::io;
use std::process::Command;
use std::time::Duration;

const QUOTES: u64 = 100_000;

/// Quotes in a batch.
const AT_ONCE: u64 = 50;

fn main() -> io::Result<()> {
    if let Some(name) = std::env::args().nth(1) {
        return engine(&name);
    }
    let name = format!("quotes-{}", std::process::id());
    let listener = Options::new().protocol("quotes/1").bind(&name)?;
    let mut engine = Command::new(std::env::current_exe()?).arg(&name).spawn()?;
    let (mut requests, mut quotes) = frame::split(listener.accept()?)?;

    // First every quote, each lent out of the ring.
    let (mut seen, mut sum) = (0, 0);
    while seen < QUOTES {
        let quote = quotes.recv()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let (number, price) = parse(&quote)?;
        assert_eq!(number, seen, "quotes come in order");
        sum += price;
        seen += 1;
    }
    println!("{seen} quotes seen where they lie, the sum of their prices is {sum}");

    // Then a history, which is larger than the ring.
    requests.send(b"history")?;
    let mut history = Vec::new();
    quotes.recv_into(&mut history)?;
    println!(
        "a history of {} bytes through a ring of {}",
        history.len(),
        quotes.reader().peer_capacity()
    );

    // And then only the newest ones, however many there are.
    requests.send(b"again")?;
    let (mut drawn, mut skipped) = (0, 0);
    while let Some(latest) = quotes.latest()? {
        drawn += 1;
        skipped += latest.skipped;
        let (number, _) = parse(&latest.message)?;
        assert_eq!(
            number + 1,
            drawn + skipped,
            "every quote is drawn or skipped"
        );
    }
    println!("{} quotes drawn or skipped", drawn + skipped);
    engine.wait()?;
    Ok(())
}

/// Sends quotes, and the histories that are asked for.
fn engine(name: &str) -> io::Result<()> {
    let options = Options::new()
        .protocol("quotes/1")
        .wait_for_listener(Duration::from_secs(5));
    let (mut quotes, mut requests) = frame::split(options.connect(name)?)?;
    send_quotes(&mut quotes)?;
    while let Some(request) = requests.recv()? {
        match &*request {
            b"history" => quotes.send_with(5_000_000, |history| history.fill(1))?,
            b"again" => {
                send_quotes(&mut quotes)?;
                break;
            }
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
    quotes.finish()
}

/// A quote is its number and a price, 16 bytes, written straight into the ring.
fn send_quotes(quotes: &mut frame::Sender) -> io::Result<()> {
    for first in (0..QUOTES).step_by(AT_ONCE as usize) {
        let mut batch = quotes.batch();
        for number in first..first + AT_ONCE {
            batch.send_with(16, |quote| {
                quote[..8].copy_from_slice(&number.to_le_bytes());
                quote[8..].copy_from_slice(&(100 + number % 7).to_le_bytes());
            })?;
        }
    }
    Ok(())
}

fn parse(quote: &[u8]) -> io::Result<(u64, u64)> {
    let (number, price) = quote
        .split_first_chunk()
        .ok_or(io::ErrorKind::InvalidData)?;
    let price = price.try_into().map_err(|_| io::ErrorKind::InvalidData)?;
    Ok((u64::from_le_bytes(*number), u64::from_le_bytes(price)))
}
